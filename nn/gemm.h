/* Matrix product, the engine's workhorse: C = alpha op(A) op(B) + beta C, row-major, on OpenBLAS.
 *
 * Shapes   op(A) [m, k], op(B) [k, n], C [m, n]; lda, ldb, ldc are the row lengths in memory.
 * Threads  Cut into blocks of columns or rows whose size does not depend on the thread count, one block per thread
 *          at a time, BLAS itself single-threaded: the same bits at any number of threads. Inside a parallel
 *          region it runs in the calling thread.
 * Cost     2 m n k flops.
 */
#ifndef BL_NN_GEMM_H
#define BL_NN_GEMM_H

#include "base/error.h"
#include "base/real.h"

#include <stdint.h>

/* Loads OpenBLAS; called by nn_tape_new, and by the first nn_gemm at the latest. BL_EIO when it is not installed. */
bl_status nn_gemm_init(bl_error *err);

void nn_gemm(int transpose_a, int transpose_b, int64_t m, int64_t n, int64_t k, real alpha, const real *a, int64_t lda,
             const real *b, int64_t ldb, real beta, real *c, int64_t ldc);

#endif
