/* nn/ops/silu.c - x sigmoid(x), also called swish.
 *
 * source   Elfwing, Uchibe, Doya, 2017; Ramachandran, Zoph, Le, 2017
 */
#include "nn/fastmath.h"
#include "nn/unary.h"

static inline real first(real x)
{
    const real s = nn_fast_sigmoid(x);
    return s * (1 + x * (1 - s));
}

static inline real second(real x)
{
    const real s = nn_fast_sigmoid(x);
    return s * (1 - s) * (2 + x * (1 - 2 * s));
}

NN_UNARY_KERNEL(forward, (void)0, u * nn_fast_sigmoid(u))
NN_UNARY_KERNEL(grad_forward, (void)0, u * first(v))
NN_UNARY_KERNEL(second_forward, (void)0, u * second(v))

static const nn_op second_op = {
    NN_UNARY_LAST,
    .name = "silu_grad_grad",
    .summary = "u f''(v), f of silu",
    .forward = second_forward,
};

static const nn_op grad_op = {
    NN_UNARY_GRAD,
    .name = "silu_grad",
    .summary = "u f'(v), f of silu",
    .forward = grad_forward,
    .derivative = &second_op,
};

const nn_op nn_op_silu = {
    .name = "silu",
    .summary = "x sigmoid(x)",
    .min_in = 1,
    .max_in = 1,
    .shape = nn_same_shape_rule,
    .in_place = 1,
    .forward = forward,
    .backward = nn_unary_backward,
    .derivative = &grad_op,
    .unread = NN_READ_OUT,
    .examples = (const char *const[]){ "[2,3,5]:-4..4", NULL },
};

nn_node *nn_silu(nn_tape *t, nn_node *x)
{
    return nn_apply(t, &nn_op_silu, NULL, 1, &x);
}
