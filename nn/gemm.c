/* OpenBLAS is loaded at run time instead of linked: which kernels it uses is decided once, when it is loaded, and release
 * 0.3.21 takes a processor younger than itself (Zen 4, say) for a Prescott of 2004, eight times too slow. So the kernels
 * are named for it first, by what the processor can do, unless the user has set OPENBLAS_CORETYPE. */
#define _GNU_SOURCE /* dlopen's namespace, setenv */
#include "nn/gemm.h"

#include <cblas.h>
#include <dlfcn.h>
#include <limits.h>
#include <omp.h>
#include <stdlib.h>

/* Small enough to balance two threads, large enough that BLAS packs in peace. */
enum { BLOCK = 384 };
static const double PARALLEL_MIN_FLOPS = 4e5;

#ifdef BL_F64
#define GEMM_NAME "cblas_dgemm"
#else
#define GEMM_NAME "cblas_sgemm"
#endif
typedef void gemm_function(const enum CBLAS_ORDER, const enum CBLAS_TRANSPOSE, const enum CBLAS_TRANSPOSE, const blasint,
                           const blasint, const blasint, const real, const real *, const blasint, const real *,
                           const blasint, const real, real *, const blasint);

static gemm_function *gemm;

static void name_kernels(void)
{
#if defined(__x86_64__) && defined(__GNUC__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl"))
        setenv("OPENBLAS_CORETYPE", "SkylakeX", 0);
    else if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        setenv("OPENBLAS_CORETYPE", "Haswell", 0);
#endif
}

bl_status nn_gemm_init(bl_error *err)
{
    bl_status rc = BL_OK;
#pragma omp critical(nn_gemm_once)
    if (!gemm) {
        name_kernels();
        void *library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
        void *function = library ? dlsym(library, GEMM_NAME) : NULL;
        if (!function) {
            rc = bl_fail(err, BL_EIO, "OpenBLAS cannot be loaded (%s); tools/setup.sh packages installs it", dlerror());
        } else {
            /* ISO C has no cast from object to function pointers; POSIX promises that the bytes are the same. */
            const union { void *object; gemm_function *gemm; } as = { function };
            gemm = as.gemm;
        }
    }
    return rc;
}

static void call(int ta, int tb, int64_t m, int64_t n, int64_t k, real alpha, const real *a, int64_t lda, const real *b,
                 int64_t ldb, real beta, real *c, int64_t ldc)
{
    gemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, (blasint)m, (blasint)n, (blasint)k,
         alpha, a, (blasint)lda, b, (blasint)ldb, beta, c, (blasint)ldc);
}

void nn_gemm(int ta, int tb, int64_t m, int64_t n, int64_t k, real alpha, const real *a, int64_t lda, const real *b,
             int64_t ldb, real beta, real *c, int64_t ldc)
{
    BL_ASSERT(m <= INT_MAX && n <= INT_MAX && k <= INT_MAX && lda <= INT_MAX && ldb <= INT_MAX && ldc <= INT_MAX);
    BL_ASSERT(gemm || nn_gemm_init(NULL) == BL_OK);
    if (m == 0 || n == 0)
        return;
    if (lda < 1)
        lda = 1;
    if (ldb < 1)
        ldb = 1;
    const int by_rows = m > n;
    const int64_t length = by_rows ? m : n, blocks = (length + BLOCK - 1) / BLOCK;
    const int parallel = blocks > 1 && !omp_in_parallel() && 2.0 * (double)m * (double)n * (double)k > PARALLEL_MIN_FLOPS;

    /* OpenBLAS's OpenMP build takes all threads wherever no parallel region is active, and would cut the product as their
     * number suggests: then the last bits would depend on it. */
    const int threads = omp_get_max_threads(), alone = !parallel && !omp_in_parallel() && threads > 1;
    if (alone)
        omp_set_num_threads(1);
#pragma omp parallel for schedule(static) if (parallel)
    for (int64_t i = 0; i < blocks; i++) {
        const int64_t start = i * BLOCK, count = length - start < BLOCK ? length - start : BLOCK;
        if (by_rows)
            call(ta, tb, count, n, k, alpha, ta ? a + start : a + start * lda, lda, b, ldb, beta, c + start * ldc, ldc);
        else
            call(ta, tb, m, count, k, alpha, a, lda, tb ? b + start * ldb : b + start, ldb, beta, c + start, ldc);
    }
    if (alone)
        omp_set_num_threads(threads);
}
