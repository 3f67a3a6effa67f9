#include "music/harmony.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>
#include <cmocka.h>

#include "tests/message.h"

enum { MAX_UNITS = 256, N = MUSIC_DEGREES };

static music_harmony_table *table;  /* the shipped one */
static music_harmony_habits even;   /* prefers nothing */

static int load(void **state)
{
    bl_error err = { 0 };
    (void)state;
    table = music_harmony_table_load("configs/harmony.ini", &err);
    if (!table)
        fprintf(stderr, "%s\n", err.msg);
    for (int m = 0; m < 2; m++) {
        for (int i = 0; i < N; i++) {
            even.share[m][i] = -(float)log(N);
            for (int j = 0; j < N; j++)
                even.move[m][i][j] = -(float)log(N - 1);
        }
        for (int d = 0; d < MUSIC_LONGEST_CHORD; d++)
            even.length[m][d] = -(float)log(MUSIC_LONGEST_CHORD);
    }
    return table ? 0 : -1;
}

static int unload(void **state)
{
    (void)state;
    music_harmony_table_free(table);
    return 0;
}

/* A song of n_bars 4/4 bars, half a second a beat, and what a network might say of it. */
typedef struct song {
    double beats[4 * MAX_UNITS];
    music_harmony_input in;
    music_harmony_unit *units;
    int n;
    float degree[MAX_UNITS][N], colour[MAX_UNITS][MUSIC_COLOURS];
    music_chord_span *spans;
    int n_spans;
} song;

static void start(song *s, int n_beats, int per_bar, const char *genre, music_key key)
{
    bl_error err = { 0 };
    memset(s, 0, sizeof *s);
    for (int i = 0; i < n_beats; i++)
        s->beats[i] = 0.5 * i;
    s->in = (music_harmony_input){ .beats_s = s->beats, .n_beats = n_beats, .beats_per_bar = per_bar, .genre = genre, .key = key,
                                   .start_s = 0, .end_s = 0.5 * (n_beats - 1) };
    assert_int_equal(music_harmony_units(&s->in, &s->units, &s->n, &err), BL_OK);
    for (int t = 0; t < s->n; t++) {
        for (int j = 0; j < N; j++)
            s->degree[t][j] = -(float)log(N);
        for (int k = 0; k < MUSIC_COLOURS; k++)
            s->colour[t][k] = k == MUSIC_TRIAD ? (float)log(0.97) : (float)log(0.01);
    }
}

/* The network is sure of a chord from unit `from` on, for `count` units. */
static void sure(song *s, int from, int count, const char *name)
{
    music_chord chord;
    assert_true(music_chord_parse(name, &chord));
    for (int t = from; t < from + count; t++)
        for (int j = 0; j < N; j++)
            s->degree[t][j] = j == music_chord_degree(chord, music_do(s->in.key)) ? (float)log(0.9) : (float)log(0.1 / (N - 1));
}

static void run(song *s, const music_harmony_table *t, const music_harmony_habits *habits)
{
    bl_error err = { 0 };
    free(s->spans);
    if (music_harmony_path(t, habits, &s->in, s->units, s->n, &s->degree[0][0], &s->colour[0][0], &s->spans, &s->n_spans, &err) != BL_OK)
        fail_msg("%s", err.msg);
}

static void end(song *s)
{
    free(s->units);
    free(s->spans);
}

static const char *at(const song *s, double t)
{
    for (int i = 0; i < s->n_spans; i++)
        if (s->spans[i].start_s <= t && t < s->spans[i].end_s)
            return s->spans[i].name;
    return "";
}

static void degrees_are_the_same_in_every_key(void **state)
{
    static const char *const names[] = { "C", "Dm", "Em", "F", "G", "Am", "Bdim", "Bb", "Fm" };
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        music_chord c, back;
        assert_true(music_chord_parse(names[i], &c));
        for (int up = 0; up < 12; up++) {
            const music_chord moved = { (c.root + up) % 12, c.quality, (c.root + up) % 12 };
            assert_int_equal(music_chord_degree(moved, up), music_chord_degree(c, 0));
            back = music_degree_chord(music_chord_degree(moved, up), up);
            assert_int_equal(back.root, moved.root);
            assert_int_equal(back.quality, moved.quality);
        }
    }
    assert_int_equal(music_do((music_key){ 9, 1 }), 0); /* A minor counts as C major */
}

