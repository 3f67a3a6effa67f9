/* How a band goes through a song: who plays when, how loudly, and where it leaves room for the singer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "music/style_private.h"
#include "tests/music/song.h"

enum { PARTS = 5 };
static const int starts[PARTS + 1] = { 0, 2, 8, 14, 18, 24 }; /* bars: intro, verse, chorus, verse, chorus */

/* A song of five parts; the choruses are sung louder and higher. */
static void compose_form(song *s, music_form_part form[PARTS], double bpm)
{
    static const int label[PARTS] = { 0, 1, 2, 1, 2 };
    compose(s, bpm, 4, (music_key){ 0, 0 }, pop_loop, 4, 0);
    for (int i = 0; i < PARTS; i++)
        form[i] = (music_form_part){ s->downbeats[starts[i]], label[i] };
    for (int i = 0; i < s->n_melody; i++) {
        const double t = s->melody[i].onset_s;
        const int chorus = (t > s->downbeats[8] && t < s->downbeats[14]) || t > s->downbeats[18];
        s->melody[i].velocity = chorus ? 105 : 65;
        s->melody[i].pitch += chorus ? 3 : 0;
    }
}

static music_score arrange_form(const song *s, const music_form_part *form, const char *genre, const char *const *band, int n, uint64_t seed)
{
    music_style *style = load(genre);
    music_arrange_input in = input_of(s, style, seed);
    bl_error err = { 0 };
    music_score score;
    in.instruments = band;
    in.n_instruments = n;
    in.sections = form;
    in.n_sections = PARTS;
    if (music_arrange(&in, &score, &err) != BL_OK)
        fail_msg("%s", err.msg);
    music_style_free(style);
    return score;
}

/* Notes of a track that start in bars from..to - 1, and their mean velocity. */
static int count(const song *s, const music_track *t, int from, int to, double *velocity)
{
    int n = 0;
    double sum = 0;
    for (int i = 0; i < t->n_notes; i++)
        if (t->notes[i].onset_s > s->downbeats[from] - 0.04 && t->notes[i].onset_s < s->downbeats[to] - 0.04) {
            n++;
            sum += t->notes[i].velocity;
        }
    if (velocity)
        *velocity = n ? sum / n : 0;
    return n;
}

static void a_seed_changes_the_notes_and_neither_chords_nor_beats(void **state)
{
    song s;
    music_form_part form[PARTS];
    (void)state;
    compose_form(&s, form, 100);
    for (int g = 0; g < N_GENRES; g++) {
        music_score a = arrange_form(&s, form, genres[g], all, N_ALL, 1), b = arrange_form(&s, form, genres[g], all, N_ALL, 2);
        int other = 0;
        assert_int_equal(a.n_chords, b.n_chords);
        for (int i = 0; i < a.n_chords; i++)
            assert_memory_equal(&a.chords[i], &b.chords[i], sizeof a.chords[i]);
        assert_int_equal(a.n_tempos, b.n_tempos);
        assert_memory_equal(a.tempos, b.tempos, (size_t)a.n_tempos * sizeof *a.tempos);
        for (int t = 0; t < N_ALL; t++) {
            int same = a.tracks[t].n_notes == b.tracks[t].n_notes;
            for (int i = 0; same && i < a.tracks[t].n_notes; i++)
                same = a.tracks[t].notes[i].pitch == b.tracks[t].notes[i].pitch;
            other += !same;
        }
        if (other < N_ALL * 2 / 3)
            fail_msg("%s: only %d of %d instruments play other pitches with another seed", genres[g], other, N_ALL);
        music_score_free(&a);
        music_score_free(&b);
    }
}

static void a_verse_is_thinner_and_softer_than_a_chorus(void **state)
{
    static const char *const band[] = { "electric guitar", "acoustic guitar", "bass", "piano", "organ", "strings" };
    song s;
    music_form_part form[PARTS];
    (void)state;
    compose_form(&s, form, 100);
    for (int g = 0; g < N_GENRES; g++) {
        music_score score = arrange_form(&s, form, genres[g], band, 6, 1);
        double verse = 0, chorus = 0, verse_loud = 0, chorus_loud = 0, v;
        for (int t = 0; t < 6; t++) {
            verse += count(&s, &score.tracks[t], 2, 7, &v) / 5.0;
            verse_loud += v / 6;
            chorus += count(&s, &score.tracks[t], 18, 23, &v) / 5.0;
            chorus_loud += v / 6;
        }
        if (verse > 0.95 * chorus || verse_loud > chorus_loud - 5)
            fail_msg("%s: %.1f notes a bar at velocity %.0f in the verse, %.1f at %.0f in the chorus", genres[g], verse, verse_loud,
                     chorus, chorus_loud);
        music_score_free(&score);
    }
}

