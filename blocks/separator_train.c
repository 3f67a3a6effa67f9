#include "blocks/separator_train.h"

#include "base/fft.h"
#include "nn/trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double SILENT_SHARE = 1e-3;   /* of a mixture's energy: less of an error does not count */
static const double VALIDATION_S = 20;

typedef struct settings {
    int    batch_size, n_frames, n_validation, n_pool, n_fresh;
    double mask_weight;
    nn_trainer_config run;
    blocks_mixing mixing;
} settings;

static bl_status read_settings(const bl_config *c, settings *s, bl_error *err)
{
    static const char at[] = "separation_training";
    s->batch_size = (int)bl_config_int(c, at, "batch_size", 16, 1, 4096, err);
    s->n_frames = (int)bl_config_int(c, at, "segment_frames", 160, 8, 65536, err);
    s->n_validation = (int)bl_config_int(c, at, "validation_songs", 12, 0, 10000, err);
    s->n_pool = (int)bl_config_int(c, at, "pool", 128, 1, 100000, err);
    s->n_fresh = (int)bl_config_int(c, at, "fresh", 4, 1, 100000, err);
    s->mask_weight = bl_config_real(c, at, "mask_weight", 1, 0, 1000, err);
    bl_config_real(c, at, "max_minutes", 600, 0.1, 1e6, err); /* read when sources are collected */
    nn_trainer_read(c, at, 6000, 0, 0.998, &s->run, err);
    if (!err->code && s->n_fresh > s->n_pool)
        return bl_fail(err, BL_EARG, "%s: separation_training.fresh (%d) must not exceed separation_training.pool (%d)",
                       bl_config_name(c), s->n_fresh, s->n_pool);
    return blocks_mixing_read(c, &s->mixing, err);
}

bl_status blocks_separator_settings_read(const blocks_separator *s, bl_error *err)
{
    settings set = { 0 };
    return read_settings(s->config, &set, err);
}

/* Room to make one stretch or mixture, so that they are made in parallel. */
typedef struct bench {
    float *wave, *scratch;         /* [n_samples], [2 n_samples] */
    real  *frame, *spectrum;       /* [n_fft + 2], aligned       */
    float *gain[2];                /* [n_bins] of rest and voice */
    float *power, *cross, *target; /* [n_bands] |X|^2, Re(V X*), |V|^2 */
    bl_error err;
} bench;

struct blocks_separator_trainer {
    blocks_separator     *s;
    const blocks_sources *sources;
    blocks_separator_map  map;
    bl_fft_real  *fft;
    float        *window;
    nn_trainer    run;         /* its averages are what is validated and shipped; its rng never moves: whatever is drawn forks its own */
    settings      set;
    int64_t       n_samples;   /* of a stretch */
    int           n_used;      /* bins that reach into the bands */
    int64_t       pool_step;   /* the pool is that of this step; -1: empty */
    float        *pool[2];     /* rests and voices: [n_pool][T][n_used] pairs */
    int           n_benches;
    bench        *benches;
    float        *input, *weight, *target, *even; /* [B, n_bands, T] */
    float        *residue;     /* [B] the error of the best mask, of the mixture's energy */
    double       *voice_share; /* [B] the voice's energy, of the mixture's */
};

/* ---- stretches ---- */

static void transform(const blocks_separator_trainer *t, const float *x, bench *b)
{
    for (int i = 0; i < t->map.n_fft; i++)
        b->frame[i] = (real)(x[i] * t->window[i]);
    bl_fft_real_forward_on(t->fft, b->frame, b->spectrum);
}

/* A new stretch into a slot of the pool. */
static void refill(blocks_separator_trainer *t, bench *b, int is_voice, int slot, uint64_t number)
{
    bl_rng rng = bl_rng_fork(&t->run.rng, 2 * number + (uint64_t)is_voice);
    const size_t row = 2 * (size_t)t->n_used;
    float *z = t->pool[is_voice] + (size_t)slot * (size_t)t->set.n_frames * row;
    if (blocks_stretch(t->sources, &t->set.mixing, is_voice, t->s->sample_rate, t->n_samples, &rng, b->wave, b->scratch,
                       &b->err) != BL_OK)
        return;
    for (int j = 0; j < t->set.n_frames; j++, z += row) {
        transform(t, b->wave + (int64_t)j * t->map.hop_length, b);
        for (size_t k = 0; k < row; k++)
            z[k] = (float)b->spectrum[k];
    }
}

