#include "tests/data/tree.h"

#include "blocks/config_defaults.h"
#include "blocks/separator_train.h"

#include <omp.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/message.h"
#include "tests/plan_before.h"

static const char tiny[] = "[separator]\nbands = 8\ninput.mix = bands, T\nfc1 = conv1d out_channels=24 kernel_size=1 bias=no\n"
                           "bn1 = batch_norm1d\nstart = tanh\nlstm = lstm hidden_size=12 num_layers=1 bidirectional=yes\n"
                           "both = concat from=start,lstm\nfc3 = conv1d out_channels=bands kernel_size=1 bias=no\n"
                           "bn3 = batch_norm1d\nmask = sigmoid\n"
                           "[separation]\nmelody_share = 0\nsample_rate = 8000\nn_fft = 256\nhop_length = 64\nlinear_hz = 500\nband_share = 0.1\n"
                           "[separation_training]\nbatch_size = 4\npool = 8\nfresh = 1\nsegment_frames = 40\nlr = 0.02\n"
                           "schedule = constant\naverage = 0.9\nnarrow = 0\n";
enum { RATE = 8000, N = RATE * 4 };

typedef struct fixture {
    bl_config                *config;
    blocks_separator         *s;
    blocks_sources            sources;
    blocks_separator_trainer *trainer;
} fixture;

/* What sings: one wavering tone after the other, in the middle of the band. */
static void sing(uint64_t seed, float *x, int n)
{
    const double pi = acos(-1.0);
    double phase = 0, midi = 60;
    bl_rng rng;
    bl_rng_seed(&rng, seed);
    for (int i = 0; i < n; i++) {
        if (i % (RATE / 2) == 0)
            midi = 58 + (double)bl_rng_below(&rng, 12);
        phase += 440 * pow(2, (midi + 0.5 * sin(2 * pi * 5.5 * i / RATE) - 69) / 12) / RATE;
        x[i] = 0;
        for (int k = 1; k <= 5; k++)
            x[i] += (float)(0.2 * sin(2 * pi * k * phase) / k);
        x[i] *= i % (RATE / 2) > RATE / 40 ? 1 : 0;
    }
}

/* What plays: a low bass and clicks. */
static void play(uint64_t seed, float *x, int n)
{
    bl_rng rng;
    bl_rng_seed(&rng, seed);
    memset(x, 0, (size_t)n * sizeof *x);
    for (int k = 0; k < n / (RATE / 4); k++) {
        add_note(x, n, RATE, 0.25 * k, 0.3, 30 + (double)bl_rng_below(&rng, 10), 0.3);
        for (int i = 0; i < RATE / 30; i++)
            x[k * RATE / 4 + i] += (float)((bl_rng_uniform(&rng) - 0.5) * exp(-i / 60.0));
    }
}

static void make(fixture *f)
{
    bl_error err = { 0 };
    float *x = malloc(N * sizeof *x);
    memset(f, 0, sizeof *f);
    f->config = bl_config_parse(tiny, "tiny.ini", &err);
    f->s = blocks_separator_new(f->config, 3, &err);
    assert_string_equal(err.msg, "");
    for (int i = 0; i < 6; i++) {
        sing((uint64_t)i, x, N);
        const blocks_source voice = { .song = i, .is_voice = 1, .held_out = i >= 4 }, rest = { .song = i, .held_out = i >= 4 };
        assert_int_equal(blocks_sources_add(&f->sources, x, N, RATE, &voice, &err), BL_OK);
        play((uint64_t)i + 50, x, N);
        assert_int_equal(blocks_sources_add(&f->sources, x, N, RATE, &rest, &err), BL_OK);
    }
    f->trainer = blocks_separator_trainer_new(f->s, &f->sources, 11, &err);
    assert_string_equal(err.msg, "");
    free(x);
}

static void release(fixture *f)
{
    blocks_separator_trainer_free(f->trainer);
    blocks_sources_free(&f->sources);
    blocks_separator_free(f->s);
    bl_config_free(f->config);
}

static void train(fixture *f, int steps, double figures[3])
{
    bl_error err = { 0 };
    double norm;
    expect_a_plan(blocks_separator_trainer_plan, f->trainer);
    for (int i = 0; i < steps; i++)
        assert_int_equal(blocks_separator_trainer_step(f->trainer, figures, &norm, &err), BL_OK);
}

static void save(fixture *f, const char *path, int with_optimizer)
{
    bl_error err = { 0 };
    nn_checkpoint *c = nn_checkpoint_create(path, "separator", &err);
    assert_int_equal(blocks_separator_trainer_put(f->trainer, with_optimizer, c, &err), BL_OK);
    assert_int_equal(nn_checkpoint_commit(c, &err), BL_OK);
}

