/* nn/layers/log.c - natural logarithm of x, or of `min` where x is smaller: log compression of spectra and loudness.
 *
 * Shapes   any -> the same.
 */
#include "nn/layer.h"

#include <math.h>

static const nn_layer_option options[] = {
    { "min", NN_OPTION_REAL, 1e-5, 1e-30, 1e6, "x counts as at least this; no gradient below", NULL },
    { .name = NULL },
};

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    return nn_log(t, nn_clamp(t, in[0], nn_layer_get(l, "min"), INFINITY));
}

const nn_layer_type nn_layer_log = {
    .name = "log",
    .summary = "natural logarithm of max(x, min)",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = nn_build_same,
    .forward = forward,
    .takes_once = 1,
};
