/* nn/layers/reshape.c - the same values as [channels, T], or as [channels, height, T].
 *
 * Shapes   any of N values -> [channels, N / channels], or [channels, height, N / channels / height], in memory order
 *          (time last). A free length stays free.
 */
#include "nn/layer.h"

#include <math.h>

static const nn_layer_option options[] = {
    { "channels", NN_OPTION_INT, NAN, 1, 1 << 24, "channels of the output", NULL },
    { "height", NN_OPTION_INT, 0, 0, 1 << 24, "rows of the output; 0: none, [channels, T] comes out", NULL },
    { .name = NULL },
};

static bl_status build(nn_layer *l, bl_error *err)
{
    const int64_t channels = nn_layer_int(l, "channels"), height = nn_layer_int(l, "height");
    const int64_t each = channels * (height ? height : 1);
    int64_t n = 1;
    int n_free = 0;
    for (int d = 0; d < l->in_shape[0].rank; d++) {
        n *= l->in_shape[0].dim[d] < 0 ? 1 : l->in_shape[0].dim[d];
        n_free += l->in_shape[0].dim[d] < 0;
    }
    if (n_free > 1)
        return bl_fail(err, BL_ESHAPE, "two sizes are free, height and width");
    if (n % each)
        return bl_fail(err, BL_ESHAPE, height ? "%lld values%s do not divide into %lld channels of %lld rows"
                                              : "%lld values%s do not divide into %lld channels", (long long)n,
                       n_free ? " per sample" : "", (long long)channels, (long long)height);
    const int64_t length = n_free ? -1 : n / each;
    l->out_shape = height ? (nn_shape){ 3, { channels, height, length } } : (nn_shape){ 2, { channels, length } };
    return BL_OK;
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    const int64_t channels = nn_layer_int(l, "channels"), height = nn_layer_int(l, "height");
    if (t->err.code)
        return NULL;
    const nn_shape *s = &in[0]->shape;
    const int64_t n = nn_count(s) / (s->dim[0] ? s->dim[0] : 1) / channels;
    return nn_reshape(t, in[0], height ? (nn_shape){ 4, { s->dim[0], channels, height, n / height } }
                                       : (nn_shape){ 3, { s->dim[0], channels, n } });
}

const nn_layer_type nn_layer_reshape = {
    .name = "reshape",
    .summary = "the same values with other channels",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = build,
    .forward = forward,
};
