/* nn/layers/power.c - x to a constant power.
 *
 * Shapes   any -> the same.
 */
#include "nn/layer.h"

#include <math.h>

static const nn_layer_option options[] = {
    { "exponent", NN_OPTION_REAL, NAN, -100, 100, "the power; a fraction needs x > 0", NULL },
    { .name = NULL },
};

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    return nn_pow(t, in[0], nn_layer_get(l, "exponent"));
}

const nn_layer_type nn_layer_power = {
    .name = "power",
    .summary = "x to a constant power",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = nn_build_same,
    .forward = forward,
    .takes_once = 1,
};
