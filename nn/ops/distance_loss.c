/* nn/ops/distance_loss.c - the mean of a function of the difference, in one pass: what l1, mse, huber and smooth_l1 are.
 *
 *     y = 1/n sum of f(d),  d = x - target
 *     kind 0 (l1)      f = |d|
 *     kind 1 (mse)     f = d^2
 *     kind 2 (huber)   f = d^2/2 where |d| <= delta, else delta (|d| - delta/2)
 *
 * in       x, target of one shape, both with a gradient
 * out      a scalar; 0 of nothing
 * cost     forward reads both once; the gradient distance_loss_grad(dy, x, target) = dy f'(d)/n reads both and writes once
 *
 * f' is |d|'s sign, 2 d, or d clamped; f'' is constant almost everywhere, so the gradient's own rule is exact at any order.
 * Sums run in double over pieces of fixed size: the same bits at any number of threads.
 * source   huber: Huber, "Robust estimation of a location parameter", 1964
 */
#include "nn/ops.h"

#include <math.h>
#include <stdio.h>

enum { L1, MSE, HUBER };
enum { PIECE = 1 << 14, LANES = 16 };

typedef struct attr { int kind; double delta; } attr;

static int parse(const char *text, void *out)
{
    attr *a = out;
    return sscanf(text, "%d %lf", &a->kind, &a->delta) == 2;
}

static bl_status shape(nn_node *y, bl_error *err)
{
    static const char *const names[] = { "l1_loss", "mse_loss", "huber_loss" };
    const attr *a = y->attr;
    char s[96], u[96];
    if (a->kind < L1 || a->kind > HUBER || (a->kind == HUBER && !(a->delta > 0)))
        return bl_fail(err, BL_EARG, "huber_loss: delta %g must be positive", a->delta);
    if (!nn_same_shape(&y->in[0]->shape, &y->in[1]->shape))
        return bl_fail(err, BL_ESHAPE, "%s: shapes %s and %s differ", names[a->kind], nn_shape_str(&y->in[0]->shape, s),
                       nn_shape_str(&y->in[1]->shape, u));
    y->shape = (nn_shape){ 0, { 0 } };
    return BL_OK;
}

static inline real f_of(int kind, real d, real delta)
{
    const real size = d < 0 ? -d : d, near = size < delta ? size : delta;
    return kind == L1 ? size : kind == MSE ? d * d : near * (size - near / 2);
}

static inline real slope_of(int kind, real d, real delta)
{
    if (kind == L1)
        return (real)((d > 0) - (d < 0));
    return kind == MSE ? 2 * d : d > delta ? delta : d < -delta ? -delta : d;
}

/* Inlined with a constant kind. Lanes of single precision for 1024 values at a time, then double. */
static inline double sum_piece(int kind, real delta, const real *x, const real *y, int64_t n)
{
    double total = 0;
    for (int64_t i = 0; i < n;) {
        const int64_t stop = n - i < 1024 ? n : i + 1024;
        real lane[LANES] = { 0 };
        for (; i + LANES <= stop; i += LANES)
            for (int k = 0; k < LANES; k++)
                lane[k] += f_of(kind, x[i + k] - y[i + k], delta);
        for (int k = 0; i < stop; i++, k++)
            lane[k] += f_of(kind, x[i] - y[i], delta);
        for (int k = 0; k < LANES; k++)
            total += (double)lane[k];
    }
    return total;
}

/* A double for each piece, in scratch of either scalar type. */
static int64_t scratch(const nn_node *y)
{
    const int64_t n = nn_count(&y->in[0]->shape);
    return (n + PIECE - 1) / PIECE * (int64_t)(sizeof(double) / sizeof(real));
}

static void forward(nn_tape *t, nn_node *y)
{
    const attr *a = y->attr;
    const int64_t n = nn_count(&y->in[0]->shape), pieces = (n + PIECE - 1) / PIECE;
    const real delta = (real)a->delta;
    double *part = (double *)(void *)y->scratch, total = 0;
    (void)t;
#pragma omp parallel for schedule(static) if (pieces > 1)
    for (int64_t p = 0; p < pieces; p++) {
        const real *x = y->in[0]->x + p * PIECE, *target = y->in[1]->x + p * PIECE;
        const int64_t count = n - p * PIECE < PIECE ? n - p * PIECE : PIECE;
        part[p] = a->kind == L1    ? sum_piece(L1, delta, x, target, count)
                  : a->kind == MSE ? sum_piece(MSE, delta, x, target, count)
                                   : sum_piece(HUBER, delta, x, target, count);
    }
    for (int64_t p = 0; p < pieces; p++)
        total += part[p];
    y->x[0] = n ? (real)(total / (double)n) : 0;
}

static nn_node *grad(nn_tape *t, nn_node *dy, nn_node *x, nn_node *target, const attr *a);

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    nn_node *g = grad(t, dy, y->in[0], y->in[1], y->attr);
    if (nn_wants_grad(t, y->in[0]))
        din[0] = g;
    if (nn_wants_grad(t, y->in[1]))
        din[1] = nn_affine(t, g, -1, 0);
}

