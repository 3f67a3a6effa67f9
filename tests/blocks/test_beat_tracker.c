#include "tests/data/tree.h"

#include "blocks/beat_levels.h"
#include "blocks/beat_tracker_train.h"
#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/message.h"
#include "tests/plan_before.h"

static const char tiny[] = "[beat_network]\ninput.bands = 72, T\nlook = conv1d out_channels=8 kernel_size=3 padding=same\nact = elu\n"
                           "wide = conv1d out_channels=8 kernel_size=5 padding=same dilation=1..16\nact2 = elu\n"
                           "logits = conv1d out_channels=2 kernel_size=1\ntempo = conv1d out_channels=48 kernel_size=1 from=act2\n"
                           "output = logits, tempo\n"
                           "[beats]\nsteps = 60\nbatch_size = 4\nsegment_frames = 150\nlr = 0.01\nschedule = constant\naverage = 0.9\n"
                           "held_out = 0.3\n";
enum { RATE = 8000 };

static void note_skip(void *user, const char *path, const char *reason)
{
    (void)path;
    snprintf(user, 400, "%s", reason);
}

/* Clicks on beats, louder on the first of three or four, and soft ones between. */
static float *clicks(int64_t n, double bpm, int per_bar, uint64_t seed)
{
    float *x = calloc((size_t)n, sizeof *x);
    bl_rng rng;
    bl_rng_seed(&rng, seed);
    for (int k = 0; k < 2000; k++) {
        const int64_t at = (int64_t)((0.3 + k * 30 / bpm) * RATE);
        const double  level = k % 2 ? 0.05 : k / 2 % per_bar ? 0.3 : 0.8;
        for (int64_t i = at; i < at + 400 && i < n; i++)
            x[i] += (float)(level * exp(-(double)(i - at) / 80) * (k / 2 % per_bar || k % 2 ? bl_rng_normal(&rng) : sin(0.1 * (double)(i - at))));
    }
    return x;
}

