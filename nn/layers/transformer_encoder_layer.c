/* nn/layers/transformer_encoder_layer.c - self-attention and a feed-forward net, each added to its input and normalised.
 *
 *     x = norm1(x + dropout(self_attn(x)))                    norm_first:   x = x + dropout(self_attn(norm1(x)))
 *     y = norm2(x + dropout(linear2(dropout(a(linear1(x))))))               y = x + dropout(linear2(dropout(a(linear1(norm2(x))))))
 *
 * Shapes      [C, T], optionally the length of each example [1] -> [C, T]. Lengths as in multihead_attention.
 * Parameters  as torch.nn.TransformerEncoderLayer: self_attn/..., linear1/weight [dim_feedforward, C], linear1/bias,
 *             linear2/weight [C, dim_feedforward], linear2/bias, norm1/weight, norm1/bias, norm2/weight, norm2/bias.
 * Options     torch's, with its defaults; causal and relative as in multihead_attention. A stack is `repeat=6`; after
 *             norm_first layers torch's TransformerEncoder is given a norm, here a line layer_norm.
 * Source      Vaswani et al. 2017; norm_first: Xiong et al., arXiv:2002.04745, 2020.
 */
#include "nn/attention_layer.h"
#include "nn/norm.h"

#include <math.h>

static const nn_layer_option options[] = {
    { "nhead", NN_OPTION_INT, NAN, 1, 1024, "heads; they share the channels", NULL },
    { "dim_feedforward", NN_OPTION_INT, 2048, 1, 65536, "width of the feed-forward net", NULL },
    { "dropout", NN_OPTION_REAL, 0.1, 0, 0.999, "in training", NULL },
    { "activation", NN_OPTION_CHOICE, 0, 0, 1, "of the feed-forward net", "relu|gelu" },
    { "layer_norm_eps", NN_OPTION_REAL, 1e-5, 1e-12, 1, "added to the variance", NULL },
    { "norm_first", NN_OPTION_BOOL, 0, 0, 1, "normalise before, not after", NULL },
    { "causal", NN_OPTION_BOOL, 0, 0, 1, "no position sees a later one", NULL },
    { "relative", NN_OPTION_INT, 0, 0, 65536, "learn a vector per distance up to this; 0: none", NULL },
    { .name = NULL },
};

/* Parameters after those of self_attn. */
enum { LINEAR1, LINEAR1_BIAS, LINEAR2, LINEAR2_BIAS, NORM1, NORM1_BIAS, NORM2, NORM2_BIAS };

static nn_mha_spec spec_of(const nn_layer *l)
{
    const int64_t C = l->in_shape[0].dim[0];
    return (nn_mha_spec){ .embed_dim = C, .kdim = C, .vdim = C, .num_heads = nn_layer_int(l, "nhead"), .bias = 1,
                          .relative = nn_layer_int(l, "relative"), .causal = nn_layer_get(l, "causal") != 0,
                          .dropout = nn_layer_get(l, "dropout") };
}

