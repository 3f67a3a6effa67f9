/* nn/ops/leaky_relu.c - y = x where x > 0, slope x elsewhere. slope 0 is ReLU.
 *
 * The model of a unary op with a fused gradient kernel: leaky_relu_grad(dy, x) is an op of its own, linear in dy and
 * constant in x, so its own gradient is itself.
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

static nn_node *grad(nn_tape *t, nn_node *dy, nn_node *x, const attr *a);

static void grad_backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    if (nn_wants_grad(t, y->in[0]))
        din[0] = grad(t, dy, y->in[1], y->attr);
}

static const nn_op grad_op = {
    .name = "leaky_relu_grad",
    .summary = "dy where x > 0, slope dy elsewhere",
    .min_in = 2,
    .max_in = 2,
    .attr_size = sizeof(attr),
    .shape = nn_same_shape_rule,
    .forward = grad_forward,
    .backward = grad_backward,
};

static nn_node *grad(nn_tape *t, nn_node *dy, nn_node *x, const attr *a)
{
    return nn_apply(t, &grad_op, a, 2, (nn_node *const[]){ dy, x });
}

NN_UNARY_KERNEL(forward, const real slope = (real)((const attr *)y->attr)->slope, u > 0 ? u : slope * u)

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    din[0] = grad(t, dy, y->in[0], y->attr);
}

const nn_op nn_op_leaky_relu = {
    .name = "leaky_relu",
    .summary = "x where x > 0, slope x elsewhere",
    .min_in = 1,
    .max_in = 1,
    .attr_size = sizeof(attr),
    .shape = nn_same_shape_rule,
    .forward = forward,
    .backward = backward,
    .parse = parse,
    .examples = (const char *const[]){ "[2,3,5]; 0.2", "[2,3,5]; 0", NULL },
};

nn_node *nn_leaky_relu(nn_tape *t, nn_node *x, double negative_slope)
{
    return nn_apply(t, &nn_op_leaky_relu, &(attr){ negative_slope }, 1, &x);
}
