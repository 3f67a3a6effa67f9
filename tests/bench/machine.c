/* What the machine can do at best, measured: the floor under every time. */
#include "tests/bench/bench.h"

#include "base/file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* 12 chains: enough multiply-adds in flight for two units of latency 4, and they fit the registers. The Makefile lets the
 * compiler contract a * b + c in this file. */
#ifdef __AVX512F__
enum { LANES = 16 };
#else
enum { LANES = 8 };
#endif
enum { CHAINS = 12, ROUNDS = 2000000 };
typedef float lanes __attribute__((vector_size(LANES * sizeof(float))));

/* Returns something that depends on every product, so that none is left out. */
static float spin(float seed)
{
    const lanes zero = { 0 }, a = zero + (0.999f - seed), b = zero + (0.001f + seed);
    lanes sum[CHAINS];
    for (int k = 0; k < CHAINS; k++)
        sum[k] = b * (float)k;
    for (int r = 0; r < ROUNDS; r++)
        for (int k = 0; k < CHAINS; k++)
            sum[k] = sum[k] * a + b;
    float total = 0;
    for (int k = 0; k < CHAINS; k++)
        for (int i = 0; i < LANES; i++)
            total += sum[k][i];
    return total;
}

double bench_peak_flops(int threads)
{
    double best = 0;
    volatile float sink = 0;
    for (int run = 0; run < 12; run++) { /* the fastest: the clock has to rise first, and threads have to spread */
        const double start = bl_seconds();
#pragma omp parallel for schedule(static, 1) num_threads(threads)
        for (int k = 0; k < threads; k++)
            sink = spin(1e-9f * (float)k);
        best = fmax(best, 2.0 * CHAINS * LANES * (double)ROUNDS * threads / (bl_seconds() - start));
    }
    (void)sink;
    return best;
}

static double sum_of(const float *x, size_t n)
{
    float lane[64] = { 0 }, sum = 0;
    for (size_t i = 0; i + 64 <= n; i += 64)
        for (int k = 0; k < 64; k++)
            lane[k] += x[i + (size_t)k];
    for (int k = 0; k < 64; k++)
        sum += lane[k];
    return (double)sum;
}

double bench_cache_bandwidth(int threads)
{
    const size_t n = (size_t)1 << 21; /* 8 MB, all threads together */
    float *x = malloc(n * sizeof *x);
    double best = 0;
    volatile double sink = 0;
    if (!x)
        return NAN;
    memset(x, 0, n * sizeof *x);
    for (int run = 0; run < 60; run++) {
        const double start = bl_seconds();
#pragma omp parallel for schedule(static, 1) num_threads(threads)
        for (int k = 0; k < threads; k++)
            sink = sum_of(x + n / (size_t)threads * (size_t)k, n / (size_t)threads);
        best = fmax(best, (double)(n * sizeof *x) / (bl_seconds() - start));
    }
    (void)sink;
    free(x);
    return best;
}
