/* nn/ops/normalize.c - y = (x - mean) c weight + bias with c = 1 / sqrt(var + eps), from given moments; the norm layers.
 *
 * in       x, moments [2, groups] (nn/norm.h), and perhaps weight and bias, which broadcast to x
 * out      as x
 *
 * With `total` the moments are those of x, and dx is the whole derivative: with h = (x - mean) c, g = weight dy,
 *
 *     dx = c P(g),   P(g) = g - mean(g) - h mean(g h)           (norm_grad, from the sums that norm_sums has made)
 *     d weight = sum(dy h),   d bias = sum(dy)                  (norm_sums)
 *
 * The rules of these two are exact to any order. v is the incoming gradient; a = mean(v h), b = mean(g h):
 *
 *     norm_grad   d(dy) = weight c P(v),   d(weight) = sum(dy c P(v))
 *                 d(x) = -c^2 (h (mean(v g) - mean(v) mean(g) - a b) + b P(v) + a P(g))
 *     norm_sums   d(dy) = u1 h + u0, which is normalize again;   d(x) = c P(u1 dy), which is norm_grad
 *
 * Without `total` the moments are an input as any other.
 * source   Ioffe & Szegedy, "Batch Normalization", 2015; the rules of second order: our own
 */
#include "nn/norm.h"

#include <math.h>
#include <stdio.h>

enum { PIECE = 16384 };

/* ---- y, and dx, value by value ---- */

/* All of a row that the two elementwise kernels read: the group's numbers (step 0: one for the row) and the weights. */
typedef struct row {
    int64_t     n;
    const real *x, *dy, *mean, *c, *sum_g, *sum_gh, *weight, *bias;
    real       *out;
} row;

static inline __attribute__((always_inline)) void normal_row(const row *r, const int group_step, const int weight_step)
{
    const real *restrict x = r->x, *restrict mean = r->mean, *restrict c = r->c, *restrict weight = r->weight;
    const real *restrict bias = r->bias;
    real *restrict out = r->out;
    const int64_t n = r->n;
    for (int64_t i = 0; i < n; i++) {
        const int64_t g = i * group_step, w = i * weight_step;
        out[i] = (x[i] - mean[g]) * (c[g] * weight[w]) + bias[w];
    }
}

static inline __attribute__((always_inline)) void grad_row(const row *r, const int group_step, const int weight_step)
{
    const real *restrict x = r->x, *restrict dy = r->dy, *restrict mean = r->mean, *restrict c = r->c;
    const real *restrict weight = r->weight, *restrict sum_g = r->sum_g, *restrict sum_gh = r->sum_gh;
    real *restrict out = r->out;
    const int64_t n = r->n;
    for (int64_t i = 0; i < n; i++) {
        const int64_t g = i * group_step, w = i * weight_step;
        const real h = (x[i] - mean[g]) * c[g];
        out[i] = c[g] * (dy[i] * weight[w] - sum_g[g] - h * sum_gh[g]);
    }
}

/* A call for each way in which groups and weights walk, so that the compiler sees constant steps. */
#define BY_STEPS(KERNEL, R, GROUP_STEP, WEIGHT_STEP) \
    do {                                             \
        if ((GROUP_STEP) && (WEIGHT_STEP))           \
            KERNEL(R, 1, 1);                         \
        else if (GROUP_STEP)                         \
            KERNEL(R, 1, 0);                         \
        else if (WEIGHT_STEP)                        \
            KERNEL(R, 0, 1);                         \
        else                                         \
            KERNEL(R, 0, 0);                         \
    } while (0)

static int64_t group_count(const nn_node *moments)
{
    return moments->shape.dim[1];
}

static void fill_c(real *c, const nn_node *moments, double eps)
{
    const int64_t n = group_count(moments);
    for (int64_t i = 0; i < n; i++)
        c[i] = 1 / sqrt(moments->x[n + i] + (real)eps);
}

