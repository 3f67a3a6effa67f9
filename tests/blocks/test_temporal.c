#include "tests/data/tree.h"

#include "audio/stft.h"
#include "blocks/config_defaults.h"
#include "blocks/temporal_train.h"
#include "music/midi.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/message.h"
#include "tests/plan_before.h"

static const char tiny[] = "[bilstm]\ninput.bands = 12, T\ninput.condition = 2\nheard = concat from=bands,condition\n"
                           "fc1 = conv1d out_channels=24 kernel_size=1 bias=0\nfc1_n = batch_norm1d\nfc1_a = tanh\n"
                           "lstm = lstm hidden_size=12 num_layers=1 bidirectional=1\nboth = concat from=fc1_a,lstm\n"
                           "fc2 = conv1d out_channels=24 kernel_size=1 bias=0\nfc2_n = batch_norm1d\nfc2_a = relu\n"
                           "fc3 = conv1d out_channels=12 kernel_size=1 bias=0\nfc3_n = batch_norm1d\n"
                           "[temporal]\nsample_rate = 8000\nn_fft = 256\nhop_length = 64\nbands = 12\nbatch_size = 4\n"
                           "segment_frames = 40\nlr = 0.02\nlr_half_life = 100\naverage = 0.9\n";
static const char *const instruments[] = { "piano", "violin" };
enum { RATE = 8000, N = RATE * 2, F = 129 };

typedef struct fixture {
    bl_config               *config;
    blocks_temporal         *t;
    blocks_phrases           phrases;
    blocks_temporal_trainer *trainer;
} fixture;

/* A phrase of four notes; as it is played, and with the end of every note cut off and its start too loud. */
static void play(uint64_t seed, float *target, float *degraded, double *transitions)
{
    bl_rng rng;
    bl_rng_seed(&rng, seed);
    memset(target, 0, N * sizeof *target);
    for (int note = 0; note < 4; note++) {
        const double onset = 0.05 + 0.48 * note;
        add_note(target, N, RATE, onset, 0.45, 50 + (double)bl_rng_below(&rng, 24), 0.3);
        transitions[2 * note] = onset;
        transitions[2 * note + 1] = onset + 0.3;
    }
    for (int i = 0; i < N; i++) {
        const double since = fmod((double)i / RATE - 0.05 + 0.48, 0.48);
        degraded[i] = target[i] * (since < 0.06 ? 2.0f : since > 0.3 ? 0.5f : 1.0f);
    }
}

static void make(fixture *f)
{
    bl_error err = { 0 };
    float *target = malloc(N * sizeof *target), *degraded = malloc(N * sizeof *degraded);
    double transitions[8];
    memset(f, 0, sizeof *f);
    f->config = bl_config_parse(tiny, "tiny.ini", &err);
    f->t = blocks_temporal_new(f->config, instruments, 2, 3, &err);
    assert_string_equal(err.msg, "");
    for (int i = 0; i < 10; i++) {
        play((uint64_t)i, target, degraded, transitions);
        assert_int_equal(blocks_phrases_add(f->t, &f->phrases, degraded, target, N, transitions, 8, instruments[i % 2], i >= 8, &err),
                         BL_OK);
    }
    f->trainer = blocks_temporal_trainer_new(f->t, &f->phrases, 11, &err);
    assert_string_equal(err.msg, "");
    free(target);
    free(degraded);
}

static void release(fixture *f)
{
    blocks_temporal_trainer_free(f->trainer);
    blocks_phrases_free(&f->phrases);
    blocks_temporal_free(f->t);
    bl_config_free(f->config);
}

static void train(fixture *f, int steps, double losses[2])
{
    bl_error err = { 0 };
    double norm;
    expect_a_plan(blocks_temporal_trainer_plan, f->trainer);
    for (int i = 0; i < steps; i++)
        assert_int_equal(blocks_temporal_trainer_step(f->trainer, losses, &norm, &err), BL_OK);
}

static void save(fixture *f, const char *path, int with_optimizer)
{
    bl_error err = { 0 };
    nn_checkpoint *c = nn_checkpoint_create(path, "bilstm", &err);
    assert_int_equal(blocks_temporal_trainer_put(f->trainer, with_optimizer, c, &err), BL_OK);
    assert_int_equal(nn_checkpoint_commit(c, &err), BL_OK);
}

static float *magnitudes(int64_t T, uint64_t seed)
{
    float *m = malloc((size_t)(F * T) * sizeof *m);
    bl_rng rng;
    bl_rng_seed(&rng, seed);
    for (int64_t i = 0; i < F * T; i++)
        m[i] = (float)(20 * bl_rng_uniform(&rng) * exp(-(double)(i / T) / 30));
    return m;
}

