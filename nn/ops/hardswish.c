/* nn/ops/hardswish.c - x hardsigmoid(x): 0 below -3, x above 3, x (x + 3) / 6 between.
 *
 * source   Howard et al., "Searching for MobileNetV3", 2019
 */
#include "nn/unary.h"

NN_UNARY_KERNEL(forward, (void)0, u <= -3 ? 0 : u >= 3 ? u : u * (u + 3) / 6)
NN_UNARY_KERNEL(grad_forward, (void)0, v < -3 ? 0 : v <= 3 ? u * (v / 3 + (real)0.5) : u)
NN_UNARY_KERNEL(second_forward, (void)0, v < -3 || v > 3 ? 0 : u / 3)

static const nn_op second_op = {
    NN_UNARY_LAST,
    .name = "hardswish_grad_grad",
    .summary = "u f''(v), f of hardswish",
    .forward = second_forward,
};

static const nn_op grad_op = {
    NN_UNARY_GRAD,
    .name = "hardswish_grad",
    .summary = "u f'(v), f of hardswish",
    .forward = grad_forward,
    .derivative = &second_op,
};

const nn_op nn_op_hardswish = {
    .name = "hardswish",
    .summary = "x times x / 6 + 1/2 limited to 0..1",
    .min_in = 1,
    .max_in = 1,
    .shape = nn_same_shape_rule,
    .in_place = 1,
    .forward = forward,
    .backward = nn_unary_backward,
    .derivative = &grad_op,
    .unread = NN_READ_OUT,
    .examples = (const char *const[]){ "[2,3,5]:-5..5", NULL },
};

nn_node *nn_hardswish(nn_tape *t, nn_node *x)
{
    return nn_apply(t, &nn_op_hardswish, NULL, 1, &x);
}
