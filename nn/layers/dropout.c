/* nn/layers/dropout.c - in training, sets values to 0 with probability p and scales the others by 1/(1 - p).
 *
 * Shapes   any -> the same.
 * Source   Srivastava et al., 2014.
 */
#include "nn/layer.h"

static const nn_layer_option options[] = {
    { "p", NN_OPTION_REAL, 0.5, 0, 0.999, "probability of a zero", NULL },
    { .name = NULL },
};

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    return nn_dropout(t, in[0], nn_layer_get(l, "p"));
}

const nn_layer_type nn_layer_dropout = {
    .name = "dropout",
    .summary = "random zeros in training",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = nn_build_same,
    .forward = forward,
};
