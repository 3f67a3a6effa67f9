/* From the beats of a path to a grid that a band can play on: moved to where they sound, smoothed, drawn out over the whole
 * signal; and positions on it. */
#include "audio/rhythm_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void audio_rhythm_free(audio_rhythm *rhythm)
{
    free(rhythm->beats_s), free(rhythm->downbeats_s);
    memset(rhythm, 0, sizeof *rhythm);
}

void audio_beat_activity_free(audio_beat_activity *activity)
{
    free(activity->beat), free(activity->downbeat), free(activity->tempo), free(activity->flux);
    memset(activity, 0, sizeof *activity);
}

/* ---- smoothing ---- */

/* Least squares: beat times b such that what was heard lies where it was heard, and the tempo bends as little as possible:
 *
 *     sum of w_k (t_k - b[k])^2 + sum of w_e (t_e - (1 - f_e) b[n_e] - f_e b[n_e + 1])^2
 *         + STIFF * sum of (b[n+1] - 2 b[n] + b[n-1])^2
 *
 * over moments t_k that sounded like beats and notes on sixteenths f_e. A symmetric system of bandwidth 2: a [n][3] holds the
 * diagonal and two above it, by Cholesky. */
static void solve_banded(double (*a)[3], double *b, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        for (int k = 1; k <= 2 && i - k >= 0; k++)
            a[i][0] -= a[i - k][k] * a[i - k][k];
        a[i][0] = sqrt(fmax(a[i][0], 1e-12));
        if (i >= 1)
            a[i][1] -= a[i - 1][1] * a[i - 1][2];
        a[i][1] /= a[i][0];
        a[i][2] /= a[i][0];
    }
    for (int64_t i = 0; i < n; i++) {
        for (int k = 1; k <= 2 && i - k >= 0; k++)
            b[i] -= a[i - k][k] * b[i - k];
        b[i] /= a[i][0];
    }
    for (int64_t i = n - 1; i >= 0; i--) {
        for (int k = 1; k <= 2 && i + k < n; k++)
            b[i] -= a[i][k] * b[i + k];
        b[i] /= a[i][0];
    }
}

static const double STIFF = 1.5, ANCHOR = 0.003, NOTE_SIGMA_S = 0.030;
enum { NEAR = 4 }; /* frames to either side in which a beat may have sounded */

/* Centre of what is heard around a beat, and how much that is, 0..1. */
static double heard_at(const rhythm_evidence *e, double time_s, double *weight)
{
    const int64_t at = (int64_t)lround(time_s / RHYTHM_HOP_S);
    double        sum = 0, moment = 0, top = 0;
    for (int64_t t = at - NEAR; t <= at + NEAR; t++)
        if (t >= 0 && t < e->n_frames && e->beat[t] > 0) {
            const double w = (double)(e->beat[t] * e->beat[t]);
            sum += w;
            moment += w * (double)t;
            top = fmax(top, (double)e->beat[t]);
        }
    *weight = fmin(1, top / 4);
    return sum > 0 ? moment / sum * RHYTHM_HOP_S : time_s;
}

static void weigh_notes(const rhythm_evidence *e, const double *beats_s, int64_t n, double (*a)[3], double *b)
{
    int64_t k = 0;
    for (int i = 0; i < e->n_notes; i++) {
        const double t = e->notes[i].time_s;
        while (k + 2 < n && beats_s[k + 1] <= t)
            k++;
        const double period = beats_s[k + 1] - beats_s[k], u = (t - beats_s[k]) / period;
        if (u < -0.125 || u > 1.125)
            continue;
        const double f = floor(4 * u + 0.5) / 4, off = (u - f) * period;
        const double w = e->note_weight * exp(-off * off / (2 * NOTE_SIGMA_S * NOTE_SIGMA_S)); /* strays weigh nothing */
        a[k][0] += w * (1 - f) * (1 - f), a[k + 1][0] += w * f * f;
        a[k][1] += w * f * (1 - f);
        b[k] += w * (1 - f) * t, b[k + 1] += w * f * t;
    }
}

