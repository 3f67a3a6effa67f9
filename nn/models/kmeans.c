#include "nn/models/kmeans.h"

#include "base/rng.h"
#include "nn/models/rows.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LANES = 8, CHUNK = 256 };

/* Everything one fit needs, allocated once and shared by its restarts. */
typedef struct work {
    const float *x;
    int64_t      n, dim;
    int          k, k_padded;
    float       *transposed;  /* [dim, k_padded]: distances to eight centroids at a time           */
    float       *centroids;   /* [k, dim]                                                          */
    float       *best;        /* [k, dim] of the best run so far                                   */
    int         *labels, *previous, *best_labels; /* [n]                                           */
    float       *distance2;   /* [n] to the point's own centroid                                   */
    float       *candidate2;  /* [n] k-means++: distances if the candidate were taken              */
    int64_t     *start, *order; /* [k + 1], [n]: points by cluster                                 */
    double      *sums;        /* [k, dim]                                                          */
    double      *shift2;      /* [k]                                                               */
} work;

static void work_free(work *w)
{
    free(w->transposed);
    free(w->centroids);
    free(w->best);
    free(w->labels);
    free(w->previous);
    free(w->best_labels);
    free(w->distance2);
    free(w->candidate2);
    free(w->start);
    free(w->order);
    free(w->sums);
    free(w->shift2);
}

static int work_new(work *w, const float *x, int64_t n, int64_t dim, int k)
{
    const size_t kd = (size_t)k * (size_t)dim, un = (size_t)n;
    *w = (work){ .x = x, .n = n, .dim = dim, .k = k, .k_padded = (k + LANES - 1) / LANES * LANES };
    w->transposed = calloc((size_t)w->k_padded * (size_t)dim, sizeof *w->transposed);
    w->centroids = calloc(kd, sizeof *w->centroids);
    w->best = calloc(kd, sizeof *w->best);
    w->labels = calloc(un, sizeof *w->labels);
    w->previous = calloc(un, sizeof *w->previous);
    w->best_labels = calloc(un, sizeof *w->best_labels);
    w->distance2 = calloc(un, sizeof *w->distance2);
    w->candidate2 = calloc(un, sizeof *w->candidate2);
    w->start = calloc((size_t)k + 1, sizeof *w->start);
    w->order = calloc(un, sizeof *w->order);
    w->sums = calloc(kd, sizeof *w->sums);
    w->shift2 = calloc((size_t)k, sizeof *w->shift2);
    return w->transposed && w->centroids && w->best && w->labels && w->previous && w->best_labels && w->distance2 &&
           w->candidate2 && w->start && w->order && w->sums && w->shift2;
}

static void transpose(const float *centroids, int k, int k_padded, int64_t dim, float *out)
{
    for (int64_t i = 0; i < dim; i++)
        for (int j = 0; j < k_padded; j++)
            out[i * k_padded + j] = centroids[(j < k ? j : 0) * dim + i];
}

/* Nearest of k centroids, given transposed; the first of equals. */
static int nearest(const float *x, const float *transposed, int k, int k_padded, int64_t dim, float *distance2)
{
    int best = 0;
    float least = INFINITY;
    for (int block = 0; block < k; block += LANES) {
        float sum[LANES] = { 0 };
        for (int64_t i = 0; i < dim; i++)
            for (int l = 0; l < LANES; l++) {
                const float d = x[i] - transposed[i * k_padded + block + l];
                sum[l] += d * d;
            }
        for (int l = 0; l < LANES && block + l < k; l++)
            if (sum[l] < least) {
                least = sum[l];
                best = block + l;
            }
    }
    *distance2 = least;
    return best;
}

static void assign(work *w)
{
    transpose(w->centroids, w->k, w->k_padded, w->dim, w->transposed);
    #pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < w->n; i++)
        w->labels[i] = nearest(w->x + i * w->dim, w->transposed, w->k, w->k_padded, w->dim, w->distance2 + i);
}

