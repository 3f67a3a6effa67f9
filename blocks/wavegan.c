#include "blocks/wavegan.h"

#include "base/progress.h"
#include "nn/gan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- the networks ---- */

blocks_synthesizer_kind blocks_synthesizer_kind_of(const bl_config *config, bl_error *err)
{
    static const char *const kinds[] = { "wavenet_gan", "wavegan", NULL };
    return (blocks_synthesizer_kind)bl_config_choice(config, "synthesizer", "kind", kinds, BLOCKS_WAVENET_GAN, err);
}

/* [generator] and [discriminator] fit each other. */
static bl_status check(blocks_wavegan *w, bl_error *err)
{
    const char *name = bl_config_name(w->config);
    const nn_shape wave = nn_network_output_shape(w->generator, 0);
    if (nn_network_n_inputs(w->generator) != 1 || nn_network_input_shape(w->generator, 0).rank != 1 ||
        nn_network_n_outputs(w->generator) != 1)
        return bl_fail(err, BL_EARG, "%s: [generator] must have one input that is a vector (input.z = 100) and one output", name);
    if (wave.rank != 2 || wave.dim[0] != 1 || wave.dim[1] < 1)
        return bl_fail(err, BL_ESHAPE, "%s: the output of [generator] must be one channel of a fixed length, it is of rank %d with %lld",
                       name, wave.rank, (long long)wave.dim[0]);
    w->n_latent = nn_network_input_shape(w->generator, 0).dim[0];
    w->n_samples = wave.dim[1];
    if (!w->discriminator)
        return BL_OK;
    const nn_shape in = nn_network_input_shape(w->discriminator, 0), score = nn_network_output_shape(w->discriminator, 0);
    if (nn_network_n_inputs(w->discriminator) != 1 || in.rank != 2 || in.dim[0] != 1 || in.dim[1] != w->n_samples)
        return bl_fail(err, BL_ESHAPE, "%s: [discriminator] must have one input of the generator's shape (input.wave = 1, %lld)", name,
                       (long long)w->n_samples);
    if (nn_network_n_outputs(w->discriminator) != 1 || score.rank != 1 || score.dim[0] != 1)
        return bl_fail(err, BL_ESHAPE, "%s: [discriminator] must have one output, a single score (linear out_features=1)", name);
    return BL_OK;
}

/* Where the published networks begin, those of tf.layers: weights uniform within sqrt(6 / (fan in + fan out)), biases 0. */
static void as_tensorflow(nn_params *p)
{
    for (int i = 0; i < p->n; i++) {
        nn_param *q = &p->param[i];
        const char *slash = strrchr(q->name, '/');
        if (!slash || q->init != NN_INIT_UNIFORM)
            continue;
        if (!strcmp(slash, "/bias"))
            q->init = NN_INIT_ZERO;
        else if (!strcmp(slash, "/weight") && q->shape.rank >= 2)
            q->scale = sqrt(6.0 / (double)((q->shape.dim[0] + q->shape.dim[1]) * (q->shape.rank > 2 ? q->shape.dim[2] : 1)));
    }
}

blocks_wavegan *blocks_wavegan_new(const bl_config *config, int with_discriminator, uint64_t seed, bl_error *err)
{
    static const char *const inits[] = { "glorot", "layers", NULL };
    bl_error local = { 0 };
    blocks_wavegan *w = calloc(1, sizeof *w);
    if (!w || !(w->config = bl_config_copy(config))) {
        bl_fail(&local, BL_ENOMEM, "no memory for the WaveGAN");
        goto fail;
    }
    w->sample_rate = (int)bl_config_int(w->config, "synthesizer", "sample_rate", 16000, 1000, 192000, &local);
    blocks_synthesizer_kind_of(w->config, &local);
    const int begin_glorot = bl_config_choice(w->config, "synthesizer", "init", inits, 0, &local) == 0;
    if (local.code || !(w->params = nn_params_new(&local)) ||
        !(w->generator = nn_network_build(w->config, "generator", w->params, &local)) ||
        (with_discriminator && !(w->discriminator = nn_network_build(w->config, "discriminator", w->params, &local))) ||
        check(w, &local) != BL_OK || nn_params_finish(w->params, &local) != BL_OK)
        goto fail;
    if (begin_glorot)
        as_tensorflow(w->params);
    nn_params_init(w->params, seed);
    return w;
fail:
    bl_fail(err, local.code, "%s", local.msg);
    blocks_wavegan_free(w);
    return NULL;
}