static void instruments_enter_one_after_another(void **state)
{
    static const char *const band[] = { "acoustic guitar", "electric guitar", "strings" };
    song s;
    music_form_part form[PARTS];
    (void)state;
    compose_form(&s, form, 100);
    music_score score = arrange_form(&s, form, "pop", band, 3, 1);
    assert_true(count(&s, &score.tracks[0], 0, 2, NULL) > 4);   /* from the start      */
    assert_int_equal(count(&s, &score.tracks[2], 0, 8, NULL), 0); /* after the verse */
    assert_true(count(&s, &score.tracks[2], 8, 14, NULL) > 10);
    music_score_free(&score);
}

static void whoever_was_asked_for_is_heard(void **state)
{
    song s;
    (void)state;
    compose(&s, 100, 4, (music_key){ 0, 0 }, pop_loop, 4, 0);
    for (int g = 0; g < N_GENRES; g++)
        for (int k = 0; k < N_ALL; k++) {
            music_score score = arrange_some(&s, genres[g], &all[k], 1, NULL, 0);
            if (score.tracks[0].n_notes < 8)
                fail_msg("%s: %s plays %d notes", genres[g], all[k], score.tracks[0].n_notes);
            music_score_free(&score);
        }
}

static void the_band_stops_before_the_last_chorus_where_the_style_says_so(void **state)
{
    static const char *const band[] = { "acoustic guitar", "bass", "piano" };
    song s;
    music_form_part form[PARTS];
    (void)state;
    compose_form(&s, form, 100);
    for (int i = 0; i < s.n_melody; i++) /* no rest to fill in that bar */
        if (s.melody[i].onset_s > s.downbeats[16] && s.melody[i].onset_s < s.downbeats[17])
            s.melody[i].offset_s = s.downbeats[18];
    for (int g = 0; g < 3; g++) {
        static const char *const who[] = { "rock", "pop", "jazz" };
        music_score score = arrange_form(&s, form, who[g], band, 3, 1);
        int late = 0;
        for (int t = 0; t < 3; t++)
            for (int i = 0; i < score.tracks[t].n_notes; i++)
                late += score.tracks[t].notes[i].onset_s > s.beats[4 * 17 + 1] - 0.03 && score.tracks[t].notes[i].onset_s < s.beats[4 * 18] - 0.03;
        if ((late == 0) != (g < 2))
            fail_msg("%s: %d notes after the first stroke of the bar before the last chorus", who[g], late);
        music_score_free(&score);
    }
}

static void a_section_is_left_with_a_turn(void **state)
{
    static const char *const bass[] = { "bass" };
    song s;
    music_form_part form[PARTS];
    int turns = 0;
    (void)state;
    compose_form(&s, form, 100);
    music_score score = arrange_form(&s, form, "blues", bass, 1, 1);
    /* The turnaround: third on two, an approach on the last eighth. */
    for (int part = 2; part < PARTS; part++) {
        const int bar = starts[part] - 1;
        music_chord c;
        assert_true(music_chord_parse(s.chords[bar].name, &c));
        for (int i = 0; i < score.tracks[0].n_notes; i++)
            turns += fabs(score.tracks[0].notes[i].onset_s - s.beats[4 * bar + 1]) < 0.03 &&
                     score.tracks[0].notes[i].pitch % 12 == (c.root + music_chord_third(c)) % 12;
    }
    assert_true(turns >= 2);
    music_score_free(&score);
}

/* Sixteenths on which a track plays in a bar, as bits. */
static unsigned rhythm(const song *s, const music_track *t, int bar)
{
    unsigned bits = 0;
    for (int i = 0; i < t->n_notes; i++)
        for (int b = 4 * bar; b < 4 * bar + 4; b++) {
            const double at = (t->notes[i].onset_s - s->beats[b]) / (s->beats[b + 1] - s->beats[b]);
            if (at > -0.05 && at < 0.95)
                bits |= 1u << (4 * (b % 4) + (int)lround(4 * at) % 4);
        }
    return bits;
}

static void a_comping_pianist_changes_patterns_within_a_section(void **state)
{
    static const char *const piano[] = { "piano" };
    song s;
    music_form_part form[PARTS];
    int changed = 0;
    (void)state;
    compose_form(&s, form, 100);
    for (uint64_t seed = 1; seed <= 6; seed++) {
        music_score score = arrange_form(&s, form, "jazz", piano, 1, seed);
        changed += rhythm(&s, &score.tracks[0], 8) != rhythm(&s, &score.tracks[0], 10) || rhythm(&s, &score.tracks[0], 9) != rhythm(&s, &score.tracks[0], 11);
        music_score_free(&score);
    }
    assert_true(changed >= 3); /* the same may be drawn twice */
}

static void the_last_chord_is_held_or_short_as_the_style_says(void **state)
{
    static const char *const band[] = { "piano", "bass", "strings" };
    song s;
    (void)state;
    compose(&s, 100, 4, (music_key){ 0, 0 }, pop_loop, 4, 0);
    for (int g = 0; g < N_GENRES; g++) {
        music_style *style = load(genres[g]);
        music_score score = arrange_some(&s, genres[g], band, 3, NULL, 0);
        for (int t = 0; t < 3; t++) {
            const music_note *n = &score.tracks[t].notes[score.tracks[t].n_notes - 1];
            if (style->short_end ? n->offset_s - n->onset_s > 0.4 : n->offset_s - n->onset_s < 1)
                fail_msg("%s, %s: the last note lasts %.2f s", genres[g], band[t], n->offset_s - n->onset_s);
        }
        music_score_free(&score);
        music_style_free(style);
    }
}

