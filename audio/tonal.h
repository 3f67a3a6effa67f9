/* A spectrum for harmony: three bins a semitone on a logarithmic axis, in tune with the recording, whitened.
 *
 *     S[b,t] = log(1 + 1000 |X|(f_b, t) / loud)             f_b = 440 2^((b/3 + 24 - 69 + tuning_cents/100) / 12) Hz
 *     value[b,t] = S[b,t] - mean of S over the bins within nine semitones
 *
 * |X|(f_b) gathers the power of a Hann-windowed transform of 0.37 s under triangles that reach to the neighbouring bins, or
 * interpolates where those lie closer together than the transform's. The local mean takes away the colour of the recording
 * and broad-band noise such as drums; what remains are partials. `loud` is the root mean square of each frame's strongest bin.
 * The tuning is that of the spectral peaks between 80 and 2000 Hz (circular mean of their distance to the semitone).
 *
 * Shapes   x [n_samples]; value [AUDIO_TONAL_BINS, n_frames], n_frames contiguous; bin 0 is C1 (32.7 Hz), bin 3 C#1
 * Units    frame t is centred at t * hop_s seconds, about 0.1 s; tuning in cents, -50..50
 * Edges    zeros before and after. Bins above half the sample rate, and silence, are 0.
 * Errors   BL_EARG: sample_rate below 4000, n_samples < 1; BL_ENOMEM
 * Memory   audio_tonal_run fills *out; release with audio_tonal_free (zeroed struct allowed). 10 kB a second.
 * Threads  Any; one call uses one.
 * Cost     One FFT of 0.37 s per frame, and one more for every fourth frame.
 * Source   Whitened log-frequency spectra for chords: Mauch & Dixon, "Approximate note transcription for the improved
 *          identification of difficult chords", ISMIR 2010; Korzeniowski & Widmer, "Feature learning for chord recognition: the
 *          deep chroma extractor", ISMIR 2016.
 * Tested   tests/audio/test_tonal.c
 */
#ifndef BL_AUDIO_TONAL_H
#define BL_AUDIO_TONAL_H

#include "base/error.h"

#include <stdint.h>

enum { AUDIO_TONAL_PER_SEMITONE = 3, AUDIO_TONAL_BINS = 7 * 12 * AUDIO_TONAL_PER_SEMITONE };

typedef struct audio_tonal {
    int64_t n_frames;
    double  hop_s;
    double  tuning_cents;
    float  *value; /* [AUDIO_TONAL_BINS, n_frames] */
} audio_tonal;

bl_status audio_tonal_run(const float *x, int64_t n_samples, int sample_rate, audio_tonal *out, bl_error *err);
void      audio_tonal_free(audio_tonal *tonal);

#endif
