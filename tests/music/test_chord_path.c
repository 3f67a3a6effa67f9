#include "music/chord_path.h"

#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/message.h"

enum { T = 160, K = MUSIC_HEARD_CLASSES, N_BEATS = 32 }; /* sixteen seconds at 120 bpm */

typedef struct fixture {
    float  chord[T * K], bass[T * 12];
    double beats[N_BEATS];
    int    downbeat[N_BEATS];
    music_chord_path_input in;
    music_chord_span *spans;
    int    n;
} fixture;

static int class_of(const char *name)
{
    music_chord chord;
    assert_true(music_chord_parse(name, &chord));
    return music_heard_class(chord);
}

/* Frame t hears the class with probability p, the others share the rest. */
static void put(fixture *f, int t, int heard_class, double p)
{
    for (int k = 0; k < K; k++)
        f->chord[t * K + k] = (float)log(k == heard_class ? p : (1 - p) / (K - 1));
    for (int c = 0; c < 12; c++)
        f->bass[t * 12 + c] = (float)log(1 / 12.0);
}

static void put_bass(fixture *f, int t, int c, double p)
{
    for (int i = 0; i < 12; i++)
        f->bass[t * 12 + i] = (float)log(i == c ? p : (1 - p) / 11);
}

/* C until 4 s, Am until 8 s, F until 12 s, G. */
static void make(fixture *f, double p)
{
    static const char *const names[4] = { "C", "Am", "F", "G" };
    for (int t = 0; t < T; t++)
        put(f, t, class_of(names[t / 40]), p);
    for (int i = 0; i < N_BEATS; i++) {
        f->beats[i] = 0.5 * i;
        f->downbeat[i] = i % 4 == 0;
    }
    f->in = (music_chord_path_input){ .chord = f->chord, .bass = f->bass, .n_frames = T, .hop_s = 0.1, .beats_s = f->beats, .n_beats = N_BEATS,
                                      .is_downbeat = f->downbeat, .beats_per_bar = 4, .start_s = 0, .end_s = 16 };
}

static void find(fixture *f)
{
    bl_error err = { 0 };
    free(f->spans);
    assert_int_equal(music_chord_path(&f->in, &f->spans, &f->n, &err), BL_OK);
    assert_true(f->n > 0 && f->spans[0].start_s == f->in.start_s && f->spans[f->n - 1].end_s == f->in.end_s);
    for (int i = 0; i < f->n; i++) {
        assert_true(f->spans[i].end_s > f->spans[i].start_s && f->spans[i].confidence > 0 && f->spans[i].confidence <= 1 + 1e-9);
        assert_true(!i || f->spans[i].start_s == f->spans[i - 1].end_s);
    }
}

static void expect(const fixture *f, int n, const char *const *names, const double *ends)
{
    assert_int_equal(f->n, n);
    for (int i = 0; i < n; i++) {
        assert_string_equal(f->spans[i].name, names[i]);
        assert_true(fabs(f->spans[i].end_s - ends[i]) < 1e-9);
    }
}

static const char *const four[4] = { "C", "Am", "F", "G" };
static const double four_ends[4] = { 4, 8, 12, 16 };

static fixture *setup_fixture(double p)
{
    fixture *f = calloc(1, sizeof *f);
    make(f, p);
    return f;
}

static void drop(fixture *f)
{
    free(f->spans);
    free(f);
}

static void clear_chords_are_found_with_their_changes(void **state)
{
    fixture *f = setup_fixture(0.9);
    (void)state;
    find(f);
    expect(f, 4, four, four_ends);
    for (int i = 0; i < 4; i++)
        assert_true(f->spans[i].confidence > 0.95);
    drop(f);
}

static void single_wrong_frames_change_nothing(void **state)
{
    fixture *f = setup_fixture(0.6);
    (void)state;
    for (int t = 3; t < T; t += 9)
        put(f, t, class_of("Ebm"), 0.9);
    find(f);
    expect(f, 4, four, four_ends);
    drop(f);
}

static void a_change_heard_late_moves_to_the_bar_line(void **state)
{
    fixture *f = setup_fixture(0.5);
    (void)state;
    put(f, 40, class_of("C"), 0.5); /* 0.1 s into the bar */
    put(f, 41, class_of("C"), 0.5);
    find(f);
    expect(f, 4, four, four_ends);
    drop(f);
}

