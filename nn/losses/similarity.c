/* Losses on directions and on features, composed of ops. */
#include "nn/ops.h"

#include <math.h>

/* x over its length along dim 1, which counts as 1e-8 at least (torch.nn.functional.cosine_similarity). */
static nn_node *unit(nn_tape *t, nn_node *x)
{
    nn_node *squares = nn_sum_dims(t, nn_square(t, x), 2u);
    return nn_div(t, x, nn_sqrt(t, nn_clamp(t, squares, 1e-16, HUGE_VAL)));
}

nn_node *nn_cosine_loss(nn_tape *t, nn_node *x, nn_node *y)
{
    char a[96], b[96];
    if (t->err.code)
        return NULL;
    if (!nn_same_shape(&x->shape, &y->shape) || x->shape.rank < 2) {
        bl_fail(&t->err, BL_ESHAPE, "cosine_loss: expected two tensors [N, C, ...] of one shape, got %s and %s",
                nn_shape_str(&x->shape, a), nn_shape_str(&y->shape, b));
        return NULL;
    }
    nn_node *cosine = nn_sum_dims(t, nn_mul(t, unit(t, x), unit(t, y)), 2u);
    return nn_affine(t, nn_mean(t, cosine), -1, 1);
}

/* a b^T of every example [B, I, N], [B, J, N], summed over each group: the square of its entries, summed, [1]. */
static nn_node *squared_product(nn_tape *t, nn_node *a, nn_node *b, int64_t group)
{
    nn_node *product = nn_matmul(t, a, b, 0, 1);
    if (t->err.code)
        return NULL;
    const nn_shape s = product->shape;
    if (group > 1)
        product = nn_sum_dims(t, nn_reshape(t, product, nn_shape_of(4, s.dim[0] / group, group, s.dim[1], s.dim[2])), 2u);
    return nn_sum(t, nn_square(t, product));
}

nn_node *nn_affinity_loss(nn_tape *t, nn_node *v, nn_node *y, int64_t group)
{
    char a[96], b[96];
    if (t->err.code)
        return NULL;
    if (v->shape.rank != 3 || y->shape.rank != 3 || v->shape.dim[0] != y->shape.dim[0] || v->shape.dim[2] != y->shape.dim[2] ||
        group < 1 || v->shape.dim[0] % group) {
        bl_fail(&t->err, BL_ESHAPE, "affinity_loss: expected embeddings [B, D, N] and members [B, S, N], B in groups of %lld; got %s and %s",
                (long long)group, nn_shape_str(&v->shape, a), nn_shape_str(&y->shape, b));
        return NULL;
    }
    nn_node *same = nn_add(t, squared_product(t, v, v, group), squared_product(t, y, y, group));
    nn_node *loss = nn_sub(t, same, nn_affine(t, squared_product(t, v, y, group), 2, 0));
    return nn_affine(t, loss, (double)group / (double)v->shape.dim[0], 0);
}

nn_node *nn_feature_matching_loss(nn_tape *t, int n, nn_node *const *fake, nn_node *const *real_ones)
{
    nn_node *total = NULL;
    BL_ASSERT(n > 0);
    for (int i = 0; i < n && !t->err.code; i++) {
        nn_node *distance = nn_l1_loss(t, fake[i], nn_detach(t, real_ones[i]));
        total = total ? nn_add(t, total, distance) : distance;
    }
    return nn_affine(t, total, 1.0 / n, 0);
}
