/* The cases: networks from an .ini and the public training calls, as a user has them. peers.py is the same in PyTorch. */
#include "tests/bench/bench.h"

#include "base/config.h"
#include "base/file.h"
#include "nn/gan.h"
#include "nn/models/wavenet.h"
#include "nn/network.h"
#include "nn/optimizer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Everything that any case holds; what it does not need stays NULL. */
typedef struct bench_model {
    bl_config     *config;
    nn_params     *params;
    nn_network    *net, *critic;
    nn_wavenet    *wavenet;
    nn_wavenet_generator *generator;
    nn_optimizer  *optimizer, *critic_optimizer;
    nn_tape       *tape;
    real          *x, *y;       /* data of the step */
    int            batch;
    int64_t        length;
} bench_model;

static void model_free(bench_model *m)
{
    nn_tape_free(m->tape);
    nn_optimizer_free(m->optimizer);
    nn_optimizer_free(m->critic_optimizer);
    nn_wavenet_generator_free(m->generator);
    nn_wavenet_free(m->wavenet);
    nn_network_free(m->net);
    nn_network_free(m->critic);
    nn_params_free(m->params);
    bl_config_free(m->config);
    free(m->x);
    free(m->y);
}

/* n numbers within low..high. */
static real *uniform(int64_t n, double low, double high, bl_error *err)
{
    bl_rng rng;
    real *x = malloc((size_t)n * sizeof *x);
    bl_rng_seed(&rng, 1);
    if (!x)
        bl_fail(err, BL_ENOMEM, "no memory for %lld numbers", (long long)n);
    for (int64_t i = 0; x && i < n; i++)
        x[i] = (real)(low + (high - low) * bl_rng_uniform(&rng));
    return x;
}

static bl_status parse(bench_model *m, const char *text, const bench_case *c, bl_error *err)
{
    m->batch = c->batch;
    m->config = bl_config_parse(text, c->name, err);
    m->params = m->config ? nn_params_new(err) : NULL;
    return m->params ? BL_OK : err->code;
}

/* After the networks: weights and a tape. */
static bl_status finish(bench_model *m, bl_error *err)
{
    if (err->code || nn_params_finish(m->params, err) != BL_OK || !(m->tape = nn_tape_new(err)))
        return err->code;
    nn_params_init(m->params, 1);
    m->tape->training = 1;
    return BL_OK;
}

static nn_optimizer *adam(bench_model *m, const char *prefix, double lr, double beta1, double beta2, bl_error *err)
{
    nn_optimizer_config c = nn_optimizer_defaults(NN_ADAM);
    c.lr = lr;
    c.beta1 = beta1;
    c.beta2 = beta2;
    return nn_optimizer_new(m->params, prefix, &c, err);
}

/* The time since start, NaN after an error on the tape. */
static double seconds_since(const bench_model *m, double start)
{
    return m->tape->err.code ? (double)NAN : bl_seconds() - start;
}

static bl_status end(bench_model *m, bl_error *err)
{
    if (m->tape && m->tape->err.code)
        bl_fail(err, m->tape->err.code, "%s", m->tape->err.msg);
    model_free(m);
    return err->code;
}

/* ---- WaveGAN: Donahue et al. 2019, without batch norm ---- */

enum { WAVE = 16384, LATENT = 100 };

