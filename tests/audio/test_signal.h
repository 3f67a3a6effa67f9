/* The signal of tools/golden/features.py, sample for sample. */
#ifndef BL_TESTS_AUDIO_TEST_SIGNAL_H
#define BL_TESTS_AUDIO_TEST_SIGNAL_H

#include <math.h>
#include <stdint.h>

enum { SIGNAL_RATE = 22050, SIGNAL_N = 9000, SIGNAL_FFT = 1024, SIGNAL_HOP = 256 };

static inline void make_signal(float *x)
{
    const double pi = 3.14159265358979323846;
    uint32_t s = 12345;
    for (int i = 0; i < SIGNAL_N; i++) {
        const double t = (double)i / SIGNAL_RATE;
        double v = 0.5 * sin(2 * pi * 440 * t) * exp(-4 * t) + (t > 0.2 ? 0.25 * sin(2 * pi * 1318.5 * t) : 0.0);
        s = s * 1664525u + 1013904223u;
        v += 0.01 * (s / 2147483648.0 - 1) + (i == 6000 ? 0.9 : 0.0);
        x[i] = (float)v;
    }
}

/* 20 log10(rms of the difference / rms of b). */
static inline double error_db(const float *a, const float *b, int64_t n)
{
    double error = 0, level = 0;
    for (int64_t i = 0; i < n; i++) {
        const double d = (double)a[i] - (double)b[i];
        error += d * d;
        level += (double)b[i] * (double)b[i];
    }
    return 10 * log10(error / level + 1e-30);
}

#endif
