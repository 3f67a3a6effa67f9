/* nn/layers/glu.c - first half of a dimension times the sigmoid of the second.
 *
 * Shapes   the dimension is halved; as torch.nn.GLU, whose default is the last one.
 * Source   Dauphin et al., 2017.
 */
#include "nn/shape_layer.h"

static const nn_layer_option options[] = {
    { "dim", NN_OPTION_CHOICE, NN_DIM_LAST, 0, NN_DIM_MOST, "which dimension is halved", NN_DIM_CHOICES },
    { .name = NULL },
};

static bl_status build(nn_layer *l, bl_error *err)
{
    const int axis = nn_layer_axis(l, "dim", err);
    if (!axis)
        return err->code;
    l->out_shape = l->in_shape[0];
    int64_t *n = &l->out_shape.dim[axis - 1];
    if (*n > 0 && *n % 2)
        return bl_fail(err, BL_ESHAPE, "needs an even size to halve, got %lld", (long long)*n);
    *n = *n > 0 ? *n / 2 : *n;
    return BL_OK;
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    return nn_glu(t, in[0], nn_layer_axis_of(l, "dim"));
}

const nn_layer_type nn_layer_glu = {
    .name = "glu",
    .summary = "first half times sigmoid of the second half",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = build,
    .forward = forward,
};
