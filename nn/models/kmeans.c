#include "nn/models/kmeans.h"

#include "base/rng.h"
#include "nn/models/kmeans_private.h"
#include "nn/models/rows.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RUN = NN_KMEANS_RUN, LANES = NN_KMEANS_LANES, MAX_CANDIDATES = 32 };

/* Everything one fit needs, allocated once and shared by its restarts. Points are taken in runs of RUN, which do not depend on
 * the number of threads. */
typedef struct work {
    const float *x;
    int64_t      n, dim, n_runs;
    int          k, n_candidates;
    float       *centroids, *best;            /* [k, dim]; of the best run so far                            */
    int         *labels, *summed, *best_labels; /* [n]; summed: the cluster in whose sum a point stands, or -1 */
    float       *distance2;                   /* [n] squared, to the point's own centroid                    */
    float       *upper, *lower;               /* [n] bounds of the distances to its own centroid, to any other */
    float       *candidate2;                  /* [n_candidates, n] k-means++: distances if it were taken     */
    double      *run_sums;                    /* [n_candidates, n_runs] of candidate2                        */
    int64_t     *start, *event;               /* [k + 1], [2 n]: points that enter (>= 0) or leave a cluster  */
    int64_t     *count;                       /* [k] points in the sums                                      */
    double      *sums;                        /* [k, dim]                                                    */
    float       *moved, *apart;               /* [k] a centroid's last step; half the way to the next one    */
} work;

static void work_free(work *w)
{
    free(w->centroids);
    free(w->best);
    free(w->labels);
    free(w->summed);
    free(w->best_labels);
    free(w->distance2);
    free(w->upper);
    free(w->lower);
    free(w->candidate2);
    free(w->run_sums);
    free(w->start);
    free(w->event);
    free(w->count);
    free(w->sums);
    free(w->moved);
    free(w->apart);
}

static int work_new(work *w, const float *x, int64_t n, int64_t dim, int k, int with_start)
{
    const size_t kd = (size_t)k * (size_t)dim, un = (size_t)n, uk = (size_t)k;
    *w = (work){ .x = x, .n = n, .dim = dim, .k = k, .n_runs = (n + RUN - 1) / RUN,
                 .n_candidates = with_start ? 0 : 2 + (int)log((double)k) };
    w->centroids = calloc(kd, sizeof *w->centroids);
    w->best = calloc(kd, sizeof *w->best);
    w->labels = calloc(un, sizeof *w->labels);
    w->summed = calloc(un, sizeof *w->summed);
    w->best_labels = calloc(un, sizeof *w->best_labels);
    w->distance2 = calloc(un, sizeof *w->distance2);
    w->upper = calloc(un, sizeof *w->upper);
    w->lower = calloc(un, sizeof *w->lower);
    w->candidate2 = calloc((size_t)w->n_candidates * un + 1, sizeof *w->candidate2);
    w->run_sums = calloc((size_t)(w->n_candidates + 1) * (size_t)w->n_runs, sizeof *w->run_sums);
    w->start = calloc(uk + 2, sizeof *w->start);
    w->event = calloc(2 * un, sizeof *w->event);
    w->count = calloc(uk, sizeof *w->count);
    w->sums = calloc(kd, sizeof *w->sums);
    w->moved = calloc(uk, sizeof *w->moved);
    w->apart = calloc(uk, sizeof *w->apart);
    return w->centroids && w->best && w->labels && w->summed && w->best_labels && w->distance2 && w->upper && w->lower &&
           w->candidate2 && w->run_sums && w->start && w->event && w->count && w->sums && w->moved && w->apart;
}

static void run_rows(const float *x, int64_t n, int64_t dim, const float **row)
{
    for (int64_t p = 0; p < n; p++)
        row[p] = x + p * dim;
}

/* What arithmetic in float32 may be off by, as a factor on a distance: bounds are widened by it, so that a point they pass over
 * has the same label as if its distances had been computed. */
static float slack_of(const work *w)
{
    return 1e-6f + 6e-8f * (float)w->dim;
}

/* ---- assignment --------------------------------------------------------------------------------- */