/* The pool of a step: `fresh` slots of each kind are new, after the last step's; after a pause all are made again. Slot i of step
 * s holds stretch number n_pool + s fresh - 1 - (n_pool + s fresh - 1 - i) mod n_pool, whatever was done before. */
static bl_status fill_pool(blocks_separator_trainer *t, int64_t step, bl_error *err)
{
    const int64_t n_pool = t->set.n_pool, end = n_pool + step * t->set.n_fresh;
    const int64_t fresh = t->pool_step == step ? 0 : t->pool_step == step - 1 && step > 0 ? t->set.n_fresh : n_pool;
    for (int64_t first = end - fresh; first < end; first += t->n_benches / 2) {
        #pragma omp parallel for schedule(dynamic)
        for (int i = 0; i < t->n_benches; i++) {
            const int64_t number = first + i / 2;
            if (number < end)
                refill(t, &t->benches[i], i % 2, (int)(number % n_pool), (uint64_t)number);
        }
    }
    t->pool_step = step;
    for (int i = 0; i < t->n_benches; i++)
        if (t->benches[i].err.code)
            return bl_fail(err, t->benches[i].err.code, "%s", t->benches[i].err.msg);
    return BL_OK;
}

/* ---- mixtures ---- */

static double between(bl_rng *rng, double low, double high)
{
    return low + (high - low) * bl_rng_uniform(rng);
}

/* gain [n_used] = db and, where `equalised`, a tilt and some broad bells in logarithmic frequency. */
static void draw_gains(const blocks_separator_trainer *t, double db, bl_rng *rng, float *gain)
{
    enum { BELLS = 3 };
    double tilt = 0, at[BELLS], width[BELLS], height[BELLS] = { 0 };
    const int equalised = bl_rng_uniform(rng) < t->set.mixing.equalised;
    if (equalised)
        tilt = between(rng, -2, 2);
    for (int k = 0; k < BELLS && equalised; k++) {
        at[k] = between(rng, 6.5, 13.3); /* 90 Hz .. 10 kHz, in octaves over 1 Hz */
        width[k] = between(rng, 0.4, 1.5);
        height[k] = between(rng, -8, 8);
    }
    for (int f = 0; f < t->n_used; f++) {
        const double octave = log2(fmax(1, f) * t->s->sample_rate / t->map.n_fft);
        double sum = db + tilt * (octave - 10);
        for (int k = 0; k < BELLS && equalised; k++)
            sum += height[k] * exp(-(octave - at[k]) * (octave - at[k]) / (2 * width[k] * width[k]));
        gain[f] = (float)pow(10, sum / 20);
    }
}

/* Both lose what is above some frequency, 24 dB an octave. */
static void make_narrow(const blocks_separator_trainer *t, bench *b, bl_rng *rng)
{
    const double cutoff_hz = 3000 * pow(5, bl_rng_uniform(rng));
    for (int f = 0; f < t->n_used; f++) {
        const double x = f * (double)t->s->sample_rate / t->map.n_fft / cutoff_hz, g = 1 / (1 + x * x * x * x);
        b->gain[0][f] *= (float)g;
        b->gain[1][f] *= (float)g;
    }
}

/* Bands of a frame of spectra r and v at the bench's gains. */
static void measure_frame(const blocks_separator_trainer *t, bench *b, const float *r, const float *v)
{
    const blocks_separator_map *m = &t->map;
    const size_t bytes = (size_t)t->s->n_bands * sizeof(float);
    memset(b->power, 0, bytes);
    memset(b->cross, 0, bytes);
    memset(b->target, 0, bytes);
    for (int f = 0; f < t->n_used; f++) {
        const float vr = b->gain[1][f] * v[2 * f], vi = b->gain[1][f] * v[2 * f + 1];
        const float re = vr + b->gain[0][f] * r[2 * f], im = vi + b->gain[0][f] * r[2 * f + 1];
        const float p = re * re + im * im, c = vr * re + vi * im, q = vr * vr + vi * vi, upper = m->share[f], lower = 1 - upper;
        const int k = m->band[f];
        b->power[k] += lower * p;
        b->power[k + 1] += upper * p;
        b->cross[k] += lower * c;
        b->cross[k + 1] += upper * c;
        b->target[k] += lower * q;
        b->target[k + 1] += upper * q;
    }
}

