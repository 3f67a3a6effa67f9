#include "infer/analyzer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/message.h"

/* What the shipped network hears in sounds that no sound font made: four chords of organ-like tones over a bass, two bars of two
 * seconds each, then two bars of nothing. */
enum { RATE = 22050, BARS = 10, BEATS = 4 * BARS };
static const double BEAT_S = 0.5;

typedef struct fixture {
    infer_song song;
    infer_plan plan;
} fixture;

static void sound(float *x, int pitch, double start_s, double end_s, double level)
{
    for (int h = 1; h <= 6; h++) {
        const double hz = h * 440 * pow(2, (pitch - 69) / 12.0);
        for (int i = (int)(start_s * RATE); i < (int)(end_s * RATE); i++)
            x[i] += (float)(level / h * exp(-(i - start_s * RATE) / (2.0 * RATE)) * sin(6.283185307179586 * hz * i / RATE));
    }
}

/* A minor, F, C, G, moved by some semitones. */
static void make(fixture *f, int up)
{
    static const int chords[4][4] = { { 45, 57, 60, 64 }, { 41, 57, 60, 65 }, { 48, 60, 64, 67 }, { 43, 59, 62, 67 } };
    memset(f, 0, sizeof *f);
    infer_plan_init(&f->plan);
    f->song.lead_rate = RATE;
    f->song.n_lead = (int64_t)(BEATS * BEAT_S * RATE);
    f->song.mono = f->song.lead = calloc((size_t)f->song.n_lead, sizeof(float));
    for (int bar = 0; bar < 8; bar++)
        for (int k = 0; k < 4; k++)
            for (int beat = 0; beat < 4; beat++)
                sound(f->song.mono, chords[bar / 2][k] + up, (4 * bar + beat) * BEAT_S, (4 * bar + beat + 1) * BEAT_S, k ? 0.1 : 0.2);
    strcpy(f->plan.input, "instrumental");
    f->plan.duration_s = BEATS * BEAT_S;
    f->plan.beats_per_bar = 4;
    f->plan.tempo_bpm = 120;
    f->plan.beats_s = calloc(BEATS, sizeof *f->plan.beats_s);
    f->plan.downbeats_s = calloc(BARS, sizeof *f->plan.downbeats_s);
    for (int i = 0; i < BEATS; i++) {
        f->plan.beats_s[f->plan.n_beats++] = i * BEAT_S;
        if (i % 4 == 0)
            f->plan.downbeats_s[f->plan.n_downbeats++] = i * BEAT_S;
    }
}

static void release(fixture *f)
{
    infer_song_free(&f->song);
    infer_plan_free(&f->plan);
}

static void chords_heard_in_an_accompaniment_are_those_played(void **state)
{
    static const char *const names[2][4] = { { "Am", "F", "C", "G" }, { "C#m", "A", "E", "B" } };
    (void)state;
    for (int turn = 0; turn < 2; turn++) {
        fixture f;
        bl_error err = { 0 };
        make(&f, 4 * turn);
        strcpy(f.plan.key, turn ? "C# minor" : "A minor");
        f.plan.has |= INFER_HAS_KEY;
        assert_int_equal(infer_analyzer_harmony(&f.song, &f.plan, "models", &err), BL_OK);
        assert_int_equal(infer_analyzer_chords(&f.song, &f.plan, "models", &err), BL_OK);
        assert_string_equal(err.msg, "");
        assert_true(f.plan.n_chords >= 4);
        assert_true(f.plan.chords[0].start_s == 0 && f.plan.chords[f.plan.n_chords - 1].end_s == f.plan.duration_s);
        for (int i = 0; i < 4; i++) {
            const double middle = (8 * i + 4) * BEAT_S;
            for (int k = 0; k < f.plan.n_chords; k++)
                if (f.plan.chords[k].start_s <= middle && f.plan.chords[k].end_s > middle) {
                    assert_string_equal(f.plan.chords[k].name, names[turn][i]);
                    assert_true(f.plan.chords[k].confidence > 0.3);
                }
        }
        assert_string_equal(f.plan.key, turn ? "C# minor" : "A minor"); /* what was given stays */
        release(&f);
    }
}

static void silence_has_no_chord(void **state)
{
    fixture f;
    bl_error err = { 0 };
    (void)state;
    make(&f, 0);
    strcpy(f.plan.key, "A minor");
    f.plan.has |= INFER_HAS_KEY;
    assert_int_equal(infer_analyzer_harmony(&f.song, &f.plan, "models", &err), BL_OK);
    assert_int_equal(infer_analyzer_chords(&f.song, &f.plan, "models", &err), BL_OK);
    assert_string_equal(f.plan.chords[f.plan.n_chords - 1].name, "N");
    assert_true(f.plan.chords[f.plan.n_chords - 1].start_s >= 15.9);
    release(&f);
}