void blocks_wavegan_free(blocks_wavegan *w)
{
    if (!w)
        return;
    nn_network_free(w->generator);
    nn_network_free(w->discriminator);
    nn_params_free(w->params);
    bl_config_free(w->config);
    free(w);
}

static bl_status put(const blocks_wavegan *w, int64_t step, nn_checkpoint *c, bl_error *err)
{
    char *text = bl_config_text(w->config);
    bl_status rc = text ? nn_checkpoint_put_text(c, "config", text, err) : bl_fail(err, BL_ENOMEM, "no memory for the checkpoint");
    if (rc == BL_OK)
        rc = nn_checkpoint_put_int(c, "step", step, err);
    free(text);
    return rc;
}

blocks_wavegan *blocks_wavegan_load(const char *path, bl_error *err)
{
    bl_error local = { 0 };
    blocks_wavegan *w = NULL;
    nn_checkpoint *c = nn_checkpoint_open(path, "wavegan_unconditional", &local);
    char *text = c ? nn_checkpoint_get_text(c, "config", &local) : NULL;
    bl_config *config = text ? bl_config_parse(text, path, &local) : NULL;
    if (config && (w = blocks_wavegan_new(config, 0, 0, &local))) {
        w->step = nn_checkpoint_get_int(c, "step", 0, &local);
        nn_params_load(w->params, c, "", &local);
    }
    if (local.code) {
        bl_fail(err, local.code, "%s", local.msg);
        blocks_wavegan_free(w);
        w = NULL;
    }
    bl_config_free(config);
    free(text);
    nn_checkpoint_free(c);
    return w;
}

/* n vectors of noise. */
static nn_node *latent(const blocks_wavegan *w, nn_tape *tape, bl_rng *rng, int64_t n)
{
    nn_node *z = nn_full(tape, (nn_shape){ 2, { n, w->n_latent } }, 0);
    for (int64_t i = 0; z && i < n * w->n_latent && !tape->dry; i++)
        z->x[i] = (real)(2 * bl_rng_uniform(rng) - 1);
    return z;
}

static nn_node *generate(blocks_wavegan *w, nn_tape *tape, bl_rng *rng, int64_t n)
{
    return nn_network_run(w->generator, tape, (nn_node *const[]){ latent(w, tape, rng, n) }, NULL);
}

/* A few waves at a time, without history: memory does not grow with n. */
static bl_status generate_into(blocks_wavegan *w, nn_tape *tape, bl_rng *rng, int n, float *out, bl_error *err)
{
    enum { AT_ONCE = 8 };
    const int recording = nn_tape_record(tape, 0), training = tape->training;
    bl_status rc = BL_OK;
    tape->training = 0;
    for (int i = 0; i < n && rc == BL_OK; i += AT_ONCE) {
        const int m = n - i < AT_ONCE ? n - i : AT_ONCE;
        nn_tape_reset(tape);
        const nn_node *y = generate(w, tape, rng, m);
        if (!y || tape->err.code) {
            rc = bl_fail(err, tape->err.code, "%s", tape->err.msg);
            break;
        }
        for (int64_t k = 0; k < m * w->n_samples; k++)
            out[i * w->n_samples + k] = (float)y->x[k];
    }
    nn_tape_record(tape, recording);
    tape->training = training;
    return rc;
}

bl_status blocks_wavegan_run(blocks_wavegan *w, uint64_t seed, int n, float *out, bl_error *err)
{
    bl_rng rng;
    nn_tape *tape = nn_tape_new(err);
    if (!tape)
        return BL_ENOMEM;
    bl_rng_seed(&rng, seed);
    const bl_status rc = generate_into(w, tape, &rng, n, out, err);
    nn_tape_free(tape);
    return rc;
}

