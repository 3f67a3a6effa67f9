/* nn/layers/slice.c - some of the channels, or of the samples.
 *
 * Shapes   [C, T] -> [stop - start, T] (dim=channels) or [C, stop - start] (dim=time). stop=end: to the end.
 */
#include "nn/layer.h"

static const nn_layer_option options[] = {
    { "start", NN_OPTION_INT, 0, 0, 1 << 30, "first index", NULL },
    { "stop", NN_OPTION_INT, -1, 1, 1 << 30, "index behind the last", "end" },
    { "dim", NN_OPTION_CHOICE, 0, 0, 1, "what is counted", "channels|time" },
    { .name = NULL },
};

static bl_status build(nn_layer *l, bl_error *err)
{
    const int dim = (int)nn_layer_get(l, "dim");
    const int64_t start = nn_layer_int(l, "start"), stop = nn_layer_int(l, "stop");
    l->out_shape = l->in_shape[0];
    if (dim >= l->out_shape.rank)
        return bl_fail(err, BL_ESHAPE, "dim=time: the input is a vector");
    const int64_t n = l->out_shape.dim[dim];
    if (n >= 0 && stop > n)
        return bl_fail(err, BL_EARG, "stop=%lld: there are only %lld", (long long)stop, (long long)n);
    if (stop >= 0 ? start >= stop : n >= 0 && start >= n)
        return bl_fail(err, BL_EARG, "start=%lld: nothing is left", (long long)start);
    l->out_shape.dim[dim] = stop >= 0 ? stop - start : n >= 0 ? n - start : -1;
    return BL_OK;
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    const int dim = (int)nn_layer_get(l, "dim") + 1;
    const int64_t stop = nn_layer_int(l, "stop");
    return t->err.code ? NULL : nn_slice(t, in[0], dim, nn_layer_int(l, "start"), stop < 0 ? in[0]->shape.dim[dim] : stop);
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
