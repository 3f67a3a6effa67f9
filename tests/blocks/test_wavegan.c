/* The published WaveGAN and its training, on a network a few thousand times smaller. */
#include "tests/temporary.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "blocks/config_defaults.h"
#include "blocks/wavegan.h"
#include "tests/message.h"
#include "tests/plan_before.h"

#include <math.h>
#include <omp.h>

enum { LENGTH = 1024, N_SLICES = 48 };

static const char tiny[] =
    "[synthesizer]\nkind = wavegan\nsample_rate = 8000\n"
    "[generator]\ninput.z = 8\n"
    "dense = linear out_features=256\nshape = reshape channels=16\na0 = relu\n"
    "up0 = conv_transpose1d out_channels=8 kernel_size=25 stride=4 padding=same\na1 = relu\n"
    "up1 = conv_transpose1d out_channels=4 kernel_size=25 stride=4 padding=same\na2 = relu\n"
    "up2 = conv_transpose1d out_channels=1 kernel_size=25 stride=4 padding=same\nwave = tanh\n"
    "[discriminator]\ninput.wave = 1, 1024\n"
    "d0 = conv1d out_channels=4 kernel_size=25 stride=4 padding=same\na0 = leaky_relu negative_slope=0.2\ns0 = phase_shuffle n=2\n"
    "d1 = conv1d out_channels=8 kernel_size=25 stride=4 padding=same\na1 = leaky_relu negative_slope=0.2\ns1 = phase_shuffle n=2\n"
    "d2 = conv1d out_channels=16 kernel_size=25 stride=4 padding=same\na2 = leaky_relu negative_slope=0.2\n"
    "flat = flatten\nscore = linear out_features=1\n"
    "[train]\nbatch_size = 16\nlr = 0.001\nbeta1 = 0.5\nbeta2 = 0.9\npreview = 3\n"
    "[gan]\nkind = wgan_gp\nlr = 0.001\nbeta1 = 0.5\nbeta2 = 0.9\n";

static bl_config *tiny_config(const char *const *changes)
{
    bl_error err = { 0 };
    bl_config *c = bl_config_parse(tiny, "tiny.ini", &err);
    assert_non_null(c);
    for (; changes && *changes; changes++)
        assert_int_equal(bl_config_set(c, *changes, &err), BL_OK);
    return c;
}

/* Two families of decaying tones: something with a shape that a network can learn. */
static blocks_slices sounds(void)
{
    blocks_slices s = { .length = LENGTH };
    float x[LENGTH];
    bl_rng rng;
    bl_rng_seed(&rng, 5);
    for (int i = 0; i < N_SLICES; i++) {
        const double w = (i % 2 ? 0.09 : 0.05) * (1 + 0.02 * bl_rng_uniform(&rng)), phase = 6.28 * bl_rng_uniform(&rng);
        for (int k = 0; k < LENGTH; k++)
            x[k] = (float)(0.8 * exp(-k / 300.0) * sin(w * k + phase));
        assert_int_equal(blocks_slices_add(&s, x, LENGTH, &(blocks_slice_options){ .pad_end = 1 }, NULL), BL_OK);
    }
    return s;
}

typedef struct setup {
    bl_config              *config;
    blocks_wavegan         *w;
    blocks_slices           training;
    blocks_wavegan_trainer *t;
} setup;

static setup make(const char *const *changes, uint64_t seed)
{
    bl_error err = { 0 };
    setup s = { .config = tiny_config(changes), .training = sounds() };
    s.w = blocks_wavegan_new(s.config, 1, seed, &err);
    if (!s.w)
        fail_msg("%s", err.msg);
    return s;
}

/* The trainer borrows the slices, so it is made where they stay. */
static void start(setup *s, uint64_t seed)
{
    bl_error err = { 0 };
    s->t = blocks_wavegan_trainer_new(s->w, &s->training, NULL, seed, &err);
    if (!s->t)
        fail_msg("%s", err.msg);
}

static void end(setup *s)
{
    blocks_wavegan_trainer_free(s->t);
    blocks_wavegan_free(s->w);
    blocks_slices_free(&s->training);
    bl_config_free(s->config);
}

