#include "tests/temporary.h"

#include "base/rng.h"
#include "blocks/drummer_train.h"
#include "music/midi.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <omp.h>

#include "tests/message.h"

/* The shipped form, small: so that a test learns in a second. */
static const char tiny[] = "[drummer]\nstyles = rock jazz\nspread = 1\ntogether = 0.4\n"
                           "[drummer_network]\ninput.strokes = 34, T\ninput.style = 1\ninput.length = 1\n"
                           "manner = embedding num_embeddings=4 embedding_dim=3 from=style\nseen = concat from=strokes,manner\n"
                           "body = lstm hidden_size=12 bidirectional=yes from=seen,length\nout = conv1d out_channels=162 kernel_size=1\n"
                           "[drummer_training]\nsteps = 240\nschedule = cosine\nbatch_size = 4\nsegment_strokes = 24\nlr = 0.02\noptimizer = adamw\naverage = 0.9\n"
                           "any_style = 0\naccents = 0\ntune = 0\n";

static blocks_drummer *make(const char *text, uint64_t seed)
{
    bl_error err = { 0 };
    bl_config *config = bl_config_parse(text, "tiny.ini", &err);
    blocks_drummer *d = config ? blocks_drummer_new(config, seed, &err) : NULL;
    bl_config_free(config);
    if (!d)
        fail_msg("%s", err.msg);
    return d;
}

/* ---- strokes ---- */

enum { KICK = 36, SNARE = 38, HAT = 42, RIDE = 51 };

static music_note note(double beats, double bpm, int pitch, int velocity)
{
    return (music_note){ beats * 60 / bpm, beats * 60 / bpm + 0.1, pitch, velocity };
}

static void a_shuffle_lies_on_triplets_and_its_lag_is_taken_out(void **state)
{
    music_note n[64];
    blocks_stroke *s;
    (void)state;
    for (int i = 0; i < 32; i++) { /* everything 0.03 beats late */
        n[2 * i] = note(i + 0.03, 100, RIDE, 100);
        n[2 * i + 1] = note(i + 2.0 / 3 + 0.03, 100, RIDE, 60);
    }
    assert_int_equal(blocks_strokes_read(n, 64, 100, 4, &s), 64);
    for (int t = 0; t < 64; t++) {
        assert_int_equal(s[t].place, t % 2 ? 4 : 0);
        assert_int_equal(s[t].beat, t / 2 % 4);
        assert_int_equal(s[t].bar, t / 8);
        assert_true(s[t].hit[MUSIC_DRUM_RIDE] && fabsf(s[t].offset[MUSIC_DRUM_RIDE]) < 0.01f && fabsf(s[t].shift) < 0.01f);
        assert_true(fabsf(s[t].velocity[MUSIC_DRUM_RIDE] - (t % 2 ? 60 : 100) / 127.0f) < 1e-6f);
    }
    free(s);
}

static void swung_sixteenths_are_the_grids_and_not_the_hits_deviation(void **state)
{
    music_note n[128];
    blocks_stroke *s;
    (void)state;
    for (int i = 0; i < 128; i++) /* the second of each eighth 0.04 beats late; one hit of all is 0.02 early beside that */
        n[i] = note(0.25 * i + (i % 2 ? 0.04 : 0) - (i == 65 ? 0.02 : 0), 90, HAT, 80);
    assert_int_equal(blocks_strokes_read(n, 128, 90, 4, &s), 128);
    for (int t = 0; t < 128; t++) {
        assert_true(fabsf(s[t].shift - (t % 2 ? 0.16f : 0)) < 0.02f); /* in sixteenths; a little less is believed of few hits */
        assert_true(fabsf(s[t].offset[MUSIC_DRUM_CLOSED] + (t == 65 ? 0.08f : 0)) < 0.02f);
    }
    free(s);
}

