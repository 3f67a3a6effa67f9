#include "tests/data/tree.h"

#include "blocks/classifier_private.h"
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
                           "[classifier]\ninput.mel = 9, T\ninput.latent = 9, T\nboth = concat from=mel,latent\n"
                           "h = conv1d out_channels=16 kernel_size=3 padding=same\nh_a = relu\nm = global_average_pool\nm_d = dropout p=0.1\n"
                           "genre = linear out_features=9 from=m_d\ninstrument = linear out_features=9 from=m_d\n"
                           "output = genre, instrument\n"
                           "[classifier_training]\nbatch_size = 16\nlr = 0.02\nschedule = constant\nwindow_s = 1\n";
/* Nothing happens to what is learned by heart. */
static const char plain[] = "recolour = 0\nremixes = 0\ncross_mixes = 0\nvoices = 0\nnoises = 0\neq_db = 0\nlowpass = 0\nreverb = 0\nnoise = 0\n"
                            "compress = 0\nshift = 0\nmask = 0\nlabel_smoothing = 0\n";
static const char *const genres[] = { "jazz", "rock" }, *const instruments[] = { "drums", "piano", "voice" };
enum { RATE = 8000, MELS = 16, SONGS = 10, FRAMES = 70, WINDOW = 31 };

typedef struct fixture {
    bl_config                 *config;
    blocks_classifier         *c;
    blocks_sounds              sounds;
    blocks_classifier_trainer *trainer;
} fixture;

static blocks_classifier *make_classifier(const bl_config *config, bl_error *err)
{
    blocks_feature_extractor *fx = blocks_feature_extractor_new(config, 1, err);
    return blocks_classifier_new(config, fx, genres, 2, instruments, 3, 1, err);
}

static bl_config *make_config(const char *more)
{
    bl_error err = { 0 };
    char text[4096];
    snprintf(text, sizeof text, "%s%s", tiny, more);
    bl_config *config = bl_config_parse(text, "tiny.ini", &err);
    assert_non_null(config);
    return config;
}

/* A sound of one band, 30 dB over the others; code as in blocks_sound. */
static blocks_sound sound_of(int band, int instrument)
{
    blocks_sound s = { .code = malloc(FRAMES * MELS), .n_frames = FRAMES, .instrument = instrument, .is_voice = instrument == 2 };
    for (int i = 0; i < FRAMES * MELS; i++)
        s.code[i] = (unsigned char)(i % MELS == band ? 160 : 100);
    return s;
}

/* Songs of two stems: a band that tells the genre, one for each instrument, and so their sum. */
static void make_sounds(blocks_sounds *t)
{
    *t = (blocks_sounds){ .songs = calloc(SONGS, sizeof *t->songs), .n_songs = SONGS, .n_mels = MELS, .n_genres = 2, .n_instruments = 3 };
    for (int i = 0; i < SONGS; i++) {
        blocks_song_sounds *s = &t->songs[i];
        *s = (blocks_song_sounds){ .song = i, .genre = i % 2, .n_stems = 2, .stems = calloc(2, sizeof *s->stems), .listed = calloc(3, sizeof(float)) };
        s->stems[0] = sound_of(i % 2 ? 2 : 12, i % 3 == 0 ? 2 : 0);
        s->stems[1] = sound_of(i % 2 ? 5 : 9, 1);
        s->mixture = sound_of(i % 2 ? 2 : 12, -1);
        for (int f = 0; f < FRAMES; f++) {
            s->mixture.code[f * MELS + (i % 2 ? 5 : 9)] = 160;
            s->mixture.code[f * MELS + 15] = (unsigned char)(i % 3 == 0 ? 158 : 100); /* the voice is heard up there */
            s->stems[0].code[f * MELS + 15] = s->mixture.code[f * MELS + 15];
        }
    }
}

static void make(fixture *f, const char *more)
{
    bl_error err = { 0 };
    memset(f, 0, sizeof *f);
    f->config = make_config(more);
    f->c = make_classifier(f->config, &err);
    assert_string_equal(err.msg, "");
    assert_int_equal(f->c->window_frames, WINDOW);
    make_sounds(&f->sounds);
    f->trainer = blocks_classifier_trainer_new(f->c, &f->sounds, 9, &err);
    assert_string_equal(err.msg, "");
}