static void richer_chords_count_as_their_family(void **state)
{
    static const struct { const char *name; int degree, colour; } rows[] = {
        { "Cmaj9", 0, MUSIC_SEVENTH }, { "G7", 21, MUSIC_SEVENTH }, { "Dm7", 7, MUSIC_SEVENTH }, { "Dsus4", 7, MUSIC_SUSPENDED_4 },
        { "Gsus2", 21, MUSIC_SUSPENDED_2 }, { "C5", 0, MUSIC_TRIAD }, { "Am", 28, MUSIC_TRIAD }, { "Bm7b5", 35, MUSIC_SEVENTH },
        { "F6", 15, MUSIC_TRIAD }, { "N", -1, MUSIC_TRIAD } };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        music_chord c;
        assert_true(music_chord_parse(rows[i].name, &c));
        assert_int_equal(music_chord_degree(c, 0), rows[i].degree);
        assert_int_equal(music_chord_colour(c), rows[i].colour);
    }
}

static void units_begin_on_strong_beats(void **state)
{
    static const struct { int per_bar, step; } rows[] = { { 4, 2 }, { 3, 3 }, { 6, 3 }, { 2, 2 }, { 5, 5 }, { 7, 7 } };
    (void)state;
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        song s;
        start(&s, 10 * rows[r].per_bar + 1, rows[r].per_bar, "pop", (music_key){ 0, 0 });
        assert_int_equal(s.n, 10 * rows[r].per_bar / rows[r].step);
        for (int t = 0; t < s.n; t++) {
            assert_true(s.units[t].start_s == 0.5 * t * rows[r].step);
            assert_int_equal(s.units[t].mid_bar, t * rows[r].step % rows[r].per_bar != 0);
            assert_int_equal(s.units[t].bar, t * rows[r].step / rows[r].per_bar);
        }
        end(&s);
    }
}

static void a_pickup_is_a_unit_of_its_own(void **state)
{
    song s;
    int is_downbeat[18] = { 0 };
    bl_error err = { 0 };
    (void)state;
    start(&s, 18, 4, "pop", (music_key){ 0, 0 });
    for (int i = 1; i < 18; i += 4) /* beat 1, 5, ...: the song begins on the last beat of a bar */
        is_downbeat[i] = 1;
    free(s.units);
    s.in.is_downbeat = is_downbeat;
    assert_int_equal(music_harmony_units(&s.in, &s.units, &s.n, &err), BL_OK);
    assert_int_equal(s.n, 9);
    assert_true(s.units[0].end_s == 0.5 && s.units[0].mid_bar && !s.units[1].mid_bar && s.units[1].end_s == 1.5);
    end(&s);
}

static void what_the_network_is_sure_of_is_written(void **state)
{
    static const char *const chords[] = { "C", "Am", "F", "G", "C", "F", "G", "C" };
    song s;
    (void)state;
    start(&s, 33, 4, "pop", (music_key){ 0, 0 });
    for (int i = 0; i < 8; i++)
        sure(&s, 2 * i, 2, chords[i]);
    run(&s, table, &even);
    for (int i = 0; i < 8; i++)
        assert_string_equal(at(&s, 2 * i + 0.1), chords[i]);
    assert_true(s.spans[0].start_s == 0 && s.spans[s.n_spans - 1].end_s == 16);
    end(&s);
}

