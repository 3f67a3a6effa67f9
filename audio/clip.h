/* A piece of audio in memory. The one type that passes between reading, analysis, mixing, writing.
 *
 * Shapes   samples [n_channels, n_samples], one channel after the other (planar); channel c starts
 *          at samples + c * n_samples.
 * Units    full scale is 1.0; n_samples counts per channel; sample_rate in hertz.
 * Memory   audio_clip_new returns samples set to zero; release with audio_clip_free, which also
 *          accepts a zeroed struct and leaves one behind.
 */
#ifndef BL_AUDIO_CLIP_H
#define BL_AUDIO_CLIP_H

#include "base/error.h"

#include <stdint.h>

typedef struct audio_clip {
    float  *samples;
    int64_t n_samples;
    int     n_channels;
    int     sample_rate;
} audio_clip;

bl_status audio_clip_new(audio_clip *clip, int n_channels, int64_t n_samples, int sample_rate, bl_error *err);
void      audio_clip_free(audio_clip *clip);

/* Mean of the channels into out [n_samples]; where they cancel each other (a channel that is the negative of another), the
 * loudest of them. */
void audio_clip_mono(const audio_clip *clip, float *out);

#endif
