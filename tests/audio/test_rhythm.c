#include "audio/rhythm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "audio/flux.h"
#include "tests/audio/voice_signal.h"
#include "tests/message.h"

enum { FPS = 50 };

/* What a network would say: how sure it is of a beat, 0 elsewhere but for a little everywhere. */
static audio_beat_activity quiet(double length_s)
{
    audio_beat_activity a = { .n_frames = (int64_t)(length_s * FPS) + 1, .hop_s = 1.0 / FPS };
    a.beat = malloc(sizeof(float) * (size_t)a.n_frames);
    a.downbeat = malloc(sizeof(float) * (size_t)a.n_frames);
    for (int64_t i = 0; i < a.n_frames; i++)
        a.beat[i] = a.downbeat[i] = 0.004f;
    return a;
}

static void sounds_like(audio_beat_activity *a, double time_s, double beat, double downbeat)
{
    for (int64_t i = (int64_t)(time_s * FPS) - 2; i <= (int64_t)(time_s * FPS) + 3; i++) {
        const double shape = 1 - fabs((double)i / FPS - time_s) * FPS / 1.5;
        if (i < 0 || i >= a->n_frames || shape <= 0)
            continue;
        a->beat[i] = fmaxf(a->beat[i], (float)(shape * beat));
        a->downbeat[i] = fmaxf(a->downbeat[i], (float)(shape * downbeat));
    }
}

