#include "nn/models/rows.h"

#include <math.h>

enum { LANES = 8 };

/* Whether all are finite: zero times anything else is not a number. */
static int all_finite(const float *v, int64_t n)
{
    float lane[2 * LANES] = { 0 }, sum = 0;
    int64_t i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES)
        for (int l = 0; l < 2 * LANES; l++)
            lane[l] += v[i + l] * 0.0f;
    for (int l = 0; l < 2 * LANES; l++)
        sum += lane[l];
    for (; i < n; i++)
        sum += v[i] * 0.0f;
    return sum == 0;
}

bl_status nn_rows_check(const float *x, int64_t n, int64_t dim, const char *what, bl_error *err)
{
    if (all_finite(x, n * dim))
        return BL_OK;
    for (int64_t i = 0; i < n * dim; i++)
        if (!isfinite(x[i]))
            return bl_fail(err, BL_ENAN, "%s: row %lld, column %lld is not a finite number", what, (long long)(i / dim),
                           (long long)(i % dim));
    return BL_OK;
}

float nn_rows_distance2(const float *a, const float *b, int64_t dim)
{
    float lane[LANES] = { 0 }, sum = 0;
    int64_t i = 0;
    for (; i + LANES <= dim; i += LANES)
        for (int l = 0; l < LANES; l++) {
            const float d = a[i + l] - b[i + l];
            lane[l] += d * d;
        }
    for (int l = 0; l < LANES; l++)
        sum += lane[l];
    for (; i < dim; i++)
        sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sum;
}

double nn_rows_dot(const double *a, const double *b, int64_t dim)
{
    double lane[LANES] = { 0 }, sum = 0;
    int64_t i = 0;
    for (; i + LANES <= dim; i += LANES)
        for (int l = 0; l < LANES; l++)
            lane[l] += a[i + l] * b[i + l];
    for (int l = 0; l < LANES; l++)
        sum += lane[l];
    for (; i < dim; i++)
        sum += a[i] * b[i];
    return sum;
}

void nn_rows_moments(const float *x, int64_t n, int64_t dim, double *mean, double *variance)
{
    for (int64_t j = 0; j < dim; j++)
        mean[j] = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < dim; j++)
            mean[j] += (double)x[i * dim + j];
    for (int64_t j = 0; j < dim; j++)
        mean[j] /= (double)n;
    if (!variance)
        return;
    for (int64_t j = 0; j < dim; j++)
        variance[j] = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < dim; j++) {
            const double d = (double)x[i * dim + j] - mean[j];
            variance[j] += d * d;
        }
    for (int64_t j = 0; j < dim; j++)
        variance[j] /= (double)n;
}
