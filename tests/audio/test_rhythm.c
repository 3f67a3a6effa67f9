#include "audio/rhythm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "audio/flux.h"
#include "tests/audio/voice_signal.h"
#include "tests/message.h"

static audio_rhythm analyze(const float *x, int64_t n, audio_rhythm_config config)
{
    audio_rhythm rhythm;
    bl_error     err = { 0 };
    if (audio_rhythm_analyze(x, n, VOICE_RATE, config, &rhythm, &err) != BL_OK)
        fail_msg("%s", err.msg);
    return rhythm;
}

/* Without gap or double, from the start of the signal to its end, smooth. */
static void assert_usable_grid(const audio_rhythm *r, double length_s)
{
    assert_true(r->n_beats > 2);
    const double period = 60 / r->bpm;
    assert_true(r->beats_s[0] >= 0 && r->beats_s[0] < 1.1 * period);
    assert_true(r->beats_s[r->n_beats - 1] <= length_s && r->beats_s[r->n_beats - 1] > length_s - 1.1 * period);
    for (int i = 0; i + 1 < r->n_beats; i++)
        assert_true(fabs(r->beats_s[i + 1] - r->beats_s[i] - period) < 0.12 * period);
    for (int i = 0; i < r->n_downbeats; i++)
        assert_true(r->downbeats_s[i] == r->beats_s[r->first_downbeat + i * r->beats_per_bar]);
}

/* Kick on 1 and 3, snare on 2 and 4, hats on eighths (beats_per_bar 3: kick on 1, hats). */
static float *drums(int64_t n, double bpm, double start_s, int beats_per_bar)
{
    float       *x = calloc((size_t)n, sizeof(float));
    const double period = 60 / bpm;
    int          beat = 0;
    for (double t = start_s; t < (double)n / VOICE_RATE - 0.1; t += period, beat++) {
        const int in_bar = beat % beats_per_bar;
        if (in_bar == 0 || (beats_per_bar == 4 && in_bar == 2))
            voice_hit(x, n, t, in_bar ? 0.5 : 0.8, 1);
        else
            voice_hit(x, n, t, 0.3, 0);
        voice_hit(x, n, t, 0.08, 0);
        voice_hit(x, n, t + period / 2, 0.05, 0);
    }
    return x;
}

static double share_of_beats_hit(const audio_rhythm *r, double start_s, double bpm, double length_s)
{
    int hit = 0, all = 0;
    for (double t = start_s; t < length_s - 0.5; t += 60 / bpm, all++)
        for (int i = 0; i < r->n_beats; i++)
            if (fabs(r->beats_s[i] - t) < 0.05) {
                hit++;
                break;
            }
    return (double)hit / all;
}

static void drums_at_many_tempos_give_their_tempo_and_beats(void **state)
{
    static const double tempos[5] = { 72, 96, 118.7, 131, 150 };
    const int64_t       n = 20 * VOICE_RATE;
    (void)state;
    for (int i = 0; i < 5; i++) {
        float       *x = drums(n, tempos[i], 0.37, 4);
        audio_rhythm r = analyze(x, n, (audio_rhythm_config){ 0 });
        assert_usable_grid(&r, 20);
        /* So plain a beat may be counted at half its speed, as people do above 110. */
        const double counted = tempos[i] > 110 && r.bpm < 80 ? tempos[i] / 2 : tempos[i];
        if (fabs(r.bpm / counted - 1) > 0.01)
            fail_msg("at %g bpm: heard %g", tempos[i], r.bpm);
        assert_true(share_of_beats_hit(&r, 0.37 + (counted < tempos[i] && fabs(remainder(r.beats_s[2] - 0.37, 60 / counted)) > 0.1
                                                       ? 60 / tempos[i] : 0), counted, 20) > 0.97);
        assert_int_equal(r.beats_per_bar, 4);
        assert_true(r.confidence > 0.5f);
        audio_rhythm_free(&r);
        free(x);
    }
}

