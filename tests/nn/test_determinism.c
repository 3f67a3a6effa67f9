/* Same seed, same bits: networks trained for a few steps with 1, 2 and 3 threads, and trained in two halves with a checkpoint in
 * between, end in the same bytes: parameters, buffers, averages, moments, random states, the schedule. */
#include "tests/temporary.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/file.h"
#include "nn/gan.h"
#include "nn/network.h"
#include "nn/optimizer.h"
#include "nn/schedule.h"

#include <math.h>
#include <omp.h>
#include <string.h>

enum { STEPS = 4, HALF = 2, MODELS = 6 };

/* Large enough that loops really split. The loss is one of: mean square, classes, spectra, or that of a GAN ([d] is there). */
typedef struct recipe { const char *name, *train, *ini, *loss; int batch, channels, length; } recipe;

static const recipe recipes[MODELS] = {
    { "convolutions", "optimizer=adam lr=0.01 amsgrad=yes clip_norm=1 schedule=plateau patience=0 factor=0.5 threshold=0.5",
      "[n]\ninput.x = 2, T\na = conv1d out_channels=24 kernel_size=9 stride=2 padding=same weight_norm=yes\nan = batch_norm1d\nar = relu\n"
      "ad = dropout p=0.2\ns = phase_shuffle n=2\nb = conv_transpose1d out_channels=8 kernel_size=8 stride=4 padding=same\n"
      "y = snake\n", "mse", 6, 2, 600 },
    { "recurrent", "optimizer=rmsprop lr=0.01 momentum=0.5 centered=yes schedule=cosine warmup_steps=2",
      "[n]\ninput.x = 6, T\na = lstm hidden_size=48 num_layers=2 bidirectional=yes dropout=0.2\nb = gru hidden_size=32\n"
      "c = conv1d out_channels=4 kernel_size=1\n", "mse", 5, 6, 60 },
    { "attention", "optimizer=radam lr=0.01 beta2=0.9 clip_value=0.01",
      "[n]\ninput.x = 24, T\na = transformer_encoder_layer nhead=3 dim_feedforward=64 dropout=0.1 repeat=2\nb = conv1d out_channels=4 kernel_size=1\n",
      "mse", 4, 24, 90 },
    { "wavenet", "optimizer=adamw lr=0.01 schedule=step step_size=2",
      "[n]\ninput.x = 1, T\na = wavenet_block channels=16 skip_channels=16 layers=6\nr = relu\nb = conv1d out_channels=32 kernel_size=1\n",
      "classes", 3, 1, 900 },
    { "oscillators", "optimizer=sgd lr=0.001 momentum=0.9 nesterov=yes schedule=exponential gamma=0.7",
      "[n]\ninput.x = 3, T\nh = conv1d out_channels=16 kernel_size=3 padding=same\nt = tanh\na = conv1d out_channels=20 kernel_size=1 from=t\n"
      "f = conv1d out_channels=1 kernel_size=1 from=t\nfe = exp\nm = conv1d out_channels=33 kernel_size=1 from=t\n"
      "w = harmonic_oscillator sample_rate=60 hop_length=64 from=a,fe\nn = filtered_noise hop_length=64 from=m\ny = add from=w,n\n",
      "spectra", 3, 3, 24 },
    { "gan", "optimizer=adam lr=0.001 beta1=0.5 beta2=0.9",
      "[n]\ninput.x = 8\na = linear out_features=256\nr = reshape channels=16\nu = conv_transpose1d out_channels=8 kernel_size=24 stride=8 padding=same\n"
      "ur = relu\nv = conv_transpose1d out_channels=1 kernel_size=24 stride=8 padding=same\ny = tanh\n"
      "[d]\ninput.x = 1, 1024\na = conv1d out_channels=8 kernel_size=24 stride=4 padding=same\nar = leaky_relu negative_slope=0.2\ns = phase_shuffle n=2\n"
      "b = conv1d out_channels=16 kernel_size=24 stride=4 padding=same\nbr = leaky_relu negative_slope=0.2\nf = flatten\nc = linear out_features=1 bias=no\n",
      "gan", 8, 8, 0 },
};

typedef struct model {
    const recipe *r;
    bl_config    *config;
    nn_params    *params;
    nn_network   *net, *critic;
    nn_optimizer *optimizer, *critic_optimizer;
    nn_ema       *average;
    nn_schedule   schedule;
    nn_tape      *t;
    bl_rng        rng;  /* of the data */
    double        lr;
    int64_t       step;
} model;

