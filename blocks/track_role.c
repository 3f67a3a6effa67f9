#include "blocks/track_role.h"

#include "audio/f0.h"
#include "audio/features.h"
#include "audio/resample.h"
#include "data/instruments.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RATE = 16000, N_FFT = 4096, HOP = 320, MOST_SECONDS = 60, TOP_HZ = 4000, PEAKS_MAX = 256,
       MANY = 1000 /* added to the pitch of a frame in which more than one sounds */ };
static const double hop_s = (double)HOP / RATE;

static int by_value(const void *pa, const void *pb)
{
    const double a = *(const double *)pa, b = *(const double *)pb;
    return (a > b) - (a < b);
}

static double median(double *v, int64_t n)
{
    if (n == 0)
        return 0;
    qsort(v, (size_t)n, sizeof *v, by_value);
    return v[n / 2];
}

typedef struct edge {
    double time_s;
    int    change;
} edge;

static int by_time(const void *pa, const void *pb)
{
    const edge *a = pa, *b = pb;
    if (a->time_s != b->time_s)
        return a->time_s < b->time_s ? -1 : 1;
    return (a->change > b->change) - (a->change < b->change);
}

bl_status blocks_track_from_notes(const music_track *notes, blocks_track_measures *out, bl_error *err)
{
    const int n = notes->n_notes;
    double sounding = 0, together = 0;
    int depth = 0;
    *out = (blocks_track_measures){ 0 };
    if (n < 1)
        return bl_fail(err, BL_EARG, "a track without notes has no role");
    edge *edges = malloc(2 * (size_t)n * sizeof *edges);
    double *v = malloc((size_t)n * sizeof *v);
    if (!edges || !v) {
        free(edges);
        free(v);
        return bl_fail(err, BL_ENOMEM, "no memory for %d notes", n);
    }
    for (int i = 0; i < n; i++) {
        /* A slip of 50 ms between one note and the next is legato, no chord. */
        const double length = notes->notes[i].offset_s - notes->notes[i].onset_s;
        edges[2 * i] = (edge){ notes->notes[i].onset_s, 1 };
        edges[2 * i + 1] = (edge){ notes->notes[i].onset_s + (length > 0.1 ? length - 0.05 : length > 0 ? length / 2 : 0), -1 };
    }
    qsort(edges, 2 * (size_t)n, sizeof *edges, by_time);
    for (int i = 0; i + 1 < 2 * n; i++) {
        depth += edges[i].change;
        const double step = edges[i + 1].time_s - edges[i].time_s;
        sounding += depth > 0 ? step : 0;
        together += depth > 1 ? step : 0;
    }
    out->polyphony = sounding > 0 ? together / sounding : 0;
    out->density_hz = sounding > 0 ? n / sounding : 0;
    for (int i = 0; i < n; i++)
        v[i] = notes->notes[i].pitch;
    out->register_midi = median(v, n);
    for (int i = 0; i < n; i++)
        v[i] = notes->notes[i].offset_s - notes->notes[i].onset_s;
    out->note_s = median(v, n);
    free(edges);
    free(v);
    return BL_OK;
}

/* One frame's spectral peaks. */
typedef struct peaks {
    double hz[PEAKS_MAX], level[PEAKS_MAX]; /* level: magnitude */
    int    n;
} peaks;

static void find_peaks(const float *magnitude, int n_bins, int64_t n_frames, int64_t t, peaks *out)
{
    const double bin_hz = (double)RATE / N_FFT;
    const int last = (int)(TOP_HZ / bin_hz) < n_bins - 1 ? (int)(TOP_HZ / bin_hz) : n_bins - 1;
    float top = 0;
    out->n = 0;
    for (int k = 4; k < last; k++)
        top = magnitude[k * n_frames + t] > top ? magnitude[k * n_frames + t] : top;
    for (int k = 4; k < last && out->n < PEAKS_MAX; k++) {
        const float l = magnitude[(k - 1) * n_frames + t], c = magnitude[k * n_frames + t], r = magnitude[(k + 1) * n_frames + t];
        if (c < 0.02f * top || c < l || c <= r)
            continue;
        const double a = log((double)l + 1e-12), b = log((double)c), d = log((double)r + 1e-12), curve = a - 2 * b + d;
        out->hz[out->n] = (k + (curve < 0 ? 0.5 * (a - d) / curve : 0)) * bin_hz;
        out->level[out->n++] = (double)c;
    }
}

