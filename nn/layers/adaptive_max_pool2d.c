/* nn/layers/adaptive_max_pool2d.c - the largest value of each of output_size windows that cover the input, whatever its length.
 *
 * Shapes   [C, H, W] -> [C, output_height, output_width], as torch.nn.AdaptiveMaxPool2d.
 */
#include "nn/pool_layer.h"

#include <math.h>

static const nn_layer_option options[] = {
    { "output_size", NN_OPTION_INT, 0, 0, 65536, "values that come out, in both directions", NULL },
    { "output_height", NN_OPTION_INT, 0, 0, 65536, "rows that come out", NULL },
    { "output_width", NN_OPTION_INT, 0, 0, 65536, "columns that come out", NULL },
    { .name = NULL },
};

static bl_status build(nn_layer *l, bl_error *err)
{
    return nn_pool_build(l, 2, err);
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    return nn_pool_forward(l, t, in[0], 2, 1);
}

const nn_layer_type nn_layer_adaptive_max_pool2d = {
    .name = "adaptive_max_pool2d",
    .summary = "the largest value of each of output_size windows",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = build,
    .forward = forward,
};
