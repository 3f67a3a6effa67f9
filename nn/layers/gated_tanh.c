/* nn/layers/gated_tanh.c - WaveNet's gate: tanh of the first half of the channels times sigmoid of the second.
 *
 * Shapes   [2C, T] -> [C, T], or [2C] -> [C].
 * Source   van den Oord et al., "WaveNet: A Generative Model for Raw Audio", 2016, equation 2.
 */
#include "nn/layer.h"

static bl_status build(nn_layer *l, bl_error *err)
{
    l->out_shape = l->in_shape[0];
    if (l->out_shape.rank > 2 || l->out_shape.dim[0] % 2)
        return bl_fail(err, BL_ESHAPE, "needs an even number of channels, got %lld", (long long)l->out_shape.dim[0]);
    l->out_shape.dim[0] /= 2;
    return BL_OK;
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    nn_node *y = nn_gated_tanh(t, nn_as_sequence(t, in[0]));
    if (!y || l->in_shape[0].rank == 2)
        return y;
    return nn_reshape(t, y, (nn_shape){ 2, { y->shape.dim[0], y->shape.dim[1] } });
}

const nn_layer_type nn_layer_gated_tanh = {
    .name = "gated_tanh",
    .summary = "tanh(first half of the channels) * sigmoid(second half)",
    .min_in = 1,
    .max_in = 1,
    .build = build,
    .forward = forward,
};
