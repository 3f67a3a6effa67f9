/* The beat tracker's ear: a temporal convolutional network that says for every fiftieth of a second how much it sounds like
 * a beat and like the first beat of a bar. audio/rhythm.h makes tempo, beats and bars of it.
 *
 *     x -> 72 bands, 50 a second (audio/beat_bands.h) -> relative to the recording's loudness -> [beat_network] -> sigmoid;
 *     where the network has a second output, the mean of every frame's vote -> log probability of each tempo
 *
 *     blocks_beat_tracker *t = blocks_beat_tracker_load("models/beats.h5", &err);
 *     audio_beat_activity activity;
 *     blocks_beat_tracker_run(t, x, n_samples, sample_rate, &activity, &err);
 *     blocks_beat_grid(t, length_s, (audio_rhythm_config){ .activity = &activity }, &rhythm, &err);     blocks/beat_levels.h
 *
 * Shapes   x [n_samples] one channel; activity: beat, downbeat [n_frames], flux [n_frames, AUDIO_LEVEL_GROUPS], tempo [AUDIO_TEMPOS] or NULL
 * Units    probabilities 0..1; frame i at i*hop_s seconds
 * Errors   As audio_beat_bands_run; BL_ESHAPE: the network does not give a value for every frame. _load: as nn_checkpoint_open ("... expected a beats checkpoint").
 * Memory   _run fills *activity; release with audio_beat_activity_free. The network works through 120 s at a time with 21 s of
 *          overlap on each side, more than it sees, so the result is that of one run; beside it 72 bytes a frame.
 * Threads  One tracker per thread; the same bits at any thread count.
 * Source   Davies & Bock, "Temporal convolutional networks for musical audio beat tracking", EUSIPCO 2019; Bock, Davies & Knees,
 *          "Multi-task learning of tempo and beat", ISMIR 2019.
 * Tested   tests/blocks/test_beat_tracker.c
 */
#ifndef BL_BLOCKS_BEAT_TRACKER_H
#define BL_BLOCKS_BEAT_TRACKER_H

#include "audio/beat_bands.h"
#include "audio/rhythm.h"
#include "base/config.h"
#include "nn/network.h"

typedef struct blocks_beat_tracker {
    bl_config  *config;
    nn_params  *params;
    nn_network *net, *levels; /* levels: NULL in checkpoints that have no [level_network] (blocks/beat_levels.h) */
    nn_tape    *tape;
    int64_t     step;
    int         hears_tempo; /* the network has a second output: every frame's vote, [AUDIO_TEMPOS, T] logits */
} blocks_beat_tracker;

blocks_beat_tracker *blocks_beat_tracker_load(const char *path, bl_error *err);
void                 blocks_beat_tracker_free(blocks_beat_tracker *t);

bl_status blocks_beat_tracker_run(blocks_beat_tracker *t, const float *x, int64_t n_samples, int sample_rate,
                                  audio_beat_activity *activity, bl_error *err);

/* ---- for training ---- */

/* What is missing in config comes from configs/beats.ini. */
blocks_beat_tracker *blocks_beat_tracker_new(const bl_config *config, uint64_t seed, bl_error *err);
/* Takes the weights of the checkpoint at path; what its network lacks stays as it is. BL_ESHAPE: a layer of both has another shape, or
 * they share none. */
bl_status            blocks_beat_tracker_begin(blocks_beat_tracker *t, const char *path, bl_error *err);
blocks_beat_tracker *blocks_beat_tracker_get(const nn_checkpoint *c, bl_error *err);
bl_status            blocks_beat_tracker_put(const blocks_beat_tracker *t, nn_checkpoint *c, bl_error *err);
bl_status blocks_beat_tracker_hear(blocks_beat_tracker *t, const audio_beat_bands *bands, audio_beat_activity *activity, bl_error *err);
/* A natural log of a band's magnitude as the network reads it, for a recording of this loudness. */
float     blocks_beat_tracker_input(double log_magnitude, double loudness);

#endif
