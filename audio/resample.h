/* Sample rate conversion on libsamplerate (band-limited sinc interpolation).
 *
 * Shapes   out length is exactly round(n_in * to / from), at least 1; sample i of out lies at time i / to,
 *          so nothing is shifted.
 * Options  best: stop band -145 dB, pass band 97 %; medium: -121 dB, 91 %; fast: -97 dB, 80 %.
 * Errors   BL_EARG: a rate < 1, a ratio outside 1/256 .. 256, an empty clip. BL_ENOMEM.
 * Memory   audio_resample returns a new clip; release with audio_clip_free. in and out must not be the same.
 *          With from == to the result is a copy, bit for bit.
 * Threads  any.
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
