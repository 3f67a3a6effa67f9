/* nn/layers/tanh.c - hyperbolic tangent.
 *
 * Shapes   any -> the same.
 */
#include "nn/layer.h"

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    (void)l;
    return nn_tanh(t, in[0]);
}

const nn_layer_type nn_layer_tanh = {
    .name = "tanh",
    .summary = "hyperbolic tangent",
    .min_in = 1,
    .max_in = 1,
    .build = nn_build_same,
    .forward = forward,
    .takes_once = 1,
};
