#include "blocks/feature_extractor_train.h"

#include "base/progress.h"
#include "nn/models/pca.h"
#include "nn/trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- recordings ---- */

bl_status blocks_mel_clips_add(blocks_mel_clips *c, float *mel, int64_t n_frames, int song, int is_song, int held_out,
                               bl_error *err)
{
    if (c->n == c->capacity) {
        const int capacity = c->capacity ? 2 * c->capacity : 64;
        blocks_mel_clip *more = realloc(c->clips, (size_t)capacity * sizeof *more);
        if (!more) {
            free(mel);
            return bl_fail(err, BL_ENOMEM, "no memory for %d recordings", capacity);
        }
        c->clips = more;
        c->capacity = capacity;
    }
    c->clips[c->n++] = (blocks_mel_clip){ mel, n_frames, song, is_song, held_out };
    *(held_out ? &c->n_held_out_frames : &c->n_training_frames) += n_frames;
    return BL_OK;
}

void blocks_mel_clips_free(blocks_mel_clips *c)
{
    for (int i = 0; i < c->n; i++)
        free(c->clips[i].mel);
    free(c->clips);
    memset(c, 0, sizeof *c);
}

bl_status blocks_mel_clips_standardise(blocks_mel_clips *c, blocks_feature_extractor *fx, bl_error *err)
{
    const int M = fx->n_mels;
    if (c->n_training_frames < 2)
        return bl_fail(err, BL_EFORMAT, "the dataset has not enough sound to train on");
    for (int m = 0; m < M; m++) {
        double sum = 0, squares = 0, n = (double)c->n_training_frames;
        for (int i = 0; i < c->n; i++)
            for (int64_t t = 0; !c->clips[i].held_out && t < c->clips[i].n_frames; t++)
                sum += (double)c->clips[i].mel[m * c->clips[i].n_frames + t];
        for (int i = 0; i < c->n; i++)
            for (int64_t t = 0; !c->clips[i].held_out && t < c->clips[i].n_frames; t++) {
                const double d = (double)c->clips[i].mel[m * c->clips[i].n_frames + t] - sum / n;
                squares += d * d;
            }
        const double deviation = sqrt(squares / n);
        fx->mel_mean[m] = (float)(sum / n);
        fx->mel_scale[m] = (float)(1 / (deviation > 1 ? deviation : 1)); /* a silent band must not turn into noise */
    }
    for (int i = 0; i < c->n; i++)
        for (int m = 0; m < M; m++) {
            float *row = c->clips[i].mel + m * c->clips[i].n_frames;
            for (int64_t t = 0; t < c->clips[i].n_frames; t++)
                row[t] = (row[t] - fx->mel_mean[m]) * fx->mel_scale[m];
        }
    return BL_OK;
}

typedef struct collecting {
    blocks_feature_extractor *fx;
    data_dataset     *dataset;
    blocks_mel_clips *clips;
    int64_t           room[2];  /* frames that may still be kept: for training, held out */
} collecting;

/* A file that cannot be read is skipped (the dataset has said why); memory and numbers are errors. */
static bl_status add_file(collecting *c, const char *path, int song, int is_song, int held_out, bl_error *err)
{
    bl_error local = { 0 };
    const audio_clip *clip = data_dataset_audio(c->dataset, path, c->fx->sample_rate, &local);
    float *mel = NULL;
    int64_t T = 0;
    if (!clip)
        return local.code == BL_ENOMEM ? bl_fail(err, BL_ENOMEM, "%s", local.msg) : BL_OK;
    if (blocks_feature_extractor_mel(c->fx, clip->samples, clip->n_samples, clip->sample_rate, &mel, &T, &local) != BL_OK) {
        if (local.code == BL_ENOMEM)
            return bl_fail(err, BL_ENOMEM, "%s", local.msg);
        data_dataset_skip(c->dataset, path, local.msg);
        return BL_OK;
    }
    c->room[held_out] -= T;
    return blocks_mel_clips_add(c->clips, mel, T, song, is_song, held_out, err);
}

