/* nn/layers/conv_transpose1d.c - transposed convolution over time ("fractional stride").
 *
 * Shapes      [in_channels, T] -> [out_channels, (T - 1) stride - 2 padding + dilation (kernel_size - 1) +
 *             output_padding + 1], as torch.nn.ConvTranspose1d; padding=same gives T stride and is the exact adjoint of
 *             conv1d padding=same on that length (TensorFlow's rule).
 * Parameters  weight [in_channels, out_channels/groups, kernel_size], bias [out_channels]; init as
 *             torch.nn.ConvTranspose1d (uniform within 1/sqrt(out_channels/groups kernel_size)).
 */
#include "nn/layer.h"

#include <math.h>

static const nn_layer_option options[] = {
    { "out_channels", NN_OPTION_INT, NAN, 1, 65536, "channels of the output", NULL },
    { "kernel_size", NN_OPTION_INT, NAN, 1, 65536, "taps", NULL },
    { "stride", NN_OPTION_INT, 1, 1, 65536, "outputs per input", NULL },
    { "padding", NN_OPTION_INT, 0, 0, 1 << 20, "samples cut off on both sides", "same" },
    { "output_padding", NN_OPTION_INT, 0, 0, 65536, "samples added behind", NULL },
    { "dilation", NN_OPTION_INT, 1, 1, 65536, "samples from one tap to the next", NULL },
    { "groups", NN_OPTION_INT, 1, 1, 65536, "groups of channels that do not mix", NULL },
    { "bias", NN_OPTION_BOOL, 1, 0, 1, "add a bias", NULL },
    { "weight_norm", NN_OPTION_BOOL, 0, 0, 1, "learn length and direction of the weights apart", NULL },
    { .name = NULL },
};

/* Samples cut off in front and length of the output for T inputs. */
static void extent(const nn_layer *l, int64_t n, int64_t *cut, int64_t *length)
{
    const int64_t stride = nn_layer_int(l, "stride"), padding = nn_layer_int(l, "padding");
    const int64_t reach = nn_layer_int(l, "dilation") * (nn_layer_int(l, "kernel_size") - 1) + 1;
    if (padding == NN_PADDING_SAME) {
        *cut = reach > stride ? (reach - stride) / 2 : 0;
        *length = n * stride;
    } else {
        *cut = padding;
        *length = (n - 1) * stride - 2 * padding + reach + nn_layer_int(l, "output_padding");
    }
    if (n < 0)
        *length = -1;
    else if (*length < 0)
        *length = 0;
}

static bl_status build(nn_layer *l, bl_error *err)
{
    const int64_t out = nn_layer_int(l, "out_channels"), kernel = nn_layer_int(l, "kernel_size");
    const int64_t groups = nn_layer_int(l, "groups");
    int64_t cut, length;
    if (nn_expect_sequence(l, 0, err) != BL_OK)
        return err->code;
    const int64_t in = l->in_shape[0].dim[0];
    if (in % groups || out % groups)
        return bl_fail(err, BL_EARG, "groups=%lld divides not both the %lld input and %lld output channels",
                       (long long)groups, (long long)in, (long long)out);
    if (nn_layer_get(l, "output_padding") >= nn_layer_get(l, "stride") && nn_layer_get(l, "output_padding") > 0)
        return bl_fail(err, BL_EARG, "output_padding=%g must be smaller than stride=%g", nn_layer_get(l, "output_padding"),
                       nn_layer_get(l, "stride"));
    extent(l, l->in_shape[0].dim[1], &cut, &length);
    l->out_shape = (nn_shape){ 2, { out, length } };
    if (length > 0)
        l->macs = (double)l->in_shape[0].dim[1] * (double)in * (double)(out / groups) * (double)kernel;
    const double bound = nn_kaiming_bound(out / groups * kernel);
    const nn_shape weight = { 3, { in, out / groups, kernel } };
    if (nn_layer_get(l, "weight_norm") != 0) {
        const double norm = bound * sqrt((double)(out / groups * kernel) / 3);
        if (nn_layer_param(l, "weight_g", (nn_shape){ 3, { in, 1, 1 } }, NN_INIT_CONSTANT, norm, err) < 0
            || nn_layer_param(l, "weight_v", weight, NN_INIT_UNIFORM, bound, err) < 0)
            return err->code;
    } else if (nn_layer_param(l, "weight", weight, NN_INIT_UNIFORM, bound, err) < 0) {
        return err->code;
    }
    if (nn_layer_get(l, "bias") != 0
        && nn_layer_param(l, "bias", (nn_shape){ 1, { out } }, NN_INIT_UNIFORM, bound, err) < 0)
        return err->code;
    return BL_OK;
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    const int normed = nn_layer_get(l, "weight_norm") != 0;
    int64_t cut, length;
    nn_node *weight = nn_layer_node(l, t, 0);
    if (normed)
        weight = nn_weight_norm(t, weight, nn_layer_node(l, t, 1));
    nn_node *bias = nn_layer_get(l, "bias") != 0 ? nn_layer_node(l, t, 1 + normed) : NULL;
    if (t->err.code)
        return NULL;
    extent(l, in[0]->shape.dim[2], &cut, &length);
    const int64_t stride = nn_layer_int(l, "stride"), dilation = nn_layer_int(l, "dilation");
    const int64_t full = (in[0]->shape.dim[2] - 1) * stride + dilation * (nn_layer_int(l, "kernel_size") - 1) + 1;
    const int64_t behind = full - cut - length; /* may be negative: zeros behind */
    return nn_conv_transpose1d(t, in[0], weight, bias, (nn_conv1d_opt){ .stride = (int)stride, .dilation = (int)dilation,
                               .groups = (int)nn_layer_int(l, "groups"), .pad_left = (int)cut,
                               .pad_right = (int)(behind > 0 ? behind : 0), .length = length });
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
