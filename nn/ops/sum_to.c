/* nn/ops/sum_to.c - sums over the dimensions that a smaller shape lacks or has as 1. Adjoint of broadcast_to.
 *
 * All reductions are this op: nn_sum, nn_mean, nn_sum_dims. Sums run in double and in one order per output element; a
 * sum to few elements is cut into pieces of fixed size, so that it can use all threads and still give the same bits.
 * cost     one pass over x, at the speed of memory
 */
#include "nn/nest.h"
#include "nn/ops.h"

#include <stdio.h>

static bl_status shape(nn_node *y, bl_error *err)
{
    const nn_shape *x = &y->in[0]->shape, *s = y->attr;
    char a[96], b[96];
    int fits = s->rank <= x->rank;
    for (int d = 0; fits && d < s->rank; d++) {
        const int64_t n = s->dim[s->rank - 1 - d];
        fits = n == 1 || n == x->dim[x->rank - 1 - d];
    }
    if (!fits)
        return bl_fail(err, BL_ESHAPE, "sum_to: %s does not sum to %s", nn_shape_str(x, a), nn_shape_str(s, b));
    y->shape = *s;
    return BL_OK;
}

/* Thirty-two running sums: what one thread does for a row does not depend on vector width or thread count. */
static double sum_row(const real *x, int64_t n)
{
    double s[32] = { 0 }, total = 0;
    int64_t i = 0;
    for (; i + 32 <= n; i += 32)
        for (int k = 0; k < 32; k++)
            s[k] += (double)x[i + k];
    for (; i < n; i++)
        total += (double)x[i];
    for (int k = 0; k < 32; k++)
        total += s[k];
    return total;
}

enum { PIECE = 1 << 14, MAX_PIECES = 64, TILE = 256 };

static double sum_long(const real *x, int64_t n)
{
    double part[MAX_PIECES], total = 0;
    int64_t piece = (n + MAX_PIECES - 1) / MAX_PIECES;
    if (piece < PIECE)
        piece = PIECE;
    const int64_t pieces = (n + piece - 1) / piece;
#pragma omp parallel for schedule(static) if (pieces > 1)
    for (int64_t p = 0; p < pieces; p++)
        part[p] = sum_row(x + p * piece, n - p * piece < piece ? n - p * piece : piece);
    for (int64_t p = 0; p < pieces; p++)
        total += part[p];
    return total;
}

/* x as four loops, each of which is kept or summed. */
typedef struct sums {
    int64_t n[4], stride[4];      /* of x                                                     */
    int64_t kept[3], summed[3];   /* the outer loops: sizes of those kept and of those summed */
    int64_t outputs, terms;       /* their products                                           */
    int     inner_kept;
} sums;

static sums sums_of(const nn_shape *x, const nn_shape *y)
{
    const nn_nest l = nn_nest_of(x, 1, &y);
    sums s = { .outputs = 1, .terms = 1 };
    int64_t stride = 1;
    for (int d = 3; d >= 0; d--) {
        const int keeps = l.step[0][d] != 0;
        s.n[d] = l.n[d];
        s.stride[d] = stride;
        stride *= l.n[d];
        if (d == 3) {
            s.inner_kept = keeps;
            continue;
        }
        s.kept[d] = keeps ? l.n[d] : 1;
        s.summed[d] = keeps ? 1 : l.n[d];
        s.outputs *= s.kept[d];
        s.terms *= s.summed[d];
    }
    return s;
}

/* Offset in x of output o, or of term o. */
static int64_t offset(const int64_t size[3], const int64_t stride[4], int64_t o)
{
    return o / size[2] / size[1] * stride[0] + o / size[2] % size[1] * stride[1] + o % size[2] * stride[2];
}

/* Columns of one output, terms first .. end - 1, into n doubles. */
static void sum_columns(const sums *s, const real *x, double *total, int64_t n, int64_t first, int64_t end)
{
    for (int64_t i = 0; i < n; i++)
        total[i] = 0;
    for (int64_t k = first; k < end; k++) {
        const real *row = x + offset(s->summed, s->stride, k);
        for (int64_t i = 0; i < n; i++)
            total[i] += (double)row[i];
    }
}

/* A sum of many rows to few columns is cut into as many pieces, whatever the number of threads. */
static int64_t column_pieces(const sums *s)
{
    return s->inner_kept && s->outputs == 1 && s->n[3] <= TILE && s->terms >= 1024 ? 16 : 1;
}

static int64_t scratch(const nn_node *y)
{
    const sums s = sums_of(&y->in[0]->shape, &y->shape);
    const int64_t pieces = column_pieces(&s);
    return pieces > 1 ? pieces * s.n[3] * (int64_t)(sizeof(double) / sizeof(real)) : 0;
}

