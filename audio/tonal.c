#include "audio/tonal.h"

#include "audio/stft.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BINS = AUDIO_TONAL_BINS, PER = AUDIO_TONAL_PER_SEMITONE, AROUND = 9 * PER, SKIP = 4 };

static const double LOWEST_PITCH = 24, WINDOW_S = 0.37, HOP_S = 0.1, COMPRESSION = 1000;
static const double PI = 3.14159265358979323846;

/* One logarithmic bin: weights of the transform's bins first .. first + n - 1. */
typedef struct triangle {
    int    first, n;
    float *weight;
} triangle;

typedef struct filters {
    triangle bin[BINS];
    float   *memory;
} filters;

void audio_tonal_free(audio_tonal *tonal)
{
    free(tonal->value);
    *tonal = (audio_tonal){ 0 };
}

static double hertz_of(double bin, double tuning_cents)
{
    return 440 * pow(2, (bin / PER + LOWEST_PITCH - 69 + tuning_cents / 100) / 12);
}

/* Triangles to the neighbours' centres; never narrower than one bin of the transform on either side. */
static int make_filters(filters *f, double bin_hz, int n_bins, double tuning_cents)
{
    size_t n = 0;
    for (int pass = 0; pass < 2; pass++) {
        size_t used = 0;
        for (int b = 0; b < BINS; b++) {
            const double at = hertz_of(b, tuning_cents) / bin_hz;
            const double below = fmin(hertz_of(b - 1, tuning_cents) / bin_hz, at - 1), above = fmax(hertz_of(b + 1, tuning_cents) / bin_hz, at + 1);
            const int first = (int)floor(below) + 1, last = (int)ceil(above) - 1;
            triangle *t = &f->bin[b];
            *t = (triangle){ first, last < n_bins - 1 ? last - first + 1 : 0, f->memory ? f->memory + used : NULL };
            for (int k = 0; k < t->n && pass; k++)
                t->weight[k] = (float)(first + k <= at ? (first + k - below) / (at - below) : (above - first - k) / (above - at));
            used += (size_t)(t->n > 0 ? t->n : 0);
        }
        n = used;
        if (!pass && !(f->memory = malloc((n + 1) * sizeof *f->memory)))
            return 0;
    }
    return 1;
}

static void powers(audio_stft *s, const float *x, int64_t n_samples, int64_t t, float *pairs, float *power)
{
    audio_stft_frame(s, x, n_samples, t, pairs);
    for (int k = 0; k < audio_stft_bins(s); k++)
        power[k] = pairs[2 * k] * pairs[2 * k] + pairs[2 * k + 1] * pairs[2 * k + 1];
}

/* Adds the peaks' directions on the circle of one semitone to sum, and the frame's strongest power to *loud. */
static void look_at_peaks(const float *power, int n_bins, double bin_hz, double sum[2], double *loud)
{
    const int first = (int)ceil(80 / bin_hz) + 1;
    int       last = (int)(2000 / bin_hz);
    double    top = 0;
    last = last < n_bins - 2 ? last : n_bins - 2;
    for (int k = 2; k < n_bins; k++)
        top = fmax(top, (double)power[k]);
    *loud += top;
    for (int k = first; k <= last; k++) {
        if (power[k] < power[k - 1] || power[k] <= power[k + 1] || (double)power[k] < 1e-4 * top || power[k - 1] <= 0 || power[k + 1] <= 0)
            continue;
        const double a = log((double)power[k - 1]), b = log((double)power[k]), c = log((double)power[k + 1]), bend = a - 2 * b + c;
        const double at = k + (bend < 0 ? 0.5 * (a - c) / bend : 0), semitones = 12 * log2(at * bin_hz / 440);
        const double weight = sqrt(sqrt((double)power[k])); /* loud notes count more, but do not decide alone */
        sum[0] += weight * cos(2 * PI * semitones);
        sum[1] += weight * sin(2 * PI * semitones);
    }
}