static void of_two_hits_of_a_drum_in_a_stroke_the_louder_counts(void **state)
{
    blocks_stroke *s;
    (void)state;
    const music_note n[] = { note(0, 120, KICK, 90), note(0.97, 120, SNARE, 30), note(1, 120, SNARE, 110), note(1, 120, 40, 60), note(2, 120, KICK, 90) };
    assert_int_equal(blocks_strokes_read(n, 5, 120, 4, &s), 3);
    assert_true(fabsf(s[1].velocity[MUSIC_DRUM_SNARE] - 110 / 127.0f) < 1e-6f && fabsf(s[1].offset[MUSIC_DRUM_SNARE]) < 0.03f);
    /* within four beats: 90, 110 and 90 */
    assert_true(fabsf(s[0].around - 290 / 381.0f) < 1e-5f);
    free(s);
}

static music_drum_hit hit(int bar, int n_beats, int beat, int step, int steps, double place, double beat_s, int drum, double velocity)
{
    return (music_drum_hit){ .bar = bar, .n_beats = n_beats, .beat = beat, .step = step, .steps = steps, .place = place,
                             .time_s = ((double)bar * n_beats + beat + place) * beat_s, .beat_s = beat_s, .drum = drum, .velocity = velocity };
}

static void six_quick_beats_are_two_of_three_and_swing_is_a_shift(void **state)
{
    blocks_stroke *s;
    int of[8];
    (void)state;
    const music_drum_hit six[] = { hit(0, 6, 0, 0, 2, 0, 0.25, KICK, 90), hit(0, 6, 0, 0, 2, 0, 0.25, HAT, 70), hit(0, 6, 1, 0, 2, 0, 0.25, HAT, 70),
                                   hit(0, 6, 3, 0, 2, 0, 0.25, SNARE, 90), hit(1, 6, 2, 0, 2, 0, 0.25, HAT, 70) };
    assert_int_equal(blocks_strokes_take(six, 5, &s, of), 4);
    assert_true(of[0] == 0 && of[1] == 0 && of[2] == 1 && of[4] == 3);
    assert_true(fabsf(s[0].bpm - 80) < 1e-3f && s[1].beat == 0 && s[1].place == 2 && s[2].beat == 1 && s[2].place == 0);
    assert_true(s[3].bar == 1 && s[3].place == 4 && fabs(s[3].at - (2 + 2.0 / 3)) < 1e-9);
    free(s);
    const music_drum_hit swing[] = { hit(0, 4, 0, 1, 2, 0.66, 0.5, RIDE, 70), hit(0, 4, 1, 1, 2, 0.56, 0.5, RIDE, 70), hit(0, 4, 2, 1, 4, 0.285, 0.5, HAT, 70) };
    assert_int_equal(blocks_strokes_take(swing, 3, &s, of), 3);
    assert_true(s[0].place == 4 && fabsf(s[0].shift + 4 * (2.0f / 3 - 0.66f)) < 1e-4f);
    assert_true(s[1].place == 3 && fabsf(s[1].shift - 0.24f) < 1e-4f);
    assert_true(s[2].place == 1 && fabsf(s[2].shift - 0.14f) < 1e-4f);
    free(s);
}

/* ---- playing ---- */

/* Eight bars of a backbeat with eighths. */
static int backbeat(music_drum_hit *h)
{
    int n = 0;
    for (int bar = 0; bar < 8; bar++)
        for (int b = 0; b < 4; b++)
            for (int k = 0; k < 2; k++) {
                h[n++] = hit(bar, 4, b, k, 2, 0.5 * k, 0.5, HAT, 70);
                if (!k)
                    h[n++] = hit(bar, 4, b, 0, 2, 0, 0.5, b % 2 ? SNARE : KICK, 95);
            }
    return n;
}

