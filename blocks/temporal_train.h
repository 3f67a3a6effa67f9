/* Training of the temporal model on pairs: a phrase put together tone by tone, and the recording of the same phrase.
 *
 * Phrases  Every stem of a known instrument (voices apart) with notes (NAME.mid, or detected) is played again with single
 *          tones: of the same instrument and program, from other recordings where there are any, of the nearest pitch and
 *          velocity, moved to the pitch by resampling, cut off at note-off after a short release. What real playing has
 *          and this has not, legato, tails, room, is what the model learns to put back. With the source `generated` the
 *          tones come from the synthesizer.
 * Loss     mean over bands and frames of weight |ln(gain X) - ln Y|, X and Y the bands of the two, brought to one level,
 *          weight larger within 60 ms of note-on and note-off.
 * Figures  On held-out songs, log-spectral distance: mean over sounding frames of sqrt(mean over bins of
 *          (20 log10 (|X| + e) / (|Y| + e))^2), e = BLOCKS_TEMPORAL_FLOOR of full scale; before and after the model; of all
 *          frames and of those at transitions. All with the averaged weights.
 * Errors   _collect: BL_EFORMAT when not one phrase could be made; BL_ESTOP. _step: BL_ENAN as the loop expects.
 * Memory   _collect fills a zeroed struct, _free releases; _trainer_new borrows both; release with _free.
 */
#ifndef BL_BLOCKS_TEMPORAL_TRAIN_H
#define BL_BLOCKS_TEMPORAL_TRAIN_H

#include "blocks/synthesizer.h"
#include "blocks/temporal.h"
#include "data/dataset.h"
#include "nn/optimizer.h"
#include "nn/plan.h"
#include "nn/schedule.h"

typedef struct blocks_phrase {
    float  *degraded, *target;            /* [n_bands, T] logs, at one level                      */
    float  *weight;                       /* [T] 1 within 60 ms of note-on and note-off, else 0   */
    int64_t n_frames;
    double  level;                        /* blocks_temporal_level of degraded                    */
    int     instrument;                   /* place in t->instruments, -1 none                     */
    int     held_out;
    float  *degraded_wave, *target_wave;  /* [n_samples] of held-out phrases, else NULL           */
    int64_t n_samples;
} blocks_phrase;

typedef struct blocks_phrases {
    blocks_phrase *phrases;
    int     n, capacity;
    int64_t n_notes, n_missing;           /* notes played; notes for which there was no tone      */
} blocks_phrases;

/* Names of the instruments that phrases can be made of, at most `most`: borrowed, from the instrument table. */
int       blocks_temporal_list_instruments(const data_dataset *dataset, const char **names, int most);
/* synthesizer NULL: recorded tones. */
bl_status blocks_phrases_collect(const blocks_temporal *t, data_dataset *dataset, blocks_synthesizer *synthesizer, uint64_t seed,
                                 int quiet, blocks_phrases *phrases, bl_error *err);
/* One pair of waves [n_samples] at t->sample_rate, copied; transitions_s [n]: times of note-on and note-off. */
bl_status blocks_phrases_add(const blocks_temporal *t, blocks_phrases *phrases, const float *degraded, const float *target,
                             int64_t n_samples, const double *transitions_s, int64_t n, const char *instrument, int held_out,
                             bl_error *err);
void      blocks_phrases_free(blocks_phrases *phrases);

typedef struct blocks_temporal_score {
    double before, after, ceiling;   /* log-spectral distance, dB; ceiling: of the best gains of this form */
    double transitions_before, transitions_after, transitions_ceiling;
    int    n_phrases;
} blocks_temporal_score;

typedef struct blocks_temporal_trainer blocks_temporal_trainer;
/* Looks at the keys that training reads, so that unknown keys can be found before the dataset is read. */
bl_status blocks_temporal_settings_read(const blocks_temporal *t, bl_error *err);
/* Sets t->mean and t->scale from the training phrases. */
blocks_temporal_trainer *blocks_temporal_trainer_new(blocks_temporal *t, const blocks_phrases *phrases, uint64_t seed, bl_error *err);
void      blocks_temporal_trainer_free(blocks_temporal_trainer *t);
/* losses[2]: with the model, and of the same stretches untouched. */
/* What training takes, before it begins. */
void      blocks_temporal_trainer_plan(blocks_temporal_trainer *t, nn_plan *plan);
bl_status blocks_temporal_trainer_step(blocks_temporal_trainer *t, double losses[2], double *gradient_norm, bl_error *err);
bl_status blocks_temporal_trainer_validate(blocks_temporal_trainer *t, blocks_temporal_score *score, bl_error *err);
/* Held-out phrase i, repaired: |X| from the model, phase as it was; malloc'ed [n_samples]. *repaired NULL: no such phrase. */
bl_status blocks_temporal_trainer_example(blocks_temporal_trainer *t, int i, const blocks_phrase **phrase, float **repaired,
                                          bl_error *err);
bl_status blocks_temporal_trainer_put(const blocks_temporal_trainer *t, int with_optimizer, nn_checkpoint *c, bl_error *err);
bl_status blocks_temporal_trainer_get(blocks_temporal_trainer *t, const nn_checkpoint *c, bl_error *err);

#endif
