#include "audio/f0_private.h"

#include "base/fft.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N_THRESHOLDS = 100, MAX_TROUGHS = 96 };

/* What is left of a threshold's prior when no dip lies below it (it then goes to the deepest dip). */
static const double NO_TROUGH = 0.02;
/* Above the range is looked so far; a period there counts when its dip is this deep. */
static const double HIGHEST_HZ = 4500, DEEP = 0.15;
/* A period of fewer samples is measured over several of them: a parabola through so coarse a dip is cents off. */
static const double SHORT_PERIOD = 18;

struct audio_yin {
    double  sample_rate;
    int     window, lag_min, lag_max, lag_low, n_fft;
    bl_fft *fft;
    float  *a, *b, *spectrum_a, *spectrum_b, *correlation;
    double *normalised;
    double  prior[N_THRESHOLDS + 1]; /* [i]: of the thresholds 1 .. i, threshold i being i / N_THRESHOLDS */
    double  share[MAX_TROUGHS + 1];  /* what the first of so many dips below a threshold gets */
};

/* 1, 9/8, 5/4, 3/2 times a power of two: lengths that FFTW is quick at. */
static int quick_length(int least)
{
    static const int eighths[] = { 8, 9, 10, 12 };
    for (int power = 8;; power *= 2)
        for (int i = 0; i < 4; i++)
            if (power / 8 * eighths[i] >= least)
                return power / 8 * eighths[i];
}

void audio_yin_free(audio_yin *y)
{
    if (!y)
        return;
    bl_fft_free(y->fft);
    free(y->a), free(y->b), free(y->spectrum_a), free(y->spectrum_b);
    free(y->correlation), free(y->normalised);
    free(y);
}

audio_yin *audio_yin_new(double sample_rate, double fmin_hz, double fmax_hz, bl_error *err)
{
    audio_yin *y = calloc(1, sizeof *y);
    if (!y) {
        bl_fail(err, BL_ENOMEM, "f0: no memory");
        return NULL;
    }
    y->sample_rate = sample_rate;
    y->lag_min = (int)floor(sample_rate / fmax_hz);
    y->lag_min = y->lag_min < 2 ? 2 : y->lag_min;
    y->lag_low = (int)floor(sample_rate / HIGHEST_HZ);
    y->lag_low = y->lag_low < 2 ? 2 : y->lag_low;
    y->lag_max = (int)ceil(sample_rate / fmin_hz) + 1;
    /* Almost two periods of the lowest pitch, never under 30 ms: longer windows blur glides and gain nothing in noise. */
    y->window = (int)(sample_rate * fmax(0.030, 1.9 / fmin_hz));
    y->n_fft = quick_length(y->window + y->lag_max + 1);
    const size_t n = (size_t)y->n_fft;
    y->fft = bl_fft_new(y->n_fft, err);
    y->a = calloc(n, sizeof(float)), y->b = calloc(n, sizeof(float));
    y->spectrum_a = calloc(n + 2, sizeof(float)), y->spectrum_b = calloc(n + 2, sizeof(float));
    y->correlation = calloc(n, sizeof(float)), y->normalised = calloc(n, sizeof(double));
    if (!y->fft || !y->a || !y->b || !y->spectrum_a || !y->spectrum_b || !y->correlation || !y->normalised) {
        bl_fail(err, BL_ENOMEM, "f0: no memory");
        audio_yin_free(y);
        return NULL;
    }
    /* Beta(2, 9): mean threshold 0.18. The publication's 0.1 loses voices behind which others play. */
    for (int i = 1; i <= N_THRESHOLDS; i++) {
        const double u = (i - 0.5) / N_THRESHOLDS;
        y->prior[i] = y->prior[i - 1] + u * pow(1 - u, 8);
    }
    for (int i = 1; i <= N_THRESHOLDS; i++)
        y->prior[i] /= y->prior[N_THRESHOLDS];
    /* Earlier dips are more likely: a geometric law over those below the threshold. */
    for (int below = 1; below <= MAX_TROUGHS; below++)
        y->share[below] = (1 - exp(-2.0)) / (1 - exp(-2.0 * below));
    return y;
}

int audio_yin_span(const audio_yin *y)
{
    return y->window + y->lag_max + 1;
}

/* The samples compared at lag k lie in 0 .. window + k: that is centred for a middling pitch. */
int audio_yin_before(const audio_yin *y)
{
    return (y->window + (int)(y->sample_rate / 220)) / 2;
}

float *audio_yin_frame(audio_yin *y)
{
    return y->b;
}

/* The cumulative mean normalised difference of the window + lag_max samples in y->b. */
static void normalised_difference(audio_yin *y)
{
    const int    w = y->window, lags = y->lag_max + 1, n = y->n_fft;
    const float *b = y->b;

    memcpy(y->a, b, sizeof(float) * (size_t)w);
    memset(y->a + w, 0, sizeof(float) * (size_t)(n - w));
    bl_fft_forward(y->fft, y->a, y->spectrum_a);
    bl_fft_forward(y->fft, y->b, y->spectrum_b);
    for (int k = 0; k <= n / 2; k++) {
        const float ar = y->spectrum_a[2 * k], ai = y->spectrum_a[2 * k + 1];
        const float br = y->spectrum_b[2 * k], bi = y->spectrum_b[2 * k + 1];
        y->spectrum_a[2 * k] = ar * br + ai * bi;
        y->spectrum_a[2 * k + 1] = ar * bi - ai * br;
    }
    bl_fft_inverse(y->fft, y->spectrum_a, y->correlation);

    enum { SIDE = 8 }; /* sums side by side */
    double side[SIDE] = { 0 }, first = 0, sum = 0;
    for (int i = 0; i < w / SIDE * SIDE; i += SIDE)
        for (int l = 0; l < SIDE; l++)
            side[l] += (double)b[i + l] * (double)b[i + l];
    for (int i = w / SIDE * SIDE; i < w; i++)
        first += (double)b[i] * (double)b[i];
    for (int l = 0; l < SIDE; l++)
        first += side[l];
    double energy = first; /* of the window at lag k */
    y->normalised[0] = 1;
    for (int k = 1; k < lags; k++) {
        energy += (double)b[k + w - 1] * (double)b[k + w - 1] - (double)b[k - 1] * (double)b[k - 1];
        const double d = first + energy - 2 * (double)y->correlation[k];
        sum += d > 0 ? d : 0;
        y->normalised[k] = sum > 0 ? (d > 0 ? d : 0) * k / sum : 1;
    }
}

