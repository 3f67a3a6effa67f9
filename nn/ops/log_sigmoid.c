/* nn/ops/log_sigmoid.c - log(sigmoid(x)) = min(x, 0) - log(1 + exp(-|x|)), which cannot overflow. */
#include "nn/fastmath.h"
#include "nn/unary.h"

/* The slope of the sigmoid. */
static inline real slope(real x)
{
    const real s = nn_fast_sigmoid(x);
    return s * (1 - s);
}

NN_UNARY_KERNEL(forward, (void)0, (u < 0 ? u : 0) - nn_fast_log1p(nn_fast_exp_negative(-fabs(u))))
NN_UNARY_KERNEL(grad_forward, (void)0, u * nn_fast_sigmoid(-v))
NN_UNARY_KERNEL(second_forward, (void)0, -u * slope(v))

static const nn_op second_op = {
    NN_UNARY_LAST,
    .name = "log_sigmoid_grad_grad",
    .summary = "u f''(v), f of log_sigmoid",
    .forward = second_forward,
};

static const nn_op grad_op = {
    NN_UNARY_GRAD,
    .name = "log_sigmoid_grad",
    .summary = "u f'(v), f of log_sigmoid",
    .forward = grad_forward,
    .derivative = &second_op,
};

const nn_op nn_op_log_sigmoid = {
    .name = "log_sigmoid",
    .summary = "log(sigmoid(x))",
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

nn_node *nn_log_sigmoid(nn_tape *t, nn_node *x)
{
    return nn_apply(t, &nn_op_log_sigmoid, NULL, 1, &x);
}
