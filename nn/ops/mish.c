/* nn/ops/mish.c - x tanh(softplus(x)).
 *
 *     tanh(log(1 + e^x)) = n / (n + 2) with n = e^x (e^x + 2), which does not cancel; above x = 20 it is 1
 *
 * source   Misra, "Mish: A Self Regularized Non-Monotonic Activation Function", 2019
 */
#include "nn/fastmath.h"
#include "nn/unary.h"

/* e^x (e^x + 2) */
static inline real n_of(real x)
{
    const real e = nn_fast_exp(x > 20 ? 20 : x);
    return e * (e + 2);
}

static inline real gate(real x)
{
    const real n = n_of(x);
    return n / (n + 2);
}

static inline real first(real x)
{
    const real n = n_of(x), slope = 4 / (n + 2) * ((n + 1) / (n + 2)); /* 1 - gate^2 */
    return n / (n + 2) + x * nn_fast_sigmoid(x) * slope;
}

static inline real second(real x)
{
    const real n = n_of(x), slope = 4 / (n + 2) * ((n + 1) / (n + 2)), s = nn_fast_sigmoid(x);
    return slope * s * (2 + x * (1 - s - 2 * s * n / (n + 2)));
}

NN_UNARY_KERNEL(forward, (void)0, u * gate(u))
NN_UNARY_KERNEL(grad_forward, (void)0, u * first(v))
NN_UNARY_KERNEL(second_forward, (void)0, u * second(v))

static const nn_op second_op = {
    NN_UNARY_LAST,
    .name = "mish_grad_grad",
    .summary = "u f''(v), f of mish",
    .forward = second_forward,
};

static const nn_op grad_op = {
    NN_UNARY_GRAD,
    .name = "mish_grad",
    .summary = "u f'(v), f of mish",
    .forward = grad_forward,
    .derivative = &second_op,
};

const nn_op nn_op_mish = {
    .name = "mish",
    .summary = "x tanh(softplus(x))",
    .min_in = 1,
    .max_in = 1,
    .shape = nn_same_shape_rule,
    .in_place = 1,
    .forward = forward,
    .backward = nn_unary_backward,
    .derivative = &grad_op,
    .unread = NN_READ_OUT,
    .examples = (const char *const[]){ "[2,3,5]:-4..4", NULL },
};

nn_node *nn_mish(nn_tape *t, nn_node *x)
{
    return nn_apply(t, &nn_op_mish, NULL, 1, &x);
}
