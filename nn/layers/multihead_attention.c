/* nn/layers/multihead_attention.c - attention of several heads, within one sequence or from one to another.
 *
 *     y = out_proj(softmax(q k^T / sqrt(d)) v)   per head,  d = C / num_heads,  q, k, v projections of the inputs
 *
 * Shapes      [C, T] -> [C, T]                               self-attention
 *             [C, Tq], [Ck, Tk] -> [C, Tq]                   from=query,memory: key and value are the memory
 *             [C, Tq], [Ck, Tk], [Cv, Tk] -> [C, Tq]         from=query,key,value
 *             One more input [1] at the end: how many of the Tk positions an example has; the others are padding that
 *             nothing sees (torch's key_padding_mask).
 * Parameters  as torch.nn.MultiheadAttention: in_proj_weight (or q_proj_weight, k_proj_weight, v_proj_weight), in_proj_bias,
 *             out_proj/weight, out_proj/bias; nn/attention_layer.h has shapes and init.
 * Options     causal: position i sees positions j <= i. relative=R: adds q . relative[distance] to the scores, a learned
 *             vector per head and distance j - i, those beyond R with R's. nn/attention.h has the formula.
 * Source      Vaswani et al. 2017; Shaw et al. 2018 and Huang et al. 2018 (relative positions).
 */
#include "nn/attention_layer.h"

#include <math.h>

static const nn_layer_option options[] = {
    { "num_heads", NN_OPTION_INT, NAN, 1, 1024, "heads; they share the channels", NULL },
    { "dropout", NN_OPTION_REAL, 0, 0, 0.999, "of the weights, in training", NULL },
    { "bias", NN_OPTION_BOOL, 1, 0, 1, "add biases", NULL },
    { "causal", NN_OPTION_BOOL, 0, 0, 1, "no position sees a later one", NULL },
    { "relative", NN_OPTION_INT, 0, 0, 65536, "learn a vector per distance up to this; 0: none", NULL },
    { .name = NULL },
};

/* Inputs that are sequences: all, or all but the lengths at the end. */
static int n_sequences(const nn_layer *l)
{
    return l->n_in - (l->n_in > 1 && l->in_shape[l->n_in - 1].rank == 1);
}

static nn_mha_spec spec_of(const nn_layer *l)
{
    const int n = n_sequences(l);
    return (nn_mha_spec){ .embed_dim = l->in_shape[0].dim[0], .kdim = l->in_shape[n > 1 ? 1 : 0].dim[0],
                          .vdim = l->in_shape[n - 1].dim[0], .num_heads = nn_layer_int(l, "num_heads"),
                          .relative = nn_layer_int(l, "relative"), .bias = nn_layer_get(l, "bias") != 0,
                          .causal = nn_layer_get(l, "causal") != 0, .dropout = nn_layer_get(l, "dropout") };
}

static bl_status build(nn_layer *l, bl_error *err)
{
    const int n = n_sequences(l);
    char text[96];
    if (n > 3)
        return bl_fail(err, BL_EARG, "takes 1 to 3 sequences, got %d", n);
    for (int i = 0; i < n; i++)
        if (nn_expect_sequence(l, i, err) != BL_OK)
            return err->code;
    if (n < l->n_in && l->in_shape[n].dim[0] != 1)
        return bl_fail(err, BL_ESHAPE, "expects the lengths of the examples as [1], got %s", nn_shape_str(&l->in_shape[n], text));
    if (n == 3 && l->in_shape[1].dim[1] != l->in_shape[2].dim[1])
        return bl_fail(err, BL_ESHAPE, "key and value differ in length: %lld and %lld", (long long)l->in_shape[1].dim[1],
                       (long long)l->in_shape[2].dim[1]);
    const nn_mha_spec spec = spec_of(l);
    l->out_shape = l->in_shape[0];
    l->macs = nn_mha_macs(&spec, l->in_shape[0].dim[1], l->in_shape[n - 1].dim[1]);
    return nn_mha_params(l, "", &spec, err) < 0 ? err->code : BL_OK;
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    const int n = n_sequences(l);
    const nn_mha_spec spec = spec_of(l);
    return nn_mha_run(l, t, 0, &spec, in[0], in[n > 1 ? 1 : 0], in[n - 1], n < l->n_in ? in[n] : NULL);
}

const nn_layer_type nn_layer_multihead_attention = {
    .name = "multihead_attention",
    .summary = "attention within a sequence or to another",
    .min_in = 1,
    .max_in = 4,
    .options = options,
    .build = build,
    .forward = forward,
};