bl_status rhythm_smooth(const rhythm_evidence *e, double *beats_s, int64_t n, bl_error *err)
{
    if (n < 4)
        return BL_OK;
    double (*a)[3] = malloc(sizeof *a * (size_t)n), *b = malloc(sizeof(double) * (size_t)n);
    if (!a || !b) {
        free(a), free(b);
        return bl_fail(err, BL_ENOMEM, "rhythm: no memory");
    }
    for (int round = 0; round < 2; round++) {
        for (int64_t i = 0; i < n; i++) {
            double       weight;
            const double t = heard_at(e, beats_s[i], &weight);
            a[i][0] = ANCHOR + weight, a[i][1] = a[i][2] = 0;
            b[i] = ANCHOR * beats_s[i] + weight * t;
        }
        for (int64_t i = 1; i + 1 < n; i++) {
            a[i - 1][0] += STIFF, a[i][0] += 4 * STIFF, a[i + 1][0] += STIFF;
            a[i - 1][1] -= 2 * STIFF, a[i][1] -= 2 * STIFF;
            a[i - 1][2] += STIFF;
        }
        weigh_notes(e, beats_s, n, a, b);
        solve_banded(a, b, n);
        memcpy(beats_s, b, sizeof(double) * (size_t)n);
    }
    free(a), free(b);
    return BL_OK;
}

/* ---- the whole signal ---- */

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

bl_status rhythm_finish(const double *beats_s, int64_t n, int first_in_bar, int beats_per_bar, double length_s, audio_rhythm *out,
                        bl_error *err)
{
    const double  step_front = beats_s[1] - beats_s[0], step_back = beats_s[n - 1] - beats_s[n - 2];
    const int64_t front = beats_s[0] > 0 ? (int64_t)(beats_s[0] / step_front + 1e-6) : 0;
    const int64_t back = beats_s[n - 1] < length_s ? (int64_t)((length_s - beats_s[n - 1]) / step_back + 1e-6) : 0;
    int64_t       from = 0, to = n;
    while (from < n && beats_s[from] < -1e-6)
        from++;
    while (to > from && beats_s[to - 1] > length_s)
        to--;
    const int64_t total = front + back + to - from;
    double       *gaps = malloc(sizeof(double) * (size_t)n);
    out->beats_s = malloc(sizeof(double) * (size_t)(total + 1));
    out->downbeats_s = malloc(sizeof(double) * (size_t)(total + 1));
    if (!gaps || !out->beats_s || !out->downbeats_s) {
        free(gaps);
        audio_rhythm_free(out);
        return bl_fail(err, BL_ENOMEM, "rhythm: no memory");
    }
    int64_t in_bar = first_in_bar + from - front;
    for (int64_t i = front; i > 0; i--)
        out->beats_s[out->n_beats++] = fmax(0, beats_s[0] - (double)i * step_front);
    for (int64_t i = from; i < to; i++)
        out->beats_s[out->n_beats++] = fmax(0, beats_s[i]);
    for (int64_t i = 1; i <= back; i++)
        out->beats_s[out->n_beats++] = beats_s[n - 1] + (double)i * step_back;
    in_bar = ((in_bar % beats_per_bar) + beats_per_bar) % beats_per_bar;
    out->first_downbeat = (int)((beats_per_bar - in_bar) % beats_per_bar);
    out->beats_per_bar = beats_per_bar;
    for (int i = out->first_downbeat; i < out->n_beats; i += beats_per_bar)
        out->downbeats_s[out->n_downbeats++] = out->beats_s[i];
    for (int64_t i = 0; i + 1 < n; i++)
        gaps[i] = beats_s[i + 1] - beats_s[i];
    qsort(gaps, (size_t)(n - 1), sizeof(double), compare_doubles);
    out->bpm = 60 / gaps[(n - 1) / 2];
    free(gaps);
    return BL_OK;
}

/* ---- positions ---- */

double audio_tempo_bin(double bpm)
{
    return fmin(fmax(18 * log2(bpm / 40), 0), AUDIO_TEMPOS - 1);
}

double audio_rhythm_position(const audio_rhythm *r, double time_s)
{
    const int n = r->n_beats;
    if (n < 2)
        return r->bpm > 0 ? (time_s - (n ? r->beats_s[0] : 0)) * r->bpm / 60 : 0;
    int low = 0, high = n - 1;
    while (high - low > 1) {
        const int middle = (low + high) / 2;
        if (r->beats_s[middle] <= time_s)
            low = middle;
        else
            high = middle;
    }
    return low + (time_s - r->beats_s[low]) / (r->beats_s[low + 1] - r->beats_s[low]);
}

double audio_rhythm_time(const audio_rhythm *r, double position)
{
    const int n = r->n_beats;
    if (n < 2)
        return (n ? r->beats_s[0] : 0) + (r->bpm > 0 ? position * 60 / r->bpm : 0);
    const double at = floor(position);
    const int    low = at < 0 ? 0 : at > n - 2 ? n - 2 : (int)at;
    return r->beats_s[low] + (position - low) * (r->beats_s[low + 1] - r->beats_s[low]);
}