static bl_status add_song(collecting *c, int i, int with_stems, bl_error *err)
{
    enum { MOST = 32 };
    const data_song *song = &c->dataset->songs[i];
    const int held_out = song->split == DATA_VALIDATION;
    const char *paths[MOST];
    int n = 0;
    bl_status status = BL_OK;

    if (c->room[held_out] <= 0)
        return BL_OK;
    if (song->mixture)
        paths[n++] = song->mixture;
    for (int k = 0; (with_stems || !song->mixture) && k < song->n_stems && n < MOST; k++)
        if (!song->mixture || strcmp(song->stems[k].path, song->mixture))
            paths[n++] = song->stems[k].path;
    data_dataset_prefetch(c->dataset, paths, n, c->fx->sample_rate);
    for (int k = 0; status == BL_OK && k < n; k++)
        status = add_file(c, paths[k], i, song->mixture ? k == 0 : song->n_stems <= 1, held_out, err);
    return status;
}

bl_status blocks_mel_clips_collect(blocks_feature_extractor *fx, data_dataset *dataset, double max_minutes, int with_stems,
                                   int keep_scaling, uint64_t seed, int quiet, blocks_mel_clips *clips, bl_error *err)
{
    const double frames = max_minutes * 60 / fx->hop_s;
    collecting c = { fx, dataset, clips, { (int64_t)frames, (int64_t)(frames / 8) + 1 } };
    int64_t *order = malloc((size_t)dataset->n_songs * sizeof *order);
    float *mean = fx->mel_mean, *scale = fx->mel_scale;
    bl_status status = BL_OK;
    bl_progress progress;
    bl_rng rng;

    memset(clips, 0, sizeof *clips);
    clips->n_mels = fx->n_mels;
    if (!order)
        return bl_fail(err, BL_ENOMEM, "no memory for %d songs", dataset->n_songs);
    for (int i = 0; i < dataset->n_songs; i++)
        order[i] = i;
    bl_rng_seed(&rng, seed ^ 0x6d656c73u);
    bl_rng_shuffle(&rng, order, dataset->n_songs);
    for (int m = 0; !keep_scaling && m < fx->n_mels; m++) {
        mean[m] = 0;
        scale[m] = 1;
    }
    bl_progress_start(&progress, "measuring", "songs", dataset->n_songs, quiet);
    for (int i = 0; status == BL_OK && i < dataset->n_songs && !bl_interrupted(); i++) {
        status = add_song(&c, (int)order[i], with_stems, err);
        bl_progress_step(&progress, i + 1, "");
    }
    bl_progress_end(&progress);
    if (status == BL_OK && bl_interrupted())
        status = bl_fail(err, BL_ESTOP, "interrupted while the dataset was read; nothing was written");
    if (status == BL_OK && clips->n == 0)
        status = bl_fail(err, BL_EFORMAT, "%s: no file of it could be read", dataset->path);
    if (status == BL_OK && !keep_scaling)
        status = blocks_mel_clips_standardise(clips, fx, err);
    if (status != BL_OK)
        blocks_mel_clips_free(clips);
    free(order);
    return status;
}

/* ---- the trainer ---- */

typedef struct settings {
    int    batch_size, n_frames;
    double noise, gain_db;
    nn_trainer_config run;
    nn_loss loss;
} settings;

static bl_status read_settings(const bl_config *c, settings *s, bl_error *err)
{
    s->batch_size = (int)bl_config_int(c, "autoencoder", "batch_size", 16, 1, 4096, err);
    s->n_frames = (int)bl_config_int(c, "autoencoder", "segment_frames", 96, 4, 16384, err);
    s->noise = bl_config_real(c, "autoencoder", "noise", 0.02, 0, 10, err);
    s->gain_db = bl_config_real(c, "autoencoder", "gain_db", 6, 0, 60, err);
    nn_trainer_read(c, "autoencoder", 4000, 800, -1, &s->run, err);
    nn_loss_read(c, "autoencoder", "loss", "mse", NN_LOSS_DISTANCE, &s->loss, err);
    return err->code;
}