static void equal_part_and_seed_are_played_alike_at_any_thread_count(void **state)
{
    enum { MOST = 200 };
    static music_drum_hit part[MOST], a[MOST], b[MOST], c[MOST];
    bl_error err = { 0 };
    blocks_drummer *d = make(tiny, 3);
    const music_drummer drummer = blocks_drummer_hook(d);
    const int n = backbeat(part), threads = omp_get_max_threads();
    int other = 0;
    (void)state;
    memcpy(a, part, sizeof part);
    memcpy(b, part, sizeof part);
    memcpy(c, part, sizeof part);
    omp_set_num_threads(1);
    assert_int_equal(drummer.play(drummer.user, "rock", 7, a, n, &err), BL_OK);
    omp_set_num_threads(3);
    assert_int_equal(drummer.play(drummer.user, "rock", 7, b, n, &err), BL_OK);
    assert_int_equal(drummer.play(drummer.user, "rock", 8, c, n, &err), BL_OK);
    omp_set_num_threads(threads);
    for (int i = 0; i < n; i++) {
        assert_true(a[i].velocity == b[i].velocity && a[i].late_s == b[i].late_s);
        assert_true(a[i].velocity >= 1 && a[i].velocity <= 127 && fabs(a[i].late_s) < 0.6 * 0.125 + 1e-6);
        other += a[i].velocity != c[i].velocity && a[i].late_s != c[i].late_s;
        a[i].velocity = part[i].velocity; /* nothing else is touched */
        a[i].late_s = part[i].late_s;
        assert_memory_equal(&a[i], &part[i], sizeof part[i]);
    }
    assert_true(other > n / 2); /* untrained, it often hits as hard as can be */
    blocks_drummer_free(d);
}

static void without_spread_the_seed_does_not_matter(void **state)
{
    static music_drum_hit part[200];
    bl_error err = { 0 };
    blocks_drummer *d = make(tiny, 3);
    blocks_stroke *s, a[200], b[200];
    int of[200];
    (void)state;
    const int n = blocks_strokes_take(part, backbeat(part), &s, of);
    assert_int_equal(blocks_drummer_play(d, s, n, 0, 1, 0, 1, a, &err), BL_OK);
    assert_int_equal(blocks_drummer_play(d, s, n, 0, 1, 0, 2, b, &err), BL_OK);
    assert_memory_equal(a, b, (size_t)n * sizeof *a);
    free(s);
    blocks_drummer_free(d);
}

static void a_manner_that_nobody_taught_is_refused_with_a_list(void **state)
{
    static music_drum_hit part[200];
    bl_error err = { 0 };
    blocks_drummer *d = make(tiny, 3);
    const music_drummer drummer = blocks_drummer_hook(d);
    (void)state;
    assert_int_equal(blocks_drummer_style(d, "jazz/fast"), 2);
    assert_int_equal(blocks_drummer_style(d, "any"), 0);
    assert_int_equal(drummer.play(drummer.user, "polka", 1, part, backbeat(part), &err), BL_EARG);
    assert_message(err, "the drummer has no manner \"polka\"; there are any, rock, jazz");
    blocks_drummer_free(d);
}

