/* What listening makes of recordings as people make them: any rate, level and number of channels, noise, rooms, clipping, and
 * sounds that are no singing. */
#include "audio/clip.h"
#include "audio/mix.h"
#include "audio/notes.h"
#include "audio/resample.h"
#include "audio/separation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/audio/voice_signal.h"

enum { N = 5 * VOICE_RATE, N_TUNE = 6 };
static const int TUNE[N_TUNE] = { 60, 64, 67, 65, 62, 60 };

/* A melody with a little vibrato and breath between some notes. */
static float *sing(double gain)
{
    float *x = calloc(N, sizeof(float));
    for (int i = 0; i < N_TUNE; i++)
        voice_note(x, N, 0.5 + 0.7 * i, 1.1 + 0.7 * i, TUNE[i], 0.3);
    voice_noise(x, N, 0.0005, 1);
    for (int64_t i = 0; i < N; i++)
        x[i] = (float)(gain * (double)x[i]);
    return x;
}

static audio_sung_notes hear(const float *x, int64_t n, int rate)
{
    audio_f0_track   track;
    audio_sung_notes notes;
    bl_error         err = { 0 };
    if (audio_f0_run(x, n, rate, (audio_f0_config){ 0 }, &track, &err) != BL_OK ||
        audio_notes_run(&track, x, n, rate, (audio_notes_config){ 0 }, &notes, &err) != BL_OK)
        fail_msg("%s", err.msg);
    audio_f0_free(&track);
    return notes;
}

static void assert_tune_within(const float *x, int64_t n, int rate, double offset_s, const char *what)
{
    audio_sung_notes notes = hear(x, n, rate);
    if (notes.n_notes != N_TUNE)
        fail_msg("%s: %d notes", what, notes.n_notes);
    for (int i = 0; i < N_TUNE; i++) {
        const audio_sung_note *note = &notes.notes[i];
        if (audio_sung_pitch(note, notes.tuning_cents) != TUNE[i] || !(fabs(note->onset_s - (0.5 + 0.7 * i)) < 0.05) ||
            !(fabs(note->offset_s - (1.1 + 0.7 * i)) < offset_s) || !(notes.confidence[i] > 0.7f))
            fail_msg("%s: note %d is %g at %g .. %g s, confidence %g", what, i, (double)note->pitch, note->onset_s, note->offset_s,
                     (double)notes.confidence[i]);
    }
    audio_notes_free(&notes);
}

static void assert_tune(const float *x, int64_t n, int rate, const char *what)
{
    assert_tune_within(x, n, rate, 0.1, what);
}

static void a_melody_is_the_same_at_every_sample_rate(void **state)
{
    static const int rates[] = { 8000, 11025, 16000, 22050, 32000, 48000, 96000 };
    float *x = sing(1);
    (void)state;
    assert_tune(x, N, VOICE_RATE, "44100 Hz");
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        const int64_t n = audio_resample_length(N, VOICE_RATE, rates[i]);
        float        *y = malloc(sizeof *y * (size_t)n);
        char          what[32];
        bl_error      err = { 0 };
        assert_int_equal(audio_resample_buffer(x, N, VOICE_RATE, rates[i], AUDIO_RESAMPLE_FAST, y, &err), BL_OK);
        snprintf(what, sizeof what, "%d Hz", rates[i]);
        assert_tune(y, n, rates[i], what);
        free(y);
    }
    free(x);
}

static void level_offset_and_clipping_change_no_note(void **state)
{
    (void)state;
    float *x = sing(0.01); /* peaks near -46 dBFS */
    assert_tune(x, N, VOICE_RATE, "quiet");
    for (int64_t i = 0; i < N; i++)
        x[i] = roundf(x[i] * 32768) / 32768 + 0.2f;
    assert_tune(x, N, VOICE_RATE, "quiet, 16 bit, with an offset");
    free(x);
    x = sing(8);
    for (int64_t i = 0; i < N; i++)
        x[i] = fmaxf(-1, fminf(1, x[i]));
    assert_tune(x, N, VOICE_RATE, "clipped");
    free(x);
}

static void noise_hum_and_a_room_change_no_note(void **state)
{
    float *x = sing(1), *wet = calloc(2 * N, sizeof *wet);
    bl_error err = { 0 };
    (void)state;
    voice_noise(x, N, 0.03, 9); /* about 20 dB below */
    for (int64_t i = 0; i < N; i++)
        x[i] += (float)(0.02 * sin(2 * acos(-1.0) * 50 * (double)i / VOICE_RATE));
    assert_tune(x, N, VOICE_RATE, "noise and hum");
    free(x);
    x = sing(1);
    assert_int_equal(audio_reverb(x, N, VOICE_RATE, &(audio_reverb_config){ .room_size = 0.4, .damping = 0.5, .width = 1 }, wet, wet + N, &err), BL_OK);
    for (int64_t i = 0; i < N; i++)
        x[i] += 0.3f * wet[i];
    assert_tune_within(x, N, VOICE_RATE, 0.3, "a room"); /* its notes die away */
    free(x);
    free(wet);
}

