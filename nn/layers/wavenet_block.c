/* nn/layers/wavenet_block.c - WaveNet's body: dilated convolutions, gated, with residual and skip paths.
 *
 *     for each layer k:   z = dilated_k(x) + condition_k(c)           [2 channels, T]
 *                         g = tanh(z[first half]) sigmoid(z[second])  [channels, T]
 *                         r, s = res_skip_k(g), a 1x1 convolution     [channels, T], [skip_channels, T]
 *                         x = residual_scale (x + r),   y = y + s
 *
 * dilation_k = dilation_base^(k mod layers), `stacks` times `layers` layers. The last layer has no r.
 *
 * Shapes      x [in_channels, T], optionally a condition [C] (the same at all times) or [C, T] -> [skip_channels, T].
 *             The receptive field is 1 + stacks (kernel_size - 1) sum of dilations.
 * Parameters  start/weight, start/bias: a 1x1 convolution to `channels`, only when in_channels differs;
 *             K/dilated/weight [2 channels, channels, kernel_size], K/dilated/bias,
 *             K/condition/weight [2 channels, C, 1] (with a condition),
 *             K/res_skip/weight [channels + skip_channels, channels, 1] (r first; last layer: skip only), K/res_skip/bias.
 *             With condition_scale=s above 1: smooth/weight [1, 1, 1, 2 s + 1], an average at the start.
 *
 * With condition_scale the condition comes at T / s: each value is repeated s times and smoothed by 2 s + 1 taps that all
 * channels share, zeros outside: Parallel WaveGAN's last up-sampling. It commutes with condition_k, which so runs at the
 * lower rate; the response of one value to s + 2 s samples, the taps summed, goes into the layers' op.
 *
 * A layer is one op (nn/ops/wavenet_layer.c): x, y and z pass through the caches and not through memory.
 *
 * Source      van den Oord et al., "WaveNet: A Generative Model for Raw Audio", 2016, section 2; residual_scale: Yamamoto et
 *             al., "Parallel WaveGAN", 2020.
 */
#include "nn/layer.h"

#include <math.h>
#include <stdio.h>

static const nn_layer_option options[] = {
    { "channels", NN_OPTION_INT, NAN, 1, 4096, "channels of the residual path", NULL },
    { "skip_channels", NN_OPTION_INT, NAN, 1, 4096, "channels of the output", NULL },
    { "kernel_size", NN_OPTION_INT, 2, 1, 64, "taps of the dilated convolutions", NULL },
    { "stacks", NN_OPTION_INT, 1, 1, 16, "times that the dilations start again", NULL },
    { "layers", NN_OPTION_INT, 10, 1, 40, "layers in a stack", NULL },
    { "dilation_base", NN_OPTION_INT, 2, 1, 8, "dilation of layer k is dilation_base^k", NULL },
    { "causal", NN_OPTION_BOOL, 1, 0, 1, "no output sees a later input; else centred", NULL },
    { "condition_scale", NN_OPTION_INT, 1, 1, 1024, "samples per value of the condition, smoothed when above 1", NULL },
    { "residual_scale", NN_OPTION_REAL, 1, 0.001, 1000, "of the residual path after each layer; 0.70710678 keeps its variance", NULL },
    { .name = NULL },
};

typedef struct block {
    int          n_layers, has_start, has_condition;
    nn_conv_spec start, dilated, condition, res_skip; /* dilation and last layer: see at_layer */
} block;

static block block_of(const nn_layer *l)
{
    const int64_t channels = nn_layer_int(l, "channels"), skip = nn_layer_int(l, "skip_channels");
    const int64_t in_channels = l->in_shape[0].dim[0];
    const nn_conv_spec one = { .kernel_size = 1, .stride = 1, .dilation = 1, .groups = 1, .bias = 1 };
    block b = { .n_layers = (int)(nn_layer_int(l, "stacks") * nn_layer_int(l, "layers")),
                .has_start = in_channels != channels, .has_condition = l->n_in > 1,
                .start = one, .dilated = one, .condition = one, .res_skip = one };
    b.start.in_channels = in_channels;
    b.start.out_channels = channels;
    b.dilated.in_channels = channels;
    b.dilated.out_channels = 2 * channels;
    b.dilated.kernel_size = nn_layer_int(l, "kernel_size");
    b.dilated.padding = nn_layer_get(l, "causal") != 0 ? NN_PADDING_CAUSAL : NN_PADDING_SAME;
    b.condition.in_channels = b.has_condition ? l->in_shape[1].dim[0] : 0;
    b.condition.out_channels = 2 * channels;
    b.condition.bias = 0;
    b.res_skip.in_channels = channels;
    b.res_skip.out_channels = channels + skip;
    return b;
}

static void at_layer(const nn_layer *l, block *b, int k)
{
    b->dilated.dilation = 1;
    for (int64_t i = k % nn_layer_int(l, "layers"); i > 0; i--)
        b->dilated.dilation *= nn_layer_int(l, "dilation_base");
    if (k == b->n_layers - 1)
        b->res_skip.out_channels = nn_layer_int(l, "skip_channels");
}

