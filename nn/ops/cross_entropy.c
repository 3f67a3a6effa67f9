/* nn/ops/cross_entropy.c - cross entropy of logits against class numbers, without the log-probabilities in between.
 *
 *     y = 1/W sum over n of  (1 - e) w[k_n] (L_n - x[n, k_n])  +  e/C sum over c of w[c] (L_n - x[n, c])
 *     L_n = log(sum over c of exp x[n, c]),  W = sum of w[k_n];  rows whose class is ignore_index are left out
 *
 * in       logits [N, C] or [N, C, T]; target [N] or [N, T], class numbers (no gradient); optional weight [C], w above,
 *          1 without it (no gradient)
 * out      a scalar; 0 when every row is left out (torch: NaN)
 * options  ignore_index, label_smoothing e in 0..1: torch.nn.CrossEntropyLoss, reduction="mean"
 * errors   BL_ESHAPE: shapes; BL_EARG: a class outside 0..C-1 that is not ignore_index
 * cost     one read of the logits forward; one read and one write backward, by cross_entropy_grad(dy, logits, target, weight)
 *              = dy (a_n p - q) / W,  p = softmax, q the target distribution, a_n its sum
 *          The gradient's own rule computes p again by ops, so it holds at any order.
 */
#include "nn/fastmath.h"
#include "nn/ops.h"

#include <stdio.h>

typedef struct attr { long long ignore_index; double smoothing; } attr;

enum { COLUMNS = 64, LANES = 16 };

static int parse(const char *text, void *out)
{
    attr *a = out;
    return sscanf(text, "%lld %lf", &a->ignore_index, &a->smoothing) == 2;
}

/* logits [N, C, T], T 1 where there is none. */
typedef struct view {
    int64_t     N, C, T;
    const real *x, *target, *weight;
    double      weight_sum, norm; /* sum of w[c]; W */
} view;

static int64_t class_of(const attr *a, const real *target, int64_t i)
{
    return target[i] == (real)a->ignore_index ? -1 : (int64_t)target[i];
}

static view view_of(nn_node *const *in, int n_in, const attr *a)
{
    const nn_shape *s = &in[0]->shape;
    view v = { s->dim[0], s->dim[1], s->rank > 2 ? s->dim[2] : 1, in[0]->x, in[1]->x, n_in > 2 ? in[2]->x : NULL, 0, 0 };
    for (int64_t c = 0; c < v.C; c++)
        v.weight_sum += v.weight ? (double)v.weight[c] : 1;
    for (int64_t i = 0; i < v.N * v.T; i++) {
        const int64_t k = class_of(a, v.target, i);
        v.norm += k < 0 ? 0 : v.weight ? (double)v.weight[k] : 1;
    }
    return v;
}

static bl_status check(nn_node *const *in, int n_in, const attr *a, bl_error *err)
{
    const nn_shape *x = &in[0]->shape, *k = &in[1]->shape;
    char s[96], u[96];
    if ((x->rank != 2 && x->rank != 3) || x->dim[1] < 1 || k->rank != x->rank - 1 || k->dim[0] != x->dim[0] ||
        (x->rank == 3 && k->dim[1] != x->dim[2]))
        return bl_fail(err, BL_ESHAPE, "cross_entropy: expected logits [N, C] or [N, C, T] and classes [N] or [N, T], got %s and %s",
                       nn_shape_str(x, s), nn_shape_str(k, u));
    if (n_in > 2 && (in[2]->shape.rank != 1 || in[2]->shape.dim[0] != x->dim[1]))
        return bl_fail(err, BL_ESHAPE, "cross_entropy: expected %lld class weights, got %s", (long long)x->dim[1],
                       nn_shape_str(&in[2]->shape, s));
    if (!(a->smoothing >= 0 && a->smoothing <= 1))
        return bl_fail(err, BL_EARG, "cross_entropy: label_smoothing %g lies outside 0..1", a->smoothing);
    for (int64_t i = 0, n = in[1]->x ? nn_count(k) : 0; i < n; i++) /* on a dry tape there are none */
        if (in[1]->x[i] != (real)a->ignore_index && !(in[1]->x[i] >= 0 && in[1]->x[i] < (real)x->dim[1]))
            return bl_fail(err, BL_EARG, "cross_entropy: class %g lies outside 0..%lld", (double)in[1]->x[i], (long long)x->dim[1] - 1);
    return BL_OK;
}

