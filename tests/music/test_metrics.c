#include "music/metrics.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void figures_are_those_of_the_definitions(void **state)
{
    enum { N = 14, STEPS = 12, BAR = 4 };
    FILE *f = fopen("tests/golden/music/metrics.txt", "r");
    double want[N], beats[64], on, off;
    int n, n_notes, track, pitch, velocity;
    music_score s = { 0 };
    bl_error err = { 0 };
    (void)state;
    assert_non_null(f);
    for (int i = 0; i < N; i++)
        assert_int_equal(fscanf(f, "%lf", &want[i]), 1);
    assert_int_equal(fscanf(f, "%d %d", &n, &n_notes), 2);
    for (int i = 0; i < n; i++)
        assert_int_equal(fscanf(f, "%lf", &beats[i]), 1);
    for (int i = 0; i < 3; i++)
        assert_non_null(music_score_add_track(&s, "x", 0, i == 2, &err));
    for (int i = 0; i < n_notes; i++) {
        assert_int_equal(fscanf(f, "%d %lf %lf %d %d", &track, &on, &off, &pitch, &velocity), 5);
        assert_int_equal(music_track_add(&s.tracks[track], on, off, pitch, velocity, &err), BL_OK);
    }
    fclose(f);
    const double got[N] = {
        music_n_pitches(&s), music_n_pitch_classes(&s), music_pitch_range(&s), music_pitch_entropy(&s), music_pitch_class_entropy(&s),
        music_scale_consistency(&s), music_polyphony(&s, beats, n, STEPS), music_polyphony_rate(&s, beats, n, STEPS, 2),
        music_empty_beat_rate(&s, beats, n), music_empty_bar_rate(&s, beats, n, BAR), music_groove_consistency(&s, beats, n, BAR, STEPS),
        music_drum_in_pattern_rate(&s, beats, n, STEPS, 0), music_drum_in_pattern_rate(&s, beats, n, STEPS, 1),
        music_drum_pattern_consistency(&s, beats, n, STEPS) };
    for (int i = 0; i < N; i++)
        if (!(fabs(got[i] - want[i]) < 1e-8))
            fail_msg("figure %d is %.9f, not %.9f", i, got[i], want[i]);
    music_score_free(&s);
}

static void a_scale_has_full_consistency_and_an_empty_score_none(void **state)
{
    static const int scale[] = { 60, 62, 64, 65, 67, 69, 71 };
    music_score s = { 0 };
    bl_error err = { 0 };
    double beats[] = { 0, 1, 2 };
    (void)state;
    assert_true(isnan(music_pitch_class_entropy(&s)) && isnan(music_scale_consistency(&s)));
    assert_true(isnan(music_polyphony(&s, beats, 3, 4)));
    assert_true(music_empty_beat_rate(&s, beats, 3) == 1.0);
    music_track *t = music_score_add_track(&s, "piano", 0, 0, &err);
    for (int i = 0; i < 7; i++)
        music_track_add(t, i, i + 1, scale[i], 80, &err);
    assert_true(fabs(music_pitch_class_entropy(&s) - log2(7)) < 1e-12);
    assert_true(music_scale_consistency(&s) == 1.0);
    assert_true(music_pitch_in_key_rate(&s, (music_key){ 0, 0 }) == 1.0);
    assert_true(fabs(music_pitch_in_key_rate(&s, (music_key){ 7, 0 }) - 6.0 / 7) < 1e-12);
    music_score_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_are_those_of_the_definitions),
        cmocka_unit_test(a_scale_has_full_consistency_and_an_empty_score_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