/* ---- slices ---- */

void blocks_slices_free(blocks_slices *s)
{
    free(s->samples);
    s->samples = NULL;
    s->n = s->capacity = 0;
}

static bl_status add_one(blocks_slices *s, const float *x, int64_t n, double scale, bl_error *err)
{
    if (s->n == s->capacity) {
        const int64_t capacity = s->capacity ? 2 * s->capacity : 64;
        float *more = realloc(s->samples, (size_t)(capacity * s->length) * sizeof *more);
        if (!more)
            return bl_fail(err, BL_ENOMEM, "no memory for %lld slices of sound; lower train.max_memory_mb", (long long)capacity);
        s->samples = more;
        s->capacity = capacity;
    }
    float *out = s->samples + s->n++ * s->length;
    for (int64_t i = 0; i < s->length; i++)
        out[i] = i < n ? (float)(scale * (double)x[i]) : 0;
    return BL_OK;
}

bl_status blocks_slices_add(blocks_slices *s, const float *x, int64_t n, const blocks_slice_options *o, bl_error *err)
{
    const int64_t hop = (int64_t)fmax(1, round((1 - o->overlap) * (double)s->length));
    double peak = 0;
    for (int64_t i = 0; o->normalize && i < n; i++)
        peak = fmax(peak, fabs((double)x[i]));
    const double scale = peak > 0 ? 1 / peak : 1;
    for (int64_t first = 0; first < n; first += hop) {
        const int64_t left = n - first;
        if (left < s->length && !o->pad_end)
            break;
        if (add_one(s, x + first, left < s->length ? left : s->length, scale, err) != BL_OK)
            return err ? err->code : BL_ENOMEM;
        if (o->first_only || left <= s->length)
            break;
    }
    return BL_OK;
}

static void read_slice_options(const bl_config *c, blocks_slice_options *o, double *max_memory_mb, bl_error *err)
{
    o->overlap = bl_config_real(c, "train", "overlap", 0, 0, 0.99, err);
    o->first_only = bl_config_bool(c, "train", "first_slice", 0, err);
    o->pad_end = bl_config_bool(c, "train", "pad_end", 1, err);
    o->normalize = bl_config_bool(c, "train", "normalize", 0, err);
    *max_memory_mb = bl_config_real(c, "train", "max_memory_mb", 2000, 1, 1e6, err);
}

bl_status blocks_wavegan_collect(const blocks_wavegan *w, data_dataset *d, int quiet, blocks_slices *training,
                                 blocks_slices *held_out, int *n_left_out, bl_error *err)
{
    blocks_slice_options o;
    bl_error local = { 0 };
    double max_memory_mb;
    bl_progress p;

    *n_left_out = 0;
    training->length = held_out->length = w->n_samples;
    read_slice_options(w->config, &o, &max_memory_mb, &local);
    const double most = max_memory_mb * 1e6 / ((double)w->n_samples * (double)sizeof(float));
    bl_progress_start(&p, "reading", "songs", d->n_songs, quiet);
    for (int i = 0; i < d->n_songs && !local.code; i++) {
        audio_clip clip = { 0 };
        bl_error unreadable = { 0 };
        const data_song *song = &d->songs[i];
        if (training->capacity + held_out->capacity > 0 && (double)(training->n + held_out->n) >= most)
            ++*n_left_out;
        else if (data_song_audio(d, song, w->sample_rate, &clip, &unreadable) != BL_OK)
            data_dataset_skip(d, song->path, unreadable.msg);
        else
            blocks_slices_add(song->split == DATA_VALIDATION ? held_out : training, clip.samples, clip.n_samples, &o, &local);
        audio_clip_free(&clip);
        bl_progress_step(&p, i + 1, "");
    }
    bl_progress_end(&p);
    if (!training->n) { /* a single song: nothing to hold out */
        const blocks_slices swap = *training;
        *training = *held_out;
        *held_out = swap;
    }
    if (!local.code && !training->n)
        bl_fail(&local, BL_EFORMAT, "%s: no recording of at least %.2f s (%lld samples at %d Hz)", d->path,
                (double)w->n_samples / w->sample_rate, (long long)w->n_samples, w->sample_rate);
    return local.code ? bl_fail(err, local.code, "%s", local.msg) : BL_OK;
}