static double sum_double(const float *v, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)v[i];
    return sum;
}

/* Every empty cluster takes the point that lies farthest from its centroid, as long as that leaves one behind. */
static void repair_empty(work *w, int64_t *count)
{
    for (int c = 0; c < w->k; c++) {
        int64_t farthest = -1;
        if (count[c])
            continue;
        for (int64_t i = 0; i < w->n; i++)
            if (count[w->labels[i]] > 1 && (farthest < 0 || w->distance2[i] > w->distance2[farthest]))
                farthest = i;
        if (farthest < 0)
            return;
        count[w->labels[farthest]]--;
        count[c] = 1;
        w->labels[farthest] = c;
        w->distance2[farthest] = 0;
    }
}

/* Centroids become the means of their points; returns the sum of squared shifts. One thread sums one cluster,
 * in the order of the points. */
static double update(work *w)
{
    int64_t *count = w->start + 1;
    double shift = 0;

    memset(w->start, 0, ((size_t)w->k + 1) * sizeof *w->start);
    for (int64_t i = 0; i < w->n; i++)
        count[w->labels[i]]++;
    repair_empty(w, count);
    for (int c = 0; c < w->k; c++)
        w->start[c + 1] += w->start[c];
    for (int64_t i = w->n - 1; i >= 0; i--)
        w->order[--w->start[w->labels[i] + 1]] = i;
    /* start[c + 1] now is where cluster c begins; move the bounds back into place. */
    memmove(w->start, w->start + 1, (size_t)w->k * sizeof *w->start);
    w->start[w->k] = w->n;

    #pragma omp parallel for schedule(dynamic)
    for (int c = 0; c < w->k; c++) {
        double *sum = w->sums + c * w->dim;
        const int64_t first = w->start[c], last = w->start[c + 1];
        w->shift2[c] = 0;
        if (first == last)
            continue;
        memset(sum, 0, (size_t)w->dim * sizeof *sum);
        for (int64_t p = first; p < last; p++)
            for (int64_t j = 0; j < w->dim; j++)
                sum[j] += (double)w->x[w->order[p] * w->dim + j];
        for (int64_t j = 0; j < w->dim; j++) {
            const float mean = (float)(sum[j] / (double)(last - first));
            const double d = (double)mean - (double)w->centroids[c * w->dim + j];
            w->shift2[c] += d * d;
            w->centroids[c * w->dim + j] = mean;
        }
    }
    for (int c = 0; c < w->k; c++)
        shift += w->shift2[c];
    return shift;
}

/* Index i with probability proportional to distance2[i]. */
static int64_t draw(const float *distance2, int64_t n, double total, bl_rng *rng)
{
    double left = bl_rng_uniform(rng) * total;
    int64_t last = 0;
    for (int64_t i = 0; i < n; i++) {
        if (distance2[i] <= 0)
            continue;
        last = i;
        left -= (double)distance2[i];
        if (left < 0)
            break;
    }
    return last;
}

/* candidate2[i] = min(distance2[i], |x[i] - x[c]|^2); returns its sum. */
static double with_candidate(work *w, int64_t c)
{
    #pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < w->n; i++) {
        const float d = nn_rows_distance2(w->x + i * w->dim, w->x + c * w->dim, w->dim);
        w->candidate2[i] = d < w->distance2[i] ? d : w->distance2[i];
    }
    return sum_double(w->candidate2, w->n);
}

