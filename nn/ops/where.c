/* nn/ops/where.c - a where the condition is not 0, b elsewhere; what is not taken has no gradient, and may be NaN or infinite.
 *
 * in       condition (no gradient), a, b of one shape; nn_where broadcasts them first
 */
#include "nn/broadcast.h"
#include "nn/unary.h"

static void forward(nn_tape *tape, nn_node *y)
{
    const int64_t n = nn_count(&y->shape);
    const real *restrict c = y->in[0]->x, *restrict a = y->in[1]->x, *restrict b = y->in[2]->x;
    real *restrict out = y->x;
    (void)tape;
#pragma omp parallel for simd schedule(static) if (parallel : n > NN_PARALLEL_MIN)
    for (int64_t i = 0; i < n; i++)
        out[i] = c[i] != 0 ? a[i] : b[i];
}

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    nn_node *zero = nn_full(t, dy->shape, 0);
    if (nn_wants_grad(t, y->in[1]))
        din[1] = nn_where(t, y->in[0], dy, zero);
    if (nn_wants_grad(t, y->in[2]))
        din[2] = nn_where(t, y->in[0], zero, dy);
}

const nn_op nn_op_where = {
    .name = "where",
    .summary = "one of two values, by a condition",
    .min_in = 3,
    .max_in = 3,
    .shape = nn_same_shape_rule,
    .forward = forward,
    .backward = backward,
    .no_grad = 1,
    .unread = NN_READ_IN(1) | NN_READ_IN(2) | NN_READ_OUT,
    .examples = (const char *const[]){ "[2,3,5]:0..0 [2,3,5] [2,3,5]", "[7]:1..2 [7] [7]", NULL },
};

nn_node *nn_where(nn_tape *t, nn_node *condition, nn_node *a, nn_node *b)
{
    nn_node *in[3] = { condition, a, b };
    if (t->err.code)
        return NULL;
    nn_shape s = { 0, { 0 } };
    for (int i = 0; i < 3; i++)
        if (in[i]->shape.rank > s.rank)
            s.rank = in[i]->shape.rank;
    for (int d = 0; d < s.rank; d++) {
        s.dim[d] = 1;
        for (int i = 0; i < 3; i++) {
            const int at = d - (s.rank - in[i]->shape.rank);
            if (at >= 0 && in[i]->shape.dim[at] != 1)
                s.dim[d] = in[i]->shape.dim[at];
        }
    }
    for (int i = 0; i < 3 && !t->err.code; i++)
        if (!nn_same_shape(&in[i]->shape, &s))
            in[i] = nn_broadcast_to(t, in[i], s);
    return nn_apply(t, &nn_op_where, NULL, 3, in);
}
