/* Short-time Fourier transform of one real channel, and its inverse.
 *
 *     X[f,t] = sum over n of  w[n] * x[t*hop_length + n - n_fft/2] * exp(-2 pi i f n / n_fft)
 *
 * Shapes   x    [N]     float
 *          out  [F, T]  float pairs (re, im), T contiguous
 *                       F = n_fft/2 + 1,  T = N/hop_length + 1
 * Units    x is in full scale: 1.0 is the loudest sample a file can hold. |X| is in the same
 *          unit times sum(w); nothing is divided by n_fft. Bin f lies at f*sample_rate/n_fft
 *          hertz; frame t is centred on sample t*hop_length.
 * Window   Periodic Hann. When win_length < n_fft it is centred in the frame.
 * Edges    AUDIO_PAD_REFLECT: x is mirrored about its first and last sample, which are not repeated.
 *          Equals librosa.stft(center=True, pad_mode="reflect") and torch.stft(center=True).
 *          AUDIO_PAD_ZERO: zeros on both sides, librosa's own default pad_mode ("constant") since 0.10.
 * Errors   audio_stft_new: NULL, and in err BL_EARG (n_fft odd or < 2, hop_length < 1,
 *          win_length > n_fft) or BL_ENOMEM. audio_stft_run: BL_EARG when N < 1, and with reflection
 *          when N <= n_fft/2, since there is not enough signal to mirror. Nothing is written on failure.
 * Memory   audio_stft_new returns a plan; release with audio_stft_free (NULL allowed). The run functions
 *          borrow their arrays, which must not overlap, and allocate nothing, so they may run in an
 *          audio callback.
 * Threads  A plan holds scratch: one plan per thread.
 * Source   Allen & Rabiner, "A unified approach to short-time Fourier analysis and
 *          synthesis", Proc. IEEE 65(11), 1977; inverse: Griffin & Lim, 1984.
 * Tested   tests/audio/test_stft.c: linearity, impulse, time shift, Parseval, round trip, scipy.
 */
#ifndef BL_AUDIO_STFT_H
#define BL_AUDIO_STFT_H

#include "base/error.h"

#include <stdint.h>

typedef enum audio_stft_pad { AUDIO_PAD_REFLECT, AUDIO_PAD_ZERO } audio_stft_pad;

typedef struct audio_stft_config {
    int            n_fft;        /* samples; even            */
    int            hop_length;   /* samples; 0 means n_fft/4 */
    int            win_length;   /* samples; 0 means n_fft   */
    audio_stft_pad pad;
} audio_stft_config;

typedef struct audio_stft audio_stft;

audio_stft *audio_stft_new(const audio_stft_config *config, bl_error *err);
void        audio_stft_free(audio_stft *s);
int         audio_stft_bins(const audio_stft *s);                        /* F */
int64_t     audio_stft_frames(const audio_stft *s, int64_t n_samples);   /* T */
bl_status   audio_stft_run(audio_stft *s, const float *x, int64_t n_samples,
                           float *out, bl_error *err);

/* Column t alone, bit for bit that of audio_stft_run: out [F] pairs. For analyses that need no more
 * than one frame at a time; 0 <= t < T. Conditions on n_samples as in audio_stft_run, not checked again. */
void audio_stft_frame(audio_stft *s, const float *x, int64_t n_samples, int64_t t, float *out);

/* Inverse by windowed overlap-add: the signal whose transform is nearest to X in the least-squares sense,
 *
 *     x[n] = sum over t of w[n - t*hop] * frame_t[n - t*hop]  /  sum over t of w^2[n - t*hop]
 *
 * and x itself (error below -120 dB) when X came from audio_stft_run. Sums are in double.
 *
 * Shapes   spectrum [F, T] float pairs, T = audio_stft_frames(s, n_samples); out [n_samples].
 * Errors   BL_EARG: n_samples < 1, or hop_length so large that some sample lies under no window
 *          (hop_length > win_length/2 cannot be inverted safely). Nothing is written on failure.
 */
bl_status audio_stft_inverse(audio_stft *s, const float *spectrum, int64_t n_samples,
                             float *out, bl_error *err);

#endif
