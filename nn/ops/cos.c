/* nn/ops/cos.c - cosine; dx = -dy sin x. */
#include "nn/fastmath.h"
#include "nn/unary.h"

NN_UNARY_KERNEL(forward, (void)0, nn_fast_cos(u))

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    din[0] = nn_affine(t, nn_mul(t, dy, nn_sin(t, y->in[0])), -1, 0);
}

const nn_op nn_op_cos = {
    .name = "cos",
    .summary = "cosine",
    .min_in = 1,
    .max_in = 1,
    .shape = nn_same_shape_rule,
    .in_place = 1,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_OUT,
    .examples = (const char *const[]){ "[2,3,5]:-7..7", NULL },
};

nn_node *nn_cos(nn_tape *t, nn_node *x)
{
    return nn_apply(t, &nn_op_cos, NULL, 1, &x);
}
