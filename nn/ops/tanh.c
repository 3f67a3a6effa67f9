/* nn/ops/tanh.c - hyperbolic tangent.
 *
 *     dx = dy (1 - y^2), fused as tanh_grad(dy, y); that one's gradient is composed of products.
 */
#include "nn/fastmath.h"
#include "nn/unary.h"

NN_UNARY_KERNEL(grad_forward, (void)0, u * (1 - v * v))

static nn_node *grad(nn_tape *t, nn_node *dy, nn_node *y);

static void grad_backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    if (nn_wants_grad(t, y->in[0]))
        din[0] = grad(t, dy, y->in[1]);
    if (nn_wants_grad(t, y->in[1]))
        din[1] = nn_affine(t, nn_mul(t, nn_mul(t, dy, y->in[0]), y->in[1]), -2, 0);
}

static const nn_op grad_op = {
    .name = "tanh_grad",
    .summary = "dy (1 - y^2)",
    .min_in = 2,
    .max_in = 2,
    .shape = nn_same_shape_rule,
    .in_place = 1,
    .forward = grad_forward,
    .backward = grad_backward,
    .unread = NN_READ_OUT,
};

static nn_node *grad(nn_tape *t, nn_node *dy, nn_node *y)
{
    return nn_apply(t, &grad_op, NULL, 2, (nn_node *const[]){ dy, y });
}

NN_UNARY_KERNEL(forward, (void)0, nn_fast_tanh(u))

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    din[0] = grad(t, nn_last_use(dy), y);
}

const nn_op nn_op_tanh = {
    .name = "tanh",
    .summary = "hyperbolic tangent",
    .min_in = 1,
    .max_in = 1,
    .shape = nn_same_shape_rule,
    .in_place = 1,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_IN(0),
    .examples = (const char *const[]){ "[2,3,5]:-2..2", NULL },
};

nn_node *nn_tanh(nn_tape *t, nn_node *x)
{
    return nn_apply(t, &nn_op_tanh, NULL, 1, &x);
}
