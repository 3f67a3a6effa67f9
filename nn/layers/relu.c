/* nn/layers/relu.c - rectifier: max(x, 0).
 *
 * Shapes   any -> the same.
 */
#include "nn/layer.h"

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    (void)l;
    return nn_leaky_relu(t, in[0], 0);
}

const nn_layer_type nn_layer_relu = {
    .name = "relu",
    .summary = "max(x, 0)",
    .min_in = 1,
    .max_in = 1,
    .build = nn_build_same,
    .forward = forward,
    .takes_once = 1,
};