/* Both kernels: y with weight and bias, or (dy given) dx. scratch holds c, and for dx the two means. */
static void run_rows(nn_node *y, const nn_node *dy, const nn_node *x, const nn_node *moments, const nn_node *sums,
                     const nn_node *weight, const nn_node *bias)
{
    static const nn_shape scalar = { 0, { 0 } };
    static const real one = 1, zero = 0;
    const nn_norm_attr *a = y->attr;
    const nn_shape groups = nn_norm_groups(&x->shape, a->over);
    const nn_nest l = nn_nest_of(&x->shape, 2, (const nn_shape *const[]){ &groups, weight ? &weight->shape : &scalar });
    const int64_t inner = l.n[3] > PIECE ? PIECE : l.n[3], pieces = inner ? (l.n[3] + inner - 1) / inner : 0;
    const int64_t n_groups = group_count(moments), rows = l.n[0] * l.n[1] * l.n[2] * pieces;
    real *c = y->scratch, *mean_g = c + n_groups, *mean_gh = c + 2 * n_groups;
    fill_c(c, moments, a->eps);
    for (int64_t i = 0; dy && i < n_groups; i++) {
        const double n = (double)nn_norm_size(&x->shape, a->over);
        mean_g[i] = (real)((double)sums->x[i] / n);
        mean_gh[i] = (real)((double)sums->x[n_groups + i] / n);
    }
#pragma omp parallel for schedule(static) if (rows * inner > NN_PARALLEL_MIN)
    for (int64_t task = 0; task < rows; task++) {
        const int64_t at = task / pieces, start = task % pieces * inner, from = at * l.n[3] + start;
        const int64_t group = nn_nest_at(&l, 0, at) + start * l.step[0][3], w = nn_nest_at(&l, 1, at) + start * l.step[1][3];
        const row r = { .n = l.n[3] - start < inner ? l.n[3] - start : inner, .x = x->x + from, .out = y->x + from,
                        .mean = moments->x + group, .c = c + group, .weight = weight ? weight->x + w : &one,
                        .bias = bias ? bias->x + w : &zero, .dy = dy ? dy->x + from : NULL,
                        .sum_g = mean_g + group, .sum_gh = mean_gh + group };
        if (dy)
            BY_STEPS(grad_row, &r, l.step[0][3], l.step[1][3]);
        else
            BY_STEPS(normal_row, &r, l.step[0][3], l.step[1][3]);
    }
}

static int broadcasts_to(const nn_shape *s, const nn_shape *x)
{
    int fits = s->rank <= x->rank;
    for (int d = 0; d < s->rank && fits; d++)
        fits = s->dim[s->rank - 1 - d] == 1 || s->dim[s->rank - 1 - d] == x->dim[x->rank - 1 - d];
    return fits;
}

static bl_status check(const nn_node *y, const nn_shape *x, const nn_shape *moments, const nn_shape *weight, bl_error *err)
{
    const nn_norm_attr *a = y->attr;
    const nn_shape groups = nn_norm_groups(x, a->over);
    char tx[96], tm[96];
    if (a->over >> x->rank || moments->rank != 2 || moments->dim[0] != 2 || moments->dim[1] != nn_count(&groups))
        return bl_fail(err, BL_ESHAPE, "%s: x %s has %lld groups, moments are %s", y->op->name, nn_shape_str(x, tx),
                       (long long)nn_count(&groups), nn_shape_str(moments, tm));
    if (weight && !broadcasts_to(weight, x))
        return bl_fail(err, BL_ESHAPE, "%s: weight %s does not broadcast to x %s", y->op->name, nn_shape_str(weight, tm),
                       nn_shape_str(x, tx));
    return BL_OK;
}

/* ---- sums of g and g h ---- */

/* in: dy, x, moments, perhaps weight. out [2, n], n the number of elements of `to`. */
typedef struct sums_attr {
    nn_norm_attr norm;
    nn_shape     to;
} sums_attr;

