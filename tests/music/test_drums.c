#include "music/arrange.h"
#include "music/style.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/message.h"

enum { MOST_BEATS = 400 };

/* `bars` bars of one chord; somebody sings in all but the first two, louder in the second half. */
typedef struct song {
    double           beats[MOST_BEATS + 1], downbeats[MOST_BEATS];
    music_note       melody[MOST_BEATS];
    music_chord_span chord;
    int              n_beats, n_downbeats, n_melody, beats_per_bar;
    double           period_s;
} song;

static const char *const drums_alone[] = { "drums" };

static void compose(song *s, double bpm, int beats_per_bar, int bars)
{
    memset(s, 0, sizeof *s);
    s->beats_per_bar = beats_per_bar;
    s->period_s = 60 / bpm;
    s->n_beats = bars * beats_per_bar + 1;
    assert_true(s->n_beats <= MOST_BEATS);
    for (int i = 0; i < s->n_beats; i++) {
        s->beats[i] = 0.4 + i * s->period_s;
        if (i % beats_per_bar == 0)
            s->downbeats[s->n_downbeats++] = s->beats[i];
        if (i >= 2 * beats_per_bar && i + 1 < s->n_beats)
            s->melody[s->n_melody++] = (music_note){ s->beats[i], s->beats[i] + 0.9 * s->period_s, 60 + i % 3, i > s->n_beats / 2 ? 110 : 60 };
    }
    s->chord = (music_chord_span){ 0, s->beats[s->n_beats - 1] + 3, "C", 0 };
}

static music_arrange_input input_of(const song *s, const music_style *style, uint64_t seed, const music_drummer *drummer)
{
    return (music_arrange_input){ .duration_s = s->beats[s->n_beats - 1] + 3, .beats_s = s->beats, .n_beats = s->n_beats,
        .downbeats_s = s->downbeats, .n_downbeats = s->n_downbeats, .beats_per_bar = s->beats_per_bar, .chords = &s->chord, .n_chords = 1,
        .melody = s->melody, .n_melody = s->n_melody, .style = style, .instruments = drums_alone, .n_instruments = 1, .seed = seed,
        .drummer = drummer };
}

static music_score arrange(const music_arrange_input *in)
{
    bl_error err = { 0 };
    music_score score;
    if (music_arrange(in, &score, &err) != BL_OK)
        fail_msg("%s", err.msg);
    assert_int_equal(score.n_tracks, 1);
    return score;
}

static music_style *load(const char *genre)
{
    char path[64];
    bl_error err = { 0 };
    snprintf(path, sizeof path, "configs/styles/%s.ini", genre);
    music_style *style = music_style_load(path, &err);
    if (!style)
        fail_msg("%s", err.msg);
    return style;
}

static music_style *parse(const char *text)
{
    bl_error err = { 0 };
    music_style *style = music_style_parse(text, "test.ini", &err);
    if (!style)
        fail_msg("%s", err.msg);
    return style;
}

/* ---- drummers ---- */

/* Far too early and too late in turn, and as loud as can be. */
static bl_status wild(void *user, const char *manner, uint64_t seed, music_drum_hit *hits, int n_hits, bl_error *err)
{
    (void)manner, (void)seed, (void)err;
    *(int *)user += n_hits;
    for (int i = 0; i < n_hits; i++) {
        if (i) /* in order of time, strokes together */
            assert_true(hits[i].time_s >= hits[i - 1].time_s - 1e-9);
        assert_true(hits[i].place >= 0 && hits[i].place < 1 && hits[i].beat < hits[i].n_beats && hits[i].velocity >= 1);
        hits[i].late_s = i % 2 ? 0.4 : -0.4;
        hits[i].velocity = 127;
    }
    return BL_OK;
}

static bl_status ill(void *user, const char *manner, uint64_t seed, music_drum_hit *hits, int n_hits, bl_error *err)
{
    (void)user, (void)seed, (void)hits, (void)n_hits;
    return bl_fail(err, BL_EFORMAT, "the drummer who plays %s is ill", manner);
}

