#include "audio/features.h"

#include "audio/decibel_private.h"

#include <float.h>
#include <math.h>

/* Slaney: 200/3 Hz a mel up to 1000 Hz (15 mel), then 27 mel to a factor of 6.4. */
static const double break_hz = 1000.0, break_mel = 15.0, hz_per_mel = 200.0 / 3.0;

static double log_step(void)
{
    return log(6.4) / 27.0;
}

double audio_hz_to_mel(double hz, audio_mel_scale scale)
{
    if (scale == AUDIO_MEL_HTK)
        return 2595.0 * log10(1.0 + hz / 700.0);
    return hz < break_hz ? hz / hz_per_mel : break_mel + log(hz / break_hz) / log_step();
}

double audio_mel_to_hz(double mel, audio_mel_scale scale)
{
    if (scale == AUDIO_MEL_HTK)
        return 700.0 * (pow(10.0, mel / 2595.0) - 1.0);
    return mel < break_mel ? mel * hz_per_mel : break_hz * exp(log_step() * (mel - break_mel));
}

bl_status audio_mel_filters(int sample_rate, int n_fft, int n_mels, double fmin_hz, double fmax_hz,
                            audio_mel_scale scale, int area_norm, float *out, bl_error *err)
{
    const double top_hz = fmax_hz > 0 ? fmax_hz : sample_rate / 2.0;
    if (sample_rate < 1 || n_fft < 2 || n_fft % 2 || n_mels < 1)
        return bl_fail(err, BL_EARG, "mel: expected sample_rate >= 1, an even n_fft >= 2 and n_mels >= 1, got %d, %d and %d",
                       sample_rate, n_fft, n_mels);
    if (!(fmin_hz >= 0 && fmin_hz < top_hz && top_hz <= sample_rate / 2.0))
        return bl_fail(err, BL_EARG, "mel: expected 0 <= fmin < fmax <= %g Hz, got fmin %g and fmax %g",
                       sample_rate / 2.0, fmin_hz, top_hz);

    const int F = n_fft / 2 + 1;
    const double low = audio_hz_to_mel(fmin_hz, scale), high = audio_hz_to_mel(top_hz, scale);
    for (int m = 0; m < n_mels; m++) {
        double edge[3];
        for (int i = 0; i < 3; i++)
            edge[i] = audio_mel_to_hz(low + (high - low) * (m + i) / (n_mels + 1), scale);
        const double height = area_norm ? 2.0 / (edge[2] - edge[0]) : 1.0;
        for (int f = 0; f < F; f++) {
            const double hz = (double)f * sample_rate / n_fft;
            const double rise = (hz - edge[0]) / (edge[1] - edge[0]);
            const double fall = (edge[2] - hz) / (edge[2] - edge[1]);
            const double w = rise < fall ? rise : fall;
            out[(int64_t)m * F + f] = w > 0 ? (float)(w * height) : 0.0f;
        }
    }
    return BL_OK;
}

void audio_power_to_db(const float *power, int64_t n, double ref, double amin, double top_db, float *out)
{
    enum { SIDE = 16 }; /* maxima side by side: one would wait for the next */
    const float least = (float)(amin > 1.2e-38 ? amin : 1.2e-38), shift = (float)(10 * log10(ref > amin ? ref : amin));
    float       largest[SIDE];
    for (int l = 0; l < SIDE; l++)
        largest[l] = -FLT_MAX;
    for (int64_t i = 0; i < n; i++)
        out[i] = audio_decibel(power[i] > least ? power[i] : least) - shift;
    if (top_db < 0)
        return;
    for (int64_t i = 0; i + SIDE <= n; i += SIDE)
        for (int l = 0; l < SIDE; l++)
            largest[l] = out[i + l] > largest[l] ? out[i + l] : largest[l];
    for (int64_t i = n - n % SIDE; i < n; i++)
        largest[0] = out[i] > largest[0] ? out[i] : largest[0];
    for (int l = 1; l < SIDE; l++)
        largest[0] = largest[l] > largest[0] ? largest[l] : largest[0];
    const float floor_db = (float)((double)largest[0] - top_db);
    for (int64_t i = 0; i < n; i++)
        out[i] = out[i] > floor_db ? out[i] : floor_db;
}

void audio_dct2(const float *in, int n_in, int64_t n_frames, int n_out, float *out)
{
    enum { BLOCK = 256, ROWS = 4 }; /* sums that stay in the first cache */
    const double pi = 3.14159265358979323846;
    for (int64_t t0 = 0; t0 < n_frames; t0 += BLOCK) {
        const int n = n_frames - t0 < BLOCK ? (int)(n_frames - t0) : BLOCK;
        for (int k0 = 0; k0 < n_out; k0 += ROWS) {
            double sum[ROWS][BLOCK] = { { 0 } };
            for (int m = 0; m < n_in; m++) {
                const float *row = in + m * n_frames + t0;
                double       c[ROWS];
                for (int k = 0; k < ROWS; k++)
                    c[k] = cos(pi * (k0 + k) * (2 * m + 1) / (2.0 * n_in));
                for (int i = 0; i < n; i++)
                    for (int k = 0; k < ROWS; k++)
                        sum[k][i] += c[k] * (double)row[i];
            }
            for (int k = k0; k < n_out && k < k0 + ROWS; k++) {
                const double scale = sqrt((k == 0 ? 1.0 : 2.0) / n_in);
                for (int i = 0; i < n; i++)
                    out[k * n_frames + t0 + i] = (float)(scale * sum[k - k0][i]);
            }
        }
    }
}
