/* nn/ops/sign.c - 1, 0 or -1. Constant almost everywhere: no gradient. */
#include "nn/unary.h"

NN_UNARY_KERNEL(forward, (void)0, u > 0 ? 1 : u < 0 ? -1 : 0)

const nn_op nn_op_sign = {
    .name = "sign",
    .summary = "1, 0 or -1",
    .min_in = 1,
    .max_in = 1,
    .shape = nn_same_shape_rule,
    .in_place = 1,
    .forward = forward,
    .unread = NN_READ_IN(0) | NN_READ_OUT,
    .examples = (const char *const[]){ "[2,3,5]:-3..3", NULL },
};

nn_node *nn_sign(nn_tape *t, nn_node *x)
{
    return nn_apply(t, &nn_op_sign, NULL, 1, &x);
}
