#include "audio/sketch.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/message.h"

enum { RATE = 22050, N = 3 * RATE + 137 };

static float *sine(double hz, double amplitude)
{
    float *x = malloc(N * sizeof *x);
    for (int i = 0; i < N; i++)
        x[i] = (float)(amplitude * sin(2 * 3.14159265358979323846 * hz * i / RATE));
    return x;
}

/* Pieces of `piece` samples. */
static audio_sketch *sketch_of(const float *x, int64_t n, int64_t piece)
{
    bl_error err = { 0 };
    audio_sketch *s = audio_sketch_new(RATE, &err);
    for (int64_t at = 0; s && at < n; at += piece)
        if (audio_sketch_push(s, x + at, at + piece < n ? piece : n - at, &err) != BL_OK)
            fail_msg("%s", err.msg);
    if (!s || audio_sketch_finish(s, &err) != BL_OK)
        fail_msg("%s", err.msg);
    return s;
}

static void a_sine_stands_in_its_band_at_its_level(void **state)
{
    static const double hz[] = { 110, 440, 3520 };
    (void)state;
    for (int i = 0; i < 3; i++) {
        float *x = sine(hz[i], 0.5);
        audio_sketch *s = sketch_of(x, N, N);
        const unsigned char *column = s->level + 75 * AUDIO_SKETCH_BANDS;
        int loudest = 0;
        for (int b = 0; b < AUDIO_SKETCH_BANDS; b++)
            loudest = column[b] > column[loudest] ? b : loudest;
        assert_int_equal(loudest, lround(audio_sketch_band(hz[i])));
        const double db = column[loudest] * 0.4 - 102;
        assert_true(fabs(db + 6.02) < 1.5); /* Hann: up to 1.4 dB between two bins */
        audio_sketch_free(s);
        free(x);
    }
}

static void columns_cover_the_recording_with_its_extremes(void **state)
{
    (void)state;
    float *x = calloc(N, sizeof *x);
    x[0] = 0.9f;
    x[441 * 10] = -0.7f; /* the first sample of column 10 */
    x[N - 1] = 0.4f;
    audio_sketch *s = sketch_of(x, N, 1000);
    assert_true(fabs(s->hop_s - 0.02) < 1e-9);
    assert_int_equal(s->n_columns, (N + 440) / 441);
    assert_true(s->high[0] == 0.9f && s->low[0] == 0);
    assert_true(s->low[10] == -0.7f && s->low[9] == 0 && s->low[11] == 0);
    assert_true(s->high[s->n_columns - 1] == 0.4f);
    audio_sketch_free(s);
    free(x);
}

static void pieces_of_any_length_give_the_same(void **state)
{
    static const int64_t pieces[] = { 1, 441, 4097, 20011 };
    (void)state;
    float *x = sine(700, 0.3);
    audio_sketch *whole = sketch_of(x, N, N);
    for (int i = 0; i < 4; i++) {
        audio_sketch *s = sketch_of(x, N, pieces[i]);
        assert_int_equal(s->n_columns, whole->n_columns);
        assert_memory_equal(s->level, whole->level, (size_t)s->n_columns * AUDIO_SKETCH_BANDS);
        assert_memory_equal(s->high, whole->high, (size_t)s->n_columns * sizeof(float));
        audio_sketch_free(s);
    }
    audio_sketch_free(whole);
    free(x);
}

static void silence_and_short_sounds_have_sketches(void **state)
{
    const float x[3] = { 0, 0, 0 };
    bl_error err = { 0 };
    (void)state;
    audio_sketch *s = sketch_of(x, 3, 3);
    assert_int_equal(s->n_columns, 1);
    for (int b = 0; b < AUDIO_SKETCH_BANDS; b++)
        assert_int_equal(s->level[b], 0);
    audio_sketch_free(s);
    assert_null(audio_sketch_new(0, &err));
    assert_message(err, "1000 Hz");
    audio_sketch_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sine_stands_in_its_band_at_its_level),
        cmocka_unit_test(columns_cover_the_recording_with_its_extremes),
        cmocka_unit_test(pieces_of_any_length_give_the_same),
        cmocka_unit_test(silence_and_short_sounds_have_sketches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
