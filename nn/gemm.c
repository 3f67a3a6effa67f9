#include "nn/gemm.h"
#include "nn/kernel/kernel.h"

#include <limits.h>
#include <omp.h>
#include <string.h>

/* The sum is cut into chunks of DEPTH, added up in C: factors of a chunk stay in cache, and the error of a long sum grows
 * with its pieces. The cut is the same for all kernels and numbers of threads. */
enum {
    DEPTH = 512,
    PACKED_ROW = DEPTH + 16,
    BLOCK_ROWS = 512, /* of C at once: with a chunk of B it fills half of a second-level cache */
    BLOCK_PANELS = 4,
    GROUP = 4,        /* tiles of a transposed A that are packed together: whole cache lines of it */
    GROUP_SIZE = GROUP * PACKED_ROW * NN_TILE_ROWS,
    TASKS = 16,       /* wanted, where the product has room for so many */
};
static const double PARALLEL_MIN = 4e5; /* multiply-adds; below, waking a thread costs more than it does */

typedef struct product {
    int              transpose_a, transpose_b, direct_b;
    int64_t          m, n, k, lda, ldb, ldc;
    real             alpha;
    const real      *a, *b, *packed, *bias;
    int              add;              /* C is added to                                             */
    real            *c;
    const nn_kernel *kernel;
    int64_t          width;            /* of a panel of b: columns of the largest tile              */
    int64_t          block_m, block_n; /* of C, one task */
} product;

bl_status nn_gemm_init(bl_error *err)
{
    return nn_kernel_choose(NULL, err);
}

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t round_up(int64_t n, int64_t step)
{
    return (n + step - 1) / step * step;
}

/* Columns n0 .. n0+n-1 of rows k0 .. k0+depth-1 of op(B) as a panel [depth, width], zeros behind n. */
static void pack_panel(const product *p, int64_t k0, int64_t depth, int64_t n0, int64_t n, real *to)
{
    if (p->transpose_b) {
        p->kernel->transpose(n, depth, p->b + n0 * p->ldb + k0, p->ldb, to, p->width);
        return;
    }
    enum { PIECE = 32 / sizeof(real) }; /* divides every width */
    const real *from = p->b + k0 * p->ldb + n0;
    for (int64_t i = 0; i < depth; i++, from += p->ldb, to += p->width) {
        if (n == p->width) {
            for (int64_t j = 0; j < n; j += PIECE)
                memcpy(to + j, from + j, PIECE * sizeof(real));
            continue;
        }
        memcpy(to, from, (size_t)n * sizeof(real));
        memset(to + n, 0, (size_t)(p->width - n) * sizeof(real));
    }
}

static int64_t tile_start(int64_t m, int64_t tiles, int64_t i) /* rows shared out evenly */
{
    return i * m / tiles;
}

/* A part `share` (of GROUP) of the packing of a transposed A's tiles i .. i + GROUP - 1, each [depth, NN_TILE_ROWS], PACKED_ROW
 * rows apart: not a power of two. With to NULL only fetches what that will read. */
static void pack_share(const product *p, int64_t m0, int64_t m, int64_t tiles, int64_t i, int64_t share, int64_t k0,
                       int64_t depth, real *to)
{
    if (i >= tiles)
        return;
    const int64_t n = min64(GROUP, tiles - i), first = tile_start(m, tiles, i), rows = tile_start(m, tiles, i + n) - first;
    const int64_t begin = share * depth / GROUP, end = (share + 1) * depth / GROUP;
    const real *from = p->a + (k0 + begin) * p->lda + m0 + first;
    for (int64_t k = begin; k < end; k++, from += p->lda) {
        if (!to) {
            for (int64_t j = 0; j < rows; j += 64 / (int64_t)sizeof(real))
                __builtin_prefetch(from + j, 0, 2);
        } else if (rows == GROUP * NN_TILE_ROWS) { /* the usual case: all tiles whole */
            for (int64_t g = 0; g < GROUP; g++)
                memcpy(to + (g * PACKED_ROW + k) * NN_TILE_ROWS, from + g * NN_TILE_ROWS, NN_TILE_ROWS * sizeof(real));
        } else {
            for (int64_t g = 0; g < n; g++) {
                const int64_t start = tile_start(m, tiles, i + g) - first, stop = tile_start(m, tiles, i + g + 1) - first;
                for (int64_t r = start; r < stop; r++)
                    to[(g * PACKED_ROW + k) * NN_TILE_ROWS + r - start] = from[r];
            }
        }
    }
}