/* Share of the notes that start while somebody sings which lie within two semitones of what is sung. */
static double near_singer(const song *s, const music_score *score)
{
    int near = 0, n = 0;
    for (int t = 0; t < score->n_tracks; t++)
        for (int i = 0; i < score->tracks[t].n_notes; i++)
            for (int m = 0; m < s->n_melody; m++) {
                const music_note *x = &score->tracks[t].notes[i], *sung = &s->melody[m];
                if (x->onset_s + 0.02 < sung->onset_s || x->onset_s + 0.02 >= sung->offset_s)
                    continue;
                n++;
                near += abs(x->pitch - sung->pitch) <= 2;
            }
    return n ? (double)near / n : 0;
}

static void chords_leave_the_singers_register(void **state)
{
    static const char *const band[] = { "piano", "electric piano", "organ", "strings" };
    (void)state;
    for (int g = 0; g < N_GENRES; g++) {
        static song s, elsewhere;
        compose(&s, 100, 4, (music_key){ 0, 0 }, pop_loop, 4, 0);
        elsewhere = s;
        for (int i = 0; i < s.n_melody; i++)
            elsewhere.melody[i].pitch += 40; /* nobody to make room for */
        music_score a = arrange_some(&s, genres[g], band, 4, NULL, 0), b = arrange_some(&elsewhere, genres[g], band, 4, NULL, 0);
        const double near = near_singer(&s, &a), near_anyway = near_singer(&s, &b);
        if (near > 0.15 || near > 0.6 * near_anyway)
            fail_msg("%s: %.2f of the notes within two semitones of the singer, %.2f if it did not matter", genres[g], near, near_anyway);
        music_score_free(&a);
        music_score_free(&b);
    }
}

static void the_band_follows_the_singers_loudness(void **state)
{
    static const char *const band[] = { "piano", "bass" };
    song s;
    double soft, loud;
    (void)state;
    compose(&s, 100, 4, (music_key){ 0, 0 }, pop_loop, 4, 0);
    for (int i = 0; i < s.n_melody; i++)
        s.melody[i].velocity = s.melody[i].onset_s < s.downbeats[10] ? 50 : 110;
    music_score score = arrange_some(&s, "pop", band, 2, NULL, 0);
    for (int t = 0; t < 2; t++) {
        count(&s, &score.tracks[t], 3, 9, &soft);
        count(&s, &score.tracks[t], 11, 22, &loud);
        assert_true(loud > soft + 8);
    }
    music_score_free(&score);
}

/* Moves of a melody instrument against the singer's, and along with them. */
static void a_counter_melody_moves_against_the_singer(void **state)
{
    static const char *const violin[] = { "violin" };
    song s;
    int against = 0, along = 0;
    (void)state;
    compose(&s, 80, 4, (music_key){ 0, 0 }, pop_loop, 4, 0);
    for (int i = 0; i < s.n_melody; i++)
        if (i % 4 < 3)
            s.melody[i].offset_s = s.melody[i + 1 < s.n_melody ? i + 1 : i].onset_s;
    for (int g = 0; g < N_GENRES; g++) {
        music_score score = arrange_some(&s, genres[g], violin, 1, NULL, 0);
        const music_track *t = &score.tracks[0];
        for (int i = 1; i < t->n_notes; i++)
            for (int m = 1; m < s.n_melody; m++)
                if (fabs(t->notes[i].onset_s - s.melody[m].onset_s) < 0.05 && s.melody[m].onset_s - s.melody[m - 1].offset_s < 0.3) {
                    const int moves = (t->notes[i].pitch - t->notes[i - 1].pitch) * (s.melody[m].pitch - s.melody[m - 1].pitch);
                    against += moves < 0;
                    along += moves > 0;
                }
        music_score_free(&score);
    }
    if (against < 2 * along)
        fail_msg("%d moves against the singer, %d along", against, along);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_seed_changes_the_notes_and_neither_chords_nor_beats),
        cmocka_unit_test(a_verse_is_thinner_and_softer_than_a_chorus),
        cmocka_unit_test(instruments_enter_one_after_another),
        cmocka_unit_test(whoever_was_asked_for_is_heard),
        cmocka_unit_test(the_band_stops_before_the_last_chorus_where_the_style_says_so),
        cmocka_unit_test(a_section_is_left_with_a_turn),
        cmocka_unit_test(a_comping_pianist_changes_patterns_within_a_section),
        cmocka_unit_test(the_last_chord_is_held_or_short_as_the_style_says),
        cmocka_unit_test(chords_leave_the_singers_register),
        cmocka_unit_test(the_band_follows_the_singers_loudness),
        cmocka_unit_test(a_counter_melody_moves_against_the_singer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
