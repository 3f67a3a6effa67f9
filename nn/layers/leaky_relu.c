/* nn/layers/leaky_relu.c - x where x > 0, negative_slope x elsewhere.
 *
 * Shapes   any -> the same.
 */
#include "nn/layer.h"

static const nn_layer_option options[] = {
    { "negative_slope", NN_OPTION_REAL, 0.01, -10, 10, "slope for x < 0", NULL },
    { .name = NULL },
};

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    return nn_leaky_relu(t, in[0], nn_layer_get(l, "negative_slope"));
}

const nn_layer_type nn_layer_leaky_relu = {
    .name = "leaky_relu",
    .summary = "x where x > 0, negative_slope x elsewhere",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = nn_build_same,
    .forward = forward,
    .takes_once = 1,
};