static blocks_wavegan_losses step(setup *s)
{
    bl_error err = { 0 };
    blocks_wavegan_losses l;
    expect_a_plan(blocks_wavegan_trainer_plan, s->t);
    if (blocks_wavegan_trainer_step(s->t, &l, &err) != BL_OK)
        fail_msg("%s", err.msg);
    return l;
}

static void save(setup *s, const char *name)
{
    bl_error err = { 0 };
    nn_checkpoint *c = nn_checkpoint_create(temporary_path(name), "wavegan_unconditional", &err);
    blocks_wavegan_trainer_put(s->t, c, &err);
    assert_int_equal(nn_checkpoint_commit(c, &err), BL_OK);
}

static void assert_same_files(const char *a, const char *b)
{
    char *x, *y;
    size_t n, m;
    assert_int_equal(bl_read_file(temporary_path(a), 1 << 26, &x, &n, NULL), BL_OK);
    assert_int_equal(bl_read_file(temporary_path(b), 1 << 26, &y, &m, NULL), BL_OK);
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    free(x);
    free(y);
}

/* ---- the paper ---- */

static void the_paper_has_its_parameter_counts_and_settings(void **state)
{
    static const char *const own[] = { "synthesizer", "generator", "discriminator", "train", "gan", NULL };
    bl_error err = { 0 };
    (void)state;
    bl_config *c = bl_config_load("configs/wavegan_paper.ini", &err);
    assert_non_null(c);
    assert_int_equal(blocks_synthesizer_kind_of(c, &err), BLOCKS_WAVEGAN);
    blocks_wavegan *w = blocks_wavegan_new(c, 1, 1, &err);
    if (!w)
        fail_msg("%s", err.msg);
    assert_int_equal(nn_params_count(w->params, "generator/"), 19065345);
    assert_int_equal(nn_params_count(w->params, "discriminator/"), 17427969);
    assert_int_equal(w->n_samples, 16384);
    assert_int_equal(w->n_latent, 100);
    assert_int_equal(w->sample_rate, 16000);
    /* weights of tf.layers: uniform within sqrt(6 / (25 64 + 25)), biases zero */
    const nn_param *weight = &w->params->param[nn_params_find(w->params, "discriminator/down0/weight")];
    double largest = 0;
    for (int64_t i = 0; i < nn_count(&weight->shape); i++)
        largest = fmax(largest, fabs((double)w->params->value[weight->offset + i]));
    assert_true(largest < sqrt(6.0 / (25 * 65)) && largest > 0.98 * sqrt(6.0 / (25 * 65)));
    assert_true(w->params->value[w->params->param[nn_params_find(w->params, "generator/up4/bias")].offset] == 0);
    assert_int_equal(blocks_wavegan_trainer_settings(w, &err), BL_OK);
    bl_config_merge_used(c, w->config);
    assert_string_equal(bl_config_str(c, "gan", "kind", ""), "wgan_gp");
    assert_int_equal(bl_config_int(c, "gan", "critic_steps", 0, 0, 100, &err), 5);
    assert_true(bl_config_real(c, "gan", "penalty_weight", 0, 0, 100, &err) == 10);
    assert_int_equal(bl_config_int(c, "train", "batch_size", 0, 0, 100, &err), 64);
    for (int i = 0; i < 2; i++) {
        const char *section = i ? "gan" : "train";
        assert_true(bl_config_real(c, section, "lr", 0, 0, 1, &err) == 1e-4);
        assert_true(bl_config_real(c, section, "beta1", 0, 0, 1, &err) == 0.5);
        assert_true(bl_config_real(c, section, "beta2", 0, 0, 1, &err) == 0.9);
    }
    /* what the program itself reads */
    bl_config_str(c, "train", "steps", "");
    bl_config_str(c, "train", "seed", "");
    bl_config_str(c, "train", "checkpoint_every", "");
    bl_config_str(c, "train", "preview_every", "");
    assert_int_equal(blocks_config_check(c, own, &err), BL_OK);
    blocks_wavegan_free(w);
    bl_config_free(c);
}

/* A section as "key=value" lines. */
static int same_section(const bl_config *a, const bl_config *b, const char *section)
{
    int n = 0;
    for (int i = 0; i < bl_config_count(a); i++) {
        const bl_config_entry *e = bl_config_at(a, i);
        if (strcmp(e->section, section) != 0)
            continue;
        n++;
        if (strcmp(bl_config_str(b, section, e->key, ""), e->value) != 0)
            return 0;
    }
    for (int i = 0; i < bl_config_count(b); i++)
        n -= !strcmp(bl_config_at(b, i)->section, section);
    return n == 0;
}

