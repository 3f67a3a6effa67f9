#include "tests/temporary.h"

#include "blocks/config_defaults.h"
#include "blocks/feature_extractor_train.h"
#include "blocks/song_features.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/message.h"
#include "tests/plan_before.h"

/* A network small enough for a test; what is not said comes from the shipped config. */
static const char tiny[] = "[features]\nsample_rate = 8000\nn_fft = 256\nhop_length = 128\nn_mels = 16\nlatent = 3\n"
                           "[encoder]\ninput.mel = 16, T\n"
                           "line = conv1d out_channels=3 kernel_size=1 from=mel\n"
                           "h = conv1d out_channels=24 kernel_size=3 padding=same from=mel\nh_a = leaky_relu negative_slope=0.1\n"
                           "bent = conv1d out_channels=3 kernel_size=1\ncode = add from=line,bent\n"
                           "[decoder]\ninput.code = 3, T\n"
                           "line = conv1d out_channels=16 kernel_size=1 from=code\n"
                           "h = conv1d out_channels=24 kernel_size=3 padding=same from=code\nh_a = leaky_relu negative_slope=0.1\n"
                           "bent = conv1d out_channels=16 kernel_size=1\nmel = add from=line,bent\n"
                           "[autoencoder]\nbatch_size = 6\nsegment_frames = 24\nlr = 0.01\nlr_half_life = 150\ngain_db = 0\nnoise = 0\n";

enum { RATE = 8000, N = RATE * 2 };

/* A tone that glides and beats, with noise under it; another one for every seed. */
static float *sound(uint64_t seed)
{
    float *x = malloc(N * sizeof *x);
    bl_rng rng;
    double phase = 0;
    bl_rng_seed(&rng, seed);
    const double f0 = 150 + 400 * bl_rng_uniform(&rng), glide = bl_rng_uniform(&rng), beat = 1 + 4 * bl_rng_uniform(&rng);
    for (int i = 0; i < N; i++) {
        const double t = (double)i / RATE;
        phase += 2 * 3.14159265358979 * f0 * (1 + glide * t) / RATE;
        x[i] = (float)((0.3 + 0.2 * sin(6.28 * beat * t)) * (sin(phase) + 0.5 * sin(2 * phase) + 0.3 * sin(3 * phase))
                       + 0.01 * bl_rng_normal(&rng));
    }
    return x;
}

typedef struct fixture {
    bl_config                  *config;
    blocks_feature_extractor   *fx;
    blocks_mel_clips            clips;
    blocks_autoencoder_trainer *trainer;
} fixture;

/* more: further keys of [autoencoder] */
static void make_with(fixture *f, uint64_t seed, const char *more)
{
    bl_error err = { 0 };
    char text[2000];
    memset(f, 0, sizeof *f);
    snprintf(text, sizeof text, "%s%s", tiny, more);
    f->config = bl_config_parse(text, "tiny.ini", &err);
    f->fx = blocks_feature_extractor_new(f->config, seed, &err);
    assert_string_equal(err.msg, "");
    f->clips.n_mels = f->fx->n_mels;
    for (uint64_t i = 0; i < 10; i++) {
        float *x = sound(i), *mel;
        int64_t T;
        assert_int_equal(blocks_feature_extractor_mel(f->fx, x, N, RATE, &mel, &T, &err), BL_OK);
        assert_int_equal(blocks_mel_clips_add(&f->clips, mel, T, (int)i, 1, i >= 8, &err), BL_OK);
        free(x);
    }
    assert_int_equal(blocks_mel_clips_standardise(&f->clips, f->fx, &err), BL_OK);
    f->trainer = blocks_autoencoder_trainer_new(f->fx, &f->clips, seed, &err);
    assert_string_equal(err.msg, "");
}

static void make(fixture *f, uint64_t seed)
{
    make_with(f, seed, "");
}

static void release(fixture *f)
{
    blocks_autoencoder_trainer_free(f->trainer);
    blocks_mel_clips_free(&f->clips);
    blocks_feature_extractor_free(f->fx);
    bl_config_free(f->config);
}