static bl_status build(nn_layer *l, bl_error *err)
{
    char name[48];
    if (nn_expect_sequence(l, 0, err) != BL_OK)
        return err->code;
    const int64_t n = l->in_shape[0].dim[1];
    const int64_t stretch = nn_layer_int(l, "condition_scale"), n_condition = l->n_in > 1 && l->in_shape[1].rank == 2 ? l->in_shape[1].dim[1] : 1;
    if (stretch > 1 && (l->n_in < 2 || l->in_shape[1].rank != 2))
        return bl_fail(err, BL_EARG, "condition_scale=%lld needs a condition [C, T / %lld]", (long long)stretch, (long long)stretch);
    if (stretch > 1 ? n >= 0 && n_condition >= 0 && n_condition * stretch != n : n_condition != n && n_condition != 1)
        return bl_fail(err, BL_ESHAPE, stretch > 1 ? "%lld samples and a condition of %lld times %lld" : "input and condition differ in length: %lld and %lld",
                       (long long)n, (long long)n_condition, (long long)stretch);
    if (pow(nn_layer_get(l, "dilation_base"), nn_layer_get(l, "layers") - 1) > 1 << 20)
        return bl_fail(err, BL_EARG, "layers=%g: the dilation would exceed 2^20", nn_layer_get(l, "layers"));
    block b = block_of(l);
    if (b.has_start && nn_conv_params(l, "start/", &b.start, err) < 0)
        return err->code;
    double per_sample = b.has_start ? (double)(b.start.in_channels * b.start.out_channels) : 0;
    for (int k = 0; k < b.n_layers; k++) {
        at_layer(l, &b, k);
        snprintf(name, sizeof name, "%d/dilated/", k);
        if (nn_conv_params(l, name, &b.dilated, err) < 0)
            return err->code;
        snprintf(name, sizeof name, "%d/condition/", k);
        if (b.has_condition && nn_conv_params(l, name, &b.condition, err) < 0)
            return err->code;
        snprintf(name, sizeof name, "%d/res_skip/", k);
        if (nn_conv_params(l, name, &b.res_skip, err) < 0)
            return err->code;
        per_sample += (double)(b.dilated.in_channels * b.dilated.out_channels * b.dilated.kernel_size
                               + b.res_skip.in_channels * b.res_skip.out_channels);
        if (b.has_condition && l->in_shape[1].rank == 2)
            per_sample += (double)(b.condition.in_channels * b.condition.out_channels) / (double)stretch;
    }
    const nn_shape taps = { 4, { 1, 1, 1, 2 * stretch + 1 } };
    if (stretch > 1 && nn_layer_param(l, "smooth/weight", taps, NN_INIT_CONSTANT, 1 / (double)(2 * stretch + 1), err) < 0)
        return err->code;
    l->out_shape = (nn_shape){ 2, { nn_layer_int(l, "skip_channels"), n } };
    l->macs = n > 0 ? per_sample * (double)n : 0;
    return BL_OK;
}

/* What one value of the condition does to the s samples that it is repeated for and to s more on either side: sums of s
 * neighbouring taps, the last first. */
static nn_node *response_of(nn_layer *l, nn_tape *t, int64_t s)
{
    int64_t backwards[3 * 1024];
    nn_node *taps = nn_reshape(t, nn_layer_node(l, t, l->n_params - 1), (nn_shape){ 3, { 1, 1, 2 * s + 1 } });
    nn_node *sums = nn_conv1d(t, taps, nn_full(t, (nn_shape){ 3, { 1, 1, s } }, 1), NULL,
                              (nn_conv1d_opt){ .pad_left = (int)s - 1, .pad_right = (int)s - 1 });
    for (int64_t i = 0; i < 3 * s; i++)
        backwards[i] = 3 * s - 1 - i;
    return nn_gather_time(t, sums, backwards, 3 * s);
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    const int64_t stretch = nn_layer_int(l, "condition_scale");
    nn_node *response = stretch > 1 ? response_of(l, t, stretch) : NULL;
    block b = block_of(l);
    nn_node *condition = b.has_condition ? nn_as_sequence(t, in[1]) : NULL;
    nn_node *state = b.has_start ? nn_conv_run(l, t, 0, &b.start, in[0]) : in[0];
    if (condition && !response && !t->err.code && condition->shape.dim[2] != state->shape.dim[2]) /* the same at all times */
        condition = nn_broadcast_to(t, condition, (nn_shape){ 3, { condition->shape.dim[0], condition->shape.dim[1],
                                                                   state->shape.dim[2] } });
    int slot = b.has_start ? nn_conv_slots(&b.start) : 0;
    for (int k = 0; k < b.n_layers && !t->err.code; k++) {
        nn_node *before = state, *w[5] = { NULL };
        int64_t pad_left, pad_right;
        at_layer(l, &b, k);
        nn_conv_pads(&b.dilated, state->shape.dim[2], &pad_left, &pad_right);
        for (int i = 0; i < 5; i++) /* weight, bias, condition's weight, weight, bias */
            if (i != 2 || condition)
                w[i] = nn_layer_node(l, t, slot++);
        state = nn_wavenet_layer(t, state, w[0], w[1], w[3], w[4], condition, w[2], response,
                                 (nn_wavenet_layer_opt){ .stretch = (int)stretch, .dilation = (int)b.dilated.dilation, .pad_left = (int)pad_left,
                                                         .last = k == b.n_layers - 1,
                                                         .scale = nn_layer_get(l, "residual_scale") });
        if (before != in[0])
            nn_release(t, before);
    }
    return state;
}

const nn_layer_type nn_layer_wavenet_block = {
    .name = "wavenet_block",
    .summary = "stack of dilated, gated convolutions with residual and skip paths; optional condition",
    .min_in = 1,
    .max_in = 2,
    .options = options,
    .build = build,
    .forward = forward,
};