static void the_downbeat_is_the_kick_and_three_four_is_told_from_four_four(void **state)
{
    const int64_t n = 24 * VOICE_RATE;
    (void)state;
    for (int per_bar = 3; per_bar <= 4; per_bar++) {
        float       *x = drums(n, 105, 0.5, per_bar);
        audio_rhythm r = analyze(x, n, (audio_rhythm_config){ 0 });
        assert_int_equal(r.beats_per_bar, per_bar);
        const double bar_s = per_bar * 60 / 105.0, off = fmod(r.downbeats_s[2] - 0.5 + 10 * bar_s + bar_s / 2, bar_s) - bar_s / 2;
        assert_true(fabs(off) < 0.06);
        audio_rhythm_free(&r);
        free(x);
    }
}

static void a_tempo_that_slows_down_is_followed(void **state)
{
    const int64_t n = 30 * VOICE_RATE;
    float        *x = calloc((size_t)n, sizeof(float));
    double        times[100];
    int           n_times = 0, hit = 0;
    (void)state;
    for (double t = 0.4, bpm = 112; t < 29.5; t += 60 / bpm, bpm -= 0.25) {
        times[n_times] = t;
        voice_hit(x, n, t, n_times % 2 ? 0.3 : 0.8, n_times % 2 == 0);
        voice_hit(x, n, t + 30 / bpm, 0.05, 0);
        n_times++;
    }
    audio_rhythm r = analyze(x, n, (audio_rhythm_config){ 0 });
    for (int k = 0; k < n_times; k++)
        for (int i = 0; i < r.n_beats; i++)
            if (fabs(r.beats_s[i] - times[k]) < 0.05) {
                hit++;
                break;
            }
    assert_true(hit > 0.9 * n_times);
    audio_rhythm_free(&r);
    free(x);
}

/* Quarter, two eighths, quarter, half: bars of a song at 92 bpm with 15 ms of a singer's freedom. */
static int melody(audio_sung_note *notes, double start_s, double bpm, int bars)
{
    static const double at[6] = { 0, 1, 1.5, 2, 2.5, 3 };
    bl_rng rng;
    int    n = 0;
    bl_rng_seed(&rng, 3);
    for (int b = 0; b < bars; b++)
        for (int k = 0; k < (b % 2 ? 4 : 6); k++) {
            const double t = start_s + (4 * b + at[k]) * 60 / bpm + 0.015 * bl_rng_normal(&rng);
            notes[n++] = (audio_sung_note){ t, t + 0.3, 60, 90 };
        }
    return n;
}

static void notes_alone_give_the_beat_of_a_voice(void **state)
{
    audio_sung_note notes[100];
    const int       n_notes = melody(notes, 1.2, 92, 10);
    const int64_t   n = 28 * VOICE_RATE;
    float          *x = calloc((size_t)n, sizeof(float));
    (void)state;
    audio_rhythm r = analyze(x, n, (audio_rhythm_config){ .notes = notes, .n_notes = n_notes });
    assert_usable_grid(&r, 28);
    assert_true(fabs(r.bpm - 92) < 1);
    assert_true(share_of_beats_hit(&r, 1.2, 92, 26) > 0.95);
    assert_true(r.beats_s[0] <= notes[0].onset_s);
    audio_rhythm_free(&r);
    free(x);
}

static void a_given_tempo_is_kept_to_the_digit_and_its_phase_found(void **state)
{
    audio_sung_note notes[100];
    const int       n_notes = melody(notes, 1.2, 92, 10);
    const int64_t   n = 28 * VOICE_RATE;
    float          *x = calloc((size_t)n, sizeof(float));
    (void)state;
    audio_rhythm r = analyze(x, n, (audio_rhythm_config){ .bpm = 92, .notes = notes, .n_notes = n_notes });
    assert_true(r.bpm == 92);
    for (int i = 0; i + 1 < r.n_beats; i++)
        assert_true(fabs(r.beats_s[i + 1] - r.beats_s[i] - 60.0 / 92) < 1e-9);
    assert_true(share_of_beats_hit(&r, 1.2, 92, 26) > 0.99);
    assert_usable_grid(&r, 28);
    audio_rhythm_free(&r);
    free(x);
}

