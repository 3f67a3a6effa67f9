#include "music/arrange.h"
#include "music/harmony.h"
#include "music/instrument.h"
#include "music/style_private.h"

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
#include "tests/music/song.h"

static int compare_gaps(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double bpm_of(const song *s)
{
    double gap[200];
    for (int i = 0; i + 1 < s->n_beats; i++)
        gap[i] = s->beats[i + 1] - s->beats[i];
    qsort(gap, (size_t)s->n_beats - 1, sizeof *gap, compare_gaps);
    return 60 / gap[(s->n_beats - 1) / 2];
}

/* Seconds from the nearest place where the style has sixteenths or triplets. */
static double from_grid(const song *s, const music_style *style, double t)
{
    const double bpm = bpm_of(s);
    double best = 1e9;
    for (int i = 0; i + 1 < s->n_beats; i++)
        for (int k = 0; k < 7; k++)
            best = fmin(best, fabs(s->beats[i] + music_style_swing(style, bpm, k < 4 ? k : k - 4, k < 4 ? 4 : 3) *
                                   (s->beats[i + 1] - s->beats[i]) - t));
    return fmin(best, fabs(s->beats[s->n_beats - 1] - t));
}

/* Classes of the chord at a time, or at one that follows within 31 ms (an onset may be a little early). */
static unsigned chord_at(const song *s, double t)
{
    music_chord c;
    for (int i = s->n_chords - 1; i >= 0; i--)
        if (s->chords[i].start_s <= t + 0.031 && music_chord_parse(s->chords[i].name, &c))
            return music_chord_classes(c);
    return music_key_classes(s->key);
}

static unsigned blues_of(const song *s, const music_style *style)
{
    static const int steps[] = { 0, 3, 5, 6, 7, 10 };
    unsigned classes = 0;
    for (int i = 0; i < 6 && style->blues; i++)
        classes |= 1u << (s->key.tonic + steps[i]) % 12;
    return classes;
}

static double next_beat(const song *s, double t)
{
    for (int i = 0; i < s->n_beats; i++)
        if (s->beats[i] > t + 0.045)
            return s->beats[i];
    return s->duration_s;
}

/* A note that is no tone of its chord: may the style have it, and does it lead by step to one by the next beat? */
static int passes(const song *s, const music_style *style, const music_track *t, int i, unsigned at_home)
{
    const unsigned scale = music_key_classes(s->key) | blues_of(s, style);
    const double limit = next_beat(s, t->notes[i].onset_s) + 0.045;
    for (int from = i;;) {
        const int chromatic = !(scale >> (t->notes[from].pitch % 12) & 1), step = chromatic ? 1 : 2;
        int next = from + 1, found = -1;
        if (style->passing == STYLE_NONE || (chromatic && style->passing != STYLE_CHROMATIC))
            return 0;
        while (next < t->n_notes && t->notes[next].onset_s - t->notes[from].onset_s <= 0.05)
            next++;
        for (int k = next; k < t->n_notes && t->notes[k].onset_s - t->notes[next].onset_s <= 0.05; k++)
            if (abs(t->notes[k].pitch - t->notes[from].pitch) <= step && t->notes[k].onset_s <= limit) {
                if ((at_home | chord_at(s, t->notes[k].onset_s)) >> (t->notes[k].pitch % 12) & 1)
                    return 1;
                found = k;
            }
        if (found < 0)
            return 0;
        from = found;
    }
}

/* Everything that arrange.h promises of a track. */
static void check_track(const song *s, const music_style *style, const music_track *t)
{
    const music_instrument *in = music_instrument_find(t->name);
    assert_non_null(in);
    assert_true(t->n_notes > 0);
    for (int i = 0; i < t->n_notes; i++) {
        const music_note *n = &t->notes[i];
        int sounding = 0;
        if (from_grid(s, style, n->onset_s) > 0.035)
            fail_msg("%s: onset %g off the grid", t->name, n->onset_s);
        assert_true(n->offset_s - n->onset_s > 0.0599);
        assert_true(n->onset_s >= s->beats[0] && n->offset_s <= s->duration_s);
        assert_true(n->velocity >= 30 && n->velocity <= 127);
        assert_true(n->pitch >= in->lowest && n->pitch <= in->highest);
        const style_part *part = style_find_part(style, in);
        unsigned at_home = part->fills.n || part->role == STYLE_LINE ? blues_of(s, style) : 0;
        if (!t->is_drums && !((at_home | chord_at(s, n->onset_s)) >> (n->pitch % 12) & 1) && !passes(s, style, t, i, at_home))
            fail_msg("%s, %s: pitch %d at %g s is no tone of the chord, nor does it lead to one", music_style_genre(style), t->name,
                     n->pitch, n->onset_s);
        for (int k = 0; k < t->n_notes; k++) {
            if (k < i && t->notes[k].pitch == n->pitch && t->notes[k].offset_s > n->onset_s - 0.015)
                fail_msg("%s: pitch %d at %g s starts before it ended", t->name, n->pitch, n->onset_s);
            sounding += t->notes[k].onset_s <= n->onset_s && t->notes[k].offset_s > n->onset_s;
        }
        if (sounding > in->polyphony)
            fail_msg("%s: %d notes at %g s", t->name, sounding, n->onset_s);
    }
}

static void arrange_and_check(const song *s, const char *genre, uint64_t seed)
{
    bl_error err = { 0 };
    music_score score;
    music_style *style = load(genre);
    music_arrange_input in = input_of(s, style, seed);
    if (music_arrange(&in, &score, &err) != BL_OK)
        fail_msg("%s", err.msg);
    assert_int_equal(score.n_tracks, N_ALL);
    for (int i = 0; i < score.n_tracks; i++) {
        assert_string_equal(score.tracks[i].name, all[i]);
        check_track(s, style, &score.tracks[i]);
    }
    music_score_free(&score);
    music_style_free(style);
}

static void every_instrument_keeps_the_promises_in_every_genre_and_tempo(void **state)
{
    static const char *const major[] = { "C", "Am7", "Fmaj7", "G7", "E7", "Am", "Dm7", "G" };
    static const char *const minor[] = { "Fm", "Db", "Ab", "Eb", "Bbm", "C7", "Fm/Ab", "Gdim" };
    static song s;
    (void)state;
    for (int g = 0; g < N_GENRES; g++) {
        compose(&s, 76, 4, (music_key){ 0, 0 }, major, 8, 0);
        arrange_and_check(&s, genres[g], 1);
        compose(&s, 128, 4, (music_key){ 5, 1 }, minor, 8, 1);
        arrange_and_check(&s, genres[g], 2);
        compose(&s, 196, 4, (music_key){ 0, 0 }, major, 8, 3);
        arrange_and_check(&s, genres[g], 3);
        compose(&s, 104, 3, (music_key){ 5, 1 }, minor, 8, 0);
        arrange_and_check(&s, genres[g], 4);
        compose(&s, 90, 6, (music_key){ 0, 0 }, major, 8, 1);
        arrange_and_check(&s, genres[g], 5);
        compose(&s, 100, 5, (music_key){ 0, 0 }, major, 8, 1);
        arrange_and_check(&s, genres[g], 6);
        compose(&s, 120, 2, (music_key){ 5, 1 }, minor, 8, 0);
        arrange_and_check(&s, genres[g], 7);
        compose(&s, 150, 7, (music_key){ 0, 0 }, major, 8, 0);
        arrange_and_check(&s, genres[g], 8);
    }
}

static void equal_input_gives_an_equal_score_and_another_seed_another(void **state)
{
    static const char *const loop[] = { "C", "G", "Am", "F" };
    static song s;
    music_style *style = load("jazz");
    bl_error err = { 0 };
    music_score a, b, c;
    (void)state;
    compose(&s, 120, 4, (music_key){ 0, 0 }, loop, 4, 1);
    music_arrange_input in = input_of(&s, style, 7), other = input_of(&s, style, 8);
    assert_int_equal(music_arrange(&in, &a, &err), BL_OK);
    assert_int_equal(music_arrange(&in, &b, &err), BL_OK);
    assert_int_equal(music_arrange(&other, &c, &err), BL_OK);
    int different = 0;
    for (int i = 0; i < N_ALL; i++) {
        assert_int_equal(a.tracks[i].n_notes, b.tracks[i].n_notes);
        for (int k = 0; k < a.tracks[i].n_notes; k++)
            assert_memory_equal(&a.tracks[i].notes[k], &b.tracks[i].notes[k], sizeof(music_note));
        different += a.tracks[i].n_notes != c.tracks[i].n_notes || a.tracks[i].notes[0].onset_s != c.tracks[i].notes[0].onset_s;
    }
    assert_true(different > N_ALL / 2);
    music_score_free(&a);
    music_score_free(&b);
    music_score_free(&c);
    music_style_free(style);
}

static void nothing_sounds_outside_the_intervals(void **state)
{
    static song s;
    static const music_interval intervals[] = { { 6.1, 14.7 }, { 20, 31.33 } };
    (void)state;
    compose(&s, 110, 4, (music_key){ 0, 0 }, pop_loop, 4, 0);
    music_score score = arrange_some(&s, "pop", all, N_ALL, intervals, 2);
    for (int i = 0; i < score.n_tracks; i++) {
        assert_true(score.tracks[i].n_notes > 0);
        for (int k = 0; k < score.tracks[i].n_notes; k++) {
            const music_note *n = &score.tracks[i].notes[k];
            int in = n->onset_s < 18 ? 0 : 1;
            assert_true(n->onset_s >= intervals[in].start_s && n->offset_s <= intervals[in].end_s);
        }
    }
    music_score_free(&score);
}

static void the_bass_shows_the_root_of_every_new_chord(void **state)
{
    static song s;
    static const char *const bass[] = { "bass" };
    (void)state;
    for (int g = 0; g < N_GENRES; g++) {
        compose(&s, 100, 4, (music_key){ 0, 0 }, pop_loop, 4, 0);
        music_score score = arrange_some(&s, genres[g], bass, 1, NULL, 0);
        for (int bar = 0; bar < 24; bar++) {
            music_chord c;
            int first = -1;
            assert_true(music_chord_parse(s.chords[bar].name, &c));
            for (int k = score.tracks[0].n_notes - 1; k >= 0; k--)
                if (score.tracks[0].notes[k].onset_s > s.downbeats[bar] - 0.03)
                    first = k;
            if (score.tracks[0].notes[first].onset_s > s.downbeats[bar] + (s.beats[1] - s.beats[0]) || score.tracks[0].notes[first].pitch % 12 != c.root)
                fail_msg("%s, bar %d: the bass begins with pitch %d at %g s", genres[g], bar + 1, score.tracks[0].notes[first].pitch,
                         score.tracks[0].notes[first].onset_s);
        }
        music_score_free(&score);
    }
}

/* A mix has stretches without a chord: "N". */
static void nothing_is_played_on_a_chord_that_is_none(void **state)
{
    static song s;
    static const char *const band[] = { "bass", "piano", "organ", "electric guitar" };
    (void)state;
    for (int g = 0; g < N_GENRES; g++) {
        compose(&s, 100, 4, (music_key){ 0, 0 }, pop_loop, 4, 0);
        strcpy(s.chords[8].name, "N");
        strcpy(s.chords[9].name, "N");
        music_score score = arrange_some(&s, genres[g], band, 4, NULL, 0);
        for (int i = 0; i < score.n_tracks; i++) {
            int before = 0;
            for (int k = 0; k < score.tracks[i].n_notes; k++) {
                const double onset = score.tracks[i].notes[k].onset_s;
                before += onset < s.downbeats[8] - 0.04;
                if (onset > s.downbeats[8] + 0.04 && onset < s.downbeats[10] - 0.6 * (s.beats[1] - s.beats[0]))
                    fail_msg("%s, %s: a note at %g s, where there is no chord", genres[g], score.tracks[i].name, onset);
            }
            assert_true(before > 0);
        }
        music_score_free(&score);
    }
}

static void chords_move_little_and_do_not_cross(void **state)
{
    static song s;
    static const char *const strings[] = { "strings" };
    (void)state;
    compose(&s, 100, 4, (music_key){ 0, 0 }, pop_loop, 4, 0);
    for (int i = 0; i < s.n_melody; i++)
        s.melody[i].pitch += 24; /* out of the way: no voice has to make room */
    music_score score = arrange_some(&s, "pop", strings, 1, NULL, 0);
    double moved = 0;
    int n = 0, before[4] = { 0 };
    for (int bar = 2; bar < 23; bar++) { /* what sounds in mid-bar */
        double t = 0.5 * (s.downbeats[bar] + s.downbeats[bar + 1]);
        int now[8], k = 0;
        for (int i = 0; i < score.tracks[0].n_notes; i++)
            if (score.tracks[0].notes[i].onset_s <= t && score.tracks[0].notes[i].offset_s > t && k < 8)
                now[k++] = score.tracks[0].notes[i].pitch;
        if (k == 0) /* not yet */
            continue;
        assert_int_equal(k, 4);
        for (int i = 0; i < 4; i++) /* sort */
            for (int j = i + 1; j < 4; j++)
                if (now[j] < now[i]) {
                    int x = now[i];
                    now[i] = now[j];
                    now[j] = x;
                }
        for (int i = 0; i < 4 && before[0]; i++, n++)
            moved += abs(now[i] - before[i]);
        memcpy(before, now, sizeof before);
    }
    assert_true(n >= 4 * 10 && moved / n < 2.6); /* semitones a voice a change */
    music_score_free(&score);
}

static void given_sections_are_taken(void **state)
{
    static song s;
    static const char *const band[] = { "drums", "piano", "bass" };
    music_form_part form[4];
    bl_error err = { 0 };
    music_score score = { 0 };
    (void)state;
    compose(&s, 100, 4, (music_key){ 0, 0 }, pop_loop, 4, 0);
    for (int i = 0; i < 4; i++) /* cuts that counting would not make: bars 0, 3, 10, 17 */
        form[i] = (music_form_part){ i ? s.downbeats[7 * i - 4] + 0.1 : 0, i % 2 };
    music_style *style = load("rock");
    music_arrange_input in = input_of(&s, style, 1);
    in.instruments = band;
    in.n_instruments = 3;
    in.sections = form;
    in.n_sections = 4;
    assert_int_equal(music_arrange(&in, &score, &err), BL_OK);
    assert_int_equal(score.n_markers, 4);
    for (int i = 1; i < 4; i++)
        assert_true(fabs(score.markers[i].time_s - s.downbeats[7 * i - 4]) < 1e-6);
    assert_string_equal(score.markers[1].text, score.markers[3].text); /* one label, one name */
    music_score_free(&score);
    form[2].start_s = form[1].start_s;
    assert_int_equal(music_arrange(&in, &score, &err), BL_EARG);
    assert_message(err, "section 3");
    music_style_free(style);
}

static void drums_fill_before_sections_and_the_song_ends_on_a_held_chord(void **state)
{
    static song s;
    static const char *const band[] = { "drums", "piano", "bass" };
    int toms = 0, crashes = 0;
    (void)state;
    compose(&s, 100, 4, (music_key){ 0, 0 }, pop_loop, 4, 0);
    music_score score = arrange_some(&s, "rock", band, 3, NULL, 0);
    assert_true(score.n_markers >= 3);
    for (int i = 0; i < score.tracks[0].n_notes; i++) {
        int p = score.tracks[0].notes[i].pitch;
        toms += p == 50 || p == 47 || p == 43;
        crashes += p == 49;
    }
    assert_true(toms > 0 && crashes > 1);
    /* The last strokes of all three come together on a downbeat, and piano and bass ring on for a second or more. */
    double last = 0;
    for (int t = 0; t < 3; t++) {
        const music_note *n = &score.tracks[t].notes[score.tracks[t].n_notes - 1];
        if (t == 0)
            last = n->onset_s;
        assert_true(fabs(n->onset_s - last) < 0.04);
        assert_true(t == 0 || n->offset_s - n->onset_s > 1);
    }
    double nearest = 1e9;
    for (int i = 0; i < s.n_downbeats; i++)
        nearest = fmin(nearest, fabs(s.downbeats[i] - last));
    assert_true(nearest < 0.03);
    music_score_free(&score);
}

static void melodic_instruments_fill_the_singers_rests(void **state)
{
    static song s;
    static const char *const sax[] = { "saxophone" };
    int in_rests = 0;
    (void)state;
    compose(&s, 90, 4, (music_key){ 0, 0 }, pop_loop, 4, 0);
    music_score score = arrange_some(&s, "jazz", sax, 1, NULL, 0);
    for (int i = 0; i < score.tracks[0].n_notes; i++)
        for (int bar = 3; bar < 20; bar += 4)
            in_rests += score.tracks[0].notes[i].onset_s > s.beats[4 * bar + 1] && score.tracks[0].notes[i].onset_s < s.beats[4 * bar + 4];
    assert_true(in_rests >= 8);
    music_score_free(&score);
}

static void unsteady_beats_get_held_chords_and_no_drums(void **state)
{
    static song s;
    static const char *const band[] = { "drums", "piano" };
    (void)state;
    compose(&s, 100, 4, (music_key){ 0, 0 }, pop_loop, 4, 0);
    for (int i = 0; i < 8; i++) /* two bars of free time in front */
        s.beats[i] = 0.1 + i * (s.beats[8] - 0.1) / 8 + (i % 2 ? 0.25 : 0);
    for (int i = 0; i < 2; i++)
        s.downbeats[i] = s.beats[4 * i];
    music_score score = arrange_some(&s, "rock", band, 2, NULL, 0);
    assert_true(score.tracks[0].notes[0].onset_s > s.beats[8] - 0.03);
    int early = 0;
    for (int i = 0; i < score.tracks[1].n_notes; i++)
        early += score.tracks[1].notes[i].onset_s < s.beats[8] - 0.03;
    assert_true(early >= 3 && early <= 12);
    music_score_free(&score);
}

static void faults_are_named(void **state)
{
    static song s;
    music_style *style = load("pop");
    static const char *const kazoo[] = { "kazoo" }, *const twice[] = { "piano", "piano" };
    bl_error err = { 0 };
    music_score score;
    (void)state;
    compose(&s, 100, 4, (music_key){ 0, 0 }, pop_loop, 4, 0);
    music_arrange_input in = input_of(&s, style, 1);
#define FAIL(want)                                                        \
    assert_int_equal(music_arrange(&in, &score, &err), BL_EARG);          \
    assert_message(err, want);                                            \
    assert_null(score.tracks);                                            \
    bl_error_clear(&err);                                                 \
    in = input_of(&s, style, 1)
    in.instruments = kazoo;
    in.n_instruments = 1;
    FAIL("unknown instrument \"kazoo\"");
    in.instruments = twice;
    in.n_instruments = 2;
    FAIL("\"piano\" is given twice");
    in.n_beats = 1;
    FAIL("at least two beats");
    in.intervals = &(music_interval){ 5, 4 };
    in.n_intervals = 1;
    FAIL("interval 5-4 s");
    in.chords = &(music_chord_span){ .end_s = 5, .name = "Qx" };
    in.n_chords = 1;
    FAIL("chord \"Qx\" at 0 s is not a chord name");
    in.duration_s = 0;
    FAIL("a song of 0 s");
    music_style_free(style);
}

/* What a song may look like at its edges: no chords, one bar, a melody that covers nothing, beats after the end. */
static void poor_input_does_no_harm(void **state)
{
    static song s;
    bl_error err = { 0 };
    music_score score;
    (void)state;
    for (int g = 0; g < N_GENRES; g++) {
        music_style *style = load(genres[g]);
        compose(&s, 100, 4, (music_key){ 0, 0 }, pop_loop, 4, 0);
        music_arrange_input in = input_of(&s, style, 1);
        in.n_chords = 0;
        assert_int_equal(music_arrange(&in, &score, &err), BL_OK);
        music_score_free(&score);
        in = input_of(&s, style, 1);
        in.n_melody = 0;
        assert_int_equal(music_arrange(&in, &score, &err), BL_OK);
        for (int i = 0; i < score.n_tracks; i++)
            check_track(&s, style, &score.tracks[i]);
        music_score_free(&score);
        for (int n = 2; n < 14; n++) {
            in = input_of(&s, style, 1);
            in.n_beats = n;
            in.n_downbeats = n % 3 ? 1 : 0;
            in.duration_s = s.beats[n - 1] + (n % 2 ? 0.01 : 3);
            assert_int_equal(music_arrange(&in, &score, &err), BL_OK);
            music_score_free(&score);
        }
        music_style_free(style);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_instrument_keeps_the_promises_in_every_genre_and_tempo),
        cmocka_unit_test(equal_input_gives_an_equal_score_and_another_seed_another),
        cmocka_unit_test(nothing_sounds_outside_the_intervals),
        cmocka_unit_test(the_bass_shows_the_root_of_every_new_chord),
        cmocka_unit_test(nothing_is_played_on_a_chord_that_is_none),
        cmocka_unit_test(chords_move_little_and_do_not_cross),
        cmocka_unit_test(given_sections_are_taken),
        cmocka_unit_test(drums_fill_before_sections_and_the_song_ends_on_a_held_chord),
        cmocka_unit_test(melodic_instruments_fill_the_singers_rests),
        cmocka_unit_test(unsteady_beats_get_held_chords_and_no_drums),
        cmocka_unit_test(faults_are_named),
        cmocka_unit_test(poor_input_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