static bl_status sums_shape(nn_node *y, bl_error *err)
{
    const sums_attr *a = y->attr;
    y->shape = (nn_shape){ 2, { 2, nn_count(&a->to) } };
    return check(y, &y->in[1]->shape, &y->in[2]->shape, y->n_in > 3 ? &y->in[3]->shape : NULL, err);
}

static int64_t c_scratch(const nn_node *y)
{
    return group_count(y->in[2]);
}

typedef struct term { const real *dy, *x, *mean, *c, *weight; } term;

enum { LANES = 16 };

static inline __attribute__((always_inline)) void add_row(const term *k, int64_t n, double sum[2], const int group_step,
                                                          const int weight_step)
{
    double s[LANES] = { 0 }, q[LANES] = { 0 };
    const int64_t whole = n / LANES * LANES;
    for (int64_t i = 0; i < whole; i += LANES)
        for (int j = 0; j < LANES; j++) {
            const int64_t g = (i + j) * group_step, w = (i + j) * weight_step;
            const real v = k->dy[i + j] * k->weight[w];
            s[j] += (double)v;
            q[j] += (double)(v * ((k->x[i + j] - k->mean[g]) * k->c[g]));
        }
    for (int64_t i = whole; i < n; i++) {
        const int64_t g = i * group_step, w = i * weight_step;
        const real v = k->dy[i] * k->weight[w];
        s[0] += (double)v;
        q[0] += (double)(v * ((k->x[i] - k->mean[g]) * k->c[g]));
    }
    for (int j = 0; j < LANES; j++) {
        sum[0] += s[j];
        sum[1] += q[j];
    }
}

static inline __attribute__((always_inline)) void add_columns(const term *k, int64_t n, double *restrict s, double *restrict q,
                                                              const int group_step, const int weight_step)
{
    for (int64_t i = 0; i < n; i++) {
        const int64_t g = i * group_step, w = i * weight_step;
        const real v = k->dy[i] * k->weight[w];
        s[i] += (double)v;
        q[i] += (double)(v * ((k->x[i] - k->mean[g]) * k->c[g]));
    }
}

#define ROW(K, GROUP_STEP, WEIGHT_STEP)     add_row(K, width, total, GROUP_STEP, WEIGHT_STEP)
#define COLUMNS(K, GROUP_STEP, WEIGHT_STEP) add_columns(K, count, s, q, GROUP_STEP, WEIGHT_STEP)

static void sums_forward(nn_tape *tape, nn_node *y)
{
    static const nn_shape scalar = { 0, { 0 } };
    static const real one = 1;
    const sums_attr *a = y->attr;
    const nn_node *dy = y->in[0], *x = y->in[1], *moments = y->in[2], *weight = y->n_in > 3 ? y->in[3] : NULL;
    const nn_shape groups = nn_norm_groups(&x->shape, a->norm.over);
    const nn_reduction r = nn_reduction_of(&x->shape, &a->to, &groups, weight ? &weight->shape : &scalar);
    const int64_t width = r.nest.n[3], tiles = r.inner_kept ? (width + NN_REDUCTION_TILE - 1) / NN_REDUCTION_TILE : 1;
    const int64_t n_out = y->shape.dim[1], gs = r.nest.step[2][3], ws = r.nest.step[3][3];
    (void)tape;
    fill_c(y->scratch, moments, a->norm.eps);
#pragma omp parallel for schedule(static) if (nn_count(&x->shape) > NN_PARALLEL_MIN)
    for (int64_t task = 0; task < r.outputs * tiles; task++) {
        const int64_t o = task / tiles, start = task % tiles * NN_REDUCTION_TILE;
        const int64_t out = nn_reduction_at(&r, 0, o, 0) + start;
        const int64_t count = width - start < NN_REDUCTION_TILE ? width - start : NN_REDUCTION_TILE;
        double total[2] = { 0, 0 }, s[NN_REDUCTION_TILE] = { 0 }, q[NN_REDUCTION_TILE] = { 0 };
        for (int64_t i = 0; i < r.terms; i++) {
            const int64_t at = nn_reduction_at(&r, 1, o, i) + start, g = nn_reduction_at(&r, 2, o, i) + start * gs;
            const term k = { dy->x + at, x->x + at, moments->x + g, y->scratch + g,
                             weight ? weight->x + nn_reduction_at(&r, 3, o, i) + start * ws : &one };
            if (r.inner_kept)
                BY_STEPS(COLUMNS, &k, gs, ws);
            else
                BY_STEPS(ROW, &k, gs, ws);
        }
        for (int64_t i = 0; i < (r.inner_kept ? count : 1); i++) {
            y->x[out + i] = (real)(r.inner_kept ? s[i] : total[0]);
            y->x[n_out + out + i] = (real)(r.inner_kept ? q[i] : total[1]);
        }
    }
}

