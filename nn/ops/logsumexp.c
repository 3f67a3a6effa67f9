/* nn/ops/logsumexp.c - m + log(sum of exp(x - m)) over one dimension, m its maximum: nothing overflows.
 *
 *     dx = dy exp(x - y)
 *
 * out      the shape of x with 1 at `dim`, as torch.logsumexp(keepdim=True)
 * errors   BL_EARG: no such dimension; BL_ESHAPE: it is empty
 * cost     two passes over a block that stays in the first cache; no scratch
 */
#include "nn/fastmath.h"
#include "nn/ops.h"
#include "nn/window.h"

#include <stdio.h>

typedef struct attr { int dim; } attr;

static int parse(const char *text, void *out)
{
    return sscanf(text, "%d", &((attr *)out)->dim) == 1;
}

static bl_status shape(nn_node *y, bl_error *err)
{
    const nn_shape *x = &y->in[0]->shape;
    const int dim = ((const attr *)y->attr)->dim;
    char text[96];
    if (dim < 0 || dim >= x->rank)
        return bl_fail(err, BL_EARG, "logsumexp: %s has no dimension %d", nn_shape_str(x, text), dim);
    if (x->dim[dim] < 1)
        return bl_fail(err, BL_ESHAPE, "logsumexp: dimension %d of %s is empty", dim, nn_shape_str(x, text));
    y->shape = *x;
    y->shape.dim[dim] = 1;
    return BL_OK;
}

enum { COLUMNS = 64, LANES = 16 };

/* Neighbouring values, a vector of them at a time; the order of the sum is fixed. */
static real of_row(const real *x, int64_t n)
{
    real sum[LANES] = { 0 }, high[LANES], top = x[0];
    double total = 0;
    int64_t i = 0;
    for (int k = 0; k < LANES; k++)
        high[k] = x[0];
    for (; i + LANES <= n; i += LANES)
        for (int k = 0; k < LANES; k++)
            high[k] = x[i + k] > high[k] ? x[i + k] : high[k];
    for (int k = 0; i < n; i++, k++)
        high[k] = x[i] > high[k] ? x[i] : high[k];
    for (int k = 0; k < LANES; k++)
        top = high[k] > top ? high[k] : top;
    for (i = 0; i + LANES <= n; i += LANES)
        for (int k = 0; k < LANES; k++)
            sum[k] += nn_fast_exp(x[i + k] - top);
    for (int k = 0; i < n; i++, k++)
        sum[k] += nn_fast_exp(x[i] - top);
    for (int k = 0; k < LANES; k++)
        total += (double)sum[k];
    return top + (real)log(total);
}

/* Columns beside each other: x [n, stride], `count` of them. */
static void of_columns(const real *x, int64_t n, int64_t stride, int count, real *out)
{
    real top[COLUMNS], sum[COLUMNS];
    for (int k = 0; k < count; k++) {
        top[k] = x[k];
        sum[k] = 0;
    }
    for (int64_t i = 1; i < n; i++)
        for (int k = 0; k < count; k++)
            top[k] = x[i * stride + k] > top[k] ? x[i * stride + k] : top[k];
    for (int64_t i = 0; i < n; i++)
        for (int k = 0; k < count; k++)
            sum[k] += nn_fast_exp(x[i * stride + k] - top[k]);
    for (int k = 0; k < count; k++)
        out[k] = top[k] + (real)log((double)sum[k]);
}

static void forward(nn_tape *t, nn_node *y)
{
    const nn_window w = nn_window_of(&y->in[0]->shape, ((const attr *)y->attr)->dim);
    const int64_t blocks = (w.inner + COLUMNS - 1) / COLUMNS;
    (void)t;
#pragma omp parallel for schedule(static) if (w.outer * w.n * w.inner > NN_PARALLEL_MIN)
    for (int64_t r = 0; r < w.outer * blocks; r++) {
        const int64_t o = r / blocks, first = r % blocks * COLUMNS;
        const real *x = y->in[0]->x + o * w.n * w.inner + first;
        if (w.inner == 1)
            y->x[o] = of_row(x, w.n);
        else
            of_columns(x, w.n, w.inner, (int)(w.inner - first < COLUMNS ? w.inner - first : COLUMNS), y->x + o * w.inner + first);
    }
}

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    din[0] = nn_mul(t, nn_exp(t, nn_sub(t, y->in[0], y)), dy);
}

const nn_op nn_op_logsumexp = {
    .name = "logsumexp",
    .summary = "log of the sum of exp(x) over a dimension, which becomes 1",
    .min_in = 1,
    .max_in = 1,
    .attr_size = sizeof(attr),
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .parse = parse,
    .examples = (const char *const[]){ "[3,4]:-2..2; 1", "[2,3,5]; 1", "[2,3,5]; 2", "[2,1]; 1", "[4]; 0", NULL },
};

nn_node *nn_logsumexp(nn_tape *t, nn_node *x, int dim)
{
    return nn_apply(t, &nn_op_logsumexp, &(attr){ dim }, 1, &x);
}
