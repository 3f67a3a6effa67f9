/* nn/layers/residual.c - residual stack of dilated convolutions (MelGAN's).
 *
 *     for each layer k:   x = x + pointwise_k(a(dilated_k(a(x)))),   a = leaky ReLU, dilation dilation_base^k
 *
 * Shapes      [C, T] -> [C, T].
 * Parameters  K/dilated/weight [C, C, kernel_size], K/dilated/bias, K/pointwise/weight [C, C, 1], K/pointwise/bias;
 *             with weight_norm weight_g and weight_v for each weight.
 * Source      Kumar et al., "MelGAN: Generative Adversarial Networks for Conditional Waveform Synthesis", 2019.
 */
#include "nn/layer.h"

#include <math.h>
#include <stdio.h>

static const nn_layer_option options[] = {
    { "kernel_size", NN_OPTION_INT, 3, 1, 64, "taps of the dilated convolutions", NULL },
    { "layers", NN_OPTION_INT, 3, 1, 16, "layers", NULL },
    { "dilation_base", NN_OPTION_INT, 3, 1, 8, "dilation of layer k is dilation_base^k", NULL },
    { "negative_slope", NN_OPTION_REAL, 0.2, 0, 1, "of the leaky ReLU", NULL },
    { "causal", NN_OPTION_BOOL, 0, 0, 1, "no output sees a later input; else centred", NULL },
    { "weight_norm", NN_OPTION_BOOL, 0, 0, 1, "learn length and direction of the weights apart", NULL },
    { .name = NULL },
};

static nn_conv_spec spec_of(const nn_layer *l, int k, int pointwise)
{
    nn_conv_spec s = { .in_channels = l->in_shape[0].dim[0], .out_channels = l->in_shape[0].dim[0],
                       .kernel_size = pointwise ? 1 : nn_layer_int(l, "kernel_size"), .stride = 1, .dilation = 1,
                       .groups = 1, .bias = 1, .weight_norm = nn_layer_get(l, "weight_norm") != 0,
                       .padding = nn_layer_get(l, "causal") != 0 ? NN_PADDING_CAUSAL : NN_PADDING_SAME };
    for (int i = 0; i < k && !pointwise; i++)
        s.dilation *= nn_layer_int(l, "dilation_base");
    return s;
}

static bl_status build(nn_layer *l, bl_error *err)
{
    char name[48];
    if (nn_expect_sequence(l, 0, err) != BL_OK)
        return err->code;
    if (pow(nn_layer_get(l, "dilation_base"), nn_layer_get(l, "layers") - 1) > 1 << 20)
        return bl_fail(err, BL_EARG, "layers=%g: the dilation would exceed 2^20", nn_layer_get(l, "layers"));
    const double channels = (double)l->in_shape[0].dim[0];
    for (int k = 0; k < (int)nn_layer_get(l, "layers"); k++)
        for (int pointwise = 0; pointwise < 2; pointwise++) {
            const nn_conv_spec spec = spec_of(l, k, pointwise);
            snprintf(name, sizeof name, "%d/%s/", k, pointwise ? "pointwise" : "dilated");
            if (nn_conv_params(l, name, &spec, err) < 0)
                return err->code;
            if (l->in_shape[0].dim[1] > 0)
                l->macs += channels * channels * (double)spec.kernel_size * (double)l->in_shape[0].dim[1];
        }
    l->out_shape = l->in_shape[0];
    return BL_OK;
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    const double slope = nn_layer_get(l, "negative_slope");
    nn_node *x = in[0];
    for (int k = 0, slot = 0; k < (int)nn_layer_get(l, "layers"); k++) {
        nn_node *mark = nn_scope_begin(t), *y = x;
        for (int pointwise = 0; pointwise < 2; pointwise++) {
            const nn_conv_spec spec = spec_of(l, k, pointwise);
            y = nn_conv_run(l, t, slot, &spec, nn_leaky_relu(t, y, slope));
            slot += nn_conv_slots(&spec);
        }
        x = nn_add(t, x, y);
        nn_release_but(t, mark, 1, &x);
    }
    return x;
}

const nn_layer_type nn_layer_residual = {
    .name = "residual",
    .summary = "stack of dilated convolutions, each added to its input",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = build,
    .forward = forward,
};
