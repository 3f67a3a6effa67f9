#include "nn/models/kmeans_private.h"

#include <math.h>

enum { LANES = NN_KMEANS_LANES, POINTS = 4, DEPTH = 128 };

typedef float vec __attribute__((vector_size(LANES * sizeof(float)), aligned(sizeof(float)), may_alias));

/* Adds `depth` terms to the sums of POINTS points; tile [depth]: the centroids, transposed. */
static inline void add_terms(const float *const *row, int64_t first, int depth, const vec *tile, vec *sum)
{
    const float *a = row[0] + first, *b = row[1] + first, *c = row[2] + first, *d = row[3] + first;
    vec sa = sum[0], sb = sum[1], sc = sum[2], sd = sum[3];
    for (int i = 0; i < depth; i++) {
        const vec da = a[i] - tile[i], db = b[i] - tile[i], dc = c[i] - tile[i], dd = d[i] - tile[i];
        sa += da * da;
        sb += db * db;
        sc += dc * dc;
        sd += dd * dd;
    }
    sum[0] = sa;
    sum[1] = sb;
    sum[2] = sc;
    sum[3] = sd;
}

void nn_kmeans_distances(const float *const *row, int64_t n, int64_t dim, const float *const *centroids, int k,
                         float (*out)[NN_KMEANS_LANES])
{
    vec tile[DEPTH], sum[NN_KMEANS_RUN + POINTS];
    for (int64_t p = 0; p < n + POINTS - 1; p++)
        sum[p] = (vec){ 0 };
    for (int64_t first = 0; first < dim; first += DEPTH) {
        const int depth = dim - first < DEPTH ? (int)(dim - first) : DEPTH;
        for (int l = 0; l < LANES; l++)
            for (int i = 0; i < depth; i++)
                tile[i][l] = centroids[l < k ? l : 0][first + i];
        for (int64_t p = 0; p < n; p += POINTS) {
            const float *four[POINTS];
            for (int q = 0; q < POINTS; q++)
                four[q] = row[p + q < n ? p + q : n - 1];
            add_terms(four, first, depth, tile, sum + p);
        }
    }
    for (int64_t p = 0; p < n; p++)
        *(vec *)out[p] = sum[p];
}

void nn_kmeans_nearest(const float *const *row, int64_t n, int64_t dim, const float *centroids, int k, int *label,
                       float *distance2, float *second2)
{
    float found[NN_KMEANS_RUN][LANES];
    for (int64_t p = 0; p < n; p++) {
        label[p] = 0;
        distance2[p] = second2[p] = INFINITY;
    }
    for (int block = 0; block < k; block += LANES) {
        const float *few[LANES];
        const int lanes = k - block < LANES ? k - block : LANES;
        for (int l = 0; l < lanes; l++)
            few[l] = centroids + (block + l) * dim;
        nn_kmeans_distances(row, n, dim, few, lanes, found);
        for (int64_t p = 0; p < n; p++) {
            float least = distance2[p], next = second2[p];
            int best = label[p];
            for (int l = 0; l < lanes; l++) {
                const float d = found[p][l];
                next = d < least ? least : d < next ? d : next;
                best = d < least ? block + l : best;
                least = d < least ? d : least;
            }
            label[p] = best;
            distance2[p] = least;
            second2[p] = next;
        }
    }
}
