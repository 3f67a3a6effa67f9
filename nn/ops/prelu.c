/* nn/ops/prelu.c - x where x > 0, slope x elsewhere, with a learned slope that broadcasts.
 *
 *     dx = dy (x > 0 ? 1 : slope),   d slope = sum of dy min(x, 0)
 *
 * source   He, Zhang, Ren, Sun, "Delving Deep into Rectifiers", 2015
 */
#include "nn/broadcast.h"

#include <math.h>

NN_BINARY_KERNEL(forward, u > 0 ? u : v * u)
NN_BINARY_KERNEL(slope_forward, u > 0 ? 1 : v)

static void slope_backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    if (nn_wants_grad(t, y->in[1]))
        din[1] = nn_unbroadcast(t, nn_mul(t, dy, nn_affine(t, nn_step(t, y->in[0]), -1, 1)), y->in[1]);
}

static const nn_op slope_op = {
    .name = "prelu_slope",
    .summary = "1 where x > 0, slope elsewhere",
    .min_in = 2,
    .max_in = 2,
    .shape = nn_broadcast_shape,
    .forward = slope_forward,
    .backward = slope_backward,
    .unread = NN_READ_IN(1) | NN_READ_OUT,
};

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    if (nn_wants_grad(t, y->in[0]))
        din[0] = nn_unbroadcast(t, nn_mul(t, dy, nn_apply(t, &slope_op, NULL, 2, y->in)), y->in[0]);
    if (nn_wants_grad(t, y->in[1]))
        din[1] = nn_unbroadcast(t, nn_mul(t, dy, nn_clamp(t, y->in[0], -INFINITY, 0)), y->in[1]);
}

const nn_op nn_op_prelu = {
    .name = "prelu",
    .summary = "x where x > 0, a learned slope times x elsewhere",
    .min_in = 2,
    .max_in = 2,
    .shape = nn_broadcast_shape,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_OUT,
    .examples = (const char *const[]){ "[2,3,5] [3,1]", "[4] [1]", NULL },
};

nn_node *nn_prelu(nn_tape *t, nn_node *x, nn_node *slope)
{
    return nn_apply(t, &nn_op_prelu, NULL, 2, (nn_node *const[]){ x, slope });
}
