/* The convolution that is none: every channel its own group, one tap, stride 1. A factor and a bias per channel, at the speed of
 * memory; the tiles of the others would hold one value each. */
#include "nn/conv.h"

static int is_scale(const nn_conv_axis *a)
{
    return a->kernel == 1 && a->stride == 1 && a->pad == 0 && a->in == a->out;
}

int nn_conv_is_scale(const nn_conv_size *s)
{
    return s->in_channels == 1 && s->out_channels == 1 && is_scale(&s->h) && is_scale(&s->w);
}

void nn_conv_scale(const nn_conv_size *s, const real *x, const real *weight, const real *bias, real *y)
{
    const int64_t rows = s->batch * s->groups, n = s->h.in * s->w.in;
#pragma omp parallel for schedule(static) if (rows * n > NN_PARALLEL_MIN)
    for (int64_t r = 0; r < rows; r++) {
        const real *restrict from = x + r * n, w = weight[r % s->groups], b = bias ? bias[r % s->groups] : 0;
        real *restrict to = y + r * n;
        for (int64_t i = 0; i < n; i++)
            to[i] = from[i] * w + b;
    }
}

/* Sixteen running sums: what comes out does not depend on the width of vectors. */
static double dot(const real *restrict x, const real *restrict y, int64_t n)
{
    enum { SUMS = 16 };
    double sum[SUMS] = { 0 }, total = 0;
    int64_t i = 0;
    for (; i + SUMS <= n; i += SUMS)
        for (int k = 0; k < SUMS; k++)
            sum[k] += (double)x[i + k] * (double)y[i + k];
    for (; i < n; i++)
        total += (double)x[i] * (double)y[i];
    for (int k = 0; k < SUMS; k++)
        total += sum[k];
    return total;
}

void nn_conv_scale_weight(const nn_conv_size *s, const real *x, const real *y, real *weight)
{
    const int64_t C = s->groups, n = s->h.in * s->w.in;
#pragma omp parallel for schedule(static) if (s->batch * C * n > NN_PARALLEL_MIN)
    for (int64_t c = 0; c < C; c++) {
        double sum = 0;
        for (int64_t b = 0; b < s->batch; b++)
            sum += dot(x + (b * C + c) * n, y + (b * C + c) * n, n);
        weight[c] = (real)sum;
    }
}
