#include "tests/data/tree.h"

#include "blocks/classifier_train.h"
#include "blocks/config_defaults.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/message.h"
#include "tests/plan_before.h"

static const char tiny[] = "[features]\nsample_rate = 8000\nn_fft = 256\nhop_length = 128\nn_mels = 16\nlatent = 3\n"
                           "[encoder]\ninput.mel = 16, T\ncode = conv1d out_channels=3 kernel_size=1\n"
                           "[decoder]\ninput.code = 3, T\nmel = conv1d out_channels=16 kernel_size=1\n"
                           "[classifier]\ninput.row = 9\nh = linear out_features=32 from=row\nh_a = relu\nh_d = dropout p=0.1\n"
                           "genre = linear out_features=9 from=h_d\ninstrument = linear out_features=9 from=h_d\n"
                           "output = genre, instrument\n"
                           "[classifier_training]\nbatch_size = 16\nlr = 0.01\nnoise = 0.01\nwindow_s = 1\nhop_s = 1\n"
                           "windows = 6\ncross_mixes = 0.25\n";
static const char *const genres[] = { "jazz", "rock" }, *const instruments[] = { "drums", "piano", "violin" };
enum { RATE = 8000, FEATURES = BLOCKS_SONG_FEATURES + 9 };

typedef struct fixture {
    bl_config                 *config;
    blocks_classifier         *c;
    blocks_window_table        table;
    blocks_classifier_trainer *trainer;
} fixture;

static blocks_classifier *make_classifier(const bl_config *config, bl_error *err)
{
    blocks_feature_extractor *fx = blocks_feature_extractor_new(config, 1, err);
    return blocks_classifier_new(config, fx, genres, 2, instruments, 3, 1, err);
}

/* Ten songs, each a window of its own making. */
static void make(fixture *f)
{
    bl_error err = { 0 };
    bl_rng rng;
    memset(f, 0, sizeof *f);
    f->config = bl_config_parse(tiny, "tiny.ini", &err);
    f->c = make_classifier(f->config, &err);
    assert_string_equal(err.msg, "");
    assert_int_equal(f->c->n_features, FEATURES);
    f->table = (blocks_window_table){ .n_features = FEATURES, .n_genres = 2, .n_instruments = 3 };
    bl_rng_seed(&rng, 3);
    for (int i = 0; i < 10; i++) {
        float row[FEATURES];
        const float labels[3] = { i % 2 == 0, i % 3 == 0, i % 5 == 0 };
        for (int k = 0; k < FEATURES; k++)
            row[k] = (float)bl_rng_normal(&rng);
        assert_int_equal(blocks_window_table_add(&f->table, row, labels, i % 2, i, BLOCKS_WINDOW_SONG, 0, &err), BL_OK);
    }
    f->trainer = blocks_classifier_trainer_new(f->c, &f->table, 9, &err);
    assert_string_equal(err.msg, "");
}

static void release(fixture *f)
{
    blocks_classifier_trainer_free(f->trainer);
    blocks_window_table_free(&f->table);
    blocks_classifier_free(f->c);
    bl_config_free(f->config);
}

static void train(fixture *f, int steps, double losses[2])
{
    bl_error err = { 0 };
    double norm;
    expect_a_plan(blocks_classifier_trainer_plan, f->trainer);
    for (int i = 0; i < steps; i++)
        assert_int_equal(blocks_classifier_trainer_step(f->trainer, losses, &norm, &err), BL_OK);
}

static void save(fixture *f, const char *path, int with_optimizer)
{
    bl_error err = { 0 };
    nn_checkpoint *k = nn_checkpoint_create(path, "classifier", &err);
    assert_int_equal(blocks_classifier_trainer_put(f->trainer, with_optimizer, k, &err), BL_OK);
    assert_int_equal(nn_checkpoint_commit(k, &err), BL_OK);
}

static void path_of(char out[BL_PATH_MAX], const char *name)
{
    bl_path_join(out, tree_root, name, NULL);
}

static float *noise_and_tone(int64_t n, double hz)
{
    float *x = malloc((size_t)n * sizeof *x);
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(0.3 * sin(6.283185307 * hz * (double)i / RATE) * (1 + sin(12.0 * (double)i / RATE)));
    return x;
}

