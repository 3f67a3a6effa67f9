/* nn/ops/reciprocal.c - 1 / x; f' = -y^2. */
#include "nn/unary.h"

NN_UNARY_KERNEL(forward, (void)0, 1 / u)
NN_UNARY_KERNEL(grad_forward, (void)0, -u * v * v)
NN_UNARY_KERNEL(second_forward, (void)0, -2 * u * v)

static const nn_op second_op = {
    NN_UNARY_LAST,
    .name = "reciprocal_grad_grad",
    .summary = "u f''(v), f of reciprocal",
    .forward = second_forward,
};

static const nn_op grad_op = {
    NN_UNARY_GRAD,
    .name = "reciprocal_grad",
    .summary = "u f'(v), f of reciprocal",
    .forward = grad_forward,
    .derivative = &second_op,
};

const nn_op nn_op_reciprocal = {
    .name = "reciprocal",
    .summary = "1 / x",
    .min_in = 1,
    .max_in = 1,
    .shape = nn_same_shape_rule,
    .in_place = 1,
    .forward = forward,
    .backward = nn_unary_backward,
    .derivative = &grad_op,
    .by_output = 1,
    .unread = NN_READ_IN(0),
    .examples = (const char *const[]){ "[2,3,5]:0.5..2", NULL },
};

nn_node *nn_reciprocal(nn_tape *t, nn_node *x)
{
    return nn_apply(t, &nn_op_reciprocal, NULL, 1, &x);
}
