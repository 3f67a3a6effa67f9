#include "audio/notes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/audio/voice_signal.h"
#include "tests/message.h"

static audio_sung_notes transcribe(const float *x, int64_t n)
{
    audio_f0_track   track;
    audio_sung_notes notes;
    bl_error         err = { 0 };
    if (audio_f0_run(x, n, VOICE_RATE, (audio_f0_config){ 0 }, &track, &err) != BL_OK ||
        audio_notes_run(&track, x, n, VOICE_RATE, (audio_notes_config){ 0 }, &notes, &err) != BL_OK)
        fail_msg("%s", err.msg);
    audio_f0_free(&track);
    return notes;
}

static void a_scale_comes_back_note_by_note(void **state)
{
    static const int scale[8] = { 60, 62, 64, 65, 67, 69, 71, 72 };
    const int64_t    n = 6 * VOICE_RATE;
    float           *x = calloc((size_t)n, sizeof(float));
    (void)state;
    for (int i = 0; i < 8; i++)
        voice_note(x, n, 0.5 + 0.6 * i, 0.5 + 0.6 * i + 0.55, scale[i], 0);
    audio_sung_notes notes = transcribe(x, n);
    assert_int_equal(notes.n_notes, 8);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(audio_sung_pitch(&notes.notes[i], notes.tuning_cents), scale[i]);
        assert_true(fabs(notes.notes[i].onset_s - (0.5 + 0.6 * i)) < 0.04);
        assert_true(fabs(notes.notes[i].offset_s - (0.5 + 0.6 * i + 0.55)) < 0.05);
        assert_true(fabs((double)notes.notes[i].pitch - scale[i]) < 0.08);
        assert_in_range(notes.notes[i].velocity, 1, 127);
    }
    audio_notes_free(&notes);
    free(x);
}

static void wide_vibrato_stays_one_note(void **state)
{
    const int64_t n = 4 * VOICE_RATE;
    float        *x = calloc((size_t)n, sizeof(float));
    (void)state;
    voice_note(x, n, 0.5, 3.5, 67, 1.0); /* a semitone to either side */
    audio_sung_notes notes = transcribe(x, n);
    assert_int_equal(notes.n_notes, 1);
    assert_true(fabs((double)notes.notes[0].pitch - 67) < 0.2);
    audio_notes_free(&notes);
    free(x);
}

static void a_glide_into_a_note_is_not_a_note_of_its_own(void **state)
{
    const int64_t n = 2 * VOICE_RATE;
    float        *x = calloc((size_t)n, sizeof(float));
    double        phase = 0;
    (void)state;
    for (int64_t i = VOICE_RATE / 4; i < n - VOICE_RATE / 4; i++) {
        const double t = (double)i / VOICE_RATE - 0.25, midi = t < 0.12 ? 62 + 2 * t / 0.12 : 64;
        phase += 2 * acos(-1.0) * voice_hz(midi) / VOICE_RATE;
        x[i] = (float)(0.2 * sin(phase) + 0.1 * sin(2 * phase) + 0.06 * sin(3 * phase));
    }
    audio_sung_notes notes = transcribe(x, n);
    assert_int_equal(notes.n_notes, 1);
    assert_true(fabs((double)notes.notes[0].pitch - 64) < 0.15);
    audio_notes_free(&notes);
    free(x);
}

static void a_scoop_belongs_to_the_note_it_runs_into(void **state)
{
    const int64_t n = 2 * VOICE_RATE;
    float        *x = calloc((size_t)n, sizeof(float));
    double        phase = 0;
    (void)state;
    for (int64_t i = VOICE_RATE / 4; i < n - VOICE_RATE / 4; i++) { /* 57 at once, up to 60.5 in 110 ms, then 62 */
        const double t = (double)i / VOICE_RATE - 0.25, midi = t < 0.11 ? 57 + 3.5 * t / 0.11 : 62;
        phase += 2 * acos(-1.0) * voice_hz(midi) / VOICE_RATE;
        x[i] = (float)(0.2 * sin(phase) + 0.1 * sin(2 * phase) + 0.06 * sin(3 * phase));
    }
    audio_sung_notes notes = transcribe(x, n);
    assert_int_equal(notes.n_notes, 1);
    assert_true(fabs((double)notes.notes[0].pitch - 62) < 0.15);
    assert_true(fabs(notes.notes[0].onset_s - 0.25) < 0.03);
    audio_notes_free(&notes);
    free(x);
}

