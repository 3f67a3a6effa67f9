/* nn/layers/pad.c - more values before and after a dimension: a constant, mirrored, the ends held, or round again.
 *
 * Shapes   the dimension grows by before + after; modes as torch.nn.functional.pad.
 */
#include "nn/shape_layer.h"

static const nn_layer_option options[] = {
    { "before", NN_OPTION_INT, 0, 0, 1 << 20, "values in front", NULL },
    { "after", NN_OPTION_INT, 0, 0, 1 << 20, "values behind", NULL },
    { "mode", NN_OPTION_CHOICE, 0, 0, 3, "which values", "constant|reflect|replicate|circular" },
    { "value", NN_OPTION_REAL, 0, -1e30, 1e30, "the constant", NULL },
    { "dim", NN_OPTION_CHOICE, NN_DIM_TIME, 0, NN_DIM_MOST, "along which dimension", NN_DIM_CHOICES },
    { .name = NULL },
};

static bl_status build(nn_layer *l, bl_error *err)
{
    const int axis = nn_layer_axis(l, "dim", err), mode = (int)nn_layer_get(l, "mode");
    const int64_t before = nn_layer_int(l, "before"), after = nn_layer_int(l, "after");
    if (!axis)
        return err->code;
    l->out_shape = l->in_shape[0];
    int64_t *n = &l->out_shape.dim[axis - 1];
    const int64_t most = mode == 1 ? *n - 1 : *n; /* reflect does not repeat the end */
    if (*n >= 0 && (mode == 1 || mode == 3) && (before > most || after > most))
        return bl_fail(err, BL_EARG, "before=%lld after=%lld: there are only %lld values to repeat", (long long)before, (long long)after,
                       (long long)most);
    if (*n >= 0)
        *n += before + after;
    return BL_OK;
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    const int axis = nn_layer_axis_of(l, "dim"), mode = (int)nn_layer_get(l, "mode");
    const int64_t before = nn_layer_int(l, "before"), after = nn_layer_int(l, "after");
    if (mode == 0)
        return nn_pad_value(t, in[0], axis, before, after, nn_layer_get(l, "value"));
    return nn_pad_by(t, in[0], axis, before, after, (nn_pad_mode)(mode - 1));
}

const nn_layer_type nn_layer_pad = {
    .name = "pad",
    .summary = "more values before and after a dimension",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = build,
    .forward = forward,
};
