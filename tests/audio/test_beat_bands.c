#include "audio/beat_bands.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "audio/features.h"
#include "tests/message.h"

static float *tone(int64_t n, int rate, double hz, double amplitude)
{
    float *x = malloc(sizeof(float) * (size_t)n);
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(amplitude * sin(2 * acos(-1.0) * hz * (double)i / rate));
    return x;
}

static double level_db(const audio_beat_bands *b, int64_t frame, int band)
{
    return 20 / log(10) * (AUDIO_BEAT_BOTTOM + AUDIO_BEAT_STEP * b->level[frame * AUDIO_BEAT_BANDS + band]);
}

/* The band whose centre is next to hz. */
static int band_of(double hz)
{
    const double low = audio_hz_to_mel(30, AUDIO_MEL_HTK), high = audio_hz_to_mel(10000, AUDIO_MEL_HTK);
    return (int)lround((audio_hz_to_mel(hz, AUDIO_MEL_HTK) - low) / (high - low) * (AUDIO_BEAT_BANDS + 1)) - 1;
}

static void a_tone_is_loudest_in_its_band_at_every_sample_rate(void **state)
{
    static const int    rates[6] = { 8000, 11025, 16000, 22050, 44100, 96000 };
    static const double tones[4] = { 120, 440, 1500, 3000 };
    (void)state;
    for (int r = 0; r < 6; r++)
        for (int k = 0; k < 4; k++) {
            float           *x = tone(rates[r], rates[r], tones[k], 0.5);
            audio_beat_bands b;
            bl_error         err = { 0 };
            int              top = 0;
            assert_int_equal(audio_beat_bands_run(x, rates[r], rates[r], &b, &err), BL_OK);
            assert_true(fabs(b.hop_s - 0.02) < 0.0002);
            assert_true(llabs(b.n_frames - 51) <= 1);
            for (int i = 0; i < AUDIO_BEAT_BANDS; i++)
                if (b.level[25 * AUDIO_BEAT_BANDS + i] > b.level[25 * AUDIO_BEAT_BANDS + top])
                    top = i;
            assert_true(abs(top - band_of(tones[k])) <= 1);
            for (int i = 0; i < AUDIO_BEAT_BANDS; i++)
                if (rates[r] == 8000 && i > band_of(4300))
                    assert_int_equal(b.level[25 * AUDIO_BEAT_BANDS + i], 0);
            audio_beat_bands_free(&b);
            free(x);
        }
}

static void ten_times_the_amplitude_is_twenty_decibels(void **state)
{
    float           *x = tone(44100, 44100, 440, 0.05), *y = tone(44100, 44100, 440, 0.5);
    audio_beat_bands a, b;
    bl_error         err = { 0 };
    const int        band = band_of(440);
    (void)state;
    assert_int_equal(audio_beat_bands_run(x, 44100, 44100, &a, &err), BL_OK);
    assert_int_equal(audio_beat_bands_run(y, 44100, 44100, &b, &err), BL_OK);
    assert_true(fabs(level_db(&b, 20, band) - level_db(&a, 20, band) - 20) < 0.5);
    assert_true(fabs(b.loudness - a.loudness - log(10)) < 0.01);
    audio_beat_bands_free(&a);
    audio_beat_bands_free(&b);
    free(x);
    free(y);
}

static void a_click_rises_in_the_frame_it_lies_in(void **state)
{
    float           *x = calloc(22050, sizeof(float));
    audio_beat_bands b;
    bl_error         err = { 0 };
    (void)state;
    x[11025] = 1; /* 0.5 s: frame 25 */
    assert_int_equal(audio_beat_bands_run(x, 22050, 22050, &b, &err), BL_OK);
    for (int i = 0; i < AUDIO_BEAT_BANDS; i++) {
        assert_int_equal(b.level[20 * AUDIO_BEAT_BANDS + i], 0);
        assert_true(level_db(&b, 25, i) > level_db(&b, 24, i) && level_db(&b, 25, i) > level_db(&b, 26, i));
    }
    audio_beat_bands_free(&b);
    free(x);
}

static void what_cannot_be_heard_is_refused(void **state)
{
    float            x[4] = { 0 };
    audio_beat_bands b;
    bl_error         err = { 0 };
    (void)state;
    assert_int_equal(audio_beat_bands_run(x, 0, 44100, &b, &err), BL_EARG);
    assert_message(err, "0 samples");
    bl_error_clear(&err);
    assert_int_equal(audio_beat_bands_run(x, 4, 2000, &b, &err), BL_EARG);
    assert_null(b.level);
    bl_error_clear(&err);
    assert_int_equal(audio_beat_bands_run(x, 1, 8000, &b, &err), BL_OK); /* one sample is a frame of silence */
    assert_int_equal(b.n_frames, 1);
    audio_beat_bands_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tone_is_loudest_in_its_band_at_every_sample_rate),
        cmocka_unit_test(ten_times_the_amplitude_is_twenty_decibels),
        cmocka_unit_test(a_click_rises_in_the_frame_it_lies_in),
        cmocka_unit_test(what_cannot_be_heard_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
