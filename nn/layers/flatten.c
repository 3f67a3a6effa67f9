/* nn/layers/flatten.c - all values of an example as one vector.
 *
 * Shapes   [C, T] -> [C T], [C, H, W] -> [C H W]; all sizes must be fixed.
 */
#include "nn/layer.h"

static bl_status build(nn_layer *l, bl_error *err)
{
    for (int d = 0; d < l->in_shape[0].rank; d++)
        if (l->in_shape[0].dim[d] < 0)
            return bl_fail(err, BL_ESHAPE, "the length must be fixed; global_average_pool takes any");
    l->out_shape = (nn_shape){ 1, { nn_count(&l->in_shape[0]) } };
    return BL_OK;
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    return t->err.code ? NULL : nn_reshape(t, in[0], (nn_shape){ 2, { in[0]->shape.dim[0], l->out_shape.dim[0] } });
}

const nn_layer_type nn_layer_flatten = {
    .name = "flatten",
    .summary = "all values of an example as one vector",
    .min_in = 1,
    .max_in = 1,
    .build = build,
    .forward = forward,
};