/* Learned durations decide: the same evidence, chords of a whole bar at least or none shorter than four. */
static void lengths_are_those_of_the_corpus(void **state)
{
    static const char text[] = "[decoder]\nduration = 1\n[any]\nevidence = 3\n";
    bl_error err = { 0 };
    music_harmony_table *t = music_harmony_table_parse(text, "text", &err);
    (void)state;
    assert_string_equal(err.msg, "");
    for (int least = 1; least <= 4; least *= 2) {
        song s;
        music_harmony_habits habits = even;
        for (int p = 0; p < 2; p++)
            for (int d = 0; d < MUSIC_LONGEST_CHORD; d++)
                habits.length[p][d] = d + 1 < least ? -60 : -3;
        start(&s, 33, 4, "any", (music_key){ 0, 0 });
        for (int i = 0; i < 16; i++)
            sure(&s, i, 1, i % 2 ? "G" : "C");
        run(&s, t, &habits);
        for (int i = 0; i + 1 < s.n_spans; i++) /* the last one is cut by the song's end */
            if (s.spans[i].end_s - s.spans[i].start_s < least - 1e-9)
                fail_msg("a chord of %g s where the corpus has none below %d", s.spans[i].end_s - s.spans[i].start_s, least);
        assert_int_equal(s.n_spans == 16, least == 1);
        end(&s);
    }
    music_harmony_table_free(t);
}

/* Of two chords that are as likely, tension takes the one that is not sung, prior the rarer one. */
static void tension_and_prior_lean_where_they_say(void **state)
{
    static const struct { const char *text, *written; } rows[] = {
        { "[decoder]\nevidence = 3\n[any]\ntension = -1\n", "C" }, { "[decoder]\nevidence = 3\n[any]\ntension = 1\n", "Bb" },
        { "[decoder]\nevidence = 3\n[any]\nprior = 0\ntension = -0.1\n", "C" }, { "[decoder]\nevidence = 3\n[any]\nprior = 1\n", "Bb" } };
    (void)state;
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        bl_error err = { 0 };
        music_harmony_table *t = music_harmony_table_parse(rows[r].text, "text", &err);
        music_harmony_habits habits = even;
        song s;
        music_note note = { 0, 16, 64, 90 };
        start(&s, 33, 4, "any", (music_key){ 0, 0 });
        s.in.melody = &note;
        s.in.n_melody = 1;
        habits.share[0][0] = -1;
        for (int u = 0; u < s.n; u++)
            for (int j = 0; j < N; j++)
                s.degree[u][j] = j == 0 || j == 30 ? (float)log(0.45) : (float)log(0.1 / (N - 2)); /* C or Bb */
        run(&s, t, &habits);
        assert_string_equal(at(&s, 4.1), rows[r].written);
        end(&s);
        music_harmony_table_free(t);
    }
}

static void one_chord_may_last_for_the_whole_song(void **state)
{
    song s;
    (void)state;
    start(&s, 401, 4, "pop", (music_key){ 0, 0 });
    sure(&s, 0, s.n, "F");
    run(&s, table, &even);
    assert_int_equal(s.n_spans, 1);
    assert_string_equal(s.spans[0].name, "F");
    end(&s);
}

static void sections_of_one_name_get_the_same_chords(void **state)
{
    static const music_harmony_section sections[] = { { 0, 8, 0 }, { 8, 16, 1 }, { 16, 24, 0 } };
    static const char *const first[] = { "C", "Am", "F", "G" }, *const other[] = { "F", "F", "Dm", "G" };
    song s;
    (void)state;
    start(&s, 49, 4, "pop", (music_key){ 0, 0 });
    for (int i = 0; i < 4; i++) {
        sure(&s, 2 * i, 2, first[i]);
        sure(&s, 8 + 2 * i, 2, other[i]);
    }
    run(&s, table, &even); /* nothing is known of the third one ... */
    assert_string_not_equal(at(&s, 18.1), "Am");
    s.in.sections = sections;
    s.in.n_sections = 3;
    run(&s, table, &even); /* ... but that it is the first one again */
    for (int i = 0; i < 4; i++)
        assert_string_equal(at(&s, 16 + 2 * i + 0.1), first[i]);
    assert_string_equal(at(&s, 8.1), "F");
    end(&s);
}

static void the_end_comes_home(void **state)
{
    song s;
    (void)state;
    start(&s, 33, 4, "rock", (music_key){ 4, 1 });
    run(&s, table, &even);
    assert_true(!strcmp(s.spans[s.n_spans - 1].name, "Em") || !strcmp(s.spans[s.n_spans - 1].name, "E5"));
    end(&s);
}

