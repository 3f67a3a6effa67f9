/* Invented songs: repeatable, in key, on the beat, within ranges, with rests for the singer. */
#include "data/songwriter.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SEEDS = 12 };

static void compose(data_composition *song, const char *genre, double seconds, uint64_t seed)
{
    bl_error err = { 0 };
    if (data_compose(song, genre, seconds, seed, &err) != BL_OK)
        fail_msg("%s seed %d: %s", genre, (int)seed, err.msg);
}

static const music_chord_span *chord_at(const music_score *s, double time_s)
{
    for (int i = 0; i < s->n_chords; i++)
        if (time_s >= s->chords[i].start_s - 1e-9 && time_s < s->chords[i].end_s - 1e-9)
            return &s->chords[i];
    return &s->chords[time_s < s->chords[0].start_s ? 0 : s->n_chords - 1];
}

static void same_seed_same_song(void **state)
{
    (void)state;
    for (const char *const *g = data_composition_genres(); *g; g++) {
        data_composition a, b;
        compose(&a, *g, 30, 5);
        compose(&b, *g, 30, 5);
        assert_int_equal(a.score.n_tracks, b.score.n_tracks);
        for (int i = 0; i < a.score.n_tracks; i++) {
            const music_track *s = &a.score.tracks[i], *t = &b.score.tracks[i];
            assert_int_equal(s->n_notes, t->n_notes);
            for (int k = 0; k < s->n_notes; k++)
                assert_true(s->notes[k].onset_s == t->notes[k].onset_s && s->notes[k].offset_s == t->notes[k].offset_s &&
                            s->notes[k].pitch == t->notes[k].pitch && s->notes[k].velocity == t->notes[k].velocity);
            assert_string_equal(a.parts[i].style, b.parts[i].style);
        }
        data_composition_free(&a);
        data_composition_free(&b);
    }
}

static void seeds_differ_in_key_tempo_and_progression(void **state)
{
    (void)state;
    for (const char *const *g = data_composition_genres(); *g; g++) {
        unsigned keys = 0, n_keys = 0;
        double low = 1e9, high = 0;
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            data_composition song;
            compose(&song, *g, 30, seed);
            keys |= 1u << song.key.tonic;
            low = fmin(low, song.bpm);
            high = fmax(high, song.bpm);
            data_composition_free(&song);
        }
        for (int k = 0; k < 12; k++)
            n_keys += keys >> k & 1;
        assert_in_range(n_keys, 4, 12);
        assert_true(high - low > 20);
    }
}

static void every_track_has_sane_notes(void **state)
{
    (void)state;
    for (const char *const *g = data_composition_genres(); *g; g++)
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            data_composition song;
            compose(&song, *g, 20 + 3.7 * (double)seed, seed);
            assert_in_range(song.score.n_tracks, 3, 16);
            assert_string_equal(song.parts[0].stem, "vocals");
            for (int i = 0; i < song.score.n_tracks; i++) {
                const music_track *t = &song.score.tracks[i];
                if (t->n_notes == 0)
                    fail_msg("%s seed %d: %s (%s) is silent", *g, (int)seed, t->name, song.parts[i].style);
                for (int k = 0; k < t->n_notes; k++) {
                    const music_note *n = &t->notes[k];
                    assert_true(n->onset_s >= 0 && n->offset_s > n->onset_s && n->onset_s < song.duration_s);
                    assert_in_range(n->pitch, 24, 108);
                    assert_in_range(n->velocity, 1, 127);
                    assert_true(k == 0 || n->onset_s >= t->notes[k - 1].onset_s);
                }
            }
            data_composition_free(&song);
        }
}

