/* nn/layers/film.c - feature-wise linear modulation: scale and shift each channel by what a condition says.
 *
 *     y = x (1 + scale) + shift,   (scale, shift) = weight * condition + bias
 *
 * Shapes      x [C, T]; condition [N] (the same at all times) or [N, T] -> [C, T].
 * Parameters  weight [2C, N, 1] (scale first), bias [2C]; init as a 1x1 convolution.
 * Source      Perez et al., "FiLM: Visual Reasoning with a General Conditioning Layer", 2018.
 */
#include "nn/layer.h"

static nn_conv_spec spec_of(const nn_layer *l)
{
    return (nn_conv_spec){ .in_channels = l->in_shape[1].dim[0], .out_channels = 2 * l->in_shape[0].dim[0],
                           .kernel_size = 1, .stride = 1, .dilation = 1, .groups = 1, .bias = 1 };
}

static bl_status build(nn_layer *l, bl_error *err)
{
    if (nn_expect_sequence(l, 0, err) != BL_OK)
        return err->code;
    const int64_t n = l->in_shape[0].dim[1];
    if (l->in_shape[1].rank == 2 && l->in_shape[1].dim[1] != n && l->in_shape[1].dim[1] != 1)
        return bl_fail(err, BL_ESHAPE, "input and condition differ in length: %lld and %lld", (long long)n,
                       (long long)l->in_shape[1].dim[1]);
    const nn_conv_spec spec = spec_of(l);
    l->out_shape = l->in_shape[0];
    l->macs = (double)(spec.in_channels * spec.out_channels) * (l->in_shape[1].rank == 2 && n > 0 ? (double)n : 1);
    return nn_conv_params(l, "", &spec, err) < 0 ? err->code : BL_OK;
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    const nn_conv_spec spec = spec_of(l);
    const int64_t channels = l->in_shape[0].dim[0];
    nn_node *both = nn_conv_run(l, t, 0, &spec, nn_as_sequence(t, in[1]));
    nn_node *scale = nn_affine(t, nn_slice(t, both, 1, 0, channels), 1, 1);
    return nn_add(t, nn_mul(t, in[0], scale), nn_slice(t, both, 1, channels, 2 * channels));
}

const nn_layer_type nn_layer_film = {
    .name = "film",
    .summary = "scales and shifts each channel by a condition",
    .min_in = 2,
    .max_in = 2,
    .build = build,
    .forward = forward,
};
