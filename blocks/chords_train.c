#include "blocks/chords_train.h"

#include "nn/optimizer.h"
#include "nn/schedule.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BINS = AUDIO_TONAL_BINS, PER = AUDIO_TONAL_PER_SEMITONE, UNKNOWN = NN_IGNORE_INDEX };

typedef struct settings {
    int    batch_size, n_frames, shift;
    double tilt, noise, bass_weight, key_weight, label_smoothing, average;
    nn_optimizer_config optimizer;
    nn_schedule schedule;
} settings;

static bl_status read_settings(const bl_config *c, settings *s, bl_error *err)
{
    static const char section[] = "chords_training";
    s->batch_size = (int)bl_config_int(c, section, "batch_size", 8, 1, 4096, err);
    s->n_frames = (int)bl_config_int(c, section, "segment_frames", 160, 8, 65536, err);
    s->shift = (int)bl_config_int(c, section, "shift", 6, 0, 11, err);
    s->tilt = bl_config_real(c, section, "tilt", 0.3, 0, 10, err);
    s->noise = bl_config_real(c, section, "noise", 0.2, 0, 10, err);
    s->bass_weight = bl_config_real(c, section, "bass_weight", 0.3, 0, 100, err);
    s->key_weight = bl_config_real(c, section, "key_weight", 0.2, 0, 100, err);
    s->label_smoothing = bl_config_real(c, section, "label_smoothing", 0.05, 0, 0.9, err);
    s->average = bl_config_real(c, section, "average", 0.995, 0, 1, err);
    const int accumulate = (int)bl_config_int(c, section, "accumulate", 1, 1, 4096, err);
    const int64_t n_steps = bl_config_int(c, section, "steps", 6000, 1, 1000000000, err);
    nn_optimizer_read(c, section, &s->optimizer, err);
    nn_schedule_read(c, section, n_steps, 1500, &s->schedule, err);
    s->optimizer.accumulate = accumulate;
    return err->code;
}

bl_status blocks_chords_settings_read(const blocks_chords *c, bl_error *err)
{
    settings s = { 0 };
    return read_settings(c->config, &s, err);
}

struct blocks_chords_trainer {
    blocks_chords            *c;
    const blocks_chord_songs *songs;
    nn_tape      *tape;
    nn_optimizer *optimizer;
    nn_ema       *average;   /* what is validated and shipped */
    bl_rng        rng;
    settings      set;
    int64_t      *first;     /* [n + 1] training frames before each song */
    float        *spectrum, *chord, *bass, *key, *sounding; /* of a batch */
};

void blocks_chords_trainer_free(blocks_chords_trainer *t)
{
    if (!t)
        return;
    nn_tape_free(t->tape);
    nn_optimizer_free(t->optimizer);
    nn_ema_free(t->average);
    free(t->first);
    free(t->spectrum);
    free(t->chord);
    free(t->bass);
    free(t->key);
    free(t->sounding);
    free(t);
}

blocks_chords_trainer *blocks_chords_trainer_new(blocks_chords *c, const blocks_chord_songs *songs, uint64_t seed, bl_error *err)
{
    bl_error local = { 0 };
    bl_error *e = err ? err : &local;
    blocks_chords_trainer *t = calloc(1, sizeof *t);
    if (!t) {
        bl_fail(e, BL_ENOMEM, "no memory for training");
        return NULL;
    }
    t->c = c;
    t->songs = songs;
    if (read_settings(c->config, &t->set, e) != BL_OK)
        goto fail;
    const size_t B = (size_t)t->set.batch_size, N = (size_t)t->set.n_frames;
    t->first = malloc(((size_t)songs->n + 1) * sizeof *t->first);
    t->spectrum = malloc(B * BINS * N * sizeof *t->spectrum);
    t->chord = malloc(B * N * sizeof *t->chord);
    t->bass = malloc(B * N * sizeof *t->bass);
    t->key = malloc(B * sizeof *t->key);
    t->sounding = malloc(B * N * sizeof *t->sounding);
    if (!t->first || !t->spectrum || !t->chord || !t->bass || !t->key || !t->sounding) {
        bl_fail(e, BL_ENOMEM, "no memory for training");
        goto fail;
    }
    t->first[0] = 0;
    for (int i = 0; i < songs->n; i++)
        t->first[i + 1] = t->first[i] + (songs->songs[i].held_out ? 0 : songs->songs[i].tonal.n_frames);
    if (t->first[songs->n] < 1) {
        bl_fail(e, BL_EFORMAT, "the dataset has no song to train on");
        goto fail;
    }
    bl_rng_seed(&t->rng, seed ^ 0x63686f72u);
    if (!(t->tape = nn_tape_new(e)) || !(t->optimizer = nn_optimizer_new(c->params, "", &t->set.optimizer, e)) ||
        !(t->average = nn_ema_new(c->params, t->set.average, e)))
        goto fail;
    t->tape->training = 1;
    bl_rng_seed(&t->tape->rng, seed ^ 0x64726f70u);
    return t;
fail:
    blocks_chords_trainer_free(t);
    return NULL;
}