/* Labels, distances and bounds of all points from scratch. */
static void assign_all(work *w)
{
    const float slack = slack_of(w);
    #pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < w->n_runs; r++) {
        const int64_t first = r * RUN, n = w->n - first < RUN ? w->n - first : RUN;
        const float *row[RUN];
        float second2[RUN];
        run_rows(w->x + first * w->dim, n, w->dim, row);
        nn_kmeans_nearest(row, n, w->dim, w->centroids, w->k, w->labels + first, w->distance2 + first, second2);
        for (int64_t p = 0; p < n; p++) {
            w->upper[first + p] = sqrtf(w->distance2[first + p]) * (1 + slack);
            w->lower[first + p] = sqrtf(second2[p]) * (1 - slack);
        }
    }
}

/* Half of each centroid's distance to the nearest other one: a point closer than that to its own has no closer one. */
static void measure_gaps(work *w)
{
    const float slack = slack_of(w);
    #pragma omp parallel for schedule(static)
    for (int a = 0; a < w->k; a++) {
        float least = INFINITY;
        for (int b = 0; b < w->k; b++) {
            const float d = b == a ? INFINITY : nn_rows_distance2(w->centroids + a * w->dim, w->centroids + b * w->dim, w->dim);
            least = d < least ? d : least;
        }
        w->apart[a] = sqrtf(least) / 2 * (1 - slack);
    }
}

/* The points of a run whose bounds leave their label open: first after both bounds followed the centroids' last step, then
 * with the distance to their own centroid computed. open [RUN]; returns how many. */
static int64_t open_points(work *w, int64_t first, int64_t n, float step, float own_step, int widest, float slack, int64_t *open)
{
    const int *label = w->labels + first;
    float *upper = w->upper + first, *lower = w->lower + first;
    int64_t n_open = 0, n_left = 0;
    for (int64_t p = 0; p < n; p++) {
        const float u = (upper[p] + w->moved[label[p]]) * (1 + 2e-7f);
        const float l = (lower[p] - (label[p] == widest ? own_step : step)) * (1 - 2e-7f);
        const float gap = w->apart[label[p]], bound = l > gap ? l : gap;
        upper[p] = u;
        lower[p] = l;
        open[n_open] = p;
        n_open += !(u < bound);
    }
    for (int64_t i = 0; i < n_open; i++) {
        const int64_t p = open[i];
        const float gap = w->apart[label[p]], bound = lower[p] > gap ? lower[p] : gap;
        const float d2 = nn_rows_distance2(w->x + (first + p) * w->dim, w->centroids + label[p] * w->dim, w->dim);
        upper[p] = sqrtf(d2) * (1 + slack);
        open[n_left] = p;
        n_left += !(upper[p] < bound);
    }
    return n_left;
}

/* Labels after the centroids moved: Hamerly's bounds spare most points their distances. */
static void assign_moved(work *w)
{
    const float slack = slack_of(w);
    float step = 0, own_step = 0;
    int widest = -1;
    for (int c = 0; c < w->k; c++)
        if (widest < 0 || w->moved[c] > step) {
            own_step = step;
            step = w->moved[c];
            widest = c;
        } else if (w->moved[c] > own_step) {
            own_step = w->moved[c];
        }
    measure_gaps(w);
    #pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < w->n_runs; r++) {
        const int64_t first = r * RUN;
        int64_t open[RUN];
        const int64_t n = open_points(w, first, w->n - first < RUN ? w->n - first : RUN, step, own_step, widest, slack, open);
        const float *row[RUN];
        float first2[RUN], second2[RUN];
        int label[RUN];
        for (int64_t i = 0; i < n; i++)
            row[i] = w->x + (first + open[i]) * w->dim;
        if (n > 0)
            nn_kmeans_nearest(row, n, w->dim, w->centroids, w->k, label, first2, second2);
        for (int64_t i = 0; i < n; i++) {
            w->labels[first + open[i]] = label[i];
            w->upper[first + open[i]] = sqrtf(first2[i]) * (1 + slack);
            w->lower[first + open[i]] = sqrtf(second2[i]) * (1 - slack);
        }
    }
}

/* ---- means -------------------------------------------------------------------------------------- */

