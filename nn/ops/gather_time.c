/* nn/ops/gather_time.c - samples at given positions: y[.., j] = x[.., index[j]].
 *
 * One list of positions for all rows, or one for each example (phase shuffle). Its gradient is scatter_time, and
 * the other way round.
 *
 * in       x [.., T]
 * out      [.., n]
 * errors   BL_EARG: a position outside 0..T-1
 */
#include "nn/time_index.h"

#include <string.h>

const int64_t *nn_time_index_copy(nn_tape *t, const char *op, const int64_t *index, int64_t count, int64_t n_source)
{
    if (t->err.code)
        return NULL;
    for (int64_t i = 0; i < count && !t->dry; i++)
        if (index[i] < 0 || index[i] >= n_source) {
            bl_fail(&t->err, BL_EARG, "%s: position %lld lies outside 0..%lld", op, (long long)index[i],
                    (long long)n_source - 1);
            return NULL;
        }
    int64_t *copy = (int64_t *)(void *)nn_scratch(t, count * (int64_t)(sizeof(int64_t) / sizeof(real)));
    if (copy && count && !t->dry)
        memcpy(copy, index, (size_t)count * sizeof *copy);
    return copy;
}

static nn_time_run longest_run(const int64_t *index, int64_t n)
{
    nn_time_run best = { 0, 0, 0 };
    for (int64_t j = 0, start = 0; j < n; j++) {
        if (j == start || index[j] != index[j - 1] + 1)
            start = j;
        if (j + 1 - start > best.stop - best.start)
            best = (nn_time_run){ start, j + 1, index[j] - j };
    }
    return best;
}

const nn_time_run *nn_time_runs(nn_tape *t, const int64_t *index, int64_t rows, int64_t n)
{
    nn_time_run *run = (nn_time_run *)(void *)nn_scratch(t, rows * (int64_t)(sizeof *run / sizeof(real)));
    for (int64_t r = 0; run && r < rows && !t->dry; r++)
        run[r] = longest_run(index + r * n, n);
    return run;
}

int nn_time_index_parse(const char *text, void *attr)
{
    static const int64_t positions[14] = { 0, 4, 4, 1, 2, 2, 0, /* second example */ 3, 3, 0, 1, 4, 2, 3 };
    nn_time_index *by = attr;
    *by = (nn_time_index){ positions, strcmp(text, "per_example") ? 1 : 2, 7, 5, NULL };
    return !strcmp(text, "per_example") || !strcmp(text, "shared");
}

static bl_status shape(nn_node *y, bl_error *err)
{
    const nn_time_index *by = y->attr;
    const nn_shape *x = &y->in[0]->shape;
    char text[96];
    if (x->rank < 1 || x->dim[x->rank - 1] != by->n_source || (by->rows != 1 && (x->rank < 2 || x->dim[0] != by->rows)))
        return bl_fail(err, BL_ESHAPE, "gather_time: x %s, positions for %lld examples of %lld samples",
                       nn_shape_str(x, text), (long long)by->rows, (long long)by->n_source);
    y->shape = *x;
    y->shape.dim[x->rank - 1] = by->n;
    return BL_OK;
}

static void forward(nn_tape *tape, nn_node *y)
{
    const nn_time_index *by = y->attr;
    const int64_t n = by->n, rows = n ? nn_count(&y->shape) / n : 0, per_index = rows / by->rows;
    const real *x = y->in[0]->x;
    (void)tape;
#pragma omp parallel for schedule(static) if (rows * n > NN_PARALLEL_MIN)
    for (int64_t r = 0; r < rows; r++) {
        const int64_t which = by->rows > 1 ? r / per_index : 0, *index = by->index + which * n;
        const nn_time_run run = by->run ? by->run[which] : (nn_time_run){ 0, 0, 0 };
        const real *from = x + r * by->n_source;
        real *to = y->x + r * n;
        for (int64_t j = 0; j < run.start; j++)
            to[j] = from[index[j]];
        nn_time_copy(to + run.start, from + run.start + run.shift, run.stop - run.start);
        for (int64_t j = run.stop; j < n; j++)
            to[j] = from[index[j]];
    }
}

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    din[0] = nn_scatter_time_by(t, dy, y->attr);
}

const nn_op nn_op_gather_time = {
    .name = "gather_time",
    .summary = "samples at given positions",
    .min_in = 1,
    .max_in = 1,
    .attr_size = sizeof(nn_time_index),
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_ANY,
    .cheap = 1,
    .parse = nn_time_index_parse,
    .examples = (const char *const[]){ "[3,5]; shared", "[2,3,5]; per_example", "[5]; shared", NULL },
};

nn_node *nn_gather_time_by(nn_tape *t, nn_node *x, const nn_time_index *by)
{
    return nn_apply(t, &nn_op_gather_time, by, 1, &x);
}

nn_node *nn_gather_time(nn_tape *t, nn_node *x, const int64_t *index, int64_t n)
{
    if (t->err.code)
        return NULL;
    const int64_t n_source = x->shape.rank ? x->shape.dim[x->shape.rank - 1] : 0;
    const int64_t *copy = nn_time_index_copy(t, "gather_time", index, n, n_source);
    const nn_time_run *run = copy ? nn_time_runs(t, copy, 1, n) : NULL;
    return run ? nn_gather_time_by(t, x, &(nn_time_index){ copy, 1, n, n_source, run }) : NULL;
}