/* ---- a step ---- */

/* A smooth curve over the bins: three slow cosines of random size, so that no recording's colour is learnt. */
static void draw_colour(blocks_chords_trainer *t, float colour[BINS])
{
    double size[3];
    for (int i = 0; i < 3; i++)
        size[i] = t->set.tilt * bl_rng_normal(&t->rng) / (i + 1);
    for (int b = 0; b < BINS; b++) {
        colour[b] = 0;
        for (int i = 0; i < 3; i++)
            colour[b] += (float)(size[i] * cos(3.14159265358979 * (i + 1) * b / BINS));
    }
}

/* Example b: a stretch of a song, moved by some semitones. Where it moves in from beyond the spectrum's end there is nothing. */
static void fill_example(blocks_chords_trainer *t, int b)
{
    const int N = t->set.n_frames;
    int64_t at = bl_rng_below(&t->rng, t->first[t->songs->n]);
    int low = 0, high = t->songs->n; /* first[low] <= at < first[high] */
    while (high - low > 1) {
        const int middle = (low + high) / 2;
        *(t->first[middle] <= at ? &low : &high) = middle;
    }
    const blocks_chord_song *s = &t->songs->songs[low];
    const int64_t T = s->tonal.n_frames;
    const int up = t->set.shift ? (int)bl_rng_below(&t->rng, 2 * t->set.shift) - t->set.shift + 1 : 0;
    const float noise = (float)(t->set.noise * bl_rng_uniform(&t->rng));
    float colour[BINS];
    at -= t->first[low];
    if (at > T - N)
        at = T > N ? T - N : 0;
    draw_colour(t, colour);
    for (int k = 0; k < BINS; k++)
        for (int j = 0; j < N; j++) {
            const int from = k - PER * up;
            const float x = from >= 0 && from < BINS && at + j < T ? s->tonal.value[from * T + at + j] + colour[from] : 0;
            t->spectrum[((int64_t)b * BINS + k) * N + j] = x + noise * (float)(2 * bl_rng_uniform(&t->rng) - 1);
        }
    for (int j = 0; j < N; j++) {
        const int chord = at + j < T ? s->chord[at + j] : -1, bass = at + j < T ? s->bass[at + j] : -1;
        const int moved = chord < 0 || chord == MUSIC_HEARD_NONE ? chord : chord / 12 * 12 + (chord + up + 12) % 12;
        t->chord[b * N + j] = moved < 0 ? (float)UNKNOWN : (float)moved;
        t->bass[b * N + j] = bass < 0 ? (float)UNKNOWN : (float)((bass + up + 12) % 12);
        t->sounding[b * N + j] = at + j < T && chord != MUSIC_HEARD_NONE ? 1.0f / (float)N : 0;
    }
    t->key[b] = s->key < 0 ? (float)UNKNOWN : (float)(s->key / 12 * 12 + (s->key + up + 12) % 12);
}

