/* nn/ops/maximum.c - the larger of a and b, with NumPy's broadcasting; NaN if either is. */
#include "nn/broadcast.h"

NN_BINARY_KERNEL(forward, u > v || u != u ? u : v)

/* A maximum passes dy to the larger input, half to each of two equal ones. */
static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    nn_node *a = y->in[0], *b = y->in[1];
    nn_node *first = nn_mul(t, dy, nn_affine(t, nn_add(t, nn_greater(t, a, b), nn_greater_equal(t, a, b)), 0.5, 0));
    if (nn_wants_grad(t, y->in[0]))
        din[0] = nn_unbroadcast(t, first, y->in[0]);
    if (nn_wants_grad(t, y->in[1]))
        din[1] = nn_unbroadcast(t, nn_sub(t, dy, first), y->in[1]);
}

const nn_op nn_op_maximum = {
    .name = "maximum",
    .summary = "the larger of a and b",
    .min_in = 2,
    .max_in = 2,
    .shape = nn_broadcast_shape,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_OUT,
    .examples = (const char *const[]){ "[2,3,5] [2,3,5]", "[2,3,5] [3,1]", "[4,1] [3,1,5]", "[2,3] []", NULL },
};

nn_node *nn_maximum(nn_tape *t, nn_node *a, nn_node *b)
{
    return nn_apply(t, &nn_op_maximum, NULL, 2, (nn_node *const[]){ a, b });
}
