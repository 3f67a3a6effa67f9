/* nn/layers/relu6.c - x limited to 0 .. 6.
 *
 * Shapes   any -> the same.
 */
#include "nn/layer.h"

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    (void)l;
    return nn_hardtanh(t, in[0], 0, 6);
}

const nn_layer_type nn_layer_relu6 = {
    .name = "relu6",
    .summary = "x limited to 0 .. 6",
    .min_in = 1,
    .max_in = 1,
    .build = nn_build_same,
    .forward = forward,
    .takes_once = 1,
};
