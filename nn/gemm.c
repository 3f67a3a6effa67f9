#include "nn/gemm.h"
#include "base/error.h"

#include <cblas.h>
#include <limits.h>
#include <omp.h>

/* Small enough to balance two threads, large enough that BLAS packs in peace. */
enum { BLOCK = 384 };
static const double PARALLEL_MIN_FLOPS = 4e5;

static void call(int ta, int tb, int64_t m, int64_t n, int64_t k, real alpha, const real *a, int64_t lda, const real *b,
                 int64_t ldb, real beta, real *c, int64_t ldc)
{
    const CBLAS_TRANSPOSE at = ta ? CblasTrans : CblasNoTrans, bt = tb ? CblasTrans : CblasNoTrans;
#ifdef BL_F64
    cblas_dgemm(CblasRowMajor, at, bt, (blasint)m, (blasint)n, (blasint)k, alpha, a, (blasint)lda, b, (blasint)ldb,
                beta, c, (blasint)ldc);
#else
    cblas_sgemm(CblasRowMajor, at, bt, (blasint)m, (blasint)n, (blasint)k, alpha, a, (blasint)lda, b, (blasint)ldb,
                beta, c, (blasint)ldc);
#endif
}

void nn_gemm(int ta, int tb, int64_t m, int64_t n, int64_t k, real alpha, const real *a, int64_t lda, const real *b,
             int64_t ldb, real beta, real *c, int64_t ldc)
{
    BL_ASSERT(m <= INT_MAX && n <= INT_MAX && k <= INT_MAX && lda <= INT_MAX && ldb <= INT_MAX && ldc <= INT_MAX);
    if (m == 0 || n == 0)
        return;
    if (lda < 1)
        lda = 1;
    if (ldb < 1)
        ldb = 1;
    const int by_rows = m > n;
    const int64_t length = by_rows ? m : n, blocks = (length + BLOCK - 1) / BLOCK;
    const int parallel = blocks > 1 && !omp_in_parallel() && 2.0 * (double)m * (double)n * (double)k > PARALLEL_MIN_FLOPS;

    /* OpenBLAS's OpenMP build takes omp_get_max_threads() outside parallel regions, whatever openblas_set_num_threads
     * said, and its cut depends on that number. */
    const int n_threads = omp_get_max_threads();
    if (!parallel)
        omp_set_num_threads(1);
#pragma omp parallel for schedule(static) if (parallel)
    for (int64_t i = 0; i < blocks; i++) {
        const int64_t start = i * BLOCK, count = length - start < BLOCK ? length - start : BLOCK;
        if (by_rows)
            call(ta, tb, count, n, k, alpha, ta ? a + start : a + start * lda, lda, b, ldb, beta, c + start * ldc, ldc);
        else
            call(ta, tb, m, count, k, alpha, a, lda, tb ? b + start * ldb : b + start, ldb, beta, c + start, ldc);
    }
    if (!parallel)
        omp_set_num_threads(n_threads);
}
