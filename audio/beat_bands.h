/* What a beat tracker looks at: a spectrogram on a logarithmic scale in 72 bands, 50 frames a second, small enough to
 * keep for an hour (13 MB). And what it makes of it: how much each moment sounds like a beat, and like the first of a bar.
 *
 *     frame t is centred on sample t*hop, hop = rate/50 rounded; windows of 46 ms; magnitudes |X| 2 / sum(w), so that a
 *     sine of amplitude 1 has 1; band b the mean over a triangle, centres equally spaced in mels (HTK) from 30 Hz to 10 kHz
 *     level[t, b] = (ln(band) + 16) / 0.07 rounded, 0 .. 255: steps of 0.61 dB from -139 dBFS up; 0 is silence
 *
 * Bands above half the sample rate are 0.
 *
 * Shapes   x [n_samples] one channel; level [n_frames, AUDIO_BEAT_BANDS], n_frames = n_samples/hop + 1
 * Units    hop_s in seconds; loudness: natural log of the root mean square of all bands, over frames not more than 60 dB
 *          below the loudest
 * Errors   BL_EARG: n_samples < 1, rate < 4000. BL_ENOMEM. Nothing is left allocated then.
 * Memory   _run fills *out; release with _free (zeroed struct allowed). Beside the result one frame, and 8 bytes a frame.
 * Cost     With the network behind it (blocks/beat_tracker.h) 0.6 ms for a second of audio at 22,050 Hz on one core.
 * Source   Bock & Schedl, "Enhanced beat tracking with context-aware neural networks", DAFx 2011.
 * Tested   tests/audio/test_beat_bands.c
 */
#ifndef BL_AUDIO_BEAT_BANDS_H
#define BL_AUDIO_BEAT_BANDS_H

#include "base/error.h"

#include <stdint.h>

enum { AUDIO_BEAT_BANDS = 72, AUDIO_BEAT_FPS = 50 };
#define AUDIO_BEAT_STEP   0.07
#define AUDIO_BEAT_BOTTOM -16.0

typedef struct audio_beat_bands {
    unsigned char *level;
    int64_t        n_frames;
    double         hop_s, loudness;
} audio_beat_bands;

bl_status audio_beat_bands_run(const float *x, int64_t n_samples, int sample_rate, audio_beat_bands *out, bl_error *err);
void      audio_beat_bands_free(audio_beat_bands *bands);

#endif
