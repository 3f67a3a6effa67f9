/* nn/layers/minimum.c - the smallest of its inputs, value by value.
 *
 * Shapes   [C, T] or [C, H, W] each; one of a single channel or a single sample is repeated, and [C] counts as [C, 1].
 */
#include "nn/shape_layer.h"

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    return nn_fold_inputs(l, t, in, nn_minimum);
}

const nn_layer_type nn_layer_minimum = {
    .name = "minimum",
    .summary = "the smallest of its inputs, value by value",
    .min_in = 2,
    .max_in = NN_MAX_IN,
    .build = nn_build_broadcast,
    .forward = forward,
};
