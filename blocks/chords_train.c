#include "blocks/chords_train.h"

#include "nn/trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BINS = AUDIO_TONAL_BINS, PER = AUDIO_TONAL_PER_SEMITONE, UNKNOWN = NN_IGNORE_INDEX };

typedef struct settings {
    int    batch_size, n_frames, shift;
    double tilt, noise, bass_weight, key_weight, label_smoothing;
    nn_trainer_config run;
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
    nn_trainer_read(c, section, 6000, 1500, 0.995, &s->run, err);
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
    nn_trainer    run;       /* its averages are what is validated and shipped */
    settings      set;
    int64_t      *first;     /* [n + 1] training frames before each song */
    float        *spectrum, *chord, *bass, *key, *sounding; /* of a batch */
};

void blocks_chords_trainer_free(blocks_chords_trainer *t)
{
    if (!t)
        return;
    nn_trainer_free(&t->run);
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
    if (nn_trainer_start(&t->run, c->params, &t->set.run, seed ^ 0x63686f72u, e) != BL_OK)
        goto fail;
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
        size[i] = t->set.tilt * bl_rng_normal(&t->run.rng) / (i + 1);
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
    int64_t at;
    const int which = bl_rng_pick(&t->run.rng, t->first, t->songs->n, &at);
    const blocks_chord_song *s = &t->songs->songs[which];
    const int64_t T = s->tonal.n_frames;
    const int up = t->set.shift ? (int)bl_rng_below(&t->run.rng, 2 * t->set.shift) - t->set.shift + 1 : 0;
    const float noise = (float)(t->set.noise * bl_rng_uniform(&t->run.rng));
    float colour[BINS];
    if (at > T - N)
        at = T > N ? T - N : 0;
    draw_colour(t, colour);
    for (int k = 0; k < BINS; k++)
        for (int j = 0; j < N; j++) {
            const int from = k - PER * up;
            const float x = from >= 0 && from < BINS && at + j < T ? s->tonal.value[from * T + at + j] + colour[from] : 0;
            t->spectrum[((int64_t)b * BINS + k) * N + j] = x + noise * (float)(2 * bl_rng_uniform(&t->run.rng) - 1);
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
static bl_status learn_batch(void *user, double *losses, bl_error *err)
{
    blocks_chords_trainer *t = user;
    const int64_t B = t->set.batch_size, N = t->set.n_frames;
    nn_tape *tape = t->run.tape;
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
        losses[i] = nn_scalar(loss[i]);
    return BL_OK;
}

void blocks_chords_trainer_plan(blocks_chords_trainer *t, nn_plan *plan)
{
    nn_trainer_plan(&t->run, learn_batch, t, plan);
}

bl_status blocks_chords_trainer_step(blocks_chords_trainer *t, double losses[3], double *gradient_norm, bl_error *err)
{
    return nn_trainer_step(&t->run, learn_batch, t, losses, 3, &t->c->step, gradient_norm, err);
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
    nn_trainer_swap(&t->run);
    for (int i = 0; i < t->songs->n && status == BL_OK; i++) {
        blocks_harmony heard;
        if (n_held_out && !t->songs->songs[i].held_out)
            continue;
        if ((status = blocks_chords_hear(t->c, &t->songs->songs[i].tonal, &heard, err)) == BL_OK)
            score_song(&t->songs->songs[i], &heard, score, &n_frames, &n_keys);
        blocks_harmony_free(&heard);
    }
    nn_trainer_swap(&t->run);
    score->majmin /= fmax(1, n_frames);
    score->commonest /= fmax(1, n_frames);
    score->loss /= fmax(1, n_frames);
    score->key /= fmax(1, n_keys);
    if (status == BL_OK)
        nn_schedule_watch(&t->run.schedule, score->loss);
    return status;
}

/* ---- checkpoints ---- */

bl_status blocks_chords_trainer_put(const blocks_chords_trainer *t, int with_optimizer, nn_checkpoint *c, bl_error *err)
{
    if (!with_optimizer)
        nn_trainer_swap(&t->run);
    const bl_status status = blocks_chords_put(t->c, c, err);
    if (!with_optimizer)
        nn_trainer_swap(&t->run);
    return status == BL_OK && with_optimizer ? nn_trainer_save(&t->run, c, err) : status;
}

bl_status blocks_chords_trainer_get(blocks_chords_trainer *t, const nn_checkpoint *c, bl_error *err)
{
    return nn_trainer_load(&t->run, c, "chords_training", &t->c->step, err);
}