/* Adds the gradients of one batch, and its losses to losses[]. The key's logits are means over the frames that sound. */
static bl_status learn_batch(blocks_chords_trainer *t, double losses[3], bl_error *err)
{
    const int64_t B = t->set.batch_size, N = t->set.n_frames;
    nn_tape *tape = t->tape;
    nn_node *heard[3], *loss[3];
    for (int b = 0; b < B && !tape->dry; b++)
        fill_example(t, b);
    nn_tape_reset(tape);
    blocks_chords_forward(t->c, tape, nn_input(tape, (nn_shape){ 4, { B, 1, BINS, N } }, t->spectrum), heard);
    nn_node *key = nn_sum_dims(tape, nn_mul(tape, heard[2], nn_input(tape, (nn_shape){ 3, { B, 1, N } }, t->sounding)), 1u << 2);
    loss[0] = nn_cross_entropy_with(tape, heard[0], nn_input(tape, (nn_shape){ 2, { B, N } }, t->chord), NULL, UNKNOWN,
                                    t->set.label_smoothing);
    loss[1] = nn_cross_entropy_with(tape, heard[1], nn_input(tape, (nn_shape){ 2, { B, N } }, t->bass), NULL, UNKNOWN, 0);
    loss[2] = nn_cross_entropy_with(tape, nn_squeeze(tape, key, 2), nn_input(tape, (nn_shape){ 1, { B } }, t->key), NULL, UNKNOWN, 0);
    for (int i = 0; i < 3; i++)
        nn_keep(loss[i]);
    nn_backward(tape, nn_add(tape, nn_add(tape, loss[0], nn_affine(tape, loss[1], t->set.bass_weight, 0)),
                             nn_affine(tape, loss[2], t->set.key_weight, 0)));
    if (tape->err.code)
        return bl_fail(err, tape->err.code, "%s", tape->err.msg);
    for (int i = 0; i < 3; i++)
        losses[i] += nn_scalar(loss[i]) / t->set.optimizer.accumulate;
    return BL_OK;
}

void blocks_chords_trainer_plan(blocks_chords_trainer *t, nn_plan *plan)
{
    double losses[3] = { 0 };
    bl_error err = { BL_OK, "" };
    nn_tape_dry(t->tape, 1);
    learn_batch(t, losses, &err);
    plan->weights = nn_params_bytes(t->c->params);
    plan->moments = nn_optimizer_bytes(t->optimizer) + nn_ema_bytes(t->average);
    plan->step = nn_tape_peak_bytes(t->tape);
    nn_tape_dry(t->tape, 0);
}

bl_status blocks_chords_trainer_step(blocks_chords_trainer *t, double losses[3], double *gradient_norm, bl_error *err)
{
    losses[0] = losses[1] = losses[2] = 0;
    for (int k = 0; k < t->set.optimizer.accumulate; k++)
        if (learn_batch(t, losses, err) != BL_OK)
            return err->code;
    nn_optimizer_set_lr(t->optimizer, t->set.optimizer.lr * nn_schedule_factor(&t->set.schedule, t->c->step));
    *gradient_norm = nn_optimizer_step(t->optimizer);
    if (!isfinite(*gradient_norm))
        return bl_fail(err, BL_ENAN, "the gradient is not finite");
    nn_ema_update(t->average);
    t->c->step++;
    return BL_OK;
}

/* ---- figures ---- */

/* The triad that a class counts as: 12 mode + root, 24 none, -1 what is neither major nor minor. */
static int triad(int heard_class)
{
    const int mode = music_heard_mode(heard_class);
    return heard_class == MUSIC_HEARD_NONE ? 24 : heard_class < 0 || mode == 2 ? -1 : 12 * mode + heard_class % 12;
}

static int best_of(const float *row, int n)
{
    int best = 0;
    for (int k = 1; k < n; k++)
        if (row[k] > row[best])
            best = k;
    return best;
}

