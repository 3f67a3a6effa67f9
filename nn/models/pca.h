/* Principal component analysis: the best linear compression of rows, and what is lost by it.
 *
 *     row' = mean + sum over k of <row - mean, component k> component k
 *
 * Shapes   x [n, dim]; components [rank, dim], orthonormal, largest variance first; variance [dim], all of them.
 * Errors   BL_EARG: n < 1, dim < 1, rank outside 1..dim. BL_ENAN: x holds a number that is not finite. BL_ENOMEM.
 * Memory   nn_pca_fit fills a zeroed struct; release with nn_pca_free.
 * Threads  Rows of the covariance in parallel: the same bits at any thread count.
 * Cost     n dim^2 / 2 multiply-adds in double, then about 10 sweeps of cyclic Jacobi, dim^3 each.
 * Source   Pearson 1901; Golub & Van Loan, Matrix Computations, section 8.5 (Jacobi).
 * Tested   tests/nn/test_pca.c
 */
#ifndef BL_NN_MODELS_PCA_H
#define BL_NN_MODELS_PCA_H

#include "base/error.h"

#include <stdint.h>

typedef struct nn_pca {
    int64_t dim;
    int     rank;
    double *mean, *components, *variance;
} nn_pca;

bl_status nn_pca_fit(nn_pca *pca, const float *x, int64_t n, int64_t dim, int rank, bl_error *err);
void      nn_pca_free(nn_pca *pca);

/* Mean squared difference per number between n rows and what the first `rank` components keep of them; rank 0: the mean
 * alone. x [n, dim] */
double    nn_pca_error(const nn_pca *pca, const float *x, int64_t n, int rank);

/* Eigenvalues (descending) and eigenvectors (rows of v) of a symmetric matrix a [n, n], which is destroyed. */
void      nn_eigen_symmetric(double *a, int64_t n, double *values, double *v);

#endif