static void it_learns_ten_examples_by_heart(void **state)
{
    fixture f;
    bl_error err = { 0 };
    double losses[2];
    blocks_classifier_score score;
    (void)state;
    make(&f);
    train(&f, 200, losses);
    assert_true(losses[0] < 0.05);
    assert_true(losses[1] < 0.1);
    assert_int_equal(blocks_classifier_trainer_validate(f.trainer, &score, &err), BL_OK);
    assert_int_equal(score.n_songs, 10);
    assert_true(score.genre == 1);
    assert_true(score.instruments > 0.99);
    assert_true(score.genre_majority == 0.5);
    release(&f);
}

static void a_loaded_classifier_says_the_same_as_the_saved_one(void **state)
{
    enum { N = RATE * 3 + 777 };
    fixture f;
    bl_error err = { 0 };
    double losses[2];
    char path[BL_PATH_MAX];
    float genre[2], instrument[3], genre_again[2], instrument_again[3], *x = noise_and_tone(N, 330);
    (void)state;
    make(&f);
    train(&f, 20, losses);
    path_of(path, "classifier.h5");
    save(&f, path, 0);
    blocks_classifier *loaded = blocks_classifier_load(path, &err);
    assert_string_equal(err.msg, "");
    assert_int_equal(loaded->n_genres, 2);
    assert_string_equal(loaded->genres[1], "rock");
    assert_string_equal(loaded->instruments[2], "violin");
    assert_int_equal(blocks_classifier_run(f.c, x, N, RATE, genre, instrument, &err), BL_OK);
    assert_int_equal(blocks_classifier_run(loaded, x, N, RATE, genre_again, instrument_again, &err), BL_OK);
    assert_memory_equal(genre, genre_again, sizeof genre);
    assert_memory_equal(instrument, instrument_again, sizeof instrument);
    assert_true(fabsf(genre[0] + genre[1] - 1) < 1e-5f);
    for (int i = 0; i < 3; i++)
        assert_true(instrument[i] >= 0 && instrument[i] <= 1);
    assert_int_equal(blocks_classifier_run(loaded, x, 50, 44100, genre, NULL, &err), BL_OK); /* shorter than a window */
    free(x);
    blocks_classifier_free(loaded);
    release(&f);
}

static void a_resumed_training_equals_an_uninterrupted_one_bit_for_bit(void **state)
{
    fixture whole, first, second;
    bl_error err = { 0 };
    double losses[2];
    char path[BL_PATH_MAX];
    (void)state;
    make(&whole);
    train(&whole, 15, losses);
    make(&first);
    train(&first, 6, losses);
    path_of(path, "part.h5");
    save(&first, path, 1);
    make(&second);
    nn_checkpoint *k = nn_checkpoint_open(path, "classifier", &err);
    assert_int_equal(blocks_classifier_trainer_get(second.trainer, k, &err), BL_OK);
    nn_checkpoint_free(k);
    train(&second, 9, losses);
    assert_memory_equal(whole.c->params->value, second.c->params->value, (size_t)whole.c->params->n_elements * sizeof(real));
    release(&whole);
    release(&first);
    release(&second);
}

static void silence_is_every_genre_and_no_instrument(void **state)
{
    enum { N = RATE * 2 };
    fixture f;
    bl_error err = { 0 };
    float *x = calloc(N, sizeof *x), genre[2], instrument[3];
    (void)state;
    make(&f);
    assert_int_equal(blocks_classifier_run(f.c, x, N, RATE, genre, instrument, &err), BL_OK);
    assert_true(genre[0] == 0.5f && genre[1] == 0.5f);
    assert_true(instrument[0] == 0 && instrument[1] == 0 && instrument[2] == 0);
    assert_int_equal(blocks_classifier_run(f.c, x, 0, RATE, genre, instrument, &err), BL_EARG);
    assert_message(err, "empty");
    err = (bl_error){ 0 };
    x[100] = INFINITY;
    assert_int_equal(blocks_classifier_run(f.c, x, N, RATE, genre, instrument, &err), BL_ENAN);
    assert_message(err, "sample 100");
    free(x);
    release(&f);
}

/* ---- windows from a dataset ---- */

static void write_stem(const char *folder, const char *name, double hz)
{
    enum { N = RATE * 3 };
    char path[BL_PATH_MAX], dir[BL_PATH_MAX];
    bl_error err = { 0 };
    float *x = noise_and_tone(N, hz);
    const audio_clip clip = { x, N, 1, RATE };
    snprintf(dir, sizeof dir, "%.200s/songs/%.100s", tree_root, folder);
    assert_int_equal(bl_make_folder(dir, &err), BL_OK);
    bl_path_join(path, dir, name, &err);
    assert_int_equal(audio_write(path, &clip, AUDIO_ENCODING_PCM16, &err), BL_OK);
    free(x);
}