static void an_untrained_model_changes_next_to_nothing(void **state)
{
    enum { T = 300 };
    fixture f;
    bl_error err = { 0 };
    (void)state;
    make(&f);
    float *m = magnitudes(T, 1), *before = magnitudes(T, 1);
    assert_int_equal(blocks_temporal_run(f.t, "piano", m, F, T, RATE, &err), BL_OK);
    for (int i = 0; i < F * T; i++)
        assert_true(fabsf(m[i] - before[i]) <= 0.1f * before[i] + 1e-6f);
    free(m);
    free(before);
    release(&f);
}

static void it_learns_to_repair_what_always_goes_wrong(void **state)
{
    fixture f;
    bl_error err = { 0 };
    blocks_temporal_score score;
    double losses[2];
    (void)state;
    make(&f);
    train(&f, 250, losses);
    assert_true(losses[0] < 0.5 * losses[1]);
    assert_int_equal(blocks_temporal_trainer_validate(f.trainer, &score, &err), BL_OK);
    assert_int_equal(score.n_phrases, 2);
    assert_true(score.after < 0.75 * score.before);
    assert_true(score.transitions_after < score.transitions_before);
    assert_true(score.ceiling < score.after);
    release(&f);
}

static void gains_stay_within_their_bounds(void **state)
{
    enum { T = 120 };
    fixture f;
    bl_error err = { 0 };
    double losses[2];
    (void)state;
    make(&f);
    train(&f, 40, losses);
    float *m = magnitudes(T, 2), *before = magnitudes(T, 2);
    assert_int_equal(blocks_temporal_run(f.t, "bagpipe", m, F, T, RATE, &err), BL_OK);
    for (int i = 0; i < F * T; i++)
        assert_true(m[i] >= 0 && m[i] <= 4.001f * before[i]);
    free(m);
    free(before);
    release(&f);
}

static void a_loaded_model_repairs_alike_and_level_does_not_matter(void **state)
{
    enum { T = 4000 }; /* 32 s: two pieces */
    fixture f;
    bl_error err = { 0 };
    double losses[2];
    const char *path = tree_path("bilstm.h5");
    (void)state;
    make(&f);
    train(&f, 30, losses);
    for (int with_optimizer = 0; with_optimizer < 2; with_optimizer++) {
        save(&f, path, with_optimizer);
        blocks_temporal *loaded = blocks_temporal_load(path, &err);
        assert_string_equal(err.msg, "");
        assert_int_equal(loaded->n_fft, 256);
        assert_int_equal(blocks_temporal_instrument(loaded, "violin"), 1);
        float *a = magnitudes(T, 3), *b = magnitudes(T, 3);
        blocks_temporal *averaged = blocks_temporal_load(path, &err);
        assert_int_equal(blocks_temporal_run(loaded, "violin", a, F, T, RATE, &err), BL_OK);
        for (int i = 0; i < F * T; i++)
            b[i] *= 8;
        assert_int_equal(blocks_temporal_run(averaged, "violin", b, F, T, RATE, &err), BL_OK);
        double off = 0, sum = 0; /* near the floor the level matters a little */
        for (int i = 0; i < F * T; i++) {
            off += fabs((double)b[i] / 8 - (double)a[i]);
            sum += (double)a[i];
        }
        assert_true(off < 0.01 * sum);
        free(a);
        free(b);
        blocks_temporal_free(loaded);
        blocks_temporal_free(averaged);
    }
    release(&f);
}