/* From every fourth frame: the tuning, and the mean power of the frames' strongest bins. */
static void survey(audio_stft *s, const float *x, int64_t n_samples, int64_t n_frames, double bin_hz, float *pairs, float *power,
                   double *tuning_cents, double *loud)
{
    double sum[2] = { 0, 0 };
    *loud = 0;
    for (int64_t t = 0; t < n_frames; t += SKIP) {
        powers(s, x, n_samples, t, pairs, power);
        look_at_peaks(power, audio_stft_bins(s), bin_hz, sum, loud);
    }
    *loud /= (double)((n_frames + SKIP - 1) / SKIP);
    *tuning_cents = sum[0] == 0 && sum[1] == 0 ? 0 : 100 * atan2(sum[1], sum[0]) / (2 * PI);
}

/* power [n_bins] to column t of value [BINS, T]. */
static void write_frame(const filters *f, const float *power, double loud, float *value, int64_t T, int64_t t)
{
    double level[BINS], before[BINS + 1];
    before[0] = 0;
    for (int b = 0; b < BINS; b++) {
        double sum = 0;
        for (int k = 0; k < f->bin[b].n; k++)
            sum += (double)(f->bin[b].weight[k] * power[f->bin[b].first + k]);
        level[b] = log1p(COMPRESSION * sqrt(sum / loud));
        before[b + 1] = before[b] + level[b];
    }
    for (int b = 0; b < BINS; b++) {
        const int low = b - AROUND < 0 ? 0 : b - AROUND, high = b + AROUND + 1 > BINS ? BINS : b + AROUND + 1;
        value[b * T + t] = f->bin[b].n > 0 ? (float)(level[b] - (before[high] - before[low]) / (high - low)) : 0;
    }
}

/* A transform of about WINDOW_S whose length has small factors. */
static int window_length(int sample_rate)
{
    const double wanted = WINDOW_S * sample_rate;
    int n = 64;
    while (n * 2 <= wanted)
        n *= 2;
    const int step = n / 16;
    return (int)lround(wanted / step) * step;
}

bl_status audio_tonal_run(const float *x, int64_t n_samples, int sample_rate, audio_tonal *out, bl_error *err)
{
    *out = (audio_tonal){ 0 };
    if (sample_rate < 4000 || n_samples < 1)
        return bl_fail(err, BL_EARG, "harmony: expected sound at 4000 Hz or more, got %lld samples at %d Hz", (long long)n_samples,
                       sample_rate);
    const int n_fft = window_length(sample_rate), hop = (int)lround(HOP_S * sample_rate);
    const audio_stft_config config = { n_fft, hop, n_fft, AUDIO_PAD_ZERO };
    audio_stft *s = audio_stft_new(&config, err);
    if (!s)
        return err ? err->code : BL_ENOMEM;
    const int     n_bins = audio_stft_bins(s);
    const int64_t T = audio_stft_frames(s, n_samples);
    const double  bin_hz = (double)sample_rate / n_fft;
    float        *work = malloc(3 * (size_t)n_bins * sizeof *work);
    filters       f = { .memory = NULL };
    double        loud = 0;
    bl_status     status = BL_OK;

    out->value = calloc((size_t)BINS * (size_t)T, sizeof *out->value);
    if (!work || !out->value) {
        status = bl_fail(err, BL_ENOMEM, "no memory for a spectrum of %lld frames", (long long)T);
        goto done;
    }
    out->n_frames = T;
    out->hop_s = (double)hop / sample_rate;
    survey(s, x, n_samples, T, bin_hz, work, work + 2 * n_bins, &out->tuning_cents, &loud);
    if (!make_filters(&f, bin_hz, n_bins, out->tuning_cents)) {
        status = bl_fail(err, BL_ENOMEM, "no memory for the filters of a spectrum");
        goto done;
    }
    for (int64_t t = 0; t < T && loud > 0; t++) {
        powers(s, x, n_samples, t, work, work + 2 * n_bins);
        write_frame(&f, work + 2 * n_bins, loud, out->value, T, t);
    }
done:
    if (status != BL_OK)
        audio_tonal_free(out);
    free(f.memory);
    free(work);
    audio_stft_free(s);
    return status;
}