static void silence_gets_a_steady_grid_without_confidence(void **state)
{
    const int64_t n = 10 * VOICE_RATE;
    float        *x = calloc((size_t)n, sizeof(float));
    (void)state;
    audio_rhythm r = analyze(x, n, (audio_rhythm_config){ .beats_per_bar = 3 });
    assert_true(r.bpm == 100 && r.confidence == 0);
    assert_int_equal(r.beats_per_bar, 3);
    assert_usable_grid(&r, 10);
    audio_rhythm_free(&r);
    r = analyze(x, 100, (audio_rhythm_config){ .bpm = 60 }); /* shorter than a beat */
    assert_true(r.n_beats >= 1);
    audio_rhythm_free(&r);
    free(x);
}

static void position_and_time_are_inverse(void **state)
{
    double       beats[4] = { 0.5, 1.0, 1.6, 2.1 };
    audio_rhythm r = { .bpm = 115, .beats_s = beats, .n_beats = 4 };
    (void)state;
    for (double p = -2; p < 6; p += 0.37)
        assert_true(fabs(audio_rhythm_position(&r, audio_rhythm_time(&r, p)) - p) < 1e-9);
    assert_true(audio_rhythm_time(&r, 1.5) == 1.3);
}

static void flux_peaks_at_onsets_and_not_in_vibrato(void **state)
{
    const int64_t n = 3 * VOICE_RATE;
    float        *x = calloc((size_t)n, sizeof(float));
    audio_flux    flux;
    bl_error      err = { 0 };
    int64_t       best = 0;
    double        later = 0;
    (void)state;
    voice_note(x, n, 1.0, 2.8, 60, 0.5);
    assert_int_equal(audio_flux_run(x, n, VOICE_RATE, &flux, &err), BL_OK);
    for (int64_t t = 0; t < flux.n_frames; t++)
        if (flux.sum[t] > flux.sum[best])
            best = t;
    for (int64_t t = 110; t < 270; t++)
        later = fmax(later, (double)flux.sum[t]);
    assert_true(best >= 98 && best <= 103);
    assert_true(later < 0.2 * (double)flux.sum[best]);
    audio_flux_free(&flux);
    free(x);
}

static void wrong_settings_are_refused_in_one_sentence(void **state)
{
    float        x[10] = { 0 };
    audio_rhythm r;
    bl_error     err = { 0 };
    (void)state;
    assert_int_equal(audio_rhythm_analyze(x, 10, 44100, (audio_rhythm_config){ .bpm = 5 }, &r, &err), BL_EARG);
    assert_message(err, "20 .. 400");
    bl_error_clear(&err);
    assert_int_equal(audio_rhythm_analyze(x, 0, 44100, (audio_rhythm_config){ 0 }, &r, &err), BL_EARG);
    bl_error_clear(&err);
    assert_int_equal(audio_rhythm_analyze(x, 10, 44100, (audio_rhythm_config){ .beats_per_bar = 20 }, &r, &err), BL_EARG);
    assert_message(err, "2 .. 12");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drums_at_many_tempos_give_their_tempo_and_beats),
        cmocka_unit_test(the_downbeat_is_the_kick_and_three_four_is_told_from_four_four),
        cmocka_unit_test(a_tempo_that_slows_down_is_followed),
        cmocka_unit_test(notes_alone_give_the_beat_of_a_voice),
        cmocka_unit_test(a_given_tempo_is_kept_to_the_digit_and_its_phase_found),
        cmocka_unit_test(silence_gets_a_steady_grid_without_confidence),
        cmocka_unit_test(position_and_time_are_inverse),
        cmocka_unit_test(flux_peaks_at_onsets_and_not_in_vibrato),
        cmocka_unit_test(wrong_settings_are_refused_in_one_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
