/* The cases: networks from an .ini and the public training calls, as a user has them. peers.py is the same in PyTorch. Over 600
 * lines, because a third of them are networks. */
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
    nn_network    *net, *critic, *decoder;
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
    nn_network_free(m->decoder);
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

/* For generation the generator alone. */
static bl_status gan_new(bench_model *m, const bench_case *c, int with_critic, bl_error *err)
{
    char text[4096];
    const int d = c->size;
    snprintf(text, sizeof text, wavegan, 256 * d, 16 * d, 8 * d, 4 * d, 2 * d, d, d, 2 * d, 4 * d, 8 * d, 16 * d);
    if (parse(m, text, c, err) != BL_OK || !(m->net = nn_network_build(m->config, "generator", m->params, err)) ||
        (with_critic && !(m->critic = nn_network_build(m->config, "critic", m->params, err))) || finish(m, err) != BL_OK ||
        !with_critic)
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
    nn_backward(t, nn_gan_critic_loss(t, NN_GAN_WGAN_GP, score_of(m, truth), score_of(m, fake)));
    nn_node *between = nn_gan_between(t, truth, fake, &t->rng); /* by itself: one graph at a time in memory */
    nn_node *penalty = nn_gradient_penalty(t, score_of(m, between), between);
    nn_backward(t, nn_affine(t, penalty, 10, 0));
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
    if (gan_new(&m, c, 1, err) == BL_OK)
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
    if (gan_new(&m, c, 0, err) == BL_OK) {
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
    enum { N = 1000, STREAMS = 8 };
    static float out[STREAMS * N];
    bench_model *m = state;
    bl_rng rng[STREAMS];
    for (int i = 0; i < m->batch; i++)
        bl_rng_seed(&rng[i], (uint64_t)i);
    const double start = bl_seconds();
    nn_wavenet_generator_run(m->generator, NULL, N, 1, rng, out);
    return m->batch * N / (bl_seconds() - start);
}

static bl_status run_wavenet_generator(const bench_case *c, bl_error *err)
{
    bench_model m = { 0 };
    if (wavenet_new(&m, c, err) == BL_OK && (m.generator = nn_wavenet_generator_new_batch(m.wavenet, c->batch, NULL, err)))
        bench_measure(m.tape, wavenet_samples, &m);
    return end(&m, err);
}

/* ---- Parallel WaveGAN's generator: Yamamoto et al. 2020, 30 layers, 80 mels at a hop of 256 ---- */

static const char pwg[] =
    "[pwg]\n"
    "input.noise = 1, T\n"
    "input.mel = 80, F\n"
    "context = conv1d out_channels=80 kernel_size=5 bias=no from=mel\n"
    "up0 = upsample scale_factor=4\n"
    "smooth0 = conv1d out_channels=80 groups=80 kernel_size=9 padding=same bias=no\n"
    "up1 = upsample scale_factor=4\n"
    "smooth1 = conv1d out_channels=80 groups=80 kernel_size=9 padding=same bias=no\n"
    "up2 = upsample scale_factor=4\n"
    "smooth2 = conv1d out_channels=80 groups=80 kernel_size=9 padding=same bias=no\n"
    "up3 = upsample scale_factor=4\n"
    "smooth3 = conv1d out_channels=80 groups=80 kernel_size=9 padding=same bias=no\n"
    "body = wavenet_block channels=64 skip_channels=64 kernel_size=3 stacks=3 layers=10 causal=no "
    "residual_scale=0.70710678 from=noise,smooth3\n"
    "body_a = relu\n"
    "post = conv1d out_channels=64 kernel_size=1\n"
    "post_a = relu\n"
    "last = conv1d out_channels=1 kernel_size=1\n";

enum { HOP = 256, MELS = 80, CONTEXT = 4 };

static bl_status pwg_new(bench_model *m, const bench_case *c, bl_error *err)
{
    m->length = (int64_t)c->size * HOP;
    if (parse(m, pwg, c, err) == BL_OK && (m->net = nn_network_build(m->config, "pwg", m->params, err)) &&
        finish(m, err) == BL_OK && (m->x = uniform(m->batch * MELS * (c->size + CONTEXT), -1, 1, err)))
        m->y = uniform(m->batch * m->length, -0.2, 0.2, err);
    return err->code;
}

static nn_node *pwg_wave(bench_model *m)
{
    nn_tape_reset(m->tape);
    nn_node *in[] = { nn_borrow(m->tape, (nn_shape){ 3, { m->batch, 1, m->length } }, m->y),
                      nn_borrow(m->tape, (nn_shape){ 3, { m->batch, MELS, m->length / HOP + CONTEXT } }, m->x) };
    return nn_network_run(m->net, m->tape, in, NULL);
}

static double pwg_step(void *state)
{
    static const nn_stft_opt resolutions[] = {
        { .n_fft = 1024, .hop_length = 120, .win_length = 600 },
        { .n_fft = 2048, .hop_length = 240, .win_length = 1200 },
        { .n_fft = 512, .hop_length = 50, .win_length = 240 },
    };
    bench_model *m = state;
    nn_tape *t = m->tape;
    const nn_shape wave = { 2, { m->batch, m->length } };
    const double start = bl_seconds();
    nn_node *y = nn_reshape(t, pwg_wave(m), wave);
    nn_backward(t, nn_multi_resolution_stft_loss(t, y, nn_borrow(t, wave, m->y), 3, resolutions));
    if (!t->err.code)
        nn_optimizer_step(m->optimizer);
    return seconds_since(m, start);
}

static bl_status run_pwg(const bench_case *c, bl_error *err)
{
    bench_model m = { 0 };
    if (pwg_new(&m, c, err) == BL_OK && (m.optimizer = adam(&m, "", 1e-4, 0.9, 0.999, err)))
        bench_measure(m.tape, pwg_step, &m);
    return end(&m, err);
}

static double pwg_real_time_factor(void *state)
{
    bench_model *m = state;
    const double start = bl_seconds();
    pwg_wave(m);
    return seconds_since(m, start) / ((double)m->length / 22050);
}

static bl_status run_pwg_infer(const bench_case *c, bl_error *err)
{
    bench_model m = { 0 };
    if (pwg_new(&m, c, err) == BL_OK) {
        nn_tape_record(m.tape, 0);
        m.tape->training = 0;
        bench_measure(m.tape, pwg_real_time_factor, &m);
    }
    return end(&m, err);
}

/* ---- Open-Unmix: Stoeter et al. 2019, stereo, 2049 bins of which 1487 are read ---- */

static const char umx[] =
    "[umx]\n"
    "input.mix = 4098, T\n"
    "left = slice start=0 stop=1487 from=mix\n"
    "right = slice start=2049 stop=3536 from=mix\n"
    "crop = concat from=left,right\n"
    "in_scale = conv1d out_channels=2974 groups=2974 kernel_size=1\n"
    "fc1 = conv1d out_channels=512 kernel_size=1 bias=no\n"
    "bn1 = batch_norm1d\n"
    "act1 = tanh\n"
    "lstm = lstm hidden_size=256 num_layers=3 bidirectional=yes dropout=0.4\n"
    "both = concat from=act1,lstm\n"
    "fc2 = conv1d out_channels=512 kernel_size=1 bias=no\n"
    "bn2 = batch_norm1d\n"
    "act2 = relu\n"
    "fc3 = conv1d out_channels=4098 kernel_size=1 bias=no\n"
    "bn3 = batch_norm1d\n"
    "out_scale = conv1d out_channels=4098 groups=4098 kernel_size=1\n"
    "mask = relu\n"
    "voice = mul from=mask,mix\n";

enum { BINS = 2 * 2049 };

static bl_status umx_new(bench_model *m, const bench_case *c, bl_error *err)
{
    m->length = c->size;
    if (parse(m, umx, c, err) == BL_OK && (m->net = nn_network_build(m->config, "umx", m->params, err)) &&
        finish(m, err) == BL_OK && (m->x = uniform(m->batch * BINS * m->length, 0, 1, err)))
        m->y = uniform(m->batch * BINS * m->length, 0, 1, err);
    return err->code;
}

static nn_node *umx_voice(bench_model *m)
{
    nn_tape_reset(m->tape);
    nn_node *x = nn_borrow(m->tape, (nn_shape){ 3, { m->batch, BINS, m->length } }, m->x);
    return nn_network_run(m->net, m->tape, &x, NULL);
}

static double umx_step(void *state)
{
    bench_model *m = state;
    const double start = bl_seconds();
    nn_node *voice = umx_voice(m), *y = nn_borrow(m->tape, (nn_shape){ 3, { m->batch, BINS, m->length } }, m->y);
    nn_backward(m->tape, nn_mse_loss(m->tape, voice, y));
    if (!m->tape->err.code)
        nn_optimizer_step(m->optimizer);
    return seconds_since(m, start);
}

static bl_status run_umx(const bench_case *c, bl_error *err)
{
    bench_model m = { 0 };
    if (umx_new(&m, c, err) == BL_OK && (m.optimizer = adam(&m, "", 1e-3, 0.9, 0.999, err)))
        bench_measure(m.tape, umx_step, &m);
    return end(&m, err);
}

static double umx_real_time_factor(void *state)
{
    bench_model *m = state;
    const double start = bl_seconds();
    umx_voice(m);
    return seconds_since(m, start) / 60;
}

static bl_status run_umx_infer(const bench_case *c, bl_error *err)
{
    bench_model m = { 0 };
    if (umx_new(&m, c, err) == BL_OK) {
        nn_tape_record(m.tape, 0);
        m.tape->training = 0;
        bench_measure(m.tape, umx_real_time_factor, &m);
    }
    return end(&m, err);
}

/* ---- a transformer encoder: 4 layers of 256 channels and 8 heads ---- */

static const char transformer[] =
    "[transformer]\n"
    "input.x = 256, T\n"
    "enc = transformer_encoder_layer nhead=8 dim_feedforward=1024 repeat=4\n";

enum { MODEL = 256 };

static bl_status transformer_new(bench_model *m, const bench_case *c, bl_error *err)
{
    m->length = c->size;
    if (parse(m, transformer, c, err) == BL_OK && (m->net = nn_network_build(m->config, "transformer", m->params, err)) &&
        finish(m, err) == BL_OK && (m->x = uniform(m->batch * MODEL * m->length, -1, 1, err)))
        m->y = uniform(m->batch * MODEL * m->length, -1, 1, err);
    return err->code;
}

static double transformer_step(void *state)
{
    bench_model *m = state;
    const nn_shape shape = { 3, { m->batch, MODEL, m->length } };
    const double start = bl_seconds();
    nn_tape_reset(m->tape);
    nn_node *x = nn_borrow(m->tape, shape, m->x), *y = nn_network_run(m->net, m->tape, &x, NULL);
    if (m->tape->training) {
        nn_backward(m->tape, nn_mse_loss(m->tape, y, nn_borrow(m->tape, shape, m->y)));
        if (!m->tape->err.code)
            nn_optimizer_step(m->optimizer);
    }
    return seconds_since(m, start);
}

static bl_status run_transformer(const bench_case *c, bl_error *err)
{
    bench_model m = { 0 };
    if (transformer_new(&m, c, err) == BL_OK && (m.optimizer = adam(&m, "", 1e-3, 0.9, 0.999, err)))
        bench_measure(m.tape, transformer_step, &m);
    return end(&m, err);
}

static bl_status run_transformer_infer(const bench_case *c, bl_error *err)
{
    bench_model m = { 0 };
    if (transformer_new(&m, c, err) == BL_OK) {
        nn_tape_record(m.tape, 0);
        m.tape->training = 0;
        bench_measure(m.tape, transformer_step, &m);
    }
    return end(&m, err);
}

/* ---- convolutional autoencoder of 128 x 128 log-mel patches ---- */

static const char autoencoder[] =
    "[encoder]\n"
    "input.x = 1, 128, 128\n"
    "conv0 = conv2d out_channels=32 kernel_size=3 stride=2 padding=1\n"
    "norm0 = batch_norm2d\n"
    "act0 = leaky_relu negative_slope=0.2\n"
    "conv1 = conv2d out_channels=64 kernel_size=3 stride=2 padding=1\n"
    "norm1 = batch_norm2d\n"
    "act1 = leaky_relu negative_slope=0.2\n"
    "conv2 = conv2d out_channels=128 kernel_size=3 stride=2 padding=1\n"
    "norm2 = batch_norm2d\n"
    "act2 = leaky_relu negative_slope=0.2\n"
    "conv3 = conv2d out_channels=256 kernel_size=3 stride=2 padding=1\n"
    "norm3 = batch_norm2d\n"
    "act3 = leaky_relu negative_slope=0.2\n"
    "flat = flatten\n"
    "squeeze = linear out_features=64\n"
    "widen = linear out_features=16384\n"
    "[decoder]\n"
    "input.h = 256, 8, 8\n"
    "up0 = conv_transpose2d out_channels=128 kernel_size=4 stride=2 padding=1\n"
    "norm0 = batch_norm2d\n"
    "act0 = relu\n"
    "up1 = conv_transpose2d out_channels=64 kernel_size=4 stride=2 padding=1\n"
    "norm1 = batch_norm2d\n"
    "act1 = relu\n"
    "up2 = conv_transpose2d out_channels=32 kernel_size=4 stride=2 padding=1\n"
    "norm2 = batch_norm2d\n"
    "act2 = relu\n"
    "up3 = conv_transpose2d out_channels=1 kernel_size=4 stride=2 padding=1\n"
    "image = sigmoid\n";

static double autoencoder_step(void *state)
{
    bench_model *m = state;
    nn_tape *t = m->tape;
    const double start = bl_seconds();
    nn_tape_reset(t);
    nn_node *x = nn_borrow(t, nn_shape_of(4, m->batch, 1, 128, 128), m->x);
    nn_node *h = nn_reshape(t, nn_network_run(m->net, t, &x, NULL), nn_shape_of(4, m->batch, 256, 8, 8));
    nn_backward(t, nn_mse_loss(t, nn_network_run(m->decoder, t, &h, NULL), x));
    if (!t->err.code)
        nn_optimizer_step(m->optimizer);
    return seconds_since(m, start);
}

static bl_status run_autoencoder(const bench_case *c, bl_error *err)
{
    bench_model m = { 0 };
    if (parse(&m, autoencoder, c, err) == BL_OK && (m.net = nn_network_build(m.config, "encoder", m.params, err)) &&
        (m.decoder = nn_network_build(m.config, "decoder", m.params, err)) && finish(&m, err) == BL_OK &&
        (m.optimizer = adam(&m, "", 1e-3, 0.9, 0.999, err)) && (m.x = uniform((int64_t)m.batch * 128 * 128, 0, 1, err)))
        bench_measure(m.tape, autoencoder_step, &m);
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
/* In training the condition runs at the full rate as written; generation moves it before the upsampling, which commutes. */
#define PWG_STACK (30.0 * (3 * 64 * 128 + 64 * 128) + 64 * 64 + 128)
#define PWG (PWG_STACK + 30 * 80 * 128 + 80 * 9 * 1.33 + 80 * 80 * 5 / 256.0)
#define PWG_LEAST (PWG_STACK + 30 * 80 * 128 / 256.0 + 30 * 128 * 4)
#define UMX (1487 * 2 * 512.0 + 3 * 2 * 4 * 256 * (512 + 256) + 1024 * 512 + 512 * 4098)
/* Multiply-adds per position among T: projections, scores and sums, the feed-forward net. */
#define TRANSFORMER(T) (4 * (4 * 256.0 * 256 + 2 * 256.0 * (T) + 2 * 256.0 * 1024))
#define AUTOENCODER (9.0 * (4096 * 32 + 1024 * 2048 + 256 * 8192 + 64 * 32768) + \
                     16.0 * (64 * 32768 + 256 * 8192 + 1024 * 2048 + 4096 * 32) + 2 * 64 * 16384)
#define MLP (3 * 2.0 * 32 * (64 * 64 * 2 + 64))

const bench_case bench_cases[] = {
    { "wavegan.train.d16.b16", "s/iteration", 0, 0, 1.95, GAN_ITERATION(16, 16), 0, run_gan, 16, 16 },
    { "wavegan.train.d64.b16", "s/iteration", 0, 0, 1.22, GAN_ITERATION(64, 16), 0, run_gan, 64, 16 },
    { "wavegan.infer.d16.b64", "s/s at 16 kHz", 1, 0, 2.12, 2 * GENERATOR(16) / 1.024, 0, run_generator, 16, 64 },
    { "wavegan.infer.d64.b64", "s/s at 16 kHz", 1, 0, 2.82, 2 * GENERATOR(64) / 1.024, 0, run_generator, 64, 64 },
    { "wavenet.train.b1x16000", "s/step", 0, 0, 1.78, 3 * 2 * 16000 * WAVENET, 0, run_wavenet, 0, 1 },
    { "wavenet.generate", "samples/s", 1, 1, 9.4, 2 * WAVENET, 4 * WAVENET, run_wavenet_generator, 0, 1 },
    { "wavenet.generate.8", "samples/s", 1, 1, 5, 2 * WAVENET, 4 * WAVENET / 8, run_wavenet_generator, 0, 8 },
    { "pwg.train.b2x16384", "s/step", 0, 0, 1.67, 3 * 2 * 2 * 16384 * PWG, 0, run_pwg, 64, 2 },
    { "pwg.infer.2s", "s/s at 22.05 kHz", 0, 0, 1.77, 2 * 22050 * PWG_LEAST, 0, run_pwg_infer, 172, 1 },
    { "umx.train.b16x255", "s/step", 0, 0, 2.28, 3 * 2 * 16 * 255 * UMX, 0, run_umx, 255, 16 },
    { "umx.infer.60s", "s/s", 0, 0, 2.22, 2 * 2583 * UMX / 60, 0, run_umx_infer, 2583, 1 },
    { "transformer.train.b4x512", "s/step", 0, 0, 1.5, 3 * 2 * 4 * 512 * TRANSFORMER(512), 0, run_transformer, 512, 4 },
    { "transformer.infer.2048", "s", 0, 0, 1.5, 2 * 2048 * TRANSFORMER(2048), 0, run_transformer_infer, 2048, 1 },
    { "autoencoder.train.b32", "s/step", 0, 0, 2, 3 * 2 * 32 * AUTOENCODER, 0, run_autoencoder, 0, 32 },
    { "mlp.sgd.b32", "steps/s", 1, 0, 10, MLP, 0, run_mlp, 0, 32 },
    { "mlp.adam.b32", "steps/s", 1, 0, 10, MLP, 0, run_mlp, 1, 32 },
    { .name = NULL },
};
