/* What a musician of a genre expects of each instrument. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "music/style_private.h"
#include "tests/music/song.h"

static const char *const sevenths[] = { "C7", "F7", "C7", "G7" };

/* One instrument of a genre on a loop at 100 beats a minute; release with music_score_free. */
static music_score play(song *s, const char *genre, const char *instrument, const char *const *loop)
{
    compose(s, 100, 4, (music_key){ 0, 0 }, loop, 4, 0);
    return arrange_some(s, genre, &instrument, 1, NULL, 0);
}

/* Sixteenth of the bar of an onset, 0..15 (triplets count as the nearest), and the bar; -1 before the first. */
static int sixteenth(const song *s, double t, int *bar)
{
    int beat = 0;
    while (beat + 1 < s->n_beats && s->beats[beat + 1] <= t + 0.03)
        beat++;
    if (t < s->beats[0] - 0.03 || beat + 1 >= s->n_beats)
        return -1;
    *bar = beat / 4;
    int k = (int)lround(4 * (t - s->beats[beat]) / (s->beats[beat + 1] - s->beats[beat]));
    return 4 * (beat % 4) + (k < 0 ? 0 : k > 3 ? 3 : k);
}

static int is_last(const song *s, double t)
{
    return t > s->downbeats[22]; /* the last chord and what leads to it */
}

static void the_reggae_guitar_plays_off_the_beat(void **state)
{
    song s;
    (void)state;
    static const char *const who[] = { "electric guitar", "organ", "piano" };
    for (int w = 0; w < 3; w++) {
        music_score score = play(&s, "reggae", who[w], pop_loop);
        int on = 0, off = 0, bar;
        for (int i = 0; i < score.tracks[0].n_notes; i++)
            if (!is_last(&s, score.tracks[0].notes[i].onset_s)) {
                if (sixteenth(&s, score.tracks[0].notes[i].onset_s, &bar) % 4 == 0)
                    on++;
                else
                    off++;
            }
        if (off < 100 || on > 0.12 * off) /* a pick-up into a section, a fill in a rest */
            fail_msg("%s: %d notes on the beat, %d off", who[w], on, off);
        music_score_free(&score);
    }
}

static void the_reggae_bass_rests_and_leaves_out_the_one_now_and_then(void **state)
{
    song s;
    int ones = 0, bar;
    double sounding = 0;
    music_style *style = load("reggae");
    (void)state;
    compose(&s, 100, 4, (music_key){ 0, 0 }, pop_loop, 4, 0);
    for (uint64_t seed = 1; seed <= 4; seed++) {
        static const char *const bass[] = { "bass" };
        music_arrange_input in = input_of(&s, style, seed);
        music_score score;
        bl_error err = { 0 };
        in.instruments = bass;
        in.n_instruments = 1;
        assert_int_equal(music_arrange(&in, &score, &err), BL_OK);
        for (int i = 0; i < score.tracks[0].n_notes; i++) {
            ones += sixteenth(&s, score.tracks[0].notes[i].onset_s, &bar) == 0;
            sounding += score.tracks[0].notes[i].offset_s - score.tracks[0].notes[i].onset_s;
        }
        music_score_free(&score);
    }
    if (ones > 0.85 * 4 * 24 || sounding > 0.9 * 4 * s.duration_s)
        fail_msg("%d of %d bars begin on one; %.0f s of %.0f s sound", ones, 4 * 24, sounding, 4 * s.duration_s);
    music_style_free(style);
}

static void the_disco_bass_jumps_in_octaves(void **state)
{
    song s;
    int octaves = 0;
    (void)state;
    music_score score = play(&s, "disco", "bass", pop_loop);
    const music_track *t = &score.tracks[0];
    for (int i = 1; i < t->n_notes; i++)
        octaves += abs(t->notes[i].pitch - t->notes[i - 1].pitch) == 12;
    assert_true(octaves > 0.4 * t->n_notes);
    music_score_free(&score);
}

