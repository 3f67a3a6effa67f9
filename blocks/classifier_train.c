#include "blocks/classifier_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bl_status read_settings(const bl_config *c, blocks_classifier_settings *s, bl_error *err)
{
    static const char section[] = "classifier_training";
    s->batch_size = (int)bl_config_int(c, section, "batch_size", 32, 2, 65536, err);
    s->remixes = bl_config_real(c, section, "remixes", 0.4, 0, 1, err);
    s->cross_mixes = bl_config_real(c, section, "cross_mixes", 0.2, 0, 1, err);
    s->voices = bl_config_real(c, section, "voices", 0.06, 0, 1, err);
    s->noises = bl_config_real(c, section, "noises", 0.03, 0, 1, err);
    s->stem_dropout = bl_config_real(c, section, "stem_dropout", 0.25, 0, 0.99, err);
    s->voice_dropout = bl_config_real(c, section, "voice_dropout", 0.5, 0, 0.99, err);
    s->stem_gain_db = bl_config_real(c, section, "stem_gain_db", 6, 0, 60, err);
    s->recolour = bl_config_real(c, section, "recolour", 0.7, 0, 1, err);
    s->eq_db = bl_config_real(c, section, "eq_db", 8, 0, 60, err);
    s->lowpass = bl_config_real(c, section, "lowpass", 0.2, 0, 1, err);
    s->reverb = bl_config_real(c, section, "reverb", 0.4, 0, 1, err);
    s->noise = bl_config_real(c, section, "noise", 0.4, 0, 1, err);
    s->compress = bl_config_real(c, section, "compress", 0.3, 0, 1, err);
    s->shift = bl_config_real(c, section, "shift", 0.5, 0, 1, err);
    s->mask = bl_config_real(c, section, "mask", 0.5, 0, 1, err);
    s->instrument_weight = bl_config_real(c, section, "instrument_weight", 3, 0, 1000, err);
    s->label_smoothing = bl_config_real(c, section, "label_smoothing", 0.05, 0, 0.9, err);
    bl_config_real(c, section, "song_s", 90, 1, 36000, err); /* read when the sounds are collected */
    nn_trainer_read(c, section, 3000, 800, -1, &s->run, err);
    return err->code;
}

bl_status blocks_classifier_settings_read(const blocks_classifier *c, bl_error *err)
{
    blocks_classifier_settings s = { 0 };
    return read_settings(c->config, &s, err);
}

struct blocks_classifier_trainer {
    blocks_classifier   *c;
    const blocks_sounds *sounds;
    nn_trainer    run;
    blocks_classifier_settings set;
    blocks_mixer  mixer;
    float        *power, *mel, *latent, *genre, *labels, *known, *scratch; /* of a batch */
};

static bl_status allocate(blocks_classifier_trainer *t, bl_error *err)
{
    const blocks_classifier *c = t->c;
    const size_t B = (size_t)t->set.batch_size, T = (size_t)c->window_frames, M = (size_t)c->fx->n_mels;
    t->power = malloc(B * T * M * sizeof *t->power);
    t->mel = malloc(B * T * M * sizeof *t->mel);
    t->latent = malloc(B * T * (size_t)c->fx->dim * sizeof *t->latent);
    t->genre = malloc(B * (size_t)c->n_genres * sizeof *t->genre);
    t->labels = malloc(B * (size_t)c->n_instruments * sizeof *t->labels);
    t->known = malloc(B * (size_t)c->n_instruments * sizeof *t->known);
    t->scratch = malloc(T * M * sizeof *t->scratch);
    if (!t->power || !t->mel || !t->latent || !t->genre || !t->labels || !t->known || !t->scratch)
        return bl_fail(err, BL_ENOMEM, "no memory for training");
    return BL_OK;
}

blocks_classifier_trainer *blocks_classifier_trainer_new(blocks_classifier *c, const blocks_sounds *sounds, uint64_t seed,
                                                         bl_error *err)
{
    bl_error local = { 0 };
    bl_error *e = err ? err : &local;
    blocks_classifier_trainer *t = calloc(1, sizeof *t);
    if (!t) {
        bl_fail(e, BL_ENOMEM, "no memory for training");
        return NULL;
    }
    t->c = c;
    t->sounds = sounds;
    if (sounds->n_mels != c->fx->n_mels || sounds->n_genres != c->n_genres || sounds->n_instruments != c->n_instruments)
        bl_fail(e, BL_ESHAPE, "the sounds have %d bands, %d genres, %d instruments; the classifier %d, %d, %d", sounds->n_mels,
                sounds->n_genres, sounds->n_instruments, c->fx->n_mels, c->n_genres, c->n_instruments);
    else if (sounds->n_mels > 1024)
        bl_fail(e, BL_EARG, "%s: features.n_mels: the classifier learns from at most 1024 bands, got %d", bl_config_name(c->config),
                sounds->n_mels);
    if (e->code || read_settings(c->config, &t->set, e) != BL_OK || allocate(t, e) != BL_OK ||
        blocks_mixer_new(&t->mixer, sounds, &t->set, c->window_frames, e) != BL_OK)
        goto fail;
    if (nn_trainer_start(&t->run, c->params, &t->set.run, seed ^ 0x636c6173u, e) != BL_OK)
        goto fail;
    return t;
fail:
    blocks_classifier_trainer_free(t);
    return NULL;
}

