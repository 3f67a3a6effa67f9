/* nn/layers/adaptive_avg_pool1d.c - the mean of each of output_size windows that cover the input, whatever its length.
 *
 * Shapes   [C, T] -> [C, output_size], as torch.nn.AdaptiveAvgPool1d.
 */
#include "nn/pool_layer.h"

#include <math.h>

static const nn_layer_option options[] = {
    { "output_size", NN_OPTION_INT, NAN, 1, 65536, "values that come out", NULL },
    { .name = NULL },
};

static bl_status build(nn_layer *l, bl_error *err)
{
    return nn_pool_build(l, 1, err);
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    return nn_pool_forward(l, t, in[0], 1, 0);
}

const nn_layer_type nn_layer_adaptive_avg_pool1d = {
    .name = "adaptive_avg_pool1d",
    .summary = "the mean of each of output_size windows",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = build,
    .forward = forward,
};
