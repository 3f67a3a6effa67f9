/* How many instruments, and which region belongs to which: blocks/segmenter.h says how. */
#include "blocks/segmenter.h"

#include "base/rng.h"
#include "nn/models/kmeans.h"
#include "nn/models/pca.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { HIERARCHICAL_MOST = 3000, MAX_TRACKS = BLOCKS_SEGMENTER_MAX_TRACKS };

void blocks_segmenter_directions(const float *latents, const float *weight, int64_t n, int dim, double *out)
{
    double *matrix = calloc(2 * (size_t)dim * (size_t)dim, sizeof *matrix), total = 0;
    memset(out, 0, (size_t)dim * sizeof *out);
    if (!matrix)
        return; /* a few kB; the caller's next allocation says so */
    for (int64_t i = 0; i < n; i++) {
        const double w = (double)weight[i];
        const float *v = latents + i * dim;
        total += w;
        for (int a = 0; a < dim && w > 0; a++)
            for (int b = 0; b < dim; b++)
                matrix[a * dim + b] += w * (double)v[a] * (double)v[b];
    }
    for (int i = 0; i < dim * dim && total > 0; i++)
        matrix[i] /= total;
    if (total > 0)
        nn_eigen_symmetric(matrix, dim, out, matrix + dim * dim);
    free(matrix);
}

int blocks_segmenter_count(const double *directions, int dim, double least)
{
    int n = 0;
    while (n < dim && directions[n] >= least)
        n++;
    return n;
}

/* Latents of n regions drawn by their weight, in the order of the regions: one every total / n on the running sum. */
static void draw_regions(const float *latents, const float *weight, int64_t n_regions, int dim, int n, float *out)
{
    double total = 0, sum = 0;
    int drawn = 0;
    for (int64_t i = 0; i < n_regions; i++)
        total += (double)weight[i];
    for (int64_t i = 0; i < n_regions; i++) {
        sum += (double)weight[i];
        for (; drawn < n && sum >= (drawn + 0.5) * total / n && weight[i] > 0; drawn++)
            memcpy(out + (int64_t)drawn * dim, latents + i * dim, (size_t)dim * sizeof *out);
    }
    for (; drawn > 0 && drawn < n; drawn++) /* rounding of the sum */
        memcpy(out + (int64_t)drawn * dim, out + (int64_t)(drawn - 1) * dim, (size_t)dim * sizeof *out);
}

static bl_status kmeans(const blocks_segmenter *s, const float *x, int n, int k, float *centroids, bl_error *err)
{
    const int dim = s->regions->dim;
    nn_kmeans model = { 0 };
    const nn_kmeans_opt opt = { .k = k, .n_init = s->options.n_init, .tolerance = 1e-4, .seed = 1 };
    const bl_status status = nn_kmeans_fit(&model, x, n, dim, &opt, NULL, NULL, err);
    if (status == BL_OK)
        memcpy(centroids, model.centroids, (size_t)k * (size_t)dim * sizeof *centroids);
    nn_kmeans_free(&model);
    return status;
}

/* Every n-th of the drawn regions joined by linkage; the means of the k clusters. */
static bl_status join(const blocks_segmenter *s, float *x, int n, int k, float *centroids, bl_error *err)
{
    const int dim = s->regions->dim, step = (n + HIERARCHICAL_MOST - 1) / HIERARCHICAL_MOST, m = n / step;
    int *label = malloc((size_t)n * sizeof *label), count[MAX_TRACKS] = { 0 };
    nn_hierarchical tree = { 0 };
    bl_status status = label ? BL_OK : bl_fail(err, BL_ENOMEM, "no memory for the clusters of %d regions", n);
    for (int i = 0; i < m; i++)
        memmove(x + i * dim, x + i * step * dim, (size_t)dim * sizeof *x);
    if (status == BL_OK)
        status = nn_hierarchical_fit(&tree, x, m, dim, s->options.linkage, err);
    if (status == BL_OK)
        status = nn_hierarchical_cut(&tree, k, label, err);
    if (status == BL_OK) {
        memset(centroids, 0, (size_t)k * (size_t)dim * sizeof *centroids);
        for (int i = 0; i < m; i++) {
            count[label[i]]++;
            for (int d = 0; d < dim; d++)
                centroids[label[i] * dim + d] += x[i * dim + d];
        }
        for (int i = 0; i < k * dim; i++)
            centroids[i] /= (float)count[i / dim];
    }
    nn_hierarchical_free(&tree);
    free(label);
    return status;
}