static double train(fixture *f, int steps)
{
    bl_error err = { 0 };
    double loss = 0, norm;
    expect_a_plan(blocks_autoencoder_trainer_plan, f->trainer);
    for (int i = 0; i < steps; i++)
        assert_int_equal(blocks_autoencoder_trainer_step(f->trainer, &loss, &norm, &err), BL_OK);
    return loss;
}

static void save(fixture *f, const char *path, int with_optimizer)
{
    bl_error err = { 0 };
    nn_checkpoint *c = nn_checkpoint_create(path, "autoencoder", &err);
    assert_int_equal(blocks_autoencoder_trainer_put(f->trainer, with_optimizer, c, &err), BL_OK);
    assert_int_equal(nn_checkpoint_commit(c, &err), BL_OK);
}

static void it_beats_a_pca_of_its_rank_on_sounds_it_never_heard(void **state)
{
    fixture f;
    bl_error err = { 0 };
    blocks_autoencoder_score before, after;
    (void)state;
    make(&f, 1);
    assert_int_equal(blocks_autoencoder_trainer_validate(f.trainer, &before, &err), BL_OK);
    train(&f, 500);
    assert_int_equal(blocks_autoencoder_trainer_validate(f.trainer, &after, &err), BL_OK);
    assert_true(after.reconstruction < 0.3 * before.reconstruction);
    assert_true(after.reconstruction < after.pca);
    assert_true(after.pca < after.mean);
    release(&f);
}

static void latents_are_standardised_and_those_of_a_loaded_model_the_same(void **state)
{
    fixture f;
    bl_error err = { 0 };
    float *x = sound(3), *a, *b, context[3], again[3];
    int64_t T, U;
    int D, E;
    (void)state;
    make(&f, 1);
    train(&f, 60);
    save(&f, temporary_path("autoencoder.h5"), 0);
    blocks_feature_extractor *loaded = blocks_feature_extractor_load(temporary_path("autoencoder.h5"), &err);
    assert_string_equal(err.msg, "");
    assert_int_equal(blocks_feature_extractor_run(f.fx, x, N, RATE, &a, &T, &D, &err), BL_OK);
    assert_int_equal(blocks_feature_extractor_run(loaded, x, N, RATE, &b, &U, &E, &err), BL_OK);
    assert_int_equal(T, N / 128 + 1);
    assert_int_equal(U, T);
    assert_int_equal(D, 3);
    assert_int_equal(E, 3);
    assert_memory_equal(a, b, (size_t)(T * D) * sizeof *a);
    assert_true(fabs(loaded->hop_s - 0.016) < 1e-12);
    assert_int_equal(loaded->step, 60);

    double squares = 0; /* over all training sounds the variance is 1; of one of them it is of that order */
    for (int64_t i = 0; i < T * D; i++)
        squares += (double)a[i] * (double)a[i] / (double)(T * D);
    assert_true(squares > 0.02 && squares < 20);

    assert_int_equal(blocks_feature_extractor_context(f.fx, x, N, RATE, context, &err), BL_OK);
    assert_int_equal(blocks_feature_extractor_context(loaded, x, N, RATE, again, &err), BL_OK);
    assert_memory_equal(context, again, sizeof context);
    for (int d = 0; d < 3; d++)
        assert_true(fabsf(context[d]) <= 3);
    free(a);
    free(b);
    free(x);
    blocks_feature_extractor_free(loaded);
    release(&f);
}

