#include "nn/conv.h"

#include <stdio.h>
#include <string.h>

nn_conv1d_opt nn_conv1d_opt_filled(nn_conv1d_opt o)
{
    o.stride = o.stride ? o.stride : 1;
    o.dilation = o.dilation ? o.dilation : 1;
    o.groups = o.groups ? o.groups : 1;
    return o;
}

int nn_conv1d_parse(const char *text, void *attr)
{
    nn_conv1d_opt *o = attr;
    long long length = 0;
    const int n = sscanf(text, "%d %d %d %d %d %lld", &o->stride, &o->dilation, &o->groups, &o->pad_left,
                         &o->pad_right, &length);
    o->length = length;
    return n == 6;
}

int64_t nn_conv1d_length(int64_t T, int64_t K, const nn_conv1d_opt *o)
{
    const int64_t span = T + o->pad_left + o->pad_right - o->dilation * (K - 1) - 1;
    return span < 0 ? -1 : span / o->stride + 1;
}

void nn_conv_columns(const nn_conv_size *s, const real *x, int64_t u0, int64_t n, real *columns)
{
    for (int64_t i = 0; i < s->Ig; i++)
        for (int64_t k = 0; k < s->K; k++) {
            const real *row = x + i * s->T;
            real *out = columns + (i * s->K + k) * n;
            const int64_t start = u0 * s->stride + k * s->dilation - s->pad_left; /* place in x of j = 0 */
            int64_t j0 = start < 0 ? (-start + s->stride - 1) / s->stride : 0;
            int64_t j1 = s->T - 1 - start < 0 ? 0 : (s->T - 1 - start) / s->stride + 1;
            if (j0 > n)
                j0 = n;
            if (j1 > n)
                j1 = n;
            if (j1 < j0)
                j1 = j0;
            memset(out, 0, (size_t)j0 * sizeof(real));
            if (s->stride == 1)
                memcpy(out + j0, row + start + j0, (size_t)(j1 - j0) * sizeof(real));
            else
                for (int64_t j = j0; j < j1; j++)
                    out[j] = row[start + j * s->stride];
            memset(out + j1, 0, (size_t)(n - j1) * sizeof(real));
        }
}

nn_node *nn_conv_bias_grad(nn_tape *t, nn_node *dy)
{
    nn_node *s = nn_sum_dims(t, dy, 1u | 4u);
    return nn_reshape(t, s, (nn_shape){ 1, { -1 } });
}

void nn_conv_fill_bias(real *y, const real *bias, int64_t B, int64_t C, int64_t T)
{
#pragma omp parallel for schedule(static) if (B * C * T > NN_PARALLEL_MIN)
    for (int64_t r = 0; r < B * C; r++) {
        const real v = bias ? bias[r % C] : 0;
        for (int64_t i = 0; i < T; i++)
            y[r * T + i] = v;
    }
}