static const char wavegan[] =
    "[generator]\n"
    "input.z = 100\n"
    "dense = linear out_features=%d\n"
    "shape = reshape channels=%d\n"
    "act0 = relu\n"
    "up0 = conv_transpose1d out_channels=%d kernel_size=25 stride=4 padding=11 output_padding=1\n"
    "act1 = relu\n"
    "up1 = conv_transpose1d out_channels=%d kernel_size=25 stride=4 padding=11 output_padding=1\n"
    "act2 = relu\n"
    "up2 = conv_transpose1d out_channels=%d kernel_size=25 stride=4 padding=11 output_padding=1\n"
    "act3 = relu\n"
    "up3 = conv_transpose1d out_channels=%d kernel_size=25 stride=4 padding=11 output_padding=1\n"
    "act4 = relu\n"
    "up4 = conv_transpose1d out_channels=1 kernel_size=25 stride=4 padding=11 output_padding=1\n"
    "wave = tanh\n"
    "[critic]\n"
    "input.wave = 1, 16384\n"
    "down0 = conv1d out_channels=%d kernel_size=25 stride=4 padding=11\n"
    "act0 = leaky_relu negative_slope=0.2\n"
    "shuffle0 = phase_shuffle n=2\n"
    "down1 = conv1d out_channels=%d kernel_size=25 stride=4 padding=11\n"
    "act1 = leaky_relu negative_slope=0.2\n"
    "shuffle1 = phase_shuffle n=2\n"
    "down2 = conv1d out_channels=%d kernel_size=25 stride=4 padding=11\n"
    "act2 = leaky_relu negative_slope=0.2\n"
    "shuffle2 = phase_shuffle n=2\n"
    "down3 = conv1d out_channels=%d kernel_size=25 stride=4 padding=11\n"
    "act3 = leaky_relu negative_slope=0.2\n"
    "shuffle3 = phase_shuffle n=2\n"
    "down4 = conv1d out_channels=%d kernel_size=25 stride=4 padding=11\n"
    "act4 = leaky_relu negative_slope=0.2\n"
    "flat = flatten\n"
    "score = linear out_features=1\n";

static bl_status gan_new(bench_model *m, const bench_case *c, bl_error *err)
{
    char text[4096];
    const int d = c->size;
    snprintf(text, sizeof text, wavegan, 256 * d, 16 * d, 8 * d, 4 * d, 2 * d, d, d, 2 * d, 4 * d, 8 * d, 16 * d);
    if (parse(m, text, c, err) != BL_OK || !(m->net = nn_network_build(m->config, "generator", m->params, err)) ||
        !(m->critic = nn_network_build(m->config, "critic", m->params, err)) || finish(m, err) != BL_OK)
        return err->code;
    m->optimizer = adam(m, "generator/", 1e-4, 0.5, 0.9, err);
    m->critic_optimizer = adam(m, "critic/", 1e-4, 0.5, 0.9, err);
    m->x = uniform((int64_t)c->batch * WAVE, -1, 1, err);
    return err->code;
}

static nn_node *generate(bench_model *m)
{
    nn_node *z = nn_randn(m->tape, nn_shape_of(2, m->batch, LATENT));
    return nn_network_run(m->net, m->tape, &z, NULL);
}

static nn_node *score_of(bench_model *m, nn_node *wave)
{
    return nn_network_run(m->critic, m->tape, &wave, NULL);
}

static void critic_step(bench_model *m)
{
    nn_tape *t = m->tape;
    nn_tape_reset(t);
    nn_tape_record(t, 0);
    nn_node *fake = generate(m);
    nn_tape_record(t, 1);
    nn_node *truth = nn_borrow(t, nn_shape_of(3, m->batch, 1, WAVE), m->x);
    nn_node *loss = nn_gan_critic_loss(t, NN_GAN_WGAN_GP, score_of(m, truth), score_of(m, fake));
    nn_node *between = nn_gan_between(t, truth, fake, &t->rng);
    nn_node *penalty = nn_gradient_penalty(t, score_of(m, between), between);
    nn_backward(t, nn_add(t, loss, nn_affine(t, penalty, 10, 0)));
    if (!t->err.code)
        nn_optimizer_step(m->critic_optimizer);
}

static void generator_step(bench_model *m)
{
    nn_tape *t = m->tape;
    nn_tape_reset(t);
    nn_params_freeze(m->params, "critic/", 1);
    nn_backward(t, nn_gan_generator_loss(t, NN_GAN_WGAN_GP, score_of(m, generate(m))));
    nn_params_freeze(m->params, "critic/", 0);
    if (!t->err.code)
        nn_optimizer_step(m->optimizer);
}

