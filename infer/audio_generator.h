/* The audio generator: repaired amplitudes and the phases of the tones become a stem again, by the inverse STFT with
 * overlap-add.
 *
 *     Y[f,t] = magnitude[f,t] * X[f,t] / |X[f,t]|        (0 where X is 0: there is no phase to keep)
 *     y = istft(Y)
 *
 * Shapes   out [s->n_samples]
 * Note     s->spectrum is overwritten with Y. With the magnitudes unchanged the signal comes back below -120 dB.
 * Errors   as audio_stft_inverse
 * Tested   tests/infer/test_spectrum.c
 */
#ifndef BL_INFER_AUDIO_GENERATOR_H
#define BL_INFER_AUDIO_GENERATOR_H

#include "infer/spectrogram.h"

bl_status infer_audio_generator_run(infer_spectrogram *s, float *out, bl_error *err);

#endif
