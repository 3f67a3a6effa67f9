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