/* A song as a file of 24 bits holds it. */
static audio_clip song(int channels, int64_t n, int rate, uint64_t seed)
{
    audio_clip clip;
    float *x = malloc((size_t)n * sizeof *x);
    assert_int_equal(audio_clip_new(&clip, channels, n, rate, NULL), BL_OK);
    for (int c = 0; c < channels; c++) {
        sing(seed, clip.samples + c * n, (int)n);
        play(seed + (uint64_t)c, x, (int)n);
        for (int64_t i = 0; i < n; i++)
            clip.samples[c * n + i] = rintf((clip.samples[c * n + i] + x[i]) * 4194304.0f) / 8388608.0f;
    }
    free(x);
    return clip;
}

static void it_learns_what_is_the_voice(void **state)
{
    fixture f;
    bl_error err = { 0 };
    blocks_separator_score score;
    double first[3], last[3];
    (void)state;
    make(&f);
    train(&f, 1, first);
    train(&f, 119, last);
    assert_true(last[2] < first[2] - 1);
    assert_int_equal(blocks_separator_trainer_validate(f.trainer, &score, &err), BL_OK);
    assert_int_equal(score.n, 2);
    assert_true(score.separated > score.mixture + 6);
    assert_true(score.ceiling > score.separated);
    release(&f);
}

static void parts_sum_to_the_input_bit_for_bit(void **state)
{
    fixture f;
    bl_error err = { 0 };
    audio_clip mix = song(2, 6 * RATE, 2 * RATE, 5), voice[2], rest[2];
    double differ = 0;
    (void)state;
    make(&f);
    for (int k = 0; k < 2; k++) { /* by the network alone, and with the melody's mask */
        f.s->melody_share = 0.5 * k;
        assert_int_equal(blocks_separator_run(f.s, &mix, &voice[k], &rest[k], &err), BL_OK);
        assert_int_equal(voice[k].n_channels, 2);
        assert_int_equal(rest[k].n_samples, mix.n_samples);
        assert_int_equal(voice[k].sample_rate, 2 * RATE);
        for (int64_t i = 0; i < 2 * mix.n_samples; i++)
            assert_true(voice[k].samples[i] + rest[k].samples[i] == mix.samples[i]);
    }
    for (int64_t i = 0; i < 2 * mix.n_samples; i++)
        differ += fabs((double)voice[0].samples[i] - (double)voice[1].samples[i]);
    assert_true(differ > 0.001 * (double)mix.n_samples);
    for (int k = 0; k < 2; k++)
        audio_clip_free(&voice[k]), audio_clip_free(&rest[k]);
    audio_clip_free(&mix);
    release(&f);
}

static double power_of(const float *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return sum;
}

/* The lead: by the network alone the mean of the voice's channels; with the melody's mask part of that, and the voice as without a lead. */
static void the_lead_is_what_both_masks_take_for_the_voice(void **state)
{
    fixture f;
    bl_error err = { 0 };
    audio_clip mix = song(2, 6 * RATE, 2 * RATE, 5), voice, rest, lead, alone;
    const int64_t n = mix.n_samples;
    (void)state;
    make(&f);
    for (int k = 0; k < 2; k++) {
        double apart = 0;
        float *mean = malloc((size_t)n * sizeof *mean);
        f.s->melody_share = 0.1 * k;
        assert_int_equal(blocks_separator_hear(f.s, &mix, &voice, &rest, &lead, &err), BL_OK);
        assert_int_equal(lead.n_channels, 1);
        assert_int_equal(lead.n_samples, n);
        for (int64_t i = 0; i < n; i++) {
            mean[i] = 0.5f * (voice.samples[i] + voice.samples[n + i]);
            apart += ((double)mean[i] - (double)lead.samples[i]) * ((double)mean[i] - (double)lead.samples[i]);
        }
        if (k == 0)
            assert_true(apart < 1e-6 * power_of(mean, n));
        else
            assert_true(power_of(lead.samples, n) > 0 && power_of(lead.samples, n) < 0.8 * power_of(mean, n));
        audio_clip_free(&rest);
        assert_int_equal(blocks_separator_run(f.s, &mix, &alone, &rest, &err), BL_OK);
        assert_memory_equal(alone.samples, voice.samples, 2 * (size_t)n * sizeof *voice.samples);
        audio_clip_free(&voice), audio_clip_free(&rest), audio_clip_free(&lead), audio_clip_free(&alone);
        free(mean);
    }
    audio_clip_free(&mix);
    release(&f);
}

