#include "music/chord_key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "music/chord.h"

/* A progression in A minor or C major, moved by some semitones; two seconds a chord. */
static int write(const char *const *names, int n, int up, music_chord_span *spans)
{
    for (int i = 0; i < n; i++) {
        music_chord chord;
        assert_true(music_chord_parse(names[i], &chord));
        chord.root = chord.root < 0 ? -1 : (chord.root + up) % 12;
        chord.bass = chord.root;
        spans[i] = (music_chord_span){ .start_s = 2 * i, .end_s = 2 * i + 2 };
        music_chord_format(chord, 0, spans[i].name);
    }
    return n;
}

static int best_of(const double *p)
{
    int best = 0;
    double sum = 0;
    for (int k = 0; k < MUSIC_KEYS; k++) {
        best = p[k] > p[best] ? k : best;
        sum += exp(p[k]);
    }
    assert_true(fabs(sum - 1) < 1e-9);
    return best;
}

static void a_cadence_tells_its_key_on_every_root(void **state)
{
    static const char *const major[] = { "C", "F", "G7", "C", "Am", "Dm7", "G", "C" };
    static const char *const minor[] = { "Am", "Dm", "E7", "Am", "F", "Dm", "E", "Am" };
    music_chord_span spans[8];
    double p[MUSIC_KEYS];
    (void)state;
    for (int up = 0; up < 12; up++) {
        music_chord_key(spans, write(major, 8, up, spans), p);
        assert_int_equal(best_of(p), up);
        assert_true(exp(p[up]) > 0.8);
        music_chord_key(spans, write(minor, 8, up, spans), p);
        assert_int_equal(best_of(p), 12 + (9 + up) % 12);
    }
}

static void moving_all_chords_moves_the_posterior(void **state)
{
    static const char *const names[] = { "C", "N", "Bb", "F", "Ebmaj7", "C/E", "Gsus4" };
    music_chord_span spans[8];
    double here[MUSIC_KEYS], there[MUSIC_KEYS];
    (void)state;
    music_chord_key(spans, write(names, 7, 0, spans), here);
    music_chord_key(spans, write(names, 7, 5, spans), there);
    for (int k = 0; k < MUSIC_KEYS; k++)
        assert_true(fabs(here[k] - there[k / 12 * 12 + (k + 5) % 12]) < 1e-12);
}

static void relative_keys_are_told_by_where_the_music_rests(void **state)
{
    static const char *const to_c[] = { "C", "Am", "F", "G", "C", "Am", "F", "G", "C" };
    static const char *const to_a[] = { "Am", "F", "C", "E", "Am", "F", "C", "E", "Am" };
    music_chord_span spans[9];
    double p[MUSIC_KEYS];
    (void)state;
    music_chord_key(spans, write(to_c, 9, 0, spans), p);
    assert_int_equal(best_of(p), 0);
    music_chord_key(spans, write(to_a, 9, 0, spans), p);
    assert_int_equal(best_of(p), 12 + 9);
}

static void few_chords_leave_doubt_and_none_leaves_every_key(void **state)
{
    static const char *const one[] = { "C" }, *const none[] = { "N", "N" };
    music_chord_span spans[2];
    double p[MUSIC_KEYS];
    (void)state;
    music_chord_key(spans, write(one, 1, 0, spans), p);
    assert_int_equal(best_of(p), 0);
    assert_true(exp(p[0]) < 0.9);
    music_chord_key(spans, write(none, 2, 0, spans), p);
    for (int k = 0; k < MUSIC_KEYS; k++)
        assert_true(fabs(exp(p[k]) - 1.0 / MUSIC_KEYS) < 1e-12);
    music_chord_key(NULL, 0, p);
    assert_true(fabs(exp(p[7]) - 1.0 / MUSIC_KEYS) < 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cadence_tells_its_key_on_every_root),
        cmocka_unit_test(moving_all_chords_moves_the_posterior),
        cmocka_unit_test(relative_keys_are_told_by_where_the_music_rests),
        cmocka_unit_test(few_chords_leave_doubt_and_none_leaves_every_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
