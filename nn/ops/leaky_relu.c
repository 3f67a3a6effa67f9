/* nn/ops/leaky_relu.c - y = x where x > 0, slope x elsewhere. slope 0 is ReLU.
 *
 * The model of a unary op with a fused gradient kernel: leaky_relu_grad(dy, y) is an op of its own, linear in dy and
 * constant in y, so its own gradient is itself. y > 0 where x > 0, so that x need not be kept; a negative slope, for which
 * that is not so, is composed of two ReLUs.
 *
 * source   Maas, Hannun, Ng, "Rectifier Nonlinearities Improve Neural Network Acoustic Models", 2013
 */
#include "nn/unary.h"

#include <stdio.h>

typedef struct attr { double slope; } attr;

static int parse(const char *text, void *out)
{
    return sscanf(text, "%lf", &((attr *)out)->slope) == 1;
}

NN_UNARY_KERNEL(grad_forward, const real slope = (real)((const attr *)y->attr)->slope, v > 0 ? u : slope * u)

static nn_node *grad(nn_tape *t, nn_node *dy, nn_node *v, const attr *a);

static void grad_backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    if (nn_wants_grad(t, y->in[0]))
        din[0] = grad(t, dy, y->in[1], y->attr);
}

static const nn_op grad_op = {
    .name = "leaky_relu_grad",
    .summary = "dy where y > 0, slope dy elsewhere",
    .min_in = 2,
    .max_in = 2,
    .attr_size = sizeof(attr),
    .shape = nn_same_shape_rule,
    .forward = grad_forward,
    .backward = grad_backward,
    .unread = NN_READ_IN(0) | NN_READ_OUT,
};

static nn_node *grad(nn_tape *t, nn_node *dy, nn_node *v, const attr *a)
{
    return nn_apply(t, &grad_op, a, 2, (nn_node *const[]){ dy, v });
}

NN_UNARY_KERNEL(forward, const real slope = (real)((const attr *)y->attr)->slope, u > 0 ? u : slope * u)

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    din[0] = grad(t, dy, y, y->attr);
}

static bl_status shape(nn_node *y, bl_error *err)
{
    const double slope = ((const attr *)y->attr)->slope;
    return slope >= 0 ? nn_same_shape_rule(y, err) : bl_fail(err, BL_EARG, "leaky_relu: the op takes no negative slope, got %g", slope);
}

const nn_op nn_op_leaky_relu = {
    .name = "leaky_relu",
    .summary = "x where x > 0, slope x elsewhere",
    .min_in = 1,
    .max_in = 1,
    .attr_size = sizeof(attr),
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_IN(0),
    .parse = parse,
    .examples = (const char *const[]){ "[2,3,5]; 0.2", "[2,3,5]; 0", NULL },
};

nn_node *nn_leaky_relu(nn_tape *t, nn_node *x, double negative_slope)
{
    if (!(negative_slope < 0))
        return nn_apply(t, &nn_op_leaky_relu, &(attr){ negative_slope }, 1, &x);
    nn_node *below = nn_leaky_relu(t, nn_affine(t, x, -1, 0), 0);
    return nn_add(t, nn_leaky_relu(t, x, 0), nn_affine(t, below, -negative_slope, 0));
}