static bl_status shape(nn_node *y, bl_error *err)
{
    y->shape = (nn_shape){ 0, { 0 } };
    return check(y->in, y->n_in, y->attr, err);
}

/* Maximum and sum of exp(x - maximum) of `count` neighbouring columns of [C, T]. */
static void reduce_columns(const view *v, const real *x, int count, real *restrict top, real *restrict sum)
{
    for (int k = 0; k < count; k++) {
        top[k] = x[k];
        sum[k] = 0;
    }
    for (int64_t c = 1; c < v->C; c++)
        for (int k = 0; k < count; k++)
            top[k] = x[c * v->T + k] > top[k] ? x[c * v->T + k] : top[k];
    for (int64_t c = 0; c < v->C; c++)
        for (int k = 0; k < count; k++)
            sum[k] += nn_fast_exp(x[c * v->T + k] - top[k]);
}

/* The same where classes are neighbours. */
static void reduce_row(const view *v, const real *x, real *top, real *sum)
{
    real lane[LANES] = { 0 }, high[LANES], most = x[0], total = 0;
    int64_t c = 0;
    for (int k = 0; k < LANES; k++)
        high[k] = x[0];
    for (; c + LANES <= v->C; c += LANES)
        for (int k = 0; k < LANES; k++)
            high[k] = x[c + k] > high[k] ? x[c + k] : high[k];
    for (int k = 0; c < v->C; c++, k++)
        high[k] = x[c] > high[k] ? x[c] : high[k];
    for (int k = 0; k < LANES; k++)
        most = high[k] > most ? high[k] : most;
    for (c = 0; c + LANES <= v->C; c += LANES)
        for (int k = 0; k < LANES; k++)
            lane[k] += nn_fast_exp(x[c + k] - most);
    for (int k = 0; c < v->C; c++, k++)
        lane[k] += nn_fast_exp(x[c] - most);
    for (int k = 0; k < LANES; k++)
        total += lane[k];
    *top = most;
    *sum = total;
}

static double row_loss(const view *v, const attr *a, const real *x, int64_t k, double L)
{
    const double w = v->weight ? (double)v->weight[k] : 1;
    double loss = (1 - a->smoothing) * w * (L - (double)x[k * v->T]);
    if (a->smoothing > 0) {
        double sum = 0;
        for (int64_t c = 0; c < v->C; c++)
            sum += (v->weight ? (double)v->weight[c] : 1) * (double)x[c * v->T];
        loss += a->smoothing / (double)v->C * (v->weight_sum * L - sum);
    }
    return loss;
}

/* One double for each block. */
static int64_t scratch(const nn_node *y)
{
    const nn_shape *s = &y->in[0]->shape;
    const int64_t T = s->rank > 2 ? s->dim[2] : 1;
    return s->dim[0] * ((T + COLUMNS - 1) / COLUMNS) * (int64_t)(sizeof(double) / sizeof(real));
}

static void forward(nn_tape *t, nn_node *y)
{
    const attr *a = y->attr;
    const view v = view_of(y->in, y->n_in, a);
    const int64_t blocks = (v.T + COLUMNS - 1) / COLUMNS;
    double *part = (double *)(void *)y->scratch, total = 0;
    (void)t;
#pragma omp parallel for schedule(static) if (v.N * v.C * v.T > NN_PARALLEL_MIN)
    for (int64_t r = 0; r < v.N * blocks; r++) {
        const int64_t n = r / blocks, first = r % blocks * COLUMNS;
        const int count = (int)(v.T - first < COLUMNS ? v.T - first : COLUMNS);
        const real *x = v.x + n * v.C * v.T + first;
        real top[COLUMNS], sum[COLUMNS];
        part[r] = 0;
        if (v.T == 1)
            reduce_row(&v, x, top, sum);
        else
            reduce_columns(&v, x, count, top, sum);
        for (int i = 0; i < count; i++) {
            const int64_t k = class_of(a, v.target, n * v.T + first + i);
            if (k >= 0)
                part[r] += row_loss(&v, a, x + i, k, (double)top[i] + log((double)sum[i]));
        }
    }
    for (int64_t r = 0; r < v.N * blocks; r++)
        total += part[r];
    y->x[0] = v.norm > 0 ? (real)(total / v.norm) : 0;
}

