/* nn/ops/hardsigmoid.c - x / 6 + 1/2 limited to 0..1; dx = dy / 6 within -3..3, 0 outside and at the ends. */
#include "nn/unary.h"

NN_UNARY_KERNEL(forward, (void)0, u <= -3 ? 0 : u >= 3 ? 1 : u / 6 + (real)0.5)
NN_UNARY_KERNEL(grad_forward, (void)0, v > -3 && v < 3 ? u / 6 : 0)

static const nn_op grad_op = {
    NN_UNARY_STEP,
    .name = "hardsigmoid_grad",
    .summary = "u f'(v), f of hardsigmoid",
    .forward = grad_forward,
};

const nn_op nn_op_hardsigmoid = {
    .name = "hardsigmoid",
    .summary = "x / 6 + 1/2 limited to 0..1",
    .min_in = 1,
    .max_in = 1,
    .shape = nn_same_shape_rule,
    .in_place = 1,
    .forward = forward,
    .backward = nn_unary_backward,
    .derivative = &grad_op,
    .unread = NN_READ_OUT,
    .examples = (const char *const[]){ "[2,3,5]:-5..5", NULL },
};

nn_node *nn_hardsigmoid(nn_tape *t, nn_node *x)
{
    return nn_apply(t, &nn_op_hardsigmoid, NULL, 1, &x);
}
