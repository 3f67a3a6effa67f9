/* nn/layers/sum.c - the sum over a dimension.
 *
 * Shapes   without the dimension, or with keepdim of size 1; of a vector [1].
 */
#include "nn/shape_layer.h"

#include <math.h>

static const nn_layer_option options[] = {
    NN_REDUCE_OPTIONS,
    { .name = NULL },
};

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    return nn_reduce_finish(l, t, nn_sum_dims(t, in[0], 1u << nn_layer_axis_of(l, "dim")));
}

const nn_layer_type nn_layer_sum = {
    .name = "sum",
    .summary = "the sum over a dimension",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = nn_reduce_build,
    .forward = forward,
};