const nn_op nn_op_distance_loss = {
    .name = "distance_loss",
    .summary = "mean |d|, d^2 or Huber's function of d = x - target",
    .min_in = 2,
    .max_in = 2,
    .attr_size = sizeof(attr),
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_OUT,
    .scratch = scratch,
    .parse = parse,
    .examples = (const char *const[]){ "[2,3,5] [2,3,5]; 0 0", "[2,3,5] [2,3,5]; 1 0", "[2,3,5] [2,3,5]; 2 0.4", NULL },
};

/* ---- the gradient ---- */

static bl_status grad_shape(nn_node *y, bl_error *err)
{
    (void)err;
    y->shape = y->in[1]->shape;
    return BL_OK;
}

static inline void slope_piece(int kind, real delta, real scale, const real *restrict x, const real *restrict y, real *restrict out,
                               int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = scale * slope_of(kind, x[i] - y[i], delta);
}

static void grad_forward(nn_tape *t, nn_node *y)
{
    const attr *a = y->attr;
    const int64_t n = nn_count(&y->shape), pieces = (n + PIECE - 1) / PIECE;
    const real scale = n ? y->in[0]->x[0] / (real)n : 0, delta = (real)a->delta;
    (void)t;
#pragma omp parallel for schedule(static) if (pieces > 1)
    for (int64_t p = 0; p < pieces; p++) {
        const real *x = y->in[1]->x + p * PIECE, *target = y->in[2]->x + p * PIECE;
        const int64_t count = n - p * PIECE < PIECE ? n - p * PIECE : PIECE;
        if (a->kind == L1)
            slope_piece(L1, delta, scale, x, target, y->x + p * PIECE, count);
        else if (a->kind == MSE)
            slope_piece(MSE, delta, scale, x, target, y->x + p * PIECE, count);
        else
            slope_piece(HUBER, delta, scale, x, target, y->x + p * PIECE, count);
    }
}

/* g = dy f'(x - target)/n, given dg: d dy = sum dg f'/n, dx = dg dy f''/n, d target = -dx. */
static void grad_backward(nn_tape *t, nn_node *y, nn_node *dg, nn_node **din)
{
    const attr *a = y->attr;
    nn_node *dy = y->in[0], *x = y->in[1], *target = y->in[2];
    const double n = (double)nn_count(&y->shape);
    if (nn_wants_grad(t, dy))
        din[0] = nn_sum(t, nn_mul(t, dg, grad(t, nn_full(t, dy->shape, 1), x, target, a)));
    if (a->kind == L1 || n == 0 || !(nn_wants_grad(t, x) || nn_wants_grad(t, target)))
        return;
    nn_node *dx = nn_affine(t, nn_mul(t, dg, dy), (a->kind == MSE ? 2 : 1) / n, 0);
    if (a->kind == HUBER)
        dx = nn_mul(t, dx, nn_step(t, nn_affine(t, nn_square(t, nn_sub(t, x, target)), -1, a->delta * a->delta)));
    if (nn_wants_grad(t, x))
        din[1] = dx;
    if (nn_wants_grad(t, target))
        din[2] = nn_affine(t, dx, -1, 0);
}

static const nn_op grad_op = {
    .name = "distance_loss_grad",
    .summary = "dy f'(x - target) / n",
    .min_in = 3,
    .max_in = 3,
    .attr_size = sizeof(attr),
    .shape = grad_shape,
    .forward = grad_forward,
    .backward = grad_backward,
    .unread = NN_READ_OUT,
};

static nn_node *grad(nn_tape *t, nn_node *dy, nn_node *x, nn_node *target, const attr *a)
{
    return nn_apply(t, &grad_op, a, 3, (nn_node *const[]){ dy, x, target });
}

/* ---- by their names ---- */

nn_node *nn_l1_loss(nn_tape *t, nn_node *x, nn_node *target)
{
    return nn_apply(t, &nn_op_distance_loss, &(attr){ L1, 0 }, 2, (nn_node *const[]){ x, target });
}

nn_node *nn_mse_loss(nn_tape *t, nn_node *x, nn_node *target)
{
    return nn_apply(t, &nn_op_distance_loss, &(attr){ MSE, 0 }, 2, (nn_node *const[]){ x, target });
}

nn_node *nn_huber_loss(nn_tape *t, nn_node *x, nn_node *target, double delta)
{
    return nn_apply(t, &nn_op_distance_loss, &(attr){ HUBER, delta }, 2, (nn_node *const[]){ x, target });
}

nn_node *nn_smooth_l1_loss(nn_tape *t, nn_node *x, nn_node *target, double beta)
{
    return beta > 0 ? nn_affine(t, nn_huber_loss(t, x, target, beta), 1 / beta, 0) : nn_l1_loss(t, x, target);
}
