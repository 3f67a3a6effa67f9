/* nn/ops/permute.c - dimensions in another order: y.dim[i] = x.dim[order[i]]. */
#include "nn/ops.h"

#include <stdio.h>

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

static void forward(nn_tape *t, nn_node *y)
{
    const nn_shape *x = &y->in[0]->shape;
    const attr *a = y->attr;
    const int rank = x->rank, lead = NN_MAX_RANK - rank;
    int64_t n[4] = { 1, 1, 1, 1 }, stride[4] = { 0 }, x_stride[4];
    (void)t;
    for (int d = rank - 1; d >= 0; d--)
        x_stride[d] = d == rank - 1 ? 1 : x_stride[d + 1] * x->dim[d + 1];
    for (int d = 0; d < rank; d++) {
        n[lead + d] = y->shape.dim[d];
        stride[lead + d] = x_stride[a->order[d]];
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
    .parse = parse,
    .examples = (const char *const[]){ "[2,3,4]; 0 2 1", "[2,3,4]; 2 0 1", "[2,3,2,3]; 3 1 0 2", "[3,5]; 1 0", NULL },
};

nn_node *nn_permute(nn_tape *t, nn_node *x, const int *order)
{
    attr a = { { 0 } };
    for (int d = 0; !t->err.code && d < x->shape.rank; d++)
        a.order[d] = order[d];
    return nn_apply(t, &nn_op_permute, &a, 1, &x);
}
