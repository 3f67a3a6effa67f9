#include "audio/clip.h"

#include <stdlib.h>
#include <string.h>

bl_status audio_clip_new(audio_clip *clip, int n_channels, int64_t n_samples, int sample_rate, bl_error *err)
{
    *clip = (audio_clip){ 0 };
    if (n_channels < 1 || n_samples < 0 || sample_rate < 1)
        return bl_fail(err, BL_EARG, "clip: expected at least 1 channel, 0 samples and 1 Hz, got %d, %lld and %d",
                       n_channels, (long long)n_samples, sample_rate);
    if (n_samples > INT64_MAX / (int64_t)sizeof(float) / n_channels)
        return bl_fail(err, BL_ENOMEM, "clip: no memory for %lld samples of %d channels", (long long)n_samples, n_channels);
    const size_t n = (size_t)n_samples * (size_t)n_channels;
    clip->samples = calloc(n ? n : 1, sizeof *clip->samples);
    if (!clip->samples)
        return bl_fail(err, BL_ENOMEM, "clip: no memory for %lld samples of %d channels", (long long)n_samples, n_channels);
    clip->n_samples = n_samples;
    clip->n_channels = n_channels;
    clip->sample_rate = sample_rate;
    return BL_OK;
}

void audio_clip_free(audio_clip *clip)
{
    if (!clip)
        return;
    free(clip->samples);
    *clip = (audio_clip){ 0 };
}

enum { SIDE = 16, BLOCK = 256 };

/* Sums in double: those of an hour. SIDE of them side by side: one would wait for the next. */
static double power(const float *x, int64_t n)
{
    double  sum[SIDE] = { 0 };
    int64_t i = 0;
    for (; i + SIDE <= n; i += SIDE)
        #pragma omp simd
        for (int l = 0; l < SIDE; l++)
            sum[l] += (double)x[i + l] * (double)x[i + l];
    for (; i < n; i++)
        sum[0] += (double)x[i] * (double)x[i];
    for (int l = 1; l < SIDE; l++)
        sum[0] += sum[l];
    return sum[0];
}

void audio_clip_mono(const audio_clip *clip, float *out)
{
    const double scale = 1.0 / clip->n_channels;
    double       loudest = 0;
    const float *loud = clip->samples;
    for (int64_t first = 0; first < clip->n_samples; first += BLOCK) {
        const int n = clip->n_samples - first < BLOCK ? (int)(clip->n_samples - first) : BLOCK;
        double    sum[BLOCK] = { 0 };
        for (int c = 0; c < clip->n_channels; c++)
            for (int i = 0; i < n; i++)
                sum[i] += (double)clip->samples[c * clip->n_samples + first + i];
        for (int i = 0; i < n; i++)
            out[first + i] = (float)(sum[i] * scale);
    }
    for (int c = 0; c < clip->n_channels && clip->n_channels > 1; c++) {
        const float *x = clip->samples + c * clip->n_samples;
        const double here = power(x, clip->n_samples);
        if (here > loudest) {
            loudest = here;
            loud = x;
        }
    }
    /* A voice in one of n channels leaves 1/n^2 of its power: less than half of that is cancellation. */
    if (power(out, clip->n_samples) < 0.5 * scale * scale * loudest)
        memcpy(out, loud, sizeof *out * (size_t)clip->n_samples);
}