static void forward(nn_tape *t, nn_node *y)
{
    const sums s = sums_of(&y->in[0]->shape, &y->shape);
    const real *x = y->in[0]->x;
    const int64_t all = nn_count(&y->in[0]->shape), pieces = column_pieces(&s), n = s.n[3];
    (void)t;
    if (!s.inner_kept && s.outputs == 1 && s.terms == 1) {
        y->x[0] = (real)sum_long(x, all);
    } else if (!s.inner_kept) {
#pragma omp parallel for schedule(static) if (all > NN_PARALLEL_MIN && s.outputs > 1)
        for (int64_t o = 0; o < s.outputs; o++) {
            const real *base = x + offset(s.kept, s.stride, o);
            double total = 0;
            for (int64_t k = 0; k < s.terms; k++)
                total += sum_row(base + offset(s.summed, s.stride, k), n);
            y->x[o] = (real)total;
        }
    } else if (pieces > 1) {
        double *part = (double *)(void *)y->scratch;
#pragma omp parallel for schedule(static)
        for (int64_t p = 0; p < pieces; p++)
            sum_columns(&s, x, part + p * n, n, s.terms * p / pieces, s.terms * (p + 1) / pieces);
        for (int64_t i = 0; i < n; i++) {
            double total = 0;
            for (int64_t p = 0; p < pieces; p++)
                total += part[p * n + i];
            y->x[i] = (real)total;
        }
    } else {
        const int64_t tiles = (n + TILE - 1) / TILE;
#pragma omp parallel for schedule(static) if (all > NN_PARALLEL_MIN && s.outputs * tiles > 1)
        for (int64_t task = 0; task < s.outputs * tiles; task++) {
            double total[TILE];
            const int64_t o = task / tiles, at = task % tiles * TILE, count = n - at < TILE ? n - at : TILE;
            sum_columns(&s, x + offset(s.kept, s.stride, o) + at, total, count, 0, s.terms);
            for (int64_t i = 0; i < count; i++)
                y->x[o * n + at + i] = (real)total[i];
        }
    }
}

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    din[0] = nn_broadcast_to(t, dy, y->in[0]->shape);
}

static int parse(const char *text, void *out)
{
    nn_shape *s = out;
    long long d[4];
    s->rank = sscanf(text, "%lld %lld %lld %lld", &d[0], &d[1], &d[2], &d[3]);
    for (int i = 0; i < s->rank; i++)
        s->dim[i] = d[i];
    if (s->rank < 0)
        s->rank = 0;
    return 1;
}

const nn_op nn_op_sum_to = {
    .name = "sum_to",
    .summary = "sums to a smaller shape",
    .min_in = 1,
    .max_in = 1,
    .attr_size = sizeof(nn_shape),
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .scratch = scratch,
    .unread = NN_READ_ANY,
    .parse = parse,
    .examples = (const char *const[]){ "[2,3,4]; 3 1", "[2,3,4]; 1 3 1", "[2,3,4]; 2 1 4", "[5,2]; ", "[2,3,2,3]; 2 1 2 1",
                                       "[2,3,4]; 1 1 4", NULL },
};

nn_node *nn_sum_to(nn_tape *t, nn_node *x, nn_shape s)
{
    return nn_apply(t, &nn_op_sum_to, &s, 1, &x);
}

nn_node *nn_sum(nn_tape *t, nn_node *x)
{
    return nn_sum_to(t, x, (nn_shape){ 0, { 0 } });
}

nn_node *nn_mean(nn_tape *t, nn_node *x)
{
    if (t->err.code)
        return NULL;
    const int64_t n = nn_count(&x->shape);
    return nn_affine(t, nn_sum(t, x), n ? 1.0 / (double)n : 0, 0);
}

nn_node *nn_sum_dims(nn_tape *t, nn_node *x, unsigned dims_mask)
{
    if (t->err.code)
        return NULL;
    nn_shape s = x->shape;
    for (int d = 0; d < s.rank; d++)
        if (dims_mask & (1u << d))
            s.dim[d] = 1;
    return nn_sum_to(t, x, s);
}

nn_node *nn_mean_dims(nn_tape *t, nn_node *x, unsigned dims_mask)
{
    nn_node *s = nn_sum_dims(t, x, dims_mask);
    if (t->err.code)
        return NULL;
    const int64_t n = nn_count(&s->shape);
    return n ? nn_affine(t, s, (double)n / (double)nn_count(&x->shape), 0) : s;
}
