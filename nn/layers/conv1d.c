/* nn/layers/conv1d.c - convolution over time.
 *
 * Shapes      [in_channels, T] -> [out_channels, T'], T' as torch.nn.Conv1d; padding=same gives ceil(T / stride) with
 *             the odd zero behind (TensorFlow's rule), padding=causal puts dilation (kernel_size - 1) zeros in front, so
 *             that no output sees a later input.
 * Parameters  weight [out_channels, in_channels/groups, kernel_size], bias [out_channels]; init as torch.nn.Conv1d.
 *             With weight_norm: weight_g [out_channels, 1, 1] and weight_v instead of weight.
 * Source      weight norm: Salimans & Kingma 2016.
 */
#include "nn/layer.h"

#include <math.h>

static const nn_layer_option options[] = {
    { "out_channels", NN_OPTION_INT, NAN, 1, 65536, "channels of the output", NULL },
    { "kernel_size", NN_OPTION_INT, NAN, 1, 65536, "taps", NULL },
    { "stride", NN_OPTION_INT, 1, 1, 65536, "samples from one output to the next", NULL },
    { "padding", NN_OPTION_INT, 0, 0, 1 << 20, "zeros on both sides", NN_PADDING_CHOICES },
    { "dilation", NN_OPTION_INT, 1, 1, 65536, "samples from one tap to the next", NULL },
    { "groups", NN_OPTION_INT, 1, 1, 65536, "groups of channels that do not mix", NULL },
    { "bias", NN_OPTION_BOOL, 1, 0, 1, "add a bias", NULL },
    { "weight_norm", NN_OPTION_BOOL, 0, 0, 1, "learn length and direction of the weights apart", NULL },
    { .name = NULL },
};

static nn_conv_spec spec_of(const nn_layer *l)
{
    return (nn_conv_spec){
        .in_channels = l->in_shape[0].dim[0],
        .out_channels = nn_layer_int(l, "out_channels"),
        .kernel_size = nn_layer_int(l, "kernel_size"),
        .stride = nn_layer_int(l, "stride"),
        .padding = nn_layer_int(l, "padding"),
        .dilation = nn_layer_int(l, "dilation"),
        .groups = nn_layer_int(l, "groups"),
        .bias = nn_layer_get(l, "bias") != 0,
        .weight_norm = nn_layer_get(l, "weight_norm") != 0,
    };
}

static bl_status build(nn_layer *l, bl_error *err)
{
    if (nn_expect_sequence(l, 0, err) != BL_OK)
        return err->code;
    const nn_conv_spec spec = spec_of(l);
    const int64_t length = nn_conv_length(&spec, l->in_shape[0].dim[1]);
    l->out_shape = (nn_shape){ 2, { spec.out_channels, length } };
    if (length > 0)
        l->macs = (double)length * (double)spec.out_channels * (double)(spec.in_channels / spec.groups)
                  * (double)spec.kernel_size;
    return nn_conv_params(l, "", &spec, err) < 0 ? err->code : BL_OK;
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    const nn_conv_spec spec = spec_of(l);
    return nn_conv_run(l, t, 0, &spec, in[0]);
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
