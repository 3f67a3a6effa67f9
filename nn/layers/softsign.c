/* nn/layers/softsign.c - x / (1 + |x|).
 *
 * Shapes   any -> the same.
 */
#include "nn/layer.h"

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    (void)l;
    return nn_softsign(t, in[0]);
}

const nn_layer_type nn_layer_softsign = {
    .name = "softsign",
    .summary = "x / (1 + |x|)",
    .min_in = 1,
    .max_in = 1,
    .build = nn_build_same,
    .forward = forward,
    .takes_once = 1,
};
