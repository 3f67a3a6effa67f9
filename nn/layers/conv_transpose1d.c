/* nn/layers/conv_transpose1d.c - transposed convolution over time ("fractional stride").
 *
 * Shapes      [in_channels, T] -> [out_channels, (T - 1) stride - 2 padding + dilation (kernel_size - 1) +
 *             output_padding + 1], as torch.nn.ConvTranspose1d; padding=same gives T stride and is the exact adjoint of
 *             conv1d padding=same on that length (TensorFlow's rule); padding=causal gives T stride and cuts only behind, so
 *             that no output sees a later input.
 * Parameters  weight [in_channels, out_channels/groups, kernel_size], bias [out_channels]; init as
 *             torch.nn.ConvTranspose1d (uniform within 1/sqrt(out_channels/groups kernel_size)). With weight_norm: weight_g
 *             [in_channels, 1, 1] and weight_v instead of weight.
 */
#include "nn/conv_layer.h"

static const nn_layer_option options[] = {
    NN_CONV_OPTION_OUT,
    { "kernel_size", NN_OPTION_INT, NAN, 1, 65536, "taps", NULL },
    { "stride", NN_OPTION_INT, 1, 1, 65536, "outputs per input", NULL },
    { "padding", NN_OPTION_INT, 0, 0, 1 << 20, "samples cut off on both sides", NN_PADDING_CHOICES },
    { "output_padding", NN_OPTION_INT, 0, 0, 65536, "samples added behind", NULL },
    { "dilation", NN_OPTION_INT, 1, 1, 65536, "samples from one tap to the next", NULL },
    NN_CONV_OPTIONS_END,
};

static bl_status build(nn_layer *l, bl_error *err)
{
    return nn_conv_layer_build(l, 1, 1, err);
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    return nn_conv_layer_forward(l, t, in[0], 1, 1);
}

const nn_layer_type nn_layer_conv_transpose1d = {
    .name = "conv_transpose1d",
    .summary = "transposed convolution: up-samples by its stride",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = build,
    .forward = forward,
};
