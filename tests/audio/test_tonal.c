#include "audio/tonal.h"

#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/message.h"

enum { SECONDS = 4 };

/* Tones of eight falling partials at MIDI pitches. */
static float *play(const double *pitch, int n_pitches, int rate, int64_t *n, double gain)
{
    float *x = calloc((size_t)(*n = (int64_t)SECONDS * rate), sizeof *x);
    for (int k = 0; k < n_pitches; k++)
        for (int h = 1; h <= 8; h++) {
            const double hz = h * 440 * pow(2, (pitch[k] - 69) / 12);
            for (int64_t i = 0; hz < 0.45 * rate && i < *n; i++)
                x[i] += (float)(gain / h * sin(6.283185307179586 * hz * (double)i / rate + k));
        }
    return x;
}

static void hear(const double *pitch, int n_pitches, int rate, double gain, audio_tonal *out)
{
    bl_error err = { 0 };
    int64_t n;
    float *x = play(pitch, n_pitches, rate, &n, gain);
    assert_int_equal(audio_tonal_run(x, n, rate, out, &err), BL_OK);
    free(x);
}

/* In the middle of the sound. */
static float at(const audio_tonal *t, int bin)
{
    return t->value[bin * t->n_frames + t->n_frames / 2];
}

static void a_tone_stands_out_at_its_own_bin(void **state)
{
    (void)state;
    for (int pitch = 36; pitch <= 84; pitch += 8) {
        audio_tonal t;
        int best = 0;
        hear((const double[]){ pitch }, 1, 22050, 0.1, &t);
        for (int b = 0; b < AUDIO_TONAL_BINS; b++)
            best = at(&t, b) > at(&t, best) ? b : best;
        assert_int_equal(best, 3 * (pitch - 24));
        assert_true(at(&t, best) > 2);
        audio_tonal_free(&t);
    }
}

static void tuning_is_found_and_taken_out(void **state)
{
    const double in_tune[3] = { 48, 64, 67 };
    audio_tonal plain;
    (void)state;
    hear(in_tune, 3, 22050, 0.1, &plain);
    for (int cents = -40; cents <= 40; cents += 20) {
        double detuned[3];
        audio_tonal t;
        for (int i = 0; i < 3; i++)
            detuned[i] = in_tune[i] + cents / 100.0;
        hear(detuned, 3, 22050, 0.1, &t);
        assert_true(fabs(t.tuning_cents - cents) < 3);
        for (int i = 0; i < 3; i++) {
            const int b = 3 * ((int)in_tune[i] - 24);
            assert_true(fabsf(at(&t, b) - at(&plain, b)) < 0.5f);
            assert_true(at(&t, b) > at(&t, b - 1) && at(&t, b) > at(&t, b + 1));
        }
        audio_tonal_free(&t);
    }
    audio_tonal_free(&plain);
}

static void loudness_and_sample_rate_do_not_matter(void **state)
{
    static const struct { int rate; double gain; } cases[] = { { 22050, 0.001 }, { 16000, 0.1 }, { 44100, 0.1 }, { 48000, 0.3 } };
    const double chord[3] = { 50, 57, 62 };
    audio_tonal reference;
    (void)state;
    hear(chord, 3, 22050, 0.1, &reference);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        audio_tonal t;
        hear(chord, 3, cases[i].rate, cases[i].gain, &t);
        assert_true(fabs(t.hop_s - 0.1) < 1e-3);
        for (int k = 0; k < 3; k++)
            assert_true(fabsf(at(&t, 3 * ((int)chord[k] - 24)) - at(&reference, 3 * ((int)chord[k] - 24))) < 0.7f);
        audio_tonal_free(&t);
    }
    audio_tonal_free(&reference);
}

static void noise_has_no_partials(void **state)
{
    enum { RATE = 22050, N = SECONDS * RATE };
    float *x = malloc(N * sizeof *x);
    bl_error err = { 0 };
    audio_tonal t;
    bl_rng rng;
    (void)state;
    bl_rng_seed(&rng, 1);
    for (int i = 0; i < N; i++)
        x[i] = (float)(0.1 * bl_rng_normal(&rng));
    assert_int_equal(audio_tonal_run(x, N, RATE, &t, &err), BL_OK);
    double mean = 0;
    for (int64_t k = 5; k < t.n_frames - 5; k++)
        mean += (double)t.value[3 * 45 * t.n_frames + k] / (double)(t.n_frames - 10);
    assert_true(fabs(mean) < 0.5);
    audio_tonal_free(&t);
    free(x);
}

static void silence_is_nothing(void **state)
{
    float x[8000] = { 0 };
    bl_error err = { 0 };
    audio_tonal t;
    (void)state;
    assert_int_equal(audio_tonal_run(x, 8000, 8000, &t, &err), BL_OK);
    assert_int_equal(t.n_frames, 11);
    for (int64_t i = 0; i < AUDIO_TONAL_BINS * t.n_frames; i++)
        assert_true(t.value[i] == 0);
    assert_true(t.tuning_cents == 0);
    audio_tonal_free(&t);
}

static void what_cannot_be_heard_is_refused(void **state)
{
    float x[10] = { 0 };
    audio_tonal t;
    bl_error err = { 0 };
    (void)state;
    assert_int_equal(audio_tonal_run(x, 0, 22050, &t, &err), BL_EARG);
    assert_message(err, "0 samples");
    bl_error_clear(&err);
    assert_int_equal(audio_tonal_run(x, 10, 1000, &t, &err), BL_EARG);
    assert_message(err, "4000");
    assert_int_equal(audio_tonal_run(x, 10, 22050, &t, NULL), BL_OK); /* shorter than a window */
    assert_int_equal(t.n_frames, 1);
    audio_tonal_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tone_stands_out_at_its_own_bin),
        cmocka_unit_test(tuning_is_found_and_taken_out),
        cmocka_unit_test(loudness_and_sample_rate_do_not_matter),
        cmocka_unit_test(noise_has_no_partials),
        cmocka_unit_test(silence_is_nothing),
        cmocka_unit_test(what_cannot_be_heard_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
