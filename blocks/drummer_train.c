#include "blocks/drummer_train.h"

#include "nn/trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct settings {
    int    batch_size, n_strokes;
    double accents, any_style, tune;
    nn_trainer_config run;
} settings;

static bl_status read_settings(const bl_config *c, settings *s, bl_error *err)
{
    static const char section[] = "drummer_training";
    s->batch_size = (int)bl_config_int(c, section, "batch_size", 16, 1, 4096, err);
    s->n_strokes = (int)bl_config_int(c, section, "segment_strokes", 80, 4, 100000, err);
    s->accents = bl_config_real(c, section, "accents", 0.6, 0, 1, err);
    s->any_style = bl_config_real(c, section, "any_style", 0.2, 0, 1, err);
    s->tune = bl_config_real(c, section, "tune", 0.08, 0, 0.9, err);
    nn_trainer_read(c, section, 3000, 0, 0.995, &s->run, err);
    return err->code;
}

bl_status blocks_drummer_settings_read(const blocks_drummer *d, double *tune, bl_error *err)
{
    settings s = { 0 };
    read_settings(d->config, &s, err);
    if (tune)
        *tune = s.tune;
    return err->code;
}

struct blocks_drummer_trainer {
    blocks_drummer          *d;
    const blocks_drum_songs *songs;
    nn_trainer    run;          /* its averages are what is validated and shipped   */
    settings      set;
    int64_t      *first;        /* [n + 1] training strokes before each performance */
    float        *input, *style, *length, *target, *weight;
};

blocks_drummer_trainer *blocks_drummer_trainer_new(blocks_drummer *d, const blocks_drum_songs *songs, uint64_t seed, bl_error *err)
{
    bl_error local = { 0 };
    bl_error *e = err ? err : &local;
    blocks_drummer_trainer *t = calloc(1, sizeof *t);
    if (!t) {
        bl_fail(e, BL_ENOMEM, "no memory for training");
        return NULL;
    }
    t->d = d;
    t->songs = songs;
    if (read_settings(d->config, &t->set, e) != BL_OK)
        goto fail;
    const size_t B = (size_t)t->set.batch_size, n = B * (size_t)t->set.n_strokes;
    t->first = malloc((size_t)(songs->n + 1) * sizeof *t->first);
    t->input = malloc(n * BLOCKS_STROKE_FEATURES * sizeof *t->input);
    t->style = malloc(2 * B * sizeof *t->style);
    t->target = malloc(n * BLOCKS_DRUMMER_TARGETS * sizeof *t->target);
    t->weight = malloc(n * BLOCKS_DRUMMER_TARGETS * sizeof *t->weight);
    if (!t->first || !t->input || !t->style || !t->target || !t->weight) {
        bl_fail(e, BL_ENOMEM, "no memory for training");
        goto fail;
    }
    t->length = t->style + B;
    t->first[0] = 0;
    for (int i = 0; i < songs->n; i++)
        t->first[i + 1] = t->first[i] + (songs->songs[i].part == BLOCKS_DRUM_TRAIN ? songs->songs[i].n : 0);
    if (t->first[songs->n] < 1) {
        bl_fail(e, BL_EFORMAT, "no performance is left to train on: all are held out");
        goto fail;
    }
    if (nn_trainer_start(&t->run, d->params, &t->set.run, seed ^ 0x6472756du, e) != BL_OK)
        goto fail;
    return t;
fail:
    blocks_drummer_trainer_free(t);
    return NULL;
}

void blocks_drummer_trainer_free(blocks_drummer_trainer *t)
{
    if (!t)
        return;
    nn_trainer_free(&t->run);
    free(t->first);
    free(t->input);
    free(t->style);
    free(t->target);
    free(t->weight);
    free(t);
}

/* ---- a step ---- */

void blocks_drummer_loss(nn_tape *tape, nn_node *const y[3], nn_node *target, nn_node *weight, nn_node *sums[2])
{
    /* log N = log weight - log s - ((y - m) / s)^2 / 2 - log(2 pi) / 2 */
    nn_node *z = nn_mul(tape, nn_sub(tape, target, y[1]), nn_exp(tape, nn_affine(tape, y[2], -1, 0)));
    nn_node *log_p = nn_sub(tape, nn_affine(tape, nn_square(tape, z), -0.5, -0.918938533204673), y[2]);
    nn_node *joint = nn_sub(tape, nn_logsumexp(tape, nn_add(tape, log_p, y[0]), 1), nn_logsumexp(tape, y[0], 1));
    nn_node *loss = nn_affine(tape, nn_mul(tape, joint, weight), -1, 0);
    for (int k = 0; k < 2; k++)
        sums[k] = nn_keep(nn_sum(tape, nn_slice(tape, loss, 2, k * MUSIC_DRUM_CLASSES, (k + 1) * MUSIC_DRUM_CLASSES)));
}

