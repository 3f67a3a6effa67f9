/* nn/ops/softplus.c - log(1 + exp x) = max(x, 0) + log(1 + exp(-|x|)), which cannot overflow; dx = dy sigmoid(x). */
#include "nn/fastmath.h"
#include "nn/unary.h"

NN_UNARY_KERNEL(forward, (void)0, (u > 0 ? u : 0) + log1p(nn_fast_exp(-fabs(u))))

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    din[0] = nn_mul(t, dy, nn_sigmoid(t, y->in[0]));
}

const nn_op nn_op_softplus = {
    .name = "softplus",
    .summary = "log(1 + exp x)",
    .min_in = 1,
    .max_in = 1,
    .shape = nn_same_shape_rule,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_OUT,
    .examples = (const char *const[]){ "[2,3,5]:-5..5", NULL },
};

nn_node *nn_softplus(nn_tape *t, nn_node *x)
{
    return nn_apply(t, &nn_op_softplus, NULL, 1, &x);
}
