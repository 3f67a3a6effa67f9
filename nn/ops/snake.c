/* nn/ops/snake.c - y = x + sin^2(alpha x) / beta, alpha and beta broadcast; snake with beta = alpha.
 *
 *     dx = dy (1 + sin(2 alpha x) alpha / beta),   d alpha = sum dy x sin(2 alpha x) / beta,   d beta = -sum dy sin^2(alpha x) / beta^2
 *
 * Kernels of their own: snake_grad(dy, x, alpha, beta), and snake_sums(dy, x, alpha) for both sums, in one pass. Their rules
 * are composed of ops.
 * source   Ziyin, Hartwig, Ueda, 2020; with beta: Lee et al., "BigVGAN", 2023
 */
#include "nn/fastmath.h"
#include "nn/broadcast.h"
#include "nn/norm.h"

/* alpha and beta of one shape that broadcasts to x; with a gradient before them. */
static bl_status shape(nn_node *y, bl_error *err)
{
    const int first = y->n_in - 3;
    const nn_shape *x = &y->in[first]->shape, *a = &y->in[first + 1]->shape, *b = &y->in[first + 2]->shape;
    char tx[96], ta[96], tb[96];
    int fits = nn_same_shape(a, b) && a->rank <= x->rank && (first == 0 || nn_same_shape(x, &y->in[0]->shape));
    for (int d = 0; fits && d < a->rank; d++)
        fits = a->dim[a->rank - 1 - d] == 1 || a->dim[a->rank - 1 - d] == x->dim[x->rank - 1 - d];
    if (!fits)
        return bl_fail(err, BL_ESHAPE, "%s: alpha %s and beta %s do not go with x %s", y->op->name, nn_shape_str(a, ta),
                       nn_shape_str(b, tb), nn_shape_str(x, tx));
    y->shape = *x;
    return BL_OK;
}

static void rows(nn_node *y, const real *dy, const nn_node *x, const nn_node *alpha, const nn_node *beta)
{
    const nn_nest l = nn_nest_of(&y->shape, 1, (const nn_shape *const[]){ &alpha->shape });
    const int64_t n = l.n[3], count = l.n[0] * l.n[1] * l.n[2], step = l.step[0][3];
#pragma omp parallel for schedule(static) if (count * n > NN_PARALLEL_MIN)
    for (int64_t r = 0; r < count; r++) {
        const real *restrict in = x->x + r * n, *restrict g = dy ? dy + r * n : in;
        const real *a = alpha->x + nn_nest_at(&l, 0, r), *b = beta->x + nn_nest_at(&l, 0, r);
        real *restrict out = y->x + r * n;
        if (step) {
            for (int64_t i = 0; i < n; i++) {
                const real s = nn_fast_sin(a[i] * in[i]);
                out[i] = dy ? g[i] * (1 + nn_fast_sin(2 * a[i] * in[i]) * a[i] / b[i]) : in[i] + s * s / b[i];
            }
            continue;
        }
        const real w = *a, per = 1 / *b, ratio = w / *b;
        if (dy)
#pragma omp simd
            for (int64_t i = 0; i < n; i++)
                out[i] = g[i] * (1 + nn_fast_sin(2 * w * in[i]) * ratio);
        else
#pragma omp simd
            for (int64_t i = 0; i < n; i++) {
                const real s = nn_fast_sin(w * in[i]);
                out[i] = in[i] + s * s * per;
            }
    }
}

static void forward(nn_tape *tape, nn_node *y)
{
    (void)tape;
    rows(y, NULL, y->in[0], y->in[1], y->in[2]);
}

static void grad_forward(nn_tape *tape, nn_node *y)
{
    (void)tape;
    rows(y, y->in[0]->x, y->in[1], y->in[2], y->in[3]);
}