static bl_status build(nn_layer *l, bl_error *err)
{
    char text[96];
    if (nn_expect_sequence(l, 0, err) != BL_OK)
        return err->code;
    if (l->n_in > 1 && (l->in_shape[1].rank != 1 || l->in_shape[1].dim[0] != 1))
        return bl_fail(err, BL_ESHAPE, "expects the lengths of the examples as [1], got %s", nn_shape_str(&l->in_shape[1], text));
    const nn_mha_spec spec = spec_of(l);
    const int64_t C = spec.embed_dim, F = nn_layer_int(l, "dim_feedforward"), T = l->in_shape[0].dim[1];
    const struct { const char *name; nn_shape shape; nn_init init; double scale; } params[] = {
        { "linear1/weight", { 2, { F, C } }, NN_INIT_UNIFORM, nn_kaiming_bound(C) },
        { "linear1/bias", { 1, { F } }, NN_INIT_UNIFORM, nn_kaiming_bound(C) },
        { "linear2/weight", { 2, { C, F } }, NN_INIT_UNIFORM, nn_kaiming_bound(F) },
        { "linear2/bias", { 1, { C } }, NN_INIT_UNIFORM, nn_kaiming_bound(F) },
        { "norm1/weight", { 1, { C } }, NN_INIT_ONE, 0 }, { "norm1/bias", { 1, { C } }, NN_INIT_ZERO, 0 },
        { "norm2/weight", { 1, { C } }, NN_INIT_ONE, 0 }, { "norm2/bias", { 1, { C } }, NN_INIT_ZERO, 0 },
    };
    if (nn_mha_params(l, "self_attn/", &spec, err) < 0)
        return err->code;
    for (size_t i = 0; i < sizeof params / sizeof *params; i++)
        if (nn_layer_param(l, params[i].name, params[i].shape, params[i].init, params[i].scale, err) < 0)
            return err->code;
    l->out_shape = l->in_shape[0];
    l->macs = nn_mha_macs(&spec, T, T) + (T > 0 ? 2 * (double)C * (double)F * (double)T : 0);
    return BL_OK;
}

/* The node of a slot, [rows, columns] as the weight [rows, columns, 1] of a convolution, [C] as [C, 1]. */
static nn_node *column(nn_layer *l, nn_tape *t, int slot)
{
    nn_node *x = nn_layer_node(l, t, slot);
    if (t->err.code)
        return NULL;
    nn_shape s = x->shape;
    s.dim[s.rank++] = 1;
    return nn_reshape(t, x, s);
}

static nn_node *layer_norm(nn_layer *l, nn_tape *t, int slot, nn_node *x)
{
    return nn_norm(t, x, NULL, column(l, t, slot), column(l, t, slot + 1), 2u, nn_layer_get(l, "layer_norm_eps"));
}

static nn_node *attend(nn_layer *l, nn_tape *t, nn_node *x, nn_node *lengths)
{
    const nn_mha_spec spec = spec_of(l);
    return nn_dropout(t, nn_mha_run(l, t, 0, &spec, x, x, x, lengths), spec.dropout);
}

static nn_node *feed_forward(nn_layer *l, nn_tape *t, int slot, nn_node *x)
{
    const double dropout = nn_layer_get(l, "dropout");
    const nn_conv1d_opt pointwise = { 0 };
    x = nn_conv1d(t, x, column(l, t, slot + LINEAR1), nn_layer_node(l, t, slot + LINEAR1_BIAS), pointwise);
    x = nn_dropout(t, nn_layer_get(l, "activation") != 0 ? nn_gelu(t, x) : nn_leaky_relu(t, x, 0), dropout);
    x = nn_conv1d(t, x, column(l, t, slot + LINEAR2), nn_layer_node(l, t, slot + LINEAR2_BIAS), pointwise);
    return nn_dropout(t, x, dropout);
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    const nn_mha_spec spec = spec_of(l);
    const int slot = nn_mha_slots(&spec), norm_first = nn_layer_get(l, "norm_first") != 0;
    nn_node *x = in[0], *lengths = l->n_in > 1 ? in[1] : NULL;
    if (norm_first) {
        x = nn_add(t, x, attend(l, t, layer_norm(l, t, slot + NORM1, x), lengths));
        return nn_add(t, x, feed_forward(l, t, slot, layer_norm(l, t, slot + NORM2, x)));
    }
    x = layer_norm(l, t, slot + NORM1, nn_add(t, x, attend(l, t, x, lengths)));
    return layer_norm(l, t, slot + NORM2, nn_add(t, x, feed_forward(l, t, slot, x)));
}

const nn_layer_type nn_layer_transformer_encoder_layer = {
    .name = "transformer_encoder_layer",
    .summary = "self-attention and a feed-forward net, with residuals and norms",
    .min_in = 1,
    .max_in = 2,
    .options = options,
    .build = build,
    .forward = forward,
};
