/* nn/layers/softplus.c - log(1 + exp(beta x)) / beta: a smooth rectifier, always positive; x itself where beta x > threshold.
 *
 * Shapes   any -> the same.
 */
#include "nn/layer.h"

static const nn_layer_option options[] = {
    { "beta", NN_OPTION_REAL, 1, 1e-6, 1e6, "sharpness of the bend", NULL },
    { "threshold", NN_OPTION_REAL, 20, -1000, 1000, "beta x above which y = x", NULL },
    { .name = NULL },
};

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    return nn_softplus_beta(t, in[0], nn_layer_get(l, "beta"), nn_layer_get(l, "threshold"));
}

const nn_layer_type nn_layer_softplus = {
    .name = "softplus",
    .summary = "log(1 + exp(x)): a smooth rectifier, always positive",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = nn_build_same,
    .forward = forward,
    .takes_once = 1,
};
