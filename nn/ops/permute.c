/* nn/ops/permute.c - dimensions in another order: y.dim[i] = x.dim[order[i]]. */
#include "nn/nest.h"
#include "nn/ops.h"

#include <stdio.h>
#include <string.h>

enum { BLOCK = 32 };

typedef struct attr { int order[NN_MAX_RANK]; } attr;

static bl_status shape(nn_node *y, bl_error *err)
{
    const nn_shape *x = &y->in[0]->shape;
    const attr *a = y->attr;
    unsigned seen = 0;
    y->shape.rank = x->rank;
    for (int d = 0; d < x->rank; d++) {
        if (a->order[d] < 0 || a->order[d] >= x->rank || seen & (1u << a->order[d]))
            return bl_fail(err, BL_EARG, "permute: the order of %d dimensions must name each once", x->rank);
        seen |= 1u << a->order[d];
        y->shape.dim[d] = x->dim[a->order[d]];
    }
    return BL_OK;
}

/* to[i * to_step + j] = from[i + j * from_step] for i < n <= BLOCK. Both sides are walked in whole cache lines, with a block
 * between them: rows a power of two apart would drive each other out of the cache. */
static void transpose(real *restrict to, int64_t to_step, const real *restrict from, int64_t from_step, int64_t n, int64_t m)
{
    real block[BLOCK][BLOCK + 1];
    for (int64_t j0 = 0; j0 < m; j0 += BLOCK) {
        const int64_t count = m - j0 < BLOCK ? m - j0 : BLOCK;
        for (int64_t j = 0; j < count; j++)
            for (int64_t i = 0; i < n; i++)
                block[j][i] = from[i + (j0 + j) * from_step];
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < count; j++)
                to[i * to_step + j0 + j] = block[j][i];
    }
}

static void forward(nn_tape *t, nn_node *y)
{
    const nn_shape *x = &y->in[0]->shape;
    const attr *a = y->attr;
    int64_t x_stride[NN_MAX_RANK], stride[2][NN_MAX_RANK], step = 1;
    (void)t;
    for (int d = x->rank - 1; d >= 0; d--) {
        x_stride[d] = step;
        step *= x->dim[d];
    }
    step = 1;
    for (int d = x->rank - 1; d >= 0; d--) {
        stride[0][d] = x_stride[a->order[d]];
        stride[1][d] = step;
        step *= y->shape.dim[d];
    }
    const nn_nest l = nn_nest_strided(&y->shape, 2, (const int64_t (*)[NN_MAX_RANK])stride);
    const int64_t *n = l.n, *sx = l.step[0], *sy = l.step[1], count = nn_count(&y->shape);
    if (count == 0)
        return;
    if (sx[3] <= 1) {
        const int64_t rows = n[0] * n[1] * n[2];
#pragma omp parallel for schedule(static) if (count > NN_PARALLEL_MIN)
        for (int64_t r = 0; r < rows; r++)
            memcpy(y->x + r * n[3], y->in[0]->x + nn_nest_at(&l, 0, r), (size_t)n[3] * sizeof(real));
        return;
    }
    /* The loop over which x is contiguous and the inner one make a matrix to transpose; the other two are outside. */
    int along = 0, other[2], k = 0;
    while (sx[along] != 1 || n[along] == 1)
        along++;
    for (int d = 0; d < 3; d++)
        if (d != along)
            other[k++] = d;
    const int64_t strips = (n[along] + BLOCK - 1) / BLOCK, tasks = n[other[0]] * n[other[1]] * strips;
#pragma omp parallel for schedule(static) if (count > NN_PARALLEL_MIN)
    for (int64_t task = 0; task < tasks; task++) {
        const int64_t i = task % strips * BLOCK, p = task / strips / n[other[1]], q = task / strips % n[other[1]];
        transpose(y->x + p * sy[other[0]] + q * sy[other[1]] + i * sy[along], sy[along],
                  y->in[0]->x + p * sx[other[0]] + q * sx[other[1]] + i, sx[3],
                  n[along] - i < BLOCK ? n[along] - i : BLOCK, n[3]);
    }
}

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    const attr *a = y->attr;
    int inverse[NN_MAX_RANK];
    for (int d = 0; d < y->shape.rank; d++)
        inverse[a->order[d]] = d;
    din[0] = nn_permute(t, dy, inverse);
}

static int parse(const char *text, void *out)
{
    int *o = ((attr *)out)->order;
    return sscanf(text, "%d %d %d %d", &o[0], &o[1], &o[2], &o[3]) > 0;
}

const nn_op nn_op_permute = {
    .name = "permute",
    .summary = "dimensions in another order",
    .min_in = 1,
    .max_in = 1,
    .attr_size = sizeof(attr),
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_ANY,
    .cheap = 1,
    .parse = parse,
    .examples = (const char *const[]){ "[2,3,4]; 0 2 1", "[2,3,4]; 2 0 1", "[2,3,2,3]; 3 1 0 2", "[3,5]; 1 0", "[33,2]; 1 0", "[2,1,33]; 2 1 0", NULL },
};

nn_node *nn_permute(nn_tape *t, nn_node *x, const int *order)
{
    attr a = { { 0 } };
    for (int d = 0; !t->err.code && d < x->shape.rank; d++)
        a.order[d] = order[d];
    return nn_apply(t, &nn_op_permute, &a, 1, &x);
}
