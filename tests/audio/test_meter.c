#include "audio/meter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Tunes that everybody can sing, in quarter notes; the first bar begins `pickup` beats after the first note. */
typedef struct tune {
    const char *name;
    int         tonic;
    double      pickup;
    int         n;
    struct { int pitch; double length; } note[64];
} tune;

static const tune auld_lang_syne = { "Auld Lang Syne", 5, 1, 29, {
    { 60, 1 }, { 65, 1.5 }, { 65, .5 }, { 65, 1 }, { 69, 1 }, { 67, 1.5 }, { 65, .5 }, { 67, 1 }, { 69, 1 }, { 65, 1.5 }, { 65, .5 },
    { 69, 1 }, { 72, 1 }, { 74, 3 }, { 74, 1 }, { 72, 1.5 }, { 69, .5 }, { 69, 1 }, { 65, 1 }, { 67, 1.5 }, { 65, .5 }, { 67, 1 }, { 69, 1 },
    { 65, 1.5 }, { 62, .5 }, { 62, 1 }, { 60, 1 }, { 65, 3 }, { 74, 1 } } };
static const tune the_saints = { "When the Saints", 5, 3, 31, {
    { 65, 1 }, { 69, 1 }, { 70, 1 }, { 72, 5 }, { 65, 1 }, { 69, 1 }, { 70, 1 }, { 72, 5 }, { 65, 1 }, { 69, 1 }, { 70, 1 }, { 72, 2 },
    { 69, 2 }, { 65, 2 }, { 69, 2 }, { 67, 6 }, { 69, 1 }, { 67, 1 }, { 65, 3 }, { 65, 1 }, { 69, 2 }, { 72, 1 }, { 72, 1 }, { 70, 5 },
    { 69, 1 }, { 70, 1 }, { 72, 2 }, { 69, 2 }, { 65, 2 }, { 67, 2 }, { 65, 4 } } };
static const tune oh_susanna = { "Oh Susanna", 0, 1, 45, {
    { 60, .5 }, { 62, .5 }, { 64, 1 }, { 67, 1 }, { 67, 1.5 }, { 69, .5 }, { 67, 1 }, { 64, 1 }, { 60, 1.5 }, { 62, .5 }, { 64, 1 }, { 64, 1 },
    { 62, 1 }, { 60, 1 }, { 62, 3 }, { 60, .5 }, { 62, .5 }, { 64, 1 }, { 67, 1 }, { 67, 1.5 }, { 69, .5 }, { 67, 1 }, { 64, 1 }, { 60, 1.5 },
    { 62, .5 }, { 64, 1 }, { 64, 1 }, { 62, 1 }, { 62, 1 }, { 60, 3 }, { 60, 1 }, { 65, 2 }, { 65, 2 }, { 69, 1 }, { 69, 2 }, { 69, 1 },
    { 67, 1 }, { 67, 1 }, { 64, 1 }, { 60, 1 }, { 62, 3 }, { 60, .5 }, { 62, .5 }, { 64, 1 }, { 67, 1 } } };

/* Seconds of a place in beats, 0 being the first note: a tempo that may drift. */
static double time_of(double beat, double period_s, double drift)
{
    return 2 + period_s * (beat + drift * sin(0.1 * beat));
}

static audio_sung_note notes_out[64];

static int sing(const tune *t, double period_s, double drift)
{
    double at = 0;
    for (int i = 0; i < t->n; i++) {
        notes_out[i] = (audio_sung_note){ time_of(at, period_s, drift), time_of(at + 0.92 * t->note[i].length, period_s, drift),
                                          (float)t->note[i].pitch, 80 };
        at += t->note[i].length;
    }
    return t->n;
}

/* A grid with `per_beat` beats a beat of the tune, a downbeat `bar` of them after the first note, moved by `offset` beats. */
static audio_rhythm grid(double period_s, double drift, double per_beat, double offset, int bar, double length_s)
{
    audio_rhythm r = { .bpm = 60 / period_s * per_beat, .beats_per_bar = 4, .first_downbeat = -1, .confidence = 0.5f };
    r.beats_s = malloc(1000 * sizeof(double));
    r.downbeats_s = malloc(1000 * sizeof(double));
    for (int k = -40; k < 400; k++) {
        const double t = time_of(offset + k / per_beat, period_s, drift);
        if (t < 0 || t > length_s)
            continue;
        if (((k - bar) % 4 + 4) % 4 == 0) {
            r.first_downbeat = r.first_downbeat < 0 ? r.n_beats : r.first_downbeat;
            r.downbeats_s[r.n_downbeats++] = t;
        }
        r.beats_s[r.n_beats++] = t;
    }
    return r;
}

