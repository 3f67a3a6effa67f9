/* nn/layers/scale.c - factor x + shift, two constants.
 *
 * Shapes   any -> the same.
 */
#include "nn/layer.h"

static const nn_layer_option options[] = {
    { "factor", NN_OPTION_REAL, 1, -1e30, 1e30, "multiplies", NULL },
    { "shift", NN_OPTION_REAL, 0, -1e30, 1e30, "is added", NULL },
    { .name = NULL },
};

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    return nn_affine(t, in[0], nn_layer_get(l, "factor"), nn_layer_get(l, "shift"));
}

const nn_layer_type nn_layer_scale = {
    .name = "scale",
    .summary = "factor x + shift, two constants",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = nn_build_same,
    .forward = forward,
    .takes_once = 1,
};
