/* nn/ops/exp.c - exponential; dx = dy y. */
#include "nn/fastmath.h"
#include "nn/unary.h"

NN_UNARY_KERNEL(forward, (void)0, nn_fast_exp(u))

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    din[0] = nn_mul(t, dy, y);
}

const nn_op nn_op_exp = {
    .name = "exp",
    .summary = "exponential",
    .min_in = 1,
    .max_in = 1,
    .shape = nn_same_shape_rule,
    .in_place = 1,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_IN(0),
    .examples = (const char *const[]){ "[2,3,5]:-3..3", "[0]", NULL },
};

nn_node *nn_exp(nn_tape *t, nn_node *x)
{
    return nn_apply(t, &nn_op_exp, NULL, 1, &x);
}
