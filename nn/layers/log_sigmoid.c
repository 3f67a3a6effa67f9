/* nn/layers/log_sigmoid.c - log(sigmoid(x)), which cannot overflow.
 *
 * Shapes   any -> the same.
 */
#include "nn/layer.h"

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    (void)l;
    return nn_log_sigmoid(t, in[0]);
}

const nn_layer_type nn_layer_log_sigmoid = {
    .name = "log_sigmoid",
    .summary = "log(sigmoid(x))",
    .min_in = 1,
    .max_in = 1,
    .build = nn_build_same,
    .forward = forward,
    .takes_once = 1,
};
