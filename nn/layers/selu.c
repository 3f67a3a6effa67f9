/* nn/layers/selu.c - scale x where x > 0, scale alpha (exp(x) - 1) elsewhere, with the two constants of self-normalising networks.
 *
 * Shapes   any -> the same.
 * Source   Klambauer, Unterthiner, Mayr, Hochreiter, 2017.
 */
#include "nn/layer.h"

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    (void)l;
    return nn_elu(t, in[0], 1.6732632423543772848170429916717, 1.0507009873554804934193349852946, 1);
}

const nn_layer_type nn_layer_selu = {
    .name = "selu",
    .summary = "ELU with the constants of self-normalising networks",
    .min_in = 1,
    .max_in = 1,
    .build = nn_build_same,
    .forward = forward,
    .takes_once = 1,
};
