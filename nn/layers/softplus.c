/* nn/layers/softplus.c - log(1 + exp(x)): a smooth rectifier, always positive.
 *
 * Shapes   any -> the same.
 */
#include "nn/layer.h"

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    (void)l;
    return nn_softplus(t, in[0]);
}

const nn_layer_type nn_layer_softplus = {
    .name = "softplus",
    .summary = "log(1 + exp(x)): a smooth rectifier, always positive",
    .min_in = 1,
    .max_in = 1,
    .build = nn_build_same,
    .forward = forward,
};