static nn_node *grad(nn_tape *t, nn_node *dy, nn_node *const *in, int n_in, const attr *a);

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    if (nn_wants_grad(t, y->in[0]))
        din[0] = grad(t, dy, y->in, y->n_in, y->attr);
}

const nn_op nn_op_cross_entropy = {
    .name = "cross_entropy",
    .summary = "mean cross entropy of logits against class numbers",
    .min_in = 2,
    .max_in = 3,
    .attr_size = sizeof(attr),
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .no_grad = 6, /* classes and weights */
    .unread = NN_READ_OUT,
    .scratch = scratch,
    .parse = parse,
    .examples = (const char *const[]){ "[5,4]:-2..2 [5]:0..4; -100 0", "[2,3,5]:-2..2 [2,5]:0..3 [3]:0.5..1; 1 0.2",
                                       "[3,2] [3]:0..2 [2]:1..2; -100 0.1", NULL },
};

/* ---- the gradient ---- */

static bl_status grad_shape(nn_node *y, bl_error *err)
{
    (void)err;
    y->shape = y->in[1]->shape;
    return BL_OK;
}

/* Sum of the target distribution of a row, and its share for class c beside the row's own. */
static double pull_of(const view *v, const attr *a, int64_t k)
{
    return (1 - a->smoothing) * (v->weight ? (double)v->weight[k] : 1) + a->smoothing / (double)v->C * v->weight_sum;
}

static void grad_forward(nn_tape *t, nn_node *y)
{
    const attr *a = y->attr;
    const view v = view_of(y->in + 1, y->n_in - 1, a);
    const int64_t blocks = (v.T + COLUMNS - 1) / COLUMNS;
    const double scale = v.norm > 0 ? (double)y->in[0]->x[0] / v.norm : 0, spread = scale * a->smoothing / (double)v.C;
    (void)t;
#pragma omp parallel for schedule(static) if (v.N * v.C * v.T > NN_PARALLEL_MIN)
    for (int64_t r = 0; r < v.N * blocks; r++) {
        const int64_t n = r / blocks, first = r % blocks * COLUMNS, at = n * v.C * v.T + first;
        const int count = (int)(v.T - first < COLUMNS ? v.T - first : COLUMNS);
        const real *x = v.x + at;
        real *out = y->x + at, top[COLUMNS], sum[COLUMNS];
        if (v.T == 1)
            reduce_row(&v, x, top, sum);
        else
            reduce_columns(&v, x, count, top, sum);
        for (int i = 0; i < count; i++) { /* from here on what exp is multiplied by */
            const int64_t k = class_of(a, v.target, n * v.T + first + i);
            sum[i] = k < 0 ? 0 : (real)(scale * pull_of(&v, a, k)) / sum[i];
        }
        for (int64_t c = 0; c < v.C && v.T > 1; c++)
            for (int i = 0; i < count; i++)
                out[c * v.T + i] = sum[i] * nn_fast_exp(x[c * v.T + i] - top[i]);
        for (int64_t c = 0; c < v.C && v.T == 1; c++)
            out[c] = sum[0] * nn_fast_exp(x[c] - top[0]);
        for (int i = 0; i < count; i++) {
            const int64_t k = class_of(a, v.target, n * v.T + first + i);
            if (k < 0)
                continue;
            out[k * v.T + i] -= (real)(scale * (1 - a->smoothing) * (v.weight ? (double)v.weight[k] : 1));
            for (int64_t c = 0; c < v.C && spread != 0; c++)
                out[c * v.T + i] -= (real)(spread * (v.weight ? (double)v.weight[c] : 1));
        }
    }
}

