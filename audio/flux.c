#include "audio/flux.h"

#include "base/fft.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FILTERS = 240, LAG = 2, FILTERS_PER_OCTAVE = 24 };
static const double HOP_S = 0.010, WINDOW_S = 0.040, LOWEST_HZ = 30, HIGHEST_HZ = 16000;
static const double EDGE_HZ[AUDIO_FLUX_BANDS] = { 150, 2000, 6000, 1e9 };

typedef struct filterbank {
    int n, first[MAX_FILTERS], centre[MAX_FILTERS], last[MAX_FILTERS]; /* bins: zero, peak, zero */
    int band[MAX_FILTERS];
} filterbank;

static void build_filters(filterbank *bank, double bin_hz, double top_hz)
{
    int bins[MAX_FILTERS + 2], n = 0, last = 0;
    for (double hz = LOWEST_HZ; hz <= top_hz && n < MAX_FILTERS + 2; hz *= exp2(1.0 / FILTERS_PER_OCTAVE)) {
        const int bin = (int)lround(hz / bin_hz);
        if (bin > last)
            bins[n++] = last = bin; /* low filters that would share a bin are left out */
    }
    bank->n = n > 2 ? n - 2 : 0;
    for (int i = 0; i < bank->n; i++) {
        bank->first[i] = bins[i], bank->centre[i] = bins[i + 1], bank->last[i] = bins[i + 2];
        bank->band[i] = 0;
        while (bins[i + 1] * bin_hz > EDGE_HZ[bank->band[i]])
            bank->band[i]++;
    }
}

static double filter_sum(const filterbank *bank, int i, const float *magnitude)
{
    const int a = bank->first[i], c = bank->centre[i], b = bank->last[i];
    double    sum = 0;
    for (int k = a + 1; k < b; k++)
        sum += (double)magnitude[k] * (k <= c ? (double)(k - a) / (c - a) : (double)(b - k) / (b - c));
    return sum;
}

static int compare_floats(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static double percentile_95(const float *x, int64_t n, float *scratch)
{
    memcpy(scratch, x, sizeof(float) * (size_t)n);
    qsort(scratch, (size_t)n, sizeof(float), compare_floats);
    return (double)scratch[(n - 1) * 95 / 100];
}

void audio_flux_free(audio_flux *flux)
{
    for (int b = 0; b < AUDIO_FLUX_BANDS; b++)
        free(flux->band[b]);
    free(flux->sum);
    memset(flux, 0, sizeof *flux);
}

/* Level of the loud frames, so that the logarithm bends at the same place in quiet recordings. */
static double loud_magnitude(const float *x, int64_t n, int64_t window, int64_t n_frames, double hop, float *scratch,
                             float *sorted)
{
    for (int64_t t = 0; t < n_frames; t++) {
        const int64_t start = llround((double)t * hop) - window / 2;
        double        energy = 0;
        for (int64_t i = start < 0 ? 0 : start; i < start + window && i < n; i++)
            energy += (double)x[i] * (double)x[i];
        scratch[t] = (float)sqrt(energy / (double)window);
    }
    return fmax(1e-5, percentile_95(scratch, n_frames, sorted));
}

bl_status audio_flux_run(const float *x, int64_t n_samples, int sample_rate, audio_flux *out, bl_error *err)
{
    memset(out, 0, sizeof *out);
    if (sample_rate < 4000 || n_samples < 1)
        return bl_fail(err, BL_EARG, "onsets: expected a signal at 4000 Hz or more, got %lld samples at %d Hz",
                       (long long)n_samples, sample_rate);
    int n_fft = 2;
    while (n_fft < WINDOW_S * sample_rate)
        n_fft *= 2;
    const double hop = HOP_S * sample_rate;
    bl_status    status = BL_OK;
    filterbank   bank = { 0 };
    bl_fft      *fft = bl_fft_new(n_fft, err);
    const size_t size = (size_t)n_fft;

    out->hop_s = HOP_S;
    out->n_frames = (int64_t)((double)n_samples / hop) + 1;
    const size_t frames = (size_t)out->n_frames;
    float *window = malloc(sizeof(float) * size), *frame = malloc(sizeof(float) * size);
    float *spectrum = malloc(sizeof(float) * (size + 2)), *magnitude = malloc(sizeof(float) * (size / 2 + 1));
    float *history = calloc((size_t)(LAG + 1) * MAX_FILTERS, sizeof(float)), *scratch = malloc(sizeof(float) * frames);
    out->sum = calloc(frames, sizeof(float));
    int ready = fft && window && frame && spectrum && magnitude && history && scratch && out->sum;
    for (int b = 0; b < AUDIO_FLUX_BANDS; b++)
        ready = (out->band[b] = calloc(frames, sizeof(float))) != NULL && ready;
    if (!ready) {
        status = bl_fail(err, BL_ENOMEM, "onsets: no memory");
        goto done;
    }
    build_filters(&bank, (double)sample_rate / n_fft, fmin(HIGHEST_HZ, 0.48 * sample_rate));
    double gain = 0;
    for (int i = 0; i < n_fft; i++) {
        window[i] = (float)(0.5 - 0.5 * cos(2 * acos(-1.0) * i / n_fft));
        gain += (double)window[i];
    }
    const double loud = loud_magnitude(x, n_samples, n_fft, out->n_frames, hop, out->sum, scratch);
    const double scale = 100 * 2 / (gain * loud);

    for (int64_t t = 0; t < out->n_frames; t++) {
        const int64_t start = llround((double)t * hop) - n_fft / 2;
        for (int i = 0; i < n_fft; i++)
            frame[i] = start + i >= 0 && start + i < n_samples ? x[start + i] * window[i] : 0.0f;
        bl_fft_forward(fft, frame, spectrum);
        for (int k = 0; k <= n_fft / 2; k++)
            magnitude[k] = sqrtf(spectrum[2 * k] * spectrum[2 * k] + spectrum[2 * k + 1] * spectrum[2 * k + 1]);
        float       *now = history + (t % (LAG + 1)) * MAX_FILTERS;
        const float *then = history + ((t + 1) % (LAG + 1)) * MAX_FILTERS; /* t - LAG */
        double       sum[AUDIO_FLUX_BANDS] = { 0 }, total = 0;
        for (int i = 0; i < bank.n; i++) {
            now[i] = (float)log10(1 + scale * filter_sum(&bank, i, magnitude));
            float before = then[i];
            before = i > 0 && then[i - 1] > before ? then[i - 1] : before;
            before = i + 1 < bank.n && then[i + 1] > before ? then[i + 1] : before;
            if (now[i] > before)
                sum[bank.band[i]] += (double)(now[i] - before);
        }
        for (int b = 0; b < AUDIO_FLUX_BANDS; b++) {
            out->band[b][t] = (float)sum[b];
            total += sum[b];
        }
        out->sum[t] = (float)total;
    }
    const float norm = (float)(1 / fmax(1e-6, percentile_95(out->sum, out->n_frames, scratch)));
    for (int64_t t = 0; t < out->n_frames; t++) {
        out->sum[t] *= norm;
        for (int b = 0; b < AUDIO_FLUX_BANDS; b++)
            out->band[b][t] *= norm;
    }
done:
    bl_fft_free(fft);
    free(window), free(frame), free(spectrum), free(magnitude), free(history), free(scratch);
    if (status != BL_OK)
        audio_flux_free(out);
    return status;
}