static void doubt_lowers_confidence(void **state)
{
    fixture *f = setup_fixture(0.9);
    double clear;
    (void)state;
    find(f);
    clear = f->spans[1].confidence;
    for (int t = 40; t < 80; t++) { /* Am or Em: nearly as likely */
        put(f, t, class_of("Am"), 0.34);
        f->chord[t * K + class_of("Em")] = logf(0.335f);
    }
    find(f);
    assert_true(f->spans[1].confidence < clear - 0.02);
    drop(f);
}

static void the_key_decides_what_the_sound_does_not(void **state)
{
    fixture *f = setup_fixture(0.5);
    const music_key c_major = { 0, 0 }, c_minor = { 0, 1 };
    (void)state;
    for (int t = 0; t < T; t++) {
        put(f, t, class_of("C"), 0.45);
        f->chord[t * K + class_of("Cm")] = f->chord[t * K + class_of("C")];
    }
    f->in.key = &c_major;
    find(f);
    assert_string_equal(f->spans[0].name, "C");
    f->in.key = &c_minor;
    find(f);
    assert_string_equal(f->spans[0].name, "Cm");
    drop(f);
}

static void a_clear_bass_inverts_and_an_unclear_one_does_not(void **state)
{
    fixture *f = setup_fixture(0.9);
    (void)state;
    for (int t = 0; t < 40; t++)
        put_bass(f, t, 4, 0.9);   /* C over E */
    for (int t = 40; t < 80; t++)
        put_bass(f, t, 0, 0.1);   /* who knows */
    for (int t = 80; t < 120; t++)
        put_bass(f, t, 2, 0.9);   /* no tone of F: a passing bass */
    find(f);
    expect(f, 4, (const char *const[]){ "C/E", "Am", "F", "G" }, four_ends);
    f->in.bass = NULL;
    find(f);
    expect(f, 4, four, four_ends);
    drop(f);
}

static void no_chord_is_reported_where_none_is(void **state)
{
    fixture *f = setup_fixture(0.9);
    (void)state;
    for (int t = 80; t < 120; t++)
        put(f, t, MUSIC_HEARD_NONE, 0.9);
    find(f);
    expect(f, 4, (const char *const[]){ "C", "Am", "N", "G" }, four_ends);
    drop(f);
}

static void beats_need_not_reach_the_ends_and_need_not_exist(void **state)
{
    fixture *f = setup_fixture(0.9);
    (void)state;
    f->in.beats_s += 4; /* the first bar and the last have none */
    f->in.is_downbeat += 4;
    f->in.n_beats -= 8;
    find(f);
    expect(f, 4, four, four_ends);
    f->in.n_beats = 0;
    find(f);
    expect(f, 4, four, four_ends);
    f->in.n_beats = 1;
    f->in.is_downbeat = NULL;
    find(f);
    expect(f, 4, four, four_ends);
    drop(f);
}

/* Viterbi and forward-backward once more, with whole matrices of transitions and nothing shared with the code: the middle of
 * random evidence. The numbers are the published ones of chord_path.c. */