static model make(const recipe *r)
{
    char words[300];
    bl_error err = { 0 };
    nn_optimizer_config o;
    model m = { .r = r };
    snprintf(words, sizeof words, "[train]\n%s\n", r->train);
    for (char *p = words; *p; p++)
        *p = (char)(*p == ' ' ? '\n' : *p);
    bl_config *train = bl_config_parse(words, r->name, &err);
    nn_optimizer_read(train, "train", &o, &err);
    nn_schedule_read(train, "train", STEPS, 0, &m.schedule, &err);
    m.lr = o.lr;
    m.config = bl_config_parse(r->ini, r->name, &err);
    m.params = nn_params_new(&err);
    m.net = nn_network_build(m.config, "n", m.params, &err);
    m.critic = bl_config_has_section(m.config, "d") ? nn_network_build(m.config, "d", m.params, &err) : NULL;
    nn_params_finish(m.params, &err);
    nn_params_init(m.params, 4);
    m.optimizer = nn_optimizer_new(m.params, "n/", &o, &err);
    m.critic_optimizer = m.critic ? nn_optimizer_new(m.params, "d/", &o, &err) : NULL;
    m.average = nn_ema_new(m.params, 0.9, &err);
    m.t = nn_tape_new(&err);
    if (err.code)
        fail_msg("%s: %s", r->name, err.msg);
    m.t->training = 1;
    bl_rng_seed(&m.t->rng, 5);
    bl_rng_seed(&m.rng, 6);
    bl_config_free(train);
    return m;
}

static void free_model(model *m)
{
    nn_tape_free(m->t);
    nn_ema_free(m->average);
    nn_optimizer_free(m->optimizer);
    nn_optimizer_free(m->critic_optimizer);
    nn_network_free(m->net);
    nn_network_free(m->critic);
    nn_params_free(m->params);
    bl_config_free(m->config);
}

static nn_node *noise(model *m, nn_shape shape)
{
    nn_node *x = nn_full(m->t, shape, 0);
    for (int64_t i = 0; i < nn_count(&shape); i++)
        x->x[i] = (real)bl_rng_normal(&m->rng);
    return x;
}

static nn_node *run(nn_network *net, nn_tape *t, nn_node *x)
{
    return nn_network_run(net, t, &x, NULL);
}

static nn_node *loss_of(model *m, nn_node *y)
{
    static const nn_stft_opt resolutions[] = { { .n_fft = 256, .hop_length = 64, .win_length = 256 },
                                               { .n_fft = 64, .hop_length = 16, .win_length = 48, .pad = NN_STFT_REFLECT } };
    const int64_t B = y->shape.dim[0], n = y->shape.dim[2];
    if (!strcmp(m->r->loss, "mse"))
        return nn_mse_loss(m->t, y, noise(m, y->shape));
    if (!strcmp(m->r->loss, "spectra"))
        return nn_multi_resolution_stft_loss(m->t, nn_reshape(m->t, y, (nn_shape){ 2, { B, n } }), noise(m, (nn_shape){ 2, { B, n } }), 2, resolutions);
    nn_node *k = nn_full(m->t, (nn_shape){ 2, { B, n } }, 0);
    for (int64_t i = 0; i < B * n; i++)
        k->x[i] = (real)bl_rng_below(&m->rng, y->shape.dim[1]);
    return nn_cross_entropy(m->t, y, k);
}

static void learn(model *m, nn_optimizer *o, nn_node *loss)
{
    nn_backward(m->t, nn_keep(loss));
    if (m->t->err.code)
        fail_msg("%s: %s", m->r->name, m->t->err.msg);
    nn_optimizer_set_lr(o, m->lr * nn_schedule_factor(&m->schedule, m->step));
    nn_optimizer_step(o);
}

static void gan_step(model *m)
{
    const nn_shape z = { 2, { m->r->batch, m->r->channels } };
    nn_tape *t = m->t;
    nn_tape_record(t, 0);
    nn_node *fake = run(m->net, t, noise(m, z));
    nn_tape_record(t, 1);
    nn_node *wave = noise(m, fake->shape), *at = nn_gan_between(t, wave, fake, &m->rng);
    nn_node *penalty = nn_gradient_penalty(t, run(m->critic, t, at), at);
    nn_node *loss = nn_gan_critic_loss(t, NN_GAN_WGAN_GP, run(m->critic, t, wave), run(m->critic, t, fake));
    learn(m, m->critic_optimizer, nn_add(t, loss, nn_affine(t, penalty, 10, 0)));
    nn_tape_reset(t);
    nn_params_freeze(m->params, "d/", 1);
    loss = nn_gan_generator_loss(t, NN_GAN_WGAN_GP, run(m->critic, t, run(m->net, t, noise(m, z))));
    learn(m, m->optimizer, loss);
    nn_params_freeze(m->params, "d/", 0);
}

