/* nn/layers/conv2d.c - convolution over height and width.
 *
 * Shapes      [in_channels, H, W] -> [out_channels, H', W'], both as torch.nn.Conv2d; padding=same and padding=causal as
 *             conv1d's, in each direction. The width may be free: a spectrogram [1, bins, T] of any length.
 * Parameters  weight [out_channels, in_channels/groups, kernel_height, kernel_width], bias [out_channels]; init as
 *             torch.nn.Conv2d. With weight_norm: weight_g [out_channels, 1, 1, 1] and weight_v instead of weight.
 * Options     kernel_size, stride, padding and dilation hold for both directions; NAME_height and NAME_width for one.
 * Source      LeCun et al. 1998.
 */
#include "nn/conv_layer.h"

static const nn_layer_option options[] = {
    NN_CONV_OPTION_OUT,
    { "kernel_size", NN_OPTION_INT, NAN, 1, 65536, "taps", NULL },
    NN_CONV_OPTION_PAIR("kernel", 65536, "taps"),
    { "stride", NN_OPTION_INT, 1, 1, 65536, "pixels from one output to the next", NULL },
    NN_CONV_OPTION_PAIR("stride", 65536, "stride"),
    { "padding", NN_OPTION_INT, 0, 0, 1 << 20, "zeros on both sides", NN_PADDING_CHOICES },
    { "padding_height", NN_OPTION_INT, NN_PADDING_COMMON, 0, 1 << 20, "zeros vertically", "same|causal|padding" },
    { "padding_width", NN_OPTION_INT, NN_PADDING_COMMON, 0, 1 << 20, "zeros horizontally", "same|causal|padding" },
    { "dilation", NN_OPTION_INT, 1, 1, 65536, "pixels from one tap to the next", NULL },
    NN_CONV_OPTION_PAIR("dilation", 65536, "dilation"),
    NN_CONV_OPTIONS_END,
};

static bl_status build(nn_layer *l, bl_error *err)
{
    return nn_conv_layer_build(l, 2, 0, err);
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    return nn_conv_layer_forward(l, t, in[0], 2, 0);
}

const nn_layer_type nn_layer_conv2d = {
    .name = "conv2d",
    .summary = "convolution over height and width",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = build,
    .forward = forward,
};
