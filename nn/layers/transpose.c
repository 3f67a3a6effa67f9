/* nn/layers/transpose.c - two dimensions change places.
 *
 * Shapes   [C, T] -> [T, C] (dim0=1 dim1=2), or any two of [C, H, W].
 */
#include "nn/shape_layer.h"

static const nn_layer_option options[] = {
    { "dim0", NN_OPTION_CHOICE, 4, 0, NN_DIM_MOST, "one of the two", NN_DIM_CHOICES },
    { "dim1", NN_OPTION_CHOICE, 5, 0, NN_DIM_MOST, "the other", NN_DIM_CHOICES },
    { .name = NULL },
};

static bl_status build(nn_layer *l, bl_error *err)
{
    const int a = nn_layer_axis(l, "dim0", err), b = a ? nn_layer_axis(l, "dim1", err) : 0;
    if (!b)
        return err->code;
    l->out_shape = l->in_shape[0];
    l->out_shape.dim[a - 1] = l->in_shape[0].dim[b - 1];
    l->out_shape.dim[b - 1] = l->in_shape[0].dim[a - 1];
    for (int d = 0; d < l->out_shape.rank - 1; d++)
        if (l->out_shape.dim[d] < 0)
            return bl_fail(err, BL_ESHAPE, "a free length must stay the last dimension");
    return BL_OK;
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    return nn_transpose(t, in[0], nn_layer_axis_of(l, "dim0"), nn_layer_axis_of(l, "dim1"));
}

const nn_layer_type nn_layer_transpose = {
    .name = "transpose",
    .summary = "two dimensions change places",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = build,
    .forward = forward,
};
