#include "audio/feature_block_private.h"

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

void audio_mel_rises(const float *mel_db, const float *before, int n_mels, int64_t n_frames, float *out)
{
    enum { BLOCK = 256 };
    for (int64_t t0 = 0; t0 < n_frames; t0 += BLOCK) {
        const int n = n_frames - t0 < BLOCK ? (int)(n_frames - t0) : BLOCK;
        double    sum[BLOCK] = { 0 };
        for (int m = 0; m < n_mels; m++) {
            const float *row = mel_db + m * n_frames + t0;
            const float  first = t0 ? row[0] - row[-1] : before ? row[0] - before[m] : 0;
            sum[0] += first > 0 ? (double)first : 0.0;
            for (int i = 1; i < n; i++) {
                const float rise = row[i] - row[i - 1];
                sum[i] += rise > 0 ? (double)rise : 0.0;
            }
        }
        for (int i = 0; i < n; i++)
            out[t0 + i] = (float)(sum[i] / n_mels);
    }
}

void audio_onset_strength(const float *mel_db, int n_mels, int64_t n_frames, int64_t shift, float *out)
{
    const int64_t late = shift < n_frames ? shift : n_frames;
    audio_mel_rises(mel_db, NULL, n_mels, n_frames, out);
    memmove(out + late, out, sizeof *out * (size_t)(n_frames - late));
    for (int64_t t = 0; t < late; t++)
        out[t] = 0;
}
