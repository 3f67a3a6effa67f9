#include "music/beats.h"
#include "music/describe.h"
#include "music/pedal.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void beats_follow_tempos_and_meters(void **state)
{
    /* 4/4 at 120 for a bar, then at 60; 3/4 from the second bar; 6/8 after two of those */
    static const double want[] = { 0, 0.5, 1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9.5, 11, 12.5 };
    static const int numbers[] = { 1, 2, 3, 4, 1, 2, 3, 1, 2, 3, 1, 2, 1, 2 };
    music_score s = { 0 };
    music_beats b = { 0 };
    bl_error err = { 0 };
    (void)state;
    music_score_add_tempo(&s, 0, 120, &err);
    music_score_add_tempo(&s, 2, 60, &err);
    music_score_add_meter(&s, 0, 4, 4, &err);
    music_score_add_meter(&s, 2, 3, 4, &err);
    music_score_add_meter(&s, 8, 6, 8, &err);
    assert_int_equal(music_score_beats(&s, 12, &b, &err), BL_OK);
    assert_int_equal(b.n, 14);
    for (int i = 0; i < b.n; i++) {
        assert_true(fabs(b.time_s[i] - want[i]) < 1e-9);
        assert_int_equal(b.in_bar[i], numbers[i]);
    }
    assert_true(fabs(music_score_quarters(&s, 1.7) - 3.4) < 1e-9);
    assert_true(fabs(music_score_quarters(&s, 3) - 5) < 1e-9);
    music_beats_free(&b);
    music_score_free(&s);
}

static void a_meter_change_within_a_beat_starts_a_bar(void **state)
{
    music_score s = { 0 };
    music_beats b = { 0 };
    bl_error err = { 0 };
    (void)state;
    music_score_add_meter(&s, 0, 4, 4, &err);
    music_score_add_meter(&s, 1.25, 4, 4, &err);
    assert_int_equal(music_score_beats(&s, 2, &b, &err), BL_OK);
    assert_true(fabs(b.time_s[3] - 1.25) < 1e-9 && b.in_bar[3] == 1);
    assert_true(fabs(b.time_s[4] - 1.75) < 1e-9 && b.in_bar[4] == 2);
    music_beats_free(&b);
    music_score_free(&s);
}

static void a_score_without_end_is_refused(void **state)
{
    music_score s = { 0 };
    music_beats b = { 0 };
    bl_error err = { 0 };
    (void)state;
    assert_int_equal(music_score_beats(&s, 1e9, &b, &err), BL_EARG);
    assert_null(b.time_s);
}

static void a_score_is_described(void **state)
{
    music_score s = { .title = "Test" };
    bl_error err = { 0 };
    char text[4000];
    FILE *f = tmpfile();
    (void)state;
    music_score_add_tempo(&s, 0, 100, &err);
    music_score_add_meter(&s, 0, 3, 4, &err);
    music_score_add_key(&s, 0, -1, 1, &err);
    music_score_add_marker(&s, 0, "verse", &err);
    music_score_add_chord(&s, 0, 1.8, "Dm", &err);
    music_score_add_chord(&s, 1.8, 3, "A7", &err);
    music_track *t = music_score_add_track(&s, "cello", 42, 0, &err);
    music_track_add(t, 0, 3.6, 50, 77, &err);
    assert_int_equal(music_score_describe(&s, f, &err), BL_OK);
    rewind(f);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    static const char *const parts[] = { "\"Test\"", "100.000 bpm", "3/4", "D minor", "verse", "| Dm | A7 |", "cello", "D3-D3", "77-77",
                                         "pitch range, semitones", "empty beat rate" };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!strstr(text, parts[i]))
            fail_msg("no %s in\n%s", parts[i], text);
    music_score_free(&s);
}

/* Held to the pedal's end, or to the next note of the pitch; not before, not by another channel's pedal, no drums. */
static void the_pedal_holds_notes(void **state)
{
    music_score s = { 0 };
    bl_error err = { 0 };
    (void)state;
    for (int i = 0; i < 3; i++) {
        music_track *t = music_score_add_track(&s, "x", 0, i == 2, &err);
        t->channel = i == 1 ? 2 : 1;
        music_track_add(t, 0, 0.5, 60, 90, &err);
        music_track_add(t, 1, 1.5, 60, 90, &err);
        music_track_add(t, 1, 1.5, 64, 90, &err);
        music_track_add(t, 2, 2.5, 60, 90, &err);
        music_track_add(t, 5, 6, 60, 90, &err);
    }
    music_track_add_control(&s.tracks[0], (music_control){ 0.8, MUSIC_CONTROLLER, 64, 127 }, &err);
    music_track_add_control(&s.tracks[0], (music_control){ 3, MUSIC_CONTROLLER, 64, 0 }, &err);
    assert_int_equal(music_score_press_pedal(&s, &err), BL_OK);
    static const double want[3][5] = { { 0.5, 2, 3, 3, 6 }, { 0.5, 1.5, 1.5, 2.5, 6 }, { 0.5, 1.5, 1.5, 2.5, 6 } };
    for (int t = 0; t < 3; t++)
        for (int i = 0; i < 5; i++)
            assert_true(s.tracks[t].notes[i].offset_s == want[t][i]);
    music_score_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(beats_follow_tempos_and_meters),
        cmocka_unit_test(a_meter_change_within_a_beat_starts_a_bar),
        cmocka_unit_test(a_score_without_end_is_refused),
        cmocka_unit_test(a_score_is_described),
        cmocka_unit_test(the_pedal_holds_notes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