/* One step of the generator and five of the critic, of which one is measured. */
static double gan_iteration(void *state)
{
    bench_model *m = state;
    double start = bl_seconds();
    critic_step(m);
    const double critic = seconds_since(m, start);
    start = bl_seconds();
    generator_step(m);
    return seconds_since(m, start) + 5 * critic;
}

static bl_status run_gan(const bench_case *c, bl_error *err)
{
    bench_model m = { 0 };
    if (gan_new(&m, c, err) == BL_OK)
        bench_measure(m.tape, gan_iteration, &m);
    return end(&m, err);
}

static double gan_generate(void *state)
{
    bench_model *m = state;
    const double start = bl_seconds();
    nn_tape_reset(m->tape);
    generate(m);
    return m->batch * WAVE / 16000.0 / seconds_since(m, start);
}

static bl_status run_generator(const bench_case *c, bl_error *err)
{
    bench_model m = { 0 };
    if (gan_new(&m, c, err) == BL_OK) {
        nn_tape_record(m.tape, 0);
        m.tape->training = 0;
        bench_measure(m.tape, gan_generate, &m);
    }
    return end(&m, err);
}

/* ---- WaveNet: van den Oord et al. 2016, 30 layers ---- */

static const char wavenet[] =
    "[wavenet]\n"
    "input.audio = 1, T\n"
    "embed = embedding num_embeddings=256 embedding_dim=64\n"
    "body = wavenet_block channels=64 skip_channels=64 kernel_size=2 stacks=3 layers=10 causal=1 from=embed\n"
    "body_a = relu\n"
    "post = conv1d out_channels=256 kernel_size=1\n"
    "post_a = relu\n"
    "logits = conv1d out_channels=256 kernel_size=1\n";

static bl_status wavenet_new(bench_model *m, const bench_case *c, bl_error *err)
{
    if (parse(m, wavenet, c, err) == BL_OK && (m->wavenet = nn_wavenet_build(m->config, "wavenet", m->params, err)))
        finish(m, err);
    return err->code;
}

static double wavenet_step(void *state)
{
    bench_model *m = state;
    const double start = bl_seconds();
    nn_tape_reset(m->tape);
    nn_node *classes = nn_borrow(m->tape, nn_shape_of(2, m->batch, 16000), m->x);
    nn_backward(m->tape, nn_wavenet_loss(m->wavenet, m->tape, classes, NULL, NULL));
    if (!m->tape->err.code)
        nn_optimizer_step(m->optimizer);
    return seconds_since(m, start);
}

static bl_status run_wavenet(const bench_case *c, bl_error *err)
{
    bench_model m = { 0 };
    if (wavenet_new(&m, c, err) == BL_OK && (m.optimizer = adam(&m, "", 1e-3, 0.9, 0.999, err)) &&
        (m.x = uniform(16000 * m.batch, 0, 255, err))) {
        for (int64_t i = 0; i < 16000 * m.batch; i++)
            m.x[i] = (real)(int)m.x[i];
        bench_measure(m.tape, wavenet_step, &m);
    }
    return end(&m, err);
}

static double wavenet_samples(void *state)
{
    enum { N = 1000 };
    bench_model *m = state;
    float out[N];
    const double start = bl_seconds();
    nn_wavenet_generator_run(m->generator, NULL, N, 1, &m->tape->rng, out);
    return N / (bl_seconds() - start);
}

static bl_status run_wavenet_generator(const bench_case *c, bl_error *err)
{
    bench_model m = { 0 };
    if (wavenet_new(&m, c, err) == BL_OK && (m.generator = nn_wavenet_generator_new(m.wavenet, NULL, err)))
        bench_measure(m.tape, wavenet_samples, &m);
    return end(&m, err);
}

/* ---- a small MLP: what a step costs beside arithmetic ---- */

static const char mlp[] = "[mlp]\n"
                          "input.x = 64\n"
                          "l0 = linear out_features=64\n"
                          "a0 = tanh\n"
                          "l1 = linear out_features=64\n"
                          "a1 = tanh\n"
                          "l2 = linear out_features=1\n";

