/* nn/layers/position_embedding.c - adds a learned vector for each position, as BERT and GPT-2 do.
 *
 *     y[c,t] = x[c,t] + weight[t,c]
 *
 * Shapes      [C, T] -> [C, T], T at most max_len.
 * Parameters  weight [max_len, C], as that of torch.nn.Embedding(max_len, C); normal with deviation 0.02 (GPT-2's).
 * Source      Gehring et al., "Convolutional Sequence to Sequence Learning", 2017; Radford et al. 2019.
 */
#include "nn/layer.h"

#include <math.h>

static const nn_layer_option options[] = {
    { "max_len", NN_OPTION_INT, NAN, 1, 1 << 24, "positions there are vectors for", NULL },
    { .name = NULL },
};

static bl_status too_long(int64_t n, int64_t max_len, bl_error *err)
{
    return bl_fail(err, BL_ESHAPE, "max_len=%lld positions, but the input has %lld", (long long)max_len, (long long)n);
}

static bl_status build(nn_layer *l, bl_error *err)
{
    const int64_t max_len = nn_layer_int(l, "max_len");
    if (nn_expect_sequence(l, 0, err) != BL_OK)
        return err->code;
    l->out_shape = l->in_shape[0];
    if (l->in_shape[0].dim[1] > max_len)
        return too_long(l->in_shape[0].dim[1], max_len, err);
    const nn_shape shape = { 2, { max_len, l->in_shape[0].dim[0] } };
    return nn_layer_param(l, "weight", shape, NN_INIT_NORMAL, 0.02, err) < 0 ? err->code : BL_OK;
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    if (t->err.code)
        return NULL;
    const int64_t C = in[0]->shape.dim[1], T = in[0]->shape.dim[2], max_len = nn_layer_int(l, "max_len");
    if (T > max_len) {
        too_long(T, max_len, &t->err);
        return NULL;
    }
    nn_node *rows = nn_permute(t, nn_slice(t, nn_layer_node(l, t, 0), 0, 0, T), (const int[]){ 1, 0 });
    return nn_add(t, in[0], nn_reshape(t, rows, (nn_shape){ 3, { 1, C, T } }));
}

const nn_layer_type nn_layer_position_embedding = {
    .name = "position_embedding",
    .summary = "adds a learned vector for each position",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = build,
    .forward = forward,
};
