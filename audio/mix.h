/* Mixing on plain buffers: gain, sum, fades, pan, filters, limiter, reverb. Deterministic, bit for bit.
 *
 * Units    full scale 1.0; gains in dB (20 log10); times in samples.
 * Memory   Buffers are borrowed; out may be in where the comment says "in place".
 * Tested   tests/audio/test_mix.c: exact sums, ceiling, scipy.signal.freqz.
 */
#ifndef BL_AUDIO_MIX_H
#define BL_AUDIO_MIX_H

#include "audio/clip.h"

double audio_db_to_gain(double gain_db);          /* 10^(dB/20) */
double audio_gain_to_db(double gain);             /* -INFINITY for 0 */

/* x[i] *= gain, in place. A gain of exactly 1 leaves every bit. */
void audio_mix_gain(float *x, int64_t n_samples, double gain);

/* out[offset + i] += gain * x[i] for the part that lies inside out; offset may be negative. Each term is one
 * float product and one float sum, so a mix equals the sum of its stems exactly. */
void audio_mix_add(float *out, int64_t n_out, const float *x, int64_t n_x, int64_t offset, double gain);

/* Channel by channel; a mono clip goes to all channels of out. BL_ESHAPE when rates or channels do not agree. */
bl_status audio_mix_add_clip(audio_clip *out, const audio_clip *x, int64_t offset, double gain, bl_error *err);

/* Raised cosine from 0 to 1 over the first / 1 to 0 over the last n_fade samples, in place. A fade in and a
 * fade out of the same length, overlapped, add up to 1. n_fade larger than the buffer is cut to it. */
void audio_fade_in(float *x, int64_t n_samples, int64_t n_fade);
void audio_fade_out(float *x, int64_t n_samples, int64_t n_fade);

/* Equal power: pan -1 left, 0 centre (both 0.7071), +1 right; left^2 + right^2 = 1. */
void audio_pan_gains(double pan, double *left, double *right);

/* ---- biquad filters ----
 *     y[n] = b0 x[n] + b1 x[n-1] + b2 x[n-2] - a1 y[n-1] - a2 y[n-2]
 * Source   Robert Bristow-Johnson, "Cookbook formulae for audio EQ biquad filter coefficients". */
typedef enum audio_biquad_kind {
    AUDIO_LOWPASS, AUDIO_HIGHPASS, AUDIO_LOW_SHELF, AUDIO_HIGH_SHELF, AUDIO_PEAK_EQ
} audio_biquad_kind;

typedef struct audio_biquad {
    double b0, b1, b2, a1, a2;
    double z1, z2;                 /* state, zero at the start */
} audio_biquad;

/* cutoff_hz is kept inside (0, sample_rate/2); q 0 means 0.7071; gain_db for shelves and peaks (shelf slope by q). */
audio_biquad audio_biquad_design(audio_biquad_kind kind, double sample_rate, double cutoff_hz, double q, double gain_db);

/* In place; continues from the state, so blocks of any size give the same samples. */
void audio_biquad_run(audio_biquad *f, float *x, int64_t n_samples);

/* ---- true-peak limiter with look-ahead ----
 * Brings the 4-fold oversampled peak of all channels to ceiling_db or below, with one gain for all channels:
 * gain wanted -> minimum over the look-ahead -> smoothed, so that no edge is audible. Length and alignment stay.
 * Where nothing exceeds the ceiling the samples are untouched. Returns the largest gain reduction in dB (0: none). */
bl_status audio_limit(audio_clip *clip, double ceiling_db, double lookahead_ms, double release_ms,
                      double *reduction_db, bl_error *err);

/* ---- reverb send: Freeverb (Jezar at Dreampoint, 2000): 8 comb and 4 allpass filters a side ----
 * in [n_samples] mono; left and right [n_samples] are overwritten with the wet signal alone. */
typedef struct audio_reverb_config {
    double room_size;   /* 0..1: decay, 0.5 a room, 0.8 a hall */
    double damping;     /* 0..1: how fast the treble dies       */
    double width;       /* 0 mono .. 1 wide                     */
    double predelay_ms;
} audio_reverb_config;

bl_status audio_reverb(const float *in, int64_t n_samples, int sample_rate, const audio_reverb_config *config,
                       float *left, float *right, bl_error *err);

#endif
