/* nn/layers/add.c - elementwise sum of two or more values.
 *
 * Shapes   [C, T] each; one of a single channel or a single sample is repeated, and [C] counts as [C, 1].
 */
#include "nn/layer.h"

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    nn_node *y = l->out_shape.rank == 2 ? nn_as_sequence(t, in[0]) : in[0];
    for (int i = 1; i < l->n_in; i++)
        y = nn_add(t, y, l->out_shape.rank == 2 ? nn_as_sequence(t, in[i]) : in[i]);
    return y;
}

const nn_layer_type nn_layer_add = {
    .name = "add",
    .summary = "elementwise sum of its inputs",
    .min_in = 2,
    .max_in = NN_MAX_IN,
    .build = nn_build_broadcast,
    .forward = forward,
};
