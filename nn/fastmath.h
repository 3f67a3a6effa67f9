/* Elementary functions that the compiler can vectorise: polynomials in float, the C library in double.
 *
 *     exp      x = n ln 2 + r, |r| <= ln 2 / 2; a polynomial of degree 7 in r, times 2^n
 *     expm1    the same polynomial without its 1: exp(x) - 1, exact near 0 too
 *     log      x = 2^n m, m in sqrt(1/2) .. sqrt(2); a polynomial of degree 9 in m - 1, plus n ln 2
 *     log1p    log(u) - (u - 1 - z) / u with u = 1 + z: the second part is what rounding did to u
 *     tanh     x P(x^2) / Q(x^2) on |x| <= 7.9, beyond that +-1 to the last bit but one
 *     sigmoid  1 / (1 + exp(-x))
 *     erf      x P(x^2) / Q(x^2) on |x| <= 4, beyond that +-1
 *     sin cos  x = n pi / 2 + r in double, so that a phase of many turns loses nothing; polynomials of degree 7 and 8 in r
 *
 * Errors   None. exp is 0 below -87.3 (no subnormal results), infinite above 88.72; log of 0 is -inf, of less NaN; NaN stays
 *          NaN. Float error over the whole range: exp, expm1, log, log1p and sigmoid below 2.5e-7 relative, tanh and erf
 *          below 4e-7 relative, sin and cos below 1.2e-7 absolute for |x| < 2^30.
 * Source   Coefficients of exp, log, sin, cos: Moshier, Cephes 2.2, expf.c, logf.c, sinf.c; of tanh and erf: the minimax
 *          fits that Eigen uses.
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

static inline real nn_fast_exp_low(real x)
{
    return exp(x);
}

static inline real nn_fast_tanh(real x)
{
    return tanh(x);
}

static inline real nn_fast_exp_negative(real x)
{
    return exp(x);
}

static inline real nn_fast_expm1(real x)
{
    return expm1(x);
}

static inline real nn_fast_log(real x)
{
    return log(x);
}

static inline real nn_fast_log1p(real x)
{
    return log1p(x);
}

static inline real nn_fast_erf(real x)
{
    return erf(x);
}

static inline real nn_fast_sin(real x)
{
    return sin(x);
}

static inline real nn_fast_cos(real x)
{
    return cos(x);
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

/* exp(c) = 2^n (1 + tail); c lies within -87.4 .. 88.8. */
static inline float nn_exp_tail(float c, int32_t *n)
{
    /* Adding 1.5 * 2^23 rounds to a whole number, which then stands in the low bits. */
    const float big = 12582912.0f, shifted = c * 1.44269504f + big, whole = shifted - big;
    const float r = (c - whole * 0.693359375f) - whole * -2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    int32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    *n = bits - 0x4B400000;
    return p * (r * r) + r;
}

static inline float nn_fast_exp(float x)
{
    const float high = 88.72284f, low = -87.33654f;
    const float c = x > high ? high : x < low ? low : x;
    int32_t n;
    const float p = nn_exp_tail(c, &n) + 1.0f;
    const int32_t half = n >> 1; /* two factors: 2^128 is no float */
    const float y = p * nn_power_of_two(half) * nn_power_of_two(n - half);
    return x > high ? INFINITY : x < low ? 0.0f : x == x ? y : x;
}

/* exp of x <= 0; below -87.3 it stays at 1e-38. A third of the time of nn_fast_exp and what follows on it. */
static inline float nn_fast_exp_negative(float x)
{
    const float low = -87.33654f, c = x < low ? low : x;
    int32_t n;
    const float p = nn_exp_tail(c, &n) + 1.0f;
    return p * nn_power_of_two(n);
}

/* The same, for x <= 88, and 0 below -87.3: what a softmax with masks needs. */
static inline float nn_fast_exp_low(float x)
{
    return x < -87.33654f ? 0.0f : nn_fast_exp_negative(x);
}

static inline float nn_fast_expm1(float x)
{
    const float high = 88.72284f, low = -17.5f; /* below: -1 to the last bit */
    const float c = x > high ? high : x < low ? low : x;
    int32_t n;
    const float tail = nn_exp_tail(c, &n);
    const int32_t half = n >> 1, rest = n - half;
    const float a = nn_power_of_two(half), y = (tail * a + (a - nn_power_of_two(-rest))) * nn_power_of_two(rest);
    return x > high ? INFINITY : x == x ? y : x;
}

