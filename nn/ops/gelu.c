/* nn/ops/gelu.c - x Phi(x), Phi the normal distribution: (1 + erf(x / sqrt 2)) / 2.
 *
 * source   Hendrycks & Gimpel, 2016
 */
#include "nn/fastmath.h"
#include "nn/unary.h"

static inline real normal(real x)
{
    return (real)0.5 * (1 + nn_fast_erf(x * (real)0.70710678118654752));
}

static inline real density(real x)
{
    return (real)0.39894228040143268 * nn_fast_exp((real)-0.5 * x * x);
}

NN_UNARY_KERNEL(forward, (void)0, u * normal(u))
NN_UNARY_KERNEL(grad_forward, (void)0, u * (normal(v) + v * density(v)))
NN_UNARY_KERNEL(second_forward, (void)0, u * density(v) * (2 - v * v))

static const nn_op second_op = {
    NN_UNARY_LAST,
    .name = "gelu_grad_grad",
    .summary = "u f''(v), f of gelu",
    .forward = second_forward,
};

static const nn_op grad_op = {
    NN_UNARY_GRAD,
    .name = "gelu_grad",
    .summary = "u f'(v), f of gelu",
    .forward = grad_forward,
    .derivative = &second_op,
};

const nn_op nn_op_gelu = {
    .name = "gelu",
    .summary = "x times the normal distribution at x",
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

nn_node *nn_gelu(nn_tape *t, nn_node *x)
{
    return nn_apply(t, &nn_op_gelu, NULL, 1, &x);
}
