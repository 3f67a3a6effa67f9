/* nn/layers/avg_pool2d.c - the mean of each window.
 *
 * Shapes   [C, H, W] -> [C, H', W'], as torch.nn.AvgPool2d.
 */
#include "nn/pool_layer.h"

#include <math.h>

static const nn_layer_option options[] = {
    NN_POOL_OPTIONS_2D,
    { "count_include_pad", NN_OPTION_BOOL, 1, 0, 1, "the mean counts padding as zeros", NULL },
    { .name = NULL },
};

static bl_status build(nn_layer *l, bl_error *err)
{
    return nn_pool_build(l, 2, err);
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    return nn_pool_forward(l, t, in[0], 2, 0);
}

const nn_layer_type nn_layer_avg_pool2d = {
    .name = "avg_pool2d",
    .summary = "the mean of each window",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = build,
    .forward = forward,
};