static void plus_plus(work *w, bl_rng *rng)
{
    const int n_candidates = 2 + (int)log((double)w->k);
    const size_t row = (size_t)w->dim * sizeof *w->x;
    double total = INFINITY;

    for (int64_t i = 0; i < w->n; i++)
        w->distance2[i] = INFINITY;
    for (int c = 0; c < w->k; c++) {
        int64_t chosen = -1;
        double least = INFINITY;
        for (int t = 0; t < (c ? n_candidates : 1); t++) {
            /* All points covered already: any will do, the clusters then share a place. */
            const int64_t candidate = c && total > 0 ? draw(w->distance2, w->n, total, rng) : bl_rng_below(rng, w->n);
            const double sum = with_candidate(w, candidate);
            if (chosen < 0 || sum < least) {
                chosen = candidate;
                least = sum;
            }
        }
        total = with_candidate(w, chosen);
        float *swap = w->distance2;
        w->distance2 = w->candidate2;
        w->candidate2 = swap;
        memcpy(w->centroids + c * w->dim, w->x + chosen * w->dim, row);
    }
}

/* Lloyd's iterations from w->centroids; returns the inertia. */
static double lloyd(work *w, int max_iterations, double threshold, int *iterations)
{
    int it = 0, stable = 0;
    memset(w->previous, -1, (size_t)w->n * sizeof *w->previous);
    while (it < max_iterations && !stable) {
        it++;
        assign(w);
        /* Repair happens inside update, so compare before it: a repaired labelling is a changed one. */
        stable = !memcmp(w->labels, w->previous, (size_t)w->n * sizeof *w->labels);
        if (stable)
            break;
        memcpy(w->previous, w->labels, (size_t)w->n * sizeof *w->labels);
        if (update(w) <= threshold)
            break;
    }
    if (!stable)
        assign(w);
    *iterations = it;
    return sum_double(w->distance2, w->n);
}

static bl_status check(const float *x, int64_t n, int64_t dim, int k, bl_error *err)
{
    if (k < 1 || dim < 1 || n < 1)
        return bl_fail(err, BL_EARG, "k-means: expected k, points and columns of at least 1, got k %d, %lld points, %lld columns",
                       k, (long long)n, (long long)dim);
    if (n < k)
        return bl_fail(err, BL_EARG, "k-means: %d clusters need at least %d points, got %lld", k, k, (long long)n);
    return nn_rows_check(x, n, dim, "k-means", err);
}

static double column_variance(const float *x, int64_t n, int64_t dim, bl_error *err)
{
    double *moments = malloc(2 * (size_t)dim * sizeof *moments), sum = 0;
    if (!moments) {
        bl_fail(err, BL_ENOMEM, "k-means: no memory for %lld columns", (long long)dim);
        return 0;
    }
    nn_rows_moments(x, n, dim, moments, moments + dim);
    for (int64_t j = 0; j < dim; j++)
        sum += moments[dim + j];
    free(moments);
    return sum / (double)dim;
}

bl_status nn_kmeans_fit(nn_kmeans *model, const float *x, int64_t n, int64_t dim, const nn_kmeans_opt *opt,
                        const float *start, int *labels, bl_error *err)
{
    const int k = opt->k, n_init = start ? 1 : opt->n_init > 0 ? opt->n_init : 10;
    const int max_iterations = opt->max_iterations > 0 ? opt->max_iterations : 300;
    double best = INFINITY;
    bl_status status = check(x, n, dim, k, err);
    bl_rng rng;
    work w = { 0 };

    memset(model, 0, sizeof *model);
    if (status != BL_OK)
        return status;
    if (!work_new(&w, x, n, dim, k)) {
        status = bl_fail(err, BL_ENOMEM, "k-means: no memory for %lld points", (long long)n);
        goto done;
    }
    const double threshold = opt->tolerance >= 0 ? opt->tolerance * column_variance(x, n, dim, err) : -1;
    bl_rng_seed(&rng, opt->seed);
    for (int run = 0; run < n_init; run++) {
        bl_rng own = bl_rng_fork(&rng, (uint64_t)run);
        int iterations;
        if (start)
            memcpy(w.centroids, start, (size_t)k * (size_t)dim * sizeof *start);
        else
            plus_plus(&w, &own);
        const double inertia = lloyd(&w, max_iterations, threshold, &iterations);
        if (inertia < best || run == 0) {
            best = inertia;
            model->iterations = iterations;
            memcpy(w.best, w.centroids, (size_t)k * (size_t)dim * sizeof *w.best);
            memcpy(w.best_labels, w.labels, (size_t)n * sizeof *labels);
        }
    }
    model->centroids = w.best;
    w.best = NULL;
    model->k = k;
    model->dim = dim;
    model->inertia = best;
    if (labels)
        memcpy(labels, w.best_labels, (size_t)n * sizeof *labels);
done:
    work_free(&w);
    return status;
}