static const char *const genres[] = { "rock", "pop", "jazz", "classical", "blues", "country", "reggae", "disco", "metal", "hip-hop" };
enum { N_GENRES = 10 };

/* To the nearest sixteenth, swung as the style swings, or triplet. */
static double from_grid(const song *s, const music_style *style, double t)
{
    double best = 1e9;
    for (int i = 0; i + 1 < s->n_beats; i++)
        for (int k = 0; k < 7; k++)
            best = fmin(best, fabs(s->beats[i] + music_style_swing(style, 60 / s->period_s, k < 4 ? k : k - 4, k < 4 ? 4 : 3) * s->period_s - t));
    return fmin(best, fabs(s->beats[s->n_beats - 1] - t));
}

static void the_wildest_drummer_is_held_to_the_grid_in_every_genre_and_meter(void **state)
{
    static song s;
    static const int meters[] = { 4, 3, 6, 5, 2 };
    (void)state;
    for (int g = 0; g < N_GENRES; g++) {
        music_style *style = load(genres[g]);
        for (int m = 0; m < 5; m++) {
            int asked = 0;
            const music_drummer drummer = { wild, &asked };
            compose(&s, meters[m] == 6 ? 180 : 95, meters[m], 20);
            const music_arrange_input in = input_of(&s, style, 3, &drummer);
            music_score score = arrange(&in);
            const music_track *t = &score.tracks[0];
            assert_true(asked >= t->n_notes && t->n_notes > 20);
            for (int i = 0; i < t->n_notes; i++) {
                if (from_grid(&s, style, t->notes[i].onset_s) > 0.035)
                    fail_msg("%s in %d: %g s is off the grid", genres[g], meters[m], t->notes[i].onset_s);
                assert_true(t->notes[i].velocity >= 30 && t->notes[i].velocity <= 127);
            }
            music_score_free(&score);
        }
        music_style_free(style);
    }
}

static void a_drummer_who_fails_is_quoted(void **state)
{
    static song s;
    bl_error err = { 0 };
    music_score score;
    const music_drummer drummer = { ill, NULL };
    (void)state;
    compose(&s, 100, 4, 12);
    music_style *style = load("reggae");
    const music_arrange_input in = input_of(&s, style, 1, &drummer);
    assert_int_equal(music_arrange(&in, &score, &err), BL_EFORMAT);
    assert_message(err, "the drummer who plays reggae is ill");
    assert_null(score.tracks);
    music_style_free(style);
}

/* ---- styles of our own ---- */

/* Kick, snare, and a bell in every fourth bar, a ride in every eighth; fills of three sizes. */
#define HEAD "[style]\ngenre = test\nhumanize_ms = 0\nsection_bars = 8\ncrash = crash\n"
#define BEAT "[pattern beat]\nkind = drums\nkick = 8... .... 8... ....\nsnare = .... 8... .... 8...\n"
#define FILLS "[pattern small]\nkind = drums\nbeats = 1\ntom1 = 8.8.\n[pattern big]\nkind = drums\nbeats = 4\ntom3 = 8888 8888 8888 8888\n"
#define PART "[instrument drums]\nrole = drums\nlevel 1 = beat\nlevel 2 = beat\nlevel 3 = beat\n"

/* Bar of a note, -1 before the first beat. */
static int bar_of(const song *s, double t)
{
    return (int)floor((t + 0.04 - s->beats[0]) / (s->period_s * s->beats_per_bar));
}

static int count_in_bar(const song *s, const music_track *t, int bar, int pitch)
{
    int n = 0;
    for (int i = 0; i < t->n_notes; i++)
        n += t->notes[i].pitch == pitch && bar_of(s, t->notes[i].onset_s) == bar;
    return n;
}

static void without_feel_nobody_is_asked(void **state)
{
    static song s;
    int asked = 0;
    const music_drummer drummer = { wild, &asked };
    (void)state;
    compose(&s, 120, 4, 12);
    music_style *style = parse(HEAD "feel = 0\n" BEAT PART);
    const music_arrange_input in = input_of(&s, style, 1, &drummer);
    music_score score = arrange(&in);
    assert_int_equal(asked, 0);
    for (int i = 0; i < score.tracks[0].n_notes; i++)
        assert_true(from_grid(&s, style, score.tracks[0].notes[i].onset_s) < 0.0011); /* as written */
    music_score_free(&score);
    music_style_free(style);
}

