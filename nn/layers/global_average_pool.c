/* nn/layers/global_average_pool.c - the mean of each channel over time.
 *
 * Shapes   [C, T] -> [C].
 */
#include "nn/layer.h"

static bl_status build(nn_layer *l, bl_error *err)
{
    l->out_shape = (nn_shape){ 1, { l->in_shape[0].dim[0] } };
    return nn_expect_sequence(l, 0, err);
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    nn_node *mean = nn_mean_dims(t, in[0], 4u);
    return t->err.code ? NULL : nn_reshape(t, mean, (nn_shape){ 2, { in[0]->shape.dim[0], l->out_shape.dim[0] } });
}

const nn_layer_type nn_layer_global_average_pool = {
    .name = "global_average_pool",
    .summary = "mean of each channel over time",
    .min_in = 1,
    .max_in = 1,
    .build = build,
    .forward = forward,
};