/* All pitched notes belong to the key or to the chord; chords are those of the progression, notes may be a hair early. */
static void notes_belong_to_key_or_chord(void **state)
{
    int n = 0, outside = 0;
    (void)state;
    for (const char *const *g = data_composition_genres(); *g; g++)
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            data_composition song;
            compose(&song, *g, 30, seed);
            for (int i = 0; i < song.score.n_tracks; i++) {
                const music_track *t = &song.score.tracks[i];
                for (int k = 0; k < t->n_notes && !t->is_drums; k++) {
                    unsigned set = music_key_classes(song.key);
                    for (int d = -1; d <= 1; d++) {
                        music_chord chord;
                        assert_true(music_chord_parse(chord_at(&song.score, t->notes[k].onset_s + 0.03 * d)->name, &chord));
                        set |= music_chord_classes(chord);
                    }
                    n++;
                    outside += !(set >> t->notes[k].pitch % 12 & 1);
                }
            }
            data_composition_free(&song);
        }
    /* Chromatic approaches of a bass and added ninths are allowed to be the exception. */
    if (outside * 50 >= n)
        fail_msg("%d of %d notes are neither in the key nor in the chord", outside, n);
}

static void onsets_lie_on_the_beat_grid(void **state)
{
    (void)state;
    for (const char *const *g = data_composition_genres(); *g; g++)
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            data_composition song;
            compose(&song, *g, 30, seed);
            const double beat = 60 / song.bpm;
            assert_true(fabs(song.beats_s[1] - song.beats_s[0] - beat) < 1e-9);
            for (int i = 0; i < song.score.n_tracks; i++)
                for (int k = 0; k < song.score.tracks[i].n_notes; k++) {
                    const double x = (song.score.tracks[i].notes[k].onset_s - song.beats_s[0]) / beat;
                    double away = 1;
                    for (int d = 0; d <= 24; d++) /* sixteenths and swung ones in between: a 24th of a beat apart */
                        away = fmin(away, fabs(x - floor(x) - d / 24.0));
                    assert_true(away <= 1 / 48.0 + 1e-9); /* what the grid allows at all */
                    assert_true(x > -0.2);
                }
            data_composition_free(&song);
        }
}

static void the_singer_breathes_and_stays_in_range(void **state)
{
    (void)state;
    for (const char *const *g = data_composition_genres(); *g; g++)
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            data_composition song;
            compose(&song, *g, 30, seed);
            const music_track *t = &song.score.tracks[0];
            int low = 127, high = 0, rests = 0;
            double longest = 0, since = t->notes[0].onset_s;
            for (int k = 0; k < t->n_notes; k++) {
                low = t->notes[k].pitch < low ? t->notes[k].pitch : low;
                high = t->notes[k].pitch > high ? t->notes[k].pitch : high;
                if (k && t->notes[k].onset_s - t->notes[k - 1].offset_s > 0.2) {
                    rests++;
                    since = t->notes[k].onset_s;
                }
                assert_true(k == 0 || t->notes[k].onset_s >= t->notes[k - 1].offset_s - 1e-9 ||
                            t->notes[k].onset_s - t->notes[k - 1].onset_s < 0.03 + 1e-9);
                longest = fmax(longest, t->notes[k].offset_s - since);
            }
            assert_true(high - low <= 17);
            assert_true(low >= 48 && high <= 80);
            assert_true(rests >= 2);
            if (longest > 18)
                fail_msg("%s seed %d: %.1f s without a breath", *g, (int)seed, longest);
            data_composition_free(&song);
        }
}

static void bad_requests_are_refused(void **state)
{
    bl_error err = { 0 };
    data_composition song;
    (void)state;
    assert_int_equal(data_compose(&song, "jaz", 30, 1, &err), BL_EARG);
    assert_non_null(strstr(err.msg, "did you mean jazz"));
    bl_error_clear(&err);
    assert_int_equal(data_compose(&song, "rock", 2, 1, &err), BL_EARG);
    bl_error_clear(&err);
    assert_int_equal(data_compose(&song, "rock", (double)NAN, 1, &err), BL_EARG);
    assert_null(song.parts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_seed_same_song),
        cmocka_unit_test(seeds_differ_in_key_tempo_and_progression),
        cmocka_unit_test(every_track_has_sane_notes),
        cmocka_unit_test(notes_belong_to_key_or_chord),
        cmocka_unit_test(onsets_lie_on_the_beat_grid),
        cmocka_unit_test(the_singer_breathes_and_stays_in_range),
        cmocka_unit_test(bad_requests_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