/* The rows of A that tile i will read. */
static void fetch_rows(const product *p, int64_t m0, int64_t m, int64_t tiles, int64_t i, int64_t k0, int64_t depth)
{
    for (int64_t r = tile_start(m, tiles, i); i < tiles && r < tile_start(m, tiles, i + 1); r++)
        for (int64_t k = 0; k < depth; k += 64 / (int64_t)sizeof(real))
            __builtin_prefetch(p->a + (m0 + r) * p->lda + k0 + k, 0, 2);
}

/* Rows of A [rows, depth] as they lie, or copied; of a transposed A packed_a holds them. */
static void run_rows(const product *p, int64_t m0, int rows, int64_t k0, int64_t depth, int64_t n0, int64_t n, const real *b,
                     int32_t (*step)[2], real *packed_a)
{
    const int64_t lanes = p->kernel->lanes, columns_at_once = p->width;
    nn_tile t = { .k = depth, .alpha = p->alpha, .step = &step[0][0], .c_row = p->ldc };
    if (p->transpose_a) {
        t.a = packed_a;
        t.a_row = 1;
    } else if (n > 2 * p->width) { /* rows a power of two apart would drive each other out of the first-level cache */
        t.a = packed_a;
        t.a_row = PACKED_ROW;
        for (int r = 0; r < rows; r++)
            memcpy(packed_a + r * PACKED_ROW, p->a + (m0 + r) * p->lda + k0, (size_t)depth * sizeof(real));
    } else {
        t.a = p->a + m0 * p->lda + k0;
        t.a_row = p->lda;
    }
    for (int64_t j = 0; j < n; j += columns_at_once) {
        int vectors = 0;
        const real *panel = p->direct_b ? b + j : b + j * depth;
        for (int64_t i = 0; i < columns_at_once && j + i < n; i += lanes, vectors++) {
            t.b[vectors] = panel + i;
            t.c[vectors] = p->c + m0 * p->ldc + n0 + j + i;
            t.width[vectors] = (int)min64(lanes, n - j - i);
            t.from[vectors] = k0 > 0 || p->add ? t.c[vectors] : p->bias ? p->bias + n0 + j + i : NULL;
        }
        t.from_row = k0 > 0 || p->add ? p->ldc : 0;
        nn_tile_run(p->kernel, &t, rows, vectors);
    }
}

/* One block of C. */
static void run_block(const product *p, int64_t m0, int64_t m, int64_t n0, int64_t n)
{
    real *workspace = nn_workspace(), *packed_a = workspace + NN_WORKSPACE - 2 * GROUP_SIZE;
    int32_t step[DEPTH][2];
    const int64_t tiles = (m + p->kernel->rows - 1) / p->kernel->rows, padded_n = round_up(p->n, p->width);
    const int32_t a_step = p->transpose_a ? NN_TILE_ROWS : 1, b_step = (int32_t)(p->direct_b ? p->ldb : p->width);
    for (int64_t i = 0; i < min64(p->k, DEPTH); i++) {
        step[i][0] = (int32_t)i * a_step;
        step[i][1] = (int32_t)i * b_step;
    }
    for (int64_t k0 = 0; k0 < p->k || k0 == 0; k0 += DEPTH) { /* k = 0 has to set C */
        const int64_t depth = min64(DEPTH, p->k - k0);
        const real *b = workspace;
        if (p->direct_b)
            b = p->b + k0 * p->ldb + n0;
        else if (p->packed)
            b = p->packed + k0 * padded_n + n0 * depth;
        else
            for (int64_t j = 0; j < n; j += p->width)
                pack_panel(p, k0, depth, n0 + j, min64(p->width, n - j), workspace + j * depth);
        for (int64_t share = 0; share < GROUP && p->transpose_a; share++)
            pack_share(p, m0, m, tiles, 0, share, k0, depth, packed_a);
        for (int64_t i = 0; i < tiles; i++) { /* what a later tile will read is on its way while this one is computed */
            const int64_t r0 = tile_start(m, tiles, i), r1 = tile_start(m, tiles, i + 1);
            const int64_t next = (i / GROUP + 1) * GROUP, share = i % GROUP;
            real *now = packed_a + i / GROUP % 2 * GROUP_SIZE, *later = packed_a + next / GROUP % 2 * GROUP_SIZE;
            if (p->transpose_a)
                pack_share(p, m0, m, tiles, next, share, k0, depth, NULL);
            else
                fetch_rows(p, m0, m, tiles, i + 1, k0, depth);
            run_rows(p, m0 + r0, (int)(r1 - r0), k0, depth, n0, n, b, step,
                     p->transpose_a ? now + share * PACKED_ROW * NN_TILE_ROWS : packed_a);
            if (p->transpose_a)
                pack_share(p, m0, m, tiles, next, share, k0, depth, later);
        }
    }
}

