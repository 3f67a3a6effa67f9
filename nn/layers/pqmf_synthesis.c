/* nn/layers/pqmf_synthesis.c - a wave from the bands that pqmf_analysis makes, or a generator.
 *
 * Shapes   [C n_bands, T] -> [C, T n_bands]; no parameters. Options as pqmf_analysis.
 * Source   Nguyen 1994; Yang et al., Multi-band MelGAN, 2020.
 */
#include "nn/layer.h"
#include "nn/pqmf.h"

static const nn_layer_option options[] = {
    { "n_bands", NN_OPTION_INT, 4, 2, 1024, "bands", NULL },
    { "taps", NN_OPTION_INT, 0, 0, 16384, "order of the filters, even; 0: 8 n_bands", NULL },
    { "cutoff", NN_OPTION_REAL, 0, 0, 1, "of the prototype, share of half the sample rate; 0: the best", NULL },
    { "beta", NN_OPTION_REAL, 9, 0, 99, "of the Kaiser window", NULL },
    { .name = NULL },
};

static nn_pqmf settings(const nn_layer *l)
{
    return (nn_pqmf){ (int)nn_layer_int(l, "n_bands"), (int)nn_layer_int(l, "taps"), nn_layer_get(l, "cutoff"), nn_layer_get(l, "beta") };
}

static bl_status build(nn_layer *l, bl_error *err)
{
    const nn_pqmf p = settings(l);
    if (nn_expect_sequence(l, 0, err) != BL_OK || nn_pqmf_check(&p, err) != BL_OK)
        return err->code;
    const int64_t C = l->in_shape[0].dim[0], T = l->in_shape[0].dim[1];
    if (C % p.n_bands)
        return bl_fail(err, BL_ESHAPE, "%lld channels are no multiple of n_bands=%d", (long long)C, p.n_bands);
    l->out_shape = (nn_shape){ 2, { C / p.n_bands, T < 0 ? -1 : T * p.n_bands } };
    l->macs = T < 0 ? 0 : (double)C * (double)T * ((p.taps ? p.taps : 8 * p.n_bands) + 1);
    return BL_OK;
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    const nn_pqmf p = settings(l);
    const nn_shape *s = &in[0]->shape;
    const int64_t C = s->dim[1] / p.n_bands;
    nn_node *y = nn_pqmf_synthesis(&p, t, nn_reshape(t, in[0], (nn_shape){ 3, { s->dim[0] * C, p.n_bands, s->dim[2] } }));
    return nn_reshape(t, y, (nn_shape){ 3, { s->dim[0], C, s->dim[2] * p.n_bands } });
}

const nn_layer_type nn_layer_pqmf_synthesis = {
    .name = "pqmf_synthesis",
    .summary = "a wave from critically sampled bands",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = build,
    .forward = forward,
};
