#include "audio/mix.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

double audio_db_to_gain(double gain_db)
{
    return pow(10.0, gain_db / 20.0);
}

double audio_gain_to_db(double gain)
{
    return gain > 0 ? 20.0 * log10(gain) : -HUGE_VAL;
}

void audio_mix_gain(float *x, int64_t n_samples, double gain)
{
    const float g = (float)gain;
    for (int64_t i = 0; i < n_samples && g != 1.0f; i++)
        x[i] *= g;
}

void audio_mix_add(float *out, int64_t n_out, const float *x, int64_t n_x, int64_t offset, double gain)
{
    const float g = (float)gain;
    const int64_t from = offset < 0 ? -offset : 0;
    const int64_t to = n_x < n_out - offset ? n_x : n_out - offset;
    for (int64_t i = from; i < to; i++)
        out[offset + i] += g * x[i];
}

bl_status audio_mix_add_clip(audio_clip *out, const audio_clip *x, int64_t offset, double gain, bl_error *err)
{
    if (x->sample_rate != out->sample_rate || (x->n_channels != 1 && x->n_channels != out->n_channels))
        return bl_fail(err, BL_ESHAPE, "mix: expected %d Hz and 1 or %d channels, got %d Hz and %d channels",
                       out->sample_rate, out->n_channels, x->sample_rate, x->n_channels);
    for (int c = 0; c < out->n_channels; c++)
        audio_mix_add(out->samples + c * out->n_samples, out->n_samples,
                      x->samples + (x->n_channels == 1 ? 0 : c) * x->n_samples, x->n_samples, offset, gain);
    return BL_OK;
}

/* Sample i of n stands at the middle of its step, so a fade and its mirror image add up to 1. */
static double fade_value(int64_t i, int64_t n)
{
    return 0.5 - 0.5 * cos(pi * ((double)i + 0.5) / (double)n);
}

void audio_fade_in(float *x, int64_t n_samples, int64_t n_fade)
{
    const int64_t n = n_fade < n_samples ? n_fade : n_samples;
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)((double)x[i] * fade_value(i, n));
}

void audio_fade_out(float *x, int64_t n_samples, int64_t n_fade)
{
    const int64_t n = n_fade < n_samples ? n_fade : n_samples;
    for (int64_t i = 0; i < n; i++)
        x[n_samples - 1 - i] = (float)((double)x[n_samples - 1 - i] * fade_value(i, n));
}

void audio_pan_gains(double pan, double *left, double *right)
{
    const double p = pan < -1 ? -1 : pan > 1 ? 1 : pan;
    *left = cos((p + 1) * pi / 4);
    *right = sin((p + 1) * pi / 4);
}

audio_biquad audio_biquad_design(audio_biquad_kind kind, double sample_rate, double cutoff_hz, double q, double gain_db)
{
    const double highest = 0.499 * sample_rate, lowest = 1e-5 * sample_rate;
    const double hz = cutoff_hz < lowest ? lowest : cutoff_hz > highest ? highest : cutoff_hz;
    const double w = 2 * pi * hz / sample_rate, c = cos(w);
    const double alpha = sin(w) / (2 * (q > 0 ? q : sqrt(0.5)));
    const double A = pow(10.0, gain_db / 40.0), root = 2 * sqrt(A) * alpha;
    double b0, b1, b2, a0, a1, a2;

    switch (kind) {
    case AUDIO_LOWPASS:
        b0 = b2 = (1 - c) / 2, b1 = 1 - c;
        a0 = 1 + alpha, a1 = -2 * c, a2 = 1 - alpha;
        break;
    case AUDIO_HIGHPASS:
        b0 = b2 = (1 + c) / 2, b1 = -(1 + c);
        a0 = 1 + alpha, a1 = -2 * c, a2 = 1 - alpha;
        break;
    case AUDIO_LOW_SHELF:
        b0 = A * ((A + 1) - (A - 1) * c + root), b1 = 2 * A * ((A - 1) - (A + 1) * c), b2 = A * ((A + 1) - (A - 1) * c - root);
        a0 = (A + 1) + (A - 1) * c + root, a1 = -2 * ((A - 1) + (A + 1) * c), a2 = (A + 1) + (A - 1) * c - root;
        break;
    case AUDIO_HIGH_SHELF:
        b0 = A * ((A + 1) + (A - 1) * c + root), b1 = -2 * A * ((A - 1) + (A + 1) * c), b2 = A * ((A + 1) + (A - 1) * c - root);
        a0 = (A + 1) - (A - 1) * c + root, a1 = 2 * ((A - 1) - (A + 1) * c), a2 = (A + 1) - (A - 1) * c - root;
        break;
    default: /* AUDIO_PEAK_EQ */
        b0 = 1 + alpha * A, b1 = -2 * c, b2 = 1 - alpha * A;
        a0 = 1 + alpha / A, a1 = -2 * c, a2 = 1 - alpha / A;
        break;
    }
    return (audio_biquad){ b0 / a0, b1 / a0, b2 / a0, a1 / a0, a2 / a0, 0, 0 };
}

void audio_biquad_run(audio_biquad *f, float *x, int64_t n_samples)
{
    double z1 = f->z1, z2 = f->z2;
    for (int64_t i = 0; i < n_samples; i++) {   /* transposed direct form II */
        const double in = (double)x[i], y = f->b0 * in + z1;
        z1 = f->b1 * in - f->a1 * y + z2;
        z2 = f->b2 * in - f->a2 * y;
        x[i] = (float)y;
    }
    /* A decaying state would end in denormal numbers, which are slow. */
    f->z1 = fabs(z1) < 1e-30 ? 0 : z1;
    f->z2 = fabs(z2) < 1e-30 ? 0 : z2;
}
