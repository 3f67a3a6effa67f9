/* Training of the feature extractor: mean squared error between the standardised log-mel frames and their
 * reconstruction, with noise on the input (denoising autoencoder) and random gain.
 *
 * Data     Whole songs and, with autoencoder.stems, their stems; recordings of validation songs are held out.
 * Figures  Mean squared error on held-out frames in units of the training data's variance, beside the mean of the
 *          training frames (about 1) and a PCA of the same rank fitted to the same training frames.
 * Errors   _collect: BL_EFORMAT when no song could be read. _step: BL_ENAN as the loop expects.
 * Memory   _collect fills a zeroed struct, _sounds_free releases. _trainer_new borrows both; release with _free.
 */
#ifndef BL_BLOCKS_FEATURE_EXTRACTOR_TRAIN_H
#define BL_BLOCKS_FEATURE_EXTRACTOR_TRAIN_H

#include "blocks/feature_extractor.h"
#include "data/dataset.h"
#include "nn/loss.h"
#include "nn/optimizer.h"
#include "nn/plan.h"
#include "nn/schedule.h"

/* Log-mel spectrograms of recordings, standardised by the training ones' mean and deviation per band. */
typedef struct blocks_mel_clip {
    float  *mel;        /* [n_mels, T] */
    int64_t n_frames;
    int     song;       /* index into the dataset */
    int     is_song;    /* 1: the whole song, 0: a stem of it */
    int     held_out;
} blocks_mel_clip;

typedef struct blocks_mel_clips {
    blocks_mel_clip *clips;
    int     n, capacity, n_mels;
    int64_t n_training_frames, n_held_out_frames;
} blocks_mel_clips;

/* Also sets fx->mel_mean and mel_scale, unless keep_scaling. */
bl_status blocks_mel_clips_collect(blocks_feature_extractor *fx, data_dataset *dataset, double max_minutes, int with_stems,
                                   int keep_scaling, uint64_t seed, int quiet, blocks_mel_clips *clips, bl_error *err);
/* One recording, not standardised; takes mel. */
bl_status blocks_mel_clips_add(blocks_mel_clips *clips, float *mel, int64_t n_frames, int song, int is_song, int held_out,
                               bl_error *err);
/* Standardises all clips in place by the training ones (and tells fx). */
bl_status blocks_mel_clips_standardise(blocks_mel_clips *clips, blocks_feature_extractor *fx, bl_error *err);
void      blocks_mel_clips_free(blocks_mel_clips *clips);

typedef struct blocks_autoencoder_score {
    double reconstruction, pca, mean;   /* mean squared errors on held-out frames */
    double in_db2;                      /* the first in dB squared                */
    int64_t n_frames;
} blocks_autoencoder_score;

typedef struct blocks_autoencoder_trainer blocks_autoencoder_trainer;
/* Looks at the keys that _trainer_new will read, so that unknown keys can be found before the dataset is. */
bl_status blocks_autoencoder_settings_read(const blocks_feature_extractor *fx, bl_error *err);
blocks_autoencoder_trainer *blocks_autoencoder_trainer_new(blocks_feature_extractor *fx, const blocks_mel_clips *clips,
                                                           uint64_t seed, bl_error *err);
void      blocks_autoencoder_trainer_free(blocks_autoencoder_trainer *t);
/* What training takes, before it begins. */
void      blocks_autoencoder_trainer_plan(blocks_autoencoder_trainer *t, nn_plan *plan);
bl_status blocks_autoencoder_trainer_step(blocks_autoencoder_trainer *t, double *loss, double *gradient_norm, bl_error *err);
/* Without held-out clips the training ones are measured. */
bl_status blocks_autoencoder_trainer_validate(blocks_autoencoder_trainer *t, blocks_autoencoder_score *score, bl_error *err);
/* Sets the latents' and contexts' scalings of the extractor from the training clips; leaves the rest as it is. */
bl_status blocks_autoencoder_trainer_scale(blocks_autoencoder_trainer *t, bl_error *err);
/* Input and reconstruction of the first max_frames of held-out clip i in dB: [n_mels, T] each, malloc'ed. */
bl_status blocks_autoencoder_trainer_example(blocks_autoencoder_trainer *t, int i, int64_t max_frames, float **truth,
                                             float **made, int64_t *n_frames, bl_error *err);
/* Everything, or without the optimiser what is needed to use the model. get expects the same networks. */
bl_status blocks_autoencoder_trainer_put(blocks_autoencoder_trainer *t, int with_optimizer, nn_checkpoint *c, bl_error *err);
bl_status blocks_autoencoder_trainer_get(blocks_autoencoder_trainer *t, const nn_checkpoint *c, bl_error *err);

#endif
