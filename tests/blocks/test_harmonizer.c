#include "tests/temporary.h"

#include "base/rng.h"
#include "blocks/harmonizer_train.h"
#include "music/midi.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "tests/blocks/harmonizer_corpus.h"
#include "tests/message.h"
#include "tests/plan_before.h"

/* The shipped form, small: so that a test learns in a second. */
static const char tiny[] = "[arranger]\ninput.melody = 60, T\nnear = conv1d out_channels=24 kernel_size=3 padding=same from=melody\n"
                           "near_a = elu\nsong = lstm hidden_size=12 bidirectional=yes\n"
                           "degree = conv1d out_channels=36 kernel_size=1\n"
                           "colour = conv1d out_channels=4 kernel_size=1 from=song\noutput = degree, colour\n"
                           "[arranger_training]\nbatch_size = 4\nsegment_units = 16\nlr = 0.02\nschedule = constant\nlabel_smoothing = 0\n"
                           "average = 0.8\n";

static music_harmony_table *table;

static int load(void **state)
{
    bl_error err = { 0 };
    table = music_harmony_table_load("configs/harmony.ini", &err);
    return table ? temporary_make(state) : -1;
}

static int unload(void **state)
{
    music_harmony_table_free(table);
    return temporary_remove(state);
}

typedef struct fixture {
    bl_config                 *config;
    blocks_harmonizer         *h;
    blocks_melody_songs        songs;
    blocks_harmonizer_trainer *trainer;
} fixture;

static void make(fixture *f)
{
    bl_error err = { 0 };
    memset(f, 0, sizeof *f);
    f->config = bl_config_parse(tiny, "tiny.ini", &err);
    f->h = blocks_harmonizer_new(f->config, 1, &err);
    assert_string_equal(err.msg, "");
    for (int i = 0; i < 12; i++) {
        corpus_song s;
        corpus_compose(&s, i);
        assert_int_equal(blocks_melody_songs_add(&f->songs, "song", &s.in, s.chords, CORPUS_BARS, i >= 9, &err), BL_OK);
    }
    f->trainer = blocks_harmonizer_trainer_new(f->h, &f->songs, 9, &err);
    assert_string_equal(err.msg, "");
}

static void release(fixture *f)
{
    blocks_harmonizer_trainer_free(f->trainer);
    blocks_melody_songs_free(&f->songs);
    blocks_harmonizer_free(f->h);
    bl_config_free(f->config);
}

static void train(fixture *f, int steps, double losses[2])
{
    bl_error err = { 0 };
    double norm;
    expect_a_plan(blocks_harmonizer_trainer_plan, f->trainer);
    for (int i = 0; i < steps; i++)
        assert_int_equal(blocks_harmonizer_trainer_step(f->trainer, losses, &norm, &err), BL_OK);
}

static bl_status write_to(fixture *f, const char *path, int with_optimizer, bl_error *err)
{
    nn_checkpoint *k = nn_checkpoint_create(path, "arranger", err);
    if (!k || blocks_harmonizer_trainer_put(f->trainer, with_optimizer, k, err) != BL_OK) {
        nn_checkpoint_free(k);
        return err->code;
    }
    return nn_checkpoint_commit(k, err);
}

/* The shipped network, untrained: what it says is as good as random, and so a hard case for the path. */
static blocks_harmonizer *untrained(void)
{
    bl_error err = { 0 };
    bl_config *nothing = bl_config_parse("", "nothing.ini", &err);
    blocks_harmonizer *h = blocks_harmonizer_new(nothing, 3, &err);
    assert_string_equal(err.msg, "");
    bl_config_free(nothing);
    return h;
}

/* ---- learning ---- */

