/* nn/ops/abs.c - absolute value; dx = dy sign(x), 0 at 0.
 *
 * abs_grad(dy, x) is linear in dy and constant in x almost everywhere: its own gradient is itself.
 */
#include "nn/unary.h"

NN_UNARY_KERNEL(grad_forward, (void)0, v > 0 ? u : v < 0 ? -u : 0)

static nn_node *grad(nn_tape *t, nn_node *dy, nn_node *v);

static void grad_backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    if (nn_wants_grad(t, y->in[0]))
        din[0] = grad(t, dy, y->in[1]);
}

static const nn_op grad_op = {
    .name = "abs_grad",
    .summary = "dy sign(x)",
    .min_in = 2,
    .max_in = 2,
    .shape = nn_same_shape_rule,
    .forward = grad_forward,
    .backward = grad_backward,
    .unread = NN_READ_IN(0) | NN_READ_OUT,
};

static nn_node *grad(nn_tape *t, nn_node *dy, nn_node *v)
{
    return nn_apply(t, &grad_op, NULL, 2, (nn_node *const[]){ dy, v });
}

NN_UNARY_KERNEL(forward, (void)0, fabs(u))

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    din[0] = grad(t, dy, y->in[0]);
}

const nn_op nn_op_abs = {
    .name = "abs",
    .summary = "absolute value",
    .min_in = 1,
    .max_in = 1,
    .shape = nn_same_shape_rule,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_OUT,
    .examples = (const char *const[]){ "[2,3,5]", NULL },
};

nn_node *nn_abs(nn_tape *t, nn_node *x)
{
    return nn_apply(t, &nn_op_abs, NULL, 1, &x);
}
