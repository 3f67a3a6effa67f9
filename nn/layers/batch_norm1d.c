/* nn/layers/batch_norm1d.c - each channel to mean 0 and variance 1 over batch and time, then weight and bias.
 *
 *     training    y = (x - mean) / sqrt(var + eps) weight + bias, mean and (biased) var of this batch;
 *                 running = (1 - momentum) running + momentum batch, the variance unbiased
 *     evaluation  the same with the running values
 *
 * Shapes      [C, T] or [C] -> the same.
 * Parameters  weight, bias [C]; buffers running_mean, running_var [C]. As torch.nn.BatchNorm1d, without its count of batches,
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
    if (l->in_shape[0].rank > 2)
        return bl_fail(err, BL_ESHAPE, "expects [C, T] or [C], got %s", nn_shape_str(&l->in_shape[0], text));
    return nn_batch_norm_build(l, err);
}

const nn_layer_type nn_layer_batch_norm1d = {
    .name = "batch_norm1d",
    .summary = "normalises each channel over batch and time",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = build,
    .forward = nn_batch_norm_forward,
};