static void write_song(const char *name, double bpm, int per_bar, double seconds)
{
    char       wave[64], beats[64], text[8000] = "# time place\n";
    const audio_clip clip = { clicks((int64_t)(seconds * RATE), bpm, per_bar, (uint64_t)bpm), (int64_t)(seconds * RATE), 1, RATE };
    snprintf(wave, sizeof wave, "songs/%s.wav", name);
    snprintf(beats, sizeof beats, "songs/%s.beats", name);
    for (int k = 0; 0.3 + k * 60 / bpm < seconds; k++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%.4f\t%d\n", 0.3 + k * 60 / bpm, k % per_bar + 1);
    assert_int_equal(audio_write(tree_file(wave), &clip, AUDIO_ENCODING_PCM16, NULL), BL_OK);
    assert_int_equal(bl_write_file(tree_file(beats), text, strlen(text), NULL), BL_OK);
    free(clip.samples);
}

static void write_text(const char *name, const char *text)
{
    assert_int_equal(bl_write_file(tree_file(name), text, strlen(text), NULL), BL_OK);
}

static int make_songs(void **state)
{
    if (tree_make(state))
        return -1;
    for (int i = 0; i < 8; i++) {
        char name[16];
        snprintf(name, sizeof name, "s%d", i);
        write_song(name, 80 + 9 * i, 3 + i % 2, 10);
    }
    return 0;
}

typedef struct fixture {
    bl_config           *config;
    blocks_beat_tracker *t;
    blocks_beat_songs    songs;
    blocks_beat_trainer *trainer;
} fixture;

static void make(fixture *f)
{
    bl_error err = { 0 };
    char     skipped[400] = "";
    memset(f, 0, sizeof *f);
    f->config = bl_config_parse(tiny, "tiny.ini", &err);
    f->t = blocks_beat_tracker_new(f->config, 3, &err);
    assert_string_equal(err.msg, "");
    assert_int_equal(blocks_beat_songs_collect(tree_path("songs"), 0.3, 1, note_skip, skipped, &f->songs, &err), BL_OK);
    assert_string_equal(skipped, "");
    f->trainer = blocks_beat_trainer_new(f->t, &f->songs, 5, &err);
    assert_string_equal(err.msg, "");
}

static void release(fixture *f)
{
    blocks_beat_trainer_free(f->trainer);
    blocks_beat_songs_free(&f->songs);
    blocks_beat_tracker_free(f->t);
    bl_config_free(f->config);
}

/* Mean loss of the last ten steps, without the tempo's. */
static double train(fixture *f, int steps)
{
    double   losses[4] = { 0, 0, 0, 0 }, gradient, sum = 0;
    bl_error err = { 0 };
    for (int i = 0; i < steps; i++) {
        assert_int_equal(blocks_beat_trainer_step(f->trainer, losses, &gradient, &err), BL_OK);
        sum = i + 10 >= steps ? sum + losses[0] + losses[1] : 0;
    }
    return sum / 10;
}

static void it_learns_where_beats_are_and_finds_those_of_songs_it_never_heard(void **state)
{
    fixture           f;
    blocks_beat_score before, after;
    bl_error          err = { 0 };
    (void)state;
    make(&f);
    expect_a_plan(blocks_beat_trainer_plan, f.trainer);
    assert_int_equal(blocks_beat_trainer_validate(f.trainer, &before, &err), BL_OK);
    assert_true(before.n_songs >= 1 && before.n_songs <= 5);
    const double first = train(&f, 10), last = train(&f, 90);
    assert_true(last < 0.4 * first);
    assert_int_equal(blocks_beat_trainer_validate(f.trainer, &after, &err), BL_OK);
    assert_true(after.loss < 0.5 * before.loss);
    assert_true(after.beats > 0.95 && after.tempo > 0.95);
    assert_true(after.steady_beats < 0.8);
    /* What it says of a tempo that it never heard, 100 between 98 and 107. */
    audio_beat_activity heard;
    float              *x = clicks(10 * RATE, 100, 4, 1);
    int                 top = 0;
    assert_int_equal(blocks_beat_tracker_run(f.t, x, 10 * RATE, RATE, &heard, &err), BL_OK);
    for (int k = 1; k < AUDIO_TEMPOS; k++)
        top = heard.tempo[k] > heard.tempo[top] ? k : top;
    if (fabs(top - audio_tempo_bin(100)) > 4)
        fail_msg("heard bin %d, expected %g", top, audio_tempo_bin(100));
    audio_beat_activity_free(&heard);
    free(x);
    release(&f);
}

static void it_learns_which_level_the_beat_is_at_while_the_beat_network_stays(void **state)
{
    fixture             f;
    audio_beat_activity heard;
    audio_rhythm        r;
    bl_error            err = { 0 };
    double              beats[20], twice[39], losses[4], gradient, logits[AUDIO_LEVELS];
    float              *x = clicks(12 * RATE, 103, 4, 9);
    (void)state;
    make(&f);
    assert_int_equal(blocks_beat_trainer_step(f.trainer, losses, &gradient, &err), BL_OK);
    assert_true(losses[3] > 0.3);
    train(&f, 60);
    blocks_beat_trainer_free(f.trainer);
    assert_int_equal(bl_config_set(f.t->config, "beats.freeze=beat_network", &err), BL_OK);
    f.trainer = blocks_beat_trainer_new(f.t, &f.songs, 5, &err);
    assert_non_null(f.trainer);
    const nn_param *look = &f.t->params->param[nn_params_find(f.t->params, "beat_network/look/weight")];
    const double    before = (double)f.t->params->value[look->offset];
    for (int i = 0; i < 60; i++)
        assert_int_equal(blocks_beat_trainer_step(f.trainer, losses, &gradient, &err), BL_OK);
    assert_true(losses[3] < 0.2);
    assert_true(losses[0] == 0);
    assert_true((double)f.t->params->value[look->offset] == before);
    assert_int_equal(blocks_beat_tracker_run(f.t, x, 12 * RATE, RATE, &heard, &err), BL_OK);
    for (int k = 0; k < 20; k++)
        beats[k] = twice[2 * k] = 0.3 + k * 60.0 / 103;
    for (int k = 0; k < 19; k++)
        twice[2 * k + 1] = (beats[k] + beats[k + 1]) / 2;
    assert_int_equal(blocks_beat_levels(f.t, &heard, beats, 20, logits, &err), BL_OK);
    assert_true(logits[1] > logits[0] && logits[1] > logits[2]);
    assert_int_equal(blocks_beat_levels(f.t, &heard, twice, 39, logits, &err), BL_OK);
    assert_true(logits[0] > logits[1] && isinf(logits[2])); /* 412 a minute is no tempo */
    static const double factors[3] = { 1, 0.5, 2 };
    for (int i = 0; i < 3; i++) {
        const audio_rhythm_config config = { .activity = &heard, .tempo_factor = factors[i] };
        assert_int_equal(blocks_beat_grid(f.t, 12, config, &r, &err), BL_OK);
        if (fabs(r.bpm / (103 * factors[i]) - 1) > 0.02)
            fail_msg("times %g: heard %g", factors[i], r.bpm);
        audio_rhythm_free(&r);
    }
    assert_int_equal(blocks_beat_grid(f.t, 12, (audio_rhythm_config){ .activity = &heard, .bpm = 51.5 }, &r, &err), BL_OK);
    assert_true(r.bpm == 51.5);
    audio_rhythm_free(&r);
    audio_beat_activity_free(&heard);
    free(x);
    release(&f);
}

static void training_interrupted_by_a_checkpoint_goes_on_with_the_same_bits(void **state)
{
    fixture        a, b;
    bl_error       err = { 0 };
    const char    *path = tree_file("half.h5");
    (void)state;
    make(&a);
    make(&b);
    train(&a, 6);
    nn_checkpoint *c = nn_checkpoint_create(path, "beats", &err);
    assert_int_equal(blocks_beat_trainer_put(a.trainer, 1, c, &err), BL_OK);
    assert_int_equal(nn_checkpoint_commit(c, &err), BL_OK);
    train(&a, 4);
    c = nn_checkpoint_open(path, "beats", &err);
    assert_int_equal(blocks_beat_trainer_get(b.trainer, c, &err), BL_OK);
    nn_checkpoint_free(c);
    train(&b, 4);
    assert_memory_equal(a.t->params->value, b.t->params->value, (size_t)a.t->params->n_elements * sizeof(real));
    release(&a);
    release(&b);
}

static void a_shipped_checkpoint_hears_what_the_trainer_heard_and_training_cannot_go_on_from_it(void **state)
{
    fixture             f;
    bl_error            err = { 0 };
    const char         *path = tree_file("shipped.h5");
    audio_beat_activity a, b;
    float              *x = clicks(4 * RATE, 100, 4, 1);
    (void)state;
    make(&f);
    train(&f, 5);
    nn_checkpoint *c = nn_checkpoint_create(path, "beats", &err);
    assert_int_equal(blocks_beat_trainer_put(f.trainer, 0, c, &err), BL_OK);
    assert_int_equal(nn_checkpoint_commit(c, &err), BL_OK);
    blocks_beat_tracker *t = blocks_beat_tracker_load(path, &err);
    assert_non_null(t);
    assert_int_equal(t->step, 5);
    c = nn_checkpoint_open(path, "beats", &err);
    assert_int_equal(blocks_beat_trainer_get(f.trainer, c, &err), BL_EFORMAT);
    assert_message(err, "keep_optimizer");
    nn_checkpoint_free(c);
    bl_error_clear(&err);
    assert_int_equal(blocks_beat_tracker_run(t, x, 4 * RATE, RATE, &a, &err), BL_OK);
    for (int i = 0; i < 4 * RATE; i++)
        x[i] *= 0.01f; /* loudness is taken out */
    assert_int_equal(blocks_beat_tracker_run(t, x, 4 * RATE, RATE, &b, &err), BL_OK);
    assert_int_equal(a.n_frames, b.n_frames);
    for (int64_t i = 0; i < a.n_frames; i++) {
        assert_true(a.beat[i] > 0 && a.beat[i] < 1 && a.downbeat[i] > 0 && a.downbeat[i] < 1);
        assert_true(fabsf(a.beat[i] - b.beat[i]) < 0.05f);
    }
    double chances = 0;
    for (int k = 0; k < AUDIO_TEMPOS; k++) {
        chances += exp((double)a.tempo[k]);
        assert_true(fabsf(a.tempo[k] - b.tempo[k]) < 0.1f);
    }
    assert_true(fabs(chances - 1) < 1e-5);
    audio_beat_activity_free(&a);
    audio_beat_activity_free(&b);
    blocks_beat_tracker_free(t);
    free(x);
    release(&f);
}

static void long_recordings_are_heard_in_pieces_without_seams(void **state)
{
    const int64_t       T = 400 * AUDIO_BEAT_FPS;
    bl_error            err = { 0 };
    bl_config          *config = bl_config_parse(tiny, "tiny.ini", &err);
    blocks_beat_tracker *t = blocks_beat_tracker_new(config, 3, &err);
    audio_beat_bands    whole = { calloc((size_t)T, AUDIO_BEAT_BANDS), T, 0.02, -4 };
    audio_beat_activity long_one, short_one;
    bl_rng              rng;
    (void)state;
    bl_rng_seed(&rng, 7);
    for (int64_t i = 0; i < T * AUDIO_BEAT_BANDS; i++)
        whole.level[i] = (unsigned char)bl_rng_below(&rng, 200);
    assert_int_equal(blocks_beat_tracker_hear(t, &whole, &long_one, &err), BL_OK);
    /* Around each seam, heard by itself with more around it than the network sees. */
    for (int64_t seam = 120 * AUDIO_BEAT_FPS; seam < T - 40 * AUDIO_BEAT_FPS; seam += 120 * AUDIO_BEAT_FPS) {
        const int64_t    first = seam - 300, n = 600;
        audio_beat_bands part = { whole.level + first * AUDIO_BEAT_BANDS, n, 0.02, -4 };
        assert_int_equal(blocks_beat_tracker_hear(t, &part, &short_one, &err), BL_OK);
        for (int64_t i = 200; i < 400; i++)
            assert_true(fabsf(short_one.beat[i] - long_one.beat[first + i]) < 1e-5f);
        audio_beat_activity_free(&short_one);
    }
    audio_beat_activity_free(&long_one);
    audio_beat_bands_free(&whole);
    blocks_beat_tracker_free(t);
    bl_config_free(config);
}

static void beats_that_are_wrong_are_named_by_file_and_line(void **state)
{
    static const char *const text[6] = { "1.0 1\n1.5 2\nfast 3\n2.5 4\n", "1.0\n1.5\n1.2\n2\n", "1\n2\n", "1 1\n2 -2\n3\n4\n", "1 x\n2\n3\n4\n",
                                         "nan 1\n2\n3\n4\n" };
    static const char *const said[6] = { "line 3", "line 3: 1.2000 s is not after", "2 beats", "line 2", "line 1", "line 1" };
    blocks_beat *beats;
    int          n;
    (void)state;
    for (int i = 0; i < 6; i++) {
        bl_error err = { 0 };
        write_text("bad.beats", text[i]);
        assert_int_equal(blocks_read_beats(tree_path("bad.beats"), &beats, &n, &err), BL_EFORMAT);
        assert_message(err, said[i]);
        assert_null(beats);
    }
    bl_error err = { 0 };
    write_text("good.beats", "# made by hand\n\n0.50\t4\r\n1.0 1\n1.5\n2.0   2");
    assert_int_equal(blocks_read_beats(tree_path("good.beats"), &beats, &n, &err), BL_OK);
    assert_int_equal(n, 4);
    assert_int_equal(beats[0].place, 4);
    assert_int_equal(beats[2].place, 0);
    free(beats);
}

static void a_broken_recording_is_skipped_and_an_empty_folder_is_an_error(void **state)
{
    char              why[400] = "";
    bl_error          err = { 0 };
    blocks_beat_songs songs = { 0 };
    (void)state;
    write_text("mixed/a.wav", "no sound");
    write_text("mixed/a.beats", "1\n2\n3\n4\n");
    assert_int_equal(blocks_beat_songs_collect(tree_path("mixed"), 0, 1, note_skip, why, &songs, &err), BL_EFORMAT);
    assert_message(err, "NAME.beats");
    assert_non_null(strstr(why, "a.wav"));
    assert_int_equal(songs.n, 0);
}

static void a_network_of_other_sizes_is_refused(void **state)
{
    bl_error   err = { 0 };
    bl_config *config = bl_config_parse("[beat_network]\ninput.bands = 72, T\nx = conv1d out_channels=3 kernel_size=1\n", "x.ini", &err);
    (void)state;
    assert_null(blocks_beat_tracker_new(config, 1, &err));
    assert_message(err, "2 channels");
    bl_config_free(config);
}

static void a_network_that_halves_time_is_refused_before_anything_is_read_from_it(void **state)
{
    enum { T = 100 };
    static unsigned char level[T * AUDIO_BEAT_BANDS];
    const audio_beat_bands bands = { level, T, 0.02, 0 };
    audio_beat_activity    heard;
    bl_error   err = { 0 };
    bl_config *config = bl_config_parse("[beat_network]\ninput.bands = 72, T\nx = conv1d out_channels=2 kernel_size=2 stride=2\n", "x.ini", &err);
    (void)state;
    blocks_beat_tracker *t = blocks_beat_tracker_new(config, 1, &err);
    assert_string_equal(err.msg, "");
    assert_int_equal(blocks_beat_tracker_hear(t, &bands, &heard, &err), BL_ESHAPE);
    assert_message(err, "beats: expected [1, 2, 100], got [1, 2, 50]");
    audio_beat_activity_free(&heard);
    blocks_beat_tracker_free(t);
    bl_config_free(config);
}

static void f_measure_counts_every_beat_once(void **state)
{
    const double truth[4] = { 1, 2, 3, 4 }, twice[8] = { 1, 1.02, 2, 2.02, 3, 3.02, 4, 4.02 }, off[4] = { 1.1, 2.1, 3.1, 4.1 };
    (void)state;
    assert_true(blocks_beat_f(truth, 4, truth, 4, 0.07) == 1);
    assert_true(fabs(blocks_beat_f(twice, 8, truth, 4, 0.07) - 8.0 / 12) < 1e-12);
    assert_true(blocks_beat_f(off, 4, truth, 4, 0.07) == 0);
    assert_true(fabs(blocks_beat_f(truth, 2, truth, 4, 0.07) - 4.0 / 6) < 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_learns_where_beats_are_and_finds_those_of_songs_it_never_heard),
        cmocka_unit_test(it_learns_which_level_the_beat_is_at_while_the_beat_network_stays),
        cmocka_unit_test(training_interrupted_by_a_checkpoint_goes_on_with_the_same_bits),
        cmocka_unit_test(a_shipped_checkpoint_hears_what_the_trainer_heard_and_training_cannot_go_on_from_it),
        cmocka_unit_test(long_recordings_are_heard_in_pieces_without_seams),
        cmocka_unit_test(beats_that_are_wrong_are_named_by_file_and_line),
        cmocka_unit_test(a_broken_recording_is_skipped_and_an_empty_folder_is_an_error),
        cmocka_unit_test(a_network_of_other_sizes_is_refused),
        cmocka_unit_test(a_network_that_halves_time_is_refused_before_anything_is_read_from_it),
        cmocka_unit_test(f_measure_counts_every_beat_once),
    };
    return cmocka_run_group_tests(tests, make_songs, tree_remove);
}
