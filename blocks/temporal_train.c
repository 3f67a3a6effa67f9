#include "blocks/temporal_train.h"

#include "audio/stft.h"
#include "nn/trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct settings {
    int    batch_size, n_frames;
    double transition_weight, condition_dropout;
    nn_trainer_config run;
} settings;

static bl_status read_settings(const bl_config *c, settings *s, bl_error *err)
{
    s->batch_size = (int)bl_config_int(c, "temporal", "batch_size", 12, 1, 4096, err);
    s->n_frames = (int)bl_config_int(c, "temporal", "segment_frames", 160, 8, 65536, err);
    s->transition_weight = bl_config_real(c, "temporal", "transition_weight", 2, 0, 1000, err);
    s->condition_dropout = bl_config_real(c, "temporal", "condition_dropout", 0.1, 0, 1, err);
    /* read when phrases are collected */
    bl_config_real(c, "temporal", "max_minutes", 60, 0.01, 1e6, err);
    bl_config_int(c, "temporal", "tones_per_instrument", 300, 1, 1000000, err);
    nn_trainer_read(c, "temporal", 1500, 500, 0.995, &s->run, err);
    return err->code;
}

bl_status blocks_temporal_settings_read(const blocks_temporal *t, bl_error *err)
{
    settings s = { 0 };
    return read_settings(t->config, &s, err);
}

struct blocks_temporal_trainer {
    blocks_temporal      *t;
    const blocks_phrases *phrases;
    nn_trainer    run;       /* its averages are what is validated and shipped */
    settings      set;
    int64_t      *first;     /* [n + 1] training frames before each phrase */
    float        *input, *power, *target, *weight, *condition; /* of a batch */
};

/* Mean and deviation of each band below the phrase's level. */
static void scale_to(blocks_temporal *t, const blocks_phrases *p)
{
    for (int b = 0; b < t->n_bands; b++) {
        double sum = 0, squares = 0, n = 0;
        for (int i = 0; i < p->n; i++) {
            const blocks_phrase *q = &p->phrases[i];
            for (int64_t j = 0; !q->held_out && j < q->n_frames; j++) {
                const double v = blocks_temporal_relative((double)q->degraded[b * q->n_frames + j], q->level);
                sum += v;
                squares += v * v;
                n++;
            }
        }
        const double mean = n > 0 ? sum / n : 0, variance = n > 0 ? squares / n - mean * mean : 1;
        t->mean[b] = (float)mean;
        t->scale[b] = (float)(1 / sqrt(variance > 0.01 ? variance : 0.01));
    }
}

blocks_temporal_trainer *blocks_temporal_trainer_new(blocks_temporal *model, const blocks_phrases *phrases, uint64_t seed,
                                                     bl_error *err)
{
    bl_error local = { 0 };
    bl_error *e = err ? err : &local;
    blocks_temporal_trainer *t = calloc(1, sizeof *t);
    if (!t) {
        bl_fail(e, BL_ENOMEM, "no memory for training");
        return NULL;
    }
    t->t = model;
    t->phrases = phrases;
    if (read_settings(model->config, &t->set, e) != BL_OK)
        goto fail;
    const size_t B = (size_t)t->set.batch_size, n = B * (size_t)model->n_bands * (size_t)t->set.n_frames;
    t->first = malloc((size_t)(phrases->n + 1) * sizeof *t->first);
    t->input = malloc(n * sizeof *t->input);
    t->power = malloc(n * sizeof *t->power);
    t->target = malloc(n * sizeof *t->target);
    t->weight = malloc(B * (size_t)t->set.n_frames * sizeof *t->weight);
    t->condition = malloc(B * (size_t)model->n_instruments * sizeof *t->condition);
    if (!t->first || !t->input || !t->power || !t->target || !t->weight || !t->condition) {
        bl_fail(e, BL_ENOMEM, "no memory for training");
        goto fail;
    }
    t->first[0] = 0;
    for (int i = 0; i < phrases->n; i++)
        t->first[i + 1] = t->first[i] + (phrases->phrases[i].held_out ? 0 : phrases->phrases[i].n_frames);
    if (t->first[phrases->n] < 1) {
        bl_fail(e, BL_EFORMAT, "the dataset has no phrase to train on");
        goto fail;
    }
    scale_to(model, phrases);
    if (nn_trainer_start(&t->run, model->params, &t->set.run, seed ^ 0x74656d70u, e) != BL_OK)
        goto fail;
    return t;
fail:
    blocks_temporal_trainer_free(t);
    return NULL;
}

void blocks_temporal_trainer_free(blocks_temporal_trainer *t)
{
    if (!t)
        return;
    nn_trainer_free(&t->run);
    free(t->first);
    free(t->input);
    free(t->power);
    free(t->target);
    free(t->weight);
    free(t->condition);
    free(t);
}

