/* nn/layers/affine.c - a learned factor and, with bias, a learned shift per channel.
 *
 * Shapes   any -> the same.
 * Parameters  weight [C], bias [C].
 * Source   layer scale: Touvron et al., 2021.
 */
#include "nn/layer.h"

static const nn_layer_option options[] = {
    { "init", NN_OPTION_REAL, 1, -1e6, 1e6, "the factor at the start; a small one holds a branch back", NULL },
    { "bias", NN_OPTION_BOOL, 1, 0, 1, "add a shift", NULL },
    { .name = NULL },
};

static bl_status build(nn_layer *l, bl_error *err)
{
    const nn_shape per_channel = { 1, { l->in_shape[0].dim[0] } };
    l->out_shape = l->in_shape[0];
    if (nn_layer_param(l, "weight", per_channel, NN_INIT_CONSTANT, nn_layer_get(l, "init"), err) < 0)
        return err->code;
    if (nn_layer_get(l, "bias") != 0 && nn_layer_param(l, "bias", per_channel, NN_INIT_ZERO, 0, err) < 0)
        return err->code;
    return BL_OK;
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    nn_shape column = { l->in_shape[0].rank, { l->in_shape[0].dim[0], 1, 1 } };
    nn_node *y = nn_mul(t, in[0], nn_reshape(t, nn_layer_node(l, t, 0), column));
    return l->n_params > 1 ? nn_add(t, y, nn_reshape(t, nn_layer_node(l, t, 1), column)) : y;
}

const nn_layer_type nn_layer_affine = {
    .name = "affine",
    .summary = "a learned factor and shift per channel",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = build,
    .forward = forward,
};