/* ---- training ---- */

struct blocks_wavegan_trainer {
    blocks_wavegan      *w;
    const blocks_slices *training, *held_out;
    nn_tape             *tape;
    nn_optimizer        *generator_optimizer, *critic_optimizer;
    nn_ema              *average;    /* NULL: none, as published */
    nn_schedule          schedule;   /* of both rates */
    double               lr, critic_lr;
    bl_rng               rng;
    nn_gan_kind          gan;
    double               penalty_weight;
    int                  critic_steps, batch_size, at_once, n_preview;
};

static bl_status read_config(blocks_wavegan_trainer *t, nn_optimizer_config *generator, nn_optimizer_config *critic,
                             double *average, bl_error *err)
{
    const bl_config *c = t->w->config;
    blocks_slice_options o;
    double max_memory_mb;
    read_slice_options(c, &o, &max_memory_mb, err); /* so that the keys are known, wherever the slices came from */
    t->batch_size = (int)bl_config_int(c, "train", "batch_size", 64, 1, 4096, err);
    t->at_once = (int)bl_config_int(c, "train", "at_once", 0, 0, 4096, err);
    t->n_preview = (int)bl_config_int(c, "train", "preview", 32, 1, 1000, err);
    *average = bl_config_real(c, "train", "average", 0, 0, 0.9999999, err);
    t->gan = (nn_gan_kind)bl_config_choice(c, "gan", "kind", nn_gan_kinds, NN_GAN_WGAN_GP, err);
    t->critic_steps = (int)bl_config_int(c, "gan", "critic_steps", 5, 1, 100, err);
    t->penalty_weight = bl_config_real(c, "gan", "penalty_weight", 10, 0, 1000, err);
    if (t->at_once == 0 || t->at_once > t->batch_size)
        t->at_once = t->batch_size;
    nn_optimizer_read(c, "train", generator, err);
    nn_optimizer_read(c, "gan", critic, err);
    nn_schedule_read(c, "train", bl_config_int(c, "train", "steps", 200000, 1, 1000000000, err), 0, &t->schedule, err);
    if (t->schedule.kind == NN_SCHEDULE_PLATEAU)
        bl_fail(err, BL_EARG, "%s: [train] schedule plateau needs a loss that falls, and no score of a WaveGAN does", bl_config_name(c));
    t->lr = generator->lr;
    t->critic_lr = critic->lr;
    return err->code;
}

bl_status blocks_wavegan_trainer_settings(const blocks_wavegan *w, bl_error *err)
{
    blocks_wavegan_trainer t = { .w = (blocks_wavegan *)w };
    nn_optimizer_config generator, critic;
    bl_error local = { 0 };
    double average;
    if (read_config(&t, &generator, &critic, &average, &local) != BL_OK)
        return bl_fail(err, local.code, "%s", local.msg);
    return BL_OK;
}

blocks_wavegan_trainer *blocks_wavegan_trainer_new(blocks_wavegan *w, const blocks_slices *training,
                                                   const blocks_slices *held_out, uint64_t seed, bl_error *err)
{
    bl_error local = { 0 };
    nn_optimizer_config generator, critic;
    double average;
    blocks_wavegan_trainer *t = calloc(1, sizeof *t);

    BL_ASSERT(w->discriminator && training->n > 0 && training->length == w->n_samples);
    if (!t) {
        bl_fail(err, BL_ENOMEM, "no memory for training");
        return NULL;
    }
    t->w = w;
    t->training = training;
    t->held_out = held_out;
    bl_rng_seed(&t->rng, seed ^ 0x77617665u);
    if (read_config(t, &generator, &critic, &average, &local) == BL_OK && (t->tape = nn_tape_new(&local)) &&
        (t->generator_optimizer = nn_optimizer_new(w->params, "generator/", &generator, &local)) &&
        (t->critic_optimizer = nn_optimizer_new(w->params, "discriminator/", &critic, &local)) &&
        (average <= 0 || (t->average = nn_ema_new(w->params, average, &local)))) {
        t->tape->training = 1;
        return t;
    }
    bl_fail(err, local.code, "%s", local.msg);
    blocks_wavegan_trainer_free(t);
    return NULL;
}