static nn_node *sums_of(nn_tape *t, nn_node *dy, nn_node *x, nn_node *moments, nn_node *weight, const nn_norm_attr *a, nn_shape to);
static nn_node *grad_of(nn_tape *t, nn_node *dy, nn_node *x, nn_node *moments, nn_node *sums, nn_node *weight,
                        const nn_norm_attr *a);

/* Only the sums for weight and bias are differentiated; they have no weight in them. */
static void sums_backward(nn_tape *t, nn_node *y, nn_node *u, nn_node **din)
{
    const sums_attr *a = y->attr;
    nn_node *dy = y->in[0], *x = y->in[1], *moments = y->in[2];
    nn_node *u0 = nn_norm_row(t, u, 0, a->to), *u1 = nn_norm_row(t, u, 1, a->to);
    if (nn_wants_grad(t, dy))
        din[0] = nn_norm(t, x, moments, u1, u0, a->norm.over, a->norm.eps);
    if (nn_wants_grad(t, x))
        din[1] = grad_of(t, dy, x, moments, sums_of(t, dy, x, moments, u1, &a->norm, nn_norm_groups(&x->shape, a->norm.over)), u1,
                         &a->norm);
}

static const nn_op sums_op = {
    .name = "norm_sums",
    .summary = "sums of dy and dy h",
    .min_in = 3,
    .max_in = 4,
    .attr_size = sizeof(sums_attr),
    .shape = sums_shape,
    .forward = sums_forward,
    .backward = sums_backward,
    .unread = NN_READ_IN(3) | NN_READ_OUT,
    .scratch = c_scratch,
};

static nn_node *sums_of(nn_tape *t, nn_node *dy, nn_node *x, nn_node *moments, nn_node *weight, const nn_norm_attr *a, nn_shape to)
{
    return nn_apply(t, &sums_op, &(sums_attr){ *a, to }, weight ? 4 : 3, (nn_node *const[]){ dy, x, moments, weight });
}

/* ---- dx ---- */

/* in: dy, x, moments, sums [2, groups] of weight dy and weight dy h, perhaps weight */
static bl_status grad_shape(nn_node *y, bl_error *err)
{
    y->shape = y->in[1]->shape;
    return check(y, &y->in[1]->shape, &y->in[2]->shape, y->n_in > 4 ? &y->in[4]->shape : NULL, err);
}

static int64_t grad_scratch(const nn_node *y)
{
    return 3 * group_count(y->in[2]);
}

static void grad_forward(nn_tape *tape, nn_node *y)
{
    (void)tape;
    run_rows(y, y->in[0], y->in[1], y->in[2], y->in[3], y->n_in > 4 ? y->in[4] : NULL, NULL);
}

