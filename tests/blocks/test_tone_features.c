#include "blocks/tone_features.h"

#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { RATE = 16000, N = RATE };
static const double pi = 3.14159265358979323846;

static int at(const char *name)
{
    char buffer[32];
    for (int i = 0; i < BLOCKS_TONE_FEATURES; i++)
        if (!strcmp(blocks_tone_feature_name(i, buffer), name))
            return i;
    fail_msg("no feature \"%s\"", name);
    return 0;
}

static void measure(const float *x, int64_t n, int rate, float *out)
{
    bl_error err = { 0 };
    blocks_tone_analyser *a = blocks_tone_analyser_new(&err);
    assert_non_null(a);
    assert_int_equal(blocks_tone_analyser_run(a, x, n, rate, out, &err), BL_OK);
    blocks_tone_analyser_free(a);
    for (int i = 0; i < BLOCKS_TONE_FEATURES; i++)
        assert_true(isfinite(out[i]));
}

/* Partials h = 1..12 of level 1/h (even ones times `even`), stretched by B, decaying. */
static void make_tone(float *x, int n, int rate, double f0, double even, double B, double decay_per_s, double vibrato_cents)
{
    for (int i = 0; i < n; i++) {
        const double t = (double)i / rate;
        double sum = 0;
        for (int h = 1; h <= 12; h++) {
            const double f = h * f0 * sqrt(1 + B * h * h);
            const double bend = vibrato_cents / 1200 * log(2) * f / (2 * pi * 6) * -cos(2 * pi * 6 * t);
            if (f < 0.45 * rate)
                sum += (h % 2 ? 1 : even) / h * sin(2 * pi * (f * t + bend));
        }
        x[i] = (float)(0.3 * sum * exp(-decay_per_s * t) * (t < 0.01 ? t / 0.01 : 1));
    }
}

static void pitch_and_vibrato_are_measured(void **state)
{
    float x[N], out[BLOCKS_TONE_FEATURES];
    (void)state;
    make_tone(x, N, RATE, 220, 1, 0, 0, 40);
    measure(x, N, RATE, out);
    assert_float_equal(out[at("pitch_octave")], (57.0 - 60) / 12, 0.02);
    assert_float_equal(out[at("vibrato_hz")], 6, 0.6);
    /* The window of the pitch tracker smooths a swing of 40 cents. */
    assert_in_range((int)out[at("vibrato_cents")], 20, 45);
    make_tone(x, N, RATE, 220, 1, 0, 0, 0);
    measure(x, N, RATE, out);
    assert_true(out[at("vibrato_cents")] < 5);
    assert_true(out[at("voiced")] > 0.8f);
}

static void a_clarinet_like_spectrum_has_odd_partials(void **state)
{
    float x[N], even[BLOCKS_TONE_FEATURES], odd[BLOCKS_TONE_FEATURES];
    (void)state;
    make_tone(x, N, RATE, 200, 1, 0, 1, 0);
    measure(x, N, RATE, even);
    make_tone(x, N, RATE, 200, 0.05, 0, 1, 0);
    measure(x, N, RATE, odd);
    assert_true(odd[at("odd_to_even_db")] > even[at("odd_to_even_db")] + 15);
}

static void inharmonicity_is_found_within_a_fifth(void **state)
{
    float x[N], out[BLOCKS_TONE_FEATURES];
    (void)state;
    make_tone(x, N, RATE, 220, 1, 4e-4, 1, 0);
    measure(x, N, RATE, out);
    assert_float_equal(out[at("inharmonicity")], log10(4e-4 + 1e-6), 0.1);
    make_tone(x, N, RATE, 220, 1, 0, 1, 0);
    measure(x, N, RATE, out);
    assert_true(out[at("inharmonicity")] < -4.3f);
}

static void decay_is_measured_in_db_per_second(void **state)
{
    float x[N], out[BLOCKS_TONE_FEATURES];
    (void)state;
    make_tone(x, N, RATE, 330, 1, 0, 4, 0);
    measure(x, N, RATE, out);
    assert_float_equal(out[at("decay_db_per_s")], -4 * 20 / logf(10), 4);
    assert_true(out[at("attack_s")] < -1.5f);
}

