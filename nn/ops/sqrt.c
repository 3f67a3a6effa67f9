/* nn/ops/sqrt.c - square root; dx = dy / (2 y), infinite at 0: add an epsilon where zeros may come. */
#include "nn/unary.h"

NN_UNARY_KERNEL(forward, (void)0, sqrt(u))

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    din[0] = nn_div(t, nn_affine(t, dy, 0.5, 0), y);
}

const nn_op nn_op_sqrt = {
    .name = "sqrt",
    .summary = "square root",
    .min_in = 1,
    .max_in = 1,
    .shape = nn_same_shape_rule,
    .in_place = 1,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_IN(0),
    .examples = (const char *const[]){ "[2,3,5]:0.2..3", NULL },
};

nn_node *nn_sqrt(nn_tape *t, nn_node *x)
{
    return nn_apply(t, &nn_op_sqrt, NULL, 1, &x);
}
