/* nn/ops/gather.c - elements named by an index along one dimension, as torch.gather.
 *
 *     y[i,j,k] = x[i, index[i,j,k], k]        for dim 1
 *
 * in       x, index of the same rank (no gradient), nowhere longer than x but along dim; values 0 .. n - 1, n = x's size along dim
 * out      as index
 * errors   BL_ESHAPE: shapes;  BL_EARG: an index outside
 *
 * Its gradient is scatter_add, and the other way round.
 */
#include "nn/gather.h"

#include <stdio.h>

static bl_status shape(nn_node *y, bl_error *err)
{
    y->shape = y->in[1]->shape;
    return nn_gather_check(&y->in[0]->shape, y->in[1], *(const int *)y->attr, "gather", err);
}

static void forward(nn_tape *t, nn_node *y)
{
    const int dim = *(const int *)y->attr;
    const nn_shape *x = &y->in[0]->shape, *index = &y->shape;
    const int64_t n = index->dim[dim], count = nn_count(index), lines = n ? count / n : 0;
    const int64_t x_step = nn_gather_step(x, dim), step = nn_gather_step(index, dim);
    (void)t;
#pragma omp parallel for schedule(static) if (count > NN_PARALLEL_MIN)
    for (int64_t i = 0; i < lines; i++) {
        const nn_gather_line at = nn_gather_line_at(x, index, dim, i);
        for (int64_t j = 0; j < n; j++)
            y->x[at.index + j * step] = y->in[0]->x[at.x + (int64_t)y->in[1]->x[at.index + j * step] * x_step];
    }
}

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    din[0] = nn_scatter_add(t, dy, *(const int *)y->attr, y->in[1], y->in[0]->shape);
}

static int parse(const char *text, void *out)
{
    return sscanf(text, "%d", (int *)out) == 1;
}

const nn_op nn_op_gather = {
    .name = "gather",
    .summary = "elements named by an index along one dimension",
    .min_in = 2,
    .max_in = 2,
    .attr_size = sizeof(int),
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .no_grad = NN_READ_IN(1),
    .unread = NN_READ_IN(0) | NN_READ_OUT,
    .parse = parse,
    .examples = (const char *const[]){ "[2,3,4] [2,5,4]:0..3; 1", "[5] [3]:0..5; 0", "[2,3,4] [1,2,6]:0..4; 2",
                                       "[4,2,2,2] [3,1,2,2]:0..4; 0", NULL },
};

nn_node *nn_gather(nn_tape *t, nn_node *x, int dim, nn_node *index)
{
    return nn_apply(t, &nn_op_gather, &dim, 2, (nn_node *const[]){ x, index });
}
