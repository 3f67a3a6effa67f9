#include "audio/stft.h"

#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/audio/test_signal.h"
#include "tests/golden_text.h"
#include "tests/message.h"

static const char golden[] = "tests/golden/features.txt";

static audio_stft *plan(int n_fft, int hop, int win, audio_stft_pad pad)
{
    bl_error err = { 0 };
    audio_stft *s = audio_stft_new(&(audio_stft_config){ n_fft, hop, win, pad }, &err);
    assert_non_null(s);
    return s;
}

static float *noise(int64_t n, uint64_t seed)
{
    float *x = malloc(sizeof *x * (size_t)n);
    bl_rng rng;
    bl_rng_seed(&rng, seed);
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(0.3 * bl_rng_normal(&rng));
    return x;
}

static float *transform(audio_stft *s, const float *x, int64_t n)
{
    bl_error err = { 0 };
    float *X = malloc(sizeof *X * 2 * (size_t)(audio_stft_bins(s) * audio_stft_frames(s, n)));
    assert_int_equal(audio_stft_run(s, x, n, X, &err), BL_OK);
    return X;
}

static void stft_equals_the_numpy_transform_with_either_padding(void **state)
{
    static const struct { const char *re, *im; audio_stft_pad pad; } cases[] = {
        { "stft_reflect_re", "stft_reflect_im", AUDIO_PAD_REFLECT },
        { "stft_constant_re", "stft_constant_im", AUDIO_PAD_ZERO },
    };
    float x[SIGNAL_N];
    (void)state;
    make_signal(x);
    for (int k = 0; k < 2; k++) {
        audio_stft *s = plan(SIGNAL_FFT, SIGNAL_HOP, 0, cases[k].pad);
        float *X = transform(s, x, SIGNAL_N);
        int64_t rows, columns;
        double *re = golden_block(golden, cases[k].re, &rows, &columns), *im = golden_block(golden, cases[k].im, NULL, NULL);
        const int64_t T = audio_stft_frames(s, SIGNAL_N);
        assert_int_equal(T, SIGNAL_N / SIGNAL_HOP + 1);
        for (int64_t r = 0; r < rows; r++)
            for (int64_t c = 0; c < columns; c++) {
                const float *at = X + 2 * (r * 32 * T + c * 3);
                assert_true(fabs((double)at[0] - re[r * columns + c]) < 2e-4);
                assert_true(fabs((double)at[1] - im[r * columns + c]) < 2e-4);
            }
        free(re);
        free(im);
        free(X);
        audio_stft_free(s);
    }
}

static void stft_is_linear_and_leaves_its_input_alone(void **state)
{
    enum { N = 5000 };
    audio_stft *s = plan(512, 128, 400, AUDIO_PAD_REFLECT);
    float *a = noise(N, 1), *b = noise(N, 2), *copy = noise(N, 1), sum[N];
    (void)state;
    for (int i = 0; i < N; i++)
        sum[i] = 2 * a[i] - 3 * b[i];
    float *A = transform(s, a, N), *B = transform(s, b, N), *S = transform(s, sum, N);
    for (int64_t i = 0; i < 2 * audio_stft_bins(s) * audio_stft_frames(s, N); i++)
        assert_true(fabsf(2 * A[i] - 3 * B[i] - S[i]) < 2e-4f);
    assert_memory_equal(a, copy, sizeof *a * N);
    free(a), free(b), free(copy), free(A), free(B), free(S);
    audio_stft_free(s);
}

static void stft_of_an_impulse_is_flat(void **state)
{
    enum { N = 4096 };
    static float x[N];
    audio_stft *s = plan(1024, 256, 0, AUDIO_PAD_REFLECT);
    (void)state;
    x[2048] = 1;   /* the centre of frame 8, where the window is 1 */
    float *X = transform(s, x, N);
    const int64_t T = audio_stft_frames(s, N);
    for (int64_t f = 0; f < audio_stft_bins(s); f++) {
        const float *at = X + 2 * (f * T + 8);
        assert_true(fabsf(hypotf(at[0], at[1]) - 1) < 1e-6f);
        assert_true(fabsf(at[0] - (f % 2 ? -1.0f : 1.0f)) < 1e-5f);   /* n_fft/2 samples into the frame */
        assert_true(hypotf(X[2 * (f * T + 12)], X[2 * (f * T + 12) + 1]) == 0);
    }
    free(X);
    audio_stft_free(s);
}

static void a_shift_by_the_hop_is_a_shift_by_one_frame_bit_for_bit(void **state)
{
    enum { N = 6000, HOP = 160 };
    audio_stft *s = plan(640, HOP, 0, AUDIO_PAD_ZERO);
    float *x = noise(N + HOP, 3);
    (void)state;
    float *A = transform(s, x + HOP, N), *B = transform(s, x, N + HOP);
    const int64_t TA = audio_stft_frames(s, N), TB = audio_stft_frames(s, N + HOP);
    for (int64_t f = 0; f < audio_stft_bins(s); f++)
        for (int64_t t = 2; t + 3 < TA; t++)
            assert_memory_equal(A + 2 * (f * TA + t), B + 2 * (f * TB + t + 1), 2 * sizeof(float));
    free(x), free(A), free(B);
    audio_stft_free(s);
}

