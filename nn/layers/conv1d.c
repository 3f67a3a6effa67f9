/* nn/layers/conv1d.c - convolution over time.
 *
 * Shapes      [in_channels, T] -> [out_channels, T'], T' as torch.nn.Conv1d; padding=same gives ceil(T / stride) with
 *             the odd zero behind (TensorFlow's rule), padding=causal puts dilation (kernel_size - 1) zeros in front, so
 *             that no output sees a later input.
 * Parameters  weight [out_channels, in_channels/groups, kernel_size], bias [out_channels]; init as torch.nn.Conv1d.
 *             With weight_norm: weight_g [out_channels, 1, 1] and weight_v instead of weight.
 * Source      weight norm: Salimans & Kingma 2016.
 */
#include "nn/conv_layer.h"

static const nn_layer_option options[] = {
    NN_CONV_OPTION_OUT,
    { "kernel_size", NN_OPTION_INT, NAN, 1, 65536, "taps", NULL },
    { "stride", NN_OPTION_INT, 1, 1, 65536, "samples from one output to the next", NULL },
    { "padding", NN_OPTION_INT, 0, 0, 1 << 20, "zeros on both sides", NN_PADDING_CHOICES },
    { "dilation", NN_OPTION_INT, 1, 1, 65536, "samples from one tap to the next", NULL },
    NN_CONV_OPTIONS_END,
};

static bl_status build(nn_layer *l, bl_error *err)
{
    return nn_conv_layer_build(l, 1, 0, err);
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    return nn_conv_layer_forward(l, t, in[0], 1, 0);
}

const nn_layer_type nn_layer_conv1d = {
    .name = "conv1d",
    .summary = "convolution over time",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = build,
    .forward = forward,
};
