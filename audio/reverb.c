/* Freeverb: see audio/mix.h. Delay lengths and gains are Jezar's, tuned for 44100 Hz and scaled to the rate. */
#include "audio/mix.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { COMBS = 8, ALLPASSES = 4, SPREAD = 23 };

static const int comb_delay[COMBS] = { 1116, 1188, 1277, 1356, 1422, 1491, 1557, 1617 };
static const int allpass_delay[ALLPASSES] = { 556, 441, 341, 225 };

typedef struct delay_line {
    float  *buffer;
    int64_t n, at;
    float   damped;
} delay_line;

static int64_t scaled(int delay, int sample_rate)
{
    const int64_t n = (int64_t)((double)delay * sample_rate / 44100.0 + 0.5);
    return n < 1 ? 1 : n;
}

/* Feedback loops die out through denormal numbers, which are slow. */
static float flush(float v)
{
    return fabsf(v) < 1e-20f ? 0.0f : v;
}

static float comb(delay_line *d, float in, float feedback, float damp)
{
    const float out = d->buffer[d->at];
    d->damped = flush(out * (1 - damp) + d->damped * damp);
    d->buffer[d->at] = flush(in + d->damped * feedback);
    d->at = d->at + 1 == d->n ? 0 : d->at + 1;
    return out;
}

static float allpass(delay_line *d, float in)
{
    const float held = d->buffer[d->at];
    d->buffer[d->at] = flush(in + held * 0.5f);
    d->at = d->at + 1 == d->n ? 0 : d->at + 1;
    return held - in;
}

/* One side: the eight combs in parallel, then the four allpasses in a row. */
static int run_side(const float *in, int64_t n_samples, int64_t predelay, int sample_rate, int spread,
                    float feedback, float damp, float *out)
{
    delay_line lines[COMBS + ALLPASSES] = { 0 };
    int64_t total = 0;
    for (int i = 0; i < COMBS + ALLPASSES; i++) {
        lines[i].n = scaled((i < COMBS ? comb_delay[i] : allpass_delay[i - COMBS]) + spread, sample_rate);
        total += lines[i].n;
    }
    float *memory = calloc((size_t)total, sizeof *memory);
    if (!memory)
        return 0;
    float *next = memory;
    for (int i = 0; i < COMBS + ALLPASSES; i++) {
        lines[i].buffer = next;
        next += lines[i].n;
    }
    for (int64_t t = 0; t < n_samples; t++) {
        const float x = t >= predelay ? 0.015f * in[t - predelay] : 0.0f;
        float sum = 0;
        for (int i = 0; i < COMBS; i++)
            sum += comb(&lines[i], x, feedback, damp);
        for (int i = 0; i < ALLPASSES; i++)
            sum = allpass(&lines[COMBS + i], sum);
        out[t] = 3.0f * sum;
    }
    free(memory);
    return 1;
}

static double unit(double v)
{
    return v < 0 ? 0 : v > 1 ? 1 : v;
}

bl_status audio_reverb(const float *in, int64_t n_samples, int sample_rate, const audio_reverb_config *config,
                       float *left, float *right, bl_error *err)
{
    if (n_samples < 1 || sample_rate < 1)
        return bl_fail(err, BL_EARG, "reverb: expected at least 1 sample and 1 Hz, got %lld and %d",
                       (long long)n_samples, sample_rate);
    const float feedback = (float)(0.7 + 0.28 * unit(config->room_size));
    const float damp = (float)(0.4 * unit(config->damping));
    const int64_t predelay = (int64_t)((config->predelay_ms > 0 ? config->predelay_ms : 0) * 1e-3 * sample_rate);
    int good[2];
    #pragma omp parallel for schedule(static)
    for (int side = 0; side < 2; side++)
        good[side] = run_side(in, n_samples, predelay, sample_rate, side * SPREAD, feedback, damp, side ? right : left);
    if (!good[0] || !good[1])
        return bl_fail(err, BL_ENOMEM, "reverb: no memory");
    const float near = (float)(0.5 + 0.5 * unit(config->width)), far = 1 - near;
    for (int64_t t = 0; t < n_samples; t++) {
        const float l = left[t], r = right[t];
        left[t] = near * l + far * r;
        right[t] = near * r + far * l;
    }
    return BL_OK;
}
