/* nn/ops/gelu_tanh.c - GELU with the distribution approximated: x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2.
 *
 * source   Hendrycks & Gimpel, 2016; torch.nn.GELU(approximate="tanh")
 */
#include "nn/fastmath.h"
#include "nn/unary.h"

static const real root = (real)0.79788456080286536, cubic = (real)0.044715;

static inline real inner(real x)
{
    return root * (x + cubic * x * x * x);
}

/* 1 - tanh^2, and 0 where the last bit of tanh would be multiplied by a large x. */
static inline real slope_of(real h, real u)
{
    return fabs(u) > 9 ? 0 : 1 - h * h;
}

static inline real first(real x)
{
    const real u = inner(x), h = nn_fast_tanh(u);
    return (real)0.5 * (1 + h) + (real)0.5 * x * slope_of(h, u) * root * (1 + 3 * cubic * x * x);
}

static inline real second(real x)
{
    const real u = inner(x), h = nn_fast_tanh(u), d = root * (1 + 3 * cubic * x * x), dd = 6 * root * cubic * x;
    return slope_of(h, u) * (d + (real)0.5 * x * (dd - 2 * h * d * d));
}

NN_UNARY_KERNEL(forward, (void)0, (real)0.5 * u * (1 + nn_fast_tanh(inner(u))))
NN_UNARY_KERNEL(grad_forward, (void)0, u * first(v))
NN_UNARY_KERNEL(second_forward, (void)0, u * second(v))

static const nn_op second_op = {
    NN_UNARY_LAST,
    .name = "gelu_tanh_grad_grad",
    .summary = "u f''(v), f of gelu_tanh",
    .forward = second_forward,
};

static const nn_op grad_op = {
    NN_UNARY_GRAD,
    .name = "gelu_tanh_grad",
    .summary = "u f'(v), f of gelu_tanh",
    .forward = grad_forward,
    .derivative = &second_op,
};

const nn_op nn_op_gelu_tanh = {
    .name = "gelu_tanh",
    .summary = "x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2",
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

nn_node *nn_gelu_tanh(nn_tape *t, nn_node *x)
{
    return nn_apply(t, &nn_op_gelu_tanh, NULL, 1, &x);
}
