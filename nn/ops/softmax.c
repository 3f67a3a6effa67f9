/* nn/ops/softmax.c - y = exp(x - m) / sum of exp(x - m) over one dimension, m its maximum (nothing overflows).
 *
 *     dx = y (dy - sum(dy y)), fused as softmax_grad(dy, y)
 *
 * A line of nothing but -inf, or with +inf or NaN in it, is NaN, as in torch.
 */
#include "nn/fastmath.h"
#include "nn/softmax.h"

enum { LANES = 16 };

/* One contiguous line: running maxima and sums side by side, so that neither waits for the one before. */
static void line(const real *restrict x, real *restrict out, int64_t n)
{
    real top[LANES], best = x[0];
    double sum[LANES] = { 0 }, total = 0;
    const int64_t whole = n / LANES * LANES;
    for (int k = 0; k < LANES; k++)
        top[k] = x[0];
    for (int64_t i = 0; i < whole; i += LANES)
        for (int k = 0; k < LANES; k++)
            top[k] = x[i + k] > top[k] ? x[i + k] : top[k];
    for (int64_t i = whole; i < n; i++)
        best = x[i] > best ? x[i] : best;
    for (int k = 0; k < LANES; k++)
        best = top[k] > best ? top[k] : best;
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        out[i] = nn_fast_exp(x[i] - best);
    for (int64_t i = 0; i < whole; i += LANES)
        for (int k = 0; k < LANES; k++)
            sum[k] += (double)out[i + k];
    for (int64_t i = whole; i < n; i++)
        total += (double)out[i];
    for (int k = 0; k < LANES; k++)
        total += sum[k];
    const real scale = (real)(1 / total);
    for (int64_t i = 0; i < n; i++)
        out[i] *= scale;
}

/* Lines side by side. */
static void lines(const real *restrict x, real *restrict out, const nn_softmax_task *k)
{
    real top[NN_SOFTMAX_TILE];
    double sum[NN_SOFTMAX_TILE] = { 0 };
    for (int64_t i = 0; i < k->lines; i++)
        top[i] = x[i];
    for (int64_t c = 1; c < k->n; c++)
        for (int64_t i = 0; i < k->lines; i++)
            top[i] = x[c * k->step + i] > top[i] ? x[c * k->step + i] : top[i];
    for (int64_t c = 0; c < k->n; c++)
#pragma omp simd
        for (int64_t i = 0; i < k->lines; i++) {
            const real e = nn_fast_exp(x[c * k->step + i] - top[i]);
            out[c * k->step + i] = e;
            sum[i] += (double)e;
        }
    for (int64_t i = 0; i < k->lines; i++)
        top[i] = (real)(1 / sum[i]);
    for (int64_t c = 0; c < k->n; c++)
        for (int64_t i = 0; i < k->lines; i++)
            out[c * k->step + i] *= top[i];
}

static void forward(nn_tape *tape, nn_node *y)
{
    const int64_t tasks = nn_softmax_tasks(y);
    (void)tape;
#pragma omp parallel for schedule(static) if (nn_count(&y->shape) > NN_PARALLEL_MIN)
    for (int64_t task = 0; task < tasks; task++) {
        const nn_softmax_task k = nn_softmax_task_of(y, task);
        if (k.step == 1)
            line(y->in[0]->x + k.offset, y->x + k.offset, k.n);
        else
            lines(y->in[0]->x + k.offset, y->x + k.offset, &k);
    }
}

static void grad_forward(nn_tape *tape, nn_node *y)
{
    const int64_t tasks = nn_softmax_tasks(y);
    (void)tape;
#pragma omp parallel for schedule(static) if (nn_count(&y->shape) > NN_PARALLEL_MIN)
    for (int64_t task = 0; task < tasks; task++) {
        const nn_softmax_task k = nn_softmax_task_of(y, task);
        const real *g = y->in[0]->x + k.offset, *p = y->in[1]->x + k.offset;
        real *out = y->x + k.offset;
        double sum[NN_SOFTMAX_TILE] = { 0 };
        if (k.step == 1) {
            double part[LANES] = { 0 };
            for (int64_t i = 0; i < k.n / LANES * LANES; i += LANES)
                for (int j = 0; j < LANES; j++)
                    part[j] += (double)(g[i + j] * p[i + j]);
            for (int64_t i = k.n / LANES * LANES; i < k.n; i++)
                sum[0] += (double)(g[i] * p[i]);
            for (int j = 0; j < LANES; j++)
                sum[0] += part[j];
            for (int64_t i = 0; i < k.n; i++)
                out[i] = p[i] * (g[i] - (real)sum[0]);
            continue;
        }
        for (int64_t c = 0; c < k.n; c++)
            for (int64_t i = 0; i < k.lines; i++)
                sum[i] += (double)(g[c * k.step + i] * p[c * k.step + i]);
        for (int64_t c = 0; c < k.n; c++)
            for (int64_t i = 0; i < k.lines; i++)
                out[c * k.step + i] = p[c * k.step + i] * (g[c * k.step + i] - (real)sum[i]);
    }
}

/* With v the incoming gradient and g = dy:  d(g) = y (v - sum(v y)),  d(y) = v (g - sum(g y)) - g sum(v y). */
static void grad_backward(nn_tape *t, nn_node *y, nn_node *v, nn_node **din)
{
    nn_node *g = y->in[0], *p = y->in[1];
    const unsigned mask = nn_softmax_mask(y);
    if (nn_wants_grad(t, g))
        din[0] = nn_apply(t, y->op, y->attr, 2, (nn_node *const[]){ v, p });
    if (nn_wants_grad(t, p)) {
        nn_node *gp = nn_sum_dims(t, nn_mul(t, g, p), mask), *vp = nn_sum_dims(t, nn_mul(t, v, p), mask);
        din[1] = nn_sub(t, nn_mul(t, v, nn_sub(t, g, gp)), nn_mul(t, g, vp));
    }
}

static const nn_op grad_op = {
    .name = "softmax_grad",
    .summary = "y (dy - sum(dy y))",
    .min_in = 2,
    .max_in = 2,
    .attr_size = sizeof(nn_softmax_attr),
    .shape = nn_softmax_shape,
    .forward = grad_forward,
    .backward = grad_backward,
    .unread = NN_READ_OUT,
};

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    din[0] = nn_apply(t, &grad_op, y->attr, 2, (nn_node *const[]){ dy, y });
}

const nn_op nn_op_softmax = {
    .name = "softmax",
    .summary = "exp(x) / sum exp(x) over one dimension",
    .min_in = 1,
    .max_in = 1,
    .attr_size = sizeof(nn_softmax_attr),
    .shape = nn_softmax_shape,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_IN(0),
    .parse = nn_softmax_parse,
    .examples = (const char *const[]){ "[3,4]:-2..2; -1", "[2,3,5]; 1", "[2,1]; 1", "[3,2]; 0", "[1,37]; 1", NULL },
};

nn_node *nn_softmax_dim(nn_tape *t, nn_node *x, int dim)
{
    return nn_apply(t, &nn_op_softmax, &(nn_softmax_attr){ dim }, 1, &x);
}

nn_node *nn_softmax(nn_tape *t, nn_node *x)
{
    return nn_softmax_dim(t, x, -1);
}