/* d(x): the moments are taken again by ops that the tape can differentiate. */
static nn_node *grad_by_x(nn_tape *t, nn_node *v, nn_node *g, nn_node *x, const nn_norm_attr *a)
{
    const unsigned over = a->over;
    nn_node *centred = nn_sub(t, x, nn_mean_dims(t, x, over));
    nn_node *c = nn_rsqrt(t, nn_affine(t, nn_mean_dims(t, nn_square(t, centred), over), 1, a->eps));
    nn_node *h = nn_mul(t, centred, c), *mv = nn_mean_dims(t, v, over), *mg = nn_mean_dims(t, g, over);
    nn_node *vh = nn_mean_dims(t, nn_mul(t, v, h), over), *gh = nn_mean_dims(t, nn_mul(t, g, h), over);
    nn_node *pv = nn_sub(t, nn_sub(t, v, mv), nn_mul(t, h, vh)), *pg = nn_sub(t, nn_sub(t, g, mg), nn_mul(t, h, gh));
    nn_node *shared = nn_sub(t, nn_sub(t, nn_mean_dims(t, nn_mul(t, v, g), over), nn_mul(t, mv, mg)), nn_mul(t, vh, gh));
    nn_node *sum = nn_add(t, nn_mul(t, h, shared), nn_add(t, nn_mul(t, pv, gh), nn_mul(t, pg, vh)));
    return nn_mul(t, sum, nn_affine(t, nn_square(t, c), -1, 0));
}

static void grad_backward(nn_tape *t, nn_node *y, nn_node *v, nn_node **din)
{
    const nn_norm_attr *a = y->attr;
    nn_node *dy = y->in[0], *x = y->in[1], *moments = y->in[2], *weight = y->n_in > 4 ? y->in[4] : NULL;
    if (nn_wants_grad(t, dy) || (weight && nn_wants_grad(t, weight))) {
        nn_node *p = grad_of(t, v, x, moments, sums_of(t, v, x, moments, NULL, a, nn_norm_groups(&x->shape, a->over)), NULL, a);
        if (nn_wants_grad(t, dy))
            din[0] = weight ? nn_mul(t, p, weight) : p;
        if (weight && nn_wants_grad(t, weight))
            din[4] = nn_sum_to(t, nn_mul(t, dy, p), weight->shape);
    }
    if (nn_wants_grad(t, x))
        din[1] = grad_by_x(t, v, weight ? nn_mul(t, dy, weight) : dy, x, a);
}

static const nn_op grad_op = {
    .name = "norm_grad",
    .summary = "gradient of a norm in its input",
    .min_in = 4,
    .max_in = 5,
    .attr_size = sizeof(nn_norm_attr),
    .shape = grad_shape,
    .forward = grad_forward,
    .backward = grad_backward,
    .unread = NN_READ_IN(3) | NN_READ_OUT,
    .scratch = grad_scratch,
};

static nn_node *grad_of(nn_tape *t, nn_node *dy, nn_node *x, nn_node *moments, nn_node *sums, nn_node *weight,
                        const nn_norm_attr *a)
{
    return nn_apply(t, &grad_op, a, weight ? 5 : 4, (nn_node *const[]){ dy, x, moments, sums, weight });
}

/* ---- y ---- */

static bl_status shape(nn_node *y, bl_error *err)
{
    char a[96], b[96];
    y->shape = y->in[0]->shape;
    if (y->n_in == 3 || (y->n_in == 4 && !nn_same_shape(&y->in[2]->shape, &y->in[3]->shape)))
        return bl_fail(err, BL_ESHAPE, "normalize: weight %s and bias %s go together", nn_shape_str(&y->in[2]->shape, a),
                       y->n_in == 4 ? nn_shape_str(&y->in[3]->shape, b) : "(none)");
    return check(y, &y->in[0]->shape, &y->in[1]->shape, y->n_in > 2 ? &y->in[2]->shape : NULL, err);
}

static int64_t scratch(const nn_node *y)
{
    return 3 * group_count(y->in[1]);
}

static void forward(nn_tape *tape, nn_node *y)
{
    (void)tape;
    run_rows(y, NULL, y->in[0], y->in[1], NULL, y->n_in > 2 ? y->in[2] : NULL, y->n_in > 2 ? y->in[3] : NULL);
}

/* One weight for each group, in the same order. */
static int weight_is_per_group(const nn_shape *weight, nn_shape groups)
{
    for (int d = 0; d < groups.rank; d++) {
        const int at = d - (groups.rank - weight->rank);
        if (groups.dim[d] != (at < 0 ? 1 : weight->dim[at]))
            return 0;
    }
    return 1;
}