static void channels_that_cancel_or_are_silent_lose_nothing(void **state)
{
    float     *x = sing(1), *mono = malloc(sizeof *mono * N);
    audio_clip clip = { 0 };
    bl_error   err = { 0 };
    (void)state;
    assert_int_equal(audio_clip_new(&clip, 2, N, VOICE_RATE, &err), BL_OK);
    for (int kind = 0; kind < 3; kind++) { /* both the same; the second the negative of the first; the second silent */
        memcpy(clip.samples, x, sizeof *x * N);
        for (int64_t i = 0; i < N; i++)
            clip.samples[N + i] = kind == 0 ? x[i] : kind == 1 ? -0.98f * x[i] : 0.0f;
        audio_clip_mono(&clip, mono);
        for (int64_t i = 0; i < N; i += 101)
            assert_true(mono[i] == (kind == 2 ? x[i] / 2 : x[i]));
        assert_tune(mono, N, VOICE_RATE, "two channels");
        audio_input_evidence e;
        assert_int_equal(audio_judge_input(&clip, &e, &err), BL_OK);
        assert_true(e.kind != AUDIO_INPUT_SILENT);
    }
    audio_clip_free(&clip);
    free(mono);
    free(x);
}

static void whistling_comes_back_in_its_own_octave(void **state)
{
    static const int tune[4] = { 88, 91, 93, 95 }; /* up to 1976 Hz */
    float *x = calloc(N, sizeof(float));
    (void)state;
    for (int i = 0; i < 4; i++)
        voice_tone(x + (int)(VOICE_RATE * (0.5 + 0.8 * i)), VOICE_RATE * 7 / 10, voice_hz(tune[i]), 1, 1, 0.2, 0.2, 1);
    voice_noise(x, N, 0.001, 2);
    audio_sung_notes notes = hear(x, N, VOICE_RATE);
    assert_int_equal(notes.n_notes, 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(audio_sung_pitch(&notes.notes[i], notes.tuning_cents), tune[i]);
    audio_notes_free(&notes);
    free(x);
}

static void silence_noise_and_clapping_are_no_singing(void **state)
{
    float *x = calloc(N, sizeof(float));
    (void)state;
    for (int kind = 0; kind < 4; kind++) { /* silence, an offset, noise, claps */
        memset(x, 0, sizeof *x * N);
        for (int64_t i = 0; kind == 1 && i < N; i++)
            x[i] = 0.3f;
        if (kind == 2)
            voice_noise(x, N, 0.05, 3);
        for (int i = 0; kind == 3 && i < 9; i++)
            voice_hit(x, N, 0.3 + 0.5 * i, 0.3, 0);
        audio_sung_notes notes = hear(x, N, VOICE_RATE);
        if (notes.n_notes)
            fail_msg("kind %d: %d notes, the first %g at %g .. %g s", kind, notes.n_notes, (double)notes.notes[0].pitch,
                     notes.notes[0].onset_s, notes.notes[0].offset_s);
        audio_notes_free(&notes);
    }
    free(x);
}

/* Syllables of 100 to 200 ms whose pitch falls and rises by several semitones, with breaths. */
static void speech_has_few_sure_notes(void **state)
{
    float *x = calloc(N, sizeof(float));
    double phase = 0, voiced_s = 0, note_s = 0;
    (void)state;
    for (int64_t i = 0; i < N; i++) {
        const double t = (double)i / VOICE_RATE, into = fmod(t, 0.22), pi = acos(-1.0);
        const int    syllable = (int)(t / 0.22), rising = syllable % 3 == 0;
        const double midi = 50 + 3 * sin(0.9 * syllable) + (rising ? 30 : -30) * (into - 0.08);
        const double level = syllable % 7 == 6 ? 0 : fmax(0, fmin(1, fmin(into, 0.16 - into) / 0.03));
        phase += 2 * pi * voice_hz(midi) / VOICE_RATE;
        for (int h = 1; h <= 12 && level > 0; h++)
            x[i] += (float)(0.1 * level * sin(h * phase) / sqrt(h));
        voiced_s += (level > 0.1) / (double)VOICE_RATE;
    }
    voice_noise(x, N, 0.001, 6);
    audio_sung_notes notes = hear(x, N, VOICE_RATE);
    for (int i = 0; i < notes.n_notes; i++)
        note_s += notes.confidence[i] > 0.5f ? notes.notes[i].offset_s - notes.notes[i].onset_s : 0;
    if (!(note_s < 0.2 * voiced_s))
        fail_msg("%g s of sure notes in %g s of speech", note_s, voiced_s);
    audio_notes_free(&notes);
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_melody_is_the_same_at_every_sample_rate),
        cmocka_unit_test(level_offset_and_clipping_change_no_note),
        cmocka_unit_test(noise_hum_and_a_room_change_no_note),
        cmocka_unit_test(channels_that_cancel_or_are_silent_lose_nothing),
        cmocka_unit_test(whistling_comes_back_in_its_own_octave),
        cmocka_unit_test(silence_noise_and_clapping_are_no_singing),
        cmocka_unit_test(speech_has_few_sure_notes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