/* Where the parabola through a dip at lag k has its lowest point. */
static double lowest_point(const double *c, int k)
{
    const double curvature = c[k - 1] - 2 * c[k] + c[k + 1];
    return curvature > 0 ? k + 0.5 * (c[k - 1] - c[k + 1]) / curvature : k;
}

/* The period at a dip at lag k, in samples. */
static double period_of(const audio_yin *y, int k)
{
    const double *c = y->normalised;
    double        period = lowest_point(c, k);
    for (int m = 2; period < SHORT_PERIOD && m * period < 4 * SHORT_PERIOD; m++) {
        int at = (int)lround(m * period);
        if (at + 1 >= y->lag_max)
            break;
        at = c[at - 1] < c[at] ? at - 1 : c[at + 1] < c[at] ? at + 1 : at;
        if (c[at] > c[at - 1] || c[at] > c[at + 1])
            break;
        period = lowest_point(c, at) / m;
    }
    return period;
}

/* Shares the prior out: each threshold's part to the dips below it, or a little to the deepest one. */
static void share_out(const audio_yin *y, const double *depth, int n, int deepest, double *probability)
{
    int limit[MAX_TROUGHS]; /* the dip lies below threshold limit, limit + 1, ... */
    for (int j = 0; j < n; j++) {
        limit[j] = depth[j] < 1 ? (int)floor(depth[j] * N_THRESHOLDS) + 1 : N_THRESHOLDS + 1;
        probability[j] = 0;
    }
    probability[deepest] = NO_TROUGH * y->prior[limit[deepest] - 1];
    for (int from = limit[deepest]; from <= N_THRESHOLDS;) { /* thresholds from .. to have the same dips below them */
        int to = N_THRESHOLDS, below = 0;
        for (int j = 0; j < n; j++) {
            below += limit[j] <= from;
            to = limit[j] > from && limit[j] - 1 < to ? limit[j] - 1 : to;
        }
        double share = (y->prior[to] - y->prior[from - 1]) * y->share[below];
        for (int j = 0; j < n; j++)
            if (limit[j] <= from) {
                probability[j] += share;
                share *= 0.13533528323661270; /* exp(-2) */
            }
        from = to + 1;
    }
}

void audio_yin_run(audio_yin *y, audio_f0_candidates *out)
{
    const double *c = y->normalised;
    double        depth[MAX_TROUGHS], probability[MAX_TROUGHS];
    int           at[MAX_TROUGHS], deepest = -1, n = 0;

    out->n = out->above = 0;
    normalised_difference(y);
    for (int k = y->lag_min; k < y->lag_max && n < MAX_TROUGHS; k++) {
        if (!(c[k] < c[k - 1] && c[k] <= c[k + 1]))
            continue;
        depth[n] = c[k];
        at[n] = k;
        if (deepest < 0 || depth[n] < depth[deepest])
            deepest = n;
        n++;
    }
    if (deepest < 0)
        return;
    for (int k = y->lag_low; k + 1 < y->lag_min && !out->above; k++)
        out->above = c[k] < c[k - 1] && c[k] <= c[k + 1] && c[k] < DEEP && c[k] < depth[deepest] + DEEP;
    share_out(y, depth, n, deepest, probability);
    while (out->n < AUDIO_F0_KEPT) {
        int top = 0;
        for (int j = 1; j < n; j++)
            if (probability[j] > probability[top])
                top = j;
        if (probability[top] <= 0)
            break;
        out->hz[out->n] = (float)(y->sample_rate / period_of(y, at[top]));
        out->probability[out->n++] = (float)probability[top];
        probability[top] = 0;
    }
}

void audio_f0_agree(audio_f0_candidates *first, const audio_f0_candidates *second)
{
    static const float SAME = 1.0204f; /* 35 cents */
    float hz[2 * AUDIO_F0_KEPT], probability[2 * AUDIO_F0_KEPT];
    int   n = first->n;
    for (int j = 0; j < n; j++) {
        hz[j] = first->hz[j];
        probability[j] = 0.5f * first->probability[j];
    }
    for (int j = 0; j < second->n; j++) {
        int at = 0;
        while (at < first->n && !(hz[at] < SAME * second->hz[j] && second->hz[j] < SAME * hz[at]))
            at++;
        if (at == first->n) {
            at = n++;
            hz[at] = second->hz[j];
            probability[at] = 0;
        }
        probability[at] += 0.5f * second->probability[j];
    }
    for (first->n = 0; first->n < AUDIO_F0_KEPT && first->n < n; first->n++) {
        int top = first->n;
        for (int j = top + 1; j < n; j++)
            top = probability[j] > probability[top] ? j : top;
        const float top_hz = hz[top], most = probability[top];
        hz[top] = hz[first->n], probability[top] = probability[first->n];
        first->hz[first->n] = top_hz, first->probability[first->n] = most;
    }
}
