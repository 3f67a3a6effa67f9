/* nn/layers/gaussian_noise.c - in training, adds normal noise of a given deviation.
 *
 * Shapes   any -> the same.
 */
#include "nn/layer.h"

static const nn_layer_option options[] = {
    { "std", NN_OPTION_REAL, 0.1, 0, 1000, "standard deviation", NULL },
    { .name = NULL },
};

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    if (t->err.code || !t->training)
        return t->err.code ? NULL : in[0];
    return nn_add(t, in[0], nn_affine(t, nn_randn(t, in[0]->shape), nn_layer_get(l, "std"), 0));
}

const nn_layer_type nn_layer_gaussian_noise = {
    .name = "gaussian_noise",
    .summary = "adds normal noise in training",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = nn_build_same,
    .forward = forward,
};
