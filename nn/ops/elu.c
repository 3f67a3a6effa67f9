/* nn/ops/elu.c - y = scale x where x > 0, scale alpha (exp(input_scale x) - 1) elsewhere: ELU, SELU and CELU.
 *
 *     f' by the output: scale where y > 0, input_scale (y + scale alpha) elsewhere
 *
 * source   Clevert, Unterthiner, Hochreiter, 2016 (ELU); Klambauer et al., 2017 (SELU); Barron, 2017 (CELU)
 */
#include "nn/fastmath.h"
#include "nn/unary.h"

#include <stdio.h>

typedef struct attr { double alpha, scale, input_scale; } attr;

/* The options as the kernels want them. */
#define OPTIONS \
    const real alpha = (real)((const attr *)y->attr)->alpha; \
    const real scale = (real)((const attr *)y->attr)->scale; \
    const real input_scale = (real)((const attr *)y->attr)->input_scale; \
    (void)alpha; (void)scale; (void)input_scale

NN_UNARY_KERNEL(forward, OPTIONS, u > 0 ? scale * u : scale * alpha * nn_fast_expm1(u * input_scale))
NN_UNARY_KERNEL(grad_forward, OPTIONS, v > 0 ? scale * u : u * input_scale * (v + scale * alpha))
NN_UNARY_KERNEL(second_forward, OPTIONS, v > 0 ? 0 : u * input_scale)

static const nn_op second_op = {
    NN_UNARY_LAST,
    .name = "elu_grad_grad",
    .summary = "u f''(v), f of elu",
    .attr_size = sizeof(attr),
    .forward = second_forward,
};

static const nn_op grad_op = {
    NN_UNARY_GRAD,
    .name = "elu_grad",
    .summary = "u f'(v), f of elu",
    .attr_size = sizeof(attr),
    .forward = grad_forward,
    .derivative = &second_op,
};

static int parse(const char *text, void *out)
{
    attr *a = out;
    return sscanf(text, "%lf %lf %lf", &a->alpha, &a->scale, &a->input_scale) == 3;
}

static bl_status shape(nn_node *y, bl_error *err)
{
    const attr *a = y->attr;
    if (!(a->alpha >= 0 && a->scale > 0 && a->input_scale > 0))
        return bl_fail(err, BL_EARG, "elu: alpha %g must not be negative, scale %g and input_scale %g must be positive",
                       a->alpha, a->scale, a->input_scale);
    return nn_same_shape_rule(y, err);
}

const nn_op nn_op_elu = {
    .name = "elu",
    .summary = "scale x where x > 0, scale alpha (exp(input_scale x) - 1) elsewhere",
    .min_in = 1,
    .max_in = 1,
    .attr_size = sizeof(attr),
    .shape = shape,
    .in_place = 1,
    .forward = forward,
    .backward = nn_unary_backward,
    .derivative = &grad_op,
    .by_output = 1,
    .unread = NN_READ_IN(0),
    .parse = parse,
    .examples = (const char *const[]){ "[2,3,5]:-3..3; 0.7 1.3 0.9", "[2,3,5]; 1 1 1", NULL },
};

nn_node *nn_elu(nn_tape *t, nn_node *x, double alpha, double scale, double input_scale)
{
    return nn_apply(t, &nn_op_elu, &(attr){ alpha, scale, input_scale }, 1, &x);
}