static void a_resumed_training_equals_an_uninterrupted_one_bit_for_bit(void **state)
{
    fixture whole, first, second;
    bl_error err = { 0 };
    double losses[2];
    (void)state;
    make(&whole);
    train(&whole, 9, losses);
    make(&first);
    train(&first, 4, losses);
    save(&first, tree_path("part.h5"), 1);
    make(&second);
    nn_checkpoint *c = nn_checkpoint_open(tree_path("part.h5"), "bilstm", &err);
    assert_int_equal(blocks_temporal_trainer_get(second.trainer, c, &err), BL_OK);
    nn_checkpoint_free(c);
    train(&second, 5, losses);
    assert_memory_equal(whole.t->params->value, second.t->params->value, (size_t)whole.t->params->n_elements * sizeof(real));
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

/* ---- phrases from a dataset ---- */

static void write_song(const char *name, int n_notes, double transpose)
{
    char path[200];
    bl_error err = { 0 };
    audio_clip clip = { 0 };
    music_score score = { 0 };
    assert_int_equal(audio_clip_new(&clip, 1, (int64_t)((0.7 * n_notes + 1) * RATE), RATE, &err), BL_OK);
    music_track *track = music_score_add_track(&score, "piano", 0, 0, &err);
    for (int i = 0; i < n_notes; i++) {
        const int pitch = 55 + (int)transpose + 2 * (i % 5);
        add_note(clip.samples, clip.n_samples, RATE, 0.2 + 0.7 * i, 0.6, pitch, 0.3);
        music_track_add(track, 0.2 + 0.7 * i, 0.7 + 0.7 * i, pitch, 100, &err);
    }
    snprintf(path, sizeof path, "set/%.100s/piano.wav", name);
    tree_write(path, &clip);
    snprintf(path, sizeof path, "set/%.100s/violin.wav", name); /* a second stem without notes makes it a song */
    tree_sound(path, 1.5, 70, RATE, 1);
    snprintf(path, sizeof path, "set/%.100s/piano.mid", name);
    assert_int_equal(music_midi_write(tree_path(path), &score, &err), BL_OK);
    music_score_free(&score);
    audio_clip_free(&clip);
}

static void stems_are_played_again_with_tones_of_other_recordings(void **state)
{
    bl_error err = { 0 };
    const char *names[8];
    blocks_phrases phrases;
    bl_config *config = bl_config_parse(tiny, "tiny.ini", &err);
    (void)state;
    assert_int_equal(bl_config_set(config, "temporal.sample_rate=16000", &err), BL_OK);
    write_song("a", 10, 0);
    write_song("b", 10, 1);
    write_song("c", 10, 2);
    data_dataset *d = data_dataset_open(tree_path("set"), &(data_dataset_options){ .validation = 0.3 }, &err);
    assert_string_equal(err.msg, "");
    assert_int_equal(blocks_temporal_list_instruments(d, names, 8), 2);
    assert_string_equal(names[0], "piano");
    blocks_temporal *t = blocks_temporal_new(config, names, 2, 1, &err);
    blocks_phrases_collect(t, d, NULL, 1, 1, &phrases, &err);
    assert_string_equal(err.msg, "");
    assert_int_equal(phrases.n, 3);
    assert_int_equal(phrases.n_notes, 30);
    assert_int_equal(phrases.n_missing, 0);
    for (int i = 0; i < phrases.n; i++) {
        const blocks_phrase *q = &phrases.phrases[i];
        double off = 0, n = 0, flat = 0;
        assert_int_equal(q->instrument, 0);
        for (int64_t k = 0; k < 12 * q->n_frames; k++) { /* the same notes: nearer than silence is */
            off += fabs((double)q->degraded[k] - (double)q->target[k]);
            flat += fabs(log(BLOCKS_TEMPORAL_FLOOR) - (double)q->target[k]);
            n++;
        }
        assert_true(off < 0.5 * flat);
    }
    blocks_phrases_free(&phrases);
    blocks_temporal_free(t);
    data_dataset_free(d);
    bl_config_free(config);
}

static void mistakes_are_named(void **state)
{
    static const char *const own[] = { "temporal", "bilstm", NULL };
    fixture f;
    bl_error err = { 0 };
    float *m = magnitudes(8, 1);
    (void)state;
    make(&f);
    m[3 * 8 + 2] = NAN;
    assert_int_equal(blocks_temporal_run(f.t, NULL, m, F, 8, RATE, &err), BL_ENAN);
    assert_message(err, "bin 3, frame 2");
    err = (bl_error){ 0 };
    assert_int_equal(blocks_temporal_run(f.t, NULL, m, F, 0, RATE, &err), BL_EARG);
    assert_message(err, "1 frame");
    free(m);
    release(&f);

    err = (bl_error){ 0 };
    bl_config *config = bl_config_parse("[temporal]\nhop_lenght = 3\n", "my.ini", &err);
    blocks_temporal *t = blocks_temporal_new(config, instruments, 2, 1, &err);
    assert_non_null(t);
    assert_int_equal(blocks_temporal_settings_read(t, &err), BL_OK);
    assert_int_equal(blocks_config_check(t->config, own, &err), BL_EARG);
    assert_message(err, "my.ini line 2");
    assert_message(err, "hop_lenght");
    blocks_temporal_free(t);
    bl_config_free(config);

    err = (bl_error){ 0 };
    tree_text("damaged.h5", "this is no checkpoint");
    assert_null(blocks_temporal_load(tree_path("damaged.h5"), &err));
    assert_message(err, "damaged.h5");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_untrained_model_changes_next_to_nothing),
        cmocka_unit_test(it_learns_to_repair_what_always_goes_wrong),
        cmocka_unit_test(gains_stay_within_their_bounds),
        cmocka_unit_test(a_loaded_model_repairs_alike_and_level_does_not_matter),
        cmocka_unit_test(a_resumed_training_equals_an_uninterrupted_one_bit_for_bit),
        cmocka_unit_test(stems_are_played_again_with_tones_of_other_recordings),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, tree_make, tree_remove);
}
