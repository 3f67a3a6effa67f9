/* nn/ops/leaky_relu.c - y = x where x > 0, slope x elsewhere. slope 0 is ReLU.
 *
 * The model of an elementwise op (nn/unary.h): the gradient is an op of its own, dy f'(y). It looks at the sign of the output,
 * so that the input, mostly the result of a convolution, need not be kept. For that slope must not be negative; then
 * nn_leaky_relu composes.
 *
 * source   Maas, Hannun, Ng, "Rectifier Nonlinearities Improve Neural Network Acoustic Models", 2013
 */
#include "nn/unary.h"

#include <stdio.h>

typedef struct attr { double slope; } attr;

/* The options as the kernels want them. */
#define OPTIONS \
    const real slope = (real)((const attr *)y->attr)->slope; \
    (void)slope

NN_UNARY_KERNEL(forward, OPTIONS, u > 0 ? u : slope * u)
NN_UNARY_KERNEL(grad_forward, OPTIONS, v > 0 ? u : slope * u)

static const nn_op grad_op = {
    NN_UNARY_STEP,
    .name = "leaky_relu_grad",
    .summary = "u f'(v), f of leaky_relu",
    .attr_size = sizeof(attr),
    .forward = grad_forward,
};

static int parse(const char *text, void *out)
{
    attr *a = out;
    return sscanf(text, "%lf", &a->slope) == 1;
}

static bl_status shape(nn_node *y, bl_error *err)
{
    const attr *a = y->attr;
    if (!(a->slope >= 0))
        return bl_fail(err, BL_EARG, "leaky_relu: slope %g is negative", a->slope);
    return nn_same_shape_rule(y, err);
}

const nn_op nn_op_leaky_relu = {
    .name = "leaky_relu",
    .summary = "x where x > 0, slope x elsewhere",
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
    .examples = (const char *const[]){ "[2,3,5]; 0.2", "[2,3,5]; 0", NULL },
};

nn_node *nn_leaky_relu(nn_tape *t, nn_node *x, double negative_slope)
{
    if (negative_slope >= 0)
        return nn_apply(t, &nn_op_leaky_relu, &(attr){ negative_slope }, 1, &x);
    if (x)
        x->last_use = 0; /* taken twice */
    nn_node *rectified = nn_leaky_relu(t, x, 0);
    return nn_add(t, nn_affine(t, x, negative_slope, 0), nn_affine(t, rectified, 1 - negative_slope, 0));
}
