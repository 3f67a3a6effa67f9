/* nn/ops/sigmoid.c - 1 / (1 + exp(-x)).
 *
 *     dx = dy y (1 - y), fused as sigmoid_grad(dy, y); that one's gradient is composed of products.
 */
#include "nn/fastmath.h"
#include "nn/unary.h"

NN_UNARY_KERNEL(grad_forward, (void)0, u * v * (1 - v))

static nn_node *grad(nn_tape *t, nn_node *dy, nn_node *v);

static void grad_backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    if (nn_wants_grad(t, y->in[0]))
        din[0] = grad(t, dy, y->in[1]);
    if (nn_wants_grad(t, y->in[1]))
        din[1] = nn_mul(t, nn_mul(t, dy, y->in[0]), nn_affine(t, y->in[1], -2, 1));
}

static const nn_op grad_op = {
    .name = "sigmoid_grad",
    .summary = "dy y (1 - y)",
    .min_in = 2,
    .max_in = 2,
    .shape = nn_same_shape_rule,
    .in_place = 1,
    .forward = grad_forward,
    .backward = grad_backward,
    .unread = NN_READ_OUT,
};

static nn_node *grad(nn_tape *t, nn_node *dy, nn_node *v)
{
    return nn_apply(t, &grad_op, NULL, 2, (nn_node *const[]){ dy, v });
}

NN_UNARY_KERNEL(forward, (void)0, nn_fast_sigmoid(u))

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    din[0] = grad(t, nn_last_use(dy), y);
}

const nn_op nn_op_sigmoid = {
    .name = "sigmoid",
    .summary = "1 / (1 + exp(-x))",
    .min_in = 1,
    .max_in = 1,
    .shape = nn_same_shape_rule,
    .in_place = 1,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_IN(0),
    .examples = (const char *const[]){ "[2,3,5]:-3..3", NULL },
};

nn_node *nn_sigmoid(nn_tape *t, nn_node *x)
{
    return nn_apply(t, &nn_op_sigmoid, NULL, 1, &x);
}