/* A network that says "all of it is voice": windows, edges and the seams between pieces of 20 s must then not be heard. */
static void a_mask_of_one_gives_the_song_back_at_any_rate_and_length(void **state)
{
    static const struct { int rate; int64_t n; } cases[] = { { 8000, 8000 * 47 }, { 8000, 300 }, { 8000, 1 }, { 11025, 30000 },
                                                             { 44100, 44100 * 2 }, { 48000, 48000 }, { 4000, 9000 } };
    fixture f;
    bl_error err = { 0 };
    (void)state;
    make(&f);
    const int bias = nn_params_find(f.s->params, "separator/bn3/bias");
    const int weight = nn_params_find(f.s->params, "separator/bn3/weight");
    assert_true(bias >= 0 && weight >= 0);
    for (int b = 0; b < f.s->n_bands; b++) {
        f.s->params->value[f.s->params->param[bias].offset + b] = 30;
        f.s->params->value[f.s->params->param[weight].offset + b] = 0;
    }
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        audio_clip mix = song(1, cases[k].n, cases[k].rate, k), voice, rest;
        assert_int_equal(blocks_separator_run(f.s, &mix, &voice, &rest, &err), BL_OK);
        assert_int_equal(voice.n_samples, cases[k].n);
        for (int64_t i = 0; i < mix.n_samples; i++)
            if (!(fabsf(rest.samples[i]) < 2e-6f))
                fail_msg("%d Hz: %g is left at sample %lld of %lld", cases[k].rate, (double)rest.samples[i], (long long)i,
                         (long long)cases[k].n);
        audio_clip_free(&mix), audio_clip_free(&voice), audio_clip_free(&rest);
    }
    release(&f);
}

/* A network may end otherwise than in a sigmoid: less than nothing of a band is nothing. */
static void a_mask_below_nothing_is_silence_and_no_nonsense(void **state)
{
    bl_error err = { 0 };
    bl_config *config = bl_config_parse("[separator]\nbands = 8\ninput.mix = bands, T\nmask = conv1d out_channels=bands kernel_size=1\n"
                                        "[separation]\nmelody_share = 0.3\nsample_rate = 16000\nn_fft = 512\n"
                                        "hop_length = 128\nlinear_hz = 300\nband_share = 0.2\n", "x.ini", &err);
    blocks_separator *s = blocks_separator_new(config, 1, &err);
    audio_clip mix = song(1, 16000, 16000, 5), voice, rest;
    (void)state;
    assert_string_equal(err.msg, "");
    for (int k = 0; k < s->params->n; k++)
        for (int64_t i = 0; i < nn_count(&s->params->param[k].shape); i++)
            s->params->value[s->params->param[k].offset + i] = strstr(s->params->param[k].name, "bias") ? -1 : 0;
    assert_int_equal(blocks_separator_run(s, &mix, &voice, &rest, &err), BL_OK);
    for (int64_t i = 0; i < voice.n_samples; i++)
        assert_true(voice.samples[i] == 0);
    audio_clip_free(&mix);
    audio_clip_free(&voice);
    audio_clip_free(&rest);
    blocks_separator_free(s);
    bl_config_free(config);
}

static void level_does_not_matter_and_silence_stays_silent(void **state)
{
    fixture f;
    bl_error err = { 0 };
    audio_clip loud = song(1, 3 * RATE, RATE, 2), soft = song(1, 3 * RATE, RATE, 2), a, b, rest;
    double off = 0, sum = 0;
    (void)state;
    make(&f);
    for (int64_t i = 0; i < soft.n_samples; i++)
        soft.samples[i] /= 64;
    assert_int_equal(blocks_separator_run(f.s, &loud, &a, &rest, &err), BL_OK);
    audio_clip_free(&rest);
    assert_int_equal(blocks_separator_run(f.s, &soft, &b, &rest, &err), BL_OK);
    for (int64_t i = 0; i < soft.n_samples; i++) {
        off += fabs((double)a.samples[i] - 64 * (double)b.samples[i]);
        sum += fabs((double)a.samples[i]);
    }
    assert_true(off < 1e-3 * sum);
    audio_clip_free(&rest), audio_clip_free(&a), audio_clip_free(&b);
    memset(soft.samples, 0, (size_t)soft.n_samples * sizeof *soft.samples);
    assert_int_equal(blocks_separator_run(f.s, &soft, &a, &rest, &err), BL_OK);
    for (int64_t i = 0; i < soft.n_samples; i++)
        assert_true(a.samples[i] == 0);
    audio_clip_free(&rest), audio_clip_free(&a), audio_clip_free(&loud), audio_clip_free(&soft);
    release(&f);
}

