#include "nn/models/pca.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One rotation in the plane (p, q) that makes a[p, q] zero. */
static void rotate(double *a, double *v, int64_t n, int64_t p, int64_t q)
{
    const double apq = a[p * n + q];
    const double theta = (a[q * n + q] - a[p * n + p]) / (2 * apq);
    const double t = (theta >= 0 ? 1 : -1) / (fabs(theta) + sqrt(theta * theta + 1));
    const double c = 1 / sqrt(t * t + 1), s = t * c;
    for (int64_t i = 0; i < n; i++) {
        const double x = a[i * n + p], y = a[i * n + q];
        a[i * n + p] = c * x - s * y;
        a[i * n + q] = s * x + c * y;
    }
    for (int64_t i = 0; i < n; i++) {
        const double x = a[p * n + i], y = a[q * n + i], g = v[p * n + i], h = v[q * n + i];
        a[p * n + i] = c * x - s * y;
        a[q * n + i] = s * x + c * y;
        v[p * n + i] = c * g - s * h;
        v[q * n + i] = s * g + c * h;
    }
}

void nn_eigen_symmetric(double *a, int64_t n, double *values, double *v)
{
    enum { SWEEPS = 60 };
    double size = 0;
    for (int64_t i = 0; i < n * n; i++) {
        size += a[i] * a[i];
        v[i] = i / n == i % n;
    }
    for (int sweep = 0; sweep < SWEEPS; sweep++) {
        double off = 0;
        for (int64_t p = 0; p < n; p++)
            for (int64_t q = p + 1; q < n; q++)
                off += a[p * n + q] * a[p * n + q];
        if (off <= 1e-26 * size)
            break;
        for (int64_t p = 0; p < n; p++)
            for (int64_t q = p + 1; q < n; q++)
                if (fabs(a[p * n + q]) > 1e-300)
                    rotate(a, v, n, p, q);
    }
    for (int64_t i = 0; i < n; i++)
        values[i] = a[i * n + i];
    for (int64_t i = 0; i < n; i++) { /* selection sort: n is small beside the sweeps */
        int64_t best = i;
        for (int64_t k = i + 1; k < n; k++)
            best = values[k] > values[best] ? k : best;
        if (best == i)
            continue;
        const double swap = values[i];
        values[i] = values[best];
        values[best] = swap;
        for (int64_t k = 0; k < n; k++) {
            const double x = v[i * n + k];
            v[i * n + k] = v[best * n + k];
            v[best * n + k] = x;
        }
    }
}

static void covariance(const float *x, int64_t n, int64_t dim, const double *mean, double *a)
{
    #pragma omp parallel for schedule(dynamic, 1)
    for (int64_t i = 0; i < dim; i++) {
        double *row = a + i * dim;
        for (int64_t k = i; k < dim; k++)
            row[k] = 0;
        for (int64_t r = 0; r < n; r++) {
            const float *p = x + r * dim;
            const double d = (double)p[i] - mean[i];
            for (int64_t k = i; k < dim; k++)
                row[k] += d * ((double)p[k] - mean[k]);
        }
        for (int64_t k = i; k < dim; k++)
            row[k] /= (double)n;
    }
    for (int64_t i = 0; i < dim; i++)
        for (int64_t k = 0; k < i; k++)
            a[i * dim + k] = a[k * dim + i];
}

bl_status nn_pca_fit(nn_pca *pca, const float *x, int64_t n, int64_t dim, int rank, bl_error *err)
{
    double *a = NULL, *v = NULL;
    bl_status status = BL_OK;

    memset(pca, 0, sizeof *pca);
    if (n < 1 || dim < 1 || rank < 1 || rank > dim)
        return bl_fail(err, BL_EARG, "PCA: expected rows and a rank of 1 to %lld, got %lld rows and %d", (long long)dim,
                       (long long)n, rank);
    for (int64_t i = 0; i < n * dim; i++)
        if (!isfinite(x[i]))
            return bl_fail(err, BL_ENAN, "PCA: row %lld holds a number that is not finite", (long long)(i / dim));
    const size_t square = (size_t)dim * (size_t)dim;
    pca->dim = dim;
    pca->rank = rank;
    pca->mean = calloc((size_t)dim, sizeof *pca->mean);
    pca->variance = malloc((size_t)dim * sizeof *pca->variance);
    pca->components = malloc((size_t)rank * (size_t)dim * sizeof *pca->components);
    a = malloc(square * sizeof *a);
    v = malloc(square * sizeof *v);
    if (!pca->mean || !pca->variance || !pca->components || !a || !v) {
        nn_pca_free(pca);
        status = bl_fail(err, BL_ENOMEM, "PCA: no memory for %lld columns", (long long)dim);
        goto done;
    }
    for (int64_t r = 0; r < n; r++)
        for (int64_t i = 0; i < dim; i++)
            pca->mean[i] += (double)x[r * dim + i];
    for (int64_t i = 0; i < dim; i++)
        pca->mean[i] /= (double)n;
    covariance(x, n, dim, pca->mean, a);
    nn_eigen_symmetric(a, dim, pca->variance, v);
    memcpy(pca->components, v, (size_t)rank * (size_t)dim * sizeof *v);
done:
    free(a);
    free(v);
    return status;
}

void nn_pca_free(nn_pca *pca)
{
    free(pca->mean);
    free(pca->variance);
    free(pca->components);
    memset(pca, 0, sizeof *pca);
}

double nn_pca_error(const nn_pca *pca, const float *x, int64_t n, int rank)
{
    /* The components are orthonormal: what is lost is |row - mean|^2 less the squares of the coordinates. */
    double lost = 0;
    for (int64_t r = 0; r < n; r++) {
        const float *p = x + r * pca->dim;
        for (int64_t i = 0; i < pca->dim; i++)
            lost += ((double)p[i] - pca->mean[i]) * ((double)p[i] - pca->mean[i]);
        for (int k = 0; k < rank && k < pca->rank; k++) {
            double dot = 0;
            for (int64_t i = 0; i < pca->dim; i++)
                dot += ((double)p[i] - pca->mean[i]) * pca->components[k * pca->dim + i];
            lost -= dot * dot;
        }
    }
    return n > 0 ? lost / ((double)n * (double)pca->dim) : 0;
}