static void networks_of_another_form_are_refused(void **state)
{
    static const struct { const char *set, *want; } cases[] = {
        { "drummer_network.out=conv1d out_channels=160 kernel_size=1", "must give 162 channels" },
        { "drummer_network.input.strokes=33, T", "strokes = 34, T" },
        { "drummer_network.manner=embedding num_embeddings=2 embedding_dim=3 from=style", "names 2 and there is" },
        { "drummer.styles= ", "styles: no names" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bl_error err = { 0 };
        bl_config *config = bl_config_parse(tiny, "tiny.ini", &err);
        assert_int_equal(bl_config_set(config, cases[i].set, &err), BL_OK);
        assert_null(blocks_drummer_new(config, 1, &err));
        assert_message(err, cases[i].want);
        bl_config_free(config);
    }
}

static void a_network_that_halves_time_is_refused_before_anything_is_read_from_it(void **state)
{
    static music_drum_hit part[200];
    bl_error err = { 0 };
    bl_config *config = bl_config_parse(tiny, "tiny.ini", &err);
    (void)state;
    assert_int_equal(bl_config_set(config, "drummer_network.out=conv1d out_channels=162 kernel_size=2 stride=2", &err), BL_OK);
    blocks_drummer *d = blocks_drummer_new(config, 1, &err);
    assert_string_equal(err.msg, "");
    const music_drummer drummer = blocks_drummer_hook(d);
    assert_int_equal(drummer.play(drummer.user, "rock", 1, part, backbeat(part), &err), BL_ESHAPE);
    assert_message(err, "expected [1, 162, 64], got [1, 162, 32]");
    blocks_drummer_free(d);
    bl_config_free(config);
}

/* ---- learning ---- */

/* Performances in which what is hit together says how: a hi-hat alone is soft and late, with a snare loud and early. */
static void perform(blocks_drum_songs *songs, int n_songs)
{
    bl_rng rng;
    bl_error err = { 0 };
    bl_rng_seed(&rng, 11);
    for (int k = 0; k < n_songs; k++) {
        music_note n[600];
        blocks_stroke *s;
        int count = 0;
        for (int i = 0; i < 128; i++) {
            const double on_beat = i % 4 == 0, snare = !on_beat && bl_rng_uniform(&rng) < 0.4;
            const double late = on_beat ? 0 : snare ? -0.02 : 0.02;
            n[count++] = note(0.25 * i + late, 100, HAT, snare ? 110 : 50);
            if (snare)
                n[count++] = note(0.25 * i + late, 100, SNARE, 90);
            if (on_beat)
                n[count++] = note(0.25 * i, 100, KICK, 100);
        }
        const int strokes = blocks_strokes_read(n, count, 100, 4, &s);
        assert_int_equal(blocks_drum_songs_add(songs, s, strokes, 1 + k % 2, k < n_songs - 3 ? BLOCKS_DRUM_TRAIN : BLOCKS_DRUM_HELD_OUT, &err), BL_OK);
    }
}

static void it_learns_from_context_what_no_average_knows(void **state)
{
    blocks_drum_songs songs = { 0 };
    blocks_drum_score score;
    bl_error err = { 0 };
    blocks_drummer *d = make(tiny, 2);
    double losses[2], norm;
    (void)state;
    perform(&songs, 12);
    blocks_drummer_trainer *t = blocks_drummer_trainer_new(d, &songs, 5, &err);
    assert_non_null(t);
    for (int i = 0; i < 240; i++)
        assert_int_equal(blocks_drummer_trainer_step(t, losses, &norm, &err), BL_OK);
    assert_int_equal(blocks_drummer_trainer_validate(t, BLOCKS_DRUM_HELD_OUT, &score, &err), BL_OK);
    const blocks_drum_figures *ours = &score.all[BLOCKS_DRUM_OURS_BLIND], *place = &score.all[BLOCKS_DRUM_POSITION];
    assert_int_equal(score.n_songs, 3);
    assert_true(ours->velocity_r2 > 0.6 && ours->velocity_mae < 0.75 * place->velocity_mae);
    assert_true(ours->offset_r2 > 0.7 && ours->offset_mae_ms < 0.5 * place->offset_mae_ms);
    assert_true(ours->velocity_kl < 0.5 * place->velocity_kl);
    blocks_drummer_trainer_free(t);
    blocks_drum_songs_free(&songs);
    blocks_drummer_free(d);
}

static void a_person_who_repeats_a_bar_predicts_it(void **state)
{
    blocks_drum_songs songs = { 0 };
    blocks_drum_score score;
    bl_error err = { 0 };
    blocks_drummer *d = make(tiny, 2);
    (void)state;
    for (int k = 0; k < 2; k++) { /* three times the same bar and one that is not */
        music_note n[64];
        blocks_stroke *s;
        for (int i = 0; i < 32; i++)
            n[i] = note(0.5 * i, 100, i >= 24 && i % 2 ? SNARE : HAT, i % 2 ? 60 : 100);
        const int strokes = blocks_strokes_read(n, 32, 100, 4, &s);
        blocks_drum_songs_add(&songs, s, strokes, 1, k ? BLOCKS_DRUM_HELD_OUT : BLOCKS_DRUM_TRAIN, &err);
    }
    assert_int_equal(blocks_drum_score_run(d, &songs, BLOCKS_DRUM_HELD_OUT, 1, &score, &err), BL_OK);
    assert_true(score.n_hits == 32 && score.n_repeated == 24);
    assert_true(score.repeated[BLOCKS_DRUM_REPEAT].velocity_mae < 1e-4 && score.repeated[BLOCKS_DRUM_REPEAT].velocity_r2 > 0.999);
    assert_true(score.repeated[BLOCKS_DRUM_QUANTISED].velocity_mae > 10);
    blocks_drum_songs_free(&songs);
    blocks_drummer_free(d);
}

static bl_status write_to(const blocks_drummer_trainer *t, const char *path, int with_optimizer, bl_error *err)
{
    nn_checkpoint *c = nn_checkpoint_create(path, "drummer", err);
    return c && blocks_drummer_trainer_put(t, with_optimizer, c, err) == BL_OK ? nn_checkpoint_commit(c, err) : err->code;
}

static void a_checkpoint_plays_as_what_was_trained(void **state)
{
    static music_drum_hit part[200], a[200], b[200];
    blocks_drum_songs songs = { 0 };
    char path[BL_PATH_MAX];
    bl_error err = { 0 };
    blocks_drummer *d = make(tiny, 2);
    double losses[2], norm;
    const int n = backbeat(part);
    (void)state;
    perform(&songs, 5);
    blocks_drummer_trainer *t = blocks_drummer_trainer_new(d, &songs, 5, &err);
    for (int i = 0; i < 10; i++)
        assert_int_equal(blocks_drummer_trainer_step(t, losses, &norm, &err), BL_OK);
    bl_path_join(path, temporary_folder, "drummer.h5", &err);
    for (int with = 0; with < 2; with++) { /* the averages are what is used, also of the one to go on from */
        assert_int_equal(write_to(t, path, with, &err), BL_OK);
        blocks_drummer *read = blocks_drummer_load(path, &err);
        assert_string_equal(err.msg, "");
        const music_drummer drummer = blocks_drummer_hook(read);
        memcpy(with ? b : a, part, sizeof part);
        assert_int_equal(drummer.play(read, "jazz", 7, with ? b : a, n, &err), BL_OK);
        assert_int_equal(read->step, 10);
        blocks_drummer_free(read);
    }
    assert_memory_equal(a, b, (size_t)n * sizeof *a);
    blocks_drummer_trainer_free(t);
    blocks_drum_songs_free(&songs);
    blocks_drummer_free(d);
}

/* ---- datasets ---- */

static void write_file(const char *name, const char *text)
{
    char path[BL_PATH_MAX];
    bl_error err = { 0 };
    bl_path_join(path, temporary_folder, name, &err);
    assert_int_equal(bl_write_file(path, text, strlen(text), &err), BL_OK);
}

static void write_midi(const char *name, int is_drums)
{
    char path[BL_PATH_MAX];
    bl_error err = { 0 };
    music_score score = { 0 };
    music_score_add_tempo(&score, 0, 100, &err);
    music_track *t = music_score_add_track(&score, "drums", 0, is_drums, &err);
    for (int i = 0; i < 16; i++)
        music_track_add(t, 0.3 * i, 0.3 * i + 0.1, i % 2 ? SNARE : KICK, 90, &err);
    bl_path_join(path, temporary_folder, name, &err);
    assert_int_equal(music_midi_write(path, &score, &err), BL_OK);
    music_score_free(&score);
}

static int n_skipped;
static char last_reason[200];

static void note_skip(void *user, const char *path, const char *reason)
{
    (void)user;
    n_skipped++;
    snprintf(last_reason, sizeof last_reason, "%.60s: %.120s", path, reason);
}

static void performances_are_read_by_their_list_and_broken_ones_skipped(void **state)
{
    blocks_drum_songs songs;
    bl_error err = { 0 };
    blocks_drummer *d = make(tiny, 2);
    (void)state;
    write_midi("a.mid", 1);
    write_midi("piano.mid", 0);
    write_file("info.csv", "style,extra,bpm,time_signature,midi_filename,split\nrock/fast,x,100,4-4,a.mid,train\r\njazz,x,100,3-4,a.mid,test\n\n"
                           "polka,x,100,4-4,a.mid,validation\nrock,x,100,6-8,a.mid,train\nrock,x,100,4-4,piano.mid,train\nrock,x,100,4-4,gone.mid,train\n");
    assert_int_equal(blocks_drum_songs_collect(temporary_folder, d, 0, note_skip, NULL, &songs, &err), BL_OK);
    assert_true(songs.n == 3 && songs.n_skipped == 3 && n_skipped == 3);
    assert_true(songs.songs[0].style == 1 && songs.songs[0].part == BLOCKS_DRUM_TRAIN && songs.songs[0].n == 16);
    assert_true(songs.songs[1].style == 2 && songs.songs[1].part == BLOCKS_DRUM_HELD_OUT);
    assert_true(songs.songs[1].strokes[3].bar == 0 && songs.songs[1].strokes[6].bar == 1); /* three in a bar */
    assert_int_equal(songs.songs[2].style, 0);
    assert_non_null(strstr(last_reason, "gone.mid"));
    blocks_drum_songs_free(&songs);
    blocks_drummer_free(d);
}

/* One quarter a tick; bass drum on the first, and again after the longest rest that a file can say, 0xfffffff ticks. */
static const unsigned char endless[] = "MThd\0\0\0\6\0\0\0\1\0\1MTrk\0\0\0\x17\0\x99\x24\x5a\1\x89\x24\0\xff\xff\xff\x7f\x99\x24\x5a\1\x89\x24\0\0\xff\x2f\0";
/* The same with a tempo of 6 million a minute and no rest. */
static const unsigned char frantic[] = "MThd\0\0\0\6\0\0\0\1\0\1MTrk\0\0\0\x13\0\xff\x51\3\0\0\x0a\0\x99\x24\x5a\1\x89\x24\0\0\xff\x2f\0";

static void a_performance_without_end_or_faster_than_anybody_is_skipped(void **state)
{
    static const struct { const unsigned char *bytes; size_t n; const char *want; } cases[] = {
        { endless, sizeof endless - 1, "longer than 1000000 beats" }, { frantic, sizeof frantic - 1, "its tempo is 6e+06, expected 20 to 400" } };
    (void)state;
    for (int i = 0; i < 2; i++) {
        blocks_drum_songs songs;
        bl_error err = { 0 };
        blocks_drummer *d = make(tiny, 2);
        assert_int_equal(bl_write_file(temporary_path("odd.mid"), cases[i].bytes, cases[i].n, &err), BL_OK);
        write_file("info.csv", "style,bpm,time_signature,midi_filename,split\nrock,100,4-4,odd.mid,train\n");
        assert_int_equal(blocks_drum_songs_collect(temporary_folder, d, 0, note_skip, NULL, &songs, &err), BL_EFORMAT);
        if (!strstr(last_reason, cases[i].want))
            fail_msg("expected \"%s\", got \"%s\"", cases[i].want, last_reason);
        blocks_drummer_free(d);
    }
}

static void what_is_wrong_with_a_list_is_said(void **state)
{
    static const struct { const char *text, *want; } cases[] = {
        { "", "is empty" },
        { "style,bpm,midi_filename,split\n", "line 1: there is no column \"time_signature\"" },
        { "style,bpm,time_signature,midi_filename,split\nrock,100,4-4\n", "line 2: fewer columns" },
        { "style,bpm,time_signature,midi_filename,split\n\"ro,ck\",100,4-4,a.mid,train\n", "line 2: quotes" },
        { "style,bpm,time_signature,midi_filename,split\nrock,0,4-4,a.mid,train\n", "no performance to train on" },
    };
    blocks_drum_songs songs;
    blocks_drummer *d = make(tiny, 2);
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bl_error err = { 0 };
        write_file("info.csv", cases[i].text);
        assert_int_equal(blocks_drum_songs_collect(temporary_folder, d, 0, NULL, NULL, &songs, &err), BL_EFORMAT);
        assert_message(err, cases[i].want);
    }
    bl_error err = { 0 };
    char path[BL_PATH_MAX];
    bl_path_join(path, temporary_folder, "info.csv", &err);
    unlink(path);
    assert_int_equal(blocks_drum_songs_collect(temporary_folder, d, 0, NULL, NULL, &songs, &err), BL_EFORMAT);
    assert_message(err, "there is no info.csv");
    blocks_drummer_free(d);
}

