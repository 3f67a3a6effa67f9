#include "tests/temporary.h"

#include "base/rng.h"
#include "blocks/chords_train.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>

#include "tests/message.h"
#include "tests/plan_before.h"

/* The shipped form, small: so that a test learns in a second. */
static const char tiny[] = "[chords]\ninput.spectrum = 1, 252, T\n"
                           "tone = conv2d out_channels=2 kernel_size=1 kernel_height=3 stride_height=3 from=spectrum\ntone_a = elu\n"
                           "fold = reshape channels=14 height=12\nround = pad after=11 mode=circular dim=height\n"
                           "mix = conv2d out_channels=12 kernel_size=1 kernel_height=12\nmix_n = batch_norm2d\nmix_a = elu\n"
                           "last = pad after=11 mode=circular dim=height\n"
                           "quality = conv2d out_channels=10 kernel_size=1 kernel_height=12 from=last\nrooted = reshape channels=120\n"
                           "silent = conv2d out_channels=1 kernel_size=1 kernel_height=12 from=mix_a\nnone = reshape channels=1\n"
                           "chord = concat from=rooted,none\n"
                           "lowest = conv2d out_channels=1 kernel_size=1 kernel_height=12 from=last\nbass = reshape channels=12\n"
                           "mode = conv2d out_channels=2 kernel_size=1 kernel_height=12 from=last\nkey = reshape channels=24\n"
                           "output = chord, bass, key\n"
                           "[chords_training]\nbatch_size = 2\nsegment_frames = 24\nlr = 0.01\nnoise = 0.05\ntilt = 0.05\nlabel_smoothing = 0\n"
                           "average = 0.8\n";
enum { RATE = 8000 };

typedef struct fixture {
    bl_config             *config;
    blocks_chords         *c;
    blocks_chord_songs     songs;
    blocks_chords_trainer *trainer;
} fixture;

static const char *const letters[12] = { "C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B" };

/* Two seconds each of I, IV, V of a major key or of the minor key on the same tonic, triads over their root. Returns the sound and
 * writes the truth. */
static float *compose(int tonic, int minor, char truth[400], int64_t *n)
{
    static const int degrees[3] = { 0, 5, 7 };
    float *x = calloc((size_t)(*n = 6 * RATE), sizeof *x);
    int used = sprintf(truth, "{\"key\": \"%s:%s\", \"chords\": [", letters[tonic], minor ? "min" : "maj");
    for (int i = 0; i < 3; i++) {
        const int root = tonic + degrees[i], tones[4] = { 36 + root, 60 + root, 60 + root + (minor ? 3 : 4), 60 + root + 7 };
        for (int k = 0; k < 4; k++)
            for (int h = 1; h <= 4; h++) {
                const double hz = h * 440 * pow(2, (tones[k] - 69) / 12.0);
                for (int j = 0; j < 2 * RATE && hz < RATE / 2.2; j++)
                    x[2 * RATE * i + j] += (float)(0.1 / h * sin(6.283185307179586 * hz * j / RATE));
            }
        used += sprintf(truth + used, "%s[%d, %d, \"%s:%s\"]", i ? ", " : "", 2 * i, 2 * i + 2, letters[root % 12], minor ? "min" : "maj");
    }
    strcpy(truth + used, "]}");
    return x;
}

static void add(blocks_chord_songs *songs, int tonic, int minor, int held_out)
{
    char truth[400];
    int64_t n;
    bl_error err = { 0 };
    float *x = compose(tonic, minor, truth, &n);
    blocks_chord_songs_add(songs, "truth.json", x, n, RATE, truth, held_out, &err);
    assert_string_equal(err.msg, "");
    free(x);
}

static void make(fixture *f)
{
    bl_error err = { 0 };
    memset(f, 0, sizeof *f);
    f->config = bl_config_parse(tiny, "tiny.ini", &err);
    f->c = blocks_chords_new(f->config, 1, &err);
    assert_string_equal(err.msg, "");
    for (int i = 0; i < 6; i++)
        add(&f->songs, 5 * i % 12, i % 2, 0);
    add(&f->songs, 11, 0, 1); /* keys that were never played */
    add(&f->songs, 6, 1, 1);
    f->trainer = blocks_chords_trainer_new(f->c, &f->songs, 9, &err);
    assert_string_equal(err.msg, "");
}

static void release(fixture *f)
{
    blocks_chords_trainer_free(f->trainer);
    blocks_chord_songs_free(&f->songs);
    blocks_chords_free(f->c);
    bl_config_free(f->config);
}

static void train(fixture *f, int steps, double losses[3])
{
    bl_error err = { 0 };
    double norm;
    expect_a_plan(blocks_chords_trainer_plan, f->trainer);
    for (int i = 0; i < steps; i++)
        assert_int_equal(blocks_chords_trainer_step(f->trainer, losses, &norm, &err), BL_OK);
}