static void both_files_describe_the_same_networks(void **state)
{
    bl_error err = { 0 };
    (void)state;
    bl_config *a = bl_config_load("configs/wavegan_paper.ini", &err), *b = bl_config_load("configs/networks/wavegan.ini", &err);
    assert_true(a && b);
    assert_true(same_section(a, b, "generator"));
    assert_true(same_section(a, b, "discriminator"));
    bl_config_free(a);
    bl_config_free(b);
}

/* ---- learning ---- */

static void the_critic_learns_and_the_generator_follows(void **state)
{
    enum { STEPS = 120, LAST = 20 };
    double highest = 0, first = 0, last = 0, slope = 0;
    int negative = 0, at = 0;
    (void)state;
    setup s = make(NULL, 1);
    start(&s, 1);
    for (int i = 0; i < STEPS; i++) {
        const blocks_wavegan_losses l = step(&s);
        assert_true(isfinite(l.critic) && isfinite(l.generator) && isfinite(l.margin));
        negative += l.critic < 0;
        first = i == 0 ? l.margin : first;
        if (l.margin > highest) {
            highest = l.margin;
            at = i;
        }
        if (i >= STEPS - LAST) {
            last += l.margin / LAST;
            slope += l.slope / LAST;
        }
    }
    /* the Wasserstein estimate grows while the critic learns, then falls while the generator does */
    assert_true(negative > STEPS / 2);
    assert_true(highest > 3 * fabs(first) && at < STEPS / 2);
    assert_true(last < 0.6 * highest);
    /* the penalty holds the slope of the critic at one */
    if (!(fabs(slope - 1) < 0.15))
        fail_msg("slope %g", slope);
    assert_int_equal(s.w->step, STEPS);
    end(&s);
}

static void every_loss_makes_finite_steps_and_moves(void **state)
{
    static const char *const kinds[] = { "gan.kind=hinge", "gan.kind=least_squares", "gan.kind=dcgan", "gan.kind=wgan_gp" };
    (void)state;
    for (int k = 0; k < 4; k++) {
        const char *const changes[] = { kinds[k], "gan.critic_steps=2", NULL };
        setup s = make(changes, 2);
        start(&s, 2);
        const blocks_wavegan_losses first = step(&s);
        blocks_wavegan_losses l = first;
        for (int i = 0; i < 15; i++)
            l = step(&s);
        assert_true(isfinite(l.critic) && isfinite(l.generator) && isfinite(l.generator_norm) && isfinite(l.critic_norm));
        /* the critic has learned to tell them apart */
        assert_true(l.critic < first.critic && l.margin > first.margin);
        assert_true(k == 3 ? l.slope > 0 && l.penalty > 0 : l.slope == 0 && l.penalty == 0);
        end(&s);
    }
}

static void a_batch_in_parts_weighs_as_the_whole(void **state)
{
    static const char *const whole[] = { "gan.kind=hinge", NULL }, *const parts[] = { "gan.kind=hinge", "train.at_once=5", NULL };
    (void)state;
    setup a = make(whole, 3), b = make(parts, 3);
    start(&a, 3);
    start(&b, 3);
    const blocks_wavegan_losses x = step(&a), y = step(&b);
    /* other draws, so only nearly the same; a forgotten share would show as a factor of three or more */
    assert_true(fabs(x.critic - y.critic) < 0.1 * fabs(x.critic));
    assert_true(y.critic_norm < 1.6 * x.critic_norm && x.critic_norm < 1.6 * y.critic_norm);
    end(&a);
    end(&b);
}

static void the_same_seed_gives_the_same_bits_at_any_thread_count(void **state)
{
    const int threads = omp_get_max_threads();
    (void)state;
    for (int i = 0; i < 2; i++) {
        omp_set_num_threads(i ? 2 : 1);
        setup s = make(NULL, 4);
        start(&s, 4);
        for (int k = 0; k < 3; k++)
            step(&s);
        save(&s, i ? "b.h5" : "a.h5");
        end(&s);
    }
    omp_set_num_threads(threads);
    assert_same_files("a.h5", "b.h5");
}