static void the_disco_guitar_plays_sixteenths_most_of_them_damped(void **state)
{
    song s;
    int odd = 0, damped = 0, bar;
    (void)state;
    static const char *const guitar[] = { "electric guitar" };
    compose(&s, 116, 4, (music_key){ 0, 0 }, pop_loop, 4, 0); /* so fast that scratches are as short as notes get */
    music_score score = arrange_some(&s, "disco", guitar, 1, NULL, 0);
    const music_track *t = &score.tracks[0];
    for (int i = 0; i < t->n_notes; i++) {
        odd += sixteenth(&s, t->notes[i].onset_s, &bar) % 2;
        damped += t->notes[i].offset_s - t->notes[i].onset_s < 0.08;
    }
    assert_true(odd > 0.3 * t->n_notes && damped > 0.3 * t->n_notes);
    int strokes = 0, whole = 0;
    for (int i = 0; i < t->n_notes; strokes++) {
        const int first = i;
        while (i < t->n_notes && t->notes[i].onset_s - t->notes[first].onset_s < 0.04)
            i++;
        whole += i - first == 3;
    }
    assert_true(whole > 0.7 * strokes); /* the others fill rests */
    music_score_free(&score);
}

static void a_pattern_too_dense_for_the_tempo_is_passed_over(void **state)
{
    static const char *const guitar[] = { "electric guitar" };
    song s;
    int odd[2] = { 0 }, bar;
    (void)state;
    for (int fast = 0; fast < 2; fast++) {
        compose(&s, fast ? 170 : 110, 4, (music_key){ 0, 0 }, pop_loop, 4, 0);
        music_score score = arrange_some(&s, "disco", guitar, 1, NULL, 0);
        for (int i = 0; i < score.tracks[0].n_notes; i++)
            odd[fast] += sixteenth(&s, score.tracks[0].notes[i].onset_s, &bar) % 2;
        music_score_free(&score);
    }
    if (odd[0] < 100 || odd[1] > 0.1 * odd[0])
        fail_msg("%d notes between the eighths at 110 bpm, %d at 170", odd[0], odd[1]);
}

static void the_country_bass_alternates_root_and_fifth(void **state)
{
    song s;
    int alternating = 0, bar;
    (void)state;
    music_score score = play(&s, "country", "double bass", pop_loop);
    const music_track *t = &score.tracks[0];
    for (int i = 1; i < t->n_notes; i++) {
        const int at = sixteenth(&s, t->notes[i].onset_s, &bar);
        music_chord c;
        if (at != 8 || bar >= 23)
            continue;
        assert_true(music_chord_parse(s.chords[bar].name, &c));
        alternating += t->notes[i].pitch % 12 == (c.root + 7) % 12;
    }
    assert_true(alternating >= 14); /* of 23 bars: the others run to the next chord */
    music_score_free(&score);
}

static void the_jazz_bass_walks_in_quarters_and_steps_to_new_roots(void **state)
{
    static const char *const loop[] = { "Dm7", "G7", "Cmaj7", "A7" };
    song s;
    int arrivals = 0, steps = 0, leaps = 0, outside = 0, bar;
    (void)state;
    music_score score = play(&s, "jazz", "double bass", loop);
    const music_track *t = &score.tracks[0];
    for (int i = 1; i < t->n_notes; i++) {
        const int moved = abs(t->notes[i].pitch - t->notes[i - 1].pitch);
        leaps += moved > 7;
        outside += !(music_key_classes(s.key) >> (t->notes[i].pitch % 12) & 1);
        if (sixteenth(&s, t->notes[i].onset_s, &bar) == 0) {
            arrivals++;
            steps += moved <= 2;
        }
    }
    assert_true(t->n_notes > 3 * 22 && leaps < 0.08 * t->n_notes);
    assert_true(arrivals > 18 && steps > 0.6 * arrivals);
    assert_true(outside > 2); /* leading by a semitone; A7's third */
    music_score_free(&score);
}

static void the_blues_guitar_shuffles_between_fifth_and_sixth(void **state)
{
    song s;
    int fifths = 0, sixths = 0;
    (void)state;
    music_score score = play(&s, "blues", "electric guitar", sevenths);
    const music_track *t = &score.tracks[0];
    for (int i = 0; i + 1 < t->n_notes; i++)
        if (fabs(t->notes[i + 1].onset_s - t->notes[i].onset_s) < 0.02) {
            const int interval = abs(t->notes[i + 1].pitch - t->notes[i].pitch);
            fifths += interval == 7;
            sixths += interval == 9;
        }
    assert_true(fifths > 20 && sixths > 10);
    music_score_free(&score);
}

