#include "base/fft.h"
#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { MAX = 360 };

static const double pi = 3.14159265358979323846;

static void fill(float *x, int n, uint64_t seed)
{
    bl_rng rng;
    bl_rng_seed(&rng, seed);
    for (int i = 0; i < n; i++)
        x[i] = (float)bl_rng_normal(&rng);
}

static void the_spectrum_is_the_direct_sum(void **state)
{
    static const int sizes[] = { 2, 4, 6, 8, 22, 64, 100, 128, 360 };
    float x[MAX], X[MAX + 2];
    (void)state;
    for (int s = 0; s < 9; s++) {
        const int n = sizes[s];
        bl_fft *fft = bl_fft_new(n, NULL);
        assert_int_equal(bl_fft_size(fft), n);
        fill(x, n, (uint64_t)n);
        bl_fft_forward(fft, x, X);
        for (int k = 0; k <= n / 2; k++) {
            double re = 0, im = 0;
            for (int i = 0; i < n; i++) {
                re += (double)x[i] * cos(2 * pi * k * i / n);
                im -= (double)x[i] * sin(2 * pi * k * i / n);
            }
            assert_true(fabs((double)X[2 * k] - re) < 1e-6 * n && fabs((double)X[2 * k + 1] - im) < 1e-6 * n);
        }
        bl_fft_free(fft);
    }
}

static void the_inverse_gives_the_signal_back_and_keeps_the_spectrum(void **state)
{
    float x[MAX], y[MAX], X[MAX + 2], before[MAX + 2];
    bl_fft *fft = bl_fft_new(MAX, NULL);
    (void)state;
    fill(x, MAX, 9);
    bl_fft_forward(fft, x, X);
    memcpy(before, X, sizeof X);
    bl_fft_inverse(fft, X, y);
    for (int i = 0; i < MAX; i++)
        assert_true(fabsf(x[i] - y[i]) < 2e-6f);
    assert_memory_equal(before, X, sizeof X);
    bl_fft_free(fft);
}

static void buffers_need_no_alignment(void **state)
{
    float memory[MAX + 1], spectrum[MAX + 3], again[MAX + 2];
    bl_fft *fft = bl_fft_new(MAX, NULL);
    (void)state;
    fill(memory + 1, MAX, 10);
    bl_fft_forward(fft, memory + 1, spectrum + 1);
    memmove(memory, memory + 1, MAX * sizeof *memory);
    bl_fft_forward(fft, memory, again);
    assert_memory_equal(spectrum + 1, again, sizeof again);
    bl_fft_free(fft);
}

static void the_engine_scalar_has_its_own_plan(void **state)
{
    real x[MAX], y[MAX], X[MAX + 2];
    bl_fft_real *fft = bl_fft_real_new(MAX, NULL);
    const double tolerance = sizeof(real) == 8 ? 1e-12 : 1e-5;
    (void)state;
    for (int i = 0; i < MAX; i++)
        x[i] = (real)cos(2 * pi * 7 * i / MAX);
    bl_fft_real_forward(fft, x, X);
    for (int k = 0; k <= MAX / 2; k++)
        assert_true(fabs((double)X[2 * k] / MAX - (k == 7 ? 0.5 : 0)) < tolerance && fabs((double)X[2 * k + 1] / MAX) < tolerance);
    bl_fft_real_inverse(fft, X, y);
    for (int i = 0; i < MAX; i++)
        assert_true(fabs((double)(x[i] - y[i])) < tolerance);
    bl_fft_real_free(fft);
}

static void odd_and_tiny_lengths_are_refused(void **state)
{
    static const int bad[] = { -2, 0, 1, 3, 1023 };
    (void)state;
    for (int i = 0; i < 5; i++) {
        bl_error err = { 0 };
        assert_null(bl_fft_new(bad[i], &err));
        assert_int_equal(err.code, BL_EARG);
        assert_null(bl_fft_real_new(bad[i], NULL));
    }
    bl_fft_free(NULL);
    bl_fft_real_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_spectrum_is_the_direct_sum),
        cmocka_unit_test(the_inverse_gives_the_signal_back_and_keeps_the_spectrum),
        cmocka_unit_test(buffers_need_no_alignment),
        cmocka_unit_test(the_engine_scalar_has_its_own_plan),
        cmocka_unit_test(odd_and_tiny_lengths_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