static int is_partial(double hz, double f0_hz, double *h)
{
    *h = floor(hz / f0_hz + 0.5);
    return *h >= 1 && fabs(hz - *h * f0_hz) < 4 + 0.008 * hz;
}

/* The pitch whose first ten partials collect most; levels are compressed, so that no single partial decides. */
static double strongest_pitch(const peaks *p)
{
    double best = -1, pitch = 0;
    for (double m = 26; m <= 96; m += 0.25) {
        const double f0 = audio_midi_to_hz(m);
        double sum = 0, of[11] = { 0 };
        for (int i = 0; i < p->n; i++) {
            double h;
            if (is_partial(p->hz[i], f0, &h) && h <= 10) {
                /* Near a partial counts in full, off it less: the grid is finer than the reach. */
                const double v = sqrt(p->level[i]) * (1 - 0.5 * fabs(p->hz[i] - h * f0) / (4 + 0.008 * p->hz[i]));
                of[(int)h] = v > of[(int)h] ? v : of[(int)h];
            }
        }
        for (int h = 1; h <= 10; h++)
            sum += pow(0.84, h - 1) * of[h];
        if (sum > best) {
            best = sum;
            pitch = m;
        }
    }
    return pitch;
}

/* Share of the peaks' energy that the partials of one pitch explain. */
static double explained(const peaks *p, double f0_hz)
{
    double total = 0, inside = 0, h;
    for (int i = 0; i < p->n; i++) {
        total += p->level[i] * p->level[i];
        inside += is_partial(p->hz[i], f0_hz, &h) ? p->level[i] * p->level[i] : 0;
    }
    return total > 0 ? inside / total : 1;
}

static void measure_frames(const audio_features *f, double *v, blocks_track_measures *out)
{
    const int64_t T = f->n_frames;
    double top = 0, strongest = 0, sounding = 0, many = 0, last = -1;
    int64_t n = 0, n_onsets = 0;

    for (int64_t t = 0; t < T; t++) {
        top = (double)f->rms[t] > top ? (double)f->rms[t] : top;
        strongest = (double)f->onset[t] > strongest ? (double)f->onset[t] : strongest;
    }
    #pragma omp parallel for schedule(dynamic, 32)
    for (int64_t t = 0; t < T; t++) {
        peaks p;
        v[t] = -1;
        if ((double)f->rms[t] < 0.03 * top)
            continue;
        find_peaks(f->magnitude, f->n_bins, T, t, &p);
        v[t] = strongest_pitch(&p);
        if (explained(&p, audio_midi_to_hz(v[t])) < BLOCKS_ROLE_EXPLAINED)
            v[t] += MANY;
    }
    for (int64_t t = 0; t < T; t++) {
        if (v[t] < 0)
            continue;
        sounding++;
        many += v[t] >= MANY;
        v[n++] = v[t] >= MANY ? v[t] - MANY : v[t];
    }
    out->polyphony = sounding > 0 ? many / sounding : 0;
    out->register_midi = median(v, n);
    n = 0;
    for (int64_t t = 1; t + 1 < T; t++) {
        const double s = (double)f->onset[t];
        if (s < 0.2 * strongest || s < (double)f->onset[t - 1] || s <= (double)f->onset[t + 1] ||
            (double)f->rms[t] < 0.03 * top)
            continue;
        const double now = (double)t * hop_s;
        if (last >= 0)
            v[n++] = now - last;
        last = now;
        n_onsets++;
    }
    out->density_hz = sounding > 0 ? (double)n_onsets / (sounding * hop_s) : 0;
    out->note_s = n ? median(v, n) : sounding * hop_s;
}