static void units_know_the_chord_that_lasts_longest(void **state)
{
    bl_error err = { 0 };
    blocks_melody_songs songs = { 0 };
    corpus_song s;
    (void)state;
    corpus_compose(&s, 2); /* in Bb: I IV V I */
    s.chords[1].end_s = 3.2;
    strcpy(s.chords[2].name, "N");
    assert_int_equal(blocks_melody_songs_add(&songs, "a/song", &s.in, s.chords, CORPUS_BARS, 0, &err), BL_OK);
    const blocks_melody_song *song = &songs.songs[0];
    assert_int_equal(song->n_units, 2 * CORPUS_BARS);
    assert_int_equal(song->degree[0], 0);
    assert_int_equal(song->degree[2], 15);
    assert_int_equal(song->degree[3], -1); /* a fifth of it has a chord */
    assert_int_equal(song->degree[4], -1); /* no chord is no degree     */
    assert_int_equal(song->degree[6], 0);
    assert_int_equal(song->colour[6], MUSIC_TRIAD);
    blocks_melody_songs_free(&songs);
}

static void it_learns_chords_of_songs_it_never_saw(void **state)
{
    fixture f;
    double first[2], last[2];
    blocks_harmonizer_score before, score;
    bl_error err = { 0 };
    (void)state;
    make(&f);
    assert_int_equal(blocks_harmonizer_trainer_validate(f.trainer, &before, &err), BL_OK);
    train(&f, 1, first);
    train(&f, 120, last);
    assert_true(last[0] < 0.4 * first[0]);
    assert_int_equal(blocks_harmonizer_trainer_validate(f.trainer, &score, &err), BL_OK);
    assert_int_equal(score.n_songs, 3);
    if (!(score.root > 0.9 && score.majmin > 0.9 && before.root < 0.7 && score.tonic_root < 0.6))
        fail_msg("root %.2f, majmin %.2f; before training %.2f, tonic only %.2f", score.root, score.majmin, before.root, score.tonic_root);
    assert_true(fabs(score.human_chord_tones - 1) < 1e-6 && score.chord_tones > 0.9);
    release(&f);
}

static void habits_are_counted(void **state)
{
    fixture f;
    (void)state;
    make(&f);
    const music_harmony_habits *h = &f.h->habits;
    for (int m = 0; m < 2; m++) {
        double share = 0, length = 0, move = 0;
        for (int j = 0; j < MUSIC_DEGREES; j++) {
            share += exp((double)h->share[m][j]);
            move += exp((double)h->move[m][0][j]);
        }
        for (int d = 0; d < MUSIC_LONGEST_CHORD; d++)
            length += exp((double)h->length[m][d]);
        assert_true(fabs(share - 1) < 1e-4 && fabs(length - 1) < 1e-4 && fabs(move - 1) < 1e-4);
    }
    assert_true(h->share[0][0] > h->share[0][3 * 2]);
    assert_true(h->move[0][15][21] > h->move[0][15][28]); /* IV goes to V and I, never to vi */
    assert_true(h->length[0][1] > -0.2f);                 /* two half bars is what they last */
    release(&f);
}

static void a_resumed_run_equals_one_that_went_through(void **state)
{
    fixture whole, half, rest;
    double losses[2];
    char path[BL_PATH_MAX];
    bl_error err = { 0 };
    (void)state;
    make(&whole);
    make(&half);
    make(&rest);
    train(&whole, 12, losses);
    train(&half, 5, losses);
    snprintf(path, sizeof path, "%s", temporary_path("half.h5"));
    assert_int_equal(write_to(&half, path, 1, &err), BL_OK);
    nn_checkpoint *k = nn_checkpoint_open(path, "arranger", &err);
    assert_int_equal(blocks_harmonizer_trainer_get(rest.trainer, k, &err), BL_OK);
    nn_checkpoint_free(k);
    assert_int_equal(rest.h->step, 5);
    train(&rest, 7, losses);
    assert_memory_equal(rest.h->params->value, whole.h->params->value, (size_t)whole.h->params->n_elements * sizeof(real));
    release(&whole);
    release(&half);
    release(&rest);
}