/* log of a positive, finite, normal number. */
static inline float nn_log_normal(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    /* Taking off the bits of sqrt(1/2) carries into the exponent exactly where the mantissa is above sqrt(2). */
    const int32_t n = (int32_t)(bits - 0x3f3504f3u) >> 23;
    const uint32_t mantissa = bits - ((uint32_t)n << 23);
    float m;
    memcpy(&m, &mantissa, sizeof m);
    const float r = m - 1.0f, e = (float)n, z = r * r;
    float p = 7.0376836292e-2f;
    p = p * r - 1.1514610310e-1f;
    p = p * r + 1.1676998740e-1f;
    p = p * r - 1.2420140846e-1f;
    p = p * r + 1.4249322787e-1f;
    p = p * r - 1.6668057665e-1f;
    p = p * r + 2.0000714765e-1f;
    p = p * r - 2.4999993993e-1f;
    p = p * r + 3.3333331174e-1f;
    return e * 0.693359375f + (r + (p * r * z - 0.5f * z + e * -2.12194440e-4f));
}

static inline float nn_fast_log(float x)
{
    /* What no formula gives is added: a choice between values the compiler would turn into jumps, and not vectorise. */
    const float special = x == INFINITY ? INFINITY : x == 0.0f ? -INFINITY : x > 0.0f ? 0.0f : NAN;
    return nn_log_normal(x) + special;
}

/* For finite z > -1. */
static inline float nn_fast_log1p(float z)
{
    const float u = 1.0f + z;
    return nn_log_normal(u) - ((u - 1.0f) - z) / u;
}

static inline float nn_fast_erf(float x)
{
    const float c = x > 4.0f ? 4.0f : x < -4.0f ? -4.0f : x, s = c * c;
    float p = -2.72614225801306e-10f;
    p = p * s + 2.77068142495902e-08f;
    p = p * s + -2.10102402082508e-06f;
    p = p * s + -5.69250639462346e-05f;
    p = p * s + -7.34990630326855e-04f;
    p = p * s + -2.95459980854025e-03f;
    p = p * s + -1.60960333262415e-02f;
    float q = -1.45660718464996e-05f;
    q = q * s + -2.13374055278905e-04f;
    q = q * s + -1.68282697438203e-03f;
    q = q * s + -7.37332916720468e-03f;
    q = q * s + -1.42647390514189e-02f;
    return c * p / q;
}

/* sin(x + quarter pi / 2). */
static inline float nn_fast_sine_of(float x, int32_t quarter)
{
    const double big = 6755399441055744.0; /* 1.5 * 2^52: rounds to a whole number */
    const double shifted = (double)x * 0.63661977236758134 + big, n = shifted - big;
    const float r = (float)(((double)x - n * 1.5707963267948966) - n * 6.123233995736766e-17), z = r * r;
    uint64_t bits; /* n stands in the low ones */
    memcpy(&bits, &shifted, sizeof bits);
    const uint32_t q = (uint32_t)bits + (uint32_t)quarter;
    float s = -1.9515295891e-4f;
    s = s * z + 8.3321608736e-3f;
    s = s * z - 1.6666654611e-1f;
    s = s * z * r + r;
    float c = 2.443315711809948e-5f;
    c = c * z - 1.388731625493765e-3f;
    c = c * z + 4.166664568298827e-2f;
    c = c * z * z - 0.5f * z + 1.0f;
    const float y = q & 1 ? c : s;
    return q & 2 ? -y : y;
}

static inline float nn_fast_sin(float x)
{
    return nn_fast_sine_of(x, 0);
}

static inline float nn_fast_cos(float x)
{
    return nn_fast_sine_of(x, 1);
}

/* tanh(x) = p / q. */
static inline float nn_tanh_parts(float x, float *denominator)
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
    *denominator = q;
    return c * p;
}

static inline float nn_fast_tanh(float x)
{
    float q;
    const float p = nn_tanh_parts(x, &q);
    return p / q;
}

#endif

static inline real nn_fast_sigmoid(real x)
{
    return 1 / (1 + nn_fast_exp(-x));
}

/* tanh(a) sigmoid(b), and the two, with one division. */
static inline real nn_fast_gate_parts(real a, real b, real *tanh_a, real *sigmoid_b)
{
#ifdef BL_F64
    *tanh_a = nn_fast_tanh(a);
    *sigmoid_b = nn_fast_sigmoid(b);
    return *tanh_a * *sigmoid_b;
#else
    /* Where exp would be infinite or 0, what it is here makes no difference: the result is below 1e-38, or tanh(a). */
    const float c = b > 87 ? -87 : b < -87 ? 87 : -b;
    int32_t n;
    float q;
    const float p = nn_tanh_parts(a, &q), e = 1 + (nn_exp_tail(c, &n) + 1) * nn_power_of_two(n), r = 1 / (q * e);
    *tanh_a = p * e * r;
    *sigmoid_b = q * r;
    return p * r;
#endif
}

static inline real nn_fast_gate(real a, real b)
{
    real u, v;
    return nn_fast_gate_parts(a, b, &u, &v);
}

#endif