/* Two batches a step under another loss, and a learning rate that a validation has lowered: all of it is in the checkpoint. */
static void a_plateau_outlives_an_interruption(void **state)
{
    static const char more[] = "accumulate = 2\nloss = huber delta=0.5\nschedule = plateau\npatience = 0\nfactor = 0.25\nthreshold = 0.9\n";
    fixture whole, first, second, constant;
    blocks_autoencoder_score score;
    bl_error err = { 0 };
    (void)state;
    fixture *const both[] = { &whole, &first };
    for (int i = 0; i < 2; i++) {
        make_with(both[i], 5, more);
        train(both[i], 4);
        for (int k = 0; k < 2; k++) /* the second is no better than the first */
            assert_int_equal(blocks_autoencoder_trainer_validate(both[i]->trainer, &score, &err), BL_OK);
    }
    save(&first, temporary_path("plateau.h5"), 1);
    make_with(&second, 5, more);
    nn_checkpoint *c = nn_checkpoint_open(temporary_path("plateau.h5"), "autoencoder", &err);
    assert_int_equal(blocks_autoencoder_trainer_get(second.trainer, c, &err), BL_OK);
    nn_checkpoint_free(c);
    make_with(&constant, 5, "accumulate = 2\nloss = huber delta=0.5\nschedule = constant\n");
    train(&constant, 4);
    const size_t n_bytes = (size_t)whole.fx->params->n_elements * sizeof(real);
    assert_memory_equal(whole.fx->params->value, constant.fx->params->value, n_bytes);
    train(&whole, 4);
    train(&second, 4);
    train(&constant, 4);
    assert_memory_equal(whole.fx->params->value, second.fx->params->value, n_bytes);
    assert_memory_not_equal(whole.fx->params->value, constant.fx->params->value, n_bytes);
    release(&whole);
    release(&first);
    release(&second);
    release(&constant);
}

static void a_resumed_training_equals_an_uninterrupted_one_bit_for_bit(void **state)
{
    fixture whole, first, second;
    bl_error err = { 0 };
    (void)state;
    make(&whole, 5);
    train(&whole, 24);
    make(&first, 5);
    train(&first, 11);
    save(&first, temporary_path("part.h5"), 1);
    make(&second, 5);
    nn_checkpoint *c = nn_checkpoint_open(temporary_path("part.h5"), "autoencoder", &err);
    assert_int_equal(blocks_autoencoder_trainer_get(second.trainer, c, &err), BL_OK);
    nn_checkpoint_free(c);
    train(&second, 13);
    assert_memory_equal(whole.fx->params->value, second.fx->params->value,
                        (size_t)whole.fx->params->n_elements * sizeof(real));
    release(&whole);
    release(&first);
    release(&second);
}

static void silence_has_no_context_and_bad_sound_is_refused(void **state)
{
    fixture f;
    bl_error err = { 0 };
    float x[400] = { 0 }, context[3], *latents;
    int64_t T;
    int D;
    (void)state;
    make(&f, 1);
    assert_int_equal(blocks_feature_extractor_context(f.fx, x, 400, RATE, context, &err), BL_OK);
    for (int d = 0; d < 3; d++)
        assert_true(context[d] == 0);
    assert_int_equal(blocks_feature_extractor_run(f.fx, x, 1, RATE, &latents, &T, &D, &err), BL_OK); /* one sample will do */
    free(latents);
    assert_int_equal(blocks_feature_extractor_run(f.fx, x, 0, RATE, &latents, &T, &D, &err), BL_EARG);
    assert_message(err, "empty");
    err = (bl_error){ 0 };
    x[7] = NAN;
    assert_int_equal(blocks_feature_extractor_run(f.fx, x, 400, RATE, &latents, &T, &D, &err), BL_ENAN);
    assert_message(err, "sample 7");
    err = (bl_error){ 0 };
    assert_int_equal(blocks_feature_extractor_run(f.fx, x, 400, 12, &latents, &T, &D, &err), BL_EARG);
    assert_message(err, "12");
    release(&f);
}

static void mistakes_in_a_config_are_named(void **state)
{
    static const char *const own[] = { "features", "autoencoder", "encoder", "decoder", NULL };
    bl_error err = { 0 };
    bl_config *c = bl_config_parse("[features]\nn_mells = 40\n", "my.ini", &err);
    (void)state;
    blocks_feature_extractor *fx = blocks_feature_extractor_new(c, 1, &err);
    assert_non_null(fx);
    assert_int_equal(blocks_autoencoder_settings_read(fx, &err), BL_OK);
    assert_int_equal(blocks_config_check(fx->config, own, &err), BL_EARG);
    assert_message(err, "my.ini line 2");
    assert_message(err, "n_mells");
    blocks_feature_extractor_free(fx);
    bl_config_free(c);
    err = (bl_error){ 0 };
    c = bl_config_parse("[encoder]\ninput.mel = 64, T\ncode = conv1d out_channels=5 kernel_size=1\n", "my.ini", &err);
    assert_null(blocks_feature_extractor_new(c, 1, &err));
    assert_message(err, "[encoder] must give 16 channels over time, gives 5");
    bl_config_free(c);
}

