/* Losses, composed of ops: each is a mean over all elements unless said otherwise. */
#include "nn/gan.h"

static int same_shapes(nn_tape *t, const char *name, const nn_node *x, const nn_node *y)
{
    char a[96], b[96];
    if (t->err.code)
        return 0;
    if (nn_same_shape(&x->shape, &y->shape))
        return 1;
    bl_fail(&t->err, BL_ESHAPE, "%s: shapes %s and %s differ", name, nn_shape_str(&x->shape, a), nn_shape_str(&y->shape, b));
    return 0;
}

nn_node *nn_l1_loss(nn_tape *t, nn_node *x, nn_node *y)
{
    return same_shapes(t, "l1_loss", x, y) ? nn_mean(t, nn_abs(t, nn_sub(t, x, y))) : NULL;
}

nn_node *nn_mse_loss(nn_tape *t, nn_node *x, nn_node *y)
{
    return same_shapes(t, "mse_loss", x, y) ? nn_mean(t, nn_square(t, nn_sub(t, x, y))) : NULL;
}

nn_node *nn_cross_entropy(nn_tape *t, nn_node *logits, nn_node *target_index)
{
    return nn_affine(t, nn_mean(t, nn_pick(t, nn_log_softmax(t, logits), target_index)), -1, 0);
}

/* -target log p - (1 - target) log(1 - p) = softplus(x) - x target with p = sigmoid(x), which cannot overflow. */
nn_node *nn_bce_with_logits(nn_tape *t, nn_node *logits, nn_node *target)
{
    if (!same_shapes(t, "bce_with_logits", logits, target))
        return NULL;
    return nn_mean(t, nn_sub(t, nn_softplus(t, logits), nn_mul(t, logits, target)));
}

/* Per resolution, X = |STFT(x)|, Y = |STFT(y)| (y is the target):
 *     |Y - X|_F / |Y|_F   (spectral convergence, over the whole batch)   +   mean |log Y - log X| */
nn_node *nn_multi_resolution_stft_loss(nn_tape *t, nn_node *x, nn_node *y, int n, const nn_stft_opt *resolutions)
{
    const double eps = 1e-7; /* in the power: keeps log and its gradient finite in silence */
    nn_node *total = NULL;
    if (!same_shapes(t, "multi_resolution_stft_loss", x, y))
        return NULL;
    BL_ASSERT(n > 0);
    for (int i = 0; i < n; i++) {
        nn_node *X = nn_stft_magnitude(t, x, resolutions[i], eps), *Y = nn_stft_magnitude(t, y, resolutions[i], eps);
        nn_node *difference = nn_sqrt(t, nn_affine(t, nn_sum(t, nn_square(t, nn_sub(t, Y, X))), 1, 1e-12));
        nn_node *convergence = nn_div(t, difference, nn_sqrt(t, nn_sum(t, nn_square(t, Y))));
        nn_node *both = nn_add(t, convergence, nn_l1_loss(t, nn_log(t, X), nn_log(t, Y)));
        total = total ? nn_add(t, total, both) : both;
    }
    return nn_affine(t, total, 1.0 / n, 0);
}

nn_node *nn_gradient_norm(nn_tape *t, nn_node *score, nn_node *x)
{
    nn_node *slope = NULL;
    if (t->err.code)
        return NULL;
    /* Examples do not mix in a critic, so the gradient of the sum of scores holds each example's own. */
    nn_grad(t, score, NULL, 1, &x, &slope, 1);
    if (t->err.code)
        return NULL;
    if (!slope) {
        bl_fail(&t->err, BL_EARG, "gradient_penalty: the score does not depend on x (is x an nn_leaf, and the tape recording?)");
        return NULL;
    }
    const unsigned all_but_batch = (1u << x->shape.rank) - 2u;
    return nn_sqrt(t, nn_affine(t, nn_sum_dims(t, nn_square(t, slope), all_but_batch), 1, 1e-12));
}

nn_node *nn_gradient_penalty(nn_tape *t, nn_node *score, nn_node *x)
{
    return nn_mean(t, nn_square(t, nn_affine(t, nn_gradient_norm(t, score, x), 1, -1)));
}