/* Of dy (1 + s q) with p = 2 alpha x, s = sin p, q = alpha / beta; v the incoming gradient, w = v dy. */
static void grad_backward(nn_tape *t, nn_node *y, nn_node *v, nn_node **din)
{
    nn_node *dy = y->in[0], *x = y->in[1], *alpha = y->in[2], *beta = y->in[3];
    nn_node *p = nn_affine(t, nn_mul(t, x, alpha), 2, 0), *s = nn_sin(t, p), *q = nn_div(t, alpha, beta);
    if (nn_wants_grad(t, dy))
        din[0] = nn_mul(t, v, nn_affine(t, nn_mul(t, s, q), 1, 1));
    nn_node *w = nn_mul(t, v, dy), *wc = nn_mul(t, w, nn_cos(t, p));
    if (nn_wants_grad(t, x))
        din[1] = nn_mul(t, wc, nn_affine(t, nn_mul(t, q, alpha), 2, 0));
    if (nn_wants_grad(t, alpha))
        din[2] = nn_unbroadcast(t, nn_add(t, nn_mul(t, wc, nn_affine(t, nn_mul(t, x, q), 2, 0)), nn_mul(t, w, nn_div(t, s, beta))), alpha);
    if (nn_wants_grad(t, beta))
        din[3] = nn_unbroadcast(t, nn_affine(t, nn_mul(t, nn_mul(t, w, s), nn_div(t, q, beta)), -1, 0), beta);
}

static const nn_op grad_op = {
    .name = "snake_grad",
    .summary = "dy (1 + sin(2 alpha x) alpha / beta)",
    .min_in = 4,
    .max_in = 4,
    .shape = shape,
    .forward = grad_forward,
    .backward = grad_backward,
    .unread = NN_READ_OUT,
};

/* ---- the sums: [2, elements of alpha] of dy x sin(2 alpha x) and dy sin^2(alpha x) ---- */

static bl_status sums_shape(nn_node *y, bl_error *err)
{
    char a[96], b[96];
    if (!nn_same_shape(&y->in[0]->shape, &y->in[1]->shape))
        return bl_fail(err, BL_ESHAPE, "snake_sums: shapes %s and %s differ", nn_shape_str(&y->in[0]->shape, a),
                       nn_shape_str(&y->in[1]->shape, b));
    y->shape = (nn_shape){ 2, { 2, nn_count(&y->in[2]->shape) } };
    return BL_OK;
}

/* Terms of up to NN_REDUCTION_TILE neighbours; alpha walks by `step`. */
static inline __attribute__((always_inline)) void terms(const real *restrict dy, const real *restrict x, const real *restrict alpha,
                                                        const int step, int64_t n, real *restrict p, real *restrict q)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        const real at = alpha[i * step] * x[i], s = nn_fast_sin(at), v = dy[i] * s;
        p[i] = 2 * v * nn_fast_cos(at) * x[i];
        q[i] = v * s;
    }
}

static void sums_forward(nn_tape *tape, nn_node *y)
{
    const nn_node *dy = y->in[0], *x = y->in[1], *alpha = y->in[2];
    const nn_reduction r = nn_reduction_of(&x->shape, &alpha->shape, NULL, NULL);
    const int64_t width = r.nest.n[3], tiles = r.inner_kept ? (width + NN_REDUCTION_TILE - 1) / NN_REDUCTION_TILE : 1;
    const int64_t n_out = y->shape.dim[1];
    (void)tape;
#pragma omp parallel for schedule(static) if (nn_count(&x->shape) > NN_PARALLEL_MIN)
    for (int64_t task = 0; task < r.outputs * tiles; task++) {
        const int64_t o = task / tiles, begin = r.inner_kept ? task % tiles * NN_REDUCTION_TILE : 0;
        const int64_t end = !r.inner_kept || width - begin < NN_REDUCTION_TILE ? width : begin + NN_REDUCTION_TILE;
        const int64_t out = nn_reduction_at(&r, 0, o, 0) + begin;
        real p[NN_REDUCTION_TILE], q[NN_REDUCTION_TILE];
        double sum_p[NN_REDUCTION_TILE] = { 0 }, sum_q[NN_REDUCTION_TILE] = { 0 };
        for (int64_t i = 0; i < r.terms; i++)
            for (int64_t start = begin; start < end; start += NN_REDUCTION_TILE) {
                const int64_t at = nn_reduction_at(&r, 1, o, i) + start, left = end - start;
                const int64_t n = left < NN_REDUCTION_TILE ? left : NN_REDUCTION_TILE;
                if (r.inner_kept)
                    terms(dy->x + at, x->x + at, alpha->x + out, 1, n, p, q);
                else
                    terms(dy->x + at, x->x + at, alpha->x + out, 0, n, p, q);
                for (int64_t k = 0; k < n; k++) {
                    sum_p[k] += (double)p[k];
                    sum_q[k] += (double)q[k];
                }
            }
        for (int64_t k = 1; k < NN_REDUCTION_TILE && !r.inner_kept; k++) {
            sum_p[0] += sum_p[k];
            sum_q[0] += sum_q[k];
        }
        for (int64_t k = 0; k < (r.inner_kept ? end - begin : 1); k++) {
            y->x[out + k] = (real)sum_p[k];
            y->x[n_out + out + k] = (real)sum_q[k];
        }
    }
}

