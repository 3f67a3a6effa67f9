/* nn/layers/hardswish.c - x hardsigmoid(x).
 *
 * Shapes   any -> the same.
 * Source   Howard et al., 2019.
 */
#include "nn/layer.h"

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    (void)l;
    return nn_hardswish(t, in[0]);
}

const nn_layer_type nn_layer_hardswish = {
    .name = "hardswish",
    .summary = "x hardsigmoid(x)",
    .min_in = 1,
    .max_in = 1,
    .build = nn_build_same,
    .forward = forward,
    .takes_once = 1,
};
