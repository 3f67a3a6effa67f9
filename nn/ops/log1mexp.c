/* nn/ops/log1mexp.c - log(1 - exp(-x)) for x > 0: the logarithm of what lies between two logistic curves.
 *
 *     dx = dy / (exp(x) - 1) = dy exp(-x - y)
 *
 * Exact at both ends: log(-expm1(-x)) below ln 2, log1p(-exp(-x)) above. At x = 0 it is -infinity.
 * source   Maechler, "Accurately computing log(1 - exp(-|a|))", 2012
 */
#include "nn/fastmath.h"
#include "nn/unary.h"

NN_UNARY_KERNEL(forward, (void)0, u < (real)0.6931471805599453 ? nn_fast_log(-nn_fast_expm1(-u)) : nn_fast_log1p(-nn_fast_exp(-u)))

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    din[0] = nn_mul(t, dy, nn_exp(t, nn_affine(t, nn_add(t, y->in[0], y), -1, 0)));
}

const nn_op nn_op_log1mexp = {
    .name = "log1mexp",
    .summary = "log(1 - exp(-x)), x > 0",
    .min_in = 1,
    .max_in = 1,
    .shape = nn_same_shape_rule,
    .in_place = 1,
    .forward = forward,
    .backward = backward,
    .examples = (const char *const[]){ "[2,3,5]:0.2..4", NULL },
};

nn_node *nn_log1mexp(nn_tape *t, nn_node *x)
{
    return nn_apply(t, &nn_op_log1mexp, NULL, 1, &x);
}
