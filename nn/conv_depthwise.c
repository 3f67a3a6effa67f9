/* Convolutions whose groups have one channel on either side and few taps: their tiles would hold one row each, so they get
 * loops of their own, one plane at a time. Sums of a weight's gradient run in double. */
#include "nn/conv.h"

#include <string.h>

enum {
    TAPS = 64,     /* at most; longer kernels fill tiles well enough (nn/conv.c folds neighbours into rows) */
    AT_ONCE = 64,  /* outputs whose sums stay in registers                                                  */
    SUMS = 16,     /* running sums: what comes out does not depend on the width of vectors                  */
};

int nn_conv_is_depthwise(const nn_conv_size *s)
{
    return s->in_channels == 1 && s->out_channels == 1 && s->h.kernel * s->w.kernel <= TAPS;
}

static int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }

/* The outputs whose tap at `place` = tap dilation - pad lies inside: v0 <= v < v1. */
static void outputs_inside(const nn_conv_axis *a, int64_t place, int64_t *v0, int64_t *v1)
{
    *v0 = place < 0 ? (-place + a->stride - 1) / a->stride : 0;
    *v1 = place < a->in ? min64(a->out, (a->in - 1 - place) / a->stride + 1) : 0;
    if (*v1 < *v0)
        *v1 = *v0;
}

/* to[v] += sum over taps of w[tap] x[v + tap dilation], where all of it is inside. */
static void inner(const nn_conv_axis *a, const real *restrict x, const real *restrict w, int64_t n, real *restrict to)
{
    for (int64_t v = 0; v < n; v += AT_ONCE) {
        real sum[AT_ONCE];
        const int64_t start = max64(0, min64(v, n - AT_ONCE)), skip = v - start; /* the last ones overlap those before */
        if (n < AT_ONCE) {
            for (int64_t u = 0; u < n; u++)
                for (int64_t k = 0; k < a->kernel; k++)
                    to[u] += w[k] * x[u + k * a->dilation];
            return;
        }
        memset(sum, 0, sizeof sum);
        for (int64_t k = 0; k < a->kernel; k++)
            for (int u = 0; u < AT_ONCE; u++)
                sum[u] += w[k] * x[start + u + k * a->dilation];
        for (int64_t u = skip; u < AT_ONCE; u++)
            to[start + u] += sum[u];
    }
}

/* One row of outputs from one row of x, added. */
static void add_row(const nn_conv_axis *a, const real *restrict x, const real *restrict w, real *restrict y)
{
    int64_t first = 0, end = 0, v0, v1; /* where all taps are inside */
    if (a->stride == 1) {
        first = min64(a->out, a->pad);
        end = max64(first, min64(a->out, a->in - (a->kernel - 1) * a->dilation + a->pad));
        inner(a, x + first - a->pad, w, end - first, y + first);
    }
    for (int64_t k = 0; k < a->kernel; k++) {
        const int64_t place = k * a->dilation - a->pad;
        outputs_inside(a, place, &v0, &v1);
        for (int64_t v = v0; v < min64(v1, first); v++)
            y[v] += w[k] * x[v * a->stride + place];
        for (int64_t v = max64(v0, end); v < v1; v++)
            y[v] += w[k] * x[v * a->stride + place];
    }
}

/* Its adjoint: one row of x receives from one row of y. */
static void spread_row(const nn_conv_axis *a, const real *restrict y, const real *restrict w, real *restrict x)
{
    for (int64_t k = 0; k < a->kernel; k++) {
        const int64_t place = k * a->dilation - a->pad;
        int64_t v0, v1;
        outputs_inside(a, place, &v0, &v1);
        if (a->stride == 1)
            for (int64_t v = v0; v < v1; v++)
                x[v + place] += w[k] * y[v];
        else
            for (int64_t v = v0; v < v1; v++)
                x[v * a->stride + place] += w[k] * y[v];
    }
}

static void run(const nn_conv_size *s, int adjoint, const real *from, const real *weight, const real *bias, real *to)
{
    const int64_t planes = s->batch * s->groups, K = s->h.kernel * s->w.kernel, nx = s->h.in * s->w.in, ny = s->h.out * s->w.out;
    const int64_t n_from = adjoint ? ny : nx, n_to = adjoint ? nx : ny;
#pragma omp parallel for schedule(static) if (planes > 1 && planes * n_to * K > NN_PARALLEL_MIN)
    for (int64_t p = 0; p < planes; p++) {
        const real *w = weight + p % s->groups * K, start = bias ? bias[p % s->groups] : 0;
        for (int64_t i = 0; i < n_to; i++)
            to[p * n_to + i] = start;
        for (int64_t u = 0; u < s->h.out; u++)
            for (int64_t k = 0; k < s->h.kernel; k++) {
                const int64_t row = u * s->h.stride + k * s->h.dilation - s->h.pad;
                if (row < 0 || row >= s->h.in)
                    continue;
                if (adjoint)
                    spread_row(&s->w, from + p * n_from + u * s->w.out, w + k * s->w.kernel, to + p * n_to + row * s->w.in);
                else
                    add_row(&s->w, from + p * n_from + row * s->w.in, w + k * s->w.kernel, to + p * n_to + u * s->w.out);
            }
    }
}

void nn_conv_depthwise(const nn_conv_size *s, const real *x, const real *weight, const real *bias, real *y)
{
    run(s, 0, x, weight, bias, y);
}

void nn_conv_depthwise_adjoint(const nn_conv_size *s, const real *y, const real *weight, const real *bias, real *x)
{
    run(s, 1, y, weight, bias, x);
}

static double dot(const real *restrict x, int64_t stride, const real *restrict y, int64_t n)
{
    double sum[SUMS] = { 0 }, total = 0;
    int64_t i = 0;
    if (stride == 1)
        for (; i + SUMS <= n; i += SUMS)
            for (int k = 0; k < SUMS; k++)
                sum[k] += (double)x[i + k] * (double)y[i + k];
    for (; i < n; i++)
        sum[i % SUMS] += (double)x[i * stride] * (double)y[i];
    for (int k = 0; k < SUMS; k++)
        total += sum[k];
    return total;
}

void nn_conv_depthwise_weight(const nn_conv_size *s, const real *x, const real *y, real *weight)
{
    const int64_t K = s->h.kernel * s->w.kernel, nx = s->h.in * s->w.in, ny = s->h.out * s->w.out, n = s->groups * K;
#pragma omp parallel for schedule(static) if (n > 1 && s->batch * n * ny > NN_PARALLEL_MIN)
    for (int64_t i = 0; i < n; i++) {
        const int64_t c = i / K, row = i % K / s->w.kernel * s->h.dilation - s->h.pad;
        const int64_t place = i % K % s->w.kernel * s->w.dilation - s->w.pad;
        int64_t v0, v1;
        double sum = 0;
        outputs_inside(&s->w, place, &v0, &v1);
        for (int64_t b = 0; b < s->batch; b++)
            for (int64_t u = 0; u < s->h.out; u++) {
                const int64_t h = u * s->h.stride + row;
                if (h >= 0 && h < s->h.in && v1 > v0)
                    sum += dot(x + (b * s->groups + c) * nx + h * s->w.in + v0 * s->w.stride + place, s->w.stride,
                               y + (b * s->groups + c) * ny + u * s->w.out + v0, v1 - v0);
            }
        weight[i] = (real)sum;
    }
}
