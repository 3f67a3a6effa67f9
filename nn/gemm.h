/* Matrix product, the engine's workhorse: C = alpha op(A) op(B) + beta C, row-major.
 *
 * Shapes   op(A) [m, k], op(B) [k, n], C [m, n]; lda, ldb, ldc are the row lengths in memory.
 * Threads  Large products are cut into blocks of C that do not depend on the number of threads, one block per thread at a
 *          time; sums are never cut: the same bits at any number. Small products, and all inside a parallel region, run
 *          in the calling thread.
 * Cost     2 m n k flops, at 85 to 95 % of the processor's peak for large shapes; a call costs some 0.2 us.
 */
#ifndef BL_NN_GEMM_H
#define BL_NN_GEMM_H

#include "base/error.h"
#include "base/real.h"

#include <stdint.h>

/* Chooses the kernels (nn/kernel/kernel.h); called by nn_tape_new. BL_EARG when BL_KERNEL names none. */
bl_status nn_gemm_init(bl_error *err);

void nn_gemm(int transpose_a, int transpose_b, int64_t m, int64_t n, int64_t k, real alpha, const real *a, int64_t lda,
             const real *b, int64_t ldb, real beta, real *c, int64_t ldc);

/* C = op(A) op(B) + bias, the same bias [n] for every row (NULL: none). */
void nn_gemm_bias(int transpose_a, int transpose_b, int64_t m, int64_t n, int64_t k, const real *a, int64_t lda,
                  const real *b, int64_t ldb, const real *bias, real *c, int64_t ldc);

/* For products with the same B again and again (a recurrent network's weights): packs op(B) once.
 *
 *     real *packed = nn_scratch(tape, nn_gemm_pack_size(n, k));      // 64-byte aligned is best
 *     nn_gemm_pack(1, n, k, weight_hh, k, packed);
 *     for each step: nn_gemm_packed(m, n, k, h, ldh, packed, NULL, 1, z, ldz);   // z += h weight_hh^T
 *
 * nn_gemm_packed computes C = A op(B) + bias + beta C (beta 0 or 1; bias [n] or NULL, only with beta 0), with the bits of
 * nn_gemm. Packed memory is good only for the kernels that were in use when it was packed. */
int64_t nn_gemm_pack_size(int64_t n, int64_t k);
void    nn_gemm_pack(int transpose_b, int64_t n, int64_t k, const real *b, int64_t ldb, real *packed);
void    nn_gemm_packed(int64_t m, int64_t n, int64_t k, const real *a, int64_t lda, const real *packed, const real *bias,
                       int beta, real *c, int64_t ldc);

#endif
