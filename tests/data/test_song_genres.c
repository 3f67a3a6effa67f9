/* What makes the songs of a genre that genre: progressions from its table, full bars, and the habits of its band. */
#include "data/songwriter.h"
#include "base/file.h"
#include "base/rng.h"
#include "data/instruments.h"
#include "data/song_tables.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SEEDS = 16 };

static void compose(data_composition *song, const char *genre, double seconds, uint64_t seed)
{
    bl_error err = { 0 };
    if (data_compose(song, genre, seconds, seed, &err) != BL_OK)
        fail_msg("%s seed %d: %s", genre, (int)seed, err.msg);
}

static const data_genre_table *table_of(const char *genre)
{
    const data_genre_table *const tables[] = { data_band_genres, data_roots_genres, data_beat_genres };
    for (int i = 0; i < 3; i++)
        for (const data_genre_table *g = tables[i]; g->name; g++)
            if (!strcmp(g->name, genre))
                return g;
    fail_msg("no table of %s", genre);
    return NULL;
}

static music_chord chord_at(const data_composition *song, double time_s)
{
    music_chord chord = { -1, MUSIC_MAJ, -1 };
    for (int i = 0; i < song->score.n_chords; i++)
        if (time_s >= song->score.chords[i].start_s - 1e-6 && time_s < song->score.chords[i].end_s - 1e-6)
            assert_true(music_chord_parse(song->score.chords[i].name, &chord));
    return chord;
}

/* Does the first chord of every bar of the stretch follow the progression, entered anywhere? */
static int follows(const data_composition *song, const char *progression, int first_bar, int n_bars)
{
    char numerals[16][16];
    int n = 0;
    for (const char *p = progression; *p && n < 16; n++) {
        const size_t length = strcspn(p, "| "), bar = strcspn(p, "|");
        memcpy(numerals[n], p, length);
        numerals[n][length] = '\0';
        p += bar + (p[bar] == '|');
    }
    for (int from = 0; from < n; from++) {
        int b = 0;
        for (; b < n_bars; b++) {
            music_chord wanted;
            const music_chord is = chord_at(song, song->beats_s[(first_bar + b) * song->beats_per_bar] + 1e-3);
            assert_true(music_roman_parse(numerals[(from + b) % n], song->key, &wanted));
            if (wanted.root != is.root || wanted.quality != is.quality)
                break;
        }
        if (b == n_bars)
            return 1;
    }
    return 0;
}

static void chords_follow_the_table_of_the_genre(void **state)
{
    (void)state;
    for (const char *const *g = data_composition_genres(); *g; g++)
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            data_composition song;
            compose(&song, *g, 45, seed);
            const char *const *list = song.key.minor ? table_of(*g)->minor_ : table_of(*g)->major;
            const double bar_s = song.beats_per_bar * 60 / song.bpm;
            const int n_bars = song.n_beats / song.beats_per_bar;
            for (int i = 0; i < song.score.n_markers; i++) {
                const int first = (int)lround((song.score.markers[i].time_s - song.beats_s[0]) / bar_s);
                int end = i + 1 < song.score.n_markers ? (int)lround((song.score.markers[i + 1].time_s - song.beats_s[0]) / bar_s) : n_bars;
                int found = 0;
                if (end == n_bars) /* the song ends on the tonic, whatever the table says */
                    end--;
                for (int k = 0; list[k] && !found; k++)
                    found = follows(&song, list[k], first, end - first);
                if (!found)
                    fail_msg("%s seed %d: section %d (%s) follows no progression of the table", *g, (int)seed, i, song.score.markers[i].text);
            }
            data_composition_free(&song);
        }
}

static void no_bar_is_silent(void **state)
{
    (void)state;
    for (const char *const *g = data_composition_genres(); *g; g++)
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            data_composition song;
            compose(&song, *g, 30, seed);
            const int n_bars = song.n_beats / song.beats_per_bar;
            for (int b = 0; b < n_bars; b++) {
                const double from = song.beats_s[b * song.beats_per_bar] - 0.04, to = from + song.beats_per_bar * 60 / song.bpm;
                int parts = 0;
                for (int i = 0; i < song.score.n_tracks; i++) {
                    const music_track *t = &song.score.tracks[i];
                    int sounds = 0;
                    for (int k = 0; k < t->n_notes; k++)
                        sounds |= t->notes[k].onset_s < to && t->notes[k].offset_s > from;
                    parts += sounds;
                }
                if (parts < 1)
                    fail_msg("%s seed %d: nobody plays in bar %d", *g, (int)seed, b);
            }
            data_composition_free(&song);
        }
}

