/* nn/ops/sub.c - a - b, with NumPy's broadcasting. */
#include "nn/broadcast.h"

NN_BINARY_KERNEL(forward, u - v)

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    if (nn_wants_grad(t, y->in[0]))
        din[0] = nn_unbroadcast(t, dy, y->in[0]);
    if (nn_wants_grad(t, y->in[1]))
        din[1] = nn_affine(t, nn_unbroadcast(t, dy, y->in[1]), -1, 0);
}

const nn_op nn_op_sub = {
    .name = "sub",
    .summary = "a - b",
    .min_in = 2,
    .max_in = 2,
    .shape = nn_broadcast_shape,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_ANY,
    .cheap = 1,
    .examples = (const char *const[]){ "[2,3,5] [2,3,5]", "[2,3,5] [3,1]", "[4,1] [3,1,5]", "[2,3] []", NULL },
};

nn_node *nn_sub(nn_tape *t, nn_node *a, nn_node *b)
{
    return nn_apply(t, &nn_op_sub, NULL, 2, (nn_node *const[]){ a, b });
}