static void a_blues_swings_and_rock_does_not(void **state)
{
    static const char *const who[] = { "rock", "blues", "jazz" };
    static const double second_eighth[] = { 0.5, 0.65, 0.66 };
    song s;
    (void)state;
    for (int g = 0; g < 3; g++) {
        music_style *style = load(who[g]);
        music_score score = play(&s, who[g], "piano", sevenths);
        double sum = 0;
        int n = 0;
        for (int i = 0; i < score.tracks[0].n_notes; i++)
            for (int b = 0; b + 1 < s.n_beats; b++) {
                const double at = (score.tracks[0].notes[i].onset_s - s.beats[b]) / (s.beats[b + 1] - s.beats[b]);
                if (at > 0.42 && at < 0.75) {
                    sum += at;
                    n++;
                }
            }
        if (n < 12 || fabs(sum / n - second_eighth[g]) > 0.03)
            fail_msg("%s: %d off-beats at %.3f of the beat, expected %.2f", who[g], n, sum / n, second_eighth[g]);
        music_score_free(&score);
        music_style_free(style);
    }
}

static void swing_grows_straighter_with_the_tempo(void **state)
{
    music_style *style = load("jazz");
    (void)state;
    assert_true(fabs(music_style_swing(style, 120, 1, 2) - 0.66) < 1e-9);
    assert_true(music_style_swing(style, 260, 1, 2) < 0.62 && music_style_swing(style, 260, 1, 2) > 0.52);
    assert_true(fabs(music_style_swing(style, 260, 1, 3) - 1.0 / 3) < 1e-9); /* triplets stay */
    music_style_free(style);
    style = load("hip-hop"); /* sixteenths */
    assert_true(fabs(music_style_swing(style, 90, 2, 4) - 0.5) < 1e-9);
    assert_true(fabs(music_style_swing(style, 90, 1, 4) - 0.28) < 1e-9);
    assert_true(fabs(music_style_swing(style, 90, 3, 4) - 0.78) < 1e-9);
    music_style_free(style);
}

static void metal_guitar_and_bass_strike_together(void **state)
{
    static const char *const band[] = { "electric guitar", "bass" };
    song s;
    int together = 0, all_of_them = 0;
    (void)state;
    compose(&s, 100, 4, (music_key){ 9, 1 }, pop_loop, 4, 0);
    for (int i = 0; i < s.n_melody; i++) /* the guitar has no rests to fill */
        s.melody[i].offset_s += 10;
    music_score score = arrange_some(&s, "metal", band, 2, NULL, 0);
    for (int i = 0; i < score.tracks[1].n_notes; i++) {
        double nearest = 1;
        for (int k = 0; k < score.tracks[0].n_notes; k++)
            nearest = fmin(nearest, fabs(score.tracks[0].notes[k].onset_s - score.tracks[1].notes[i].onset_s));
        together += nearest < 0.03;
        all_of_them++;
    }
    if (all_of_them < 100 || together < 0.85 * all_of_them)
        fail_msg("%d of %d strokes of the bass are the guitar's, too", together, all_of_them);
    music_score_free(&score);
}

static void the_hip_hop_bass_is_low_long_and_sparse(void **state)
{
    song s;
    double length = 0;
    (void)state;
    music_score score = play(&s, "hip-hop", "bass", pop_loop);
    const music_track *t = &score.tracks[0];
    for (int i = 0; i < t->n_notes; i++) {
        assert_true(t->notes[i].pitch <= 43);
        length += t->notes[i].offset_s - t->notes[i].onset_s;
    }
    assert_true(t->n_notes < 4 * 24 && length / t->n_notes > 0.5);
    music_score_free(&score);
}

static void small_chords_and_shells_have_three_strings(void **state)
{
    static const char *const who[] = { "reggae", "jazz", "disco" };
    song s;
    (void)state;
    for (int g = 0; g < 3; g++) {
        music_score score = play(&s, who[g], "electric guitar", sevenths);
        const music_track *t = &score.tracks[0];
        int chords = 0;
        for (int i = 0; i < t->n_notes;) {
            int n = 0;
            const double start = t->notes[i].onset_s;
            while (i < t->n_notes && t->notes[i].onset_s - start < 0.04) {
                i++;
                n++;
            }
            if (n > 3)
                fail_msg("%s: %d strings at %g s", who[g], n, start);
            chords += n == 3;
        }
        assert_true(chords > 20);
        music_score_free(&score);
    }
}