struct blocks_autoencoder_trainer {
    blocks_feature_extractor *fx;
    const blocks_mel_clips   *clips;
    nn_trainer    run;
    int64_t      *first;        /* [n clips + 1] training frames before each clip */
    int           batch_size, n_frames;
    settings      set;
    float        *batch, *target;
    nn_pca        pca;          /* fitted at the first validation */
};

bl_status blocks_autoencoder_settings_read(const blocks_feature_extractor *fx, bl_error *err)
{
    settings s;
    return read_settings(fx->config, &s, err);
}

blocks_autoencoder_trainer *blocks_autoencoder_trainer_new(blocks_feature_extractor *fx, const blocks_mel_clips *clips,
                                                           uint64_t seed, bl_error *err)
{
    blocks_autoencoder_trainer *t = calloc(1, sizeof *t);
    bl_error local = { 0 };
    bl_error *e = err ? err : &local;

    if (!t) {
        bl_fail(e, BL_ENOMEM, "no memory for training");
        return NULL;
    }
    t->fx = fx;
    t->clips = clips;
    if (read_settings(fx->config, &t->set, e) != BL_OK)
        goto fail;
    t->batch_size = t->set.batch_size;
    t->n_frames = t->set.n_frames;
    const size_t n = (size_t)t->batch_size * (size_t)fx->n_mels * (size_t)t->n_frames;
    t->batch = malloc(n * sizeof *t->batch);
    t->target = malloc(n * sizeof *t->target);
    t->first = malloc((size_t)(clips->n + 1) * sizeof *t->first);
    if (!t->batch || !t->target || !t->first) {
        bl_fail(e, BL_ENOMEM, "no memory for training");
        goto fail;
    }
    t->first[0] = 0;
    for (int i = 0; i < clips->n; i++)
        t->first[i + 1] = t->first[i] + (clips->clips[i].held_out ? 0 : clips->clips[i].n_frames);
    if (t->first[clips->n] < 1) {
        bl_fail(e, BL_EFORMAT, "the dataset has no sound to train on");
        goto fail;
    }
    if (nn_trainer_start(&t->run, fx->params, &t->set.run, seed ^ 0x6175746fu, e) != BL_OK)
        goto fail;
    return t;
fail:
    blocks_autoencoder_trainer_free(t);
    return NULL;
}

void blocks_autoencoder_trainer_free(blocks_autoencoder_trainer *t)
{
    if (!t)
        return;
    nn_trainer_free(&t->run);
    nn_pca_free(&t->pca);
    free(t->first);
    free(t->batch);
    free(t->target);
    free(t);
}

/* The lowest value of band m: silence. */
static double lowest(const blocks_feature_extractor *fx, int m)
{
    return (fx->floor_db - (double)fx->mel_mean[m]) * (double)fx->mel_scale[m];
}

/* Every training frame is as likely as any other to be the first of a stretch; what lies behind the end is silence. */
static void draw_batch(blocks_autoencoder_trainer *t)
{
    const blocks_feature_extractor *fx = t->fx;
    const int M = fx->n_mels, N = t->n_frames;
    for (int b = 0; b < t->batch_size; b++) {
        int64_t at;
        const int which = bl_rng_pick(&t->run.rng, t->first, t->clips->n, &at);
        const blocks_mel_clip *clip = &t->clips->clips[which];
        if (clip->n_frames >= N && at > clip->n_frames - N)
            at = clip->n_frames - N;
        const double gain_db = t->set.gain_db * (2 * bl_rng_uniform(&t->run.rng) - 1);
        for (int m = 0; m < M; m++) {
            const double gain = gain_db * (double)fx->mel_scale[m], floor = lowest(fx, m);
            float *row = t->target + ((int64_t)b * M + m) * N;
            for (int j = 0; j < N; j++) {
                const double v = at + j < clip->n_frames ? (double)clip->mel[m * clip->n_frames + at + j] + gain : floor;
                row[j] = (float)(v > floor ? v : floor);
            }
        }
    }
    for (int64_t i = 0; i < (int64_t)t->batch_size * M * N; i++)
        t->batch[i] = t->target[i] + (t->set.noise > 0 ? (float)(t->set.noise * bl_rng_normal(&t->run.rng)) : 0);
}