static void score_song(const blocks_chord_song *s, const blocks_harmony *heard, blocks_chords_score *score, double *n_frames, double *n_keys)
{
    double count[25] = { 0 }, right = 0, n = 0, most = 0;
    int key = 0;
    for (int64_t t = 0; t < s->tonal.n_frames; t++) {
        const int truth = triad(s->chord[t]);
        if (s->chord[t] >= 0)
            score->loss -= (double)heard->chord[t * MUSIC_HEARD_CLASSES + s->chord[t]];
        if (truth < 0)
            continue;
        count[truth]++;
        n++;
        right += triad(best_of(heard->chord + t * MUSIC_HEARD_CLASSES, MUSIC_HEARD_CLASSES)) == truth;
    }
    for (int k = 0; k < 25; k++)
        most = fmax(most, count[k]);
    score->majmin += right;
    score->commonest += most;
    *n_frames += n;
    for (int k = 1; k < 24; k++)
        if (heard->key[k] > heard->key[key])
            key = k;
    score->key += s->key >= 0 && key == s->key;
    *n_keys += s->key >= 0;
    score->n_songs++;
}

bl_status blocks_chords_trainer_validate(blocks_chords_trainer *t, blocks_chords_score *score, bl_error *err)
{
    double n_frames = 0, n_keys = 0;
    int n_held_out = 0;
    bl_status status = BL_OK;
    *score = (blocks_chords_score){ 0 };
    for (int i = 0; i < t->songs->n; i++)
        n_held_out += t->songs->songs[i].held_out;
    nn_ema_swap(t->average);
    for (int i = 0; i < t->songs->n && status == BL_OK; i++) {
        blocks_harmony heard;
        if (n_held_out && !t->songs->songs[i].held_out)
            continue;
        if ((status = blocks_chords_hear(t->c, &t->songs->songs[i].tonal, &heard, err)) == BL_OK)
            score_song(&t->songs->songs[i], &heard, score, &n_frames, &n_keys);
        blocks_harmony_free(&heard);
    }
    nn_ema_swap(t->average);
    score->majmin /= fmax(1, n_frames);
    score->commonest /= fmax(1, n_frames);
    score->loss /= fmax(1, n_frames);
    score->key /= fmax(1, n_keys);
    if (status == BL_OK)
        nn_schedule_watch(&t->set.schedule, score->loss);
    return status;
}

/* ---- checkpoints ---- */

bl_status blocks_chords_trainer_put(const blocks_chords_trainer *t, int with_optimizer, nn_checkpoint *c, bl_error *err)
{
    int64_t state[8];
    bl_status status;
    if (!with_optimizer) {
        nn_ema_swap(t->average);
        status = blocks_chords_put(t->c, c, err);
        nn_ema_swap(t->average);
        return status;
    }
    if (blocks_chords_put(t->c, c, err) != BL_OK || nn_ema_save(t->average, c, "average/", err) != BL_OK)
        return err->code;
    memcpy(state, t->rng.s, sizeof t->rng.s);
    memcpy(state + 4, t->tape->rng.s, sizeof t->tape->rng.s);
    nn_checkpoint_put(c, "random/state", NN_I64, 1, (int64_t[]){ 8 }, state, err);
    nn_schedule_save(&t->set.schedule, c, err);
    return nn_optimizer_save(t->optimizer, c, err);
}

bl_status blocks_chords_trainer_get(blocks_chords_trainer *t, const nn_checkpoint *c, bl_error *err)
{
    if (!nn_checkpoint_has(c, "random/state"))
        return bl_fail(err, BL_EFORMAT, "%s: was written with chords_training.keep_optimizer = 0, so training cannot go on from it",
                       nn_checkpoint_path(c));
    int64_t *state = nn_checkpoint_get(c, "random/state", NN_I64, 1, (int64_t[]){ 8 }, NULL, err);
    if (!state || nn_params_load(t->c->params, c, "", err) != BL_OK || nn_optimizer_load(t->optimizer, c, err) != BL_OK ||
        nn_ema_load(t->average, c, "average/", err) != BL_OK || nn_schedule_load(&t->set.schedule, c, err) != BL_OK) {
        free(state);
        return err->code;
    }
    memcpy(t->rng.s, state, sizeof t->rng.s);
    memcpy(t->tape->rng.s, state + 4, sizeof t->tape->rng.s);
    free(state);
    t->c->step = nn_checkpoint_get_int(c, "step", 0, err);
    return err->code;
}
