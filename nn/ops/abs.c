/* nn/ops/abs.c - absolute value; dx = dy sign(x), 0 at 0. */
#include "nn/unary.h"

NN_UNARY_KERNEL(forward, (void)0, fabs(u))
NN_UNARY_KERNEL(grad_forward, (void)0, v > 0 ? u : v < 0 ? -u : 0)

static const nn_op grad_op = {
    NN_UNARY_STEP,
    .name = "abs_grad",
    .summary = "u f'(v), f of abs",
    .forward = grad_forward,
};

const nn_op nn_op_abs = {
    .name = "abs",
    .summary = "absolute value",
    .min_in = 1,
    .max_in = 1,
    .shape = nn_same_shape_rule,
    .in_place = 1,
    .forward = forward,
    .backward = nn_unary_backward,
    .derivative = &grad_op,
    .unread = NN_READ_OUT,
    .examples = (const char *const[]){ "[2,3,5]", NULL },
};

nn_node *nn_abs(nn_tape *t, nn_node *x)
{
    return nn_apply(t, &nn_op_abs, NULL, 1, &x);
}