/* The mask of which least error is left, and that error. */
static float best_mask(float power, float cross, float voice, double *residue)
{
    const float m = power > 1e-20f ? fminf(1, fmaxf(0, cross / power)) : 0;
    *residue += fmax(0, (double)(m * m * power - 2 * m * cross + voice));
    return m;
}

/* Sets the gains of bench b for a mixture; returns the level that the network is told. */
static double draw_mixture(const blocks_separator_trainer *t, bench *b, bl_rng *rng)
{
    const blocks_mixing *m = &t->set.mixing;
    const double kind = bl_rng_uniform(rng), voice_db = between(rng, m->voice_db_low, m->voice_db_high), absent = -200;
    draw_gains(t, kind < m->voice_alone ? absent : -voice_db / 2, rng, b->gain[0]);
    draw_gains(t, kind > 1 - m->no_voice ? absent : voice_db / 2, rng, b->gain[1]);
    if (bl_rng_uniform(rng) < m->narrow)
        make_narrow(t, b, rng);
    /* The level of a stretch stands for that of a song that goes on before and behind it. */
    return sqrt(pow(10, voice_db / 10) + pow(10, -voice_db / 10)) * pow(10, between(rng, -5, 7) / 20);
}

static void fill_example(blocks_separator_trainer *t, int i, uint64_t number)
{
    bench *b = &t->benches[i % t->n_benches];
    bl_rng rng = bl_rng_fork(&t->run.rng, UINT64_MAX - number);
    const int T = t->set.n_frames, n_bands = t->s->n_bands;
    const int64_t at = (int64_t)i * n_bands * T;
    const size_t row = 2 * (size_t)t->n_used, size = row * (size_t)T;
    const float unit = (float)blocks_separator_unit(t->map.n_fft);
    const float *r = t->pool[0] + size * (size_t)bl_rng_below(&rng, t->set.n_pool);
    const float *v = t->pool[1] + size * (size_t)bl_rng_below(&rng, t->set.n_pool);
    double all = 0, sung = 0, residue = 0, even = 0;
    const float level = (float)draw_mixture(t, b, &rng);
    for (int j = 0; j < T; j++, r += row, v += row) {
        measure_frame(t, b, r, v);
        for (int k = 0; k < n_bands; k++) {
            const int64_t to = at + (int64_t)k * T + j;
            const float power = b->power[k] * unit;
            t->input[to] = (blocks_separator_relative(power, level) - t->s->mean[k]) * t->s->scale[k];
            t->target[to] = best_mask(power, b->cross[k] * unit, b->target[k] * unit, &residue);
            t->weight[to] = power;
            t->even[to] = powf(power + 1e-10f, 0.3f);
            all += (double)power;
            sung += (double)(b->target[k] * unit);
            even += (double)t->even[to];
        }
    }
    for (int64_t k = at; k < at + (int64_t)n_bands * T; k++) {
        t->weight[k] *= (float)(1 / fmax(1e-12, all));
        t->even[k] *= (float)(1 / fmax(1e-12, even));
    }
    t->residue[i] = (float)(residue / fmax(1e-12, all) + SILENT_SHARE);
    t->voice_share[i] = sung / fmax(1e-12, all);
}

/* ---- a trainer ---- */

static void *aligned(size_t n)
{
    return aligned_alloc(64, (n * sizeof(real) + 63) / 64 * 64);
}

