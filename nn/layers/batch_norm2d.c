/* nn/layers/batch_norm2d.c - each channel to mean 0 and variance 1 over batch, height and width, then weight and bias.
 *
 *     training    y = (x - mean) / sqrt(var + eps) weight + bias, mean and (biased) var of this batch;
 *                 running = (1 - momentum) running + momentum batch, the variance unbiased
 *     evaluation  the same with the running values
 *
 * Shapes      [C, H, W] -> the same.
 * Parameters  weight, bias [C]; buffers running_mean, running_var [C]. As torch.nn.BatchNorm2d, without its count of batches,
 *             which only momentum=None reads.
 * Errors      In training, BL_ESHAPE when there is one value per channel: it has no variance.
 * Source      Ioffe & Szegedy, 2015. Tested against torch: tests/nn/test_layers.c.
 */
#include "nn/norm_layer.h"

static const nn_layer_option options[] = {
    NN_BATCH_NORM_OPTIONS,
    { .name = NULL },
};

static bl_status build(nn_layer *l, bl_error *err)
{
    char text[96];
    if (l->in_shape[0].rank != 3)
        return bl_fail(err, BL_ESHAPE, "expects [C, H, W], got %s", nn_shape_str(&l->in_shape[0], text));
    return nn_batch_norm_build(l, err);
}

const nn_layer_type nn_layer_batch_norm2d = {
    .name = "batch_norm2d",
    .summary = "normalises each channel over batch, height and width",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = build,
    .forward = nn_batch_norm_forward,
};
