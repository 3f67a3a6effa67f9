#include "audio/features.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/rng.h"
#include "tests/audio/test_signal.h"
#include "tests/golden_text.h"
#include "tests/message.h"

static const char golden[] = "tests/golden/features.txt";

/* Within 1e-4 of the golden value, relative to it or to the block's largest magnitude times `slack`. */
static void assert_golden(const char *name, const float *got, int64_t n, double slack)
{
    int64_t rows, columns;
    double *want = golden_block(golden, name, &rows, &columns), largest = 0;
    assert_int_equal(rows * columns, n);
    for (int64_t i = 0; i < n; i++)
        largest = fabs(want[i]) > largest ? fabs(want[i]) : largest;
    for (int64_t i = 0; i < n; i++) {
        const double error = fabs((double)got[i] - want[i]);
        if (!(error <= 1e-4 * fabs(want[i]) + slack * largest))
            fail_msg("%s[%lld]: expected %.8g, got %.8g", name, (long long)i, want[i], (double)got[i]);
    }
    free(want);
}

static audio_feature_config config(void)
{
    return (audio_feature_config){ .sample_rate = SIGNAL_RATE, .n_fft = SIGNAL_FFT, .hop_length = SIGNAL_HOP,
                                   .n_mels = 40, .n_mfcc = 13, .tuning = 0.1 };
}

static void the_test_signal_is_the_same_in_both_languages(void **state)
{
    float x[SIGNAL_N], some[SIGNAL_N / 500];
    (void)state;
    make_signal(x);
    for (int i = 0; i < SIGNAL_N / 500; i++)
        some[i] = x[500 * i];
    assert_golden("signal", some, SIGNAL_N / 500, 1e-7);
}

static void every_feature_equals_its_librosa_definition(void **state)
{
    float x[SIGNAL_N];
    audio_features f;
    bl_error err = { 0 };
    const audio_feature_config c = config();
    audio_feature_plan *p = audio_feature_plan_new(&c, &err);
    (void)state;
    make_signal(x);
    assert_non_null(p);
    assert_int_equal(audio_feature_plan_run(p, x, SIGNAL_N, &f, &err), BL_OK);
    const int64_t T = f.n_frames;
    assert_int_equal(T, SIGNAL_N / SIGNAL_HOP + 1);
    assert_null(f.magnitude);
    assert_golden("mel", f.mel, 40 * T, 1e-7);
    assert_golden("mel_db", f.mel_db, 40 * T, 0);
    assert_golden("mfcc", f.mfcc, 13 * T, 1e-6);
    assert_golden("chroma", f.chroma, 12 * T, 1e-6);
    assert_golden("centroid", f.centroid, T, 0);
    assert_golden("bandwidth", f.bandwidth, T, 0);
    assert_golden("rolloff", f.rolloff, T, 0);
    assert_golden("flatness", f.flatness, T, 1e-6);
    assert_golden("contrast", f.contrast, AUDIO_CONTRAST_BANDS * T, 1e-6);
    assert_golden("rms", f.rms, T, 0);
    assert_golden("zcr", f.zcr, T, 1e-9);
    assert_golden("onset", f.onset, T, 1e-5);
    audio_features_free(&f);
    audio_feature_plan_free(p);
}

static void filterbanks_equal_their_definitions(void **state)
{
    static const struct { const char *name; audio_mel_scale scale; int area_norm; } cases[] = {
        { "filters_slaney_height", AUDIO_MEL_SLANEY, 0 }, { "filters_slaney_area", AUDIO_MEL_SLANEY, 1 },
        { "filters_htk_height", AUDIO_MEL_HTK, 0 },       { "filters_htk_area", AUDIO_MEL_HTK, 1 },
    };
    static float w[12 * 513], some[12 * 513];
    bl_error err = { 0 };
    (void)state;
    for (int k = 0; k < 4; k++) {
        int n = 0;
        assert_int_equal(audio_mel_filters(SIGNAL_RATE, SIGNAL_FFT, 8, 100, 8000, cases[k].scale, cases[k].area_norm, w, &err), BL_OK);
        for (int m = 0; m < 8; m++)
            for (int f = 0; f < 513; f += 4)
                some[n++] = w[m * 513 + f];
        assert_golden(cases[k].name, some, n, 1e-7);
    }
    int n = 0;
    assert_int_equal(audio_chroma_filters(SIGNAL_RATE, SIGNAL_FFT, 12, 0.1, w, &err), BL_OK);
    for (int m = 0; m < 12; m++)
        for (int f = 0; f < 513; f += 8)
            some[n++] = w[m * 513 + f];
    assert_golden("filters_chroma", some, n, 1e-6);
}

