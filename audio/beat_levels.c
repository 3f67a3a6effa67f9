#include "audio/beat_levels.h"

#include <math.h>
#include <stdlib.h>

static const int EDGE[AUDIO_LEVEL_GROUPS + 1] = { 0, 4, 14, 30, 50, AUDIO_BEAT_BANDS };
static const double SILENCE = 6.9; /* nepers below the loudness: as the network hears it (blocks/beat_tracker.c) */

void audio_beat_flux(const audio_beat_bands *bands, float *flux)
{
    const float floor_level = (float)((bands->loudness - SILENCE - AUDIO_BEAT_BOTTOM) / AUDIO_BEAT_STEP);
    for (int64_t t = 0; t < bands->n_frames; t++)
        for (int g = 0; g < AUDIO_LEVEL_GROUPS; g++) {
            const unsigned char *now = bands->level + t * AUDIO_BEAT_BANDS, *before = t ? now - AUDIO_BEAT_BANDS : now;
            float                sum = 0;
            for (int b = EDGE[g]; b < EDGE[g + 1]; b++)
                sum += fmaxf(0, fmaxf(now[b], floor_level) - fmaxf(before[b], floor_level));
            flux[t * AUDIO_LEVEL_GROUPS + g] = sum / (float)(EDGE[g + 1] - EDGE[g]);
        }
}

/* ---- sixteenths of a supposed beat ---- */

typedef struct sixteenths {
    int    n;                       /* of them                                          */
    float *x;                       /* [n, groups] sqrt of the flux in each             */
    double mean[AUDIO_LEVEL_GROUPS], spread[AUDIO_LEVEL_GROUPS]; /* spread: variance    */
} sixteenths;

/* Beat k of the level, in frames. */
static double beat_at(const double *beats_s, int level, int k, double hop_s)
{
    if (level == 0)
        return beats_s[2 * k] / hop_s;
    if (level == 1)
        return beats_s[k] / hop_s;
    return (k % 2 ? (beats_s[k / 2] + beats_s[k / 2 + 1]) / 2 : beats_s[k / 2]) / hop_s;
}

/* Sum of the flux of group g before time `at`, between frames by interpolation. */
static double sum_before(const double *sums, const float *flux, int64_t n_frames, int g, double at)
{
    const double  t = fmin(fmax(at + 0.5, 0), (double)n_frames - 1e-6);
    const int64_t i = (int64_t)t;
    return sums[i * AUDIO_LEVEL_GROUPS + g] + (t - (double)i) * (double)flux[i * AUDIO_LEVEL_GROUPS + g];
}

static void measure(sixteenths *s)
{
    for (int g = 0; g < AUDIO_LEVEL_GROUPS; g++) {
        double sum = 0, squares = 0;
        for (int i = 0; i < s->n; i++) {
            const double x = (double)s->x[i * AUDIO_LEVEL_GROUPS + g];
            sum += x;
            squares += x * x;
        }
        s->mean[g] = sum / s->n;
        s->spread[g] = fmax(0, squares / s->n - s->mean[g] * s->mean[g]) + 1e-3;
    }
}

/* first .. end - 1: the beats of the level that lie in the recording. */
static int cut_sixteenths(const float *flux, int64_t n_frames, double hop_s, const double *beats_s, int level, int first, int end, sixteenths *s)
{
    double *sums = calloc((size_t)(n_frames + 1) * AUDIO_LEVEL_GROUPS, sizeof *sums);
    s->n = 4 * (end - first - 1);
    s->x = malloc(sizeof(float) * (size_t)s->n * AUDIO_LEVEL_GROUPS);
    if (!sums || !s->x) {
        free(sums);
        return 0;
    }
    for (int64_t i = 0; i < n_frames * AUDIO_LEVEL_GROUPS; i++)
        sums[i + AUDIO_LEVEL_GROUPS] = sums[i] + (double)flux[i];
    for (int i = 0; i < s->n; i++) {
        const double a = beat_at(beats_s, level, first + i / 4, hop_s), b = beat_at(beats_s, level, first + i / 4 + 1, hop_s);
        const double centre = a + (b - a) * (i % 4) / 4, half = (b - a) / 8;
        for (int g = 0; g < AUDIO_LEVEL_GROUPS; g++)
            s->x[i * AUDIO_LEVEL_GROUPS + g] = (float)sqrt(fmax(0, sum_before(sums, flux, n_frames, g, centre + half) -
                                                                       sum_before(sums, flux, n_frames, g, centre - half)));
    }
    free(sums);
    measure(s);
    return 1;
}

/* Correlation of group g with group h `lag` sixteenths later. */
static float correlation(const sixteenths *s, int g, int h, int lag)
{
    double sum = 0;
    if (s->n <= lag + 8)
        return 0;
    for (int i = 0; i + lag < s->n; i++)
        sum += ((double)s->x[i * AUDIO_LEVEL_GROUPS + g] - s->mean[g]) * ((double)s->x[(i + lag) * AUDIO_LEVEL_GROUPS + h] - s->mean[h]);
    return (float)(sum / (s->n - lag) / sqrt(s->spread[g] * s->spread[h]));
}

int audio_level_features(const float *flux, int64_t n_frames, double hop_s, const double *beats_s, int n, int level, float *features)
{
    static const int pairs[4][2] = { { 2, 0 }, { 4, 0 }, { 2, 1 }, { 4, 2 } }, lags[4] = { 0, 2, 4, 8 };
    const int n_beats = level == 0 ? (n + 1) / 2 : level == 1 ? n : 2 * n - 1;
    int       first = 0, end = n_beats;
    float    *out = features;
    sixteenths s = { 0 };
    while (first < end && beat_at(beats_s, level, first, hop_s) * hop_s < 0.2)
        first++;
    while (end > first && beat_at(beats_s, level, end - 1, hop_s) > (double)n_frames - 0.2 / hop_s)
        end--;
    if (end - first < 6)
        return 0;
    const double span = beat_at(beats_s, level, end - 1, hop_s) - beat_at(beats_s, level, first, hop_s);
    const double bpm = 60 * (end - 1 - first) / (span * hop_s), octave = log2(bpm / 100);
    if (!(bpm >= AUDIO_LEVEL_SLOWEST && bpm <= AUDIO_LEVEL_FASTEST) || !cut_sixteenths(flux, n_frames, hop_s, beats_s, level, first, end, &s)) {
        free(s.x);
        return 0;
    }
    for (int g = 0; g < AUDIO_LEVEL_GROUPS; g++) {
        int above = 0;
        for (int lag = 1; lag <= AUDIO_LEVEL_LAGS; lag++)
            *out++ = correlation(&s, g, g, lag < AUDIO_LEVEL_LAGS ? lag : 32);
        for (int i = 0; i < s.n; i++)
            above += (double)s.x[i * AUDIO_LEVEL_GROUPS + g] > s.mean[g];
        *out++ = (float)(s.mean[g] / 2), *out++ = (float)sqrt(s.spread[g]), *out++ = (float)above / (float)s.n;
    }
    for (int p = 0; p < 4; p++)
        for (int k = 0; k < 4; k++)
            *out++ = correlation(&s, pairs[p][0], pairs[p][1], lags[k]);
    *out++ = (float)octave, *out++ = (float)(octave * octave);
    free(s.x);
    return 1;
}
