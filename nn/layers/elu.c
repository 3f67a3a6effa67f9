/* nn/layers/elu.c - x where x > 0, alpha (exp(x) - 1) elsewhere.
 *
 * Shapes   any -> the same.
 * Source   Clevert, Unterthiner, Hochreiter, 2016.
 */
#include "nn/layer.h"

static const nn_layer_option options[] = {
    { "alpha", NN_OPTION_REAL, 1, 0, 1000, "y goes to -alpha", NULL },
    { .name = NULL },
};

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    return nn_elu(t, in[0], nn_layer_get(l, "alpha"), 1, 1);
}

const nn_layer_type nn_layer_elu = {
    .name = "elu",
    .summary = "x where x > 0, alpha (exp(x) - 1) elsewhere",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = nn_build_same,
    .forward = forward,
    .takes_once = 1,
};
