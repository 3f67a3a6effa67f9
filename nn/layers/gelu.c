/* nn/layers/gelu.c - x Phi(x), Phi the normal distribution; approximate=tanh by a tanh, as torch.nn.GELU.
 *
 * Shapes   any -> the same.
 * Source   Hendrycks & Gimpel, 2016.
 */
#include "nn/layer.h"

static const nn_layer_option options[] = {
    { "approximate", NN_OPTION_CHOICE, 0, 0, 1, "formula of the distribution", "none|tanh" },
    { .name = NULL },
};

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    return nn_layer_get(l, "approximate") != 0 ? nn_gelu_tanh(t, in[0]) : nn_gelu(t, in[0]);
}

const nn_layer_type nn_layer_gelu = {
    .name = "gelu",
    .summary = "x times the normal distribution at x",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = nn_build_same,
    .forward = forward,
    .takes_once = 1,
};
