/* nn/ops/moments.c - means and biased variances over some dimensions: [2, groups].
 *
 *     d mean = 1 / n,   d var = 2 (x - mean) / n
 *
 * One pass, in double, about the first value of each group: a mean that is large beside the deviation costs no digits.
 */
#include "nn/norm.h"

#include <stdio.h>

static bl_status shape(nn_node *y, bl_error *err)
{
    const nn_norm_attr *a = y->attr;
    const nn_shape *x = &y->in[0]->shape;
    char text[96];
    if (a->over >> x->rank || nn_norm_size(x, a->over) < 1)
        return bl_fail(err, BL_ESHAPE, "moments: %s has no values in the dimensions to sum", nn_shape_str(x, text));
    const nn_shape groups = nn_norm_groups(x, a->over);
    y->shape = (nn_shape){ 2, { 2, nn_count(&groups) } };
    return BL_OK;
}

enum { LANES = 16 };

/* Adds the n values at x, less the origin, and their squares. */
static void add_row(const real *x, int64_t n, double origin, double *sum, double *squares)
{
    double s[LANES] = { 0 }, q[LANES] = { 0 };
    const int64_t whole = n / LANES * LANES;
    for (int64_t i = 0; i < whole; i += LANES)
        for (int k = 0; k < LANES; k++) {
            const double d = (double)x[i + k] - origin;
            s[k] += d;
            q[k] += d * d;
        }
    for (int64_t i = whole; i < n; i++) {
        const double d = (double)x[i] - origin;
        s[0] += d;
        q[0] += d * d;
    }
    for (int k = 0; k < LANES; k++) {
        *sum += s[k];
        *squares += q[k];
    }
}

static void finish(nn_node *y, int64_t group, double origin, double sum, double squares, double n)
{
    const double mean = sum / n, var = squares / n - mean * mean;
    y->x[group] = (real)(origin + mean);
    y->x[y->shape.dim[1] + group] = (real)(var < 0 ? 0 : var); /* NaN stays */
}

static void forward(nn_tape *tape, nn_node *y)
{
    const nn_norm_attr *a = y->attr;
    const nn_shape *s = &y->in[0]->shape, groups = nn_norm_groups(s, a->over);
    const nn_reduction r = nn_reduction_of(s, &groups, NULL, NULL);
    const int64_t width = r.nest.n[3], tiles = r.inner_kept ? (width + NN_REDUCTION_TILE - 1) / NN_REDUCTION_TILE : 1;
    const double n = (double)nn_norm_size(s, a->over);
    (void)tape;
#pragma omp parallel for schedule(static) if (nn_count(s) > NN_PARALLEL_MIN)
    for (int64_t task = 0; task < r.outputs * tiles; task++) {
        const int64_t o = task / tiles, start = task % tiles * NN_REDUCTION_TILE;
        const real *x = y->in[0]->x + nn_reduction_at(&r, 1, o, 0) + start;
        const int64_t group = nn_reduction_at(&r, 0, o, 0) + start;
        if (!r.inner_kept) {
            double sum = 0, squares = 0, origin = (double)x[0];
            for (int64_t i = 0; i < r.terms; i++)
                add_row(x + nn_reduction_at(&r, 1, 0, i), width, origin, &sum, &squares);
            finish(y, group, origin, sum, squares, n);
            continue;
        }
        const int64_t count = width - start < NN_REDUCTION_TILE ? width - start : NN_REDUCTION_TILE;
        double sum[NN_REDUCTION_TILE] = { 0 }, squares[NN_REDUCTION_TILE] = { 0 };
        for (int64_t i = 0; i < r.terms; i++) {
            const real *row = x + nn_reduction_at(&r, 1, 0, i);
            for (int64_t k = 0; k < count; k++) {
                const double d = (double)row[k] - (double)x[k];
                sum[k] += d;
                squares[k] += d * d;
            }
        }
        for (int64_t k = 0; k < count; k++)
            finish(y, group + k, (double)x[k], sum[k], squares[k], n);
    }
}

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    const nn_norm_attr *a = y->attr;
    nn_node *x = y->in[0];
    const nn_shape groups = nn_norm_groups(&x->shape, a->over);
    const double n = (double)nn_norm_size(&x->shape, a->over);
    nn_node *centred = nn_sub(t, x, nn_mean_dims(t, x, a->over));
    nn_node *slope = nn_mul(t, centred, nn_affine(t, nn_norm_row(t, dy, 1, groups), 2 / n, 0));
    din[0] = nn_add(t, slope, nn_affine(t, nn_norm_row(t, dy, 0, groups), 1 / n, 0));
}

static int parse(const char *text, void *out)
{
    return sscanf(text, "%u", &((nn_norm_attr *)out)->over) == 1;
}

const nn_op nn_op_moments = {
    .name = "moments",
    .summary = "means and variances over some dimensions",
    .min_in = 1,
    .max_in = 1,
    .attr_size = sizeof(nn_norm_attr),
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_OUT,
    .parse = parse,
    .examples = (const char *const[]){ "[2,3,5]; 5", "[2,3,5]; 2", "[2,3,5]; 4", "[4,3]; 1", "[2,2,3,2]; 12", NULL },
};

nn_node *nn_moments(nn_tape *t, nn_node *x, unsigned over)
{
    return nn_apply(t, &nn_op_moments, &(nn_norm_attr){ .over = over }, 1, &x);
}
