/* The spectrogram generator: a stem becomes amplitude and phase over time.
 *
 *     X[f,t] = audio_stft(x),     magnitude[f,t] = |X[f,t]|
 *
 * Shapes   x [n_samples]; spectrum [F, T] pairs (re, im), which keep the phase; magnitude [F, T], T contiguous
 * Edges    zeros outside the signal, so any length has a spectrogram
 * Errors   BL_EARG as audio_stft_new; BL_ENOMEM
 * Memory   Fills a zeroed struct; release with infer_spectrogram_free.
 */
#ifndef BL_INFER_SPECTROGRAM_H
#define BL_INFER_SPECTROGRAM_H

#include "audio/stft.h"

typedef struct infer_spectrogram {
    audio_stft *stft;
    int64_t     n_samples, n_frames;
    int         n_bins;
    float      *spectrum, *magnitude;
} infer_spectrogram;

bl_status infer_spectrogram_new(infer_spectrogram *s, const float *x, int64_t n_samples, int n_fft, int hop_length,
                                bl_error *err);
void      infer_spectrogram_free(infer_spectrogram *s);

#endif
