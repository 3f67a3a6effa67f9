/* nn/layers/reshape.c - the same values as [channels, T].
 *
 * Shapes   any of N values -> [channels, N / channels], in memory order (time last).
 */
#include "nn/layer.h"

#include <math.h>

static const nn_layer_option options[] = {
    { "channels", NN_OPTION_INT, NAN, 1, 1 << 24, "channels of the output", NULL },
    { .name = NULL },
};

static bl_status build(nn_layer *l, bl_error *err)
{
    const int64_t channels = nn_layer_int(l, "channels");
    int64_t n = nn_count(&l->in_shape[0]);
    const int is_free = n < 0; /* one dimension of -1 */
    n = is_free ? -n : n;
    if (n % channels)
        return bl_fail(err, BL_ESHAPE, "%lld values%s do not divide into %lld channels", (long long)n,
                       is_free ? " per sample" : "", (long long)channels);
    l->out_shape = (nn_shape){ 2, { channels, is_free ? -1 : n / channels } };
    return BL_OK;
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    const int64_t channels = nn_layer_int(l, "channels");
    if (t->err.code)
        return NULL;
    const nn_shape *s = &in[0]->shape;
    return nn_reshape(t, in[0], (nn_shape){ 3, { s->dim[0], channels, nn_count(s) / (s->dim[0] ? s->dim[0] : 1) / channels } });
}

const nn_layer_type nn_layer_reshape = {
    .name = "reshape",
    .summary = "the same values as [channels, T]",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = build,
    .forward = forward,
};
