/* nn/layers/squeeze.c - leaves out a dimension of size 1.
 *
 * Shapes   [1, N] -> [N], [C, 1, T] -> [C, T] and so on.
 */
#include "nn/shape_layer.h"

static const nn_layer_option options[] = {
    { "dim", NN_OPTION_CHOICE, NN_DIM_CHANNELS, 0, NN_DIM_MOST, "which one goes", NN_DIM_CHOICES },
    { .name = NULL },
};

static bl_status build(nn_layer *l, bl_error *err)
{
    const int axis = nn_layer_axis(l, "dim", err);
    if (!axis)
        return err->code;
    l->out_shape = l->in_shape[0];
    if (l->out_shape.dim[axis - 1] != 1 || l->out_shape.rank == 1)
        return bl_fail(err, BL_ESHAPE, "the dimension has %lld values, expected 1", (long long)l->out_shape.dim[axis - 1]);
    for (int d = axis - 1; d < l->out_shape.rank - 1; d++)
        l->out_shape.dim[d] = l->out_shape.dim[d + 1];
    l->out_shape.rank--;
    if (l->out_shape.rank == 1 && l->out_shape.dim[0] < 0)
        return bl_fail(err, BL_ESHAPE, "a vector of free length would come out");
    return BL_OK;
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    return nn_squeeze(t, in[0], nn_layer_axis_of(l, "dim"));
}

const nn_layer_type nn_layer_squeeze = {
    .name = "squeeze",
    .summary = "leaves out a dimension of size 1",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = build,
    .forward = forward,
};
