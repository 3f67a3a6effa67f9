/* nn/layers/snake_beta.c - x + sin^2(alpha x) / beta, frequency and height learned apart, per channel.
 *
 * Shapes   any -> the same.
 * Parameters  alpha, beta [C].
 * Source   Lee et al., "BigVGAN: A Universal Neural Vocoder with Large-Scale Training", 2023.
 */
#include "nn/layer.h"

#include <math.h>

static const nn_layer_option options[] = {
    { "alpha", NN_OPTION_REAL, 1, 0.001, 1000, "alpha and beta at the start", NULL },
    { "alpha_logscale", NN_OPTION_BOOL, 0, 0, 1, "the parameters are logarithms, which keeps both positive", NULL },
    { .name = NULL },
};

static bl_status build(nn_layer *l, bl_error *err)
{
    const nn_shape per_channel = { 1, { l->in_shape[0].dim[0] } };
    const double start = nn_layer_get(l, "alpha_logscale") != 0 ? log(nn_layer_get(l, "alpha")) : nn_layer_get(l, "alpha");
    l->out_shape = l->in_shape[0];
    if (nn_layer_param(l, "alpha", per_channel, NN_INIT_CONSTANT, start, err) < 0
        || nn_layer_param(l, "beta", per_channel, NN_INIT_CONSTANT, start, err) < 0)
        return err->code;
    return BL_OK;
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    const nn_shape column = (nn_shape){ l->in_shape[0].rank, { l->in_shape[0].dim[0], 1, 1 } };
    nn_node *alpha = nn_reshape(t, nn_layer_node(l, t, 0), column), *beta = nn_reshape(t, nn_layer_node(l, t, 1), column);
    if (nn_layer_get(l, "alpha_logscale") != 0) {
        alpha = nn_exp(t, alpha);
        beta = nn_exp(t, beta);
    }
    return nn_snake(t, in[0], alpha, nn_affine(t, beta, 1, 1e-9));
}

const nn_layer_type nn_layer_snake_beta = {
    .name = "snake_beta",
    .summary = "x + sin^2(alpha x) / beta, both learned per channel",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = build,
    .forward = forward,
};
