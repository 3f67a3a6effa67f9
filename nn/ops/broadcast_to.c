/* nn/ops/broadcast_to.c - a tensor repeated to a larger shape by NumPy's rule. Its gradient is sum_to. */
#include "nn/nest.h"
#include "nn/ops.h"

#include <stdio.h>
#include <string.h>

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
    const nn_nest l = nn_nest_of(&y->shape, 1, (const nn_shape *const[]){ &y->in[0]->shape });
    const int64_t rows = l.n[0] * l.n[1] * l.n[2], n = l.n[3];
    (void)t;
#pragma omp parallel for schedule(static) if (rows * n > NN_PARALLEL_MIN)
    for (int64_t r = 0; r < rows; r++) {
        const real *from = y->in[0]->x + nn_nest_at(&l, 0, r);
        real *to = y->x + r * n;
        if (l.step[0][3]) {
            memcpy(to, from, (size_t)n * sizeof *to);
        } else {
            const real value = *from;
            for (int64_t i = 0; i < n; i++)
                to[i] = value;
        }
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
    .cheap = 1,
    .parse = parse,
    .examples = (const char *const[]){ "[3,1]; 2 3 4", "[1]; 5", "[2,1,4]; 2 3 4", NULL },
};

nn_node *nn_broadcast_to(nn_tape *t, nn_node *x, nn_shape s)
{
    return nn_apply(t, &nn_op_broadcast_to, &s, 1, &x);
}