void blocks_classifier_trainer_free(blocks_classifier_trainer *t)
{
    if (!t)
        return;
    blocks_mixer_free(&t->mixer);
    nn_trainer_free(&t->run);
    free(t->power);
    free(t->mel);
    free(t->latent);
    free(t->genre);
    free(t->labels);
    free(t->known);
    free(t->scratch);
    free(t);
}

/* ---- a step ---- */

static bl_status draw_batch(blocks_classifier_trainer *t, bl_error *err)
{
    const int B = t->set.batch_size, G = t->c->n_genres, I = t->c->n_instruments;
    const int64_t one = t->c->window_frames * t->c->fx->n_mels;
    for (int b = 0; b < B; b++) {
        blocks_example e = { t->power + b * one, t->genre + b * G, t->labels + b * I };
        blocks_mixer_draw(&t->mixer, &t->run.rng, t->scratch, &e);
    }
    for (int64_t i = 0; i < (int64_t)B * I; i++) {
        t->known[i] = t->labels[i] >= 0;
        t->labels[i] = t->labels[i] > 0;
    }
    return blocks_classifier_inputs(t->c, t->power, B, t->mel, t->c->with_latents ? t->latent : NULL, err);
}

/* Binary cross-entropy over the labels that are known: softplus(x) - x y. */
static nn_node *instrument_loss(blocks_classifier_trainer *t, nn_node *logits, int B)
{
    nn_tape *tape = t->run.tape;
    const nn_shape shape = { 2, { B, t->c->n_instruments } };
    double n = 0;
    for (int64_t i = 0; i < nn_count(&shape); i++)
        n += (double)t->known[i];
    nn_node *each = nn_sub(tape, nn_softplus(tape, logits), nn_mul(tape, logits, nn_input(tape, shape, t->labels)));
    return nn_affine(tape, nn_sum(tape, nn_mul(tape, each, nn_input(tape, shape, t->known))), n > 0 ? 1 / n : 0, 0);
}

/* Cross-entropy with targets that may be spread; an example without a genre has zeros. */
static nn_node *genre_loss(blocks_classifier_trainer *t, nn_node *logits, int B)
{
    nn_tape *tape = t->run.tape;
    const nn_shape shape = { 2, { B, t->c->n_genres } };
    double n = 0;
    for (int64_t i = 0; i < nn_count(&shape); i++)
        n += (double)t->genre[i];
    nn_node *each = nn_mul(tape, nn_log_softmax(tape, logits), nn_input(tape, shape, t->genre));
    return nn_affine(tape, nn_sum(tape, each), n > 0 ? -1 / n : 0, 0);
}

/* Adds the gradients of one batch, and its losses to losses[]. */
static bl_status learn_batch(void *user, double *losses, bl_error *err)
{
    blocks_classifier_trainer *t = user;
    const int B = t->set.batch_size;
    const int64_t T = t->c->window_frames;
    nn_tape *tape = t->run.tape;
    nn_node *g = NULL, *i = NULL;

    if (!tape->dry && draw_batch(t, err) != BL_OK)
        return err->code;
    nn_tape_reset(tape);
    blocks_classifier_forward(t->c, tape, nn_input(tape, (nn_shape){ 3, { B, t->c->fx->n_mels, T } }, t->mel),
                              t->c->with_latents ? nn_input(tape, (nn_shape){ 3, { B, t->c->fx->dim, T } }, t->latent) : NULL, &g, &i);
    nn_node *genre = genre_loss(t, g, B), *instrument = instrument_loss(t, i, B);
    nn_node *loss = nn_add(tape, genre, nn_affine(tape, instrument, t->set.instrument_weight, 0));
    nn_keep(instrument);
    nn_keep(genre);
    nn_backward(tape, loss);
    if (tape->err.code)
        return bl_fail(err, tape->err.code, "%s", tape->err.msg);
    losses[0] = nn_scalar(genre);
    losses[1] = nn_scalar(instrument);
    return BL_OK;
}

void blocks_classifier_trainer_plan(blocks_classifier_trainer *t, nn_plan *plan)
{
    nn_trainer_plan(&t->run, learn_batch, t, plan);
}

bl_status blocks_classifier_trainer_step(blocks_classifier_trainer *t, double losses[2], double *gradient_norm, bl_error *err)
{
    return nn_trainer_step(&t->run, learn_batch, t, losses, 2, &t->c->step, gradient_norm, err);
}

bl_status blocks_classifier_trainer_validate(blocks_classifier_trainer *t, blocks_classifier_score *score, bl_error *err)
{
    if (blocks_classifier_score_songs(t->c, &t->mixer, score, err) == BL_OK)
        nn_schedule_watch(&t->run.schedule, score->loss);
    return err->code;
}

/* ---- checkpoints ---- */

bl_status blocks_classifier_trainer_put(const blocks_classifier_trainer *t, int with_optimizer, nn_checkpoint *k, bl_error *err)
{
    nn_checkpoint_put_int(k, "step", t->c->step, err);
    if (blocks_classifier_put(t->c, k, err) != BL_OK || !with_optimizer)
        return err->code;
    return nn_trainer_save(&t->run, k, err);
}

bl_status blocks_classifier_trainer_get(blocks_classifier_trainer *t, const nn_checkpoint *k, bl_error *err)
{
    return nn_trainer_load(&t->run, k, "classifier_training", &t->c->step, err);
}
