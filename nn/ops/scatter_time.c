/* nn/ops/scatter_time.c - adds samples up at given positions: y[.., i] = sum over j with index[j] = i of x[.., j].
 *
 * The adjoint of gather_time. Each row is added up by one thread: the longest run first (nn/time_index.h), then the
 * rest in the order of j.
 *
 * in       x [.., n]
 * out      [.., n_out]
 * errors   BL_EARG: a position outside 0..n_out-1
 */
#include "nn/time_index.h"

#include <string.h>

static bl_status shape(nn_node *y, bl_error *err)
{
    const nn_time_index *by = y->attr;
    const nn_shape *x = &y->in[0]->shape;
    char text[96];
    if (x->rank < 1 || x->dim[x->rank - 1] != by->n || (by->rows != 1 && (x->rank < 2 || x->dim[0] != by->rows)))
        return bl_fail(err, BL_ESHAPE, "scatter_time: x %s, positions for %lld examples of %lld samples",
                       nn_shape_str(x, text), (long long)by->rows, (long long)by->n);
    y->shape = *x;
    y->shape.dim[x->rank - 1] = by->n_source;
    return BL_OK;
}

static void forward(nn_tape *tape, nn_node *y)
{
    const nn_time_index *by = y->attr;
    const int64_t n = by->n, n_out = by->n_source, rows = n_out ? nn_count(&y->shape) / n_out : 0;
    const int64_t per_index = rows / by->rows;
    const real *x = y->in[0]->x;
    (void)tape;
#pragma omp parallel for schedule(static) if (rows * n > NN_PARALLEL_MIN)
    for (int64_t r = 0; r < rows; r++) {
        const int64_t which = by->rows > 1 ? r / per_index : 0, *index = by->index + which * n;
        const nn_time_run run = by->run ? by->run[which] : (nn_time_run){ 0, 0, 0 };
        const int64_t first = run.start + run.shift, last = run.stop + run.shift;
        const real *from = x + r * n;
        real *to = y->x + r * n_out;
        memset(to, 0, (size_t)first * sizeof *to);
        nn_time_copy(to + first, from + run.start, last - first);
        memset(to + last, 0, (size_t)(n_out - last) * sizeof *to);
        for (int64_t j = 0; j < run.start; j++)
            to[index[j]] += from[j];
        for (int64_t j = run.stop; j < n; j++)
            to[index[j]] += from[j];
    }
}

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    din[0] = nn_gather_time_by(t, dy, y->attr);
}

const nn_op nn_op_scatter_time = {
    .name = "scatter_time",
    .summary = "adds samples up at given positions",
    .min_in = 1,
    .max_in = 1,
    .attr_size = sizeof(nn_time_index),
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_ANY,
    .parse = nn_time_index_parse,
    .examples = (const char *const[]){ "[3,7]; shared", "[2,3,7]; per_example", NULL },
};

nn_node *nn_scatter_time_by(nn_tape *t, nn_node *x, const nn_time_index *by)
{
    return nn_apply(t, &nn_op_scatter_time, by, 1, &x);
}

nn_node *nn_scatter_time(nn_tape *t, nn_node *x, const int64_t *index, int64_t n_out)
{
    if (t->err.code)
        return NULL;
    const int64_t n = x->shape.rank ? x->shape.dim[x->shape.rank - 1] : 0;
    const int64_t *copy = nn_time_index_copy(t, "scatter_time", index, n, n_out);
    const nn_time_run *run = copy ? nn_time_runs(t, copy, 1, n) : NULL;
    return run ? nn_scatter_time_by(t, x, &(nn_time_index){ copy, 1, n, n_out, run }) : NULL;
}