static void a_checkpoint_of_another_kind_is_refused(void **state)
{
    bl_error err = { 0 };
    nn_checkpoint *c = nn_checkpoint_create(temporary_path("other.h5"), "segmenter", &err);
    (void)state;
    nn_checkpoint_put_text(c, "config", "", &err);
    assert_int_equal(nn_checkpoint_commit(c, &err), BL_OK);
    assert_null(blocks_feature_extractor_load(temporary_path("other.h5"), &err));
    assert_message(err, "expected an autoencoder checkpoint, got a segmenter");
    err = (bl_error){ 0 };
    assert_null(blocks_feature_extractor_load(temporary_path("nothing.h5"), &err));
    assert_message(err, "nothing.h5");
}

/* ---- measured values ---- */

static void song_features_find_tempo_pitch_and_level(void **state)
{
    enum { SECONDS = 8, R = 22050 };
    static float x[SECONDS * R];
    float f[BLOCKS_SONG_FEATURES];
    bl_error err = { 0 };
    bl_rng rng;
    (void)state;
    bl_rng_seed(&rng, 1);
    /* A 440 Hz tone at -20 dBFS under clicks at 120 bpm. */
    for (int i = 0; i < SECONDS * R; i++) {
        const int since = i % (R / 2);
        x[i] = (float)(0.1414 * sin(2 * 3.14159265358979 * 440 * i / R) + (since < 400 ? 0.3 * bl_rng_normal(&rng) * exp(-since / 80.0) : 0));
    }
    assert_int_equal(blocks_song_features(x, SECONDS * R, R, f, &err), BL_OK);
    assert_true(fabsf(f[0]) < 0.08f);           /* log2(bpm / 120) */
    assert_true(f[1] > 0.5f);                   /* pulse */
    assert_true(fabsf(f[4] - 2) < 0.4f);        /* onsets per second */
    assert_true(fabsf(f[7] + 20) < 2);          /* level */
    assert_true(f[94] > 0.6f && f[95] < 0.5f);  /* one pitch class */
    assert_string_equal(blocks_song_feature_name(0), "tempo");
    assert_string_equal(blocks_song_feature_name(33), "contrast_deviation_6");
    assert_string_equal(blocks_song_feature_name(34), "mfcc_mean_0");
    assert_string_equal(blocks_song_feature_name(108), "major");
    assert_string_equal(blocks_song_feature_name(109), "");

    memset(x, 0, sizeof x);
    assert_int_equal(blocks_song_features(x, SECONDS * R, R, f, &err), BL_OK);
    for (int i = 0; i < BLOCKS_SONG_FEATURES; i++)
        assert_true(isfinite(f[i]));
    assert_int_equal(blocks_song_features(x, 1, 44100, f, &err), BL_OK);
    for (int i = 0; i < BLOCKS_SONG_FEATURES; i++)
        assert_true(isfinite(f[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_beats_a_pca_of_its_rank_on_sounds_it_never_heard),
        cmocka_unit_test(latents_are_standardised_and_those_of_a_loaded_model_the_same),
        cmocka_unit_test(a_plateau_outlives_an_interruption),
        cmocka_unit_test(a_resumed_training_equals_an_uninterrupted_one_bit_for_bit),
        cmocka_unit_test(silence_has_no_context_and_bad_sound_is_refused),
        cmocka_unit_test(mistakes_in_a_config_are_named),
        cmocka_unit_test(a_checkpoint_of_another_kind_is_refused),
        cmocka_unit_test(song_features_find_tempo_pitch_and_level),
    };
    return cmocka_run_group_tests(tests, temporary_make, temporary_remove);
}
