#include "blocks/tone_pitch.h"

#include "base/fft.h"
#include "blocks/tone_features.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Lags from 2500 Hz down to 27 Hz. */
enum { WINDOW = 1024, LEAST_LAG = 6, MOST_LAG = 592, SPAN = WINDOW + MOST_LAG + 1, N_FFT = 2048, HOP = 320 };

struct blocks_tone_pitch {
    bl_fft *fft;
    float   a[N_FFT], b[N_FFT], A[N_FFT + 2], B[N_FFT + 2];
    float   c[BLOCKS_TONE_CONTOUR_MAX][MOST_LAG + 1];
    double  mean[MOST_LAG + 1];
};

blocks_tone_pitch *blocks_tone_pitch_new(bl_error *err)
{
    blocks_tone_pitch *p = calloc(1, sizeof *p);
    if (!p) {
        bl_fail(err, BL_ENOMEM, "no memory to measure pitch");
        return NULL;
    }
    if (!(p->fft = bl_fft_new(N_FFT, err))) {
        free(p);
        return NULL;
    }
    return p;
}

void blocks_tone_pitch_free(blocks_tone_pitch *p)
{
    if (!p)
        return;
    bl_fft_free(p->fft);
    free(p);
}

/* c of the frame at x [SPAN], of which n are there; returns its energy. */
static double frame_function(blocks_tone_pitch *p, const float *x, int64_t n, float c[MOST_LAG + 1])
{
    double energy = 0, moving, sum = 0;
    n = n > SPAN ? SPAN : n;
    memset(p->a, 0, sizeof p->a);
    memset(p->b, 0, sizeof p->b);
    memcpy(p->a, x, (size_t)(n < WINDOW ? n : WINDOW) * sizeof *x);
    memcpy(p->b, x, (size_t)n * sizeof *x);
    for (int i = 0; i < WINDOW; i++)
        energy += (double)p->a[i] * (double)p->a[i];
    bl_fft_forward(p->fft, p->a, p->A);
    bl_fft_forward(p->fft, p->b, p->B);
    /* Correlation of the window with what follows: conj(A) B. The circle is long enough for all lags. */
    for (int k = 0; k <= N_FFT / 2; k++) {
        const float re = p->A[2 * k] * p->B[2 * k] + p->A[2 * k + 1] * p->B[2 * k + 1];
        const float im = p->A[2 * k] * p->B[2 * k + 1] - p->A[2 * k + 1] * p->B[2 * k];
        p->A[2 * k] = re;
        p->A[2 * k + 1] = im;
    }
    bl_fft_inverse(p->fft, p->A, p->a);
    moving = energy;
    c[0] = 1;
    for (int k = 1; k <= MOST_LAG; k++) {
        moving += (double)p->b[k + WINDOW - 1] * (double)p->b[k + WINDOW - 1] - (double)p->b[k - 1] * (double)p->b[k - 1];
        const double d = energy + moving - 2 * (double)p->a[k], positive = d > 0 ? d : 0;
        sum += positive;
        c[k] = (float)(sum > 0 ? positive * k / sum : 1);
    }
    return energy;
}

/* Lag of the dip at k, between samples. */
static double refine(const double l, const double c, const double r)
{
    const double curve = l - 2 * c + r;
    const double u = curve > 0 ? 0.5 * (l - r) / curve : 0;
    return u < -0.5 ? -0.5 : u > 0.5 ? 0.5 : u;
}

/* The first dip that comes near the deepest; 0: none is deep enough to be a pitch. */
static int choose_lag(const double *mean)
{
    int best = 0;
    double least = 2;
    for (int k = LEAST_LAG; k < MOST_LAG; k++)
        if (mean[k] < least && mean[k] <= mean[k - 1] && mean[k] <= mean[k + 1]) {
            least = mean[k];
            best = k;
        }
    for (int k = LEAST_LAG; k < best; k++)
        if (mean[k] <= mean[k - 1] && mean[k] <= mean[k + 1] && mean[k] < least + 0.07)
            return k;
    return best;
}

void blocks_tone_pitch_run(blocks_tone_pitch *p, const float *x, int64_t n_samples, int64_t from, int64_t to,
                           blocks_tone_contour *out)
{
    static const double most = 0.6; /* a dip that is no deeper is none */
    double total = 0;
    int n = 0;
    *out = (blocks_tone_contour){ .hop_s = (double)HOP / BLOCKS_TONE_RATE };
    memset(p->mean, 0, sizeof p->mean);
    for (int64_t at = from; n < BLOCKS_TONE_CONTOUR_MAX && (n == 0 || at + WINDOW <= to) && at < n_samples; at += HOP, n++) {
        const double energy = frame_function(p, x + at, n_samples - at, p->c[n]);
        for (int k = 0; k <= MOST_LAG; k++)
            p->mean[k] += energy * (double)p->c[n][k];
        total += energy;
    }
    if (!(total > 0))
        return;
    for (int k = 0; k <= MOST_LAG; k++)
        p->mean[k] /= total;
    const int lag = choose_lag(p->mean);
    out->clarity = lag ? 1 - (p->mean[lag] < 1 ? p->mean[lag] : 1) : 0;
    if (!lag || p->mean[lag] > most)
        return;
    const double period = lag + refine(p->mean[lag - 1], p->mean[lag], p->mean[lag + 1]);
    out->f0_hz = BLOCKS_TONE_RATE / period;
    for (int i = 0; i < n; i++) {
        const float *c = p->c[i];
        int low = (int)(lag / 1.09) - 1, high = (int)(lag * 1.09) + 1, best;
        low = low < LEAST_LAG - 1 ? LEAST_LAG - 1 : low;
        high = high > MOST_LAG - 1 ? MOST_LAG - 1 : high;
        best = low;
        for (int k = low; k <= high; k++)
            best = c[k] < c[best] ? k : best;
        const double own = best + refine((double)c[best - 1], (double)c[best], (double)c[best + 1]);
        const double semitones = 12 * log2(period / own);
        out->semitones[out->n++] = semitones < -1.5 ? -1.5 : semitones > 1.5 ? 1.5 : semitones;
    }
}