static void notes_lie_in_the_range_of_their_instrument(void **state)
{
    enum { SLACK = 8 }; /* tuned down, or a harmonic higher than usual */
    (void)state;
    for (const char *const *g = data_composition_genres(); *g; g++)
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            data_composition song;
            compose(&song, *g, 30, seed);
            for (int i = 1; i < song.score.n_tracks; i++) {
                const music_track *t = &song.score.tracks[i];
                const int id = data_instrument_find(t->name);
                if (id < 0)
                    fail_msg("%s: unknown instrument %s", *g, t->name);
                assert_int_equal(data_instrument_from_program(t->program, t->is_drums), id);
                const data_instrument *about = data_instrument_at(id);
                for (int k = 0; k < t->n_notes && about->is_pitched; k++)
                    if (t->notes[k].pitch < about->lowest - SLACK || t->notes[k].pitch > about->highest + SLACK)
                        fail_msg("%s seed %d: %s plays %d", *g, (int)seed, t->name, t->notes[k].pitch);
            }
            data_composition_free(&song);
        }
}

/* ---- habits ---- */

static const music_track *track_of(const data_composition *song, const char *role, const char *instrument)
{
    for (int i = 0; i < song->score.n_tracks; i++)
        if ((!role || !strcmp(song->parts[i].role, role)) && (!instrument || !strcmp(song->score.tracks[i].name, instrument)))
            return &song->score.tracks[i];
    return NULL;
}

/* Place of an onset in its bar, in sixteenths. */
static int step_of(const data_composition *song, const music_note *note)
{
    const double x = (note->onset_s - song->beats_s[0]) * song->bpm / 60 * 4;
    return ((int)lround(x) % (4 * song->beats_per_bar) + 4 * song->beats_per_bar) % (4 * song->beats_per_bar);
}

static double share_on(const data_composition *song, const music_track *t, int key, unsigned steps)
{
    int n = 0, on = 0;
    for (int k = 0; k < t->n_notes; k++)
        if (key < 0 || t->notes[k].pitch == key) {
            n++;
            on += steps >> step_of(song, &t->notes[k]) & 1;
        }
    return n ? (double)on / n : -1;
}

static void a_blues_goes_to_the_fourth_in_its_fifth_bar(void **state)
{
    int n = 0;
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        data_composition song;
        compose(&song, "blues", 60, seed);
        for (int i = 0; i < song.score.n_markers; i++) {
            const double bar_s = song.beats_per_bar * 60 / song.bpm;
            const int first = (int)lround((song.score.markers[i].time_s - song.beats_s[0]) / bar_s);
            if (!strcmp(song.score.markers[i].text, "intro") || first + 6 > song.n_beats / song.beats_per_bar)
                continue;
            const music_chord one = chord_at(&song, song.beats_s[first * 4] + 0.01), four = chord_at(&song, song.beats_s[(first + 4) * 4] + 0.01);
            assert_int_equal(one.root, song.key.tonic);
            assert_int_equal(four.root, (song.key.tonic + 5) % 12);
            assert_int_equal(one.quality, song.key.minor ? MUSIC_MIN7 : MUSIC_7);
            n++;
        }
        data_composition_free(&song);
    }
    assert_true(n >= SEEDS);
}

static void most_blues_are_shuffled(void **state)
{
    int swung = 0;
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        data_composition song;
        compose(&song, "blues", 30, seed);
        swung += strstr(song.feel, "swing") != NULL;
        data_composition_free(&song);
    }
    assert_in_range(swung, SEEDS / 2, SEEDS);
}

static void a_country_bass_plays_roots_and_fifths(void **state)
{
    int n = 0, plain = 0;
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        data_composition song;
        compose(&song, "country", 30, seed);
        const music_track *bass = track_of(&song, "bass", NULL);
        assert_non_null(bass);
        for (int k = 0; k < bass->n_notes; k++) {
            const music_chord chord = chord_at(&song, bass->notes[k].onset_s + 0.04);
            const int interval = chord.root < 0 ? 0 : (bass->notes[k].pitch - chord.root + 120) % 12;
            n++;
            plain += interval == 0 || interval == 7;
        }
        data_composition_free(&song);
    }
    assert_true(plain > 0.8 * n);
}

static void reggae_chords_come_between_the_beats(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        data_composition song;
        compose(&song, "reggae", 30, seed);
        const music_track *guitar = track_of(&song, "rhythm", "electric guitar");
        assert_non_null(guitar);
        /* the last bar is a held chord */
        assert_true(share_on(&song, guitar, -1, 0x1111) < 0.1);
        assert_true(song.bpm < 95);
        data_composition_free(&song);
    }
}