static void a_checkpoint_says_what_was_trained(void **state)
{
    enum { T = 2 * CORPUS_BARS };
    fixture f;
    double losses[2];
    static float x[BLOCKS_HARMONIZER_FEATURES * T], a[2][T * MUSIC_DEGREES], colour[T * MUSIC_COLOURS];
    bl_error err = { 0 };
    (void)state;
    make(&f);
    train(&f, 10, losses);
    const blocks_melody_song *s = &f.songs.songs[4];
    blocks_harmonizer_features(s->units, T, s->melody, s->n_melody, s->key, x);
    for (int with = 0; with < 2; with++) { /* the averages are what is used, with the optimizer's state beside them or without */
        assert_int_equal(write_to(&f, temporary_path("arranger.h5"), with, &err), BL_OK);
        blocks_harmonizer *h = blocks_harmonizer_load(temporary_path("arranger.h5"), &err);
        assert_string_equal(err.msg, "");
        assert_memory_equal(&h->habits, &f.h->habits, sizeof h->habits);
        assert_int_equal(blocks_harmonizer_listen(h, x, T, a[with], colour, &err), BL_OK);
        blocks_harmonizer_free(h);
    }
    assert_memory_equal(a[0], a[1], sizeof a[0]);
    for (int t = 0; t < T; t++) {
        double sum = 0;
        for (int j = 0; j < MUSIC_DEGREES; j++)
            sum += exp((double)a[0][t * MUSIC_DEGREES + j]);
        assert_true(fabs(sum - 1) < 1e-4);
    }
    /* A table that is no table. */
    f.h->habits.share[1][7] = 0.5f;
    assert_int_equal(write_to(&f, temporary_path("bad.h5"), 0, &err), BL_OK);
    assert_null(blocks_harmonizer_load(temporary_path("bad.h5"), &err));
    assert_message(err, "bad.h5: habits/share: value 43 is 0.5, no log-probability");
    bl_error_clear(&err);
    assert_null(blocks_harmonizer_load(temporary_path("nowhere.h5"), &err));
    assert_message(err, "nowhere.h5");
    release(&f);
}

static void other_networks_are_refused(void **state)
{
    static const struct { const char *text, *message; } rows[] = {
        { "[arranger]\ninput.melody = 59, T\nd = conv1d out_channels=36 kernel_size=1\nc = conv1d out_channels=4 kernel_size=1 from=d\noutput = d, c\n",
          "input.melody = 60, T" },
        { "[arranger]\ninput.melody = 60, T\nd = conv1d out_channels=36 kernel_size=1\n", "must have two outputs" },
        { "[arranger]\ninput.melody = 60, T\nd = conv1d out_channels=24 kernel_size=1\nc = conv1d out_channels=4 kernel_size=1 from=d\noutput = d, c\n",
          "output 1 of 2 (degree, colour) must be [36, T]" } };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bl_error err = { 0 };
        bl_config *c = bl_config_parse(rows[i].text, "x.ini", &err);
        assert_null(blocks_harmonizer_new(c, 1, &err));
        assert_message(err, rows[i].message);
        bl_config_free(c);
    }
}

static void a_network_that_halves_time_is_refused_before_anything_is_read_from_it(void **state)
{
    enum { T = 40 };
    static const char text[] = "[arranger]\ninput.melody = 60, T\nn = conv1d out_channels=4 kernel_size=2 stride=2\n"
                               "d = conv1d out_channels=36 kernel_size=1\nc = conv1d out_channels=4 kernel_size=1 from=n\noutput = d, c\n";
    static float x[BLOCKS_HARMONIZER_FEATURES * T], degree[T * MUSIC_DEGREES], colour[T * MUSIC_COLOURS];
    bl_error err = { 0 };
    bl_config *c = bl_config_parse(text, "x.ini", &err);
    (void)state;
    blocks_harmonizer *h = blocks_harmonizer_new(c, 1, &err);
    assert_string_equal(err.msg, "");
    assert_int_equal(blocks_harmonizer_listen(h, x, T, degree, colour, &err), BL_ESHAPE);
    assert_message(err, "degree: expected [1, 36, 40], got [1, 36, 20]");
    blocks_harmonizer_free(h);
    bl_config_free(c);
}

