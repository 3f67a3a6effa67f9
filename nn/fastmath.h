/* exp, tanh and sigmoid that the compiler can vectorise: polynomials in float, the C library in double.
 *
 *     exp      x = n ln 2 + r, |r| <= ln 2 / 2; a polynomial of degree 7 in r, times 2^n
 *     tanh     x P(x^2) / Q(x^2) on |x| <= 7.9, beyond that +-1 to the last bit but one
 *     sigmoid  1 / (1 + exp(-x))
 *
 * Errors   None. exp is 0 below -87.3 (no subnormal results), infinite above 88.72; NaN stays NaN.
 *          Float error over the whole range: exp and sigmoid below 2.5e-7 relative, tanh below 4e-7.
 * Source   Coefficients of exp: Moshier, Cephes 2.2, expf.c; of tanh: the minimax fit that Eigen uses.
 * Tested   tests/nn/test_ops.c: fast_functions_stay_within_their_error.
 */
#ifndef BL_NN_FASTMATH_H
#define BL_NN_FASTMATH_H

#include "base/real.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#ifdef BL_F64

static inline real nn_fast_exp(real x)
{
    return exp(x);
}

static inline real nn_fast_tanh(real x)
{
    return tanh(x);
}

#else

/* 2^n for n in -126 .. 127; unsigned, since n is anything when the argument was NaN. */
static inline float nn_power_of_two(int32_t n)
{
    const uint32_t bits = ((uint32_t)n + 127u) << 23;
    float y;
    memcpy(&y, &bits, sizeof y);
    return y;
}

static inline float nn_fast_exp(float x)
{
    const float high = 88.72284f, low = -87.33654f;
    const float c = x > high ? high : x < low ? low : x;
    /* Adding 1.5 * 2^23 rounds to a whole number, which then stands in the low bits. */
    const float big = 12582912.0f, shifted = c * 1.44269504f + big, n = shifted - big;
    const float r = (c - n * 0.693359375f) - n * -2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    int32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    const int32_t whole = bits - 0x4B400000, half = whole >> 1; /* two factors: 2^128 is no float */
    const float y = p * nn_power_of_two(half) * nn_power_of_two(whole - half);
    return x > high ? INFINITY : x < low ? 0.0f : x == x ? y : x;
}

static inline float nn_fast_tanh(float x)
{
    const float edge = 7.90531110763549805f;
    const float c = x > edge ? edge : x < -edge ? -edge : x, s = c * c;
    float p = -2.76076847742355e-16f;
    p = p * s + 2.00018790482477e-13f;
    p = p * s + -8.60467152213735e-11f;
    p = p * s + 5.12229709037114e-08f;
    p = p * s + 1.48572235717979e-05f;
    p = p * s + 6.37261928875436e-04f;
    p = p * s + 4.89352455891786e-03f;
    float q = 1.19825839466702e-06f;
    q = q * s + 1.18534705686654e-04f;
    q = q * s + 2.26843463243900e-03f;
    q = q * s + 4.89352518554385e-03f;
    return c * p / q;
}

#endif

static inline real nn_fast_sigmoid(real x)
{
    return 1 / (1 + nn_fast_exp(-x));
}

#endif