static void backward_total(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    const nn_norm_attr *a = y->attr;
    nn_node *x = y->in[0], *moments = y->in[1], *weight = y->n_in > 2 ? y->in[2] : NULL, *sums = NULL;
    const nn_shape groups = nn_norm_groups(&x->shape, a->over);
    const int shared = weight && weight_is_per_group(&weight->shape, groups);
    if (weight && (shared || nn_wants_grad(t, weight) || nn_wants_grad(t, y->in[3]))) {
        nn_node *both = sums_of(t, dy, x, moments, NULL, a, weight->shape);
        if (nn_wants_grad(t, weight))
            din[2] = nn_norm_row(t, both, 1, weight->shape);
        if (nn_wants_grad(t, y->in[3]))
            din[3] = nn_norm_row(t, both, 0, weight->shape);
        if (shared && !t->err.code)
            sums = nn_mul(t, both, nn_reshape(t, weight, (nn_shape){ 1, { both->shape.dim[1] } }));
    }
    if (nn_wants_grad(t, x))
        din[0] = grad_of(t, dy, x, moments, sums ? sums : sums_of(t, dy, x, moments, weight, a, groups), weight, a);
}

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    const nn_norm_attr *a = y->attr;
    if (a->total) {
        backward_total(t, y, dy, din);
        return;
    }
    nn_node *x = y->in[0], *moments = y->in[1], *weight = y->n_in > 2 ? y->in[2] : NULL;
    const nn_shape groups = nn_norm_groups(&x->shape, a->over);
    nn_node *c = nn_rsqrt(t, nn_affine(t, nn_norm_row(t, moments, 1, groups), 1, a->eps));
    nn_node *h = nn_mul(t, nn_sub(t, x, nn_norm_row(t, moments, 0, groups)), c), *g = weight ? nn_mul(t, dy, weight) : dy;
    if (nn_wants_grad(t, x))
        din[0] = nn_mul(t, g, c);
    if (nn_wants_grad(t, moments)) {
        nn_node *mean = nn_affine(t, nn_mul(t, nn_sum_dims(t, g, a->over), c), -1, 0);
        nn_node *var = nn_affine(t, nn_mul(t, nn_sum_dims(t, nn_mul(t, g, h), a->over), nn_square(t, c)), -0.5, 0);
        const nn_shape one_row = { 2, { 1, group_count(moments) } };
        din[1] = nn_concat(t, 0, 2, (nn_node *const[]){ nn_reshape(t, mean, one_row), nn_reshape(t, var, one_row) });
    }
    if (weight && nn_wants_grad(t, weight))
        din[2] = nn_sum_to(t, nn_mul(t, dy, h), weight->shape);
    if (weight && nn_wants_grad(t, y->in[3]))
        din[3] = nn_sum_to(t, dy, weight->shape);
}

static int parse(const char *text, void *out)
{
    nn_norm_attr *a = out;
    a->total = 0;
    return sscanf(text, "%u %lf", &a->over, &a->eps) == 2;
}

/* The examples are those without `total`; tests/nn/test_layers.c checks the rules of the others through the layers. */
const nn_op nn_op_normalize = {
    .name = "normalize",
    .summary = "(x - mean) / sqrt(var + eps) weight + bias",
    .min_in = 2,
    .max_in = 4,
    .attr_size = sizeof(nn_norm_attr),
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_IN(3) | NN_READ_OUT,
    .scratch = scratch,
    .parse = parse,
    .examples = (const char *const[]){ "[2,3,5] [2,3]:0.5..2; 5 0.1", "[2,3,5] [2,3]:0.5..2 [3,1] [3,1]; 5 0.1",
                                       "[2,3,5] [2,10]:0.5..2 [3,1] [3,1]; 2 0.1", "[2,3,5] [2,6]:0.5..2 [5] [5]; 4 0.1",
                                       "[4,3] [2,3]:0.5..2 [3] [3]; 1 0.1", NULL },
};