/* ---- what it writes ---- */

static music_chord_span *write_chords(blocks_harmonizer *h, const music_harmony_input *in, int *n)
{
    bl_error err = { 0 };
    music_chord_span *spans = NULL;
    if (blocks_harmonizer_run(h, table, in, &spans, n, &err) != BL_OK)
        fail_msg("%s", err.msg);
    return spans;
}

/* Notes of all pitches and lengths, on no grid. */
static int wander(music_note *notes, int most, double end_s, uint64_t seed)
{
    bl_rng rng;
    int n = 0;
    double t = 0.3;
    bl_rng_seed(&rng, seed);
    while (n < most && t < end_s) {
        const double lasts = 0.1 + bl_rng_uniform(&rng);
        notes[n++] = (music_note){ t, t + lasts, 55 + (int)bl_rng_below(&rng, 20), 80 };
        t += lasts + (bl_rng_uniform(&rng) < 0.2 ? 1.5 : 0.02);
    }
    return n;
}

static void a_melody_sung_higher_gets_the_same_chords_higher(void **state)
{
    fixture f;
    double losses[2];
    static double beats[129];
    music_note notes[100], moved[100];
    const int n_notes = wander(notes, 100, 64, 5);
    (void)state;
    make(&f);
    train(&f, 40, losses);
    for (int i = 0; i < 129; i++)
        beats[i] = 0.5 * i;
    for (int minor = 0; minor < 2; minor++) {
        music_harmony_input in = { .beats_s = beats, .n_beats = 129, .beats_per_bar = 4, .melody = notes, .n_melody = n_notes,
                                   .key = { 2, minor }, .genre = "jazz", .end_s = 64 };
        int n, n_moved;
        music_chord_span *a = write_chords(f.h, &in, &n);
        assert_true(n > 3);
        for (int up = 1; up < 12; up++) {
            for (int i = 0; i < n_notes; i++) {
                moved[i] = notes[i];
                moved[i].pitch += up;
            }
            in.melody = moved;
            in.key.tonic = (2 + up) % 12;
            music_chord_span *b = write_chords(f.h, &in, &n_moved);
            assert_int_equal(n_moved, n);
            for (int i = 0; i < n; i++) {
                music_chord c, d;
                assert_true(music_chord_parse(a[i].name, &c) && music_chord_parse(b[i].name, &d));
                assert_true(a[i].start_s == b[i].start_s && a[i].end_s == b[i].end_s);
                assert_int_equal((c.root + up) % 12, d.root);
                assert_int_equal(c.quality, d.quality);
            }
            free(b);
        }
        free(a);
    }
    release(&f);
}

static void chords_cover_the_song_and_change_on_strong_beats(void **state)
{
    static const char *const genres[] = { "rock", "pop", "jazz", "classical", "blues", "country", "reggae", "disco", "metal", "hip-hop" };
    blocks_harmonizer *h = untrained();
    static double beats[121];
    music_note notes[100];
    (void)state;
    for (int i = 0; i < 121; i++)
        beats[i] = 1 + 0.5 * i + 0.01 * (i % 3); /* no clock */
    for (int g = 0; g < 10; g++)
        for (int per = 3; per <= 6; per++) {
            const int n_notes = per == 5 ? 0 : wander(notes, 100, 60, (uint64_t)(10 * g + per)); /* nobody sings in 5/4 */
            const music_harmony_input in = { .beats_s = beats, .n_beats = 121, .beats_per_bar = per, .melody = notes, .n_melody = n_notes,
                                             .key = { 7, g % 2 }, .genre = genres[g], .start_s = 0, .end_s = 63 };
            const int strong = per % 2 ? per : per / 2;
            int n;
            music_chord_span *s = write_chords(h, &in, &n);
            assert_true(s[0].start_s == 0 && s[n - 1].end_s == 63);
            for (int i = 1; i < n; i++) {
                int on_strong = 0;
                for (int b = 0; b < 121; b += strong)
                    on_strong |= s[i].start_s == beats[b];
                assert_true(on_strong && s[i].start_s == s[i - 1].end_s && s[i].end_s > s[i].start_s);
            }
            free(s);
        }
    blocks_harmonizer_free(h);
}