/* Blocks as large as caches like, but TASKS of them where the product has room for that. */
static void choose_blocks(product *p, int parallel)
{
    const int64_t width = p->width;
    int64_t bm = min64(BLOCK_ROWS, round_up(p->m, 8)), bn = min64(BLOCK_PANELS * width, round_up(p->n, width));
    while (parallel && ((p->m + bm - 1) / bm) * ((p->n + bn - 1) / bn) < TASKS && (bm > 16 || bn > width)) {
        if (bn > width && (bn >= 2 * bm || bm <= 16))
            bn = round_up(bn / 2, width);
        else
            bm = round_up(bm / 2, 8);
    }
    p->block_m = bm;
    p->block_n = bn;
}

static void run(product *p)
{
    if (p->m <= 0 || p->n <= 0)
        return;
    p->kernel = nn_kernel_get();
    p->width = (int64_t)p->kernel->vectors * p->kernel->lanes;
    /* B is read where it stands when few rows of A pass over it, or when all of it stays in the first-level cache. */
    p->direct_b = !p->packed && !p->transpose_b && p->n % p->kernel->lanes == 0 && p->ldb <= INT_MAX / DEPTH
                  && (p->m <= 2 * p->kernel->rows || min64(p->k, DEPTH) * p->ldb <= 16 * 1024);
    const double work = (double)p->m * (double)p->n * (double)p->k;
    const int parallel = work > PARALLEL_MIN;
    choose_blocks(p, parallel);
    const int64_t rows = (p->m + p->block_m - 1) / p->block_m, columns = (p->n + p->block_n - 1) / p->block_n;
#pragma omp parallel for schedule(dynamic) if (parallel && rows * columns > 1 && !omp_in_parallel())
    for (int64_t i = 0; i < rows * columns; i++) {
        const int64_t m0 = i % rows * p->block_m, n0 = i / rows * p->block_n;
        run_block(p, m0, min64(p->block_m, p->m - m0), n0, min64(p->block_n, p->n - n0));
    }
}

void nn_gemm(int ta, int tb, int64_t m, int64_t n, int64_t k, real alpha, const real *a, int64_t lda, const real *b,
             int64_t ldb, real beta, real *c, int64_t ldc)
{
    if (beta != 0 && beta != 1)
        for (int64_t i = 0; i < m; i++)
            for (int64_t j = 0; j < n; j++)
                c[i * ldc + j] *= beta;
    run(&(product){ .transpose_a = ta, .transpose_b = tb, .m = m, .n = n, .k = k, .alpha = alpha, .a = a, .lda = lda, .b = b,
                    .ldb = ldb, .add = beta != 0, .c = c, .ldc = ldc });
}

void nn_gemm_bias(int ta, int tb, int64_t m, int64_t n, int64_t k, const real *a, int64_t lda, const real *b, int64_t ldb,
                  const real *bias, real *c, int64_t ldc)
{
    run(&(product){ .transpose_a = ta, .transpose_b = tb, .m = m, .n = n, .k = k, .alpha = 1, .a = a, .lda = lda, .b = b,
                    .ldb = ldb, .bias = bias, .c = c, .ldc = ldc });
}

int64_t nn_gemm_pack_size(int64_t n, int64_t k)
{
    const nn_kernel *kernel = nn_kernel_get();
    return round_up(n, (int64_t)kernel->vectors * kernel->lanes) * k;
}

void nn_gemm_pack(int tb, int64_t n, int64_t k, const real *b, int64_t ldb, real *packed)
{
    const nn_kernel *kernel = nn_kernel_get();
    const product p = { .transpose_b = tb, .n = n, .k = k, .b = b, .ldb = ldb, .kernel = kernel,
                        .width = (int64_t)kernel->vectors * kernel->lanes };
    const int64_t padded_n = round_up(n, p.width), panels = padded_n / p.width;
#pragma omp parallel for schedule(static) if ((double)n * (double)k > PARALLEL_MIN && !omp_in_parallel())
    for (int64_t i = 0; i < panels; i++)
        for (int64_t k0 = 0; k0 < k; k0 += DEPTH) {
            const int64_t depth = min64(DEPTH, k - k0), n0 = i * p.width;
            pack_panel(&p, k0, depth, n0, min64(p.width, n - n0), packed + k0 * padded_n + n0 * depth);
        }
}

void nn_gemm_packed(int64_t m, int64_t n, int64_t k, const real *a, int64_t lda, const real *packed, const real *bias, int beta,
                    real *c, int64_t ldc)
{
    run(&(product){ .m = m, .n = n, .k = k, .alpha = 1, .a = a, .lda = lda, .packed = packed, .bias = bias, .add = beta,
                    .c = c, .ldc = ldc });
}