static void windows_teach_genres_by_songs_and_instruments_by_stems(void **state)
{
    static const char *const songs[] = { "rock/a", "rock/b", "jazz/c", "jazz/d" };
    char path[BL_PATH_MAX], name[80];
    bl_error err = { 0 };
    blocks_window_table table;
    int kinds[3] = { 0, 0, 0 }, solos = 0, drums = -1;
    (void)state;
    for (int i = 0; i < 4; i++) {
        write_stem(songs[i], "piano.wav", 200 + 50 * i);
        write_stem(songs[i], i < 2 ? "drums.wav" : "violin.wav", 900 + 50 * i);
    }
    write_stem("jazz/solo", "violin.wav", 700); /* one stem alone: no song */
    path_of(path, "songs");
    data_dataset *d = data_dataset_open(path, &(data_dataset_options){ .validation = 0.25 }, &err);
    assert_non_null(d);
    bl_config *config = bl_config_parse(tiny, "tiny.ini", &err);
    blocks_feature_extractor *fx = blocks_feature_extractor_new(config, 1, &err);
    assert_int_equal(blocks_windows_collect(fx, d, config, 1, 1, &table, &err), BL_OK);
    assert_int_equal(table.n_genres, 2);
    assert_int_equal(table.n_instruments, 3);
    for (int i = 0; i < 3; i++)
        if (!strcmp(table.instruments[i], "drums"))
            drums = i;
    assert_true(drums >= 0);
    for (int64_t i = 0; i < table.n; i++) {
        const float *labels = table.labels + i * 3;
        kinds[table.kind[i]]++;
        snprintf(name, sizeof name, "%.70s", table.song[i] >= 0 ? d->songs[table.song[i]].name : "");
        solos += strstr(name, "solo") != NULL;
        if (table.kind[i] == BLOCKS_WINDOW_CROSS)
            assert_int_equal(table.genre[i], -1);
        else
            assert_string_equal(table.genres[table.genre[i]], strstr(name, "rock") ? "rock" : "jazz");
        if (table.kind[i] == BLOCKS_WINDOW_SONG)
            assert_true(labels[drums] == (strstr(name, "rock") ? 1 : 0));
        assert_true(labels[0] + labels[1] + labels[2] > 0);
    }
    assert_int_equal(solos, 0);
    assert_true(kinds[BLOCKS_WINDOW_SONG] >= 12);
    assert_true(kinds[BLOCKS_WINDOW_REMIX] >= 12);
    assert_true(kinds[BLOCKS_WINDOW_CROSS] > 0);
    blocks_window_table_free(&table);
    blocks_feature_extractor_free(fx);
    bl_config_free(config);
    data_dataset_free(d);
}

static void mistakes_are_named(void **state)
{
    static const char *const own[] = { "classifier", "classifier_training", NULL };
    bl_error err = { 0 };
    bl_config *config = bl_config_parse("[classifier_training]\nbatchsize = 3\n", "my.ini", &err);
    (void)state;
    blocks_classifier *c = make_classifier(config, &err);
    assert_non_null(c);
    assert_int_equal(blocks_classifier_settings_read(c, &err), BL_OK);
    assert_int_equal(blocks_config_check(c->config, own, &err), BL_EARG);
    assert_message(err, "my.ini line 2");
    assert_message(err, "batchsize");
    blocks_classifier_free(c);
    bl_config_free(config);
    err = (bl_error){ 0 };
    config = bl_config_parse("[classifier]\ninput.row = 1\ngenre = linear out_features=2\n", "my.ini", &err);
    assert_null(make_classifier(config, &err));
    assert_message(err, "[classifier] needs a layer instrument");
    bl_config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_learns_ten_examples_by_heart),
        cmocka_unit_test(a_loaded_classifier_says_the_same_as_the_saved_one),
        cmocka_unit_test(a_resumed_training_equals_an_uninterrupted_one_bit_for_bit),
        cmocka_unit_test(silence_is_every_genre_and_no_instrument),
        cmocka_unit_test(windows_teach_genres_by_songs_and_instruments_by_stems),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, tree_make, tree_remove);
}