/* Every spelling of a genre stands for its degree, and is used where the singer allows it. */
static void genres_have_their_vocabulary(void **state)
{
    static const struct { const char *genre, *plain, *sung, *written; } rows[] = {
        { "jazz", "Dm", "D", "Dm9" }, { "jazz", "C", "C", "C6" }, /* the singer holds C: no B beside it */
        { "jazz", "G", "D", "G9" },   { "blues", "C", "C", "C9" },
        { "blues", "F", "E", "F" },   /* no Eb beside the singer's E */
        { "metal", "C", "G", "C5" },  { "metal", "C", "E", "C" },  /* the third is sung */
        { "rock", "C", "C", "C" },    { "rock", "Bb", "F", "Bb5" },
        { "pop", "C", "C", "C" },     { "classical", "G", "D", "G7" } };
    (void)state;
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        song s;
        music_chord c;
        music_note note = { 0, 16, 60, 90 };
        start(&s, 33, 4, rows[r].genre, (music_key){ 0, 0 });
        sure(&s, 0, s.n, rows[r].plain);
        assert_true(music_chord_parse(rows[r].sung, &c));
        note.pitch += c.root;
        s.in.melody = &note;
        s.in.n_melody = 1;
        for (int t = 0; t < s.n; t++)
            s.colour[t][MUSIC_SEVENTH] = s.colour[t][MUSIC_SUSPENDED_2] = s.colour[t][MUSIC_SUSPENDED_4] = -9;
        run(&s, table, &even);
        if (strcmp(at(&s, 4.1), rows[r].written))
            fail_msg("%s writes %s for %s over %s; expected %s", rows[r].genre, at(&s, 4.1), rows[r].plain, rows[r].sung, rows[r].written);
        end(&s);
    }
}

static void roots_are_spelled_by_their_degree(void **state)
{
    static const struct { music_key key; const char *chord; } rows[] = {
        { { 0, 0 }, "Bb" }, { { 0, 0 }, "Ab" }, { { 0, 0 }, "F#dim" }, { { 9, 1 }, "Bb" }, { { 2, 1 }, "F#" }, { { 4, 0 }, "D" },
        { { 5, 0 }, "Bb" }, { { 4, 1 }, "C#dim" }, { { 9, 0 }, "Bb" } };
    (void)state;
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        song s;
        start(&s, 33, 4, "pop", rows[r].key);
        sure(&s, 0, s.n, rows[r].chord);
        for (int t = 0; t < s.n; t++)
            s.colour[t][MUSIC_SEVENTH] = s.colour[t][MUSIC_SUSPENDED_2] = s.colour[t][MUSIC_SUSPENDED_4] = -9;
        run(&s, table, &even);
        assert_string_equal(at(&s, 4.1), rows[r].chord);
        end(&s);
    }
}

static void a_suspension_that_is_heard_is_written(void **state)
{
    song s;
    (void)state;
    start(&s, 17, 4, "pop", (music_key){ 0, 0 });
    sure(&s, 0, s.n, "G");
    for (int t = 0; t < s.n; t++)
        for (int k = 0; k < MUSIC_COLOURS; k++)
            s.colour[t][k] = k == MUSIC_SUSPENDED_4 ? -0.1f : -4;
    run(&s, table, &even);
    assert_string_equal(s.spans[0].name, "Gsus4");
    end(&s);
}

static void ten_genres_have_habits(void **state)
{
    static const char *const genres[] = { "rock", "pop", "jazz", "classical", "blues", "country", "reggae", "disco", "metal", "hip-hop" };
    (void)state;
    for (size_t i = 0; i < sizeof genres / sizeof *genres; i++) {
        int found = 0;
        for (int k = 0; music_harmony_genre(table, k); k++)
            found |= !strcmp(music_harmony_genre(table, k), genres[i]);
        if (!found)
            fail_msg("no [%s] in configs/harmony.ini", genres[i]);
    }
}

