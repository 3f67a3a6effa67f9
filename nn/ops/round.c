/* nn/ops/round.c - the nearest whole number, halves to the even one. Constant almost everywhere: no gradient. */
#include "nn/unary.h"

NN_UNARY_KERNEL(forward, (void)0, rint(u))

const nn_op nn_op_round = {
    .name = "round",
    .summary = "the nearest whole number",
    .min_in = 1,
    .max_in = 1,
    .shape = nn_same_shape_rule,
    .in_place = 1,
    .forward = forward,
    .unread = NN_READ_IN(0) | NN_READ_OUT,
    .examples = (const char *const[]){ "[2,3,5]:-3..3", NULL },
};

nn_node *nn_round(nn_tape *t, nn_node *x)
{
    return nn_apply(t, &nn_op_round, NULL, 1, &x);
}
