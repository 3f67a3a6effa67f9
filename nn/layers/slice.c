/* nn/layers/slice.c - some of the channels, or of the samples.
 *
 * Shapes   [C, T] -> [stop - start, T] (dim=channels) or [C, stop - start] (dim=time), one of `step`. stop=end: to the end.
 */
#include "nn/shape_layer.h"

static const nn_layer_option options[] = {
    { "start", NN_OPTION_INT, 0, 0, 1 << 30, "first index", NULL },
    { "stop", NN_OPTION_INT, -1, 1, 1 << 30, "index behind the last", "end" },
    { "step", NN_OPTION_INT, 1, 1, 1 << 20, "from one index to the next", NULL },
    { "dim", NN_OPTION_CHOICE, NN_DIM_CHANNELS, 0, NN_DIM_MOST, "what is counted", NN_DIM_CHOICES },
    { .name = NULL },
};

static bl_status build(nn_layer *l, bl_error *err)
{
    const int axis = nn_layer_axis(l, "dim", err);
    const int64_t start = nn_layer_int(l, "start"), stop = nn_layer_int(l, "stop"), step = nn_layer_int(l, "step");
    if (!axis)
        return err->code;
    l->out_shape = l->in_shape[0];
    const int64_t n = l->out_shape.dim[axis - 1];
    if (n >= 0 && stop > n)
        return bl_fail(err, BL_EARG, "stop=%lld: there are only %lld", (long long)stop, (long long)n);
    if (stop >= 0 ? start >= stop : n >= 0 && start >= n)
        return bl_fail(err, BL_EARG, "start=%lld: nothing is left", (long long)start);
    const int64_t count = stop >= 0 ? stop - start : n >= 0 ? n - start : -1;
    l->out_shape.dim[axis - 1] = count < 0 ? -1 : (count + step - 1) / step;
    return BL_OK;
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    const int axis = nn_layer_axis_of(l, "dim");
    const int64_t stop = nn_layer_int(l, "stop");
    return t->err.code ? NULL : nn_slice_step(t, in[0], axis, nn_layer_int(l, "start"), stop < 0 ? in[0]->shape.dim[axis] : stop,
                                              nn_layer_int(l, "step"));
}

const nn_layer_type nn_layer_slice = {
    .name = "slice",
    .summary = "some of the channels or samples",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = build,
    .forward = forward,
};
