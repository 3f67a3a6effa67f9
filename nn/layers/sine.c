/* nn/layers/sine.c - sin(omega x).
 *
 * Shapes   any -> the same.
 * Source   Sitzmann et al., "Implicit Neural Representations with Periodic Activation Functions", 2020.
 */
#include "nn/layer.h"

static const nn_layer_option options[] = {
    { "omega", NN_OPTION_REAL, 30, -1e6, 1e6, "frequency; SIREN takes 30", NULL },
    { .name = NULL },
};

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    return nn_sin(t, nn_affine(t, in[0], nn_layer_get(l, "omega"), 0));
}

const nn_layer_type nn_layer_sine = {
    .name = "sine",
    .summary = "sin(omega x)",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = nn_build_same,
    .forward = forward,
    .takes_once = 1,
};