void nn_kmeans_free(nn_kmeans *model)
{
    free(model->centroids);
    memset(model, 0, sizeof *model);
}

/* As nearest(), from centroids as they stand in the model; each sum runs in the same order, so the distances
 * are the same to the last bit. */
static int nearest_plain(const float *x, const nn_kmeans *m, float *distance2)
{
    int best = 0;
    float least = INFINITY;
    for (int block = 0; block < m->k; block += LANES) {
        const int lanes = m->k - block < LANES ? m->k - block : LANES;
        const float *c = m->centroids + block * m->dim;
        float sum[LANES] = { 0 };
        for (int64_t i = 0; i < m->dim; i++)
            for (int l = 0; l < lanes; l++) {
                const float d = x[i] - c[l * m->dim + i];
                sum[l] += d * d;
            }
        for (int l = 0; l < lanes; l++)
            if (sum[l] < least) {
                least = sum[l];
                best = block + l;
            }
    }
    *distance2 = least;
    return best;
}

void nn_kmeans_predict(const nn_kmeans *model, const float *x, int64_t n, int *labels, float *squared_distance)
{
    #pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++) {
        float distance2;
        const int best = nearest_plain(x + i * model->dim, model, &distance2);
        if (labels)
            labels[i] = best;
        if (squared_distance)
            squared_distance[i] = distance2;
    }
}

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
    if ((status = check(x, n, dim, k_max, err)) != BL_OK)
        return status;
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

bl_status nn_kmeans_save(const nn_kmeans *model, nn_checkpoint *c, const char *group, bl_error *err)
{
    char name[256];
    snprintf(name, sizeof name, "%s/centroids", group);
    const bl_status status =
        nn_checkpoint_put(c, name, NN_F32, 2, (int64_t[]){ model->k, model->dim }, model->centroids, err);
    if (status != BL_OK)
        return status;
    snprintf(name, sizeof name, "%s/inertia", group);
    return nn_checkpoint_put(c, name, NN_F64, 1, (int64_t[]){ 1 }, &model->inertia, err);
}

bl_status nn_kmeans_load(nn_kmeans *model, const nn_checkpoint *c, const char *group, bl_error *err)
{
    char name[256];
    int64_t dims[2] = { 0, 0 };
    double *inertia;

    memset(model, 0, sizeof *model);
    snprintf(name, sizeof name, "%s/inertia", group);
    inertia = nn_checkpoint_get(c, name, NN_F64, 1, (int64_t[]){ 1 }, NULL, err);
    if (!inertia)
        return err && err->code != BL_OK ? err->code : BL_EFORMAT;
    model->inertia = *inertia;
    free(inertia);
    snprintf(name, sizeof name, "%s/centroids", group);
    model->centroids = nn_checkpoint_get(c, name, NN_F32, 2, (int64_t[]){ -1, -1 }, dims, err);
    if (!model->centroids)
        return err && err->code != BL_OK ? err->code : BL_EFORMAT;
    if (dims[0] < 1 || dims[0] > 1 << 20 || dims[1] < 1) {
        nn_kmeans_free(model);
        return bl_fail(err, BL_EFORMAT, "%s: %s is empty or too large", nn_checkpoint_path(c), name);
    }
    model->k = (int)dims[0];
    model->dim = dims[1];
    return nn_rows_check(model->centroids, dims[0], dims[1], "k-means centroids", err);
}
