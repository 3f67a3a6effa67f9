/* Decibels of many powers at once: a logarithm that compilers turn into vector code.
 *
 *     audio_decibel(p) = 10 log10(p),  p >= 2^-126 (not zero, not denormal)
 *
 * x = 2^e m with m in [sqrt(1/2), sqrt(2)); ln m = 2 artanh(s), s = (m - 1)/(m + 1), five terms of its series. Within
 * 2e-7 of the true value, relative, or 4e-7 dB near 0 dB.
 * Tested   tests/audio/test_features.c
 */
#ifndef BL_AUDIO_DECIBEL_PRIVATE_H
#define BL_AUDIO_DECIBEL_PRIVATE_H

#include <stdint.h>
#include <string.h>

static inline float audio_decibel(float p)
{
    const float db_per_octave = 3.0102999566f, db_per_neper = 4.3429448190f;
    uint32_t    bits;
    float       m;
    memcpy(&bits, &p, sizeof bits);
    const int32_t e = (int32_t)(bits - 0x3f3504f3u) >> 23; /* 0x3f3504f3 is sqrt(1/2) */
    bits -= (uint32_t)e << 23;
    memcpy(&m, &bits, sizeof m);
    const float s = (m - 1) / (m + 1), q = s * s;
    const float series = 2 * s * (1 + q * (1 / 3.0f + q * (1 / 5.0f + q * (1 / 7.0f + q * (1 / 9.0f)))));
    return db_per_octave * (float)e + db_per_neper * series;
}

#endif