static bl_status make_benches(blocks_separator_trainer *t, bl_error *err)
{
    const size_t B = (size_t)t->set.batch_size, n_bands = (size_t)t->s->n_bands, n = B * n_bands * (size_t)t->set.n_frames;
    const size_t N = (size_t)t->map.n_fft + 2, pool = (size_t)t->set.n_pool * (size_t)t->set.n_frames * 2;
    const double highest_hz = t->s->centre_hz[t->s->n_bands - 1];
    int fine = 1;
    t->n_samples = (int64_t)(t->set.n_frames - 1) * t->map.hop_length + t->map.n_fft;
    t->n_used = (int)fmin(t->map.n_bins, ceil(highest_hz * t->map.n_fft / t->s->sample_rate) + 1);
    t->n_benches = t->set.batch_size < 2 ? 2 : (t->set.batch_size + 1) / 2 * 2;
    t->window = malloc(N * sizeof *t->window);
    t->input = malloc(n * sizeof *t->input);
    t->weight = malloc(n * sizeof *t->weight);
    t->target = malloc(n * sizeof *t->target);
    t->even = malloc(n * sizeof *t->even);
    t->residue = malloc(B * sizeof *t->residue);
    t->voice_share = malloc(B * sizeof *t->voice_share);
    t->benches = calloc((size_t)t->n_benches, sizeof *t->benches);
    fine = t->window && t->input && t->weight && t->target && t->even && t->residue && t->voice_share && t->benches;
    for (int k = 0; fine && k < 2; k++)
        fine = (t->pool[k] = malloc(pool * (size_t)t->n_used * sizeof *t->pool[k])) != NULL;
    for (int i = 0; fine && i < t->n_benches; i++) {
        bench *b = &t->benches[i];
        b->wave = malloc((size_t)t->n_samples * sizeof *b->wave);
        b->scratch = malloc(2 * (size_t)t->n_samples * sizeof *b->scratch);
        b->frame = aligned(N);
        b->spectrum = aligned(N);
        b->gain[0] = malloc(N * sizeof *b->gain[0]);
        b->gain[1] = malloc(N * sizeof *b->gain[1]);
        b->power = malloc(n_bands * sizeof *b->power);
        b->cross = malloc(n_bands * sizeof *b->cross);
        b->target = malloc(n_bands * sizeof *b->target);
        fine = b->wave && b->scratch && b->frame && b->spectrum && b->gain[0] && b->gain[1] && b->power && b->cross && b->target;
    }
    return fine ? BL_OK : bl_fail(err, BL_ENOMEM, "no memory for training the separator");
}

static void fill_batch(blocks_separator_trainer *t, uint64_t number)
{
    const int B = t->set.batch_size;
    #pragma omp parallel for schedule(dynamic)
    for (int i = 0; i < B; i++)
        fill_example(t, i, number + (uint64_t)i);
}

/* Mean and deviation of each band over some mixtures. */
static bl_status scale_to_mixtures(blocks_separator_trainer *t, bl_error *err)
{
    enum { BATCHES = 8 };
    blocks_separator *s = t->s;
    const int64_t T = t->set.n_frames;
    double *sum = calloc(2 * (size_t)s->n_bands, sizeof *sum), n = 0;
    if (!sum)
        return bl_fail(err, BL_ENOMEM, "no memory for training the separator");
    fill_pool(t, 0, err);
    for (uint64_t k = 0; k < BATCHES && !err->code; k++) {
        fill_batch(t, UINT64_MAX / 2 + k * (uint64_t)t->set.batch_size);
        for (int64_t i = 0; i < (int64_t)t->set.batch_size * s->n_bands * T; i++) {
            const int64_t band = i / T % s->n_bands;
            sum[2 * band] += (double)t->input[i];
            sum[2 * band + 1] += (double)t->input[i] * (double)t->input[i];
        }
        n += (double)(t->set.batch_size * T);
    }
    for (int b = 0; b < s->n_bands && !err->code; b++) {
        const double mean = sum[2 * b] / n, variance = sum[2 * b + 1] / n - mean * mean;
        s->mean[b] = (float)mean;
        s->scale[b] = (float)(1 / sqrt(fmax(0.01, variance)));
    }
    free(sum);
    return err->code;
}

blocks_separator_trainer *blocks_separator_trainer_new(blocks_separator *s, const blocks_sources *sources, uint64_t seed,
                                                       bl_error *err)
{
    bl_error local = { 0 };
    bl_error *e = err ? err : &local;
    blocks_separator_trainer *t = calloc(1, sizeof *t);
    if (!t) {
        bl_fail(e, BL_ENOMEM, "no memory for training the separator");
        return NULL;
    }
    t->s = s;
    t->sources = sources;
    t->pool_step = -1;
    if (read_settings(s->config, &t->set, e) != BL_OK ||
        nn_trainer_start(&t->run, s->params, &t->set.run, seed ^ 0x766f6963u, e) != BL_OK ||
        blocks_separator_map_new(s, s->sample_rate, &t->map, e) != BL_OK ||
        make_benches(t, e) != BL_OK || !(t->fft = bl_fft_real_new(t->map.n_fft, e)))
        goto fail;
    blocks_separator_window(t->map.n_fft, t->window);
    if (scale_to_mixtures(t, e) != BL_OK)
        goto fail;
    return t;
fail:
    blocks_separator_trainer_free(t);
    return NULL;
}

