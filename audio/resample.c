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