static void a_resumed_run_equals_an_uninterrupted_one(void **state)
{
    static const char *const changes[] = { "train.average=0.9", NULL };
    bl_error err = { 0 };
    (void)state;
    setup s = make(changes, 5);
    start(&s, 5);
    for (int k = 0; k < 3; k++)
        step(&s);
    save(&s, "half.h5");
    for (int k = 0; k < 3; k++)
        step(&s);
    save(&s, "whole.h5");
    end(&s);
    s = make(changes, 99); /* another seed: everything must come from the checkpoint */
    start(&s, 99);
    nn_checkpoint *c = nn_checkpoint_open(temporary_path("half.h5"), "wavegan_unconditional", &err);
    assert_int_equal(blocks_wavegan_trainer_get(s.t, c, &err), BL_OK);
    nn_checkpoint_free(c);
    assert_int_equal(s.w->step, 3);
    double a, b;
    float *waves;
    int n;
    assert_int_equal(blocks_wavegan_trainer_validate(s.t, &a, &b, &err), BL_OK); /* must not disturb */
    assert_int_equal(blocks_wavegan_trainer_preview(s.t, &waves, &n, &err), BL_OK);
    free(waves);
    for (int k = 0; k < 3; k++)
        step(&s);
    save(&s, "resumed.h5");
    end(&s);
    assert_same_files("whole.h5", "resumed.h5");
}

static void the_export_makes_the_waves_of_the_preview(void **state)
{
    bl_error err = { 0 };
    float *waves = NULL, *again = malloc(3 * LENGTH * sizeof *again);
    int n = 0;
    (void)state;
    setup s = make(NULL, 6);
    start(&s, 6);
    step(&s);
    assert_int_equal(blocks_wavegan_trainer_preview(s.t, &waves, &n, &err), BL_OK);
    assert_int_equal(n, 3);
    assert_int_equal(blocks_wavegan_trainer_export(s.t, temporary_path("export.h5"), 6, &err), BL_OK);
    blocks_wavegan *w = blocks_wavegan_load(temporary_path("export.h5"), &err);
    if (!w)
        fail_msg("%s", err.msg);
    assert_null(w->discriminator);
    assert_int_equal(w->step, 1);
    assert_int_equal(blocks_wavegan_run(w, 0x70726576u, 3, again, &err), BL_OK);
    assert_memory_equal(waves, again, 3 * LENGTH * sizeof *again);
    assert_int_equal(blocks_wavegan_run(w, 7, 3, again, &err), BL_OK);
    assert_memory_not_equal(waves, again, 3 * LENGTH * sizeof *again);
    blocks_wavegan_free(w);
    free(waves);
    free(again);
    end(&s);
}

/* ---- slices ---- */

static int64_t slices_of(int64_t n_samples, blocks_slice_options o, double *peak)
{
    blocks_slices s = { .length = 100 };
    float *x = malloc((size_t)n_samples * sizeof *x);
    for (int64_t i = 0; i < n_samples; i++)
        x[i] = 0.25f;
    assert_int_equal(blocks_slices_add(&s, x, n_samples, &o, NULL), BL_OK);
    *peak = s.n ? (double)s.samples[0] : 0;
    const int64_t n = s.n;
    if (n && o.pad_end && n_samples % 100)
        assert_true(s.samples[n * 100 - 1] == 0);
    free(x);
    blocks_slices_free(&s);
    return n;
}

static void recordings_are_cut_as_asked(void **state)
{
    double peak;
    (void)state;
    assert_int_equal(slices_of(250, (blocks_slice_options){ .pad_end = 1 }, &peak), 3);
    assert_int_equal(slices_of(250, (blocks_slice_options){ .pad_end = 0 }, &peak), 2);
    assert_int_equal(slices_of(300, (blocks_slice_options){ .pad_end = 1 }, &peak), 3);
    assert_int_equal(slices_of(300, (blocks_slice_options){ .overlap = 0.5 }, &peak), 5);
    assert_int_equal(slices_of(300, (blocks_slice_options){ .first_only = 1 }, &peak), 1);
    assert_int_equal(slices_of(50, (blocks_slice_options){ .pad_end = 0 }, &peak), 0);
    assert_int_equal(slices_of(50, (blocks_slice_options){ .pad_end = 1, .normalize = 1 }, &peak), 1);
    assert_true(peak == 1);
}

