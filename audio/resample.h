/* Sample rate conversion on libsamplerate (band-limited sinc interpolation), to half the rate by a half-band filter.
 *
 * Shapes   out length is exactly round(n_in * to / from), at least 1; sample i of out lies at time i / to,
 *          so nothing is shifted.
 * Options  Error of a sweep, measured over the given part of the band below half the lower rate, and seconds
 *          for a minute of one channel from 44.1 to 16 kHz on one core:
 *              best    -135 dB over 86 %   2.8 s      medium  -123 dB over 81 %   0.8 s
 *              fast    -108 dB over 63 %   0.4 s;  to half the rate -108 dB over 86 %, 0.02 s
 * Errors   BL_EARG: a rate < 1, a ratio outside 1/256 .. 256, an empty clip. BL_ENOMEM.
 * Memory   audio_resample returns a new clip; release with audio_clip_free. in and out must not be the same.
 *          With from == to the result is a copy, bit for bit.
 * Threads  any; audio_resample converts channels in parallel, with the same samples at any thread count.
 * Tested   tests/audio/test_resample.c: sweep error in dB, exact lengths, no shift.
 */
#ifndef BL_AUDIO_RESAMPLE_H
#define BL_AUDIO_RESAMPLE_H

#include "audio/clip.h"

typedef enum audio_resample_quality {
    AUDIO_RESAMPLE_BEST,
    AUDIO_RESAMPLE_MEDIUM,
    AUDIO_RESAMPLE_FAST
} audio_resample_quality;

/* round(n * to / from), at least 1 when n > 0. */
int64_t audio_resample_length(int64_t n_samples, int from_rate, int to_rate);

bl_status audio_resample(const audio_clip *in, int to_rate, audio_resample_quality quality,
                         audio_clip *out, bl_error *err);

/* One channel: in [n_samples] -> out [audio_resample_length(n_samples, from_rate, to_rate)]. */
bl_status audio_resample_buffer(const float *in, int64_t n_samples, int from_rate, int to_rate,
                                audio_resample_quality quality, float *out, bl_error *err);

#endif
