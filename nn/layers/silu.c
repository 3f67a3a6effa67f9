/* nn/layers/silu.c - x sigmoid(x), also called swish.
 *
 * Shapes   any -> the same.
 * Source   Elfwing, Uchibe, Doya, 2017.
 */
#include "nn/layer.h"

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    (void)l;
    return nn_silu(t, in[0]);
}

const nn_layer_type nn_layer_silu = {
    .name = "silu",
    .summary = "x sigmoid(x), also called swish",
    .min_in = 1,
    .max_in = 1,
    .build = nn_build_same,
    .forward = forward,
    .takes_once = 1,
};
