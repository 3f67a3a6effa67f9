/* nn/layers/hardsigmoid.c - x / 6 + 1/2 limited to 0 .. 1.
 *
 * Shapes   any -> the same.
 */
#include "nn/layer.h"

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    (void)l;
    return nn_hardsigmoid(t, in[0]);
}

const nn_layer_type nn_layer_hardsigmoid = {
    .name = "hardsigmoid",
    .summary = "x / 6 + 1/2 limited to 0 .. 1",
    .min_in = 1,
    .max_in = 1,
    .build = nn_build_same,
    .forward = forward,
    .takes_once = 1,
};
