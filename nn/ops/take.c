/* nn/ops/take.c - entries of one dimension by a list of positions: y[.., i, ..] = x[.., index[i], ..]; and its adjoint put, which
 * adds entries up at their positions. Flipping, rolling, padding by reflection and slicing in steps are all this op.
 *
 * in       x, any shape with the dimension; the positions are constants of the graph
 * errors   BL_EARG: a position outside the dimension
 */
#include "nn/window.h"

#include <stdio.h>
#include <string.h>

typedef struct attr {
    int            dim;
    int64_t        n, n_source; /* positions, and entries of the side that is taken from */
    const int64_t *index;       /* [n], on the tape                                      */
} attr;

static bl_status check(nn_node *y, int64_t have, int64_t out, bl_error *err)
{
    const attr *a = y->attr;
    char text[96];
    y->shape = y->in[0]->shape;
    if (a->dim < 0 || a->dim >= y->shape.rank || y->shape.dim[a->dim] != have)
        return bl_fail(err, BL_ESHAPE, "%s: dimension %d of %s, made for %lld entries", y->op->name, a->dim,
                       nn_shape_str(&y->shape, text), (long long)have);
    y->shape.dim[a->dim] = out;
    return BL_OK;
}

static bl_status shape(nn_node *y, bl_error *err)
{
    const attr *a = y->attr;
    return check(y, a->n_source, a->n, err);
}

static bl_status put_shape(nn_node *y, bl_error *err)
{
    const attr *a = y->attr;
    return check(y, a->n, a->n_source, err);
}

static void forward(nn_tape *tape, nn_node *y)
{
    const attr *a = y->attr;
    const nn_window w = nn_window_of(&y->shape, a->dim);
    const int64_t inner = w.inner, n = a->n;
    (void)tape;
#pragma omp parallel for schedule(static) if (w.outer > 1 && w.outer * n * inner > NN_PARALLEL_MIN)
    for (int64_t o = 0; o < w.outer; o++) {
        const real *from = y->in[0]->x + o * a->n_source * inner;
        real *to = y->x + o * n * inner;
        if (inner == 1)
            for (int64_t i = 0; i < n; i++)
                to[i] = from[a->index[i]];
        else
            for (int64_t i = 0; i < n; i++)
                memcpy(to + i * inner, from + a->index[i] * inner, (size_t)inner * sizeof *to);
    }
}

static void put_forward(nn_tape *tape, nn_node *y)
{
    const attr *a = y->attr;
    const nn_window w = nn_window_of(&y->shape, a->dim);
    const int64_t inner = w.inner, n = a->n;
    (void)tape;
#pragma omp parallel for schedule(static) if (w.outer > 1 && w.outer * n * inner > NN_PARALLEL_MIN)
    for (int64_t o = 0; o < w.outer; o++) {
        const real *from = y->in[0]->x + o * n * inner;
        real *to = y->x + o * a->n_source * inner;
        memset(to, 0, (size_t)(a->n_source * inner) * sizeof *to);
        for (int64_t i = 0; i < n; i++)
            for (int64_t k = 0; k < inner; k++)
                to[a->index[i] * inner + k] += from[i * inner + k];
    }
}

extern const nn_op nn_op_take;

static void put_backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    din[0] = nn_apply(t, &nn_op_take, y->attr, 1, &dy);
}

static const nn_op put_op = {
    .name = "put",
    .summary = "adds entries up at their positions",
    .min_in = 1,
    .max_in = 1,
    .attr_size = sizeof(attr),
    .shape = put_shape,
    .forward = put_forward,
    .backward = put_backward,
    .unread = NN_READ_ANY,
};

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    din[0] = nn_apply(t, &put_op, y->attr, 1, &dy);
}

/* "DIM": seven positions among five. */
static int parse(const char *text, void *out)
{
    static const int64_t index[7] = { 4, 0, 0, 2, 1, 4, 3 };
    attr *a = out;
    *a = (attr){ 0, 7, 5, index };
    return sscanf(text, "%d", &a->dim) == 1;
}

const nn_op nn_op_take = {
    .name = "take",
    .summary = "entries of a dimension by a list of positions",
    .min_in = 1,
    .max_in = 1,
    .attr_size = sizeof(attr),
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_ANY,
    .parse = parse,
    .examples = (const char *const[]){ "[2,5,3]; 1", "[3,5]; 1", "[5]; 0", NULL },
};

/* Takes `index`, which lies on the tape. */
static nn_node *take(nn_tape *t, nn_node *x, int dim, const int64_t *index, int64_t n)
{
    return nn_apply(t, &nn_op_take, &(attr){ dim, n, x->shape.dim[dim], index }, 1, &x);
}

