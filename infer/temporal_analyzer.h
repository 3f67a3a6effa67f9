/* The temporal analyzer: the Bi-LSTM (blocks/temporal.h) repairs a stem's amplitudes, looking forward and backward.
 *
 *     stem -> spectrogram -> repaired -> stem             in pieces of 4 s that hear a second beyond either end and are faded into each other
 *
 * Pieces   are repaired one by one, on all cores, so memory stays bounded and a change in a stem is heard in the pieces around it
 *          alone (up to 5.25 s away). All of them are heard at the level of the whole stem. A piece without a sound stays silent.
 * Units    The model's window and hop are kept in seconds when the stem has another rate than the model.
 * Errors   load: as nn_checkpoint_open. level, chain: what the model and the transforms say; nothing is changed then.
 * Memory   _load returns; release with _free (NULL allowed).
 * Threads  One at a time; the same bytes at any thread count.
 * Tested   tests/infer/test_spectrum.c
 */
#ifndef BL_INFER_TEMPORAL_ANALYZER_H
#define BL_INFER_TEMPORAL_ANALYZER_H

#include "infer/cache.h"
#include "infer/spectrogram.h"

typedef struct infer_temporal_analyzer infer_temporal_analyzer;

/* Seconds of work in each part of the chain. */
typedef struct infer_chain_seconds { double spectrogram, temporal, audio; } infer_chain_seconds;

infer_temporal_analyzer *infer_temporal_analyzer_load(const char *path, bl_error *err);
void                     infer_temporal_analyzer_free(infer_temporal_analyzer *a);

/* How loud the stem is to the model, as the log of an amplitude (blocks_temporal_level). */
bl_status infer_temporal_analyzer_level(infer_temporal_analyzer *a, const float *x, int64_t n_samples, int sample_rate, double *level,
                                        bl_error *err);

/* x [n_samples] in place. seconds is added to. Pieces that were repaired before come from the cache (NULL: none). */
bl_status infer_temporal_analyzer_chain(infer_temporal_analyzer *a, const char *instrument, double level, float *x, int64_t n_samples,
                                        int sample_rate, infer_cache *cache, infer_chain_seconds *seconds, bl_error *err);

/* What its results depend on, beside what it is given. */
infer_key infer_temporal_analyzer_key(const infer_temporal_analyzer *a);

#endif