static audio_rhythm analyze(double length_s, audio_beat_activity *activity, audio_rhythm_config config)
{
    audio_rhythm rhythm;
    bl_error     err = { 0 };
    config.activity = activity;
    if (audio_rhythm_analyze(length_s, config, &rhythm, &err) != BL_OK)
        fail_msg("%s", err.msg);
    audio_beat_activity_free(activity);
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

/* Beats that are heard well, bars less so, and half beats that are not quite nothing. */
static audio_beat_activity band(double length_s, double bpm, double start_s, int beats_per_bar)
{
    audio_beat_activity a = quiet(length_s);
    const double        period = 60 / bpm;
    int                 beat = 0;
    for (double t = start_s; t < length_s; t += period, beat++) {
        sounds_like(&a, t, 0.8, beat % beats_per_bar ? 0.1 : 0.6);
        sounds_like(&a, t + period / 2, 0.1, 0.01);
    }
    return a;
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

static void a_band_at_many_tempos_gives_its_tempo_and_beats(void **state)
{
    static const double tempos[7] = { 50, 72, 96, 118.7, 131, 150, 212.3 };
    (void)state;
    for (int i = 0; i < 7; i++) {
        audio_beat_activity a = band(24, tempos[i], 0.37, 4);
        audio_rhythm        r = analyze(24, &a, (audio_rhythm_config){ 0 });
        assert_usable_grid(&r, 24);
        if (fabs(r.bpm / tempos[i] - 1) > 0.01)
            fail_msg("at %g bpm: heard %g", tempos[i], r.bpm);
        assert_true(share_of_beats_hit(&r, 0.37, tempos[i], 24) > 0.99);
        assert_int_equal(r.beats_per_bar, 4);
        assert_true(r.confidence > 0.5f && r.confidence <= 1);
        audio_rhythm_free(&r);
    }
}

/* Log probabilities of the tempos: nearly all of it on one and its neighbours. */
static float *said_tempo(double bpm)
{
    float *tempo = malloc(sizeof(float) * AUDIO_TEMPOS);
    for (int k = 0; k < AUDIO_TEMPOS; k++)
        tempo[k] = fabs(k - audio_tempo_bin(bpm)) < 2 ? -1.4f : -6;
    return tempo;
}

static void what_is_said_of_the_tempo_decides_between_one_and_its_double(void **state)
{
    static const double said[4] = { 55, 110, 83, 166 };
    (void)state;
    assert_true(audio_tempo_bin(20) == 0 && audio_tempo_bin(1000) == AUDIO_TEMPOS - 1);
    assert_true(fabs(audio_tempo_bin(80) - 18) < 1e-9);
    for (int i = 0; i < 4; i++) {
        const double        slow = said[i & ~1];
        audio_beat_activity a = quiet(30);
        for (int k = 0; 0.4 + k * 30 / slow < 30; k++) /* every half beat sounds like a beat, those between somewhat less */
            sounds_like(&a, 0.4 + k * 30 / slow, k % 2 ? 0.45 : 0.7, k % 8 ? 0.05 : 0.4);
        a.tempo = said_tempo(said[i]);
        audio_rhythm r = analyze(30, &a, (audio_rhythm_config){ 0 });
        if (fabs(r.bpm / said[i] - 1) > 0.02)
            fail_msg("said %g, heard %g", said[i], r.bpm);
        audio_rhythm_free(&r);
    }
}

static void the_downbeat_is_found_and_three_four_is_told_from_four_four(void **state)
{
    (void)state;
    for (int per_bar = 3; per_bar <= 4; per_bar++) {
        audio_beat_activity a = band(24, 105, 0.5, per_bar);
        audio_rhythm        r = analyze(24, &a, (audio_rhythm_config){ 0 });
        assert_int_equal(r.beats_per_bar, per_bar);
        assert_true(r.bar_confidence > 0.7f && r.bar_confidence <= 1);
        const double bar_s = per_bar * 60 / 105.0, off = fmod(r.downbeats_s[2] - 0.5 + 10 * bar_s + bar_s / 2, bar_s) - bar_s / 2;
        assert_true(fabs(off) < 0.03);
        audio_rhythm_free(&r);
        a = band(24, 105, 0.5, per_bar); /* the given meter wins */
        r = analyze(24, &a, (audio_rhythm_config){ .beats_per_bar = 7 - per_bar });
        assert_int_equal(r.beats_per_bar, 7 - per_bar);
        audio_rhythm_free(&r);
    }
}

static void a_tempo_that_slows_down_is_followed(void **state)
{
    audio_beat_activity a = quiet(30);
    double              times[100];
    int                 n_times = 0, hit = 0;
    (void)state;
    for (double t = 0.4, bpm = 116; t < 29.5; t += 60 / bpm, bpm -= 0.5) {
        times[n_times] = t;
        sounds_like(&a, t, 0.8, n_times % 4 ? 0.1 : 0.6);
        n_times++;
    }
    audio_rhythm r = analyze(30, &a, (audio_rhythm_config){ 0 });
    for (int k = 0; k < n_times; k++)
        for (int i = 0; i < r.n_beats; i++)
            if (fabs(r.beats_s[i] - times[k]) < 0.05) {
                hit++;
                break;
            }
    assert_true(hit == n_times && abs(r.n_beats - n_times) < 3);
    audio_rhythm_free(&r);
}

static void half_and_double_tempo_can_be_asked_for(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        const double        factor = i ? 2 : 0.5;
        audio_beat_activity a = band(40, 108, 0.5, 4);
        audio_rhythm        r = analyze(40, &a, (audio_rhythm_config){ .tempo_factor = factor });
        assert_true(fabs(r.bpm - factor * 108) < 1);
        assert_usable_grid(&r, 40);
        /* Every beat of the slower grid lies on one of the faster. */
        assert_true(share_of_beats_hit(&r, i ? 0.5 : r.beats_s[1], factor * 108, 40) > 0.97);
        assert_true(fabs(remainder(r.downbeats_s[1] - 0.5, 60 / 108.0)) < 0.03);
        audio_rhythm_free(&r);
    }
}

static void a_moment_that_no_beat_marks_does_not_break_the_grid(void **state)
{
    audio_beat_activity a = quiet(40);
    (void)state;
    for (int k = 0; k < 60; k++) /* eight beats in the middle are not heard, and something else is */
        if (k < 25 || k > 33)
            sounds_like(&a, 0.5 + 0.6 * k, 0.8, k % 4 ? 0.1 : 0.6);
    sounds_like(&a, 17.77, 0.5, 0.1);
    audio_rhythm r = analyze(40, &a, (audio_rhythm_config){ 0 });
    assert_usable_grid(&r, 40);
    assert_true(share_of_beats_hit(&r, 0.5, 100, 36) > 0.99);
    audio_rhythm_free(&r);
}

/* A network that hears something on every eighth: which of them are the beats is told by a melody in quarters and halves,
 * with 15 ms of a singer's freedom. */
static void notes_tell_which_pulse_is_the_beat(void **state)
{
    audio_sung_note     notes[100];
    audio_beat_activity a = quiet(28);
    bl_rng              rng;
    int                 n_notes = 0;
    const double        period = 60.0 / 92;
    (void)state;
    bl_rng_seed(&rng, 3);
    for (int k = 0; k < 80; k++)
        sounds_like(&a, 1.2 + k * period / 2, 0.25, 0.05);
    for (int k = 0; k < 40; k++)
        if (k % 8 != 7) {
            const double t = 1.2 + k * period + 0.015 * bl_rng_normal(&rng);
            notes[n_notes++] = (audio_sung_note){ t, t + 0.3, 60, 90 };
        }
    audio_rhythm r = analyze(28, &a, (audio_rhythm_config){ .notes = notes, .n_notes = n_notes });
    assert_usable_grid(&r, 28);
    assert_true(fabs(r.bpm - 92) < 1);
    assert_true(share_of_beats_hit(&r, 1.2, 92, 26) > 0.95);
    assert_true(r.beats_s[0] <= notes[0].onset_s);
    audio_rhythm_free(&r);
}

static void a_given_tempo_is_kept_to_the_digit_and_its_phase_found(void **state)
{
    audio_beat_activity a = band(28, 92, 1.2, 4);
    (void)state;
    audio_rhythm r = analyze(28, &a, (audio_rhythm_config){ .bpm = 92 });
    assert_true(r.bpm == 92);
    for (int i = 0; i + 1 < r.n_beats; i++)
        assert_true(fabs(r.beats_s[i + 1] - r.beats_s[i] - 60.0 / 92) < 1e-9);
    assert_true(share_of_beats_hit(&r, 1.2, 92, 26) > 0.99);
    assert_true(fabs(remainder(r.downbeats_s[0] - 1.2, 4 * 60.0 / 92)) < 0.03);
    assert_usable_grid(&r, 28);
    audio_rhythm_free(&r);
}

static void an_hour_is_one_grid(void **state)
{
    const double        length_s = 3600;
    audio_beat_activity a = band(length_s, 120.3, 0.37, 4);
    (void)state;
    audio_rhythm r = analyze(length_s, &a, (audio_rhythm_config){ 0 });
    assert_usable_grid(&r, length_s);
    assert_true(share_of_beats_hit(&r, 0.37, 120.3, length_s) > 0.999);
    assert_true(abs(r.n_beats - (int)(length_s / 60 * 120.3)) < 3);
    audio_rhythm_free(&r);
}

static void silence_gets_a_steady_grid_without_confidence(void **state)
{
    audio_beat_activity a = quiet(10), b = quiet(0.01);
    (void)state;
    audio_rhythm r = analyze(10, &a, (audio_rhythm_config){ .beats_per_bar = 3 });
    assert_true(r.bpm == 100 && r.confidence == 0);
    assert_int_equal(r.beats_per_bar, 3);
    assert_usable_grid(&r, 10);
    audio_rhythm_free(&r);
    r = analyze(0.01, &b, (audio_rhythm_config){ .bpm = 60 }); /* shorter than a beat */
    assert_true(r.n_beats >= 1);
    audio_rhythm_free(&r);
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
    audio_beat_activity a = quiet(2);
    audio_rhythm        r;
    bl_error            err = { 0 };
    (void)state;
    assert_int_equal(audio_rhythm_analyze(2, (audio_rhythm_config){ .activity = &a, .bpm = 5 }, &r, &err), BL_EARG);
    assert_message(err, "20 .. 400");
    bl_error_clear(&err);
    assert_int_equal(audio_rhythm_analyze(0, (audio_rhythm_config){ .activity = &a }, &r, &err), BL_EARG);
    bl_error_clear(&err);
    assert_int_equal(audio_rhythm_analyze(2, (audio_rhythm_config){ 0 }, &r, &err), BL_EARG);
    assert_message(err, "beat activity");
    bl_error_clear(&err);
    assert_int_equal(audio_rhythm_analyze(2, (audio_rhythm_config){ .activity = &a, .tempo_factor = 3 }, &r, &err), BL_EARG);
    assert_message(err, "tempo factor");
    bl_error_clear(&err);
    assert_int_equal(audio_rhythm_analyze(2, (audio_rhythm_config){ .activity = &a, .beats_per_bar = 20 }, &r, &err), BL_EARG);
    assert_message(err, "2 .. 12");
    audio_beat_activity_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_band_at_many_tempos_gives_its_tempo_and_beats),
        cmocka_unit_test(what_is_said_of_the_tempo_decides_between_one_and_its_double),
        cmocka_unit_test(the_downbeat_is_found_and_three_four_is_told_from_four_four),
        cmocka_unit_test(a_tempo_that_slows_down_is_followed),
        cmocka_unit_test(half_and_double_tempo_can_be_asked_for),
        cmocka_unit_test(a_moment_that_no_beat_marks_does_not_break_the_grid),
        cmocka_unit_test(an_hour_is_one_grid),
        cmocka_unit_test(notes_tell_which_pulse_is_the_beat),
        cmocka_unit_test(a_given_tempo_is_kept_to_the_digit_and_its_phase_found),
        cmocka_unit_test(silence_gets_a_steady_grid_without_confidence),
        cmocka_unit_test(position_and_time_are_inverse),
        cmocka_unit_test(flux_peaks_at_onsets_and_not_in_vibrato),
        cmocka_unit_test(wrong_settings_are_refused_in_one_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
