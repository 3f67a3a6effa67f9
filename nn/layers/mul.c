/* nn/layers/mul.c - elementwise product of two or more values.
 *
 * Shapes   [C, T] or [C, H, W] each; one of a single channel or a single sample is repeated, and [C] counts as [C, 1].
 */
#include "nn/shape_layer.h"

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    return nn_fold_inputs(l, t, in, nn_mul);
}

const nn_layer_type nn_layer_mul = {
    .name = "mul",
    .summary = "elementwise product of two or more values",
    .min_in = 2,
    .max_in = NN_MAX_IN,
    .build = nn_build_broadcast,
    .forward = forward,
};
