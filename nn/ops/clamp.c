/* nn/ops/clamp.c - x limited to low..high; dx = dy inside, 0 outside.
 *
 * clamp_grad(dy, x) is linear in dy and constant in x almost everywhere: its own gradient is itself.
 */
#include "nn/unary.h"

#include <stdio.h>

typedef struct attr { double low, high; } attr;

static int parse(const char *text, void *out)
{
    attr *a = out;
    return sscanf(text, "%lf %lf", &a->low, &a->high) == 2;
}

NN_UNARY_KERNEL(grad_forward, const real low = (real)((const attr *)y->attr)->low; const real high = (real)((const attr *)y->attr)->high,
                v < low || v > high ? 0 : u)

static nn_node *grad(nn_tape *t, nn_node *dy, nn_node *v, const attr *a);

static void grad_backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    if (nn_wants_grad(t, y->in[0]))
        din[0] = grad(t, dy, y->in[1], y->attr);
}

static const nn_op grad_op = {
    .name = "clamp_grad",
    .summary = "dy where x lies in low..high",
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

static bl_status shape(nn_node *y, bl_error *err)
{
    const attr *a = y->attr;
    if (!(a->low <= a->high))
        return bl_fail(err, BL_EARG, "clamp: low %g is above high %g", a->low, a->high);
    return nn_same_shape_rule(y, err);
}

NN_UNARY_KERNEL(forward, const real low = (real)((const attr *)y->attr)->low; const real high = (real)((const attr *)y->attr)->high,
                u < low ? low : u > high ? high : u)

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    din[0] = grad(t, dy, y->in[0], y->attr);
}

const nn_op nn_op_clamp = {
    .name = "clamp",
    .summary = "x limited to low..high",
    .min_in = 1,
    .max_in = 1,
    .attr_size = sizeof(attr),
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_OUT,
    .parse = parse,
    .examples = (const char *const[]){ "[2,3,5]; -0.5 0.6", NULL },
};

nn_node *nn_clamp(nn_tape *t, nn_node *x, double low, double high)
{
    return nn_apply(t, &nn_op_clamp, &(attr){ low, high }, 1, &x);
}