/* ---- reading ---- */

static void write_text(const char *path, const char *text)
{
    assert_int_equal(bl_write_file(path, text, strlen(text), NULL), BL_OK);
}

/* Melody (called as given) and, with chord_notes, a track of block chords; else chords as lyrics. */
static void write_midi(const char *path, const corpus_song *s, const char *melody_name, int chord_notes)
{
    bl_error err = { 0 };
    music_score score = { 0 };
    assert_int_equal(music_score_set_beats(&score, s->beats_s, CORPUS_BEATS, 0, 4, &err), BL_OK);
    if (chord_notes) {
        music_track *t = music_score_add_track(&score, "piano", 0, 0, &err);
        for (int i = 0; i < CORPUS_BARS; i++) {
            music_chord c;
            int tones[5];
            music_chord_parse(s->chords[i].name, &c);
            for (int k = 0; k < music_chord_intervals(c, tones); k++)
                music_track_add(t, s->chords[i].start_s, s->chords[i].end_s, 48 + c.root + tones[k], 70, &err);
        }
    }
    music_track *t = music_score_add_track(&score, melody_name, 52, 0, &err);
    for (int i = 0; i < CORPUS_NOTES; i++)
        music_track_add(t, s->melody[i].onset_s, s->melody[i].offset_s, s->melody[i].pitch, 90, &err);
    for (int i = 0; i < CORPUS_BARS && !chord_notes; i++)
        music_score_add_chord(&score, s->chords[i].start_s, s->chords[i].end_s, s->chords[i].name, &err);
    if (!chord_notes)
        music_score_add_key(&score, 0, music_key_signature(s->in.key), s->in.key.minor, &err);
    assert_int_equal(music_midi_write(path, &score, &err), BL_OK);
    assert_string_equal(err.msg, "");
    music_score_free(&score);
}

static void write_pop(const char *folder, const corpus_song *s)
{
    char path[800], text[8192];
    int n = 0;
    assert_int_equal(bl_make_folder(folder, NULL), BL_OK);
    snprintf(path, sizeof path, "%.500s/%.100s.mid", folder, bl_path_name(folder));
    write_midi(path, s, "MELODY", 1);
    for (int i = 0; i < CORPUS_BEATS; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, "%g %d.0 %d.0\n", s->beats_s[i], i % 2 == 0, i % 4 == 0);
    snprintf(path, sizeof path, "%.500s/beat_midi.txt", folder);
    write_text(path, text);
    n = 0;
    for (int i = 0; i < CORPUS_BARS; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, "%g\t%g\t%s\n", s->chords[i].start_s, s->chords[i].end_s, s->chords[i].name);
    snprintf(path, sizeof path, "%.500s/chord_midi.txt", folder);
    write_text(path, text);
    snprintf(text, sizeof text, "0.5\t30.1\t%s:maj\n", music_class_name(s->in.key.tonic, 0));
    snprintf(path, sizeof path, "%.500s/key_audio.txt", folder);
    write_text(path, text);
}

static int n_skipped;
static char skipped[400];

static void on_skip(void *user, const char *path, const char *reason)
{
    (void)user;
    n_skipped++;
    snprintf(skipped, sizeof skipped, "%.200s: %.150s", bl_path_name(path), reason);
}

