/* nn/ops/broadcast_to.c - a tensor repeated to a larger shape by NumPy's rule. Its gradient is sum_to. */
#include "nn/ops.h"

#include <stdio.h>

static bl_status shape(nn_node *y, bl_error *err)
{
    const nn_shape *x = &y->in[0]->shape, *s = y->attr;
    char a[96], b[96];
    int fits = x->rank <= s->rank;
    for (int d = 0; fits && d < x->rank; d++) {
        const int64_t n = x->dim[x->rank - 1 - d];
        fits = n == 1 || n == s->dim[s->rank - 1 - d];
    }
    if (!fits)
        return bl_fail(err, BL_ESHAPE, "broadcast_to: %s does not broadcast to %s", nn_shape_str(x, a), nn_shape_str(s, b));
    y->shape = *s;
    return BL_OK;
}

static void forward(nn_tape *t, nn_node *y)
{
    const nn_shape *x = &y->in[0]->shape;
    const int rank = y->shape.rank, lead = NN_MAX_RANK - rank;
    int64_t n[4] = { 1, 1, 1, 1 }, stride[4] = { 0 }, step = 1;
    (void)t;
    for (int d = rank - 1; d >= 0; d--) {
        const int xd = d - (rank - x->rank);
        n[lead + d] = y->shape.dim[d];
        if (xd >= 0) {
            stride[lead + d] = x->dim[xd] == 1 ? 0 : step;
            step *= x->dim[xd];
        }
    }
    const real *in = y->in[0]->x;
    const int64_t rows = n[0] * n[1] * n[2];
#pragma omp parallel for schedule(static) if (rows * n[3] > NN_PARALLEL_MIN)
    for (int64_t r = 0; r < rows; r++) {
        const real *from = in + r / n[2] / n[1] * stride[0] + r / n[2] % n[1] * stride[1] + r % n[2] * stride[2];
        real *to = y->x + r * n[3];
        for (int64_t i = 0; i < n[3]; i++)
            to[i] = from[i * stride[3]];
    }
}

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    din[0] = nn_sum_to(t, dy, y->in[0]->shape);
}

static int parse(const char *text, void *out)
{
    nn_shape *s = out;
    long long d[4];
    s->rank = sscanf(text, "%lld %lld %lld %lld", &d[0], &d[1], &d[2], &d[3]);
    for (int i = 0; i < s->rank; i++)
        s->dim[i] = d[i];
    return s->rank > 0;
}

const nn_op nn_op_broadcast_to = {
    .name = "broadcast_to",
    .summary = "repeats along dimensions of size 1",
    .min_in = 1,
    .max_in = 1,
    .attr_size = sizeof(nn_shape),
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_ANY,
    .parse = parse,
    .examples = (const char *const[]){ "[3,1]; 2 3 4", "[1]; 5", "[2,1,4]; 2 3 4", NULL },
};

nn_node *nn_broadcast_to(nn_tape *t, nn_node *x, nn_shape s)
{
    return nn_apply(t, &nn_op_broadcast_to, &s, 1, &x);
}