static void check_grid(const audio_rhythm *r, double length_s)
{
    assert_true(r->n_beats >= 2 && r->beats_s[0] >= 0 && r->beats_s[r->n_beats - 1] <= length_s);
    assert_true(fabs(r->beats_s[r->first_downbeat] - r->downbeats_s[0]) < 1e-9);
    for (int i = 0; i + 1 < r->n_beats; i++)
        assert_true(r->beats_s[i + 1] - r->beats_s[i] > 0.1);
    assert_true(r->n_downbeats >= (r->n_beats - r->first_downbeat + 3) / 4);
}

static double nearest(const double *x, int n, double t)
{
    double best = HUGE_VAL;
    for (int i = 0; i < n; i++)
        best = fmin(best, fabs(x[i] - t));
    return best;
}

/* Every bar that is said to be the first: the tune's own is found, and the beats stay. */
static void a_pick_up_is_not_taken_for_a_bar(void **state)
{
    const tune *const tunes[] = { &auld_lang_syne, &oh_susanna };
    (void)state;
    for (int i = 0; i < 2; i++)
        for (int bar = 0; bar < 4; bar++) {
            const double period = 0.55, length = 40;
            bl_error     err = { 0 };
            const int    n = sing(tunes[i], period, 0);
            audio_rhythm r = grid(period, 0, 1, 0, bar, length);
            const int    n_beats = r.n_beats;
            assert_int_equal(audio_meter_reread(&r, length, notes_out, n, (audio_meter_config){ tunes[i]->tonic, 1, 0 }, &err), BL_OK);
            check_grid(&r, length);
            assert_int_equal(r.n_beats, n_beats);
            if (nearest(r.downbeats_s, r.n_downbeats, time_of(tunes[i]->pickup, period, 0)) > 0.01)
                fail_msg("%s, bars said to begin at beat %d: no bar begins %g beats after the first note", tunes[i]->name, bar, tunes[i]->pickup);
            audio_rhythm_free(&r);
        }
}

static void half_a_beat_off_and_twice_as_fast_are_mended(void **state)
{
    static const struct { double per_beat, offset; } wrong[] = { { 1, 0.5 }, { 2, 0 } };
    (void)state;
    for (int w = 0; w < 2; w++) {
        const double period = 0.62, length = 40;
        bl_error     err = { 0 };
        const int    n = sing(&oh_susanna, period, 0.5);
        audio_rhythm r = grid(period, 0.5, wrong[w].per_beat, wrong[w].offset, 0, length);
        assert_int_equal(audio_meter_reread(&r, length, notes_out, n, (audio_meter_config){ oh_susanna.tonic, 0, 0 }, &err), BL_OK);
        check_grid(&r, length);
        assert_true(fabs(r.bpm - 60 / period) < 2);
        for (int k = 0; k < 40; k++) /* the beats drift as the singer does */
            assert_true(nearest(r.beats_s, r.n_beats, time_of(k, period, 0.5)) < 0.035);
        audio_rhythm_free(&r);
    }
}

static void a_level_that_is_kept_keeps_every_beat(void **state)
{
    (void)state;
    bl_error     err = { 0 };
    const int    n = sing(&oh_susanna, 0.62, 0);
    audio_rhythm r = grid(0.62, 0, 2, 0, 0, 40);
    double       before[1000];
    memcpy(before, r.beats_s, (size_t)r.n_beats * sizeof *before);
    const int    n_beats = r.n_beats;
    assert_int_equal(audio_meter_reread(&r, 40, notes_out, n, (audio_meter_config){ 0, 1, 0 }, &err), BL_OK);
    assert_int_equal(r.n_beats, n_beats);
    for (int i = 0; i < n_beats; i++)
        assert_true(fabs(before[i] - r.beats_s[i]) < 1e-6);
    audio_rhythm_free(&r);
}

static void waltzes_and_scraps_stay_as_they_are(void **state)
{
    (void)state;
    for (int turn = 0; turn < 2; turn++) {
        bl_error     err = { 0 };
        const int    n = turn ? AUDIO_METER_NOTES - 1 : sing(&the_saints, 0.5, 0);
        audio_rhythm r = grid(0.5, 0, 1, 0, 1, 30);
        const double first = r.downbeats_s[0];
        const double *const beats = r.beats_s;
        r.beats_per_bar = turn ? 4 : 3;
        assert_int_equal(audio_meter_reread(&r, 30, notes_out, n, (audio_meter_config){ 5, 0, 0 }, &err), BL_OK);
        assert_true(r.beats_s == beats && fabs(r.downbeats_s[0] - first) < 1e-12);
        audio_rhythm_free(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pick_up_is_not_taken_for_a_bar),
        cmocka_unit_test(half_a_beat_off_and_twice_as_fast_are_mended),
        cmocka_unit_test(a_level_that_is_kept_keeps_every_beat),
        cmocka_unit_test(waltzes_and_scraps_stay_as_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
