#include "audio/loudness.h"

#include <ebur128.h>
#include <math.h>
#include <stdlib.h>

enum { BLOCK = 4096 };

static double to_db(double peak)
{
    return peak > 0 ? 20 * log10(peak) : -HUGE_VAL;
}

/* Feeds n samples from `at` on; beyond the clip's end there is silence. */
static int feed(ebur128_state *state, const audio_clip *clip, int64_t at, int64_t n, float *block)
{
    for (int c = 0; c < clip->n_channels; c++)
        for (int64_t i = 0; i < n; i++)
            block[i * clip->n_channels + c] = at + i < clip->n_samples ? clip->samples[c * clip->n_samples + at + i] : 0.0f;
    return ebur128_add_frames_float(state, block, (size_t)n);
}

/* all: range and true peak too. */
static int measure(ebur128_state *state, const audio_clip *clip, int all, float *block, audio_loudness *out)
{
    int code = 0;
    for (int64_t at = 0; at < clip->n_samples && code == 0; at += BLOCK)
        code = feed(state, clip, at, clip->n_samples - at < BLOCK ? clip->n_samples - at : BLOCK, block);
    if (code == 0)
        code = ebur128_loudness_global(state, &out->integrated_lufs);
    if (code == 0 && all)
        code = ebur128_loudness_range(state, &out->range_lu);
    /* The interpolating filter lags; silence behind the clip brings out the peaks of its last samples. */
    if (code == 0 && all)
        code = feed(state, clip, clip->n_samples, 64, block);
    double true_peak = 0, sample_peak = 0;
    for (unsigned c = 0; c < (unsigned)clip->n_channels && code == 0; c++) {
        double p = 0, q = 0;
        code = (all && ebur128_true_peak(state, c, &p)) || ebur128_sample_peak(state, c, &q);
        true_peak = p > true_peak ? p : true_peak;
        sample_peak = q > sample_peak ? q : sample_peak;
    }
    out->true_peak_dbtp = to_db(true_peak);
    out->sample_peak_dbfs = to_db(sample_peak);
    return code;
}

static bl_status measure_clip(const audio_clip *clip, int all, audio_loudness *out, bl_error *err)
{
    *out = (audio_loudness){ -HUGE_VAL, 0, -HUGE_VAL, -HUGE_VAL };
    if (clip->n_samples < 1)
        return bl_fail(err, BL_EARG, "loudness: no samples");
    if (clip->n_channels < 1 || clip->n_channels > 64 || clip->sample_rate < 16 || clip->sample_rate > 2822400)
        return bl_fail(err, BL_EARG, "loudness: expected 1 to 64 channels and 16 to 2822400 Hz, got %d and %d",
                       clip->n_channels, clip->sample_rate);

    ebur128_state *state = ebur128_init((unsigned)clip->n_channels, (unsigned long)clip->sample_rate,
                                        EBUR128_MODE_I | EBUR128_MODE_SAMPLE_PEAK |
                                        (all ? EBUR128_MODE_LRA | EBUR128_MODE_TRUE_PEAK : 0));
    float *block = malloc(sizeof *block * BLOCK * (size_t)clip->n_channels);
    const int failed = !state || !block || measure(state, clip, all, block, out) != 0;
    free(block);
    if (state)
        ebur128_destroy(&state);
    if (failed) {
        *out = (audio_loudness){ -HUGE_VAL, 0, -HUGE_VAL, -HUGE_VAL };
        return bl_fail(err, BL_ENOMEM, "loudness: no memory");
    }
    return BL_OK;
}

bl_status audio_loudness_measure(const audio_clip *clip, audio_loudness *out, bl_error *err)
{
    return measure_clip(clip, 1, out, err);
}

bl_status audio_loudness_integrated(const audio_clip *clip, double *lufs, double *sample_peak_dbfs, bl_error *err)
{
    audio_loudness loud;
    const bl_status status = measure_clip(clip, 0, &loud, err);
    *lufs = loud.integrated_lufs;
    *sample_peak_dbfs = loud.sample_peak_dbfs;
    return status;
}

double audio_loudness_gain_db(const audio_loudness *measured, double target_lufs, double ceiling_dbtp)
{
    const double wanted = isfinite(measured->integrated_lufs) ? target_lufs - measured->integrated_lufs : 0.0;
    const double room = ceiling_dbtp - measured->true_peak_dbtp;   /* +infinity for silence */
    return wanted < room ? wanted : room;
}
