/* nn/layers/layer_norm.c - the channels at each time to mean 0 and variance 1, then weight and bias per channel.
 *
 * Shapes      [C, T] -> [C, T], each time by itself; [C] -> [C]. torch.nn.LayerNorm(C) acts on the last dimension: here
 *             that is the channels, wherever they stand.
 * Parameters  weight, bias [C].
 * Source      Ba, Kiros, Hinton, 2016.
 */
#include "nn/layer.h"

static const nn_layer_option options[] = {
    { "eps", NN_OPTION_REAL, 1e-5, 1e-12, 1, "added to the variance", NULL },
    { "elementwise_affine", NN_OPTION_BOOL, 1, 0, 1, "learn weight and bias", NULL },
    { .name = NULL },
};

static bl_status build(nn_layer *l, bl_error *err)
{
    const nn_shape per_channel = { 1, { l->in_shape[0].dim[0] } };
    l->out_shape = l->in_shape[0];
    if (nn_layer_get(l, "elementwise_affine") != 0
        && (nn_layer_param(l, "weight", per_channel, NN_INIT_ONE, 0, err) < 0
            || nn_layer_param(l, "bias", per_channel, NN_INIT_ZERO, 0, err) < 0))
        return err->code;
    return BL_OK;
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    nn_shape column = { l->in_shape[0].rank, { l->in_shape[0].dim[0], 1, 1 } };
    nn_node *centred = nn_sub(t, in[0], nn_mean_dims(t, in[0], 2u));
    nn_node *var = nn_mean_dims(t, nn_square(t, centred), 2u);
    nn_node *y = nn_div(t, centred, nn_sqrt(t, nn_affine(t, var, 1, nn_layer_get(l, "eps"))));
    if (!l->n_params)
        return y;
    y = nn_mul(t, y, nn_reshape(t, nn_layer_node(l, t, 0), column));
    return nn_add(t, y, nn_reshape(t, nn_layer_node(l, t, 1), column));
}

const nn_layer_type nn_layer_layer_norm = {
    .name = "layer_norm",
    .summary = "normalises the channels at each time",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = build,
    .forward = forward,
};