void blocks_wavegan_trainer_free(blocks_wavegan_trainer *t)
{
    if (!t)
        return;
    nn_optimizer_free(t->generator_optimizer);
    nn_optimizer_free(t->critic_optimizer);
    nn_ema_free(t->average);
    nn_tape_free(t->tape);
    free(t);
}

/* n real slices [n, 1, n_samples], drawn evenly (index NULL) or those of the given indices. */
static nn_node *slices(const blocks_wavegan_trainer *t, const blocks_slices *s, int64_t n, bl_rng *rng)
{
    const int64_t length = s->length;
    nn_node *x = nn_full(t->tape, (nn_shape){ 3, { n, 1, length } }, 0);
    for (int64_t i = 0; x && i < n && !t->tape->dry; i++) {
        const float *from = s->samples + bl_rng_below(rng, s->n) * length;
        for (int64_t k = 0; k < length; k++)
            x->x[i * length + k] = (real)from[k];
    }
    return x;
}

static nn_node *score_of(const blocks_wavegan_trainer *t, nn_node *wave)
{
    return nn_network_run(t->w->discriminator, t->tape, (nn_node *const[]){ wave }, NULL);
}

static double mean_of(const nn_node *x)
{
    double sum = 0;
    const int64_t n = nn_count(&x->shape);
    for (int64_t i = 0; x->x && i < n; i++)
        sum += (double)x->x[i];
    return sum / (double)n;
}

/* Part of a batch: the critic's gradients of n examples, each with a weight of share in all. */
static void critic_part(blocks_wavegan_trainer *t, int64_t n, double share, blocks_wavegan_losses *l)
{
    nn_tape *tape = t->tape;
    nn_node *norm = NULL, *penalty = NULL;

    nn_tape_reset(tape);
    tape->rng = bl_rng_fork(&t->rng, 0);
    nn_node *x = slices(t, t->training, n, &t->rng);
    const int recording = nn_tape_record(tape, 0);
    nn_node *fake = generate(t->w, tape, &t->rng, n);
    nn_tape_record(tape, recording);
    nn_node *real_score = nn_keep(score_of(t, x)), *fake_score = nn_keep(score_of(t, fake));
    nn_node *loss = nn_keep(nn_affine(tape, nn_gan_critic_loss(tape, t->gan, real_score, fake_score), share, 0));
    nn_backward(tape, loss);
    if (t->gan == NN_GAN_WGAN_GP && !tape->err.code) { /* by itself: then only one graph at a time is in memory */
        nn_node *between = nn_gan_between(tape, x, fake, &t->rng);
        norm = nn_keep(nn_gradient_norm(tape, score_of(t, between), between));
        penalty = nn_keep(nn_mean(tape, nn_square(tape, nn_affine(tape, norm, 1, -1))));
        nn_backward(tape, nn_affine(tape, penalty, share * t->penalty_weight, 0));
    }
    if (tape->err.code)
        return;
    const double part = share / t->critic_steps;
    l->critic += (nn_scalar(loss) + share * t->penalty_weight * nn_scalar(penalty)) / t->critic_steps;
    l->margin += part * (mean_of(real_score) - mean_of(fake_score));
    l->slope += norm ? part * mean_of(norm) : 0;
    l->penalty += penalty ? part * nn_scalar(penalty) : 0;
}

/* The same for the generator, with the critic held still. */
static void generator_part(blocks_wavegan_trainer *t, int64_t n, double share, blocks_wavegan_losses *l)
{
    nn_tape *tape = t->tape;
    nn_tape_reset(tape);
    tape->rng = bl_rng_fork(&t->rng, 1);
    nn_params_freeze(t->w->params, "discriminator/", 1);
    nn_node *score = score_of(t, generate(t->w, tape, &t->rng, n));
    nn_node *loss = nn_keep(nn_affine(tape, nn_gan_generator_loss(tape, t->gan, score), share, 0));
    nn_backward(tape, loss);
    nn_params_freeze(t->w->params, "discriminator/", 0);
    if (!tape->err.code)
        l->generator += nn_scalar(loss);
}

