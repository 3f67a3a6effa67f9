/* nn/ops/softsign.c - x / (1 + |x|). */
#include "nn/unary.h"

NN_UNARY_KERNEL(forward, (void)0, u / (1 + fabs(u)))
NN_UNARY_KERNEL(grad_forward, (void)0, u / ((1 + fabs(v)) * (1 + fabs(v))))
NN_UNARY_KERNEL(second_forward, (void)0, (v > 0 ? -2 : 2) * u / ((1 + fabs(v)) * (1 + fabs(v)) * (1 + fabs(v))))

static const nn_op second_op = {
    NN_UNARY_LAST,
    .name = "softsign_grad_grad",
    .summary = "u f''(v), f of softsign",
    .forward = second_forward,
};

static const nn_op grad_op = {
    NN_UNARY_GRAD,
    .name = "softsign_grad",
    .summary = "u f'(v), f of softsign",
    .forward = grad_forward,
    .derivative = &second_op,
};

const nn_op nn_op_softsign = {
    .name = "softsign",
    .summary = "x / (1 + |x|)",
    .min_in = 1,
    .max_in = 1,
    .shape = nn_same_shape_rule,
    .in_place = 1,
    .forward = forward,
    .backward = nn_unary_backward,
    .derivative = &grad_op,
    .unread = NN_READ_OUT,
    .examples = (const char *const[]){ "[2,3,5]:-3..3", NULL },
};

nn_node *nn_softsign(nn_tape *t, nn_node *x)
{
    return nn_apply(t, &nn_op_softsign, NULL, 1, &x);
}