static int nearest(const float *v, const float *centroids, int k, int dim)
{
    int best = 0;
    float least = INFINITY;
    for (int c = 0; c < k; c++) {
        float sum = 0;
        for (int d = 0; d < dim; d++)
            sum += (v[d] - centroids[c * dim + d]) * (v[d] - centroids[c * dim + d]);
        if (sum < least) {
            least = sum;
            best = c;
        }
    }
    return best;
}

/* Drops the centroids whose regions have less than min_share of those drawn; returns how many are left. */
static int drop_small(const blocks_segmenter *s, const float *x, int n, float *centroids, int k)
{
    const int dim = s->regions->dim;
    int count[MAX_TRACKS] = { 0 }, kept = 0;
    for (int i = 0; i < n; i++)
        count[nearest(x + i * dim, centroids, k, dim)]++;
    for (int c = 0; c < k; c++)
        if (count[c] > 0 && count[c] >= s->options.min_share * n) {
            memmove(centroids + kept * dim, centroids + c * dim, (size_t)dim * sizeof *centroids);
            kept++;
        }
    return kept;
}

bl_status blocks_segmenter_cluster(const blocks_segmenter *s, const float *latents, const float *weight, int64_t n,
                                   float *centroids, int *k, bl_error *err)
{
    const blocks_segmenter_options *o = &s->options;
    const int dim = s->regions->dim;
    double *directions = malloc((size_t)dim * sizeof *directions);
    float *x = calloc((size_t)o->n_sample * (size_t)dim, sizeof *x);
    bl_status status = x && directions ? BL_OK : bl_fail(err, BL_ENOMEM, "no memory for %d regions", o->n_sample);
    if (status == BL_OK) {
        *k = o->k;
        if (*k == 0) {
            blocks_segmenter_directions(latents, weight, n, dim, directions);
            *k = blocks_segmenter_count(directions, dim, s->least_direction);
            *k = *k < o->k_min ? o->k_min : *k > o->k_max ? o->k_max : *k;
        }
        draw_regions(latents, weight, n, dim, o->n_sample, x);
        status = o->method == BLOCKS_SEGMENTER_KMEANS ? kmeans(s, x, o->n_sample, *k, centroids, err)
                                                      : join(s, x, o->n_sample, *k, centroids, err);
    }
    if (status == BL_OK) {
        draw_regions(latents, weight, n, dim, o->n_sample, x); /* join moved them */
        *k = drop_small(s, x, o->n_sample, centroids, *k);
    }
    free(x);
    free(directions);
    return status;
}

void blocks_segmenter_masks(const blocks_segmenter *s, const float *latents, int64_t n, const float *centroids, int k, float *masks)
{
    const int dim = s->regions->dim;
    const float sharpness = (float)s->options.sharpness;
    #pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++) {
        float d2[MAX_TRACKS], least = INFINITY, sum = 0;
        for (int c = 0; c < k; c++) {
            d2[c] = 0;
            for (int d = 0; d < dim; d++) {
                const float v = latents[i * dim + d] - centroids[c * dim + d];
                d2[c] += v * v;
            }
            least = d2[c] < least ? d2[c] : least;
        }
        for (int c = 0; c < k; c++)
            sum += d2[c] = expf(-sharpness * (d2[c] - least));
        for (int c = 0; c < k; c++)
            masks[c * n + i] = d2[c] / sum;
    }
}
