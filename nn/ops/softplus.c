/* nn/ops/softplus.c - log(1 + exp(beta x)) / beta = max(x, 0) + log(1 + exp(-|beta x|)) / beta, which cannot overflow.
 * x itself where beta x > threshold, as torch.nn.Softplus.
 */
#include "nn/fastmath.h"
#include "nn/unary.h"

#include <stdio.h>

/* The slope of the sigmoid. */
static inline real slope(real x)
{
    const real s = nn_fast_sigmoid(x);
    return s * (1 - s);
}

typedef struct attr { double beta, threshold; } attr;

/* The options as the kernels want them. */
#define OPTIONS \
    const real beta = (real)((const attr *)y->attr)->beta; \
    const real threshold = (real)((const attr *)y->attr)->threshold; \
    (void)beta; (void)threshold

NN_UNARY_KERNEL(forward, OPTIONS, beta * u > threshold ? u : (u > 0 ? u : 0) + nn_fast_log1p(nn_fast_exp_negative(-fabs(beta * u))) / beta)
NN_UNARY_KERNEL(grad_forward, OPTIONS, beta * v > threshold ? u : u * nn_fast_sigmoid(beta * v))
NN_UNARY_KERNEL(second_forward, OPTIONS, beta * v > threshold ? 0 : u * beta * slope(beta * v))

static const nn_op second_op = {
    NN_UNARY_LAST,
    .name = "softplus_grad_grad",
    .summary = "u f''(v), f of softplus",
    .attr_size = sizeof(attr),
    .forward = second_forward,
};

static const nn_op grad_op = {
    NN_UNARY_GRAD,
    .name = "softplus_grad",
    .summary = "u f'(v), f of softplus",
    .attr_size = sizeof(attr),
    .forward = grad_forward,
    .derivative = &second_op,
};

static int parse(const char *text, void *out)
{
    attr *a = out;
    return sscanf(text, "%lf %lf", &a->beta, &a->threshold) == 2;
}

static bl_status shape(nn_node *y, bl_error *err)
{
    const attr *a = y->attr;
    if (!(a->beta > 0))
        return bl_fail(err, BL_EARG, "softplus: beta is %g, expected more than 0", a->beta);
    return nn_same_shape_rule(y, err);
}

const nn_op nn_op_softplus = {
    .name = "softplus",
    .summary = "log(1 + exp(beta x)) / beta",
    .min_in = 1,
    .max_in = 1,
    .attr_size = sizeof(attr),
    .shape = shape,
    .in_place = 1,
    .forward = forward,
    .backward = nn_unary_backward,
    .derivative = &grad_op,
    .unread = NN_READ_OUT,
    .parse = parse,
    .examples = (const char *const[]){ "[2,3,5]:-5..5; 1 20", "[2,3,5]:-5..5; 0.7 2", NULL },
};

nn_node *nn_softplus(nn_tape *t, nn_node *x)
{
    return nn_softplus_beta(t, x, 1, 20);
}

nn_node *nn_softplus_beta(nn_tape *t, nn_node *x, double beta, double threshold)
{
    return nn_apply(t, &nn_op_softplus, &(attr){ beta, threshold }, 1, &x);
}