/* Every empty cluster takes the point that lies farthest from its centroid, as long as that leaves one behind. */
static void repair_empty(work *w)
{
    int64_t *count = w->start;
    int any = 0;
    memset(count, 0, (size_t)w->k * sizeof *count);
    for (int64_t i = 0; i < w->n; i++)
        count[w->labels[i]]++;
    for (int c = 0; c < w->k; c++)
        any |= !count[c];
    if (!any)
        return;
    #pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < w->n; i++)
        w->distance2[i] = nn_rows_distance2(w->x + i * w->dim, w->centroids + w->labels[i] * w->dim, w->dim);
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
        w->upper[farthest] = INFINITY; /* its bounds are about another centroid */
        w->lower[farthest] = 0;
    }
}

/* The points whose cluster is not the one they were summed in, sorted by cluster and within it in their own order: i where point i
 * enters, -1 - i where it leaves. start [k + 1]. Returns how many points changed. */
static int64_t find_events(work *w)
{
    int64_t changed = 0, *start = w->start;
    memset(start, 0, ((size_t)w->k + 2) * sizeof *start);
    for (int64_t i = 0; i < w->n; i++)
        if (w->labels[i] != w->summed[i]) {
            changed++;
            start[w->labels[i] + 2]++;
            if (w->summed[i] >= 0)
                start[w->summed[i] + 2]++;
        }
    for (int c = 0; c < w->k; c++)
        start[c + 2] += start[c + 1];
    for (int64_t i = 0; i < w->n && changed > 0; i++)
        if (w->labels[i] != w->summed[i]) {
            w->event[start[w->labels[i] + 1]++] = i;
            if (w->summed[i] >= 0)
                w->event[start[w->summed[i] + 1]++] = -1 - i;
            w->summed[i] = w->labels[i];
        }
    return changed;
}

/* Centroids become the means of their points: the sums follow those that changed sides. One thread sums one cluster, in the
 * order of the points. Returns the sum of squared shifts; *changed: points with another label than before. */
static double update(work *w, int64_t *changed)
{
    double shift = 0;
    repair_empty(w);
    *changed = find_events(w);
    #pragma omp parallel for schedule(static, 1)
    for (int c = 0; c < w->k; c++) {
        double *sum = w->sums + c * w->dim, shift2 = 0;
        for (int64_t e = w->start[c]; e < w->start[c + 1]; e++) {
            const int64_t i = w->event[e] >= 0 ? w->event[e] : -1 - w->event[e];
            const double sign = w->event[e] >= 0 ? 1 : -1;
            const float *x = w->x + i * w->dim;
            for (int64_t j = 0; j < w->dim; j++)
                sum[j] += sign * (double)x[j];
            w->count[c] += w->event[e] >= 0 ? 1 : -1;
        }
        for (int64_t j = 0; j < w->dim && w->count[c] > 0; j++) {
            const float mean = (float)(sum[j] / (double)w->count[c]);
            const double d = (double)mean - (double)w->centroids[c * w->dim + j];
            shift2 += d * d;
            w->centroids[c * w->dim + j] = mean;
        }
        w->moved[c] = (float)sqrt(shift2) * (1 + 2e-7f);
    }
    for (int c = 0; c < w->k; c++)
        shift += (double)w->moved[c] * (double)w->moved[c];
    return shift;
}

static double sum_double(const float *v, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)v[i];
    return sum;
}

/* Lloyd's iterations from w->centroids; returns the inertia. */
static double lloyd(work *w, int max_iterations, double threshold, int *iterations)
{
    int64_t changed = 1;
    int it = 0;
    memset(w->summed, -1, (size_t)w->n * sizeof *w->summed);
    memset(w->sums, 0, (size_t)w->k * (size_t)w->dim * sizeof *w->sums);
    memset(w->count, 0, (size_t)w->k * sizeof *w->count);
    while (it < max_iterations) {
        it++;
        if (it == 1)
            assign_all(w);
        else
            assign_moved(w);
        if (update(w, &changed) <= threshold || changed == 0)
            break;
    }
    assign_all(w);
    *iterations = it;
    return sum_double(w->distance2, w->n);
}

/* ---- start -------------------------------------------------------------------------------------- */

/* Index i with probability proportional to distance2[i]; run_sums [n_runs]: sums of its runs. */
static int64_t draw(const work *w, const float *distance2, const double *run_sums, double total, bl_rng *rng)
{
    double left = bl_rng_uniform(rng) * total;
    int64_t last = 0, r = 0;
    while (r + 1 < w->n_runs && left >= run_sums[r])
        left -= run_sums[r++];
    for (int64_t i = r * RUN; i < w->n; i++) {
        if (distance2[i] <= 0)
            continue;
        last = i;
        left -= (double)distance2[i];
        if (left < 0)
            break;
    }
    return last;
}

