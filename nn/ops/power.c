/* nn/ops/power.c - a to the power b, with NumPy's broadcasting; a constant b: nn_pow.
 *
 *     da = dy b a^(b - 1),   db = dy y log a
 */
#include "nn/broadcast.h"

NN_BINARY_KERNEL(forward, pow(u, v))

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    nn_node *a = y->in[0], *b = y->in[1];
    if (nn_wants_grad(t, a))
        din[0] = nn_unbroadcast(t, nn_mul(t, dy, nn_mul(t, b, nn_power(t, a, nn_affine(t, b, 1, -1)))), a);
    if (nn_wants_grad(t, b))
        din[1] = nn_unbroadcast(t, nn_mul(t, dy, nn_mul(t, y, nn_log(t, a))), b);
}

const nn_op nn_op_power = {
    .name = "power",
    .summary = "a to the power b",
    .min_in = 2,
    .max_in = 2,
    .shape = nn_broadcast_shape,
    .forward = forward,
    .backward = backward,
    .unread = 0,
    .examples = (const char *const[]){ "[2,3,5]:0.5..2 [2,3,5]", "[2,3,5]:0.5..2 [3,1]:-2..2", NULL },
};

nn_node *nn_power(nn_tape *t, nn_node *a, nn_node *b)
{
    return nn_apply(t, &nn_op_power, NULL, 2, (nn_node *const[]){ a, b });
}