/* A shape can be held: each note on a string of its own, within four frets (open strings aside). */
static int fits_hand(const int *pitch, int n, int string, int low, int high)
{
    static const int tuning[6] = { 40, 45, 50, 55, 59, 64 };
    if (n == 0)
        return 1;
    for (int s = string; s < 6; s++) {
        const int fret = pitch[0] - tuning[s], l = fret > 0 && fret < low ? fret : low, h = fret > high ? fret : high;
        if (fret >= 0 && fret <= 15 && (h == 0 || l > h || h - l <= 3) && fits_hand(pitch + 1, n - 1, s + 1, l, h))
            return 1;
    }
    return 0;
}

static void every_strummed_chord_can_be_held(void **state)
{
    static const char *const loop[] = { "F#m7", "Bb", "Ebmaj7", "Abm" };
    song s;
    (void)state;
    for (int g = 0; g < N_GENRES; g++) {
        music_score score = play(&s, genres[g], "acoustic guitar", loop);
        const music_track *t = &score.tracks[0];
        for (int i = 0; i < t->n_notes;) {
            int pitch[8], n = 0;
            const double start = t->notes[i].onset_s;
            for (; i < t->n_notes && n < 8 && t->notes[i].onset_s - start < 0.045; i++) {
                int at = n++;
                for (; at > 0 && pitch[at - 1] > t->notes[i].pitch; at--)
                    pitch[at] = pitch[at - 1];
                pitch[at] = t->notes[i].pitch;
            }
            if (!fits_hand(pitch, n, 0, 99, 0))
                fail_msg("%s: %d strings at %g s cannot be held (%d to %d)", genres[g], n, start, pitch[0], pitch[n - 1]);
        }
        music_score_free(&score);
    }
}

/* ---- genres differ ---- */

static void histogram(const song *s, const music_track *t, double out[16])
{
    int n = 0, bar;
    memset(out, 0, 16 * sizeof *out);
    for (int i = 0; i < t->n_notes; i++) {
        const int k = sixteenth(s, t->notes[i].onset_s, &bar);
        if (k >= 0) {
            out[k]++;
            n++;
        }
    }
    for (int k = 0; k < 16; k++)
        out[k] /= n ? n : 1;
}

/* Half the sum of differences of two histograms: 0 the same, 1 nothing in common; the mean over bass, guitar and piano. */
static void grooves_of_any_two_genres_differ(void **state)
{
    static const char *const band[] = { "bass", "electric guitar", "piano" };
    static double h[N_GENRES][3][16];
    song s;
    (void)state;
    compose(&s, 100, 4, (music_key){ 0, 0 }, sevenths, 4, 0);
    for (int g = 0; g < N_GENRES; g++) {
        music_score score = arrange_some(&s, genres[g], band, 3, NULL, 0);
        for (int k = 0; k < 3; k++)
            histogram(&s, &score.tracks[k], h[g][k]);
        music_score_free(&score);
    }
    for (int a = 0; a < N_GENRES; a++)
        for (int b = 0; b < a; b++) {
            double far = 0;
            for (int k = 0; k < 3; k++)
                for (int i = 0; i < 16; i++)
                    far += fabs(h[a][k][i] - h[b][k][i]) / 6;
            if (far < 0.15)
                fail_msg("%s and %s play alike: %.2f apart", genres[a], genres[b], far);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_reggae_guitar_plays_off_the_beat),
        cmocka_unit_test(the_reggae_bass_rests_and_leaves_out_the_one_now_and_then),
        cmocka_unit_test(the_disco_bass_jumps_in_octaves),
        cmocka_unit_test(the_disco_guitar_plays_sixteenths_most_of_them_damped),
        cmocka_unit_test(a_pattern_too_dense_for_the_tempo_is_passed_over),
        cmocka_unit_test(the_country_bass_alternates_root_and_fifth),
        cmocka_unit_test(the_jazz_bass_walks_in_quarters_and_steps_to_new_roots),
        cmocka_unit_test(the_blues_guitar_shuffles_between_fifth_and_sixth),
        cmocka_unit_test(a_blues_swings_and_rock_does_not),
        cmocka_unit_test(swing_grows_straighter_with_the_tempo),
        cmocka_unit_test(metal_guitar_and_bass_strike_together),
        cmocka_unit_test(the_hip_hop_bass_is_low_long_and_sparse),
        cmocka_unit_test(small_chords_and_shells_have_three_strings),
        cmocka_unit_test(every_strummed_chord_can_be_held),
        cmocka_unit_test(grooves_of_any_two_genres_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
