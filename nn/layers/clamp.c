/* nn/layers/clamp.c - x limited to min .. max; either may be left out.
 *
 * Shapes   any -> the same.
 */
#include "nn/layer.h"

#include <math.h>

static const nn_layer_option options[] = {
    { "min", NN_OPTION_REAL, -INFINITY, -1e6, 1e6, "lower limit", NULL },
    { "max", NN_OPTION_REAL, INFINITY, -1e6, 1e6, "upper limit", NULL },
    { .name = NULL },
};

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    return nn_clamp(t, in[0], nn_layer_get(l, "min"), nn_layer_get(l, "max"));
}

const nn_layer_type nn_layer_clamp = {
    .name = "clamp",
    .summary = "x limited to min .. max",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = nn_build_same,
    .forward = forward,
    .takes_once = 1,
};