static void songs_are_read_from_every_kind_of_folder(void **state)
{
    const blocks_melody_options options = { .keep_out = 6, .on_skip = on_skip };
    blocks_melody_songs songs = { 0 };
    char root[400], path[800], command[800];
    corpus_song s;
    bl_error err = { 0 };
    (void)state;
    corpus_compose(&s, 3); /* in Eb */
    snprintf(root, sizeof root, "%.300s", temporary_path("corpus"));
    assert_int_equal(bl_make_folder(root, NULL), BL_OK);
    for (int i = 0; i < 2; i++) { /* 011 is read, 012 is kept out */
        snprintf(path, sizeof path, "%s/pop/%03d", root, 11 + i);
        write_pop(path, &s);
    }
    snprintf(path, sizeof path, "%s/lyrics.mid", root);
    write_midi(path, &s, "voice", 0);
    snprintf(path, sizeof path, "%s/notes.mid", root);
    write_midi(path, &s, "flute", 1);
    snprintf(path, sizeof path, "%s/broken.mid", root);
    write_text(path, "MThd what?");
    n_skipped = 0;
    assert_int_equal(blocks_melody_songs_collect(root, &options, 1, &songs, &err), BL_OK);
    assert_int_equal(songs.n, 3);
    assert_int_equal(songs.n_kept_out, 1);
    assert_int_equal(n_skipped, 1);
    assert_string_equal(skipped, "broken.mid: not a MIDI file (no MThd header)");
    assert_string_equal(songs.songs[0].name, "lyrics");
    assert_string_equal(songs.songs[2].name, "pop/011");
    for (int i = 0; i < 3; i++) {
        const blocks_melody_song *song = &songs.songs[i];
        if (song->key.tonic != s.in.key.tonic || song->key.minor || song->n_melody != CORPUS_NOTES || song->n_units < 2 * CORPUS_BARS ||
            song->beats_per_bar != 4)
            fail_msg("%s: key %d %d, %d notes, %d units, %d beats a bar", song->name, song->key.tonic, song->key.minor, song->n_melody,
                     song->n_units, song->beats_per_bar);
        static const int expected[4] = { 0, 28, 15, 21 };
        for (int k = 0; k < 2 * CORPUS_BARS; k++)
            assert_int_equal(song->degree[k], expected[k / 2 % 4]);
    }
    blocks_melody_songs_free(&songs);

    snprintf(path, sizeof path, "%s/pop/011/chord_midi.txt", root);
    write_text(path, "0 2 C:maj\n2 4\n");
    assert_int_equal(blocks_melody_songs_collect(root, &options, 1, &songs, &err), BL_OK);
    assert_non_null(strstr(skipped, "chord_midi.txt line 2: expected start, end, chord, got \"2 4\""));
    blocks_melody_songs_free(&songs);

    snprintf(path, sizeof path, "%s/empty", temporary_folder);
    assert_int_equal(bl_make_folder(path, NULL), BL_OK);
    assert_int_equal(blocks_melody_songs_collect(path, &options, 1, &songs, &err), BL_EFORMAT);
    assert_message(err, "no song with a melody and chords");
    snprintf(command, sizeof command, "rm -r '%s'", root);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(units_know_the_chord_that_lasts_longest),
        cmocka_unit_test(it_learns_chords_of_songs_it_never_saw),
        cmocka_unit_test(habits_are_counted),
        cmocka_unit_test(a_resumed_run_equals_one_that_went_through),
        cmocka_unit_test(a_checkpoint_says_what_was_trained),
        cmocka_unit_test(other_networks_are_refused),
        cmocka_unit_test(a_network_that_halves_time_is_refused_before_anything_is_read_from_it),
        cmocka_unit_test(a_melody_sung_higher_gets_the_same_chords_higher),
        cmocka_unit_test(chords_cover_the_song_and_change_on_strong_beats),
        cmocka_unit_test(songs_are_read_from_every_kind_of_folder),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