static int fill_example(blocks_drummer_trainer *t, int b)
{
    const int64_t N = t->set.n_strokes;
    int64_t at;
    const int which = bl_rng_pick(&t->run.rng, t->first, t->songs->n, &at);
    int hits = 0;
    const blocks_drum_song *song = &t->songs->songs[which];
    const int n = song->n < N ? song->n : (int)N;
    const blocks_stroke *s = song->strokes + bl_rng_below(&t->run.rng, song->n - n + 1);
    const int with_accents = bl_rng_uniform(&t->run.rng) < t->set.accents;
    float *x = t->input + (int64_t)b * BLOCKS_STROKE_FEATURES * N;
    memset(x, 0, sizeof *x * BLOCKS_STROKE_FEATURES * (size_t)N);
    blocks_strokes_features(s, n, with_accents, 0.05 * bl_rng_normal(&t->run.rng), x, N);
    t->style[b] = bl_rng_uniform(&t->run.rng) < t->set.any_style ? 0 : (float)song->style;
    t->length[b] = (float)n;
    float *target = t->target + (int64_t)b * BLOCKS_DRUMMER_TARGETS * N, *weight = t->weight + (int64_t)b * BLOCKS_DRUMMER_TARGETS * N;
    memset(target, 0, sizeof *target * BLOCKS_DRUMMER_TARGETS * (size_t)N);
    memset(weight, 0, sizeof *weight * BLOCKS_DRUMMER_TARGETS * (size_t)N);
    for (int c = 0; c < MUSIC_DRUM_CLASSES; c++)
        for (int i = 0; i < n; i++)
            if (s[i].hit[c]) {
                target[c * N + i] = s[i].velocity[c];
                target[(MUSIC_DRUM_CLASSES + c) * N + i] = s[i].offset[c];
                weight[c * N + i] = weight[(MUSIC_DRUM_CLASSES + c) * N + i] = 1;
                hits++;
            }
    return hits;
}

static bl_status learn_batch(void *user, double *losses, bl_error *err)
{
    blocks_drummer_trainer *t = user;
    const int64_t B = t->set.batch_size, N = t->set.n_strokes;
    nn_tape *tape = t->run.tape;
    nn_node *y[3], *sums[2];
    int hits = 0;

    for (int b = 0; b < B && !tape->dry; b++)
        hits += fill_example(t, b);
    nn_tape_reset(tape);
    nn_node *const in[3] = { nn_input(tape, (nn_shape){ 3, { B, BLOCKS_STROKE_FEATURES, N } }, t->input),
                             nn_input(tape, (nn_shape){ 2, { B, 1 } }, t->style), nn_input(tape, (nn_shape){ 2, { B, 1 } }, t->length) };
    const nn_shape shape = { 4, { B, 1, BLOCKS_DRUMMER_TARGETS, N } };
    blocks_drummer_forward(t->d, tape, in, y);
    blocks_drummer_loss(tape, y, nn_input(tape, shape, t->target), nn_input(tape, shape, t->weight), sums);
    nn_backward(tape, nn_affine(tape, nn_add(tape, sums[0], sums[1]), 1.0 / (hits > 0 ? hits : 1), 0));
    if (tape->err.code)
        return bl_fail(err, tape->err.code, "%s", tape->err.msg);
    for (int k = 0; k < 2; k++)
        losses[k] = nn_scalar(sums[k]) / (hits > 0 ? hits : 1);
    return BL_OK;
}

void blocks_drummer_trainer_plan(blocks_drummer_trainer *t, nn_plan *plan)
{
    nn_trainer_plan(&t->run, learn_batch, t, plan);
}

bl_status blocks_drummer_trainer_step(blocks_drummer_trainer *t, double losses[2], double *gradient_norm, bl_error *err)
{
    return nn_trainer_step(&t->run, learn_batch, t, losses, 2, &t->d->step, gradient_norm, err);
}

bl_status blocks_drummer_trainer_validate(blocks_drummer_trainer *t, blocks_drum_part part, blocks_drum_score *score, bl_error *err)
{
    nn_trainer_swap(&t->run);
    const bl_status status = blocks_drum_score_run(t->d, t->songs, part, 1, score, err);
    nn_trainer_swap(&t->run);
    if (status == BL_OK && score->n_songs && part == BLOCKS_DRUM_TUNE)
        nn_schedule_watch(&t->run.schedule, score->loss);
    return status;
}

/* ---- checkpoints ---- */

bl_status blocks_drummer_trainer_put(const blocks_drummer_trainer *t, int with_optimizer, nn_checkpoint *c, bl_error *err)
{
    nn_checkpoint_put_int(c, "step", t->d->step, err);
    if (!with_optimizer)
        nn_trainer_swap(&t->run);
    const bl_status status = blocks_drummer_put(t->d, c, err);
    if (!with_optimizer)
        nn_trainer_swap(&t->run);
    return status == BL_OK && with_optimizer ? nn_trainer_save(&t->run, c, err) : status;
}

bl_status blocks_drummer_trainer_get(blocks_drummer_trainer *t, const nn_checkpoint *c, bl_error *err)
{
    return nn_trainer_load(&t->run, c, "drummer_training", &t->d->step, err);
}
