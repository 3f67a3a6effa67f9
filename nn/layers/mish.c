/* nn/layers/mish.c - x tanh(softplus(x)).
 *
 * Shapes   any -> the same.
 * Source   Misra, 2019.
 */
#include "nn/layer.h"

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    (void)l;
    return nn_mish(t, in[0]);
}

const nn_layer_type nn_layer_mish = {
    .name = "mish",
    .summary = "x tanh(softplus(x))",
    .min_in = 1,
    .max_in = 1,
    .build = nn_build_same,
    .forward = forward,
    .takes_once = 1,
};