/* Room for n positions; NULL with tape->err set when x has no such dimension. */
static int64_t *positions(nn_tape *t, const char *name, const nn_node *x, int dim, int64_t n)
{
    char text[96];
    if (t->err.code)
        return NULL;
    if (dim < 0 || dim >= x->shape.rank) {
        bl_fail(&t->err, BL_ESHAPE, "%s: there is no dimension %d in %s", name, dim, nn_shape_str(&x->shape, text));
        return NULL;
    }
    return nn_tape_alloc(t, (size_t)(n > 0 ? n : 1) * sizeof(int64_t));
}

nn_node *nn_index_select(nn_tape *t, nn_node *x, int dim, const int64_t *index, int64_t n)
{
    int64_t *copy = positions(t, "index_select", x, dim, n);
    for (int64_t i = 0; copy && i < n; i++) {
        if (index[i] < 0 || index[i] >= x->shape.dim[dim]) {
            bl_fail(&t->err, BL_EARG, "index_select: index %lld lies outside 0..%lld", (long long)index[i],
                    (long long)x->shape.dim[dim] - 1);
            return NULL;
        }
        copy[i] = index[i];
    }
    return copy ? take(t, x, dim, copy, n) : NULL;
}

nn_node *nn_flip(nn_tape *t, nn_node *x, int dim)
{
    int64_t *index = positions(t, "flip", x, dim, t->err.code || dim < 0 || dim >= x->shape.rank ? 0 : x->shape.dim[dim]);
    for (int64_t i = 0; index && i < x->shape.dim[dim]; i++)
        index[i] = x->shape.dim[dim] - 1 - i;
    return index ? take(t, x, dim, index, x->shape.dim[dim]) : NULL;
}

nn_node *nn_roll(nn_tape *t, nn_node *x, int dim, int64_t shift)
{
    const int64_t n = t->err.code || dim < 0 || dim >= x->shape.rank ? 0 : x->shape.dim[dim];
    int64_t *index = positions(t, "roll", x, dim, n);
    for (int64_t i = 0; index && i < n; i++)
        index[i] = ((i - shift) % n + n) % n;
    return index ? take(t, x, dim, index, n) : NULL;
}

nn_node *nn_slice_step(nn_tape *t, nn_node *x, int dim, int64_t start, int64_t stop, int64_t step)
{
    char text[96];
    if (step == 1)
        return nn_slice(t, x, dim, start, stop);
    if (!t->err.code && (step < 1 || dim < 0 || dim >= x->shape.rank || start < 0 || stop < start || stop > x->shape.dim[dim]))
        bl_fail(&t->err, BL_ESHAPE, "slice: %lld..%lld in steps of %lld does not lie in dimension %d of %s", (long long)start,
                (long long)stop, (long long)step, dim, nn_shape_str(&x->shape, text));
    const int64_t n = t->err.code ? 0 : (stop - start + step - 1) / step;
    int64_t *index = positions(t, "slice", x, dim, n);
    for (int64_t i = 0; index && i < n; i++)
        index[i] = start + i * step;
    return index ? take(t, x, dim, index, n) : NULL;
}

/* Where position i of a padded dimension comes from. */
static int64_t source(nn_pad_mode mode, int64_t i, int64_t n)
{
    if (mode == NN_PAD_REPLICATE)
        return i < 0 ? 0 : i >= n ? n - 1 : i;
    if (mode == NN_PAD_CIRCULAR)
        return (i % n + n) % n;
    return i < 0 ? -i : i >= n ? 2 * (n - 1) - i : i;
}

nn_node *nn_pad_by(nn_tape *t, nn_node *x, int dim, int64_t before, int64_t after, nn_pad_mode mode)
{
    char text[96];
    const int64_t n = t->err.code || dim < 0 || dim >= x->shape.rank ? 0 : x->shape.dim[dim];
    const int64_t most = mode == NN_PAD_REFLECT ? n - 1 : mode == NN_PAD_CIRCULAR ? n : n > 0 ? INT64_MAX / 4 : 0;
    int64_t *index = positions(t, "pad", x, dim, n + before + after);
    if (index && (before < 0 || after < 0 || before > most || after > most)) {
        bl_fail(&t->err, BL_ESHAPE, "pad: %lld before and %lld after dimension %d of %s are more than it has to repeat",
                (long long)before, (long long)after, dim, nn_shape_str(&x->shape, text));
        return NULL;
    }
    for (int64_t i = 0; index && i < n + before + after; i++)
        index[i] = source(mode, i - before, n);
    return index ? take(t, x, dim, index, n + before + after) : NULL;
}