static void a_note_begins_after_its_soft_consonant(void **state)
{
    const int64_t n = 2 * VOICE_RATE;
    float        *x = calloc((size_t)n, sizeof(float));
    (void)state;
    voice_note(x, n, 0.5, 0.6, 60, 0);
    for (int64_t i = 0; i < n; i++)
        x[i] *= 0.06f; /* a hum at -24 dB */
    voice_note(x, n, 0.57, 1.5, 60, 0);
    audio_sung_notes notes = transcribe(x, n);
    assert_int_equal(notes.n_notes, 1);
    assert_true(fabs(notes.notes[0].onset_s - 0.57) < 0.025);
    audio_notes_free(&notes);
    free(x);
}

static void repeated_notes_are_parted_by_their_attacks(void **state)
{
    const int64_t n = 4 * VOICE_RATE;
    float        *x = calloc((size_t)n, sizeof(float));
    (void)state;
    for (int i = 0; i < 5; i++)
        voice_note(x, n, 0.5 + 0.5 * i, 1.0 + 0.5 * i, 64, 0); /* no rest between them, only the fades */
    audio_sung_notes notes = transcribe(x, n);
    assert_int_equal(notes.n_notes, 5);
    audio_notes_free(&notes);
    free(x);
}

static void the_tuning_of_a_singer_who_is_sharp_is_found(void **state)
{
    static const int tune[5] = { 60, 64, 67, 65, 60 };
    const int64_t    n = 4 * VOICE_RATE;
    float           *x = calloc((size_t)n, sizeof(float));
    (void)state;
    for (int i = 0; i < 5; i++)
        voice_note(x, n, 0.5 + 0.6 * i, 1.05 + 0.6 * i, tune[i] + 0.3, 0.2);
    audio_sung_notes notes = transcribe(x, n);
    assert_true(fabsf(notes.tuning_cents - 30) < 5);
    assert_int_equal(notes.n_notes, 5);
    for (int i = 0; i < 5; i++)
        assert_int_equal(audio_sung_pitch(&notes.notes[i], notes.tuning_cents), tune[i]);
    audio_notes_free(&notes);
    free(x);
}

static void loud_notes_get_more_velocity(void **state)
{
    const int64_t n = 3 * VOICE_RATE;
    float        *x = calloc((size_t)n, sizeof(float));
    (void)state;
    voice_note(x, n, 0.5, 1.2, 60, 0);
    for (int64_t i = 0; i < n; i++)
        x[i] *= 0.25f;
    voice_note(x, n, 1.5, 2.2, 62, 0);
    audio_sung_notes notes = transcribe(x, n);
    assert_int_equal(notes.n_notes, 2);
    assert_true(notes.notes[1].velocity > notes.notes[0].velocity + 15);
    audio_notes_free(&notes);
    free(x);
}

static void silence_has_no_notes(void **state)
{
    float *x = calloc(VOICE_RATE, sizeof(float));
    (void)state;
    audio_sung_notes notes = transcribe(x, VOICE_RATE);
    assert_int_equal(notes.n_notes, 0);
    assert_true(notes.tuning_cents == 0);
    audio_notes_free(&notes);
    free(x);
}

static void an_empty_track_is_refused(void **state)
{
    audio_f0_track   track = { 0 };
    audio_sung_notes notes;
    bl_error         err = { 0 };
    (void)state;
    assert_int_equal(audio_notes_run(&track, NULL, 0, 44100, (audio_notes_config){ 0 }, &notes, &err), BL_EARG);
    assert_message(err, "pitch track");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_scale_comes_back_note_by_note),
        cmocka_unit_test(wide_vibrato_stays_one_note),
        cmocka_unit_test(a_glide_into_a_note_is_not_a_note_of_its_own),
        cmocka_unit_test(a_scoop_belongs_to_the_note_it_runs_into),
        cmocka_unit_test(a_note_begins_after_its_soft_consonant),
        cmocka_unit_test(repeated_notes_are_parted_by_their_attacks),
        cmocka_unit_test(the_tuning_of_a_singer_who_is_sharp_is_found),
        cmocka_unit_test(loud_notes_get_more_velocity),
        cmocka_unit_test(silence_has_no_notes),
        cmocka_unit_test(an_empty_track_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