/* ---- a step ---- */

static void fill_example(blocks_temporal_trainer *t, int b)
{
    const blocks_temporal *m = t->t;
    const int N = t->set.n_frames, n_bands = m->n_bands;
    const double floor = BLOCKS_TEMPORAL_FLOOR * BLOCKS_TEMPORAL_FLOOR;
    int64_t at;
    const int which = bl_rng_pick(&t->run.rng, t->first, t->phrases->n, &at);
    const blocks_phrase *q = &t->phrases->phrases[which];
    if (at > q->n_frames - N)
        at = q->n_frames > N ? q->n_frames - N : 0;
    for (int k = 0; k < n_bands; k++)
        for (int j = 0; j < N; j++) {
            const int64_t to = ((int64_t)b * n_bands + k) * N + j;
            const int inside = at + j < q->n_frames;
            const double x = inside ? (double)q->degraded[k * q->n_frames + at + j] : log(BLOCKS_TEMPORAL_FLOOR);
            t->input[to] = (float)((blocks_temporal_relative(x, q->level) - (double)m->mean[k]) * (double)m->scale[k]);
            t->power[to] = (float)fmax(0, exp(2 * x) - floor);
            t->target[to] = inside ? q->target[k * q->n_frames + at + j] : (float)log(BLOCKS_TEMPORAL_FLOOR);
        }
    for (int j = 0; j < N; j++)
        t->weight[(int64_t)b * N + j] =
            at + j < q->n_frames ? 1 + (float)(t->set.transition_weight - 1) * q->weight[at + j] : 0;
    memset(t->condition + (int64_t)b * m->n_instruments, 0, (size_t)m->n_instruments * sizeof *t->condition);
    if (bl_rng_uniform(&t->run.rng) >= t->set.condition_dropout && q->instrument >= 0)
        t->condition[(int64_t)b * m->n_instruments + q->instrument] = 1;
}

/* Weighted mean of |ln(gain X) - ln Y|; log_gain NULL: gain 1. */
static nn_node *distance(blocks_temporal_trainer *t, nn_tape *tape, nn_node *log_gain, double weight_sum)
{
    const int64_t B = t->set.batch_size, N = t->set.n_frames, n_bands = t->t->n_bands;
    const double floor = BLOCKS_TEMPORAL_FLOOR * BLOCKS_TEMPORAL_FLOOR;
    const nn_shape shape = { 3, { B, n_bands, N } };
    nn_node *power = nn_input(tape, shape, t->power);
    if (log_gain)
        power = nn_mul(tape, power, nn_exp(tape, nn_affine(tape, log_gain, 2, 0)));
    nn_node *made = nn_affine(tape, nn_log(tape, nn_affine(tape, power, 1, floor)), 0.5, 0);
    nn_node *off = nn_abs(tape, nn_sub(tape, made, nn_input(tape, shape, t->target)));
    nn_node *weighted = nn_mul(tape, off, nn_input(tape, (nn_shape){ 3, { B, 1, N } }, t->weight));
    return nn_affine(tape, nn_sum(tape, weighted), 1 / (weight_sum * (double)n_bands), 0);
}

/* Adds the gradients of one batch, and its losses to losses[]. */
static bl_status learn_batch(void *user, double *losses, bl_error *err)
{
    blocks_temporal_trainer *t = user;
    const int64_t B = t->set.batch_size, N = t->set.n_frames;
    nn_tape *tape = t->run.tape;
    double weight_sum = 1e-6;

    for (int b = 0; b < B && !tape->dry; b++)
        fill_example(t, b);
    for (int64_t i = 0; i < B * N; i++)
        weight_sum += (double)t->weight[i];
    nn_tape_reset(tape);
    nn_node *log_gain = blocks_temporal_forward(t->t, tape, nn_input(tape, (nn_shape){ 3, { B, t->t->n_bands, N } }, t->input),
                                                nn_input(tape, (nn_shape){ 2, { B, t->t->n_instruments } }, t->condition));
    nn_node *untouched = distance(t, tape, NULL, weight_sum), *loss = distance(t, tape, log_gain, weight_sum);
    nn_keep(untouched);
    nn_keep(loss);
    nn_backward(tape, loss);
    if (tape->err.code)
        return bl_fail(err, tape->err.code, "%s", tape->err.msg);
    losses[0] = nn_scalar(loss);
    losses[1] = nn_scalar(untouched);
    return BL_OK;
}

void blocks_temporal_trainer_plan(blocks_temporal_trainer *t, nn_plan *plan)
{
    nn_trainer_plan(&t->run, learn_batch, t, plan);
}

