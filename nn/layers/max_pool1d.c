/* nn/layers/max_pool1d.c - the largest value of each window.
 *
 * Shapes   [C, T] -> [C, T'], as torch.nn.MaxPool1d.
 */
#include "nn/pool_layer.h"

#include <math.h>

static const nn_layer_option options[] = {
    NN_POOL_OPTIONS_1D,
    { "dilation", NN_OPTION_INT, 1, 1, 65536, "from one value of a window to the next", NULL },
    { .name = NULL },
};

static bl_status build(nn_layer *l, bl_error *err)
{
    return nn_pool_build(l, 1, err);
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    return nn_pool_forward(l, t, in[0], 1, 1);
}

const nn_layer_type nn_layer_max_pool1d = {
    .name = "max_pool1d",
    .summary = "the largest value of each window",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = build,
    .forward = forward,
};