static void half_of_the_feel_is_half_of_the_drummers_velocity(void **state)
{
    static song s;
    int asked = 0;
    const music_drummer drummer = { wild, &asked };
    double mean[2] = { 0 };
    (void)state;
    compose(&s, 120, 4, 12);
    static const char *const text[] = { HEAD "feel = 0\n" BEAT PART, HEAD "feel = 0.5\n" BEAT PART };
    for (int k = 0; k < 2; k++) {
        music_style *style = parse(text[k]);
        const music_arrange_input in = input_of(&s, style, 1, &drummer);
        music_score score = arrange(&in);
        for (int i = 0; i < score.tracks[0].n_notes; i++)
            mean[k] += (double)score.tracks[0].notes[i].velocity / score.tracks[0].n_notes;
        music_score_free(&score);
        music_style_free(style);
    }
    assert_true(fabs(mean[1] - 0.5 * (mean[0] + 127)) < 2);
}

static void every_fourth_and_eighth_bar_of_a_section_is_varied(void **state)
{
    static song s;
    (void)state;
    compose(&s, 120, 4, 26);
    music_style *style = parse(HEAD BEAT "every 4 = fourth\nevery 8 = eighth\n"
                               "[pattern fourth]\nkind = drums\nbell = 8... .... .... ....\n"
                               "[pattern eighth]\nkind = drums\nride = 8... .... .... ....\n" PART);
    music_form_part form[] = { { 0, 0 }, { s.downbeats[2] + 0.01, 1 }, { s.downbeats[18] + 0.01, 2 } };
    music_arrange_input in = input_of(&s, style, 1, NULL);
    in.sections = form;
    in.n_sections = 3;
    music_score score = arrange(&in);
    const music_track *t = &score.tracks[0];
    for (int bar = 2; bar < 18; bar++) {
        const int k = bar - 2 + 1; /* counted from 1 in the section */
        assert_int_equal(count_in_bar(&s, t, bar, 53), k % 8 && k % 4 == 0);
        assert_int_equal(count_in_bar(&s, t, bar, 51), k % 8 == 0);
        assert_int_equal(count_in_bar(&s, t, bar, 38), k % 4 ? 2 : 0);
    }
    music_score_free(&score);
    music_style_free(style);
}

static void fills_stand_before_sections_and_grow_with_what_comes(void **state)
{
    static song s;
    (void)state;
    compose(&s, 120, 4, 26);
    music_style *style = parse(HEAD BEAT FILLS PART "fills = small big\n");
    music_form_part form[] = { { 0, 0 }, { s.downbeats[4] + 0.01, 1 }, { s.downbeats[12] + 0.01, 2 }, { s.downbeats[20] + 0.01, 1 } };
    for (int i = 0; i < s.n_melody; i++) /* the third section is the loud one */
        s.melody[i].velocity = bar_of(&s, s.melody[i].onset_s) / 4 == 3 || bar_of(&s, s.melody[i].onset_s) / 4 == 4 ? 120 : 50;
    music_arrange_input in = input_of(&s, style, 1, NULL);
    in.sections = form;
    in.n_sections = 4;
    music_score score = arrange(&in);
    const music_track *t = &score.tracks[0];
    assert_true(count_in_bar(&s, t, 11, 43) >= 8 && count_in_bar(&s, t, 11, 38) == 0); /* the big one into the loud section */
    assert_true(count_in_bar(&s, t, 12, 49) == 1 && count_in_bar(&s, t, 13, 49) == 0); /* and a crash behind it */
    assert_int_equal(count_in_bar(&s, t, 3, 50), 2);                                  /* small ones into the quiet ones */
    assert_int_equal(count_in_bar(&s, t, 19, 50), 2);
    assert_int_equal(count_in_bar(&s, t, 3, 43) + count_in_bar(&s, t, 19, 43), 0);
    music_score_free(&score);
    music_style_free(style);
}