void blocks_separator_trainer_free(blocks_separator_trainer *t)
{
    if (!t)
        return;
    for (int i = 0; t->benches && i < t->n_benches; i++) {
        bench *b = &t->benches[i];
        free(b->wave), free(b->scratch), free(b->frame), free(b->spectrum), free(b->gain[0]), free(b->gain[1]);
        free(b->power), free(b->cross), free(b->target);
    }
    free(t->pool[0]), free(t->pool[1]);
    nn_trainer_free(&t->run);
    blocks_separator_map_free(&t->map);
    bl_fft_real_free(t->fft);
    free(t->window), free(t->benches), free(t->input), free(t->weight), free(t->target), free(t->even), free(t->residue);
    free(t->voice_share);
    free(t);
}

/* ---- a step ---- */

/* figures: distortion in dB, distance of masks, the loss. */
static bl_status learn_batch(void *user, double *figures, bl_error *err)
{
    blocks_separator_trainer *t = user;
    const int64_t B = t->set.batch_size, T = t->set.n_frames;
    const nn_shape shape = nn_shape_of(3, B, (int64_t)t->s->n_bands, T);
    nn_tape *tape = t->run.tape;
    double decibels = 0;

    if (!tape->dry)
        fill_batch(t, ((uint64_t)t->s->step * (uint64_t)t->run.accumulate + (uint64_t)t->run.batch) * (uint64_t)t->set.batch_size);
    nn_tape_reset(tape);
    nn_node *x = nn_input(tape, shape, t->input);
    nn_node *off = nn_sub(tape, nn_network_run(t->s->net, tape, &x, NULL), nn_input(tape, shape, t->target));
    nn_node *error = nn_sum_dims(tape, nn_mul(tape, nn_square(tape, off), nn_input(tape, shape, t->weight)), 1u << 1 | 1u << 2);
    error = nn_add(tape, error, nn_input(tape, nn_shape_of(3, B, (int64_t)1, (int64_t)1), t->residue));
    nn_node *logs = nn_keep(nn_log(tape, error));
    nn_node *plain = nn_sum(tape, nn_mul(tape, nn_abs(tape, off), nn_input(tape, shape, t->even)));
    plain = nn_affine(tape, plain, 1.0 / (double)B, 0);
    nn_node *loss = nn_add(tape, nn_mean(tape, logs), nn_affine(tape, plain, t->set.mask_weight, 0));
    nn_keep(plain);
    nn_keep(loss);
    nn_backward(tape, loss);
    if (tape->err.code)
        return bl_fail(err, tape->err.code, "%s", tape->err.msg);
    for (int64_t i = 0; i < B && !tape->dry; i++)
        decibels += (log(t->voice_share[i] + SILENT_SHARE) - (double)logs->x[i]) * 10 / log(10) / (double)B;
    figures[0] = decibels;
    figures[1] = nn_scalar(plain);
    figures[2] = nn_scalar(loss);
    return BL_OK;
}

void blocks_separator_trainer_plan(blocks_separator_trainer *t, nn_plan *plan)
{
    nn_trainer_plan(&t->run, learn_batch, t, plan);
}

bl_status blocks_separator_trainer_step(blocks_separator_trainer *t, double figures[3], double *gradient_norm, bl_error *err)
{
    if (fill_pool(t, t->s->step, err) != BL_OK)
        return err->code;
    return nn_trainer_step(&t->run, learn_batch, t, figures, 3, &t->s->step, gradient_norm, err);
}

/* ---- figures ---- */

static double ratio_db(const float *voice, const float *found, int64_t n)
{
    double signal = 1e-12, error = 1e-12;
    for (int64_t i = 0; i < n; i++) {
        const double e = (double)voice[i] - (double)found[i];
        signal += (double)voice[i] * (double)voice[i];
        error += e * e;
    }
    return 10 * log10(signal / error);
}

