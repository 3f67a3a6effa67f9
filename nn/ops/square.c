/* nn/ops/square.c - x^2; dx = 2 x dy. */
#include "nn/unary.h"

NN_UNARY_KERNEL(forward, (void)0, u * u)

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    din[0] = nn_affine(t, nn_mul(t, dy, y->in[0]), 2, 0);
}

const nn_op nn_op_square = {
    .name = "square",
    .summary = "x^2",
    .min_in = 1,
    .max_in = 1,
    .shape = nn_same_shape_rule,
    .in_place = 1,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_OUT,
    .examples = (const char *const[]){ "[2,3,5]", NULL },
};

nn_node *nn_square(nn_tape *t, nn_node *x)
{
    return nn_apply(t, &nn_op_square, NULL, 1, &x);
}
