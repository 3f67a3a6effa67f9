/* K-means clustering, and the silhouette by which a clustering is judged.
 *
 *     minimise   inertia = sum over i of |x[i] - centroid[label[i]]|^2
 *
 * Start     Greedy k-means++: each new centroid is the best of 2 + ln k candidates drawn with probability
 *           proportional to the squared distance to the nearest centroid so far; n_init restarts, the
 *           lowest inertia wins. Or the caller's own start centroids, then there is one run.
 * Steps     Lloyd's. Hamerly's bounds spare points far from a border their distances; they are widened by what float32 may be
 *           off, so that labels are those of the textbook's method. It ends when no label changes or the centroids move
 *           less than tolerance (squared shift, relative to the mean variance of the columns, as scikit-learn's
 *           tol). A cluster that loses all its points is moved onto the point farthest from its own centroid.
 * Shapes    x [n, dim]; labels [n], 0 .. k-1; centroids [k, dim]; weights none.
 * Errors    BL_EARG: n < k, k < 1, dim < 1, fewer different points than k are fine (some clusters then
 *           share a place). BL_ENAN: x holds a number that is not finite. BL_ENOMEM.
 * Memory    nn_kmeans_fit fills a zeroed struct; release with nn_kmeans_free.
 * Threads   Distances run in parallel over points, sums over clusters: the same bits at any thread count.
 * Cost      3 n k dim flops for the first and the last iteration, a fraction of it between them; 44 n bytes beside the data.
 * Source    Lloyd, IEEE Trans. IT 28(2), 1982; Hamerly, "Making k-means even faster", SDM 2010; Arthur & Vassilvitskii,
 *           "k-means++", SODA 2007; the greedy variant as in scikit-learn's KMeans(algorithm="lloyd"), which the golden
 *           values come from.
 * Tested    tests/nn/test_kmeans.c
 */
#ifndef BL_NN_MODELS_KMEANS_H
#define BL_NN_MODELS_KMEANS_H

#include "base/error.h"
#include "nn/checkpoint.h"

#include <stdint.h>

typedef struct nn_kmeans_opt {
    int      k;
    int      n_init;         /* restarts; 0 means 10                                */
    int      max_iterations; /* of one run; 0 means 300                             */
    double   tolerance;      /* negative: only an unchanged labelling ends a run    */
    uint64_t seed;
} nn_kmeans_opt;

typedef struct nn_kmeans {
    float  *centroids;  /* [k, dim] */
    int     k;
    int64_t dim;
    double  inertia;    /* of the data it was fitted to */
    int     iterations; /* of the winning run           */
} nn_kmeans;

/* start: [k, dim] or NULL for k-means++; labels: [n] or NULL. */
bl_status nn_kmeans_fit(nn_kmeans *model, const float *x, int64_t n, int64_t dim, const nn_kmeans_opt *opt,
                        const float *start, int *labels, bl_error *err);
void      nn_kmeans_free(nn_kmeans *model);

/* Nearest centroid of every point (the first of equals), and its squared distance. Either may be NULL. */
void nn_kmeans_predict(const nn_kmeans *model, const float *x, int64_t n, int *labels, float *squared_distance);

/* Mean over points of (b - a) / max(a, b): a the mean distance to the point's own cluster, b the least
 * mean distance to another; 0 for a point alone in its cluster. Between -1 and 1.
 *
 * Errors   BL_EARG: a label outside 0 .. k-1, or fewer than two clusters in use. BL_ENOMEM.
 * Cost     n^2 dim; for large n take a sample (nn_kmeans_choose_k does).
 * Source   Rousseeuw, "Silhouettes", J. Comput. Appl. Math. 20, 1987; equals sklearn.metrics.silhouette_score.
 */
bl_status nn_silhouette(const float *x, int64_t n, int64_t dim, const int *labels, int k, double *score, bl_error *err);

/* Fits k = k_min .. k_max and keeps the one with the greatest silhouette (the smaller k of equals), measured
 * on at most max_sample points drawn with opt->seed (0 means 2000). opt->k is ignored. scores: [k_max - k_min + 1]
 * or NULL. k_min is at least 2. */
bl_status nn_kmeans_choose_k(nn_kmeans *model, const float *x, int64_t n, int64_t dim, const nn_kmeans_opt *opt,
                             int k_min, int k_max, int64_t max_sample, double *scores, int *labels, bl_error *err);

/* Under "<group>/centroids" of a checkpoint. */
bl_status nn_kmeans_save(const nn_kmeans *model, nn_checkpoint *c, const char *group, bl_error *err);
bl_status nn_kmeans_load(nn_kmeans *model, const nn_checkpoint *c, const char *group, bl_error *err);

#endif
