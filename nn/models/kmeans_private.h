/* What the files of k-means share: distances of many points to a few centroids at once.
 *
 *     distance2[p, c] = sum over i of (x[p, i] - c[c, i])^2
 *
 * Note     Summed as written, not as |x|^2 - 2 x c + |c|^2, whose digits cancel when the data lie far from the origin. Eight
 *          centroids fill one vector, four points share what is read of them; the order of a sum depends on neither, so
 *          that a point has the same distances alone and among others, to the last bit.
 * Threads  The functions run in the calling thread and allocate nothing.
 * Cost     3 n k dim flops.
 */
#ifndef BL_NN_MODELS_KMEANS_PRIVATE_H
#define BL_NN_MODELS_KMEANS_PRIVATE_H

#include <stdint.h>

enum { NN_KMEANS_LANES = 8, NN_KMEANS_RUN = 256 };

/* To k <= NN_KMEANS_LANES centroids; out [n][NN_KMEANS_LANES], lanes from k on are meaningless.
 * row [n]: the points, n <= NN_KMEANS_RUN; centroids [k]: theirs. */
void nn_kmeans_distances(const float *const *row, int64_t n, int64_t dim, const float *const *centroids, int k,
                         float (*out)[NN_KMEANS_LANES]);

/* Of all k centroids [k, dim] the nearest, the first of equals: label [n], its squared distance [n], and that of the second
 * nearest [n] (INFINITY when k is 1). */
void nn_kmeans_nearest(const float *const *row, int64_t n, int64_t dim, const float *centroids, int k, int *label,
                       float *distance2, float *second2);

#endif