static void faults_are_named(void **state)
{
    static const struct { const char *text, *message; } rows[] = {
        { "[decoder]\n", "no section for a genre" },
        { "[x]\nprefer major = H 2\n", "x.ini line 2: [x] prefer major: expected chords like \"bVII 2\", got \"H\"" },
        { "[x]\nprefer major = V\n", "\"V\" needs a factor above 0" },
        { "[x]\nmoves minor = V 2\n", "expected moves like" },
        { "[x]\nspell major = I:Ixyz\n", "\"Ixyz\" is no chord" },
        { "[x]\nspell major = I\n", "expected words like \"ii:ii9,ii7\"" },
        { "[x]\nchange = 1\n", "expected two numbers" },
        { "[x]\nevidence = -1\n", "evidence" },
        { "[x]\nevidense = 1\n", "evidense" },
    };
    bl_error err = { 0 };
    double beats[] = { 0, 1 }, wrong[] = { 1, 0 };
    music_harmony_unit *units;
    song s;
    int n;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_null(music_harmony_table_parse(rows[i].text, "x.ini", &err));
        assert_message(err, rows[i].message);
        bl_error_clear(&err);
    }
    music_harmony_input in = { .beats_s = beats, .n_beats = 1, .beats_per_bar = 4, .end_s = 2 };
    assert_int_equal(music_harmony_units(&in, &units, &n, &err), BL_EARG);
    assert_message(err, "chords need two beats");
    bl_error_clear(&err);
    in.n_beats = 2;
    in.beats_s = wrong;
    assert_int_equal(music_harmony_units(&in, &units, &n, &err), BL_EARG);
    assert_message(err, "beat 2 at 0 s");
    bl_error_clear(&err);
    assert_null(music_harmony_table_load("no/such.ini", &err));
    assert_message(err, "no/such.ini");
    bl_error_clear(&err);
    start(&s, 9, 4, "polka", (music_key){ 0, 0 });
    assert_int_equal(music_harmony_path(table, &even, &s.in, s.units, s.n, &s.degree[0][0], &s.colour[0][0], &s.spans, &s.n_spans, &err), BL_EARG);
    assert_message(err, "no harmony for genre \"polka\"; there are pop, rock");
    end(&s);
}

/* A checkpoint gone wrong says so; one whose habits forbid everything still ends. */
static void what_is_no_number_is_an_error_and_nothing_lasts_forever(void **state)
{
    static music_harmony_habits never;
    bl_error err = { 0 };
    song s;
    (void)state;
    for (int m = 0; m < 2; m++)
        for (int d = 0; d < MUSIC_LONGEST_CHORD; d++)
            never.length[m][d] = -HUGE_VALF;
    start(&s, 33, 4, "pop", (music_key){ 0, 0 });
    assert_int_equal(music_harmony_path(table, &never, &s.in, s.units, s.n, &s.degree[0][0], &s.colour[0][0], &s.spans, &s.n_spans, &err), BL_OK);
    assert_true(s.n_spans > 0);
    free(s.spans);
    s.spans = NULL;
    s.degree[3][5] = NAN;
    assert_int_equal(music_harmony_path(table, &even, &s.in, s.units, s.n, &s.degree[0][0], &s.colour[0][0], &s.spans, &s.n_spans, &err), BL_ENAN);
    assert_message(err, "its checkpoint is not usable");
    assert_null(s.spans);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(degrees_are_the_same_in_every_key),
        cmocka_unit_test(richer_chords_count_as_their_family),
        cmocka_unit_test(units_begin_on_strong_beats),
        cmocka_unit_test(a_pickup_is_a_unit_of_its_own),
        cmocka_unit_test(what_the_network_is_sure_of_is_written),
        cmocka_unit_test(lengths_are_those_of_the_corpus),
        cmocka_unit_test(tension_and_prior_lean_where_they_say),
        cmocka_unit_test(one_chord_may_last_for_the_whole_song),
        cmocka_unit_test(sections_of_one_name_get_the_same_chords),
        cmocka_unit_test(the_end_comes_home),
        cmocka_unit_test(genres_have_their_vocabulary),
        cmocka_unit_test(roots_are_spelled_by_their_degree),
        cmocka_unit_test(a_suspension_that_is_heard_is_written),
        cmocka_unit_test(ten_genres_have_habits),
        cmocka_unit_test(faults_are_named),
        cmocka_unit_test(what_is_no_number_is_an_error_and_nothing_lasts_forever),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