static bl_status learn_batch(void *user, double *loss, bl_error *err)
{
    blocks_autoencoder_trainer *t = user;
    const nn_shape shape = { 3, { t->batch_size, t->fx->n_mels, t->n_frames } };
    if (!t->run.tape->dry)
        draw_batch(t);
    nn_tape_reset(t->run.tape);
    nn_node *y = blocks_feature_extractor_forward(t->fx, t->run.tape, nn_input(t->run.tape, shape, t->batch), NULL);
    nn_node *distance = nn_keep(nn_loss_run(t->run.tape, &t->set.loss, y, nn_input(t->run.tape, shape, t->target)));
    nn_backward(t->run.tape, distance);
    if (t->run.tape->err.code)
        return bl_fail(err, t->run.tape->err.code, "%s", t->run.tape->err.msg);
    *loss = nn_scalar(distance);
    return BL_OK;
}

void blocks_autoencoder_trainer_plan(blocks_autoencoder_trainer *t, nn_plan *plan)
{
    nn_trainer_plan(&t->run, learn_batch, t, plan);
}

bl_status blocks_autoencoder_trainer_step(blocks_autoencoder_trainer *t, double *loss, double *gradient_norm, bl_error *err)
{
    return nn_trainer_step(&t->run, learn_batch, t, loss, 1, &t->fx->step, gradient_norm, err);
}

/* ---- figures ---- */

/* Reconstruction of a clip's first T frames, [n_mels, T], and optionally its raw code [D, T]; borrowed until the next reset. */
static bl_status reconstruct(blocks_autoencoder_trainer *t, const blocks_mel_clip *clip, const real **made, const real **code,
                             bl_error *err)
{
    nn_tape *tape = t->fx->tape;
    nn_node *c = NULL;
    nn_tape_reset(tape);
    nn_node *y = blocks_feature_extractor_forward(
        t->fx, tape, nn_input(tape, (nn_shape){ 3, { 1, t->fx->n_mels, clip->n_frames } }, clip->mel), &c);
    if (tape->err.code)
        return bl_fail(err, tape->err.code, "%s", tape->err.msg);
    *made = y->x;
    if (code)
        *code = c->x;
    return BL_OK;
}

/* Rows of frames [.., n_mels] of the training or of the held-out clips, evenly thinned to at most `most`. */
static float *frame_rows(const blocks_mel_clips *clips, int held_out, int64_t most, int64_t *n)
{
    const int64_t all = held_out ? clips->n_held_out_frames : clips->n_training_frames;
    const int64_t step = all / most + 1;
    float *rows = malloc((size_t)(all / step + 1) * (size_t)clips->n_mels * sizeof *rows);
    int64_t at = 0;
    *n = 0;
    for (int i = 0; rows && i < clips->n; i++)
        for (int64_t t = 0; clips->clips[i].held_out == held_out && t < clips->clips[i].n_frames; t++)
            if (at++ % step == 0) {
                for (int m = 0; m < clips->n_mels; m++)
                    rows[*n * clips->n_mels + m] = clips->clips[i].mel[m * clips->clips[i].n_frames + t];
                ++*n;
            }
    return rows;
}

/* The baselines do not change while the network learns. */
static bl_status fit_pca(blocks_autoencoder_trainer *t, bl_error *err)
{
    enum { MOST_ROWS = 200000 };
    int64_t n = 0;
    float *rows = frame_rows(t->clips, 0, MOST_ROWS, &n);
    bl_status status = rows ? BL_OK : bl_fail(err, BL_ENOMEM, "no memory for the PCA");
    const int rank = t->fx->dim < t->fx->n_mels ? t->fx->dim : t->fx->n_mels;
    if (status == BL_OK)
        status = nn_pca_fit(&t->pca, rows, n, t->fx->n_mels, rank, err);
    free(rows);
    return status;
}

