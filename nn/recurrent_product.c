#pragma GCC optimize("fp-contract=fast") /* one fused multiply-add per term; ISO C mode would round twice */

#include "nn/recurrent_product.h"

#include "base/error.h"
#include "nn/recurrent.h"

#include <string.h>

enum { LANES = NN_RECURRENT_LANES };

typedef real lanes __attribute__((vector_size(LANES * sizeof(real)), aligned(sizeof(real)), may_alias));

/* The compiler keeps ROWS x GATES sums in registers: 24 of AVX-512's 32. */
#define PRODUCT(ROWS, GATES)                                                                                             \
    static void product_##ROWS##_##GATES(const real *restrict a, int64_t lda, const real *restrict panel, int64_t n_in,   \
                                         real *restrict y)                                                               \
    {                                                                                                                    \
        lanes sum[ROWS][GATES] = { { { 0 } } };                                                                          \
        for (int64_t k = 0; k < n_in; k++) {                                                                             \
            const lanes *w = (const lanes *)(panel + k * GATES * LANES);                                                 \
            _Pragma("GCC unroll 8") for (int r = 0; r < ROWS; r++)                                                       \
                _Pragma("GCC unroll 8") for (int g = 0; g < GATES; g++)                                                  \
                    sum[r][g] += a[r * lda + k] * w[g];                                                                  \
        }                                                                                                                \
        memcpy(y, sum, sizeof sum);                                                                                      \
    }

#define PRODUCTS(GATES)                                                                                                  \
    PRODUCT(1, GATES) PRODUCT(2, GATES) PRODUCT(3, GATES) PRODUCT(4, GATES) PRODUCT(5, GATES) PRODUCT(6, GATES)
PRODUCTS(3)
PRODUCTS(4)

typedef void product_function(const real *restrict a, int64_t lda, const real *restrict panel, int64_t n_in, real *restrict y);

void nn_recurrent_product(int n_gates, int64_t rows, const real *a, int64_t lda, const real *panel, int64_t n_in, real *y)
{
    static product_function *const of_3[] = { product_1_3, product_2_3, product_3_3, product_4_3, product_5_3, product_6_3 };
    static product_function *const of_4[] = { product_1_4, product_2_4, product_3_4, product_4_4, product_5_4, product_6_4 };
    (n_gates == 3 ? of_3 : of_4)[rows - 1](a, lda, panel, n_in, y);
}

static int64_t panels_of(int64_t n, int64_t width)
{
    return (n + width - 1) / width;
}

int64_t nn_recurrent_packed_count(int64_t n_in, int n_gates, int64_t n)
{
    return n_in * n_gates * panels_of(n / n_gates, LANES) * LANES;
}

int64_t nn_recurrent_packed_plain_count(int64_t n_in, int64_t n)
{
    return n_in * panels_of(n, 4 * LANES) * 4 * LANES;
}

/* n columns (fewer than none: none) of all inputs into every to_step-th vector of a panel. */
static void pack_vectors(const real *from, int64_t n_in, int64_t step_in, int64_t n, int64_t step_column, real *to, int64_t to_step)
{
    n = n < 0 ? 0 : n < LANES ? n : LANES;
    for (int64_t k = 0; k < n_in; k++, from += step_in, to += to_step) {
        for (int64_t j = 0; j < n; j++)
            to[j] = from[j * step_column];
        for (int64_t j = n; j < LANES; j++)
            to[j] = 0;
    }
}

void nn_recurrent_pack(const real *w, int64_t n_in, int64_t step_in, int n_gates, int64_t n, int64_t step_column, real *packed)
{
    const int64_t H = n / n_gates, panels = panels_of(H, LANES);
#pragma omp parallel for schedule(static) if (n_in * n > NN_PARALLEL_MIN)
    for (int64_t i = 0; i < panels * n_gates; i++) {
        const int64_t p = i / n_gates, g = i % n_gates, unit = p * LANES;
        pack_vectors(w + (g * H + unit) * step_column, n_in, step_in, H - unit, step_column,
                     packed + (p * n_in * n_gates + g) * LANES, n_gates * LANES);
    }
}

void nn_recurrent_pack_plain(const real *w, int64_t n_in, int64_t step_in, int64_t n, int64_t step_column, real *packed)
{
    const int64_t vectors = panels_of(n, 4 * LANES) * 4;
#pragma omp parallel for schedule(static) if (n_in * n > NN_PARALLEL_MIN)
    for (int64_t i = 0; i < vectors; i++)
        pack_vectors(w + i * LANES * step_column, n_in, step_in, n - i * LANES, step_column,
                     packed + (i / 4 * n_in * 4 + i % 4) * LANES, 4 * LANES);
}