static double mlp_steps(void *state)
{
    enum { N = 500 };
    bench_model *m = state;
    nn_tape *t = m->tape;
    const double start = bl_seconds();
    for (int i = 0; i < N; i++) {
        nn_tape_reset(t);
        nn_node *x = nn_borrow(t, nn_shape_of(2, m->batch, 64), m->x);
        nn_node *y = nn_borrow(t, nn_shape_of(2, m->batch, 1), m->y);
        nn_backward(t, nn_mse_loss(t, nn_network_run(m->net, t, &x, NULL), y));
        if (t->err.code)
            break;
        nn_optimizer_step(m->optimizer);
    }
    return N / seconds_since(m, start);
}

static bl_status run_mlp(const bench_case *c, bl_error *err)
{
    bench_model m = { 0 };
    nn_optimizer_config o = nn_optimizer_defaults(c->size ? NN_ADAM : NN_SGD);
    o.lr = c->size ? 1e-3 : 1e-2;
    if (parse(&m, mlp, c, err) == BL_OK && (m.net = nn_network_build(m.config, "mlp", m.params, err)) &&
        finish(&m, err) == BL_OK && (m.optimizer = nn_optimizer_new(m.params, "", &o, err)) &&
        (m.x = uniform(64 * m.batch, -1, 1, err)) && (m.y = uniform(m.batch, -1, 1, err)))
        bench_measure(m.tape, mlp_steps, &m);
    return end(&m, err);
}

/* ---- the table ----
 *
 * FLOPs are two a multiply-add, backward twice forward, and only what is needed: a step of the critic with its penalty is
 * the generator and ten times the critic forward (two scores, their gradients four, the penalty's score, its gradient and
 * that one's gradient four), a step of the generator three generators and two critics (no gradient of its weights). */

#define GENERATOR(d) (25600.0 * (d) + 25 * 16.0 * ((d) * (d) * (128.0 + 4 * 32 + 16 * 8 + 64 * 2) + 256.0 * (d)))
#define CRITIC(d) (256.0 * (d) + 25 * (4096.0 * (d) + (d) * (d) * (1024 * 2.0 + 256 * 8 + 64 * 32 + 16 * 128)))
#define GAN_ITERATION(d, b) (2.0 * (b) * (3 * GENERATOR(d) + 2 * CRITIC(d) + 5 * (GENERATOR(d) + 10 * CRITIC(d))))
#define WAVENET (30.0 * (2 * 64 * 128 + 64 * (64 + 64)) + 64 * 256 + 256 * 256)
#define MLP (3 * 2.0 * 32 * (64 * 64 * 2 + 64))

const bench_case bench_cases[] = {
    { "wavegan.train.d16.b16", "s/iteration", 0, 0, 1.95, GAN_ITERATION(16, 16), 0, run_gan, 16, 16 },
    { "wavegan.train.d64.b16", "s/iteration", 0, 0, 1.22, GAN_ITERATION(64, 16), 0, run_gan, 64, 16 },
    { "wavegan.infer.d16.b64", "s/s at 16 kHz", 1, 0, 2.12, 2 * GENERATOR(16) / 1.024, 0, run_generator, 16, 64 },
    { "wavegan.infer.d64.b64", "s/s at 16 kHz", 1, 0, 2.82, 2 * GENERATOR(64) / 1.024, 0, run_generator, 64, 64 },
    { "wavenet.train.b1x16000", "s/step", 0, 0, 1.78, 3 * 2 * 16000 * WAVENET, 0, run_wavenet, 0, 1 },
    { "wavenet.generate", "samples/s", 1, 1, 9.4, 2 * WAVENET, 4 * WAVENET, run_wavenet_generator, 0, 1 },
    { "mlp.sgd.b32", "steps/s", 1, 0, 10, MLP, 0, run_mlp, 0, 32 },
    { "mlp.adam.b32", "steps/s", 1, 0, 10, MLP, 0, run_mlp, 1, 32 },
    { .name = NULL },
};
