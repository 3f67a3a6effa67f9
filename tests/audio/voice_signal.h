/* Synthetic singing, clicks and noise for the tests of the listening half of audio/. */
#ifndef BL_TESTS_VOICE_SIGNAL_H
#define BL_TESTS_VOICE_SIGNAL_H

#include "base/rng.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

enum { VOICE_RATE = 44100 };

/* Adds a harmonic tone with vibrato of 5.5 Hz to x from sample `from` on; 20 ms fades when asked. */
static inline void voice_tone(float *x, int64_t n, double hz, int n_harmonics, double tilt, double vibrato_semitones,
                              double gain, int fade)
{
    const double pi = acos(-1.0), rate = 5.5, swing = vibrato_semitones * log(2.0) / 12 * hz / (2 * pi * rate);
    for (int64_t i = 0; i < n; i++) {
        const double t = (double)i / VOICE_RATE, phase = 2 * pi * (hz * t - swing * (cos(2 * pi * rate * t) - 1));
        double       y = 0;
        for (int h = 1; h <= n_harmonics && h * hz < 0.45 * VOICE_RATE; h++)
            y += sin(h * phase) / pow(h, tilt);
        double level = gain;
        if (fade)
            level *= fmin(1, fmin((double)i, (double)(n - 1 - i)) / (0.02 * VOICE_RATE));
        x[i] += (float)(level * y);
    }
}

static inline double voice_hz(double midi)
{
    return 440 * exp2((midi - 69) / 12);
}

/* A sung-like note: eight harmonics, a little vibrato. */
static inline void voice_note(float *x, int64_t n_samples, double onset_s, double offset_s, double midi, double vibrato)
{
    const int64_t from = (int64_t)(onset_s * VOICE_RATE), to = (int64_t)(offset_s * VOICE_RATE);
    if (from < n_samples)
        voice_tone(x + from, (to < n_samples ? to : n_samples) - from, voice_hz(midi), 8, 1, vibrato, 0.2, 1);
}

static inline void voice_noise(float *x, int64_t n, double gain, uint64_t seed)
{
    bl_rng rng;
    bl_rng_seed(&rng, seed);
    for (int64_t i = 0; i < n; i++)
        x[i] += (float)(gain * bl_rng_normal(&rng));
}

/* A drum-like hit: noise that decays within 60 ms, or a low thump. */
static inline void voice_hit(float *x, int64_t n_samples, double time_s, double gain, int low)
{
    const int64_t from = (int64_t)(time_s * VOICE_RATE);
    bl_rng        rng;
    bl_rng_seed(&rng, (uint64_t)from + 1);
    for (int64_t i = 0; i < VOICE_RATE / 5 && from + i < n_samples; i++) {
        const double t = (double)i / VOICE_RATE;
        x[from + i] += (float)(gain * (low ? exp(-t / 0.05) * sin(2 * acos(-1.0) * 60 * t) : exp(-t / 0.015) * bl_rng_normal(&rng)));
    }
}

#endif
