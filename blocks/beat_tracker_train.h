/* Training of the beat tracker on recordings whose beats are known (blocks/beat_songs.h).
 *
 * Stretches  Each step takes batch_size stretches of segment_frames from anywhere in the recordings, played up to `stretch`
 *            faster or slower (frames between frames by interpolation), louder or softer, up to `shift` bands higher or
 *            lower, through a random equaliser, at times with noise over them or without their treble.
 * Target     1 at a beat, falling to 0 one and a half frames away; downbeats likewise, where the bar is known.
 *            Tempo: the stretch's, shared with the tempos beside it.
 * Loss       binary cross-entropy, mean over frames, and cross-entropy of the tempo; not more than half a beat before the first and behind the last beat
 *            that is written down, where nobody says whether there are more.
 * Levels     [level_network] sees the true grid of other stretches at half its tempo, at it and at twice (audio/beat_levels.h)
 *            and learns which of them is true: cross-entropy.
 * Figures    on held-out recordings, with the averaged weights: both losses; F-measure of beats (70 ms) and of downbeats, and
 *            the share of right tempos (4 %), of the whole chain (blocks/beat_levels.h), beside those of a steady 120 a minute.
 * Errors     _step: BL_ENAN as the loop expects.
 * Memory     _trainer_new borrows tracker and songs; release with _free.
 * Tested     tests/blocks/test_beat_tracker.c
 */
#ifndef BL_BLOCKS_BEAT_TRACKER_TRAIN_H
#define BL_BLOCKS_BEAT_TRACKER_TRAIN_H

#include "blocks/beat_songs.h"
#include "blocks/beat_tracker.h"
#include "nn/optimizer.h"
#include "nn/plan.h"
#include "nn/schedule.h"

typedef struct blocks_beat_score {
    double loss, downbeat_loss;
    double beats, downbeats, tempo;                /* 0 without held-out recordings */
    double steady_beats, steady_downbeats, steady_tempo;
    int    n_songs;
} blocks_beat_score;

typedef struct blocks_beat_trainer blocks_beat_trainer;
/* Looks at the keys that training reads, so that unknown keys can be found before the dataset is read. */
bl_status blocks_beat_settings_read(const blocks_beat_tracker *t, bl_error *err);
blocks_beat_trainer *blocks_beat_trainer_new(blocks_beat_tracker *t, const blocks_beat_songs *songs, uint64_t seed, bl_error *err);
void      blocks_beat_trainer_free(blocks_beat_trainer *t);
/* What training takes, before it begins. */
void      blocks_beat_trainer_plan(blocks_beat_trainer *t, nn_plan *plan);
/* losses[4]: of beats, of downbeats, of the tempo and of the level; 0: nothing of it is learned. */
bl_status blocks_beat_trainer_step(blocks_beat_trainer *t, double losses[4], double *gradient_norm, bl_error *err);
bl_status blocks_beat_trainer_validate(blocks_beat_trainer *t, blocks_beat_score *score, bl_error *err);
bl_status blocks_beat_trainer_put(const blocks_beat_trainer *t, int with_optimizer, nn_checkpoint *c, bl_error *err);
bl_status blocks_beat_trainer_get(blocks_beat_trainer *t, const nn_checkpoint *c, bl_error *err);

/* F-measure of found times against true ones, both rising: a true time is found once, within window_s of it. */
double    blocks_beat_f(const double *found, int n_found, const double *truth, int n_truth, double window_s);

#endif