bl_status blocks_temporal_trainer_step(blocks_temporal_trainer *t, double losses[2], double *gradient_norm, bl_error *err)
{
    return nn_trainer_step(&t->run, learn_batch, t, losses, 2, &t->t->step, gradient_norm, err);
}

/* ---- figures ---- */

/* Complex spectrum [F, T] pairs and its magnitudes [F, T] of a wave. */
static bl_status spectrum_of(audio_stft *stft, const float *x, int64_t n, float **spectrum, float **magnitude, bl_error *err)
{
    const int64_t F = audio_stft_bins(stft), T = audio_stft_frames(stft, n);
    *spectrum = malloc(2 * (size_t)F * (size_t)T * sizeof **spectrum);
    *magnitude = malloc((size_t)F * (size_t)T * sizeof **magnitude);
    if (!*spectrum || !*magnitude)
        return bl_fail(err, BL_ENOMEM, "no memory for a spectrogram");
    if (audio_stft_run(stft, x, n, *spectrum, err) != BL_OK)
        return err->code;
    for (int64_t i = 0; i < F * T; i++)
        (*magnitude)[i] = hypotf((*spectrum)[2 * i], (*spectrum)[2 * i + 1]);
    return BL_OK;
}

typedef struct distances {
    double sum, n, transitions, n_transitions;
} distances;

/* Log-spectral distance frame by frame, where either sounds. */
static void measure(const float *x, const float *y, int64_t F, int64_t T, const float *transition, distances *d)
{
    const double e = BLOCKS_TEMPORAL_FLOOR * (double)(F - 1) / 2;
    for (int64_t t = 0; t < T; t++) {
        double squares = 0, loudest = 0;
        for (int64_t f = 0; f < F; f++) {
            const double db = 20 * log10(((double)x[f * T + t] + e) / ((double)y[f * T + t] + e));
            squares += db * db;
            loudest = fmax(loudest, fmax((double)x[f * T + t], (double)y[f * T + t]));
        }
        if (loudest < 2 * e)
            continue;
        const double distance = sqrt(squares / (double)F);
        d->sum += distance;
        d->n++;
        if (transition[t] > 0) {
            d->transitions += distance;
            d->n_transitions++;
        }
    }
}

typedef struct totals {
    distances before, after, ceiling;
} totals;

/* x becomes what the best gains of this form, a gain of at most 4 per band and frame, make of it. */
static bl_status apply_best_gains(const blocks_temporal *t, float *x, const float *y, int64_t F, int64_t T, bl_error *err)
{
    const size_t n = (size_t)t->n_bands * (size_t)T;
    float *is = malloc(n * sizeof *is), *wanted = malloc(n * sizeof *wanted);
    bl_status status = is && wanted ? BL_OK : bl_fail(err, BL_ENOMEM, "no memory for %lld frames", (long long)T);
    if (status == BL_OK)
        status = blocks_temporal_bands(t, x, F, T, t->sample_rate, is, err);
    if (status == BL_OK)
        status = blocks_temporal_bands(t, y, F, T, t->sample_rate, wanted, err);
    for (size_t i = 0; status == BL_OK && i < n; i++)
        wanted[i] = fminf(4, expf(wanted[i] - is[i]));
    if (status == BL_OK)
        status = blocks_temporal_apply(t, wanted, x, F, T, t->sample_rate, err);
    free(is);
    free(wanted);
    return status;
}

static bl_status score_phrase(blocks_temporal_trainer *t, audio_stft *stft, const blocks_phrase *q, totals *sum, bl_error *err)
{
    const int64_t F = audio_stft_bins(stft), T = audio_stft_frames(stft, q->n_samples);
    float *spectrum = NULL, *x = NULL, *other = NULL, *y = NULL, *best = malloc((size_t)F * (size_t)T * sizeof *best);
    const char *name = q->instrument >= 0 ? t->t->instruments[q->instrument] : NULL;
    bl_status status = best ? BL_OK : bl_fail(err, BL_ENOMEM, "no memory for a spectrogram");
    if (status == BL_OK)
        status = spectrum_of(stft, q->degraded_wave, q->n_samples, &spectrum, &x, err);
    if (status == BL_OK)
        status = spectrum_of(stft, q->target_wave, q->n_samples, &other, &y, err);
    if (status == BL_OK) {
        memcpy(best, x, (size_t)F * (size_t)T * sizeof *x);
        measure(x, y, F, T, q->weight, &sum->before);
        status = blocks_temporal_run(t->t, name, x, F, T, t->t->sample_rate, err);
    }
    if (status == BL_OK) {
        measure(x, y, F, T, q->weight, &sum->after);
        status = apply_best_gains(t->t, best, y, F, T, err);
    }
    if (status == BL_OK)
        measure(best, y, F, T, q->weight, &sum->ceiling);
    free(spectrum);
    free(x);
    free(other);
    free(y);
    free(best);
    return status;
}