bl_status blocks_track_from_sound(const float *x, int64_t n_samples, int sample_rate, blocks_track_measures *out,
                                  bl_error *err)
{
    const audio_feature_config config = { .sample_rate = RATE, .n_fft = N_FFT, .hop_length = HOP, .n_mels = 64, .fmin_hz = 30,
                                          .which = AUDIO_FEATURE_RMS | AUDIO_FEATURE_ONSET | AUDIO_FEATURE_MAGNITUDE };
    audio_feature_plan *plan = NULL;
    audio_features f = { 0 };
    float *y = NULL, peak = 0;
    double *v = NULL;
    bl_status status;

    *out = (blocks_track_measures){ .measured = 1 };
    for (int64_t i = 0; i < n_samples; i++)
        peak = fabsf(x[i]) > peak ? fabsf(x[i]) : peak;
    if (n_samples < sample_rate / 20 || !(peak > 1e-4f))
        return bl_fail(err, BL_EARG, "a silent or empty track has no role");
    if (n_samples > (int64_t)sample_rate * MOST_SECONDS)
        n_samples = (int64_t)sample_rate * MOST_SECONDS;
    const int64_t n = audio_resample_length(n_samples, sample_rate, RATE);
    y = malloc((size_t)n * sizeof *y);
    v = malloc((size_t)(n / HOP + 2) * sizeof *v);
    if (!y || !v) {
        status = bl_fail(err, BL_ENOMEM, "no memory for a track of %lld samples", (long long)n);
        goto done;
    }
    if ((status = audio_resample_buffer(x, n_samples, sample_rate, RATE, AUDIO_RESAMPLE_FAST, y, err)) != BL_OK)
        goto done;
    plan = audio_feature_plan_new(&config, err);
    status = plan ? audio_feature_plan_run(plan, y, n, &f, err) : err ? err->code : BL_ENOMEM;
    if (status == BL_OK)
        measure_frames(&f, v, out);
done:
    free(y);
    free(v);
    audio_feature_plan_free(plan);
    audio_features_free(&f);
    return status;
}

/* Log odds that a track has several voices. */
static double many_voices(const blocks_track_measures *m)
{
    const double note_s = m->note_s > 0.05 ? m->note_s : 0.05;
    /* Counting is certain. */
    if (!m->measured)
        return (m->polyphony - BLOCKS_ROLE_POLYPHONY) / 0.03;
    return 4.91 * m->polyphony - 1.27 * (m->register_midi - 60) / 12 + 0.08 * log2(note_s) - 1.98;
}

double blocks_track_role(int instrument, const blocks_track_measures *m, char role[16], char name[64])
{
    const data_instrument *i = instrument >= 0 ? data_instrument_at(instrument) : NULL;
    const data_family family = i ? i->family : DATA_SYNTHS;
    const double logit = many_voices(m);
    const int many = logit >= 0;
    const char *r, *what = i ? i->name : "unknown";
    double confidence = 1 / (1 + exp(-fabs(logit)));

    if (family == DATA_BASSES || family == DATA_PERCUSSION) {
        r = family == DATA_BASSES ? "bass" : "rhythm";
        snprintf(name, 64, "%s", what);
        confidence = 1;
    } else if (family == DATA_VOICES && i && !strcmp(i->name, "voice")) {
        r = "lead";
        snprintf(name, 64, "lead voice");
        confidence = 1;
    } else if (family == DATA_GUITARS) {
        r = many ? "rhythm" : "lead";
        if (i && !strcmp(i->name, "electric guitar"))
            snprintf(name, 64, "%s guitar", r);
        else
            snprintf(name, 64, "%s %s", r, what);
    } else {
        const int sustains = family == DATA_STRINGS || family == DATA_ORGANS || family == DATA_SYNTHS || family == DATA_VOICES;
        r = !many ? "melody" : sustains && m->note_s >= 1 ? "pad" : "chords";
        snprintf(name, 64, "%s %s", what, r);
    }
    snprintf(role, 16, "%s", r);
    return confidence;
}
