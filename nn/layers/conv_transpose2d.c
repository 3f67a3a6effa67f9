/* nn/layers/conv_transpose2d.c - transposed convolution over height and width.
 *
 * Shapes      [in_channels, H, W] -> [out_channels, H', W'], H' = (H - 1) stride - 2 padding + dilation (kernel_size - 1) +
 *             output_padding + 1 and W' alike, as torch.nn.ConvTranspose2d; padding=same and padding=causal as
 *             conv_transpose1d's, in each direction.
 * Parameters  weight [in_channels, out_channels/groups, kernel_height, kernel_width], bias [out_channels]; init as
 *             torch.nn.ConvTranspose2d. With weight_norm: weight_g [in_channels, 1, 1, 1] and weight_v instead of weight.
 * Options     kernel_size, stride, padding, output_padding and dilation hold for both directions; NAME_height and NAME_width
 *             for one. An output_padding for one direction alone: output_padding_height=1.
 */
#include "nn/conv_layer.h"

static const nn_layer_option options[] = {
    NN_CONV_OPTION_OUT,
    { "kernel_size", NN_OPTION_INT, NAN, 1, 65536, "taps", NULL },
    NN_CONV_OPTION_PAIR("kernel", 65536, "taps"),
    { "stride", NN_OPTION_INT, 1, 1, 65536, "outputs per input", NULL },
    NN_CONV_OPTION_PAIR("stride", 65536, "stride"),
    { "padding", NN_OPTION_INT, 0, 0, 1 << 20, "pixels cut off on both sides", NN_PADDING_CHOICES },
    { "padding_height", NN_OPTION_INT, NN_PADDING_COMMON, 0, 1 << 20, "pixels cut off vertically", "same|causal|padding" },
    { "padding_width", NN_OPTION_INT, NN_PADDING_COMMON, 0, 1 << 20, "pixels cut off horizontally", "same|causal|padding" },
    { "output_padding", NN_OPTION_INT, 0, 0, 65536, "pixels added behind", NULL },
    NN_CONV_OPTION_PAIR("output_padding", 65536, "pixels added"),
    { "dilation", NN_OPTION_INT, 1, 1, 65536, "pixels from one tap to the next", NULL },
    NN_CONV_OPTION_PAIR("dilation", 65536, "dilation"),
    NN_CONV_OPTIONS_END,
};

static bl_status build(nn_layer *l, bl_error *err)
{
    return nn_conv_layer_build(l, 2, 1, err);
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    return nn_conv_layer_forward(l, t, in[0], 2, 1);
}

const nn_layer_type nn_layer_conv_transpose2d = {
    .name = "conv_transpose2d",
    .summary = "transposed convolution over height and width",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = build,
    .forward = forward,
};