static void a_bare_vocal_needs_no_chord_network(void **state)
{
    fixture f;
    bl_error err = { 0 };
    (void)state;
    make(&f, 0);
    strcpy(f.plan.input, "vocal");
    assert_int_equal(infer_analyzer_harmony(&f.song, &f.plan, "nowhere", &err), BL_OK);
    assert_null(f.song.harmony.chord);
    strcpy(f.plan.input, "song");
    assert_int_equal(infer_analyzer_harmony(&f.song, &f.plan, "nowhere", &err), BL_EIO);
    assert_message(err, "nowhere");
    bl_error_clear(&err);
    f.plan.has |= INFER_HAS_KEY | INFER_HAS_CHORDS; /* both given: nothing to hear */
    assert_int_equal(infer_analyzer_harmony(&f.song, &f.plan, "nowhere", &err), BL_OK);
    release(&f);
}

/* The shipped harmonizer, also where --model names a folder without one; given chords stay. */
static void chords_are_found_for_a_bare_vocal(void **state)
{
    static const char *const genres[] = { "pop", "punk", "metal" }; /* punk has no chords of its own: it is like rock */
    (void)state;
    for (int g = 0; g < 3; g++) {
        fixture f;
        bl_error err = { 0 };
        make(&f, 0);
        strcpy(f.plan.input, "vocal");
        strcpy(f.plan.genre, genres[g]);
        strcpy(f.plan.key, "A minor");
        f.plan.melody = calloc(BEATS, sizeof *f.plan.melody);
        for (int i = 0; i < BEATS; i++) {
            static const int sung[4][4] = { { 69, 72, 76, 72 }, { 65, 69, 72, 69 }, { 67, 72, 76, 72 }, { 67, 71, 74, 71 } };
            f.plan.melody[f.plan.n_melody++] = (music_note){ i * BEAT_S, (i + 0.9) * BEAT_S, sung[i / 4 % 4][i % 4], 90 };
        }
        assert_int_equal(infer_analyzer_chords(&f.song, &f.plan, "nowhere", &err), BL_OK);
        assert_string_equal(err.msg, "");
        assert_string_equal(f.plan.genre_chords, g == 1 ? "rock" : genres[g]);
        assert_true(f.plan.n_chords >= 4);
        assert_true(f.plan.chords[0].start_s == 0 && f.plan.chords[f.plan.n_chords - 1].end_s == f.plan.duration_s);
        strcpy(f.plan.chords[0].name, "Bdim"); /* as if a person had written it */
        assert_int_equal(infer_analyzer_chords(&f.song, &f.plan, "nowhere", &err), BL_OK);
        assert_string_equal(f.plan.chords[0].name, "Bdim");
        release(&f);
    }
}

/* Hardly a chord is heard, as of a flute alone: its melody gets chords. With a chord most of the time, those heard stay. */
static void a_lone_instrument_gets_chords_for_its_melody(void **state)
{
    (void)state;
    for (int lone = 0; lone < 2; lone++) {
        fixture f;
        bl_error err = { 0 };
        make(&f, 0);
        strcpy(f.plan.genre, "pop");
        strcpy(f.plan.key, "C major");
        f.plan.has |= INFER_HAS_KEY;
        f.plan.melody = calloc(BEATS, sizeof *f.plan.melody);
        for (int i = 0; i < BEATS; i++)
            f.plan.melody[f.plan.n_melody++] = (music_note){ i * BEAT_S, (i + 0.9) * BEAT_S, i % 2 ? 67 : 64, 90 };
        assert_int_equal(infer_analyzer_harmony(&f.song, &f.plan, "models", &err), BL_OK);
        for (int64_t t = 0; lone && t < f.song.harmony.n_frames; t++)
            f.song.harmony.chord[t * MUSIC_HEARD_CLASSES + MUSIC_HEARD_NONE] = 0;
        assert_int_equal(infer_analyzer_chords(&f.song, &f.plan, "models", &err), BL_OK);
        assert_string_equal(err.msg, "");
        double named = 0;
        for (int i = 0; i < f.plan.n_chords; i++) {
            named += strcmp(f.plan.chords[i].name, "N") ? f.plan.chords[i].end_s - f.plan.chords[i].start_s : 0;
            assert_true(!lone || f.plan.chords[i].confidence == 0);
        }
        assert_true(lone ? named > 0.9 * f.plan.duration_s : f.plan.chords[0].confidence > 0);
        release(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chords_heard_in_an_accompaniment_are_those_played),
        cmocka_unit_test(silence_has_no_chord),
        cmocka_unit_test(a_bare_vocal_needs_no_chord_network),
        cmocka_unit_test(chords_are_found_for_a_bare_vocal),
        cmocka_unit_test(a_lone_instrument_gets_chords_for_its_melody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
