/* nn/ops/sum_to.c - sums over the dimensions that a smaller shape lacks or has as 1. Adjoint of broadcast_to.
 *
 * All reductions are this op: nn_sum, nn_mean, nn_sum_dims. Sums run in double and in one order per output element; a
 * sum to few elements is cut into pieces of fixed size, so that it can use all threads and still give the same bits.
 */
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

/* Neighbouring dimensions that are both kept or both summed are one: x is [n0, n1, n2, n3] with flags. */
typedef struct nest { int64_t n[4]; int keep[4]; } nest;

static nest nest_of(const nn_shape *x, const nn_shape *s)
{
    nest r = { { 1, 1, 1, 1 }, { 0 } };
    int level = 3, first = 1;
    for (int d = 0; d < x->rank; d++) {
        const int64_t n = x->dim[x->rank - 1 - d];
        const int keep = d < s->rank && s->dim[s->rank - 1 - d] == n && n != 1;
        if (n == 1)
            continue;
        if (!first && r.keep[level] != keep)
            level--;
        first = 0;
        r.n[level] *= n;
        r.keep[level] = keep;
    }
    return r;
}

/* Eight running sums: what one thread does for a row does not depend on vector width or thread count. */
static double sum_row(const real *x, int64_t n)
{
    double s[8] = { 0 }, total = 0;
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int k = 0; k < 8; k++)
            s[k] += (double)x[i + k];
    for (; i < n; i++)
        total += (double)x[i];
    for (int k = 0; k < 8; k++)
        total += s[k];
    return total;
}

enum { PIECE = 1 << 14, MAX_PIECES = 64 };

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

/* Sums of columns, a strip of them at a time. */
enum { STRIP = 64 };

static void add_rows(double sum[STRIP], const real *x, int64_t rows, int64_t stride, int64_t width)
{
    if (width == STRIP)
        for (int64_t r = 0; r < rows; r++, x += stride)
            for (int i = 0; i < STRIP; i++)
                sum[i] += (double)x[i];
    else
        for (int64_t r = 0; r < rows; r++, x += stride)
            for (int64_t i = 0; i < width; i++)
                sum[i] += (double)x[i];
}

static void forward(nn_tape *t, nn_node *y)
{
    const nest r = nest_of(&y->in[0]->shape, &y->shape);
    const real *x = y->in[0]->x;
    const int64_t *n = r.n, all = n[0] * n[1] * n[2] * n[3];
    const int64_t k0 = r.keep[0] ? n[0] : 1, k1 = r.keep[1] ? n[1] : 1, k2 = r.keep[2] ? n[2] : 1;
    const int64_t s0 = r.keep[0] ? 1 : n[0], s1 = r.keep[1] ? 1 : n[1], s2 = r.keep[2] ? 1 : n[2];
    const int64_t outputs = k0 * k1 * k2, strips = r.keep[3] ? (n[3] + STRIP - 1) / STRIP : 1;
    (void)t;

    if (!r.keep[3] && outputs == 1) {
        y->x[0] = (real)sum_long(x, all);
        return;
    }
#pragma omp parallel for schedule(static) if (all > NN_PARALLEL_MIN && outputs * strips > 1)
    for (int64_t task = 0; task < outputs * strips; task++) {
        const int64_t o = task / strips, start = task % strips * STRIP;
        const int64_t o2 = o % k2, o1 = o / k2 % k1, o0 = o / k2 / k1;
        const real *base = x + ((o0 * n[1] + o1) * n[2] + o2) * n[3] + start;
        const int64_t width = n[3] - start < STRIP ? n[3] - start : STRIP;
        double total = 0, sum[STRIP] = { 0 };
        for (int64_t a = 0; a < s0; a++)
            for (int64_t b = 0; b < s1; b++) {
                const real *from = base + (a * n[1] + b) * n[2] * n[3];
                if (r.keep[3])
                    add_rows(sum, from, s2, n[3], width);
                else
                    for (int64_t c = 0; c < s2; c++)
                        total += sum_row(from + c * n[3], n[3]);
            }
        if (!r.keep[3])
            y->x[o] = (real)total;
        else
            for (int64_t i = 0; i < width; i++)
                y->x[o * n[3] + start + i] = (real)sum[i];
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