static void train(model *m, int n_steps)
{
    for (int i = 0; i < n_steps; i++) {
        nn_tape_reset(m->t);
        if (m->critic) {
            gan_step(m);
        } else {
            nn_node *y = run(m->net, m->t, noise(m, (nn_shape){ 3, { m->r->batch, m->r->channels, m->r->length } }));
            if (!y)
                fail_msg("%s: %s", m->r->name, m->t->err.msg);
            learn(m, m->optimizer, loss_of(m, y));
        }
        nn_schedule_watch(&m->schedule, 1); /* never better: plateau goes down */
        nn_ema_update(m->average);
        m->step++;
    }
}

/* Everything that later steps depend on; the same content makes the same bytes. */
static void save(model *m, const char *path)
{
    bl_error err = { 0 };
    int64_t random[8];
    memcpy(random, m->t->rng.s, sizeof m->t->rng.s);
    memcpy(random + 4, m->rng.s, sizeof m->rng.s);
    nn_checkpoint *c = nn_checkpoint_create(path, "test", &err);
    nn_params_save(m->params, c, "", &err);
    nn_ema_save(m->average, c, "average/", &err);
    nn_optimizer_save(m->optimizer, c, &err);
    if (m->critic_optimizer)
        nn_optimizer_save(m->critic_optimizer, c, &err);
    nn_schedule_save(&m->schedule, c, &err);
    nn_checkpoint_put(c, "random", NN_I64, 1, (int64_t[]){ 8 }, random, &err);
    nn_checkpoint_put_int(c, "step", m->step, &err);
    if (nn_checkpoint_commit(c, &err) != BL_OK)
        fail_msg("%s", err.msg);
}

static void load(model *m, const char *path)
{
    bl_error err = { 0 };
    nn_checkpoint *c = nn_checkpoint_open(path, "test", &err);
    nn_params_load(m->params, c, "", &err);
    nn_ema_load(m->average, c, "average/", &err);
    nn_optimizer_load(m->optimizer, c, &err);
    if (m->critic_optimizer)
        nn_optimizer_load(m->critic_optimizer, c, &err);
    nn_schedule_load(&m->schedule, c, &err);
    int64_t *random = nn_checkpoint_get(c, "random", NN_I64, 1, (int64_t[]){ 8 }, NULL, &err);
    m->step = nn_checkpoint_get_int(c, "step", -1, &err);
    if (err.code)
        fail_msg("%s", err.msg);
    memcpy(m->t->rng.s, random, sizeof m->t->rng.s);
    memcpy(m->rng.s, random + 4, sizeof m->rng.s);
    free(random);
    nn_checkpoint_free(c);
}

static int same_files(const char *name)
{
    char *text[2];
    size_t size[2];
    bl_error err = { 0 };
    for (int i = 0; i < 2; i++)
        if (bl_read_file(temporary_path(i ? name : "reference.h5"), 1 << 26, &text[i], &size[i], &err) != BL_OK)
            fail_msg("%s", err.msg);
    const int same = size[0] == size[1] && !memcmp(text[0], text[1], size[0]);
    free(text[0]);
    free(text[1]);
    return same;
}

static void training_gives_the_same_bytes_at_any_thread_count(void **state)
{
    const int n_threads = omp_get_max_threads();
    (void)state;
    for (int i = 0; i < MODELS; i++) {
        for (int threads = 1; threads <= 3; threads++) {
            omp_set_num_threads(threads);
            model m = make(&recipes[i]);
            train(&m, STEPS);
            save(&m, temporary_path(threads == 1 ? "reference.h5" : "other.h5"));
            free_model(&m);
            if (threads > 1 && !same_files("other.h5"))
                fail_msg("%s: other bytes with %d threads", recipes[i].name, threads);
        }
    }
    omp_set_num_threads(n_threads);
}