/* What the best mask would leave, from the spectra. */
static double ceiling_db(blocks_separator_trainer *t, const blocks_held_out *m)
{
    bench *a = &t->benches[0], *b = &t->benches[1];
    double signal = 1e-12, residue = 1e-12;
    for (int f = 0; f < t->n_used; f++)
        a->gain[0][f] = a->gain[1][f] = 1;
    for (int64_t first = 0; first + t->map.n_fft <= m->n; first += t->map.hop_length) {
        float *r = a->scratch, *v = b->scratch;
        transform(t, m->rest + first, a);
        transform(t, m->voice + first, b);
        for (int k = 0; k < 2 * t->n_used; k++) {
            r[k] = (float)a->spectrum[k];
            v[k] = (float)b->spectrum[k];
        }
        measure_frame(t, a, r, v);
        for (int k = 0; k < t->s->n_bands; k++) {
            best_mask(a->power[k], a->cross[k], a->target[k], &residue);
            signal += (double)a->target[k];
        }
    }
    return 10 * log10(signal / residue);
}

static bl_status score_mixture(blocks_separator_trainer *t, const blocks_held_out *m, blocks_separator_score *score, bl_error *err)
{
    audio_clip mix = { 0 }, voice = { 0 }, rest = { 0 };
    bl_status status = audio_clip_new(&mix, 1, m->n, t->s->sample_rate, err);
    for (int64_t i = 0; status == BL_OK && i < m->n; i++)
        mix.samples[i] = m->voice[i] + m->rest[i];
    if (status == BL_OK)
        status = blocks_separator_run(t->s, &mix, &voice, &rest, err);
    if (status == BL_OK) {
        score->mixture += ratio_db(m->voice, mix.samples, m->n);
        score->separated += ratio_db(m->voice, voice.samples, m->n);
        score->ceiling += ceiling_db(t, m);
        score->n++;
    }
    audio_clip_free(&mix);
    audio_clip_free(&voice);
    audio_clip_free(&rest);
    return status;
}

bl_status blocks_separator_trainer_validate(blocks_separator_trainer *t, blocks_separator_score *score, bl_error *err)
{
    bl_status status = BL_OK;
    memset(score, 0, sizeof *score);
    nn_trainer_swap(&t->run);
    for (int k = 0; k < t->set.n_validation && status == BL_OK; k++) {
        blocks_held_out m = { NULL, NULL, 0 };
        status = blocks_held_out_get(t->sources, k, (int64_t)(VALIDATION_S * t->s->sample_rate), &m, err);
        const int there = status == BL_OK && m.n > 0;
        if (there)
            status = score_mixture(t, &m, score, err);
        free(m.voice);
        free(m.rest);
        if (!there)
            break;
    }
    nn_trainer_swap(&t->run);
    if (status == BL_OK && score->n) {
        score->mixture /= score->n;
        score->separated /= score->n;
        score->ceiling /= score->n;
        nn_schedule_watch(&t->run.schedule, -score->separated);
    }
    return status;
}

/* ---- checkpoints ---- */

bl_status blocks_separator_trainer_put(const blocks_separator_trainer *t, int with_optimizer, nn_checkpoint *c, bl_error *err)
{
    nn_checkpoint_put_int(c, "step", t->s->step, err);
    if (!with_optimizer)
        nn_trainer_swap(&t->run);
    const bl_status status = blocks_separator_put(t->s, c, err);
    if (!with_optimizer)
        nn_trainer_swap(&t->run);
    return status == BL_OK && with_optimizer ? nn_trainer_save(&t->run, c, err) : status;
}

bl_status blocks_separator_trainer_get(blocks_separator_trainer *t, const nn_checkpoint *c, bl_error *err)
{
    const int64_t n = t->s->n_bands;
    float *mean = nn_checkpoint_get(c, "bands/mean", NN_F32, 1, &n, NULL, err);
    float *scale = nn_checkpoint_get(c, "bands/scale", NN_F32, 1, &n, NULL, err);
    bl_status status = mean && scale ? nn_trainer_load(&t->run, c, "separation_training", &t->s->step, err) : err->code;
    if (status == BL_OK) {
        memcpy(t->s->mean, mean, (size_t)n * sizeof *mean);
        memcpy(t->s->scale, scale, (size_t)n * sizeof *scale);
    }
    free(mean);
    free(scale);
    return status;
}