static void threads_make_no_difference(void **state)
{
    bl_error err = { 0 };
    fixture f[2];
    double figures[3];
    audio_clip mix = song(2, 3 * RATE, RATE, 5), voice[2], rest[2];
    const int threads = omp_get_max_threads();
    (void)state;
    for (int k = 0; k < 2; k++) {
        omp_set_num_threads(k ? 2 : 1);
        make(&f[k]);
        train(&f[k], 3, figures);
        assert_int_equal(blocks_separator_run(f[k].s, &mix, &voice[k], &rest[k], &err), BL_OK);
    }
    omp_set_num_threads(threads);
    assert_memory_equal(f[0].s->params->value, f[1].s->params->value, (size_t)f[0].s->params->n_elements * sizeof(real));
    assert_memory_equal(voice[0].samples, voice[1].samples, 2 * (size_t)mix.n_samples * sizeof(float));
    for (int k = 0; k < 2; k++) {
        audio_clip_free(&voice[k]), audio_clip_free(&rest[k]);
        release(&f[k]);
    }
    audio_clip_free(&mix);
}

static void a_loaded_model_separates_alike(void **state)
{
    fixture f;
    bl_error err = { 0 };
    double figures[3];
    audio_clip mix = song(1, 2 * RATE, RATE, 5), voice[2], rest[2];
    (void)state;
    make(&f);
    train(&f, 30, figures);
    for (int k = 0; k < 2; k++) {
        save(&f, tree_path("separator.h5"), k); /* the averages are used, with the optimiser's state beside them or without */
        blocks_separator *loaded = blocks_separator_load(tree_path("separator.h5"), &err);
        assert_string_equal(err.msg, "");
        assert_int_equal(loaded->n_bands, f.s->n_bands);
        assert_int_equal(blocks_separator_run(loaded, &mix, &voice[k], &rest[k], &err), BL_OK);
        blocks_separator_free(loaded);
    }
    assert_memory_equal(voice[0].samples, voice[1].samples, (size_t)mix.n_samples * sizeof(float));
    for (int k = 0; k < 2; k++)
        audio_clip_free(&voice[k]), audio_clip_free(&rest[k]);
    audio_clip_free(&mix);
    release(&f);
}

static void a_resumed_training_equals_an_uninterrupted_one_bit_for_bit(void **state)
{
    fixture whole, first, second;
    bl_error err = { 0 };
    double figures[3];
    (void)state;
    make(&whole);
    train(&whole, 12, figures);
    make(&first);
    train(&first, 9, figures);
    save(&first, tree_path("part.h5"), 1);
    make(&second);
    nn_checkpoint *c = nn_checkpoint_open(tree_path("part.h5"), "separator", &err);
    assert_int_equal(blocks_separator_trainer_get(second.trainer, c, &err), BL_OK);
    nn_checkpoint_free(c);
    train(&second, 3, figures);
    assert_memory_equal(whole.s->params->value, second.s->params->value, (size_t)whole.s->params->n_elements * sizeof(real));
    save(&whole, tree_path("whole.h5"), 0);
    save(&second, tree_path("second.h5"), 0); /* the averages too */
    char *a, *b;
    size_t n, k;
    assert_int_equal(bl_read_file(tree_path("whole.h5"), 1 << 24, &a, &n, &err), BL_OK);
    assert_int_equal(bl_read_file(tree_path("second.h5"), 1 << 24, &b, &k, &err), BL_OK);
    assert_int_equal(n, k);
    assert_memory_equal(a, b, n);
    free(a);
    free(b);
    release(&whole);
    release(&first);
    release(&second);
}

