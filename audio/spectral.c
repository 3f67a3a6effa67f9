#include "audio/features.h"

#include <math.h>
#include <string.h>

double audio_spectral_centroid(const float *magnitude, int n_bins, double bin_hz)
{
    double sum = 0, weighted = 0;
    for (int f = 0; f < n_bins; f++) {
        sum += (double)magnitude[f];
        weighted += (double)magnitude[f] * f;
    }
    return sum > 0 ? weighted / sum * bin_hz : 0.0;
}

double audio_spectral_bandwidth(const float *magnitude, int n_bins, double bin_hz, double centroid_hz)
{
    double sum = 0, weighted = 0;
    for (int f = 0; f < n_bins; f++) {
        const double d = f * bin_hz - centroid_hz;
        sum += (double)magnitude[f];
        weighted += (double)magnitude[f] * d * d;
    }
    return sum > 0 ? sqrt(weighted / sum) : 0.0;
}

double audio_spectral_rolloff(const float *magnitude, int n_bins, double bin_hz, double roll_percent)
{
    double total = 0, sum = 0;
    for (int f = 0; f < n_bins; f++)
        total += (double)magnitude[f];
    for (int f = 0; f < n_bins; f++) {
        sum += (double)magnitude[f];
        if (sum >= roll_percent * total)
            return f * bin_hz;
    }
    return (n_bins - 1) * bin_hz;
}

double audio_spectral_flatness(const float *magnitude, int n_bins)
{
    const double amin = 1e-10;
    double logs = 0, sum = 0;
    for (int f = 0; f < n_bins; f++) {
        const double p = (double)magnitude[f] * (double)magnitude[f];
        const double v = p > amin ? p : amin;
        logs += log(v);
        sum += v;
    }
    return exp(logs / n_bins) / (sum / n_bins);
}

double audio_frame_rms(const float *x, int64_t n_samples, int64_t center, int frame_length)
{
    const int64_t start = center - frame_length / 2;
    const int64_t from = start > 0 ? start : 0;
    const int64_t to = start + frame_length < n_samples ? start + frame_length : n_samples;
    double sum = 0;
    for (int64_t i = from; i < to; i++)
        sum += (double)x[i] * (double)x[i];
    return sqrt(sum / frame_length);
}

static int is_negative(float v)
{
    return v < -1e-10f;   /* what is smaller counts as zero, and zero as positive */
}

double audio_frame_zcr(const float *x, int64_t n_samples, int64_t center, int frame_length)
{
    /* Repeated end samples never cross, so only pairs inside the clip count. */
    const int64_t start = center - frame_length / 2;
    const int64_t from = start > 0 ? start : 0;
    const int64_t to = start + frame_length < n_samples ? start + frame_length : n_samples;
    int64_t crossings = 0;
    for (int64_t i = from + 1; i < to; i++)
        crossings += is_negative(x[i]) != is_negative(x[i - 1]);
    return (double)crossings / frame_length;
}

/* Moves the k smallest values of v [n] to its front (Hoare's quickselect). */
static void select_smallest(float *v, int n, int k)
{
    int low = 0, high = n - 1;
    while (low < high) {
        const float pivot = v[low + (high - low) / 2];
        int i = low, j = high;
        while (i <= j) {
            while (v[i] < pivot)
                i++;
            while (v[j] > pivot)
                j--;
            if (i <= j) {
                const float swap = v[i];
                v[i++] = v[j];
                v[j--] = swap;
            }
        }
        if (k - 1 <= j)
            high = j;
        else if (k - 1 >= i)
            low = i;
        else
            return;
    }
}

static float mean(const float *v, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += (double)v[i];
    return (float)(sum / n);
}

void audio_spectral_contrast_bands(const float *magnitude, int n_bins, double bin_hz, float *scratch,
                                   float peak[AUDIO_CONTRAST_BANDS], float valley[AUDIO_CONTRAST_BANDS])
{
    for (int k = 0; k < AUDIO_CONTRAST_BANDS; k++) {
        const int is_last = k == AUDIO_CONTRAST_BANDS - 1;
        const double low_hz = k == 0 ? 0.0 : 100.0 * (1 << k), high_hz = 200.0 * (1 << k);
        int first = 0, end = 0;   /* bins first .. end - 1 lie in low_hz .. high_hz */
        while (first < n_bins && first * bin_hz < low_hz)
            first++;
        for (end = first; end < n_bins && end * bin_hz <= high_hz; )
            end++;
        peak[k] = valley[k] = -1;
        if (end == first)
            continue;
        /* As librosa: one bin more below; all above in the last band; the upper edge itself left out. */
        first -= k > 0 && first > 0;
        end = is_last ? n_bins : end;
        const int counted = end - first, n = is_last ? counted : counted - 1;
        if (n < 1)
            continue;
        int few = (int)nearbyint(0.02 * counted);
        few = few < 1 ? 1 : few > n ? n : few;
        memcpy(scratch, magnitude + first, sizeof *scratch * (size_t)n);
        select_smallest(scratch, n, few);
        valley[k] = mean(scratch, few);
        select_smallest(scratch, n, n - few > 0 ? n - few : 1);
        peak[k] = few < n ? mean(scratch + n - few, few) : valley[k];
    }
}

void audio_onset_strength(const float *mel_db, int n_mels, int64_t n_frames, int64_t shift, float *out)
{
    for (int64_t t = 0; t < n_frames; t++) {
        const int64_t now = t - shift;   /* the frame whose rise is put at t */
        double sum = 0;
        for (int m = 0; m < n_mels && now >= 1; m++) {
            const float rise = mel_db[m * n_frames + now] - mel_db[m * n_frames + now - 1];
            sum += rise > 0 ? (double)rise : 0.0;
        }
        out[t] = (float)(sum / n_mels);
    }
}