static void a_fill_for_the_meter_is_preferred(void **state)
{
    static song s;
    (void)state;
    for (int meter = 3; meter <= 6; meter += 3) {
        compose(&s, 120, meter, 14);
        music_style *style = parse(HEAD BEAT FILLS "[pattern six]\nkind = drums\nbar = 6\nbeats = 2\nsteps = 2\nclap = 88 88\n" PART
                                   "fills = small big six\n");
        music_form_part form[] = { { 0, 0 }, { s.downbeats[6] + 0.01, 1 } };
        music_arrange_input in = input_of(&s, style, 1, NULL);
        in.sections = form;
        in.n_sections = 2;
        music_score score = arrange(&in);
        assert_int_equal(count_in_bar(&s, &score.tracks[0], 5, 39), meter == 6 ? 4 : 0);
        assert_int_equal(count_in_bar(&s, &score.tracks[0], 5, 50), meter == 6 ? 0 : 2); /* the big one is too long for three */
        music_score_free(&score);
        music_style_free(style);
    }
}

static void a_meter_takes_the_patterns_that_count_as_it_does(void **state)
{
    static song s;
    (void)state;
    music_style *style = parse(HEAD BEAT "[pattern three]\nkind = drums\nbeats = 3\nclap = 8... .... ....\n"
                               "[instrument drums]\nrole = drums\nlevel 1 = three beat\nlevel 2 = three beat\nlevel 3 = three beat\n");
    for (int meter = 2; meter <= 9; meter++) {
        compose(&s, 120, meter, 12);
        const music_arrange_input in = input_of(&s, style, 1, NULL);
        music_score score = arrange(&in);
        int claps = 0;
        for (int bar = 2; bar < 10; bar++)
            claps += count_in_bar(&s, &score.tracks[0], bar, 39) > 0;
        assert_int_equal(claps, meter % 3 == 0 ? 8 : 0);
        music_score_free(&score);
    }
    music_style_free(style);
}

static void a_cymbal_lies_under_a_chord_that_is_held(void **state)
{
    static song s;
    (void)state;
    compose(&s, 120, 4, 16);
    music_style *style = parse(HEAD "hold = ride\n" BEAT PART);
    music_arrange_input in = input_of(&s, style, 1, NULL);
    const music_interval until = { 0, s.downbeats[8] + 2.5 * s.period_s }; /* ends within bar 8 */
    in.intervals = &until;
    in.n_intervals = 1;
    music_score score = arrange(&in);
    const music_track *t = &score.tracks[0];
    assert_int_equal(count_in_bar(&s, t, 7, 51), 0);
    assert_int_equal(count_in_bar(&s, t, 8, 51), 1);
    assert_int_equal(count_in_bar(&s, t, 8, 38), 0);
    assert_int_equal(bar_of(&s, t->notes[t->n_notes - 1].onset_s), 8);
    music_score_free(&score);
    music_style_free(style);
}

static void sixteenths_of_the_drums_survive_a_fast_song(void **state)
{
    static song s;
    (void)state;
    compose(&s, 180, 4, 12); /* 83 ms apart */
    music_style *style = parse(HEAD "[pattern beat]\nkind = drums\nkick = 9777 8777 9777 8777\n" PART);
    const music_arrange_input in = input_of(&s, style, 1, NULL);
    music_score score = arrange(&in);
    for (int bar = 2; bar < 8; bar++)
        assert_int_equal(count_in_bar(&s, &score.tracks[0], bar, 36), 16);
    music_score_free(&score);
    music_style_free(style);
}