void blocks_wavegan_trainer_plan(blocks_wavegan_trainer *t, nn_plan *plan)
{
    const bl_rng rng = t->rng, tape_rng = t->tape->rng;
    const int n = t->batch_size < t->at_once ? t->batch_size : t->at_once;
    blocks_wavegan_losses losses = { 0 };
    nn_tape_dry(t->tape, 1);
    critic_part(t, n, 1, &losses);
    generator_part(t, n, 1, &losses);
    plan->weights = nn_params_bytes(t->w->params);
    plan->moments = nn_optimizer_bytes(t->generator_optimizer) + nn_optimizer_bytes(t->critic_optimizer) +
                    nn_ema_bytes(t->average);
    plan->step = nn_tape_peak_bytes(t->tape);
    nn_tape_dry(t->tape, 0);
    t->rng = rng;
    t->tape->rng = tape_rng;
}

/* A batch in parts that fit in memory: gradients add up, every part with its share of the batch. */
static bl_status update(blocks_wavegan_trainer *t, void (*part)(blocks_wavegan_trainer *, int64_t, double, blocks_wavegan_losses *),
                        nn_optimizer *optimizer, blocks_wavegan_losses *l, double *norm, bl_error *err)
{
    for (int i = 0; i < t->batch_size; i += t->at_once) {
        const int n = t->batch_size - i < t->at_once ? t->batch_size - i : t->at_once;
        part(t, n, (double)n / t->batch_size, l);
        if (t->tape->err.code)
            return bl_fail(err, t->tape->err.code, "%s", t->tape->err.msg);
    }
    *norm = nn_optimizer_step(optimizer);
    if (!isfinite(*norm))
        return bl_fail(err, BL_ENAN, "a gradient is not a number");
    return BL_OK;
}

bl_status blocks_wavegan_trainer_step(blocks_wavegan_trainer *t, blocks_wavegan_losses *l, bl_error *err)
{
    bl_status rc = BL_OK;
    const double factor = nn_schedule_factor(&t->schedule, t->w->step);
    nn_optimizer_set_lr(t->generator_optimizer, t->lr * factor);
    nn_optimizer_set_lr(t->critic_optimizer, t->critic_lr * factor);
    memset(l, 0, sizeof *l);
    for (int k = 0; k < t->critic_steps && rc == BL_OK; k++)
        rc = update(t, critic_part, t->critic_optimizer, l, &l->critic_norm, err);
    if (rc == BL_OK)
        rc = update(t, generator_part, t->generator_optimizer, l, &l->generator_norm, err);
    if (rc != BL_OK)
        return rc;
    if (t->average)
        nn_ema_update(t->average);
    t->w->step++;
    return BL_OK;
}

/* ---- looking at it ---- */

/* Mean score of real slices minus that of generated ones; the same slices and noise every time. */
static bl_status margin(blocks_wavegan_trainer *t, const blocks_slices *s, double *out, bl_error *err)
{
    enum { PARTS = 8, AT_ONCE = 8 };
    bl_rng rng;
    bl_rng_seed(&rng, 1);
    *out = 0;
    for (int i = 0; i < PARTS; i++) {
        nn_tape_reset(t->tape);
        nn_node *of_real = score_of(t, slices(t, s, AT_ONCE, &rng));
        nn_node *of_fake = score_of(t, generate(t->w, t->tape, &rng, AT_ONCE));
        if (t->tape->err.code)
            return bl_fail(err, t->tape->err.code, "%s", t->tape->err.msg);
        *out += (mean_of(of_real) - mean_of(of_fake)) / PARTS;
    }
    return BL_OK;
}

