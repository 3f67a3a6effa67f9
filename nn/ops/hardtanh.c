/* nn/ops/hardtanh.c - x limited to low..high as clamp, but dx = 0 at the limits too, as torch.nn.Hardtanh and ReLU6. */
#include "nn/unary.h"

#include <stdio.h>

typedef struct attr { double low, high; } attr;

/* The options as the kernels want them. */
#define OPTIONS \
    const real low = (real)((const attr *)y->attr)->low; \
    const real high = (real)((const attr *)y->attr)->high; \
    (void)low; (void)high

NN_UNARY_KERNEL(forward, OPTIONS, u < low ? low : u > high ? high : u)
NN_UNARY_KERNEL(grad_forward, OPTIONS, v > low && v < high ? u : 0)

static const nn_op grad_op = {
    NN_UNARY_STEP,
    .name = "hardtanh_grad",
    .summary = "u f'(v), f of hardtanh",
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
    if (!(a->low < a->high))
        return bl_fail(err, BL_EARG, "hardtanh: min_val %g is not below max_val %g", a->low, a->high);
    return nn_same_shape_rule(y, err);
}

const nn_op nn_op_hardtanh = {
    .name = "hardtanh",
    .summary = "x limited to low..high, flat at the limits",
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

nn_node *nn_hardtanh(nn_tape *t, nn_node *x, double low, double high)
{
    return nn_apply(t, &nn_op_hardtanh, &(attr){ low, high }, 1, &x);
}
