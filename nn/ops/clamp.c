/* nn/ops/clamp.c - x limited to low..high, either of which may be infinite; dx = dy within, the limits included, 0 outside. */
#include "nn/unary.h"

#include <stdio.h>

typedef struct attr { double low, high; } attr;

/* The options as the kernels want them. */
#define OPTIONS \
    const real low = (real)((const attr *)y->attr)->low; \
    const real high = (real)((const attr *)y->attr)->high; \
    (void)low; (void)high

NN_UNARY_KERNEL(forward, OPTIONS, u < low ? low : u > high ? high : u)
NN_UNARY_KERNEL(grad_forward, OPTIONS, v < low || v > high ? 0 : u)

static const nn_op grad_op = {
    NN_UNARY_STEP,
    .name = "clamp_grad",
    .summary = "u f'(v), f of clamp",
    .attr_size = sizeof(attr),
    .forward = grad_forward,
};

static int parse(const char *text, void *out)
{
    attr *a = out;
    return sscanf(text, "%lf %lf", &a->low, &a->high) == 2;
}

static bl_status shape(nn_node *y, bl_error *err)
{
    const attr *a = y->attr;
    if (!(a->low <= a->high))
        return bl_fail(err, BL_EARG, "clamp: low %g is above high %g", a->low, a->high);
    return nn_same_shape_rule(y, err);
}

const nn_op nn_op_clamp = {
    .name = "clamp",
    .summary = "x limited to low..high",
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
    .examples = (const char *const[]){ "[2,3,5]; -0.5 0.6", NULL },
};

nn_node *nn_clamp(nn_tape *t, nn_node *x, double low, double high)
{
    return nn_apply(t, &nn_op_clamp, &(attr){ low, high }, 1, &x);
}