static void every_frame_keeps_the_energy_of_its_windowed_samples(void **state)
{
    enum { N = 4000, L = 512 };
    audio_stft *s = plan(L, 128, 0, AUDIO_PAD_ZERO);
    float *x = noise(N, 4), *X = transform(s, x, N);
    const int64_t T = audio_stft_frames(s, N), F = audio_stft_bins(s);
    (void)state;
    for (int64_t t = 0; t < T; t++) {
        double in = 0, out = 0;
        for (int i = 0; i < L; i++) {
            const int64_t at = t * 128 + i - L / 2;
            const double w = 0.5 - 0.5 * cos(2 * 3.14159265358979323846 * i / L);
            in += at >= 0 && at < N ? w * w * (double)x[at] * (double)x[at] : 0;
        }
        for (int64_t f = 0; f < F; f++) {
            const double re = (double)X[2 * (f * T + t)], im = (double)X[2 * (f * T + t) + 1];
            out += (f == 0 || f == F - 1 ? 1 : 2) * (re * re + im * im);
        }
        assert_true(fabs(out / L - in) < 1e-5 * in);
    }
    free(x), free(X);
    audio_stft_free(s);
}

static void inverse_restores_the_signal_below_minus_120_db(void **state)
{
    static const struct { int n_fft, hop, win; audio_stft_pad pad; int n; } cases[] = {
        { 2048, 512, 0, AUDIO_PAD_REFLECT, 44100 }, { 2048, 512, 0, AUDIO_PAD_REFLECT, 44032 },
        { 1024, 256, 0, AUDIO_PAD_ZERO, 3 },        { 1024, 300, 0, AUDIO_PAD_ZERO, 777 },
        { 1024, 128, 600, AUDIO_PAD_REFLECT, 9999 }, { 1000, 250, 1000, AUDIO_PAD_REFLECT, 501 },
        { 512, 64, 0, AUDIO_PAD_ZERO, 1 },          { 600, 1, 0, AUDIO_PAD_ZERO, 700 },
        { 2048, 1024, 0, AUDIO_PAD_REFLECT, 20481 },
    };
    bl_error err = { 0 };
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        audio_stft *s = plan(cases[k].n_fft, cases[k].hop, cases[k].win, cases[k].pad);
        const int64_t n = cases[k].n;
        float *x = noise(n, 5 + k), *X = transform(s, x, n), *y = malloc(sizeof *y * (size_t)n);
        assert_int_equal(audio_stft_inverse(s, X, n, y, &err), BL_OK);
        assert_true(error_db(y, x, n) < -120);
        free(x), free(X), free(y);
        audio_stft_free(s);
    }
}

static void one_frame_alone_equals_its_column_bit_for_bit(void **state)
{
    enum { N = 30000 };
    audio_stft *s = plan(512, 100, 0, AUDIO_PAD_REFLECT);
    float *x = noise(N, 6), *X = transform(s, x, N), column[514];
    const int64_t T = audio_stft_frames(s, N);
    (void)state;
    for (int64_t t = 0; t < T; t += 7) {
        audio_stft_frame(s, x, N, t, column);
        for (int64_t f = 0; f < 257; f++)
            assert_memory_equal(column + 2 * f, X + 2 * (f * T + t), 2 * sizeof(float));
    }
    free(x), free(X);
    audio_stft_free(s);
}

static void wrong_lengths_are_refused_with_a_reason(void **state)
{
    static const struct { audio_stft_config config; const char *says; } cases[] = {
        { { .n_fft = 7 }, "n_fft must be even" },
        { { .n_fft = 0 }, "n_fft must be even" },
        { { .n_fft = 512, .hop_length = -1 }, "hop_length must be at least 1" },
        { { .n_fft = 512, .win_length = 513 }, "win_length must be in 1 .. n_fft = 512, got 513" },
    };
    float x[2000] = { 0 }, out[2000] = { 0 };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bl_error err = { 0 };
        assert_null(audio_stft_new(&cases[i].config, &err));
        assert_int_equal(err.code, BL_EARG);
        assert_message(err, cases[i].says);
    }
    bl_error err = { 0 };
    audio_stft *s = plan(512, 128, 0, AUDIO_PAD_REFLECT);
    assert_int_equal(audio_stft_run(s, x, 256, out, &err), BL_EARG);
    assert_message(err, "too few to mirror");
    bl_error_clear(&err);
    assert_int_equal(audio_stft_run(s, x, 0, out, &err), BL_EARG);
    audio_stft_free(s);

    bl_error_clear(&err);
    s = plan(512, 300, 0, AUDIO_PAD_ZERO);
    assert_int_equal(audio_stft_inverse(s, x, 100, out, &err), BL_EARG);
    assert_message(err, "hop_length 300 leaves gaps");
    audio_stft_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stft_equals_the_numpy_transform_with_either_padding),
        cmocka_unit_test(stft_is_linear_and_leaves_its_input_alone),
        cmocka_unit_test(stft_of_an_impulse_is_flat),
        cmocka_unit_test(a_shift_by_the_hop_is_a_shift_by_one_frame_bit_for_bit),
        cmocka_unit_test(every_frame_keeps_the_energy_of_its_windowed_samples),
        cmocka_unit_test(inverse_restores_the_signal_below_minus_120_db),
        cmocka_unit_test(one_frame_alone_equals_its_column_bit_for_bit),
        cmocka_unit_test(wrong_lengths_are_refused_with_a_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