/* ---- the one that ships ---- */

static void the_shipped_drummer_hits_the_backbeat_harder_than_ghost_notes_and_keeps_time(void **state)
{
    static music_drum_hit h[700];
    bl_error err = { 0 };
    double loud = 0, ghost = 0, late = 0, squares = 0;
    int n = 0, n_loud = 0, n_ghost = 0;
    (void)state;
    blocks_drummer *d = blocks_drummer_load("models/drummer.h5", &err);
    if (!d)
        fail_msg("%s", err.msg);
    const music_drummer drummer = blocks_drummer_hook(d);
    for (int bar = 0; bar < 16; bar++)
        for (int i = 0; i < 16; i++) {
            if (i % 2 == 0)
                h[n++] = hit(bar, 4, i / 4, i % 4, 4, i % 4 / 4.0, 0.55, HAT, i % 4 ? 62 : 78);
            if (i % 8 == 4 || i == 7 || i == 9)
                h[n++] = hit(bar, 4, i / 4, i % 4, 4, i % 4 / 4.0, 0.55, SNARE, i % 8 == 4 ? 104 : 40);
            if (i == 0 || i == 8 || i == 10)
                h[n++] = hit(bar, 4, i / 4, i % 4, 4, i % 4 / 4.0, 0.55, KICK, 92);
        }
    assert_int_equal(drummer.play(drummer.user, "funk", 1, h, n, &err), BL_OK);
    for (int i = 0; i < n; i++) {
        if (h[i].drum == SNARE && h[i].step == 0) {
            loud += h[i].velocity;
            n_loud++;
        } else if (h[i].drum == SNARE) {
            ghost += h[i].velocity;
            n_ghost++;
        }
        late += h[i].late_s / n;
        squares += h[i].late_s * h[i].late_s / n;
    }
    assert_true(loud / n_loud > ghost / n_ghost + 35);
    assert_true(fabs(late) < 0.01);                            /* on the whole in time */
    assert_true(sqrt(squares) > 0.004 && sqrt(squares) < 0.03); /* a person, and not a drunk one */
    blocks_drummer_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_shuffle_lies_on_triplets_and_its_lag_is_taken_out),
        cmocka_unit_test(swung_sixteenths_are_the_grids_and_not_the_hits_deviation),
        cmocka_unit_test(of_two_hits_of_a_drum_in_a_stroke_the_louder_counts),
        cmocka_unit_test(six_quick_beats_are_two_of_three_and_swing_is_a_shift),
        cmocka_unit_test(equal_part_and_seed_are_played_alike_at_any_thread_count),
        cmocka_unit_test(without_spread_the_seed_does_not_matter),
        cmocka_unit_test(a_manner_that_nobody_taught_is_refused_with_a_list),
        cmocka_unit_test(networks_of_another_form_are_refused),
        cmocka_unit_test(a_network_that_halves_time_is_refused_before_anything_is_read_from_it),
        cmocka_unit_test(it_learns_from_context_what_no_average_knows),
        cmocka_unit_test(a_person_who_repeats_a_bar_predicts_it),
        cmocka_unit_test(a_checkpoint_plays_as_what_was_trained),
        cmocka_unit_test(performances_are_read_by_their_list_and_broken_ones_skipped),
        cmocka_unit_test(a_performance_without_end_or_faster_than_anybody_is_skipped),
        cmocka_unit_test(what_is_wrong_with_a_list_is_said),
        cmocka_unit_test(the_shipped_drummer_hits_the_backbeat_harder_than_ghost_notes_and_keeps_time),
    };
    return cmocka_run_group_tests(tests, temporary_make, temporary_remove);
}
