/* Training of the synthesizer: reconstruction first (multi-resolution STFT distance to the real tone), the adversary later.
 *
 * A step draws a batch of stretches of tones (voices equally often), lets the generator make each from its conditions,
 * and follows the gradient of
 *     stft = mean over resolutions of mean |log X - log Y| + mean |X - Y| / mean Y        X, Y magnitudes
 *          + train.flux_weight * mean |restlessness of X - restlessness of Y|     mean |log change| per bin: noise where the
 *            real tone stands still would hide the onsets of the notes that follow
 * and, from gan.start on, of the adversarial loss gan.kind (nn/gan.h) and feature matching, with
 * gan.critic_steps steps of the discriminator each.
 *
 * Held out One semitone in ten of every voice, at all velocities: never trained on, used by validate.
 * Source   Yamamoto et al., Parallel WaveGAN, 2020 (losses, adversary later); Gulrajani et al. 2017 (gradient penalty).
 * Memory   _new borrows synthesizer, tones; release with _free (NULL allowed).
 */
#ifndef BL_BLOCKS_SYNTHESIZER_TRAIN_H
#define BL_BLOCKS_SYNTHESIZER_TRAIN_H

#include "blocks/synthesizer.h"
#include "data/tones.h"
#include "nn/optimizer.h"
#include "nn/plan.h"
#include "nn/schedule.h"

/* The distinct voices of a set of tones, in the order of their first tones; malloc'ed. voice_of [tones->n] (may be NULL) gets the index. */
bl_status blocks_voices_find(const data_tones *tones, blocks_voice **voices, int *n_voices, int *voice_of, bl_error *err);

typedef struct blocks_synthesizer_losses {
    double stft, adversarial, feature, critic, penalty, gradient_norm;
} blocks_synthesizer_losses;

typedef struct blocks_synthesizer_score {
    double generated, nearest, random_tone;  /* mean |log X - log Y| to held-out tones; n_fft 2048 and 512 */
    int    n;
} blocks_synthesizer_score;

typedef struct blocks_synthesizer_trainer blocks_synthesizer_trainer;

/* Looks at every key of [synthesizer], [train], [gan] and of the networks before tones are collected: marks them as used
 * and says what is wrong first. */
bl_status blocks_synthesizer_config_check(const bl_config *config, bl_error *err);

/* context [n_songs, s->n_context] by tone->song, or NULL. genres: dataset->genres, which tone->genre indexes; the
 * synthesizer's own list must contain them. */
blocks_synthesizer_trainer *blocks_synthesizer_trainer_new(blocks_synthesizer *s, const data_tones *tones,
                                                           const char *const *dataset_genres, const float *context,
                                                           int64_t total_steps, uint64_t seed, bl_error *err);
void      blocks_synthesizer_trainer_free(blocks_synthesizer_trainer *t);

/* One step. BL_ENAN: a loss or a gradient is not a finite number. */
/* What training takes, before it begins. */
void      blocks_synthesizer_trainer_plan(blocks_synthesizer_trainer *t, nn_plan *plan);
bl_status blocks_synthesizer_trainer_step(blocks_synthesizer_trainer *t, blocks_synthesizer_losses *losses, bl_error *err);

/* Averaged weights on held-out tones, beside the nearest training tone (same voice, nearest pitch and velocity) and a
 * random tone of the same voice. */
bl_status blocks_synthesizer_trainer_validate(blocks_synthesizer_trainer *t, int max_tones, blocks_synthesizer_score *score,
                                              bl_error *err);

/* A tone of each of the first n voices, one after the other: generated (averaged weights) and as recorded; malloc'ed. */
bl_status blocks_synthesizer_trainer_preview(blocks_synthesizer_trainer *t, int n, float **generated, float **real_tones,
                                             int64_t *n_samples, bl_error *err);

/* Everything: weights, averages, moments, random state. get expects the same networks. */
bl_status blocks_synthesizer_trainer_put(const blocks_synthesizer_trainer *t, nn_checkpoint *c, bl_error *err);
bl_status blocks_synthesizer_trainer_get(blocks_synthesizer_trainer *t, const nn_checkpoint *c, bl_error *err);

/* What inference needs and no more: the averaged weights. */
bl_status blocks_synthesizer_trainer_export(blocks_synthesizer_trainer *t, const char *path, int64_t seed, bl_error *err);

#endif