static void a_resumed_run_is_the_uninterrupted_one(void **state)
{
    (void)state;
    for (int i = 0; i < MODELS; i++) {
        model whole = make(&recipes[i]), first = make(&recipes[i]), second = make(&recipes[i]);
        train(&whole, STEPS);
        save(&whole, temporary_path("reference.h5"));
        train(&first, HALF);
        save(&first, temporary_path("half.h5"));
        train(&second, 1); /* whatever it has seen before is replaced */
        load(&second, temporary_path("half.h5"));
        train(&second, STEPS - HALF);
        save(&second, temporary_path("resumed.h5"));
        if (!same_files("resumed.h5"))
            fail_msg("%s: a resumed run ends elsewhere", recipes[i].name);
        free_model(&whole);
        free_model(&first);
        free_model(&second);
    }
}

/* The tests above would pass if nothing were learned. */
static void training_moves_every_parameter(void **state)
{
    (void)state;
    for (int i = 0; i < MODELS; i++) {
        model m = make(&recipes[i]), before = make(&recipes[i]);
        train(&m, 2);
        for (int k = 0; k < m.params->n; k++) {
            const nn_param *q = &m.params->param[k];
            if (!memcmp(m.params->value + q->offset, before.params->value + q->offset, (size_t)nn_count(&q->shape) * sizeof(real)))
                fail_msg("%s: %s has not moved", recipes[i].name, q->name);
        }
        free_model(&m);
        free_model(&before);
    }
}

/* The gradient of a large batch is the mean of its parts, up to rounding. */
static void accumulated_batches_are_one_large_batch(void **state)
{
    static const char ini[] = "[n]\ninput.x = 2, T\na = conv1d out_channels=8 kernel_size=5 padding=same\nt = tanh\nl = lstm hidden_size=6\n";
    enum { B = 8, PARTS = 4, T = 20 };
    bl_error err = { 0 };
    nn_params *p[2];
    (void)state;
    for (int k = 0; k < 2; k++) {
        const int parts = k ? PARTS : 1, n = B / parts;
        nn_optimizer_config o = nn_optimizer_defaults(NN_SGD);
        bl_rng rng;
        o.lr = 0.5;
        o.momentum = 0.9;
        o.clip_norm = 0.01;
        o.accumulate = parts;
        bl_config *config = bl_config_parse(ini, "test.ini", &err);
        p[k] = nn_params_new(&err);
        nn_network *net = nn_network_build(config, "n", p[k], &err);
        nn_params_finish(p[k], &err);
        nn_params_init(p[k], 3);
        nn_optimizer *optimizer = nn_optimizer_new(p[k], "", &o, &err);
        nn_tape *t = nn_tape_new(&err);
        assert_int_equal(err.code, BL_OK);
        bl_rng_seed(&rng, 9);
        for (int step = 0; step < 5; step++) {
            for (int part = 0; part < parts; part++) {
                nn_tape_reset(t);
                nn_node *x = nn_full(t, (nn_shape){ 3, { n, 2, T } }, 0), *y = nn_full(t, (nn_shape){ 3, { n, 6, T } }, 0);
                for (int b = 0; b < n; b++) {
                    for (int i = 0; i < 2 * T; i++)
                        x->x[b * 2 * T + i] = (real)bl_rng_normal(&rng);
                    for (int i = 0; i < 6 * T; i++)
                        y->x[b * 6 * T + i] = (real)bl_rng_normal(&rng);
                }
                nn_backward(t, nn_mse_loss(t, run(net, t, x), y));
                assert_int_equal(t->err.code, BL_OK);
            }
            nn_optimizer_step(optimizer);
        }
        nn_tape_free(t);
        nn_optimizer_free(optimizer);
        nn_network_free(net);
        bl_config_free(config);
    }
    for (int64_t i = 0; i < p[0]->n_elements; i++)
        if (!(fabs((double)p[0]->value[i] - (double)p[1]->value[i]) < (sizeof(real) == 8 ? 1e-14 : 1e-6)))
            fail_msg("%.9g in one batch, %.9g in four parts", (double)p[0]->value[i], (double)p[1]->value[i]);
    nn_params_free(p[0]);
    nn_params_free(p[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(training_gives_the_same_bytes_at_any_thread_count),
        cmocka_unit_test(a_resumed_run_is_the_uninterrupted_one),
        cmocka_unit_test(training_moves_every_parameter),
        cmocka_unit_test(accumulated_batches_are_one_large_batch),
    };
    return cmocka_run_group_tests(tests, temporary_make, temporary_remove);
}