/* With u0, u1 the incoming gradient, p = 2 alpha x:
 *     d(dy) = u0 x sin p + u1 sin^2(alpha x),   d(x) = dy (u0 (sin p + p cos p) + u1 alpha sin p),
 *     d(alpha) = sum dy x (2 u0 x cos p + u1 sin p) */
static void sums_backward(nn_tape *t, nn_node *y, nn_node *u, nn_node **din)
{
    nn_node *dy = y->in[0], *x = y->in[1], *alpha = y->in[2];
    nn_node *u0 = nn_norm_row(t, u, 0, alpha->shape), *u1 = nn_norm_row(t, u, 1, alpha->shape);
    nn_node *p = nn_affine(t, nn_mul(t, x, alpha), 2, 0), *s = nn_sin(t, p), *c = nn_cos(t, p);
    if (nn_wants_grad(t, dy))
        din[0] = nn_add(t, nn_mul(t, nn_mul(t, x, s), u0), nn_mul(t, nn_square(t, nn_sin(t, nn_mul(t, x, alpha))), u1));
    if (nn_wants_grad(t, x)) {
        nn_node *first = nn_mul(t, nn_add(t, s, nn_mul(t, p, c)), u0);
        din[1] = nn_mul(t, dy, nn_add(t, first, nn_mul(t, s, nn_mul(t, u1, alpha))));
    }
    if (nn_wants_grad(t, alpha)) {
        nn_node *inner = nn_add(t, nn_mul(t, nn_mul(t, x, c), nn_affine(t, u0, 2, 0)), nn_mul(t, s, u1));
        din[2] = nn_unbroadcast(t, nn_mul(t, nn_mul(t, dy, x), inner), alpha);
    }
}

static const nn_op sums_op = {
    .name = "snake_sums",
    .summary = "sums of dy x sin(2 alpha x) and dy sin^2(alpha x)",
    .min_in = 3,
    .max_in = 3,
    .shape = sums_shape,
    .forward = sums_forward,
    .backward = sums_backward,
    .unread = NN_READ_OUT,
};

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    nn_node *x = y->in[0], *alpha = y->in[1], *beta = y->in[2];
    if (nn_wants_grad(t, x))
        din[0] = nn_apply(t, &grad_op, NULL, 4, (nn_node *const[]){ dy, x, alpha, beta });
    if (!nn_wants_grad(t, alpha) && !nn_wants_grad(t, beta))
        return;
    nn_node *sums = nn_apply(t, &sums_op, NULL, 3, (nn_node *const[]){ dy, x, alpha });
    if (nn_wants_grad(t, alpha))
        din[1] = nn_div(t, nn_norm_row(t, sums, 0, alpha->shape), beta);
    if (nn_wants_grad(t, beta))
        din[2] = nn_div(t, nn_norm_row(t, sums, 1, beta->shape), nn_affine(t, nn_square(t, beta), -1, 0));
}

const nn_op nn_op_snake = {
    .name = "snake",
    .summary = "x + sin^2(alpha x) / beta",
    .min_in = 3,
    .max_in = 3,
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_OUT,
    .examples = (const char *const[]){ "[2,3,5] [3,1]:0.5..2 [3,1]:0.5..2", "[2,3] [3]:0.5..2 [3]:0.5..2", NULL },
};

nn_node *nn_snake(nn_tape *t, nn_node *x, nn_node *alpha, nn_node *beta)
{
    return nn_apply(t, &nn_op_snake, NULL, 3, (nn_node *const[]){ x, alpha, beta });
}
