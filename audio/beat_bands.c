#include "audio/beat_bands.h"

#include "audio/features.h"
#include "audio/stft.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double LOWEST_HZ = 30, HIGHEST_HZ = 10000, WINDOW_S = 1024 / 22050.0;
static const double SILENT = 1e-6; /* frames of so much less power than the loudest do not count for the loudness */

typedef struct triangles {
    int    first[AUDIO_BEAT_BANDS], n[AUDIO_BEAT_BANDS]; /* bins of each band; n 0: above the recording's spectrum */
    float *weight[AUDIO_BEAT_BANDS];                     /* into memory                                            */
    float *memory;
} triangles;

static bl_status make_triangles(triangles *t, int n_bins, double bin_hz, bl_error *err)
{
    double       edge[AUDIO_BEAT_BANDS + 2];
    const double low = audio_hz_to_mel(LOWEST_HZ, AUDIO_MEL_HTK), high = audio_hz_to_mel(HIGHEST_HZ, AUDIO_MEL_HTK);
    for (int i = 0; i < AUDIO_BEAT_BANDS + 2; i++)
        edge[i] = audio_mel_to_hz(low + (high - low) * i / (AUDIO_BEAT_BANDS + 1), AUDIO_MEL_HTK) / bin_hz;
    /* A bin lies in at most two triangles; one more for each band, since narrow ones take the nearest bin. */
    float *next = t->memory = malloc(sizeof(float) * (size_t)(2 * n_bins + 4 * AUDIO_BEAT_BANDS));
    if (!next)
        return bl_fail(err, BL_ENOMEM, "no memory for the bands of a beat tracker");
    for (int b = 0; b < AUDIO_BEAT_BANDS; b++) {
        double sum = 0;
        t->first[b] = (int)ceil(edge[b]);
        t->n[b] = 0;
        t->weight[b] = next;
        if (edge[b + 2] > n_bins - 1)
            continue;
        for (int k = t->first[b]; k <= (int)edge[b + 2]; k++) {
            const double w = k <= edge[b + 1] ? (k - edge[b]) / (edge[b + 1] - edge[b]) : (edge[b + 2] - k) / (edge[b + 2] - edge[b + 1]);
            t->weight[b][t->n[b]++] = (float)w;
            sum += w;
        }
        if (sum < 0.2) { /* narrower than a bin */
            t->first[b] = (int)lround(edge[b + 1]);
            t->n[b] = 1;
            t->weight[b][0] = 1;
            sum = 1;
        }
        for (int k = 0; k < t->n[b]; k++)
            t->weight[b][k] /= (float)sum;
        next += t->n[b];
    }
    return BL_OK;
}

static void fill(audio_stft *stft, const triangles *t, const float *x, int64_t n_samples, int n_fft, float *spectrum,
                 double *power, audio_beat_bands *out)
{
    const int   n_bins = n_fft / 2 + 1;
    const float scale = 4.0f / (float)n_fft; /* 2 / sum of the window */
    double      loudest = 0, sum = 0, counted = 0;
    for (int64_t i = 0; i < out->n_frames; i++) {
        unsigned char *level = out->level + i * AUDIO_BEAT_BANDS;
        power[i] = 0;
        audio_stft_frame(stft, x, n_samples, i, spectrum);
        for (int k = 0; k < n_bins; k++) /* over the pairs, which are not read again */
            spectrum[k] = scale * sqrtf(spectrum[2 * k] * spectrum[2 * k] + spectrum[2 * k + 1] * spectrum[2 * k + 1]);
        for (int b = 0; b < AUDIO_BEAT_BANDS; b++) {
            float m = 0;
            for (int k = 0; k < t->n[b]; k++)
                m += t->weight[b][k] * spectrum[t->first[b] + k];
            const double q = ((double)logf(m + 1e-9f) - AUDIO_BEAT_BOTTOM) / AUDIO_BEAT_STEP;
            level[b] = (unsigned char)lrint(q < 0 ? 0 : q > 255 ? 255 : q);
            power[i] += (double)m * (double)m / AUDIO_BEAT_BANDS;
        }
        loudest = fmax(loudest, power[i]);
    }
    for (int64_t i = 0; i < out->n_frames; i++)
        if (power[i] > SILENT * loudest) {
            sum += power[i];
            counted++;
        }
    out->loudness = counted > 0 ? 0.5 * log(sum / counted) : AUDIO_BEAT_BOTTOM;
}

bl_status audio_beat_bands_run(const float *x, int64_t n_samples, int sample_rate, audio_beat_bands *out, bl_error *err)
{
    memset(out, 0, sizeof *out);
    if (n_samples < 1 || sample_rate < 4000)
        return bl_fail(err, BL_EARG, "beats: expected a signal at 4000 Hz or more, got %lld samples at %d Hz",
                       (long long)n_samples, sample_rate);
    const int   hop = (sample_rate + AUDIO_BEAT_FPS / 2) / AUDIO_BEAT_FPS, n_fft = 2 * (int)lround(WINDOW_S * sample_rate / 2);
    triangles   t = { .memory = NULL };
    float      *spectrum = malloc(sizeof(float) * 2 * (size_t)(n_fft / 2 + 1));
    double     *power = malloc(sizeof(double) * (size_t)(n_samples / hop + 1));
    audio_stft *stft = audio_stft_new(&(audio_stft_config){ n_fft, hop, n_fft, AUDIO_PAD_ZERO }, err);
    bl_status   status = stft ? make_triangles(&t, n_fft / 2 + 1, (double)sample_rate / n_fft, err) : err->code;
    out->n_frames = n_samples / hop + 1;
    out->hop_s = (double)hop / sample_rate;
    if (status == BL_OK && (!spectrum || !power || !(out->level = malloc((size_t)out->n_frames * AUDIO_BEAT_BANDS))))
        status = bl_fail(err, BL_ENOMEM, "no memory for the beats of %lld samples", (long long)n_samples);
    if (status == BL_OK)
        fill(stft, &t, x, n_samples, n_fft, spectrum, power, out);
    else
        audio_beat_bands_free(out);
    audio_stft_free(stft);
    free(t.memory);
    free(spectrum);
    free(power);
    return status;
}

void audio_beat_bands_free(audio_beat_bands *bands)
{
    free(bands->level);
    memset(bands, 0, sizeof *bands);
}