static void disco_has_a_kick_on_every_beat(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        data_composition song;
        compose(&song, "disco", 30, seed);
        const music_track *drums = track_of(&song, "drums", NULL);
        assert_true(share_on(&song, drums, 36, 0x1111) == 1);
        assert_true(share_on(&song, drums, 36, 0x1010) > 0.4);
        data_composition_free(&song);
    }
}

static void metal_guitars_are_low_and_its_drums_are_busy(void **state)
{
    int hits = 0;
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        data_composition song;
        compose(&song, "metal", 30, seed);
        const music_track *guitar = track_of(&song, "rhythm", "electric guitar"), *drums = track_of(&song, "drums", NULL);
        double mean = 0;
        for (int k = 0; k < guitar->n_notes; k++)
            mean += (double)guitar->notes[k].pitch / guitar->n_notes;
        assert_true(mean < 52);
        hits += drums->n_notes;
        data_composition_free(&song);
    }
    assert_true(hits > 8 * 30 * SEEDS); /* eight a second */
}

static void a_hip_hop_bass_lies_below_all_others(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        data_composition song;
        compose(&song, "hip-hop", 30, seed);
        const music_track *bass = track_of(&song, "bass", NULL);
        for (int k = 0; k < bass->n_notes; k++)
            assert_in_range(bass->notes[k].pitch, 26, 48);
        assert_true(song.bpm < 105);
        data_composition_free(&song);
    }
}

/* ---- the same songs for everybody ---- */

static uint64_t fingerprint(const data_composition *song)
{
    uint64_t h = 1;
    for (int i = 0; i < song->score.n_tracks; i++)
        for (int k = 0; k < song->score.tracks[i].n_notes; k++) {
            const music_note *n = &song->score.tracks[i].notes[k];
            const int64_t row[4] = { llround(n->onset_s * 1e5), llround(n->offset_s * 1e5), n->pitch, n->velocity };
            h = bl_hash(h, row, sizeof row);
        }
    return h;
}

/* Datasets that others have rendered must stay what they are: a seed's song never changes. */
static void a_seed_keeps_its_song(void **state)
{
    static const uint64_t known[] = {
        0x785f9c290f1b7bf4, 0x81f25f59fa68e107, 0x418cf79277f26cf4, 0x4ee5e7b05d3907d1, 0x6ab06effeb785a98,
        0x1fc0361289eae493, 0xb97129e35c3d4a5e, 0x954ceb4820f39e6c, 0xdf7cb71ea90bb7a2, 0x40e612781719b44d
    };
    (void)state;
    for (int i = 0; data_composition_genres()[i]; i++) {
        data_composition song;
        compose(&song, data_composition_genres()[i], 40, 3);
        if (fingerprint(&song) != known[i])
            fail_msg("%s: the song of seed 3 is 0x%llx", data_composition_genres()[i], (unsigned long long)fingerprint(&song));
        data_composition_free(&song);
    }
}

static void songs_do_not_depend_on_threads(void **state)
{
    enum { JOBS = 20 };
    uint64_t alone[JOBS], together[JOBS];
    const char *const *genres = data_composition_genres();
    (void)state;
    for (int i = 0; i < JOBS; i++) {
        data_composition song;
        compose(&song, genres[i % 10], 20, (uint64_t)i);
        alone[i] = fingerprint(&song);
        data_composition_free(&song);
    }
#pragma omp parallel for num_threads(4) schedule(static)
    for (int i = 0; i < JOBS; i++) {
        data_composition song;
        bl_error err = { 0 };
        together[i] = data_compose(&song, genres[i % 10], 20, (uint64_t)i, &err) == BL_OK ? fingerprint(&song) : 0;
        data_composition_free(&song);
    }
    assert_memory_equal(alone, together, sizeof alone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chords_follow_the_table_of_the_genre),
        cmocka_unit_test(no_bar_is_silent),
        cmocka_unit_test(notes_lie_in_the_range_of_their_instrument),
        cmocka_unit_test(a_blues_goes_to_the_fourth_in_its_fifth_bar),
        cmocka_unit_test(most_blues_are_shuffled),
        cmocka_unit_test(a_country_bass_plays_roots_and_fifths),
        cmocka_unit_test(reggae_chords_come_between_the_beats),
        cmocka_unit_test(disco_has_a_kick_on_every_beat),
        cmocka_unit_test(metal_guitars_are_low_and_its_drums_are_busy),
        cmocka_unit_test(a_hip_hop_bass_lies_below_all_others),
        cmocka_unit_test(a_seed_keeps_its_song),
        cmocka_unit_test(songs_do_not_depend_on_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
