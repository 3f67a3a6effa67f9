#include "audio/resample.h"

#include <math.h>
#include <samplerate.h>
#include <stdlib.h>
#include <string.h>

int64_t audio_resample_length(int64_t n_samples, int from_rate, int to_rate)
{
    if (n_samples < 1)
        return 0;
    const int64_t n = llround((double)n_samples * to_rate / from_rate);
    return n < 1 ? 1 : n;
}

static bl_status check(int64_t n_samples, int from_rate, int to_rate, bl_error *err)
{
    if (n_samples < 1)
        return bl_fail(err, BL_EARG, "resample: no samples");
    if (from_rate < 1 || to_rate < 1 || !src_is_valid_ratio((double)to_rate / from_rate))
        return bl_fail(err, BL_EARG, "resample: cannot convert %d Hz to %d Hz (the ratio must lie in 1/256 .. 256)",
                       from_rate, to_rate);
    return BL_OK;
}

/* ---- half the rate ---- */

enum { HALVING_TAPS = 32, HALVING_BLOCK = 2048 };

static double bessel_i0(double x)
{
    double sum = 1, term = 1;
    for (int k = 1; k < 60; k++) {
        term *= (x / (2 * k)) * (x / (2 * k));
        sum += term;
    }
    return sum;
}

/* A half-band filter, Kaiser's window for 108 dB: every other tap but the middle one is 0; tap[m] is that of samples
 * 2m + 1 to both sides. */
static void halving_taps(float tap[HALVING_TAPS])
{
    const double pi = 3.14159265358979323846, beta = 0.1102 * (110 - 8.7);
    double h[HALVING_TAPS], sum = 0;
    for (int m = 0; m < HALVING_TAPS; m++) {
        const double j = 2 * m + 1, u = j / (2 * HALVING_TAPS);
        h[m] = (m % 2 ? -1 : 1) / (pi * j) * bessel_i0(beta * sqrt(1 - u * u)) / bessel_i0(beta);
        sum += 2 * h[m];
    }
    for (int m = 0; m < HALVING_TAPS; m++)
        tap[m] = (float)(h[m] * 0.5 / sum);
}

/* out[i] lies on in[2 i]; silence around the signal. */
static bl_status halve(const float *in, int64_t n_samples, float *out, int64_t n_out, bl_error *err)
{
    enum { SIDE = HALVING_TAPS };
    float *odd = malloc((HALVING_BLOCK + 2 * SIDE) * sizeof *odd), tap[HALVING_TAPS];
    if (!odd)
        return bl_fail(err, BL_ENOMEM, "resample: no memory");
    halving_taps(tap);
    for (int64_t first = 0; first < n_out; first += HALVING_BLOCK) {
        const int64_t n = n_out - first < HALVING_BLOCK ? n_out - first : HALVING_BLOCK;
        float *y = out + first;
        for (int64_t i = 0; i < n + 2 * SIDE; i++) {
            const int64_t at = 2 * (first + i - SIDE) + 1;
            odd[i] = at >= 0 && at < n_samples ? in[at] : 0;
        }
        for (int64_t i = 0; i < n; i++)
            y[i] = 2 * (first + i) < n_samples ? 0.5f * in[2 * (first + i)] : 0;
        for (int m = 0; m < HALVING_TAPS; m++)
            for (int64_t i = 0; i < n; i++)
                y[i] += tap[m] * (odd[SIDE + i + m] + odd[SIDE + i - m - 1]);
    }
    free(odd);
    return BL_OK;
}

bl_status audio_resample_buffer(const float *in, int64_t n_samples, int from_rate, int to_rate,
                                audio_resample_quality quality, float *out, bl_error *err)
{
    static const int type[] = { SRC_SINC_BEST_QUALITY, SRC_SINC_MEDIUM_QUALITY, SRC_SINC_FASTEST };
    static const float silence[1024];

    const bl_status status = check(n_samples, from_rate, to_rate, err);
    if (status != BL_OK)
        return status;
    if (from_rate == to_rate) {
        memcpy(out, in, sizeof *out * (size_t)n_samples);
        return BL_OK;
    }
    if (quality == AUDIO_RESAMPLE_FAST && from_rate == 2 * to_rate)
        return halve(in, n_samples, out, audio_resample_length(n_samples, from_rate, to_rate), err);
    int code = 0;
    SRC_STATE *state = src_new(type[quality], 1, &code);
    if (!state)
        return bl_fail(err, BL_ENOMEM, "resample: %s", src_strerror(code));

    /* The filter needs samples beyond the end for the last outputs: silence follows the signal. */
    const int64_t n_out = audio_resample_length(n_samples, from_rate, to_rate);
    SRC_DATA data = { .data_in = in, .input_frames = (long)n_samples, .src_ratio = (double)to_rate / from_rate };
    int64_t used = 0, done = 0;
    while (done < n_out && code == 0) {
        data.data_in = used < n_samples ? in + used : silence;
        data.input_frames = used < n_samples ? (long)(n_samples - used) : (long)(sizeof silence / sizeof *silence);
        data.data_out = out + done;
        data.output_frames = (long)(n_out - done);
        code = src_process(state, &data);
        used += data.input_frames_used;
        done += data.output_frames_gen;
    }
    src_delete(state);
    return code == 0 ? BL_OK : bl_fail(err, BL_EARG, "resample: %s", src_strerror(code));
}

bl_status audio_resample(const audio_clip *in, int to_rate, audio_resample_quality quality,
                         audio_clip *out, bl_error *err)
{
    *out = (audio_clip){ 0 };
    bl_status status = check(in->n_samples, in->sample_rate, to_rate, err);
    if (status != BL_OK)
        return status;
    const int64_t n_out = audio_resample_length(in->n_samples, in->sample_rate, to_rate);
    status = audio_clip_new(out, in->n_channels, n_out, to_rate, err);
    if (status != BL_OK)
        return status;
    #pragma omp parallel for schedule(static) if (in->n_channels > 1)
    for (int c = 0; c < in->n_channels; c++) {
        bl_error own = { 0 };
        if (audio_resample_buffer(in->samples + c * in->n_samples, in->n_samples, in->sample_rate, to_rate,
                                  quality, out->samples + c * n_out, &own) != BL_OK) {
            #pragma omp critical(audio_resample_failed)
            status = bl_fail(err, own.code, "%s", own.msg);
        }
    }
    if (status != BL_OK)
        audio_clip_free(out);
    return status;
}
