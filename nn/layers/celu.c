/* nn/layers/celu.c - x where x > 0, alpha (exp(x / alpha) - 1) elsewhere: smooth for every alpha.
 *
 * Shapes   any -> the same.
 * Source   Barron, 2017.
 */
#include "nn/layer.h"

static const nn_layer_option options[] = {
    { "alpha", NN_OPTION_REAL, 1, 1e-6, 1000, "y goes to -alpha", NULL },
    { .name = NULL },
};

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    return nn_elu(t, in[0], nn_layer_get(l, "alpha"), 1, 1 / nn_layer_get(l, "alpha"));
}

const nn_layer_type nn_layer_celu = {
    .name = "celu",
    .summary = "x where x > 0, alpha (exp(x / alpha) - 1) elsewhere",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = nn_build_same,
    .forward = forward,
    .takes_once = 1,
};
