/* nn/layers/embedding.c - a learned vector for each whole number (an instrument, a genre, a pitch).
 *
 * Shapes      index [1] -> [embedding_dim];  [1, T] -> [embedding_dim, T];  [N] -> [N, embedding_dim].
 *             Values are whole numbers 0 .. num_embeddings - 1.
 * Parameters  weight [num_embeddings, embedding_dim], normal(0, 1) as torch.nn.Embedding.
 * Options     padding_idx: this row starts at 0 and gets no gradient.
 */
#include "nn/layer.h"

#include <math.h>

static const nn_layer_option options[] = {
    { "num_embeddings", NN_OPTION_INT, NAN, 1, 1 << 24, "how many numbers there are", NULL },
    { "embedding_dim", NN_OPTION_INT, NAN, 1, 65536, "length of each vector", NULL },
    { "padding_idx", NN_OPTION_INT, -1, 0, 1 << 24, "a number whose vector stays 0", "none" },
    { .name = NULL },
};

static bl_status build(nn_layer *l, bl_error *err)
{
    const nn_shape *in = &l->in_shape[0];
    const int64_t rows = nn_layer_int(l, "num_embeddings"), width = nn_layer_int(l, "embedding_dim");
    char text[96];
    if (in->rank == 2 && in->dim[0] == 1)
        l->out_shape = (nn_shape){ 2, { width, in->dim[1] } };
    else if (in->rank == 1 && in->dim[0] == 1)
        l->out_shape = (nn_shape){ 1, { width } };
    else if (in->rank == 1)
        l->out_shape = (nn_shape){ 2, { in->dim[0], width } };
    else
        return bl_fail(err, BL_ESHAPE, "expects indices of shape [1], [N] or [1, T], got %s", nn_shape_str(in, text));
    if (nn_layer_int(l, "padding_idx") >= rows)
        return bl_fail(err, BL_EARG, "padding_idx=%lld: there are only %lld numbers", (long long)nn_layer_int(l, "padding_idx"),
                       (long long)rows);
    if (nn_layer_param(l, "weight", (nn_shape){ 2, { rows, width } }, NN_INIT_NORMAL, 1, err) < 0)
        return err->code;
    l->params->param[l->param[0]].zero_row = nn_layer_int(l, "padding_idx");
    return BL_OK;
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    nn_node *table = nn_layer_node(l, t, 0);
    if (t->err.code)
        return NULL;
    const int64_t n_batch = in[0]->shape.dim[0], padding_idx = nn_layer_int(l, "padding_idx");
    if (l->in_shape[0].rank == 2) {
        nn_node *index = nn_reshape(t, in[0], (nn_shape){ 2, { n_batch, in[0]->shape.dim[2] } });
        return nn_permute(t, nn_embedding(t, table, index, padding_idx), (const int[]){ 0, 2, 1 });
    }
    if (l->in_shape[0].dim[0] == 1)
        return nn_embedding(t, table, nn_reshape(t, in[0], (nn_shape){ 1, { n_batch } }), padding_idx);
    return nn_embedding(t, table, in[0], padding_idx);
}

const nn_layer_type nn_layer_embedding = {
    .name = "embedding",
    .summary = "a learned vector for each whole number",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = build,
    .forward = forward,
};