static void release(fixture *f)
{
    blocks_classifier_trainer_free(f->trainer);
    blocks_sounds_free(&f->sounds);
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

static void it_learns_ten_songs_by_heart(void **state)
{
    fixture f;
    bl_error err = { 0 };
    double losses[2];
    blocks_classifier_score score;
    (void)state;
    make(&f, plain);
    train(&f, 200, losses);
    assert_true(losses[0] < 0.05);
    assert_true(losses[1] < 0.1);
    assert_int_equal(blocks_classifier_trainer_validate(f.trainer, &score, &err), BL_OK);
    assert_int_equal(score.n_songs, SONGS);
    assert_true(score.genre == 1);
    assert_true(score.instruments > 0.99);
    assert_true(score.genre_majority == 0.5);
    assert_true(score.loss < 0.1);
    release(&f);
}

/* Also when half of the examples are mixed anew and changed on their way. */
static void it_learns_from_mixes(void **state)
{
    fixture f;
    bl_error err = { 0 };
    double losses[2];
    blocks_classifier_score score;
    (void)state;
    make(&f, "eq_db = 3\n");
    train(&f, 300, losses);
    assert_int_equal(blocks_classifier_trainer_validate(f.trainer, &score, &err), BL_OK);
    assert_true(score.genre == 1);
    assert_true(score.instruments > 0.9);
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
    make(&f, "");
    train(&f, 20, losses);
    path_of(path, "classifier.h5");
    save(&f, path, 0);
    blocks_classifier *loaded = blocks_classifier_load(path, &err);
    assert_string_equal(err.msg, "");
    assert_int_equal(loaded->n_genres, 2);
    assert_string_equal(loaded->genres[1], "rock");
    assert_string_equal(loaded->instruments[2], "voice");
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
    make(&whole, "");
    train(&whole, 15, losses);
    make(&first, "");
    train(&first, 6, losses);
    path_of(path, "part.h5");
    save(&first, path, 1);
    make(&second, "");
    nn_checkpoint *k = nn_checkpoint_open(path, "classifier", &err);
    assert_int_equal(blocks_classifier_trainer_get(second.trainer, k, &err), BL_OK);
    assert_string_equal(err.msg, "");
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
    make(&f, "");
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

static void a_verdict_does_not_depend_on_the_level(void **state)
{
    enum { N = RATE * 5 };
    fixture f;
    bl_error err = { 0 };
    double losses[2];
    float loud[2], soft[2], heard[3], heard_soft[3], *x = noise_and_tone(N, 500), *y = malloc(N * sizeof *y);
    (void)state;
    make(&f, "");
    train(&f, 20, losses);
    for (int i = 0; i < N; i++)
        y[i] = x[i] / 32;
    assert_int_equal(blocks_classifier_run(f.c, x, N, RATE, loud, heard, &err), BL_OK);
    assert_int_equal(blocks_classifier_run(f.c, y, N, RATE, soft, heard_soft, &err), BL_OK);
    for (int i = 0; i < 2; i++)
        assert_true(fabsf(loud[i] - soft[i]) < 1e-3f);
    for (int i = 0; i < 3; i++)
        assert_true(fabsf(heard[i] - heard_soft[i]) < 1e-3f);
    free(x);
    free(y);
    release(&f);
}

static void a_temperature_above_one_makes_it_less_sure(void **state)
{
    enum { N = RATE * 3 };
    fixture f;
    bl_error err = { 0 };
    double losses[2];
    float sure[2], unsure[2], *x = noise_and_tone(N, 330);
    (void)state;
    make(&f, "");
    train(&f, 60, losses);
    assert_int_equal(blocks_classifier_run(f.c, x, N, RATE, sure, NULL, &err), BL_OK);
    f.c->temperature = 4;
    assert_int_equal(blocks_classifier_run(f.c, x, N, RATE, unsure, NULL, &err), BL_OK);
    assert_true(fmaxf(unsure[0], unsure[1]) < fmaxf(sure[0], sure[1]));
    assert_true((unsure[0] > unsure[1]) == (sure[0] > sure[1]));
    free(x);
    release(&f);
}

/* ---- examples ---- */

static void examples_are_labelled_by_what_sounds_in_them(void **state)
{
    blocks_sounds sounds;
    blocks_mixer mixer;
    bl_rng rng;
    bl_error err = { 0 };
    blocks_classifier_settings set = { .remixes = 0.4, .cross_mixes = 0.2, .voices = 0.2, .noises = 0.1, .stem_dropout = 0.4,
                                       .voice_dropout = 0.4, .stem_gain_db = 6 };
    float power[WINDOW * MELS], scratch[WINDOW * MELS], genre[2], labels[3];
    blocks_example e = { power, genre, labels };
    int any = 0, none = 0, known = 0, nothing = 0;
    (void)state;
    make_sounds(&sounds);
    assert_int_equal(blocks_mixer_new(&mixer, &sounds, &set, WINDOW, &err), BL_OK);
    bl_rng_seed(&rng, 1);
    for (int i = 0; i < 400; i++) {
        blocks_mixer_draw(&mixer, &rng, scratch, &e);
        const float sum = genre[0] + genre[1];
        assert_true(fabsf(sum - 1) < 1e-6f || sum == 0);
        const int is_voice_alone = labels[2] == 1 && labels[0] == 0 && labels[1] == 0;
        none += sum == 0;
        any += genre[0] == 0.5f;
        known += genre[0] == 1 || genre[1] == 1;
        nothing += labels[0] + labels[1] + labels[2] == 0;
        if (is_voice_alone)
            assert_true(sum == 0 || genre[0] == 0.5f);
        if (genre[0] == 1 || genre[1] == 1) { /* the band of the genre stands out, unless its stem was left out */
            const float *bands = power + 5 * MELS;
            assert_true(genre[1] == 1 ? bands[2] + bands[5] > 10 * (bands[12] + bands[9]) : bands[12] + bands[9] > 10 * (bands[2] + bands[5]));
        }
        for (int k = 0; k < WINDOW * MELS; k++)
            assert_true(isfinite(power[k]) && power[k] >= 0);
    }
    assert_true(any > 60 && none > 40 && known > 150);
    assert_in_range(nothing, 15, 90); /* noise */
    blocks_mixer_free(&mixer);
    blocks_sounds_free(&sounds);
}

/* ---- sounds from a dataset ---- */

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

static void songs_teach_genres_and_stems_teach_instruments(void **state)
{
    static const char *const songs[] = { "rock/a", "rock/b", "jazz/c", "jazz/d" };
    char path[BL_PATH_MAX], name[80];
    bl_error err = { 0 };
    blocks_sounds sounds;
    int lends = 0, held_out = 0;
    (void)state;
    for (int i = 0; i < 4; i++) {
        write_stem(songs[i], "piano.wav", 200 + 50 * i);
        write_stem(songs[i], i < 2 ? "drums.wav" : "violin.wav", 900 + 50 * i);
    }
    for (int i = 0; i < 5; i++) { /* one stem alone: no song */
        snprintf(name, sizeof name, "jazz/solo%d", i);
        write_stem(name, "violin.wav", 700);
    }
    path_of(path, "songs");
    data_dataset *d = data_dataset_open(path, &(data_dataset_options){ .validation = 0.25 }, &err);
    assert_non_null(d);
    bl_config *config = make_config("");
    blocks_feature_extractor *fx = blocks_feature_extractor_new(config, 1, &err);
    assert_int_equal(blocks_sounds_collect(fx, d, config, 1, &sounds, &err), BL_OK);
    assert_int_equal(sounds.n_genres, 2);
    assert_int_equal(sounds.n_instruments, 3);
    for (int i = 0; i < sounds.n_songs; i++) {
        const blocks_song_sounds *s = &sounds.songs[i];
        snprintf(name, sizeof name, "%.70s", d->songs[s->song].name);
        lends += s->lends;
        held_out += s->held_out;
        if (s->lends) {
            assert_non_null(strstr(name, "solo"));
            assert_null(s->mixture.code);
            continue;
        }
        assert_string_equal(sounds.genres[s->genre], strstr(name, "rock") ? "rock" : "jazz");
        assert_int_equal(s->n_stems, 2);
        assert_in_range(s->mixture.n_frames, 3 * RATE / 256, 3 * RATE / 256 + 1);
        for (int k = 0; k < 2; k++)
            assert_string_equal(sounds.instruments[s->stems[k].instrument], d->songs[s->song].stems[k].name);
        /* without a file of its own the mixture is the sum of the stems' powers */
        double mix = blocks_sound_add(&s->mixture, MELS, 0, s->mixture.n_frames, 1, 1, NULL), parts = 0;
        for (int k = 0; k < 2; k++)
            parts += blocks_sound_add(&s->stems[k], MELS, 0, s->mixture.n_frames, 1, 1, NULL);
        assert_true(fabs(mix / parts - 1) < 0.03);
    }
    assert_in_range(lends, 1, 5); /* some are held out, and then not needed */
    assert_true(held_out >= 1);
    blocks_sounds_free(&sounds);
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
    config = bl_config_parse("[classifier]\ninput.mel = 1, T\ngenre = linear out_features=2\n", "my.ini", &err);
    assert_null(make_classifier(config, &err));
    assert_message(err, "[classifier] needs a layer instrument");
    bl_config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_learns_ten_songs_by_heart),
        cmocka_unit_test(it_learns_from_mixes),
        cmocka_unit_test(a_loaded_classifier_says_the_same_as_the_saved_one),
        cmocka_unit_test(a_resumed_training_equals_an_uninterrupted_one_bit_for_bit),
        cmocka_unit_test(silence_is_every_genre_and_no_instrument),
        cmocka_unit_test(a_verdict_does_not_depend_on_the_level),
        cmocka_unit_test(a_temperature_above_one_makes_it_less_sure),
        cmocka_unit_test(examples_are_labelled_by_what_sounds_in_them),
        cmocka_unit_test(songs_teach_genres_and_stems_teach_instruments),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, tree_make, tree_remove);
}
