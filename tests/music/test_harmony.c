#include "music/harmony.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/message.h"

static music_harmony_table *table;

static int load(void **state)
{
    bl_error err = { 0 };
    (void)state;
    table = music_harmony_table_load("configs/harmony.ini", &err);
    if (!table)
        fprintf(stderr, "%s\n", err.msg);
    return table ? 0 : -1;
}

static int unload(void **state)
{
    (void)state;
    music_harmony_table_free(table);
    return 0;
}

/* A melody that sings the chords' own tones, one bar each, half a second a beat. */
static int sing(const char *const *chords, int n, music_note *out)
{
    int k = 0;
    for (int i = 0; i < n; i++) {
        music_chord c;
        int interval[5];
        assert_true(music_chord_parse(chords[i], &c));
        music_chord_intervals(c, interval);
        for (int b = 0; b < 4; b++) {
            static const int order[4] = { 0, 1, 2, 0 };
            double t = 0.5 * (4 * i + b);
            out[k++] = (music_note){ t, t + 0.48, 60 + (c.root + interval[order[b]]) % 12, 90 };
        }
    }
    return k;
}

static music_chord_span *harmonize(const char *genre, music_key key, const music_note *melody, int n_melody, int n_bars, int *n)
{
    static double beats[400];
    bl_error err = { 0 };
    music_chord_span *spans = NULL;
    for (int i = 0; i <= 4 * n_bars; i++)
        beats[i] = 0.5 * i;
    music_harmony_input in = { .beats_s = beats, .n_beats = 4 * n_bars + 1, .beats_per_bar = 4, .melody = melody, .n_melody = n_melody,
                               .key = key, .genre = genre, .start_s = 0, .end_s = 2.0 * n_bars + 1 };
    if (music_harmonize(table, &in, &spans, n, &err) != BL_OK)
        fail_msg("%s", err.msg);
    return spans;
}

static const char *at(const music_chord_span *s, int n, double t)
{
    for (int i = 0; i < n; i++)
        if (s[i].start_s <= t && t < s[i].end_s)
            return s[i].name;
    return "";
}

static void sung_triads_get_their_own_chords(void **state)
{
    static const char *const major[] = { "C", "Am", "F", "G", "C", "F", "G", "C" };
    static const char *const minor[] = { "Am", "F", "C", "G", "Am", "Dm", "E", "Am" };
    music_note melody[64];
    int n, k = sing(major, 8, melody);
    (void)state;
    music_chord_span *s = harmonize("pop", (music_key){ 0, 0 }, melody, k, 8, &n);
    for (int i = 0; i < 8; i++)
        assert_string_equal(at(s, n, 2 * i + 0.1), major[i]);
    free(s);
    k = sing(minor, 8, melody);
    s = harmonize("pop", (music_key){ 9, 1 }, melody, k, 8, &n);
    for (int i = 0; i < 8; i++)
        assert_string_equal(at(s, n, 2 * i + 0.1), minor[i]);
    free(s);
}

static void chords_cover_the_song_and_change_on_half_bars(void **state)
{
    music_note melody[200];
    (void)state;
    for (int i = 0; i < 200; i++)
        melody[i] = (music_note){ 0.25 * i, 0.25 * i + 0.2, 57 + (i * i * 7 + i * 3) % 14, 80 };
    static const char *const genres[] = { "pop", "rock", "jazz", "classical" };
    for (int g = 0; g < 4; g++) {
        int n;
        music_chord_span *s = harmonize(genres[g], (music_key){ 9, 1 }, melody, 200, 25, &n);
        assert_true(s[0].start_s == 0 && s[n - 1].end_s == 51);
        for (int i = 0; i < n; i++) {
            music_chord c;
            assert_true(s[i].end_s > s[i].start_s);
            assert_true(music_chord_parse(s[i].name, &c));
            if (i)
                assert_true(s[i].start_s == s[i - 1].end_s && s[i].start_s == (int)s[i].start_s);
        }
        free(s);
    }
}

static void jazz_adds_sevenths_but_not_against_the_singer(void **state)
{
    static const char *const chords[] = { "C", "Dm", "G", "C" };
    music_note melody[16];
    int n, k = sing(chords, 4, melody);
    (void)state;
    music_chord_span *s = harmonize("jazz", (music_key){ 0, 0 }, melody, k, 4, &n);
    assert_string_equal(at(s, n, 2.1), "Dm7");
    assert_string_equal(at(s, n, 4.1), "G7");
    assert_string_equal(at(s, n, 6.1), "C"); /* the singer holds C: no B beside it */
    free(s);
}

static void without_singing_the_tonic_is_there(void **state)
{
    int n;
    (void)state;
    music_chord_span *s = harmonize("rock", (music_key){ 4, 1 }, NULL, 0, 4, &n);
    assert_string_equal(s[n - 1].name, "Em");
    free(s);
}

static void faults_are_named(void **state)
{
    bl_error err = { 0 };
    double beats[] = { 0, 1 }, wrong[] = { 1, 0 };
    music_chord_span *s;
    int n;
    music_harmony_input in = { .beats_s = beats, .n_beats = 2, .beats_per_bar = 4, .genre = "polka", .end_s = 2 };
    (void)state;
    assert_int_equal(music_harmonize(table, &in, &s, &n, &err), BL_EARG);
    assert_message(err, "no harmony for genre \"polka\"; there are pop, rock, jazz, classical");
    bl_error_clear(&err);
    in.genre = "pop";
    in.n_beats = 1;
    assert_int_equal(music_harmonize(table, &in, &s, &n, &err), BL_EARG);
    bl_error_clear(&err);
    in.n_beats = 2;
    in.beats_s = wrong;
    assert_int_equal(music_harmonize(table, &in, &s, &n, &err), BL_EARG);
    assert_message(err, "beat 2 at 0 s");
    bl_error_clear(&err);
    assert_null(music_harmony_table_load("no/such.ini", &err));
    assert_message(err, "no/such.ini");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sung_triads_get_their_own_chords),
        cmocka_unit_test(chords_cover_the_song_and_change_on_half_bars),
        cmocka_unit_test(jazz_adds_sevenths_but_not_against_the_singer),
        cmocka_unit_test(without_singing_the_tonic_is_there),
        cmocka_unit_test(faults_are_named),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