bl_status blocks_autoencoder_trainer_validate(blocks_autoencoder_trainer *t, blocks_autoencoder_score *score, bl_error *err)
{
    const blocks_feature_extractor *fx = t->fx;
    const int held_out = t->clips->n_held_out_frames > 0, M = fx->n_mels;
    double sum = 0, sum_db = 0, pca = 0, mean = 0, n = 0;

    memset(score, 0, sizeof *score);
    if (!t->pca.mean && fit_pca(t, err) != BL_OK)
        return err->code;
    for (int i = 0; i < t->clips->n; i++) {
        const blocks_mel_clip *clip = &t->clips->clips[i];
        const real *made = NULL;
        if (clip->held_out != held_out || clip->n_frames < 1)
            continue;
        if (reconstruct(t, clip, &made, NULL, err) != BL_OK)
            return err->code;
        for (int m = 0; m < M; m++) {
            double band = 0;
            for (int64_t k = m * clip->n_frames; k < (m + 1) * clip->n_frames; k++)
                band += ((double)made[k] - (double)clip->mel[k]) * ((double)made[k] - (double)clip->mel[k]);
            sum += band;
            sum_db += band / ((double)fx->mel_scale[m] * (double)fx->mel_scale[m]);
        }
        n += (double)clip->n_frames * M;
        score->n_frames += clip->n_frames;
    }
    /* The PCA on exactly the same frames, clip by clip. */
    for (int i = 0; i < t->clips->n; i++) {
        const blocks_mel_clip *clip = &t->clips->clips[i];
        if (clip->held_out != held_out || clip->n_frames < 1)
            continue;
        float *rows = malloc((size_t)clip->n_frames * (size_t)M * sizeof *rows);
        if (!rows)
            return bl_fail(err, BL_ENOMEM, "no memory for the PCA");
        for (int64_t k = 0; k < clip->n_frames * M; k++)
            rows[k] = clip->mel[k % M * clip->n_frames + k / M];
        pca += nn_pca_error(&t->pca, rows, clip->n_frames, t->pca.rank) * (double)clip->n_frames * M;
        mean += nn_pca_error(&t->pca, rows, clip->n_frames, 0) * (double)clip->n_frames * M;
        free(rows);
    }
    score->reconstruction = sum / n;
    score->in_db2 = sum_db / n;
    score->pca = pca / n;
    score->mean = mean / n;
    nn_schedule_watch(&t->run.schedule, score->reconstruction);
    return BL_OK;
}

bl_status blocks_autoencoder_trainer_example(blocks_autoencoder_trainer *t, int i, int64_t max_frames, float **truth,
                                             float **made, int64_t *n_frames, bl_error *err)
{
    const blocks_feature_extractor *fx = t->fx;
    const int held_out = t->clips->n_held_out_frames > 0;
    const real *y = NULL;
    int found = -1;
    *truth = *made = NULL;
    *n_frames = 0;
    for (int k = 0, seen = 0; k < t->clips->n && found < 0; k++)
        if (t->clips->clips[k].held_out == held_out && t->clips->clips[k].is_song && seen++ == i)
            found = k;
    if (found < 0)
        return BL_OK;
    const blocks_mel_clip *clip = &t->clips->clips[found];
    const int64_t T = clip->n_frames < max_frames ? clip->n_frames : max_frames;
    if (reconstruct(t, clip, &y, NULL, err) != BL_OK)
        return err->code;
    *truth = malloc((size_t)fx->n_mels * (size_t)T * sizeof **truth);
    *made = malloc((size_t)fx->n_mels * (size_t)T * sizeof **made);
    if (!*truth || !*made) {
        free(*truth);
        free(*made);
        *truth = *made = NULL;
        return bl_fail(err, BL_ENOMEM, "no memory for a preview");
    }
    for (int m = 0; m < fx->n_mels; m++)
        for (int64_t k = 0; k < T; k++) {
            (*truth)[m * T + k] = clip->mel[m * clip->n_frames + k] / fx->mel_scale[m] + fx->mel_mean[m];
            (*made)[m * T + k] = (float)y[m * clip->n_frames + k] / fx->mel_scale[m] + fx->mel_mean[m];
        }
    *n_frames = T;
    return BL_OK;
}

/* ---- scalings ---- */

