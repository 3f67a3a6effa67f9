/* The innermost loop of every product and convolution, for the processor at hand.
 *
 * One template (tile.inc) is compiled for AVX-512, for AVX2 with FMA and for anything else (GCC's vector extensions), each in a
 * file with flags of its own; which one runs is decided once, by what the processor can do, or by the environment
 * variable BL_KERNEL=avx512|avx2|generic. A tile computes
 *
 *     c[v][r, j] = alpha * sum over i < k of a[r*a_row + step[2i]] * b[v][step[2i+1] + j]  +  from[v][r, j]  +  bias[r]
 *
 * for `rows` rows and vectors of `lanes` columns, up to `vectors` of them with places of their own. The table `step` says where
 * the i-th row of both factors lies, so that a convolution multiplies its input where it stands: each tap is one
 * row, shifted. Nothing is packed, transposed or copied for the kernel's sake.
 *
 * Threads  Kernels are pure; nn_kernel_choose is for the start of a program and for tests.
 * Exact    Every output is one chain of fused multiply-adds in the order of i: avx512 and avx2 give the same bits. generic has
 *          fused multiply-adds only where the compiler's target has.
 * Speed    98 % of the peak of Zen 4 for k = 256, rows at any alignment (tests/bench/bench_kernels.c).
 */
#ifndef BL_NN_KERNEL_H
#define BL_NN_KERNEL_H

#include "base/error.h"
#include "base/real.h"

#include <stddef.h>
#include <stdint.h>

enum {
    NN_TILE_ROWS = 8,     /* at most, in any variant */
    NN_TILE_VECTORS = 3,
    NN_TILE_LANES = 16,
    NN_TILE_WIDTH = NN_TILE_VECTORS * NN_TILE_LANES,
};

typedef struct nn_tile {
    const real    *a;
    ptrdiff_t      a_row;
    const real    *b[NN_TILE_VECTORS];
    const int32_t *step;                    /* [k][2]: offsets into a and b, in elements               */
    int64_t        k;
    real           alpha;
    const real    *from[NN_TILE_VECTORS];   /* from[0] NULL: nothing is added. May be c: accumulates    */
    ptrdiff_t      from_row;                /* 0: the same row for all (a bias per column)               */
    const real    *bias;                    /* [rows], or NULL                                           */
    real          *c[NN_TILE_VECTORS];
    ptrdiff_t      c_row;
    int            width[NN_TILE_VECTORS];  /* columns of c that exist, 1..lanes (nn_tile_run looks at it) */
} nn_tile;

typedef void nn_tile_function(const nn_tile *tile);

enum { NN_PRODUCT_ROWS = 6 };
/* y [rows, n_gates, 16] = a [rows, n_in] panel [n_in, n_gates, 16]. */
typedef void nn_product_function(const real *a, ptrdiff_t a_row, const real *panel, int64_t n_in, real *y);

typedef struct nn_kernel {
    const char       *name;
    int               rows, vectors, lanes;                 /* of the largest tile */
    nn_tile_function *tile[NN_TILE_ROWS][NN_TILE_VECTORS];  /* [rows - 1][vectors - 1] */
    /* to[j*to_row + i] = from[i*from_row + j] for i < n_rows, j < n_columns; to's rows are filled with zeros up to a
     * multiple of lanes, and must have room for that. */
    void (*transpose)(int64_t n_rows, int64_t n_columns, const real *from, ptrdiff_t from_row, real *to, ptrdiff_t to_row);
    nn_product_function *product[2][NN_PRODUCT_ROWS];       /* [n_gates - 3][rows - 1]: nn/recurrent_product.h */
} nn_kernel;

/* The kernel in use. */
const nn_kernel *nn_kernel_get(void);
/* By name; NULL: what BL_KERNEL says, or else the best. BL_EARG: unknown, or not for this processor. */
bl_status nn_kernel_choose(const char *name, bl_error *err);

/* Runs a tile of `rows` x `vectors`, also where vectors are not full: their b must be readable over all lanes. */
void nn_tile_run(const nn_kernel *kernel, const nn_tile *tile, int rows, int vectors);

/* A block of memory of each thread, for packed factors: fixed in size, so that no call needs an allocation and memory does not
 * depend on shapes. Whoever uses it does so between two calls, never across. */
enum { NN_WORKSPACE = 160 * 1024 };
real *nn_workspace(void);

#endif