bl_status blocks_wavegan_trainer_validate(blocks_wavegan_trainer *t, double *training, double *held_out, bl_error *err)
{
    const int recording = nn_tape_record(t->tape, 0);
    t->tape->training = 0;
    *held_out = 0;
    bl_status rc = margin(t, t->training, training, err);
    if (rc == BL_OK && t->held_out && t->held_out->n)
        rc = margin(t, t->held_out, held_out, err);
    t->tape->training = 1;
    nn_tape_record(t->tape, recording);
    return rc;
}

static void swap_average(blocks_wavegan_trainer *t)
{
    if (t->average)
        nn_ema_swap(t->average);
}

bl_status blocks_wavegan_trainer_preview(blocks_wavegan_trainer *t, float **waves, int *n, bl_error *err)
{
    bl_rng rng;
    bl_rng_seed(&rng, 0x70726576u);
    *n = t->n_preview;
    *waves = malloc((size_t)(t->n_preview * t->w->n_samples) * sizeof **waves);
    if (!*waves)
        return bl_fail(err, BL_ENOMEM, "no memory for the preview");
    swap_average(t);
    const bl_status rc = generate_into(t->w, t->tape, &rng, t->n_preview, *waves, err);
    swap_average(t);
    if (rc != BL_OK) {
        free(*waves);
        *waves = NULL;
    }
    return rc;
}

/* ---- checkpoints ---- */

bl_status blocks_wavegan_trainer_put(const blocks_wavegan_trainer *t, nn_checkpoint *c, bl_error *err)
{
    int64_t state[4];
    bl_status rc = put(t->w, t->w->step, c, err);
    memcpy(state, t->rng.s, sizeof state);
    if (rc == BL_OK)
        rc = nn_params_save(t->w->params, c, "", err);
    if (rc == BL_OK && t->average)
        rc = nn_ema_save(t->average, c, "average/", err);
    if (rc == BL_OK)
        rc = nn_optimizer_save(t->generator_optimizer, c, err);
    if (rc == BL_OK)
        rc = nn_optimizer_save(t->critic_optimizer, c, err);
    return rc == BL_OK ? nn_checkpoint_put(c, "random/state", NN_I64, 1, (int64_t[]){ 4 }, state, err) : rc;
}

bl_status blocks_wavegan_trainer_get(blocks_wavegan_trainer *t, const nn_checkpoint *c, bl_error *err)
{
    bl_status rc = nn_params_load(t->w->params, c, "", err);
    if (rc == BL_OK && t->average)
        rc = nn_ema_load(t->average, c, "average/", err);
    if (rc == BL_OK)
        rc = nn_optimizer_load(t->generator_optimizer, c, err);
    if (rc == BL_OK)
        rc = nn_optimizer_load(t->critic_optimizer, c, err);
    if (rc != BL_OK)
        return rc;
    int64_t *state = nn_checkpoint_get(c, "random/state", NN_I64, 1, (int64_t[]){ 4 }, NULL, err);
    if (!state)
        return BL_EFORMAT;
    memcpy(t->rng.s, state, sizeof t->rng.s);
    free(state);
    t->w->step = nn_checkpoint_get_int(c, "step", t->w->step, err);
    return BL_OK;
}

bl_status blocks_wavegan_trainer_export(blocks_wavegan_trainer *t, const char *path, int64_t seed, bl_error *err)
{
    blocks_wavegan *alone = blocks_wavegan_new(t->w->config, 0, 0, err);
    nn_checkpoint *c = alone ? nn_checkpoint_create(path, "wavegan_unconditional", err) : NULL;
    bl_status rc = c ? put(alone, t->w->step, c, err) : BL_ENOMEM;
    if (rc == BL_OK)
        rc = nn_checkpoint_put_int(c, "seed", seed, err);
    if (rc == BL_OK) {
        swap_average(t);
        nn_params_copy(alone->params, t->w->params);
        swap_average(t);
        rc = nn_params_save(alone->params, c, "", err);
    }
    if (rc == BL_OK)
        rc = nn_checkpoint_commit(c, err);
    else
        nn_checkpoint_free(c);
    blocks_wavegan_free(alone);
    return rc;
}
