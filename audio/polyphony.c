#include "audio/polyphony.h"

#include <math.h>
#include <stdlib.h>

enum { BINS = AUDIO_TONAL_BINS, PER = AUDIO_TONAL_PER_SEMITONE, HARMONICS = 12, HIGHEST = 60 * PER, LOW = 24 * PER };

/* A peak is this much above its surroundings, a fundamental need not be one; a frame sounds with 0.3 of the usual sum of peaks. */
static const double PEAK = 1, FUNDAMENTAL = 0.5, SOUNDING = 0.3;

static int compare(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static float median(float *x, int64_t n)
{
    qsort(x, (size_t)n, sizeof *x, compare);
    return n ? n % 2 ? x[n / 2] : 0.5f * (x[n / 2 - 1] + x[n / 2]) : 0;
}

/* Peaks of frame t to peak [BINS], 0 between them; their sum. */
static double find_peaks(const audio_tonal *tonal, int64_t t, double peak[BINS])
{
    const int64_t T = tonal->n_frames;
    double sum = 0;
    for (int b = 0; b < BINS; b++) {
        const double x = (double)tonal->value[b * T + t];
        const int inside = b > 0 && b + 1 < BINS;
        peak[b] = inside && x > PEAK && x >= (double)tonal->value[(b - 1) * T + t] && x > (double)tonal->value[(b + 1) * T + t] ? x : 0;
        sum += peak[b];
    }
    return sum;
}

/* Of the peaks, what the best harmonic series takes: each harmonic its bin and the two beside it. */
static double explain(const audio_tonal *tonal, int64_t t, const double peak[BINS], const int offset[HARMONICS])
{
    double best = 0;
    for (int f = 0; f < HIGHEST; f++) {
        double taken = 0;
        int next = 0; /* no peak counts twice where harmonics meet */
        if ((double)tonal->value[f * tonal->n_frames + t] <= FUNDAMENTAL)
            continue;
        for (int h = 0; h < HARMONICS; h++)
            for (int b = f + offset[h] - 1; b <= f + offset[h] + 1; b++)
                if (b >= next && b < BINS) {
                    taken += peak[b];
                    next = b + 1;
                }
        best = fmax(best, taken);
    }
    return best;
}

bl_status audio_polyphony_of(const audio_tonal *tonal, audio_polyphony *out, bl_error *err)
{
    const int64_t T = tonal->n_frames;
    float *sum = malloc(((size_t)T + 1) * sizeof *sum), *left = malloc(((size_t)T + 1) * sizeof *left);
    int64_t n = 0;
    int offset[HARMONICS];
    double low = 0, peak[BINS];
    *out = (audio_polyphony){ 0, 0 };
    if (!sum || !left) {
        free(sum);
        free(left);
        return bl_fail(err, BL_ENOMEM, "no memory for %lld frames", (long long)T);
    }
    for (int h = 0; h < HARMONICS; h++)
        offset[h] = (int)lround(12 * PER * log2(h + 1));
    for (int64_t t = 0; t < T; t++) {
        const double s = find_peaks(tonal, t, peak);
        if (s > 0)
            sum[n++] = (float)s;
    }
    const double least = SOUNDING * (double)median(sum, n);
    n = 0;
    for (int64_t t = 0; t < T; t++) {
        const double s = find_peaks(tonal, t, peak);
        double strongest = 0;
        if (s <= least || s <= 0)
            continue;
        for (int b = 0; b < LOW; b++)
            strongest = fmax(strongest, (double)tonal->value[b * T + t]);
        low += strongest;
        left[n++] = (float)(1 - explain(tonal, t, peak, offset) / s);
    }
    out->low = n ? (float)(low / (double)n) : 0;
    out->share = median(left, n);
    free(sum);
    free(left);
    return BL_OK;
}