static void voices_and_rests_are_found_by_their_names(void **state)
{
    static const char *const files[] = { "a/vocals.wav", "a/drums.wav", "a/mixture.wav", "b/vocals_lead.wav", "b/vocals_backing.wav",
                                         "b/other.wav", "c/piano.wav", "c/choir.wav", "c/bass.wav" };
    bl_error err = { 0 };
    blocks_sources sources = { 0 };
    char name[64];
    int voices = 0;
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(name, sizeof name, "set/%s", files[i]);
        tree_sound(tree_file(name) ? name : NULL, 1.5, 60 + (double)i, RATE, 1);
    }
    bl_config *config = bl_config_parse(tiny, "tiny.ini", &err);
    blocks_separator *s = blocks_separator_new(config, 1, &err);
    data_dataset *d = data_dataset_open(tree_path("set"), &(data_dataset_options){ .validation = -1 }, &err);
    assert_string_equal(err.msg, "");
    assert_int_equal(blocks_sources_collect(s, d, 1, &sources, &err), BL_OK);
    for (int i = 0; i < sources.n; i++)
        voices += sources.sources[i].is_voice;
    assert_int_equal(voices, 3);
    assert_int_equal(sources.n, 7); /* neither the mixture nor the choir */
    data_dataset_free(d);
    blocks_sources_free(&sources);

    tree_sound("band/c/piano.wav", 1.5, 60, RATE, 1);
    tree_sound("band/c/bass.wav", 1.5, 40, RATE, 1);
    d = data_dataset_open(tree_path("band"), &(data_dataset_options){ .validation = -1 }, &err);
    assert_int_equal(blocks_sources_collect(s, d, 1, &sources, &err), BL_EFORMAT);
    assert_message(err, "0 voices and 2 other stems");
    data_dataset_free(d);
    blocks_sources_free(&sources);
    blocks_separator_free(s);
    bl_config_free(config);
}

static void mistakes_are_named(void **state)
{
    static const char *const own[] = { "separation", "separation_training", "separator", NULL };
    fixture f;
    bl_error err = { 0 };
    audio_clip mix = song(1, 4000, RATE, 1), voice, rest, nothing = { .n_channels = 1, .sample_rate = RATE };
    (void)state;
    make(&f);
    mix.samples[77] = NAN;
    assert_int_equal(blocks_separator_run(f.s, &mix, &voice, &rest, &err), BL_ENAN);
    assert_message(err, "sample 77");
    assert_null(voice.samples);
    err = (bl_error){ 0 };
    assert_int_equal(blocks_separator_run(f.s, &nothing, &voice, &rest, &err), BL_EARG);
    assert_message(err, "0 samples");
    audio_clip_free(&mix);
    release(&f);

    static const struct { const char *text, *message; } configs[] = {
        { "[separation]\nhop_length = 1000\n", "hop_length" },
        { "[separation]\nhighest_hz = 100\nlinear_hz = 0\nband_share = 1\n", "bands" },
        { "[separator]\nbands = 9\ninput.mix = bands, T\nout = conv1d out_channels=3 kernel_size=1\n", "mask of" },
    };
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
        err = (bl_error){ 0 };
        bl_config *config = bl_config_parse(configs[i].text, "my.ini", &err);
        assert_null(blocks_separator_new(config, 1, &err));
        assert_message(err, "my.ini");
        assert_message(err, configs[i].message);
        bl_config_free(config);
    }
    static const struct { const char *text, *message; } trainings[] = {
        { "[separation_training]\nfresh = 40\npool = 8\n", "fresh (40)" },
        { "[separation_training]\nvoice_db_low = 9\n", "voice_db_low" },
        { "[separation_training]\nsemitone = 2\n", "semitone" },
    };
    for (size_t i = 0; i < sizeof trainings / sizeof *trainings; i++) {
        err = (bl_error){ 0 };
        bl_config *config = bl_config_parse(trainings[i].text, "my.ini", &err);
        blocks_separator *s = blocks_separator_new(config, 1, &err);
        assert_non_null(s);
        if (blocks_separator_settings_read(s, &err) == BL_OK)
            blocks_config_check(s->config, own, &err);
        assert_message(err, trainings[i].message);
        blocks_separator_free(s);
        bl_config_free(config);
    }
    err = (bl_error){ 0 };
    tree_text("damaged.h5", "this is no checkpoint");
    assert_null(blocks_separator_load(tree_path("damaged.h5"), &err));
    assert_message(err, "damaged.h5");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_learns_what_is_the_voice),
        cmocka_unit_test(parts_sum_to_the_input_bit_for_bit),
        cmocka_unit_test(the_lead_is_what_both_masks_take_for_the_voice),
        cmocka_unit_test(a_mask_of_one_gives_the_song_back_at_any_rate_and_length),
        cmocka_unit_test(a_mask_below_nothing_is_silence_and_no_nonsense),
        cmocka_unit_test(level_does_not_matter_and_silence_stays_silent),
        cmocka_unit_test(threads_make_no_difference),
        cmocka_unit_test(a_loaded_model_separates_alike),
        cmocka_unit_test(a_resumed_training_equals_an_uninterrupted_one_bit_for_bit),
        cmocka_unit_test(voices_and_rests_are_found_by_their_names),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, tree_make, tree_remove);
}