/* Constants of the gradient: a_n / W and the largest logit as [N, 1, T], q / W as [N, C, T] (T only where the logits have it). */
static void constants(nn_tape *t, nn_node *const *in, int n_in, const attr *a, nn_node **pull, nn_node **top, nn_node **q)
{
    nn_shape s = in[0]->shape;
    *q = nn_full(t, s, 0);
    s.dim[1] = 1;
    *pull = nn_full(t, s, 0);
    *top = nn_full(t, s, 0);
    if (t->err.code || t->dry)
        return;
    const view v = view_of(in, n_in, a);
    for (int64_t i = 0; v.norm > 0 && i < v.N * v.T; i++) {
        const int64_t k = class_of(a, v.target, i), n = i / v.T, at = i % v.T;
        const real *x = v.x + n * v.C * v.T + at;
        (*top)->x[i] = x[0];
        for (int64_t c = 1; c < v.C; c++)
            (*top)->x[i] = x[c * v.T] > (*top)->x[i] ? x[c * v.T] : (*top)->x[i];
        if (k < 0)
            continue;
        (*pull)->x[i] = (real)(pull_of(&v, a, k) / v.norm);
        for (int64_t c = 0; c < v.C; c++)
            (*q)->x[(n * v.C + c) * v.T + at] = (real)((v.weight ? (double)v.weight[c] : 1) / v.norm *
                                                      ((c == k ? 1 - a->smoothing : 0) + a->smoothing / (double)v.C));
    }
}

/* g = dy (a p - q), given dg: d dy = sum dg (a p - q), d logits = dy a p (dg - sum over classes of p dg). */
static void grad_backward(nn_tape *t, nn_node *y, nn_node *dg, nn_node **din)
{
    nn_node *dy = y->in[0], *x = y->in[1], *pull, *top, *q;
    constants(t, y->in + 1, y->n_in - 1, y->attr, &pull, &top, &q);
    nn_node *near = nn_sub(t, x, top), *p = nn_exp(t, nn_sub(t, near, nn_logsumexp(t, near, 1))); /* near 0, where floats are dense */
    if (nn_wants_grad(t, dy))
        din[0] = nn_sum(t, nn_mul(t, dg, nn_sub(t, nn_mul(t, p, pull), q)));
    if (nn_wants_grad(t, x)) {
        nn_node *centred = nn_sub(t, dg, nn_sum_dims(t, nn_mul(t, p, dg), 2u));
        din[1] = nn_mul(t, nn_mul(t, nn_mul(t, p, centred), pull), dy);
    }
}

static const nn_op grad_op = {
    .name = "cross_entropy_grad",
    .summary = "dy (a softmax - target distribution)",
    .min_in = 3,
    .max_in = 4,
    .attr_size = sizeof(attr),
    .shape = grad_shape,
    .forward = grad_forward,
    .backward = grad_backward,
    .no_grad = 12,
    .unread = NN_READ_OUT,
};

static nn_node *grad(nn_tape *t, nn_node *dy, nn_node *const *in, int n_in, const attr *a)
{
    nn_node *all[4] = { dy, in[0], in[1], n_in > 2 ? in[2] : NULL };
    return nn_apply(t, &grad_op, a, n_in + 1, all);
}

nn_node *nn_cross_entropy_with(nn_tape *t, nn_node *logits, nn_node *target, nn_node *weight, int64_t ignore_index,
                               double label_smoothing)
{
    return nn_apply(t, &nn_op_cross_entropy, &(attr){ ignore_index, label_smoothing }, weight ? 3 : 2,
                    (nn_node *const[]){ logits, target, weight });
}

nn_node *nn_cross_entropy(nn_tape *t, nn_node *logits, nn_node *target)
{
    return nn_cross_entropy_with(t, logits, target, NULL, NN_IGNORE_INDEX, 0);
}
