#include "nn/recurrent_product.h"

#include "nn/kernel/kernel.h"
#include "nn/recurrent.h"

enum { LANES = NN_RECURRENT_LANES };

void nn_recurrent_product(int n_gates, int64_t rows, const real *a, int64_t lda, const real *panel, int64_t n_in, real *y)
{
    nn_kernel_get()->product[n_gates - 3][rows - 1](a, lda, panel, n_in, y);
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
