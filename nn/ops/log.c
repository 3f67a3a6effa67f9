/* nn/ops/log.c - natural logarithm; dx = dy / x. log of 0 is -inf, of a negative number NaN. */
#include "nn/fastmath.h"
#include "nn/unary.h"

NN_UNARY_KERNEL(forward, (void)0, nn_fast_log(u))

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    din[0] = nn_div(t, dy, y->in[0]);
}

const nn_op nn_op_log = {
    .name = "log",
    .summary = "natural logarithm",
    .min_in = 1,
    .max_in = 1,
    .shape = nn_same_shape_rule,
    .in_place = 1,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_OUT,
    .examples = (const char *const[]){ "[2,3,5]:0.2..3", NULL },
};

nn_node *nn_log(nn_tape *t, nn_node *x)
{
    return nn_apply(t, &nn_op_log, NULL, 1, &x);
}
