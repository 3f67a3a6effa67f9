/* nn/layers/global_max_pool.c - the largest value of each channel; the gradient goes to the first of equal ones.
 *
 * Shapes   [C, T] or [C, H, W] -> [C].
 */
#include "nn/pool_layer.h"

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    if (t->err.code)
        return NULL;
    const nn_shape s = in[0]->shape, flat = { 4, { s.dim[0], s.dim[1], 1, -1 } };
    nn_node *top = nn_max_pool(t, nn_reshape(t, in[0], flat), (nn_pool_opt){ .output = { 1, 1 } });
    return nn_reshape(t, top, (nn_shape){ 2, { s.dim[0], l->out_shape.dim[0] } });
}

const nn_layer_type nn_layer_global_max_pool = {
    .name = "global_max_pool",
    .summary = "largest value of each channel",
    .min_in = 1,
    .max_in = 1,
    .build = nn_global_pool_build,
    .forward = forward,
};
