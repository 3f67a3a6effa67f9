#include "base/rng.h"
#include "nn/models/kmeans.h"
#include "nn/models/rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 256 };

/* Silhouette of point i; sums [k] is scratch. */
static double silhouette_of(const float *x, int64_t i, int64_t n, int64_t dim, const int *labels,
                            const int64_t *count, int k, double *sums)
{
    const int own = labels[i];
    double b = INFINITY;
    if (count[own] < 2)
        return 0;
    memset(sums, 0, (size_t)k * sizeof *sums);
    for (int64_t j = 0; j < n; j++)
        sums[labels[j]] += sqrt((double)nn_rows_distance2(x + i * dim, x + j * dim, dim));
    const double a = sums[own] / (double)(count[own] - 1);
    for (int c = 0; c < k; c++)
        if (c != own && count[c] && sums[c] / (double)count[c] < b)
            b = sums[c] / (double)count[c];
    return a == b ? 0 : (b - a) / (a > b ? a : b);
}

bl_status nn_silhouette(const float *x, int64_t n, int64_t dim, const int *labels, int k, double *score, bl_error *err)
{
    const int64_t n_chunks = (n + CHUNK - 1) / CHUNK;
    int64_t *count = NULL;
    double *each = NULL, *sums = NULL, total = 0;
    bl_status status = BL_OK;
    int used = 0;

    *score = 0;
    if (k < 1 || n < 1)
        return bl_fail(err, BL_EARG, "silhouette: expected points and clusters, got %lld and %d", (long long)n, k);
    count = calloc((size_t)k, sizeof *count);
    each = malloc((size_t)n * sizeof *each);
    sums = malloc((size_t)n_chunks * (size_t)k * sizeof *sums);
    if (!count || !each || !sums) {
        status = bl_fail(err, BL_ENOMEM, "silhouette: no memory for %lld points", (long long)n);
        goto done;
    }
    for (int64_t i = 0; i < n; i++) {
        if (labels[i] < 0 || labels[i] >= k) {
            status = bl_fail(err, BL_EARG, "silhouette: label %d of point %lld, expected 0 to %d", labels[i],
                             (long long)i, k - 1);
            goto done;
        }
        used += !count[labels[i]]++;
    }
    if (used < 2) {
        status = bl_fail(err, BL_EARG, "silhouette: expected at least two clusters in use, got %d", used);
        goto done;
    }
    #pragma omp parallel for schedule(dynamic)
    for (int64_t chunk = 0; chunk < n_chunks; chunk++)
        for (int64_t i = chunk * CHUNK; i < n && i < (chunk + 1) * CHUNK; i++)
            each[i] = silhouette_of(x, i, n, dim, labels, count, k, sums + chunk * k);
    for (int64_t i = 0; i < n; i++)
        total += each[i];
    *score = total / (double)n;
done:
    free(count);
    free(each);
    free(sums);
    return status;
}

/* At most max_sample rows, drawn without replacement and kept in order. picked [n_picked]. */
static int64_t *sample_rows(int64_t n, int64_t max_sample, uint64_t seed, int64_t *n_picked)
{
    int64_t *index = malloc((size_t)n * sizeof *index);
    bl_rng rng;
    if (!index)
        return NULL;
    for (int64_t i = 0; i < n; i++)
        index[i] = i;
    *n_picked = n;
    if (n > max_sample) {
        bl_rng_seed(&rng, seed ^ 0x73696c68u);
        bl_rng_shuffle(&rng, index, n);
        *n_picked = max_sample;
    }
    return index;
}

bl_status nn_kmeans_choose_k(nn_kmeans *model, const float *x, int64_t n, int64_t dim, const nn_kmeans_opt *opt,
                             int k_min, int k_max, int64_t max_sample, double *scores, int *labels, bl_error *err)
{
    nn_kmeans trial = { 0 };
    int64_t n_picked = 0, *picked = NULL;
    float *sample = NULL;
    int *all = NULL, *own = NULL;
    double best = -INFINITY;
    bl_status status = BL_OK;

    memset(model, 0, sizeof *model);
    if (k_min < 2 || k_max < k_min)
        return bl_fail(err, BL_EARG, "k-means: expected 2 <= k_min <= k_max, got %d and %d", k_min, k_max);
    if (n < k_max || dim < 1)
        return bl_fail(err, BL_EARG, "k-means: %d clusters need at least %d points of one column or more, got %lld of %lld", k_max,
                       k_max, (long long)n, (long long)dim);
    picked = sample_rows(n, max_sample > 0 ? max_sample : 2000, opt->seed, &n_picked);
    sample = malloc((size_t)n_picked * (size_t)dim * sizeof *sample);
    all = malloc((size_t)n * sizeof *all);
    own = malloc((size_t)n * sizeof *own);
    if (!picked || !sample || !all || !own) {
        status = bl_fail(err, BL_ENOMEM, "k-means: no memory for %lld points", (long long)n);
        goto done;
    }
    for (int64_t i = 0; i < n_picked; i++)
        memcpy(sample + i * dim, x + picked[i] * dim, (size_t)dim * sizeof *x);
    for (int k = k_min; k <= k_max; k++) {
        nn_kmeans_opt o = *opt;
        bl_error ignored = { 0 };
        double score = -1;
        o.k = k;
        if ((status = nn_kmeans_fit(&trial, x, n, dim, &o, NULL, all, err)) != BL_OK)
            goto done;
        for (int64_t i = 0; i < n_picked; i++)
            own[i] = all[picked[i]];
        /* The sample may hold one cluster alone: as bad as a clustering can be. */
        if (nn_silhouette(sample, n_picked, dim, own, k, &score, &ignored) != BL_OK)
            score = -1;
        if (scores)
            scores[k - k_min] = score;
        if (score > best) {
            best = score;
            nn_kmeans_free(model);
            *model = trial;
            memset(&trial, 0, sizeof trial);
            if (labels)
                memcpy(labels, all, (size_t)n * sizeof *labels);
        }
        nn_kmeans_free(&trial);
    }
done:
    if (status != BL_OK)
        nn_kmeans_free(model);
    free(picked);
    free(sample);
    free(all);
    free(own);
    return status;
}