static audio_stft *stft_of(const blocks_temporal *t, bl_error *err)
{
    return audio_stft_new(&(audio_stft_config){ t->n_fft, t->hop_length, t->n_fft, AUDIO_PAD_ZERO }, err);
}

static double mean_of(double sum, double n)
{
    return n > 0 ? sum / n : 0;
}

bl_status blocks_temporal_trainer_validate(blocks_temporal_trainer *t, blocks_temporal_score *score, bl_error *err)
{
    totals sum = { { 0, 0, 0, 0 }, { 0, 0, 0, 0 }, { 0, 0, 0, 0 } };
    audio_stft *stft = stft_of(t->t, err);
    bl_status status = stft ? BL_OK : BL_ENOMEM;

    memset(score, 0, sizeof *score);
    nn_trainer_swap(&t->run);
    for (int i = 0; status == BL_OK && i < t->phrases->n; i++)
        if (t->phrases->phrases[i].held_out) {
            status = score_phrase(t, stft, &t->phrases->phrases[i], &sum, err);
            score->n_phrases++;
        }
    nn_trainer_swap(&t->run);
    audio_stft_free(stft);
    score->before = mean_of(sum.before.sum, sum.before.n);
    score->after = mean_of(sum.after.sum, sum.after.n);
    score->ceiling = mean_of(sum.ceiling.sum, sum.ceiling.n);
    score->transitions_before = mean_of(sum.before.transitions, sum.before.n_transitions);
    score->transitions_after = mean_of(sum.after.transitions, sum.after.n_transitions);
    score->transitions_ceiling = mean_of(sum.ceiling.transitions, sum.ceiling.n_transitions);
    if (status == BL_OK && score->n_phrases)
        nn_schedule_watch(&t->run.schedule, score->after);
    return status;
}

bl_status blocks_temporal_trainer_example(blocks_temporal_trainer *t, int i, const blocks_phrase **phrase, float **repaired,
                                          bl_error *err)
{
    const blocks_phrase *q = NULL;
    float *spectrum = NULL, *magnitude = NULL, *out = NULL;
    *repaired = NULL;
    *phrase = NULL;
    for (int k = 0; k < t->phrases->n && !q; k++)
        if (t->phrases->phrases[k].held_out && i-- == 0)
            q = &t->phrases->phrases[k];
    if (!q)
        return BL_OK;
    audio_stft *stft = stft_of(t->t, err);
    bl_status status = stft ? spectrum_of(stft, q->degraded_wave, q->n_samples, &spectrum, &magnitude, err) : BL_ENOMEM;
    const int64_t F = t->t->n_fft / 2 + 1, T = stft ? audio_stft_frames(stft, q->n_samples) : 0;
    if (status == BL_OK) {
        nn_trainer_swap(&t->run);
        status = blocks_temporal_run(t->t, q->instrument >= 0 ? t->t->instruments[q->instrument] : NULL, magnitude, F, T,
                                     t->t->sample_rate, err);
        nn_trainer_swap(&t->run);
    }
    if (status == BL_OK && !(out = malloc((size_t)q->n_samples * sizeof *out)))
        status = bl_fail(err, BL_ENOMEM, "no memory for a preview");
    for (int64_t k = 0; status == BL_OK && k < F * T; k++) {
        const float was = hypotf(spectrum[2 * k], spectrum[2 * k + 1]), gain = was > 0 ? magnitude[k] / was : 0;
        spectrum[2 * k] *= gain;
        spectrum[2 * k + 1] *= gain;
    }
    if (status == BL_OK)
        status = audio_stft_inverse(stft, spectrum, q->n_samples, out, err);
    if (status == BL_OK) {
        *repaired = out;
        *phrase = q;
    } else {
        free(out);
    }
    audio_stft_free(stft);
    free(spectrum);
    free(magnitude);
    return status;
}

/* ---- checkpoints ---- */

bl_status blocks_temporal_trainer_put(const blocks_temporal_trainer *t, int with_optimizer, nn_checkpoint *c, bl_error *err)
{
    nn_checkpoint_put_int(c, "step", t->t->step, err);
    if (!with_optimizer)
        nn_trainer_swap(&t->run);
    const bl_status status = blocks_temporal_put(t->t, c, err);
    if (!with_optimizer)
        nn_trainer_swap(&t->run);
    return status == BL_OK && with_optimizer ? nn_trainer_save(&t->run, c, err) : status;
}

bl_status blocks_temporal_trainer_get(blocks_temporal_trainer *t, const nn_checkpoint *c, bl_error *err)
{
    return nn_trainer_load(&t->run, c, "temporal", &t->t->step, err);
}