/* candidate2[t, i] = min(distance2[i], |x[i] - x[candidate[t]]|^2), its sums by runs, and total [n]. */
static void try_candidates(work *w, const int64_t *candidate, int n, double *total)
{
    const float *centroid[MAX_CANDIDATES];
    for (int t = 0; t < n; t++)
        centroid[t] = w->x + candidate[t] * w->dim;
    #pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < w->n_runs; r++) {
        const int64_t first = r * RUN, n_points = w->n - first < RUN ? w->n - first : RUN;
        const float *row[RUN];
        float found[RUN][LANES];
        run_rows(w->x + first * w->dim, n_points, w->dim, row);
        for (int t = 0; t < n; t++) {
            float *out = w->candidate2 + t * w->n + first;
            double sum = 0;
            if (t % LANES == 0)
                nn_kmeans_distances(row, n_points, w->dim, centroid + t, n - t < LANES ? n - t : LANES, found);
            for (int64_t p = 0; p < n_points; p++) {
                const float d = found[p][t % LANES], before = w->distance2[first + p];
                out[p] = d < before ? d : before;
                sum += (double)out[p];
            }
            w->run_sums[t * w->n_runs + r] = sum;
        }
    }
    for (int t = 0; t < n; t++) {
        total[t] = 0;
        for (int64_t r = 0; r < w->n_runs; r++)
            total[t] += w->run_sums[t * w->n_runs + r];
    }
}

static void plus_plus(work *w, bl_rng *rng)
{
    const size_t row = (size_t)w->dim * sizeof *w->x;
    double *const run_sums = w->run_sums + w->n_candidates * w->n_runs;
    double sum = INFINITY;

    for (int64_t i = 0; i < w->n; i++)
        w->distance2[i] = INFINITY;
    for (int c = 0; c < w->k; c++) {
        const int n = c ? w->n_candidates : 1;
        int64_t candidate[MAX_CANDIDATES];
        double total[MAX_CANDIDATES];
        int best = 0;
        for (int t = 0; t < n; t++)
            /* All points covered already: any will do, the clusters then share a place. */
            candidate[t] = c && sum > 0 ? draw(w, w->distance2, run_sums, sum, rng) : bl_rng_below(rng, w->n);
        try_candidates(w, candidate, n, total);
        for (int t = 1; t < n; t++)
            best = total[t] < total[best] ? t : best;
        sum = total[best];
        memcpy(w->distance2, w->candidate2 + best * w->n, (size_t)w->n * sizeof *w->distance2);
        memcpy(run_sums, w->run_sums + best * w->n_runs, (size_t)w->n_runs * sizeof *run_sums);
        memcpy(w->centroids + c * w->dim, w->x + candidate[best] * w->dim, row);
    }
}

/* ---- the model ---------------------------------------------------------------------------------- */

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
    double best = INFINITY, threshold = opt->tolerance;
    bl_status status = check(x, n, dim, k, err);
    bl_rng rng;
    work w = { 0 };

    memset(model, 0, sizeof *model);
    if (status != BL_OK)
        return status;
    if (!work_new(&w, x, n, dim, k, start != NULL)) {
        status = bl_fail(err, BL_ENOMEM, "k-means: no memory for %lld points", (long long)n);
        goto done;
    }
    if (threshold > 0)
        threshold *= column_variance(x, n, dim, err);
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

void nn_kmeans_predict(const nn_kmeans *model, const float *x, int64_t n, int *labels, float *squared_distance)
{
    #pragma omp parallel for schedule(static)
    for (int64_t first = 0; first < n; first += RUN) {
        const int64_t n_points = n - first < RUN ? n - first : RUN;
        const float *row[RUN];
        float distance2[RUN], second2[RUN];
        int label[RUN];
        run_rows(x + first * model->dim, n_points, model->dim, row);
        nn_kmeans_nearest(row, n_points, model->dim, model->centroids, model->k, label, distance2, second2);
        if (labels)
            memcpy(labels + first, label, (size_t)n_points * sizeof *label);
        if (squared_distance)
            memcpy(squared_distance + first, distance2, (size_t)n_points * sizeof *distance2);
    }
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
