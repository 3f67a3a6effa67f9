/* Agglomerative clustering by the nearest-neighbour chain, cut at k clusters.
 *
 * Every point starts alone; the two closest clusters merge until one is left. Distances between clusters
 * follow the Lance-Williams update of the linkage:
 *     complete   d(uv,w) = max(d(u,w), d(v,w))
 *     average    d(uv,w) = (|u| d(u,w) + |v| d(v,w)) / (|u| + |v|)
 *     ward       d(uv,w)^2 = ((|u|+|w|) d(u,w)^2 + (|v|+|w|) d(v,w)^2 - |w| d(u,v)^2) / (|u|+|v|+|w|)
 * All three are reducible, so following nearest neighbours until two point at each other merges the same
 * pairs as looking for the closest pair each time, in n^2 steps instead of n^3.
 *
 * Shapes    x [n, dim]; merges [n - 1], in the order of their heights; labels [n], 0 .. k-1, numbered by the
 *           first point of each cluster.
 * Units     height: Euclidean distance as scipy.cluster.hierarchy.linkage gives it.
 * Errors    BL_EARG: n < 1, k outside 1 .. n, or n > NN_HIERARCHICAL_MAX; BL_ENAN; BL_ENOMEM.
 * Memory    n(n-1)/2 doubles while it runs. nn_hierarchical_fit fills a zeroed struct; release with
 *           nn_hierarchical_free.
 * Threads   Distances and updates run in parallel over clusters: the same bits at any thread count.
 * Source    Muellner, "Modern hierarchical, agglomerative clustering algorithms", arXiv:1109.2378, 2011.
 * Tested    tests/nn/test_hierarchical.c against scipy and scikit-learn
 */
#ifndef BL_NN_MODELS_HIERARCHICAL_H
#define BL_NN_MODELS_HIERARCHICAL_H

#include "base/error.h"

#include <stdint.h>

enum { NN_HIERARCHICAL_MAX = 16384 };

typedef enum nn_linkage { NN_LINKAGE_WARD, NN_LINKAGE_AVERAGE, NN_LINKAGE_COMPLETE } nn_linkage;
extern const char *const nn_linkage_names[]; /* "ward", "average", "complete", NULL */

typedef struct nn_merge {
    int64_t a, b;    /* clusters: 0 .. n-1 are points, n + i is what merge i made; a < b */
    double  height;
    int64_t size;    /* points in the new cluster */
} nn_merge;

typedef struct nn_hierarchical {
    nn_merge *merges; /* [n - 1] */
    int64_t   n;
} nn_hierarchical;

bl_status nn_hierarchical_fit(nn_hierarchical *tree, const float *x, int64_t n, int64_t dim, nn_linkage linkage,
                              bl_error *err);
void      nn_hierarchical_free(nn_hierarchical *tree);

/* Undoes the last k - 1 merges. labels [n]. */
bl_status nn_hierarchical_cut(const nn_hierarchical *tree, int64_t k, int *labels, bl_error *err);

#endif
