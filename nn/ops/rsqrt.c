/* nn/ops/rsqrt.c - 1 / sqrt(x); f' = -y^3 / 2. */
#include "nn/unary.h"

NN_UNARY_KERNEL(forward, (void)0, 1 / sqrt(u))
NN_UNARY_KERNEL(grad_forward, (void)0, (real)-0.5 * u * v * v * v)
NN_UNARY_KERNEL(second_forward, (void)0, (real)-1.5 * u * v * v)

static const nn_op second_op = {
    NN_UNARY_LAST,
    .name = "rsqrt_grad_grad",
    .summary = "u f''(v), f of rsqrt",
    .forward = second_forward,
};

static const nn_op grad_op = {
    NN_UNARY_GRAD,
    .name = "rsqrt_grad",
    .summary = "u f'(v), f of rsqrt",
    .forward = grad_forward,
    .derivative = &second_op,
};

const nn_op nn_op_rsqrt = {
    .name = "rsqrt",
    .summary = "1 / sqrt(x)",
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

nn_node *nn_rsqrt(nn_tape *t, nn_node *x)
{
    return nn_apply(t, &nn_op_rsqrt, NULL, 1, &x);
}
