/* nn/ops/pow.c - x to a constant power; f' = p x^(p - 1). A negative x to a fraction is NaN, as in C. */
#include "nn/unary.h"

#include <stdio.h>

typedef struct attr { double p; } attr;

/* The options as the kernels want them. */
#define OPTIONS \
    const real p = (real)((const attr *)y->attr)->p; \
    (void)p

NN_UNARY_KERNEL(forward, OPTIONS, pow(u, p))
NN_UNARY_KERNEL(grad_forward, OPTIONS, p == 0 ? 0 : u * p * pow(v, p - 1))
NN_UNARY_KERNEL(second_forward, OPTIONS, p == 0 || p == 1 ? 0 : u * p * (p - 1) * pow(v, p - 2))

static const nn_op second_op = {
    NN_UNARY_LAST,
    .name = "pow_grad_grad",
    .summary = "u f''(v), f of pow",
    .attr_size = sizeof(attr),
    .forward = second_forward,
};

static const nn_op grad_op = {
    NN_UNARY_GRAD,
    .name = "pow_grad",
    .summary = "u f'(v), f of pow",
    .attr_size = sizeof(attr),
    .forward = grad_forward,
    .derivative = &second_op,
};

static int parse(const char *text, void *out)
{
    attr *a = out;
    return sscanf(text, "%lf", &a->p) == 1;
}

const nn_op nn_op_pow = {
    .name = "pow",
    .summary = "x to a constant power",
    .min_in = 1,
    .max_in = 1,
    .attr_size = sizeof(attr),
    .shape = nn_same_shape_rule,
    .in_place = 1,
    .forward = forward,
    .backward = nn_unary_backward,
    .derivative = &grad_op,
    .unread = NN_READ_OUT,
    .parse = parse,
    .examples = (const char *const[]){ "[2,3,5]:0.3..2; 1.7", "[2,3,5]; 3", "[2,3,5]:0.5..2; -1", "[2,3,5]; 0", NULL },
};

nn_node *nn_pow(nn_tape *t, nn_node *x, double p)
{
    return nn_apply(t, &nn_op_pow, &(attr){ p }, 1, &x);
}
