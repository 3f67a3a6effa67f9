/* nn/layers/layer_norm.c - the channels at each time to mean 0 and variance 1, then weight and bias per channel.
 *
 * Shapes      [C, T] -> [C, T], each time by itself; [C] -> [C]; [C, H, W] -> the same. torch.nn.LayerNorm(C) acts on the last
 *             dimension: here that is the channels, wherever they stand. normalized_dims=1, 2 or 3 takes the last one, two or
 *             three dimensions instead, as torch.nn.LayerNorm does; they must be fixed.
 * Parameters  weight, bias [C], or of the shape that is normalised.
 * Source      Ba, Kiros, Hinton, 2016.
 */
#include "nn/norm_layer.h"

static const nn_layer_option options[] = {
    { "eps", NN_OPTION_REAL, 1e-5, 1e-12, 1, "added to the variance", NULL },
    { "elementwise_affine", NN_OPTION_BOOL, 1, 0, 1, "learn weight and bias", NULL },
    { "normalized_dims", NN_OPTION_INT, -1, 1, 3, "how many of the last dimensions", "channels" },
    { .name = NULL },
};

static bl_status build(nn_layer *l, bl_error *err)
{
    const nn_shape *in = &l->in_shape[0];
    const int last = (int)nn_layer_get(l, "normalized_dims");
    nn_shape weight = { 1, { in->dim[0] } };
    l->out_shape = *in;
    if (last > in->rank)
        return bl_fail(err, BL_ESHAPE, "normalized_dims=%d: the input has %d", last, in->rank);
    if (last > 0) {
        weight.rank = last;
        for (int d = 0; d < last; d++)
            if ((weight.dim[d] = in->dim[in->rank - last + d]) < 0)
                return bl_fail(err, BL_ESHAPE, "normalized_dims=%d: the length must be fixed", last);
    }
    return nn_layer_get(l, "elementwise_affine") != 0 ? nn_norm_params(l, weight, err) : BL_OK;
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    const int last = (int)nn_layer_get(l, "normalized_dims"), rank = l->in_shape[0].rank;
    const nn_shape column = { rank, { l->in_shape[0].dim[0], 1, 1 } };
    nn_node *weight = l->n_params ? nn_layer_node(l, t, 0) : NULL, *bias = l->n_params ? nn_layer_node(l, t, 1) : NULL;
    unsigned over = 2u;
    if (last > 0)
        over = ((1u << last) - 1u) << (rank + 1 - last);
    else if (weight) {
        weight = nn_reshape(t, weight, column);
        bias = nn_reshape(t, bias, column);
    }
    return nn_norm(t, in[0], NULL, weight, bias, over, nn_layer_get(l, "eps"));
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
