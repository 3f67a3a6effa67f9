/* Losses on magnitudes of short-time spectra. */
#include "nn/ops.h"

/* Per resolution, X = |STFT(x)|, Y = |STFT(y)| (y is the target):
 *     |Y - X|_F / |Y|_F   (spectral convergence, over the whole batch)   +   mean |log Y - log X| */
nn_node *nn_multi_resolution_stft_loss(nn_tape *t, nn_node *x, nn_node *y, int n, const nn_stft_opt *resolutions)
{
    const double eps = 1e-7; /* in the power: keeps log and its gradient finite in silence */
    nn_node *total = NULL;
    char a[96], b[96];
    if (t->err.code)
        return NULL;
    if (!nn_same_shape(&x->shape, &y->shape)) {
        bl_fail(&t->err, BL_ESHAPE, "multi_resolution_stft_loss: shapes %s and %s differ", nn_shape_str(&x->shape, a),
                nn_shape_str(&y->shape, b));
        return NULL;
    }
    BL_ASSERT(n > 0);
    for (int i = 0; i < n; i++) {
        nn_node *X = nn_stft_magnitude(t, x, resolutions[i], eps), *Y = nn_stft_magnitude(t, y, resolutions[i], eps);
        const double size = X ? (double)nn_count(&X->shape) : 0;
        nn_node *difference = nn_sqrt(t, nn_affine(t, nn_mse_loss(t, X, Y), size, 1e-12)); /* one pass over both */
        nn_node *convergence = nn_div(t, difference, nn_sqrt(t, nn_sum(t, nn_square(t, Y))));
        nn_node *both = nn_add(t, convergence, nn_l1_loss(t, nn_log(t, X), nn_log(t, Y)));
        total = total ? nn_add(t, total, both) : both;
    }
    return nn_affine(t, total, 1.0 / n, 0);
}
