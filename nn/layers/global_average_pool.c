/* nn/layers/global_average_pool.c - the mean of each channel over time, or over height and width.
 *
 * Shapes   [C, T] or [C, H, W] -> [C].
 */
#include "nn/pool_layer.h"

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    nn_node *mean = nn_mean_dims(t, in[0], l->in_shape[0].rank == 2 ? 4u : 12u);
    return t->err.code ? NULL : nn_reshape(t, mean, (nn_shape){ 2, { in[0]->shape.dim[0], l->out_shape.dim[0] } });
}

const nn_layer_type nn_layer_global_average_pool = {
    .name = "global_average_pool",
    .summary = "mean of each channel",
    .min_in = 1,
    .max_in = 1,
    .build = nn_global_pool_build,
    .forward = forward,
};