static void equals_dense_matrices(void **state)
{
    enum { U = 16 };
    static const double change[4] = { 0.5, 0.01, 0.08, 0.01 }; /* at a bar line, then between, beat, between; the middle below */
    fixture *f = setup_fixture(0.5);
    bl_rng rng;
    double (*score)[K] = calloc(U, sizeof *score), (*forward)[K] = calloc(U, sizeof *forward), (*backward)[K] = calloc(U, sizeof *backward);
    double best[K], next[K];
    int (*from)[K] = calloc(U, sizeof *from), path[U];
    (void)state;
    bl_rng_seed(&rng, 5);
    for (int t = 0; t < 40; t++) {
        double sum = 0;
        for (int k = 0; k < K; k++)
            sum += (double)(f->chord[t * K + k] = (float)pow(bl_rng_uniform(&rng), 12));
        for (int k = 0; k < K; k++)
            f->chord[t * K + k] = logf(f->chord[t * K + k] / (float)sum + 1e-6f);
    }
    f->in.n_frames = 40;
    f->in.n_beats = 9;
    f->in.end_s = 4;
    f->in.bass = NULL;
    find(f);
    for (int u = 0; u < U; u++) { /* units of a quarter of a second: frames 0 1 2, 3 4, 5 6 7, 8 9 ... */
        int n = 0;
        for (int t = 0; t < 40; t++)
            n += t >= 2.5 * u - 1e-9 && t < 2.5 * (u + 1) - 1e-9;
        for (int t = 0; t < 40; t++)
            if (t >= 2.5 * u - 1e-9 && t < 2.5 * (u + 1) - 1e-9)
                for (int k = 0; k < K; k++)
                    score[u][k] += 0.3 * 2.5 / n * (double)f->chord[t * K + k];
    }
    for (int k = 0; k < K; k++) {
        best[k] = score[0][k] - log(K);
        forward[0][k] = exp(score[0][k]) / K;
        backward[U - 1][k] = 1;
    }
    for (int u = 1; u < U; u++) {
        const double c = u % 8 == 0 ? 0.5 : u % 8 == 4 ? 0.25 : change[u % 4];
        for (int j = 0; j < K; j++) {
            next[j] = -HUGE_VAL;
            for (int i = 0; i < K; i++) {
                const double way = best[i] + (i == j ? fmax(log(1 - c), log(c / K)) : log(c / K));
                if (way > next[j]) {
                    next[j] = way;
                    from[u][j] = i;
                }
                forward[u][j] += forward[u - 1][i] * ((i == j ? 1 - c : 0) + c / K) * exp(score[u][j]);
            }
            next[j] += score[u][j];
        }
        memcpy(best, next, sizeof best);
    }
    for (int u = U - 2; u >= 0; u--) {
        const int v = u + 1;
        const double c = v % 8 == 0 ? 0.5 : v % 8 == 4 ? 0.25 : change[v % 4];
        for (int i = 0; i < K; i++)
            for (int j = 0; j < K; j++)
                backward[u][i] += ((i == j ? 1 - c : 0) + c / K) * exp(score[v][j]) * backward[v][j];
    }
    path[U - 1] = 0;
    for (int k = 1; k < K; k++)
        path[U - 1] = best[k] > best[path[U - 1]] ? k : path[U - 1];
    for (int u = U - 1; u > 0; u--)
        path[u - 1] = from[u][path[u]];
    int u = 0, changes = 0;
    for (int i = 0; i < f->n; i++) {
        double sure = 0;
        int n = 0;
        for (; u < U && 0.25 * u < f->spans[i].end_s - 1e-9; u++, n++) {
            double sum = 0;
            for (int k = 0; k < K; k++)
                sum += forward[u][k] * backward[u][k];
            assert_int_equal(path[u], class_of(f->spans[i].name));
            sure += forward[u][path[u]] * backward[u][path[u]] / sum;
        }
        assert_true(fabs(f->spans[i].confidence - sure / n) < 1e-6);
        changes++;
    }
    assert_int_equal(u, U);
    assert_true(changes > 1); /* or it would say little */
    free(score);
    free(forward);
    free(backward);
    free(from);
    drop(f);
}

static void what_cannot_be_is_refused(void **state)
{
    fixture *f = setup_fixture(0.9);
    bl_error err = { 0 };
    (void)state;
    f->in.end_s = 0;
    assert_int_equal(music_chord_path(&f->in, &f->spans, &f->n, &err), BL_EARG);
    assert_message(err, "ends after it begins");
    bl_error_clear(&err);
    f->in.end_s = 16;
    f->beats[7] = f->beats[6];
    assert_int_equal(music_chord_path(&f->in, &f->spans, &f->n, &err), BL_EARG);
    assert_message(err, "beat 7");
    bl_error_clear(&err);
    f->in.n_frames = 0;
    assert_int_equal(music_chord_path(&f->in, &f->spans, &f->n, &err), BL_EARG);
    assert_null(f->spans);
    drop(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clear_chords_are_found_with_their_changes),
        cmocka_unit_test(single_wrong_frames_change_nothing),
        cmocka_unit_test(a_change_heard_late_moves_to_the_bar_line),
        cmocka_unit_test(doubt_lowers_confidence),
        cmocka_unit_test(the_key_decides_what_the_sound_does_not),
        cmocka_unit_test(a_clear_bass_inverts_and_an_unclear_one_does_not),
        cmocka_unit_test(no_chord_is_reported_where_none_is),
        cmocka_unit_test(beats_need_not_reach_the_ends_and_need_not_exist),
        cmocka_unit_test(equals_dense_matrices),
        cmocka_unit_test(what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