/* Sums over the sounding frames of a clip; a silent one adds nothing. */
static int64_t add_latents(const blocks_feature_extractor *fx, const blocks_mel_clip *clip, const real *code, double *sum,
                           double *squares)
{
    const int64_t T = clip->n_frames;
    int64_t n = 0;
    for (int64_t t = 0; t < T; t++) {
        int sounding = 0;
        for (int m = 0; m < fx->n_mels && !sounding; m++)
            sounding = (double)clip->mel[m * T + t] > lowest(fx, m) + (double)fx->mel_scale[m];
        for (int d = 0; d < fx->dim && sounding; d++) {
            sum[d] += (double)code[d * T + t];
            squares[d] += (double)code[d * T + t] * (double)code[d * T + t];
        }
        n += sounding;
    }
    return n;
}

static void set_scaling(float *mean, float *scale, const double *sum, const double *squares, int64_t n, int dim, double least)
{
    for (int d = 0; d < dim; d++) {
        const double m = n > 0 ? sum[d] / (double)n : 0, v = n > 0 ? squares[d] / (double)n - m * m : 1;
        mean[d] = (float)m;
        scale[d] = (float)(1 / (v > least * least ? sqrt(v) : least));
    }
}

bl_status blocks_autoencoder_trainer_scale(blocks_autoencoder_trainer *t, bl_error *err)
{
    blocks_feature_extractor *fx = t->fx;
    const int D = fx->dim;
    double *s = calloc(6 * (size_t)D, sizeof *s), *squares = s + D, *one = s + 2 * D, *one_squares = s + 3 * D;
    double *songs = s + 4 * D, *songs_squares = s + 5 * D;
    float *means = malloc((size_t)(t->clips->n + 1) * (size_t)D * sizeof *means);
    int64_t n = 0, n_songs = 0;
    bl_status status = s && means ? BL_OK : bl_fail(err, BL_ENOMEM, "no memory for the scalings");

    for (int i = 0; status == BL_OK && i < t->clips->n; i++) {
        const blocks_mel_clip *clip = &t->clips->clips[i];
        const real *made = NULL, *code = NULL;
        if (clip->held_out || clip->n_frames < 1)
            continue;
        if ((status = reconstruct(t, clip, &made, &code, err)) != BL_OK)
            break;
        memset(one, 0, 2 * (size_t)D * sizeof *one);
        const int64_t k = add_latents(fx, clip, code, one, one_squares);
        for (int d = 0; d < D; d++) {
            s[d] += one[d];
            squares[d] += one_squares[d];
            if (clip->is_song && k > 0)
                means[n_songs * D + d] = (float)(one[d] / (double)k);
        }
        n_songs += clip->is_song && k > 0;
        n += k;
    }
    if (status == BL_OK) {
        set_scaling(fx->latent_mean, fx->latent_scale, s, squares, n, D, 1e-6);
        for (int64_t i = 0; i < n_songs; i++)
            for (int d = 0; d < D; d++) {
                const double v = ((double)means[i * D + d] - (double)fx->latent_mean[d]) * (double)fx->latent_scale[d];
                songs[d] += v;
                songs_squares[d] += v * v;
            }
        /* Songs that are all alike leave the context near zero instead of blowing up what little differs. */
        set_scaling(fx->context_mean, fx->context_scale, songs, songs_squares, n_songs, D, 0.05);
    }
    free(s);
    free(means);
    return status;
}

/* ---- checkpoints ---- */

bl_status blocks_autoencoder_trainer_put(blocks_autoencoder_trainer *t, int with_optimizer, nn_checkpoint *c, bl_error *err)
{
    if (blocks_autoencoder_trainer_scale(t, err) != BL_OK)
        return err->code;
    nn_checkpoint_put_int(c, "step", t->fx->step, err);
    if (blocks_feature_extractor_put(t->fx, "config", c, err) != BL_OK || !with_optimizer)
        return err->code;
    return nn_trainer_save(&t->run, c, err);
}

bl_status blocks_autoencoder_trainer_get(blocks_autoencoder_trainer *t, const nn_checkpoint *c, bl_error *err)
{
    return nn_trainer_load(&t->run, c, "autoencoder", &t->fx->step, err);
}