static void noise_is_no_pitch_and_is_flat(void **state)
{
    float x[N], tone[BLOCKS_TONE_FEATURES], noise[BLOCKS_TONE_FEATURES];
    bl_rng rng;
    (void)state;
    bl_rng_seed(&rng, 1);
    make_tone(x, N, RATE, 220, 1, 0, 1, 0);
    measure(x, N, RATE, tone);
    for (int i = 0; i < N; i++)
        x[i] = (float)(0.2 * bl_rng_normal(&rng));
    measure(x, N, RATE, noise);
    assert_true(noise[at("flatness_db")] > tone[at("flatness_db")] + 15);
    assert_true(noise[at("harmonic_to_noise_db")] < tone[at("harmonic_to_noise_db")] - 10);
}

static void level_and_sample_rate_do_not_matter(void **state)
{
    static float x[3 * N], a[BLOCKS_TONE_FEATURES], b[BLOCKS_TONE_FEATURES], c[BLOCKS_TONE_FEATURES];
    (void)state;
    make_tone(x, N, RATE, 262, 1, 0, 2, 0);
    measure(x, N, RATE, a);
    for (int i = 0; i < N; i++)
        x[i] *= 0.01f;
    measure(x, N, RATE, b);
    for (int i = 0; i < BLOCKS_TONE_FEATURES; i++)
        assert_true(fabsf(a[i] - b[i]) <= 0.05f + 0.02f * fabsf(a[i]));
    make_tone(x, 44100, 44100, 262, 1, 0, 2, 0);
    measure(x, 44100, 44100, c);
    assert_float_equal(a[at("pitch_octave")], c[at("pitch_octave")], 0.01);
    assert_float_equal(a[at("centroid")], c[at("centroid")], 0.05);
    assert_float_equal(a[at("partial_2")], c[at("partial_2")], 0.5);
    assert_float_equal(a[at("mfcc_1")], c[at("mfcc_1")], 3);
}

static void every_feature_has_its_own_name(void **state)
{
    char a[32], b[32];
    (void)state;
    for (int i = 0; i < BLOCKS_TONE_FEATURES; i++) {
        assert_true(strlen(blocks_tone_feature_name(i, a)) > 0);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(blocks_tone_feature_name(i, a), blocks_tone_feature_name(j, b));
    }
    assert_string_equal(blocks_tone_feature_name(-1, a), "");
}

static void short_tones_are_measured_and_silence_is_refused(void **state)
{
    float x[N], out[BLOCKS_TONE_FEATURES];
    bl_error err = { 0 };
    (void)state;
    make_tone(x, N, RATE, 440, 1, 0, 1, 0);
    measure(x, 200, RATE, out);
    blocks_tone_analyser *a = blocks_tone_analyser_new(&err);
    assert_non_null(a);
    assert_int_equal(blocks_tone_analyser_run(a, x, 20, RATE, out, &err), BL_EARG);
    bl_error_clear(&err);
    x[500] = NAN;
    assert_int_equal(blocks_tone_analyser_run(a, x, N, RATE, out, &err), BL_ENAN);
    bl_error_clear(&err);
    memset(x, 0, sizeof x);
    assert_int_equal(blocks_tone_analyser_run(a, x, N, RATE, out, &err), BL_EARG);
    blocks_tone_analyser_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pitch_and_vibrato_are_measured),
        cmocka_unit_test(a_clarinet_like_spectrum_has_odd_partials),
        cmocka_unit_test(inharmonicity_is_found_within_a_fifth),
        cmocka_unit_test(decay_is_measured_in_db_per_second),
        cmocka_unit_test(noise_is_no_pitch_and_is_flat),
        cmocka_unit_test(level_and_sample_rate_do_not_matter),
        cmocka_unit_test(every_feature_has_its_own_name),
        cmocka_unit_test(short_tones_are_measured_and_silence_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
