#include "audio/loudness.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/message.h"

static const double pi = 3.14159265358979323846;

/* Appends `seconds` of a 1 kHz stereo sine at level_dbfs (peak), as EBU Tech 3341 does. */
static int64_t add_tone(audio_clip *clip, int64_t at, double seconds, double level_dbfs)
{
    const int64_t n = (int64_t)(seconds * clip->sample_rate);
    for (int c = 0; c < clip->n_channels; c++)
        for (int64_t i = 0; i < n; i++)
            clip->samples[c * clip->n_samples + at + i] =
                (float)(pow(10, level_dbfs / 20) * sin(2 * pi * 1000 * (double)(at + i) / clip->sample_rate));
    return at + n;
}

static audio_clip silence(int n_channels, double seconds)
{
    audio_clip clip;
    assert_int_equal(audio_clip_new(&clip, n_channels, (int64_t)(seconds * 48000), 48000, NULL), BL_OK);
    return clip;
}

static audio_loudness measure(const audio_clip *clip)
{
    audio_loudness l;
    bl_error err = { 0 };
    assert_int_equal(audio_loudness_measure(clip, &l, &err), BL_OK);
    return l;
}

static void tech_3341_tones_have_their_loudness(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {   /* cases 1 and 2 */
        audio_clip clip = silence(2, 20);
        add_tone(&clip, 0, 20, k ? -33 : -23);
        const audio_loudness l = measure(&clip);
        assert_true(fabs(l.integrated_lufs - (k ? -33 : -23)) < 0.1);
        assert_true(fabs(l.sample_peak_dbfs - (k ? -33 : -23)) < 0.01);
        assert_true(fabs(l.true_peak_dbtp - (k ? -33 : -23)) < 0.1);
        audio_clip_free(&clip);
    }
    audio_clip clip = silence(2, 80);   /* case 3: the quiet ends are gated away */
    add_tone(&clip, add_tone(&clip, add_tone(&clip, 0, 10, -36), 60, -23), 10, -36);
    assert_true(fabs(measure(&clip).integrated_lufs + 23) < 0.1);
    audio_clip_free(&clip);
}

static void tech_3342_tones_have_their_range(void **state)
{
    audio_clip clip = silence(2, 40);
    (void)state;
    add_tone(&clip, add_tone(&clip, 0, 20, -20), 20, -30);
    assert_true(fabs(measure(&clip).range_lu - 10) < 1);
    audio_clip_free(&clip);
}

static void mono_is_3_db_below_the_same_in_stereo(void **state)
{
    audio_clip mono = silence(1, 5), stereo = silence(2, 5);
    (void)state;
    add_tone(&mono, 0, 5, -20);
    add_tone(&stereo, 0, 5, -20);
    assert_true(fabs(measure(&stereo).integrated_lufs - measure(&mono).integrated_lufs - 10 * log10(2)) < 0.01);
    audio_clip_free(&mono);
    audio_clip_free(&stereo);
}

static void true_peak_sees_between_samples_and_up_to_the_last_one(void **state)
{
    audio_clip clip = silence(1, 0.5);
    (void)state;
    for (int64_t i = 0; i < clip.n_samples; i++)   /* a quarter of the rate, sampled 45 degrees off its peaks */
        clip.samples[i] = (float)(0.5 * sin(pi / 2 * (double)i + pi / 4));
    audio_loudness l = measure(&clip);
    assert_true(fabs(l.sample_peak_dbfs - 20 * log10(0.5 * sqrt(0.5))) < 0.01);
    assert_true(fabs(l.true_peak_dbtp - 20 * log10(0.5)) < 0.6);
    for (int64_t i = 0; i < clip.n_samples; i++)
        clip.samples[i] = i == clip.n_samples - 1;
    l = measure(&clip);
    assert_true(l.true_peak_dbtp > -0.5 && l.sample_peak_dbfs == 0);
    audio_clip_free(&clip);
}

static void silence_and_short_clips_are_minus_infinity(void **state)
{
    audio_clip clip = silence(2, 3);
    (void)state;
    audio_loudness l = measure(&clip);
    assert_true(l.integrated_lufs == -HUGE_VAL && l.range_lu == 0);
    assert_true(l.true_peak_dbtp == -HUGE_VAL && l.sample_peak_dbfs == -HUGE_VAL);
    assert_true(audio_loudness_gain_db(&l, -14, -1) == 0);
    audio_clip_free(&clip);

    static const double seconds[] = { 1.0 / 48000, 0.01, 0.399 };
    for (int k = 0; k < 3; k++) {
        clip = silence(1, seconds[k]);
        for (int64_t i = 0; i < clip.n_samples; i++)
            clip.samples[i] = 0.5f;
        l = measure(&clip);
        assert_true(l.integrated_lufs == -HUGE_VAL);
        assert_true(fabs(l.sample_peak_dbfs - 20 * log10(0.5)) < 1e-6);
        audio_clip_free(&clip);
    }
    clip = silence(1, 0.41);
    add_tone(&clip, 0, 0.41, -20);
    assert_true(isfinite(measure(&clip).integrated_lufs));
    audio_clip_free(&clip);
}

static void gain_reaches_the_target_unless_the_ceiling_is_lower(void **state)
{
    const audio_loudness l = { .integrated_lufs = -20, .true_peak_dbtp = -8 }, short_and_loud = { .integrated_lufs = -HUGE_VAL, .true_peak_dbtp = 2 };
    (void)state;
    assert_true(audio_loudness_gain_db(&l, -16, -1) == 4);
    assert_true(audio_loudness_gain_db(&l, -10, -1) == 7);
    assert_true(audio_loudness_gain_db(&l, -30, -1) == -10);
    assert_true(audio_loudness_gain_db(&short_and_loud, -14, -1) == -3);
}

static void nothing_to_measure_is_refused(void **state)
{
    audio_clip none = { .n_channels = 1, .sample_rate = 44100 }, odd = silence(1, 0.1);
    audio_loudness l;
    bl_error err = { 0 };
    (void)state;
    assert_int_equal(audio_loudness_measure(&none, &l, &err), BL_EARG);
    bl_error_clear(&err);
    odd.sample_rate = 3;
    assert_int_equal(audio_loudness_measure(&odd, &l, &err), BL_EARG);
    assert_message(err, "16 to 2822400 Hz");
    audio_clip_free(&odd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tech_3341_tones_have_their_loudness),
        cmocka_unit_test(tech_3342_tones_have_their_range),
        cmocka_unit_test(mono_is_3_db_below_the_same_in_stereo),
        cmocka_unit_test(true_peak_sees_between_samples_and_up_to_the_last_one),
        cmocka_unit_test(silence_and_short_clips_are_minus_infinity),
        cmocka_unit_test(gain_reaches_the_target_unless_the_ceiling_is_lower),
        cmocka_unit_test(nothing_to_measure_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