static void frames_know_their_chord_and_bass(void **state)
{
    blocks_chord_songs songs = { 0 };
    (void)state;
    add(&songs, 9, 1, 0); /* Am Dm Em */
    const blocks_chord_song *s = &songs.songs[0];
    assert_int_equal(s->key, 12 + 9);
    assert_int_equal(s->tonal.n_frames, 61);
    assert_int_equal(s->chord[10], 12 + 9);
    assert_int_equal(s->chord[30], 12 + 2);
    assert_int_equal(s->chord[50], 12 + 4);
    assert_int_equal(s->chord[20], -1); /* half of one, half of the next */
    assert_int_equal(s->bass[30], 2);
    blocks_chord_songs_free(&songs);
}

static void it_learns_chords_and_keys_it_never_heard(void **state)
{
    fixture f;
    double first[3], last[3];
    blocks_chords_score score;
    bl_error err = { 0 };
    (void)state;
    make(&f);
    train(&f, 1, first);
    train(&f, 150, last);
    assert_true(last[0] < 0.3 * first[0] && last[1] < 0.5 * first[1]);
    assert_int_equal(blocks_chords_trainer_validate(f.trainer, &score, &err), BL_OK);
    assert_int_equal(score.n_songs, 2);
    assert_true(score.commonest < 0.4);
    if (score.majmin < 0.85)
        fail_msg("%.2f of the frames of keys that were never played", score.majmin);
    release(&f);
}

static bl_status write_to(fixture *f, const char *path, int with_optimizer, bl_error *err)
{
    nn_checkpoint *k = nn_checkpoint_create(path, "chords", err);
    if (!k || blocks_chords_trainer_put(f->trainer, with_optimizer, k, err) != BL_OK) {
        nn_checkpoint_free(k);
        return err->code;
    }
    return nn_checkpoint_commit(k, err);
}

static void a_resumed_run_equals_one_that_went_through(void **state)
{
    fixture whole, half, rest;
    double losses[3];
    char path[BL_PATH_MAX];
    bl_error err = { 0 };
    (void)state;
    make(&whole);
    make(&half);
    make(&rest);
    train(&whole, 12, losses);
    train(&half, 5, losses);
    bl_path_join(path, temporary_folder, "half.h5", &err);
    assert_int_equal(write_to(&half, path, 1, &err), BL_OK);
    nn_checkpoint *k = nn_checkpoint_open(path, "chords", &err);
    assert_int_equal(blocks_chords_trainer_get(rest.trainer, k, &err), BL_OK);
    nn_checkpoint_free(k);
    assert_int_equal(rest.c->step, 5);
    train(&rest, 7, losses);
    assert_memory_equal(rest.c->params->value, whole.c->params->value, (size_t)whole.c->params->n_elements * sizeof(real));
    release(&whole);
    release(&half);
    release(&rest);
}

static void a_checkpoint_hears_what_was_trained(void **state)
{
    fixture f;
    double losses[3];
    char path[BL_PATH_MAX], truth[400];
    int64_t n;
    float *x = compose(3, 0, truth, &n);
    blocks_harmony a, b;
    bl_error err = { 0 };
    (void)state;
    make(&f);
    train(&f, 30, losses);
    bl_path_join(path, temporary_folder, "chords.h5", &err);
    assert_int_equal(write_to(&f, path, 0, &err), BL_OK);
    blocks_chords *one = blocks_chords_load(path, &err);
    assert_string_equal(err.msg, "");
    assert_int_equal(blocks_chords_run(one, x, n, RATE, &a, &err), BL_OK);
    assert_int_equal(write_to(&f, path, 1, &err), BL_OK); /* the averages are what is used of this one, too */
    blocks_chords *other = blocks_chords_load(path, &err);
    assert_int_equal(blocks_chords_run(other, x, n, RATE, &b, &err), BL_OK);
    assert_int_equal(a.n_frames, 61);
    assert_memory_equal(a.chord, b.chord, (size_t)a.n_frames * MUSIC_HEARD_CLASSES * sizeof *a.chord);
    double sum = 0, keys = 0;
    for (int k = 0; k < MUSIC_HEARD_CLASSES; k++)
        sum += exp((double)a.chord[30 * MUSIC_HEARD_CLASSES + k]);
    for (int k = 0; k < 24; k++)
        keys += exp(a.key[k]);
    assert_true(fabs(sum - 1) < 1e-4 && fabs(keys - 1) < 1e-9);
    blocks_harmony_free(&a);
    blocks_harmony_free(&b);
    blocks_chords_free(one);
    blocks_chords_free(other);
    free(x);
    release(&f);
}

