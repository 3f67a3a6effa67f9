/* Band powers of recordings at any rate, as the feature extractor would see them, without resampling: the frame and the
 * hop are as long in seconds as the extractor's, the mel bands lie at the same frequencies. Means of two frames each, so
 * about 46 ms apart.
 *
 * Shapes   x [n_samples] at the rate given to _new -> *power [*n_frames, n_mels], malloc'ed
 * Units    power of the extractor's mel bands: a full-scale sine reaches about 30 dB
 * Edges    At rates below the extractor's x is resampled after all, so that the bands above are empty, not missing.
 * Errors   _new: BL_EARG (a rate outside 1000..768000 Hz), BL_ENOMEM. _run: BL_EARG: no sample; BL_ENOMEM.
 * Memory   _new borrows fx and returns; release with _free (NULL allowed).
 * Threads  One per thread, and one at a time with others of the same fx.
 * Cost     about 1 ms of one core per second of sound at 44.1 kHz; resampling alone would take 7.
 * Tested   tests/blocks/test_band_powers.c
 */
#ifndef BL_BLOCKS_BAND_POWERS_H
#define BL_BLOCKS_BAND_POWERS_H

#include "blocks/feature_extractor.h"

typedef struct blocks_band_powers {
    const blocks_feature_extractor *fx;
    audio_feature_plan *plan;     /* NULL: resample, and take fx's              */
    int                 rate;
    int                 hop;      /* samples at rate from frame to frame of two */
    float               scale;    /* longer windows gather more power           */
} blocks_band_powers;

blocks_band_powers *blocks_band_powers_new(const blocks_feature_extractor *fx, int sample_rate, bl_error *err);
void                blocks_band_powers_free(blocks_band_powers *b);
bl_status           blocks_band_powers_run(blocks_band_powers *b, const float *x, int64_t n_samples, float **power,
                                           int64_t *n_frames, bl_error *err);

#endif