static void mistakes_in_drum_patterns_are_named_with_their_line(void **state)
{
    bl_error err = { 0 };
    (void)state;
    assert_null(music_style_parse(HEAD BEAT "every 4 = three\n[pattern three]\nkind = drums\nbeats = 3\nkick = 8... .... ....\n" PART, "x.ini", &err));
    assert_message(err, "x.ini line 10: [pattern beat] every 4: bars of another length has three");
    bl_error_clear(&err);
    assert_null(music_style_parse(HEAD BEAT "every 2 = nobody\n" PART, "x.ini", &err));
    assert_message(err, "there is no pattern nobody");
    bl_error_clear(&err);
    assert_null(music_style_parse(HEAD "hold = trombone\n" BEAT PART, "x.ini", &err));
    assert_message(err, "x.ini line 6: [style] hold: not a drum, or one too many: trombone");
    bl_error_clear(&err);
    assert_null(music_style_parse(HEAD "feel = 2\n" BEAT PART, "x.ini", &err));
    assert_message(err, "feel");
}

/* ---- the ten that ship ---- */

/* How often each of kick, snare (or stick, clap), hat and ride is struck at each sixteenth (of 12 places for triplets too) of a bar. */
static void histogram(const song *s, const music_track *t, double out[4 * 48])
{
    memset(out, 0, 4 * 48 * sizeof *out);
    for (int i = 0; i < t->n_notes; i++) {
        const int drum = t->notes[i].pitch, k = drum == 36 ? 0 : drum >= 37 && drum <= 40 ? 1 : drum == 42 || drum == 46 ? 2 : drum == 51 ? 3 : -1;
        const double beats = (t->notes[i].onset_s - s->beats[0]) / s->period_s;
        if (k >= 0)
            out[48 * k + ((int)lround(12 * beats) % 48 + 48) % 48] += 1.0 / t->n_notes;
    }
}

static void genres_differ_and_songs_are_no_loops(void **state)
{
    static song s;
    static double h[N_GENRES][4 * 48];
    (void)state;
    compose(&s, 110, 4, 40);
    for (int g = 0; g < N_GENRES; g++) {
        music_style *style = load(genres[g]);
        const music_arrange_input in = input_of(&s, style, 5, NULL);
        music_score score = arrange(&in);
        const music_track *t = &score.tracks[0];
        int kinds = 0;
        char seen[40][400] = { "" };
        histogram(&s, t, h[g]);
        for (int bar = 0; bar < 40; bar++) { /* how many different bars */
            char text[400] = "";
            for (int i = 0; i < t->n_notes; i++)
                if (bar_of(&s, t->notes[i].onset_s) == bar && strlen(text) < 380)
                    snprintf(text + strlen(text), sizeof text - strlen(text), "%d@%ld ", t->notes[i].pitch,
                             lround(12 * (t->notes[i].onset_s - s.beats[0]) / s.period_s) % 48);
            int k = 0;
            while (k < kinds && strcmp(seen[k], text))
                k++;
            if (k == kinds)
                strcpy(seen[kinds++], text);
        }
        if (kinds < 6)
            fail_msg("%s: only %d different bars in 40", genres[g], kinds);
        music_score_free(&score);
        music_style_free(style);
    }
    for (int a = 0; a < N_GENRES; a++)
        for (int b = 0; b < a; b++) {
            double apart = 0;
            for (int i = 0; i < 4 * 48; i++)
                apart += 0.5 * fabs(h[a][i] - h[b][i]);
            if (apart < 0.1)
                fail_msg("%s and %s differ by %g only", genres[a], genres[b], apart);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_wildest_drummer_is_held_to_the_grid_in_every_genre_and_meter),
        cmocka_unit_test(a_drummer_who_fails_is_quoted),
        cmocka_unit_test(without_feel_nobody_is_asked),
        cmocka_unit_test(half_of_the_feel_is_half_of_the_drummers_velocity),
        cmocka_unit_test(every_fourth_and_eighth_bar_of_a_section_is_varied),
        cmocka_unit_test(fills_stand_before_sections_and_grow_with_what_comes),
        cmocka_unit_test(a_fill_for_the_meter_is_preferred),
        cmocka_unit_test(a_meter_takes_the_patterns_that_count_as_it_does),
        cmocka_unit_test(a_cymbal_lies_under_a_chord_that_is_held),
        cmocka_unit_test(sixteenths_of_the_drums_survive_a_fast_song),
        cmocka_unit_test(mistakes_in_drum_patterns_are_named_with_their_line),
        cmocka_unit_test(genres_differ_and_songs_are_no_loops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