/* ---- mistakes ---- */

static void mistake(const char *change, const char *message)
{
    const char *const changes[] = { change, NULL };
    bl_error err = { 0 };
    bl_config *c = tiny_config(changes);
    blocks_wavegan *w = blocks_wavegan_new(c, 1, 1, &err);
    if (w)
        blocks_wavegan_trainer_settings(w, &err);
    assert_true(err.code != BL_OK);
    assert_message(err, message);
    blocks_wavegan_free(w);
    bl_config_free(c);
}

static void mistakes_are_named(void **state)
{
    bl_error err = { 0 };
    (void)state;
    mistake("generator.up2=conv_transpose1d out_channels=2 kernel_size=25 stride=4 padding=same", "[generator] must be one channel");
    mistake("discriminator.input.wave=1, 4096", "input.wave = 1, 1024");
    mistake("discriminator.score=linear out_features=2", "a single score");
    mistake("gan.kind=wgan", "gan.kind: expected one of hinge");
    mistake("gan.critic_steps=0", "gan.critic_steps");
    mistake("synthesizer.kind=wavgan", "synthesizer.kind: expected one of wavenet_gan, wavegan");
    /* a checkpoint of something else */
    nn_checkpoint *c = nn_checkpoint_create(temporary_path("other.h5"), "bilstm", &err);
    assert_int_equal(nn_checkpoint_commit(c, &err), BL_OK);
    assert_null(blocks_wavegan_load(temporary_path("other.h5"), &err));
    assert_message(err, "expected a wavegan_unconditional checkpoint");
}

static void unknown_keys_and_sections_name_their_neighbours(void **state)
{
    static const char *const own[] = { "synthesizer", "generator", "discriminator", "train", "gan", NULL };
    static const char *const cases[][2] = {
        { "gan.critic_step=3", "did you mean \"critic_steps\"" },
        { "train.batchsize=3", "did you mean \"batch_size\"" },
        { "synthesizer.sample_rat=3", "did you mean \"sample_rate\"" },
        { "trian.steps=3", "did you mean [train]" },
    };
    (void)state;
    for (int i = 0; i < 4; i++) {
        const char *const changes[] = { cases[i][0], NULL };
        bl_error err = { 0 };
        bl_config *c = tiny_config(changes);
        blocks_wavegan *w = blocks_wavegan_new(c, 1, 1, &err);
        assert_non_null(w);
        assert_int_equal(blocks_wavegan_trainer_settings(w, &err), BL_OK);
        bl_config_merge_used(c, w->config);
        assert_int_equal(blocks_config_check(c, own, &err), BL_EARG);
        assert_message(err, cases[i][1]);
        blocks_wavegan_free(w);
        bl_config_free(c);
    }
    /* sections of other programs are their affair */
    const char *const foreign[] = { "autoencoder.stepz=3", "mix piano.pan=0.5", NULL };
    bl_error err = { 0 };
    bl_config *c = tiny_config(foreign);
    blocks_wavegan *w = blocks_wavegan_new(c, 1, 1, &err);
    assert_int_equal(blocks_wavegan_trainer_settings(w, &err), BL_OK);
    bl_config_merge_used(c, w->config);
    assert_int_equal(blocks_config_check(c, own, &err), BL_OK);
    blocks_wavegan_free(w);
    bl_config_free(c);
}

int main(void)
{
    omp_set_num_threads(1); /* so small that threads would only wait for each other; one test sets its own number */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_paper_has_its_parameter_counts_and_settings),
        cmocka_unit_test(both_files_describe_the_same_networks),
        cmocka_unit_test(the_critic_learns_and_the_generator_follows),
        cmocka_unit_test(every_loss_makes_finite_steps_and_moves),
        cmocka_unit_test(a_batch_in_parts_weighs_as_the_whole),
        cmocka_unit_test(the_same_seed_gives_the_same_bits_at_any_thread_count),
        cmocka_unit_test(a_resumed_run_equals_an_uninterrupted_one),
        cmocka_unit_test(the_export_makes_the_waves_of_the_preview),
        cmocka_unit_test(recordings_are_cut_as_asked),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(unknown_keys_and_sections_name_their_neighbours),
    };
    return cmocka_run_group_tests(tests, temporary_make, temporary_remove);
}