static void asking_for_less_gives_the_same_values(void **state)
{
    float x[SIGNAL_N];
    audio_features all, some;
    bl_error err = { 0 };
    audio_feature_config c = config();
    (void)state;
    make_signal(x);
    audio_feature_plan *p = audio_feature_plan_new(&c, &err);
    assert_int_equal(audio_feature_plan_run(p, x, SIGNAL_N, &all, &err), BL_OK);
    audio_feature_plan_free(p);
    c.which = AUDIO_FEATURE_MFCC | AUDIO_FEATURE_BANDWIDTH | AUDIO_FEATURE_MAGNITUDE;
    p = audio_feature_plan_new(&c, &err);
    assert_int_equal(audio_feature_plan_run(p, x, SIGNAL_N, &some, &err), BL_OK);
    audio_feature_plan_free(p);
    assert_null(some.mel);
    assert_null(some.mel_db);
    assert_null(some.onset);
    assert_non_null(some.magnitude);
    assert_memory_equal(some.mfcc, all.mfcc, sizeof(float) * 13 * (size_t)all.n_frames);
    assert_memory_equal(some.bandwidth, all.bandwidth, sizeof(float) * (size_t)all.n_frames);
    audio_features_free(&all);
    audio_features_free(&some);
}

static void tones_are_found_where_they_are(void **state)
{
    enum { N = 22050 };
    static float x[N];
    audio_features f;
    bl_error err = { 0 };
    const audio_feature_config c = { .sample_rate = 22050 };
    audio_feature_plan *p = audio_feature_plan_new(&c, &err);
    (void)state;
    for (int i = 0; i < N; i++)
        x[i] = (float)(0.5 * sin(2 * 3.14159265358979323846 * 659.255 * i / 22050));   /* E5 */
    assert_int_equal(audio_feature_plan_run(p, x, N, &f, &err), BL_OK);
    const int64_t t = f.n_frames / 2;
    assert_true(fabsf(f.centroid[t] - 659.255f) < 2);
    assert_true(fabsf(f.rms[t] - 0.5f * sqrtf(0.5f)) < 1e-3f);
    assert_true(fabsf(f.zcr[t] - 2 * 659.255f / 22050) < 1e-3f);
    for (int k = 0; k < 12; k++)
        assert_true(k == 4 ? f.chroma[k * f.n_frames + t] == 1 : f.chroma[k * f.n_frames + t] < 0.9f);
    audio_features_free(&f);
    audio_feature_plan_free(p);
}

static void silence_single_samples_and_low_rates_have_finite_features(void **state)
{
    static const struct { int rate, n_fft, n; float value; } cases[] = {
        { 22050, 2048, 5000, 0 }, { 44100, 2048, 1, 0.5f }, { 8000, 512, 3000, 0.25f }, { 100, 64, 50, 1 }, { 44100, 64, 500, 1 },
    };
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        bl_error err = { 0 };
        audio_features f;
        float x[5000];
        const audio_feature_config c = { .sample_rate = cases[k].rate, .n_fft = cases[k].n_fft, .n_mels = 24 };
        audio_feature_plan *p = audio_feature_plan_new(&c, &err);
        assert_non_null(p);
        for (int i = 0; i < cases[k].n; i++)
            x[i] = cases[k].value;
        assert_int_equal(audio_feature_plan_run(p, x, cases[k].n, &f, &err), BL_OK);
        for (int64_t t = 0; t < f.n_frames; t++) {
            assert_true(isfinite(f.centroid[t]) && isfinite(f.bandwidth[t]) && isfinite(f.rolloff[t]));
            assert_true(isfinite(f.flatness[t]) && isfinite(f.rms[t]) && isfinite(f.zcr[t]) && isfinite(f.onset[t]));
            for (int b = 0; b < AUDIO_CONTRAST_BANDS; b++)
                assert_true(isfinite(f.contrast[b * f.n_frames + t]) && f.contrast[b * f.n_frames + t] >= 0);
            for (int m = 0; m < 12; m++)
                assert_true(isfinite(f.chroma[m * f.n_frames + t]));
        }
        audio_features_free(&f);
        audio_feature_plan_free(p);
    }
}