/* What a frame hears does not depend on where the pieces that the network sees are cut. */
static void long_songs_are_heard_in_pieces_without_seams(void **state)
{
    enum { T = 1500 };
    bl_error err = { 0 };
    bl_rng rng;
    audio_tonal song = { .n_frames = T, .hop_s = 0.1 }, part = { .n_frames = 200, .hop_s = 0.1 };
    bl_config *shipped = bl_config_parse("", "nothing.ini", &err);
    blocks_chords *c = blocks_chords_new(shipped, 4, &err); /* the shipped network, whose convolutions reach farthest */
    blocks_harmony whole, middle;
    (void)state;
    assert_string_equal(err.msg, "");
    song.value = malloc(AUDIO_TONAL_BINS * T * sizeof *song.value);
    part.value = malloc(AUDIO_TONAL_BINS * 200 * sizeof *part.value);
    bl_rng_seed(&rng, 2);
    for (int i = 0; i < AUDIO_TONAL_BINS * T; i++)
        song.value[i] = (float)bl_rng_normal(&rng);
    for (int b = 0; b < AUDIO_TONAL_BINS; b++) /* frames 500..699: a cut lies within */
        memcpy(part.value + b * 200, song.value + b * T + 500, 200 * sizeof *part.value);
    assert_int_equal(blocks_chords_hear(c, &song, &whole, &err), BL_OK);
    assert_int_equal(blocks_chords_hear(c, &part, &middle, &err), BL_OK);
    for (int t = 40; t < 160; t++)
        for (int k = 0; k < MUSIC_HEARD_CLASSES; k++)
            assert_true(fabsf(whole.chord[(500 + t) * MUSIC_HEARD_CLASSES + k] - middle.chord[t * MUSIC_HEARD_CLASSES + k]) < 1e-4f);
    blocks_harmony_free(&whole);
    blocks_harmony_free(&middle);
    audio_tonal_free(&song);
    audio_tonal_free(&part);
    blocks_chords_free(c);
    bl_config_free(shipped);
}

static void nothing_favours_no_key(void **state)
{
    float x[4000] = { 0 };
    bl_error err = { 0 };
    blocks_harmony h;
    bl_config *config = bl_config_parse(tiny, "tiny.ini", &err);
    blocks_chords *c = blocks_chords_new(config, 1, &err);
    (void)state;
    assert_int_equal(blocks_chords_run(c, x, 4000, RATE, &h, &err), BL_OK);
    assert_int_equal(h.n_frames, 6);
    blocks_harmony_free(&h);
    x[17] = NAN;
    assert_int_equal(blocks_chords_run(c, x, 4000, RATE, &h, &err), BL_ENAN);
    assert_message(err, "sample 17");
    blocks_chords_free(c);
    bl_config_free(config);
}

static void a_truth_that_is_none_is_named(void **state)
{
    static const struct { const char *truth, *message; } cases[] = {
        { "{\"key\": \"C:maj\"", "not JSON" },
        { "{\"key\": \"C:maj\"}", "expected \"chords\"" },
        { "{\"chords\": [[0, 1, \"C:maj\"], [1, \"x\", \"C:maj\"]]}", "chords[1]" },
    };
    float x[8000] = { 0 };
    blocks_chord_songs songs = { 0 };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bl_error err = { 0 };
        assert_int_equal(blocks_chord_songs_add(&songs, "song/truth.json", x, 8000, RATE, cases[i].truth, 0, &err), BL_EFORMAT);
        assert_message(err, "song/truth.json");
        assert_message(err, cases[i].message);
    }
    assert_int_equal(songs.n, 0);
    blocks_chord_songs_free(&songs);
}

static void networks_of_another_form_are_refused(void **state)
{
    static const struct { const char *text, *message; } cases[] = {
        { "[chords]\ninput.spectrum = 1, 100, T\nr = reshape channels=100\noutput = r\n", "1, 252, T" },
        { "[chords]\ninput.spectrum = 1, 252, T\nr = reshape channels=252\n", "three outputs" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bl_error err = { 0 };
        bl_config *config = bl_config_parse(cases[i].text, "odd.ini", &err);
        assert_null(blocks_chords_new(config, 1, &err));
        assert_message(err, "odd.ini");
        assert_message(err, cases[i].message);
        bl_config_free(config);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_know_their_chord_and_bass),
        cmocka_unit_test(it_learns_chords_and_keys_it_never_heard),
        cmocka_unit_test(a_resumed_run_equals_one_that_went_through),
        cmocka_unit_test(a_checkpoint_hears_what_was_trained),
        cmocka_unit_test(long_songs_are_heard_in_pieces_without_seams),
        cmocka_unit_test(nothing_favours_no_key),
        cmocka_unit_test(a_truth_that_is_none_is_named),
        cmocka_unit_test(networks_of_another_form_are_refused),
    };
    return cmocka_run_group_tests(tests, temporary_make, temporary_remove);
}