static void onset_strength_peaks_at_the_attack(void **state)
{
    enum { N = 44100, AT = 22050 };
    static float x[N];
    audio_features f;
    bl_error err = { 0 };
    const audio_feature_config c = { .sample_rate = 44100, .which = AUDIO_FEATURE_ONSET };
    audio_feature_plan *p = audio_feature_plan_new(&c, &err);
    int64_t best = 0;
    (void)state;
    for (int i = AT; i < N; i++)
        x[i] = (float)(0.5 * exp(-(i - AT) / 8000.0) * sin(0.06 * i));
    assert_int_equal(audio_feature_plan_run(p, x, N, &f, &err), BL_OK);
    for (int64_t t = 0; t < f.n_frames; t++)
        best = f.onset[t] > f.onset[best] ? t : best;
    assert_true(llabs(best * 512 - AT) <= 2 * 512);
    audio_features_free(&f);
    audio_feature_plan_free(p);
}

static void wrong_settings_are_refused_with_a_reason(void **state)
{
    static const struct { audio_feature_config config; const char *says; } cases[] = {
        { { .sample_rate = 0 }, "sample_rate must be at least 1" },
        { { .sample_rate = 44100, .n_fft = 31 }, "n_fft must be even" },
        { { .sample_rate = 44100, .n_mels = 10, .n_mfcc = 11 }, "n_mfcc must be in 1 .. n_mels = 10, got 11" },
        { { .sample_rate = 44100, .fmin_hz = 9000, .fmax_hz = 8000 }, "fmin < fmax" },
        { { .sample_rate = 8000, .fmax_hz = 5000 }, "<= 4000 Hz" },
        { { .sample_rate = 8000, .roll_percent = 1.5 }, "roll_percent" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bl_error err = { 0 };
        assert_null(audio_feature_plan_new(&cases[i].config, &err));
        assert_int_equal(err.code, BL_EARG);
        assert_message(err, cases[i].says);
    }
    bl_error err = { 0 };
    audio_features f;
    float x = 0;
    audio_feature_plan *p = audio_feature_plan_new(&(audio_feature_config){ .sample_rate = 8000 }, &err);
    assert_int_equal(audio_feature_plan_run(p, &x, 0, &f, &err), BL_EARG);
    assert_null(f.memory);
    audio_feature_plan_free(p);
}

/* The rows of a piece into columns at, at + 1, ... of those of the whole; counts what differs. */
static int differing(const float *piece, int64_t n, const float *whole, int64_t T, int64_t at, int rows)
{
    int wrong = 0;
    for (int r = 0; r < rows; r++)
        wrong += memcmp(piece + r * n, whole + r * T + at, sizeof(float) * (size_t)n) != 0;
    return wrong;
}

static void a_stream_of_pieces_has_the_bits_of_the_whole(void **state)
{
    static const int hops[] = { 256, 100, 1500 }; /* 1500: some samples lie in no frame */
    float x[SIGNAL_N];
    bl_error err = { 0 };
    bl_rng rng;
    (void)state;
    make_signal(x);
    bl_rng_seed(&rng, 3);
    for (int h = 0; h < 3; h++)
        for (int64_t n = SIGNAL_N; n > 0; n = n > 8191 ? 8191 : n > 512 ? 512 : n > 1 ? 1 : 0) {
            audio_feature_config c = config();
            c.hop_length = hops[h];
            c.top_db = -1;
            c.which = AUDIO_FEATURE_ALL | AUDIO_FEATURE_MAGNITUDE;
            audio_feature_plan *p = audio_feature_plan_new(&c, &err);
            audio_features all, f;
            assert_int_equal(audio_feature_plan_run(p, x, n, &all, &err), BL_OK);
            const int64_t T = all.n_frames;
            int64_t at = 0;
            for (int64_t i = 0, some; i < n; i += some) {
                some = 1 + (int64_t)(bl_rng_uniform(&rng) * 1700);
                some = i + some > n ? n - i : some;
                assert_int_equal(audio_feature_plan_push(p, x + i, some, i + some == n, &err), BL_OK);
                assert_int_equal(audio_feature_plan_pull(p, &f, &err), BL_OK);
                if (f.n_frames) {
                    assert_true(at + f.n_frames <= T);
                    const struct { const float *piece, *whole; int rows; } rows[] = {
                        { f.mel, all.mel, 40 }, { f.mel_db, all.mel_db, 40 }, { f.mfcc, all.mfcc, 13 }, { f.chroma, all.chroma, 12 },
                        { f.contrast, all.contrast, AUDIO_CONTRAST_BANDS }, { f.magnitude, all.magnitude, all.n_bins },
                        { f.centroid, all.centroid, 1 }, { f.bandwidth, all.bandwidth, 1 }, { f.rolloff, all.rolloff, 1 },
                        { f.flatness, all.flatness, 1 }, { f.rms, all.rms, 1 }, { f.zcr, all.zcr, 1 }, { f.onset, all.onset, 1 },
                    };
                    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
                        if (differing(rows[r].piece, f.n_frames, rows[r].whole, T, at, rows[r].rows))
                            fail_msg("row %d, hop %d, %lld samples, frame %lld", (int)r, hops[h], (long long)n, (long long)at);
                }
                at += f.n_frames;
                audio_features_free(&f);
            }
            assert_int_equal(at, T);
            assert_int_equal(audio_feature_plan_push(p, x, 1, 0, &err), BL_EARG);
            assert_message(err, "has ended");
            bl_error_clear(&err);
            audio_features_free(&all);
            audio_feature_plan_free(p);
        }
}

static void a_stream_cannot_cut_below_a_loudest_value_it_does_not_know(void **state)
{
    const float x[4] = { 0 };
    bl_error err = { 0 };
    (void)state;
    audio_feature_plan *p = audio_feature_plan_new(&(audio_feature_config){ .sample_rate = 8000, .which = AUDIO_FEATURE_MFCC }, &err);
    assert_int_equal(audio_feature_plan_push(p, x, 4, 0, &err), BL_EARG);
    assert_message(err, "top_db < 0");
    audio_feature_plan_free(p);
    p = audio_feature_plan_new(&(audio_feature_config){ .sample_rate = 8000, .which = AUDIO_FEATURE_MEL }, &err);
    bl_error_clear(&err);
    assert_int_equal(audio_feature_plan_push(p, x, 4, 0, &err), BL_OK);
    audio_feature_plan_free(p);
}

static void decibels_are_those_of_the_c_library(void **state)
{
    (void)state;
    for (double p = 1e-37; p < 1e37; p *= 1.0137) {
        const float power = (float)p;
        float db;
        audio_power_to_db(&power, 1, 1, 1e-38, -1, &db);
        const double truth = 10 * log10((double)power);
        assert_true(fabs((double)db - truth) <= 3e-7 * fabs(truth) + 1e-6);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_test_signal_is_the_same_in_both_languages),
        cmocka_unit_test(every_feature_equals_its_librosa_definition),
        cmocka_unit_test(filterbanks_equal_their_definitions),
        cmocka_unit_test(asking_for_less_gives_the_same_values),
        cmocka_unit_test(tones_are_found_where_they_are),
        cmocka_unit_test(silence_single_samples_and_low_rates_have_finite_features),
        cmocka_unit_test(onset_strength_peaks_at_the_attack),
        cmocka_unit_test(a_stream_of_pieces_has_the_bits_of_the_whole),
        cmocka_unit_test(a_stream_cannot_cut_below_a_loudest_value_it_does_not_know),
        cmocka_unit_test(decibels_are_those_of_the_c_library),
        cmocka_unit_test(wrong_settings_are_refused_with_a_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
