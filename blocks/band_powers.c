#include "blocks/band_powers.h"

#include "audio/resample.h"

#include <math.h>
#include <stdlib.h>

/* The even number nearest to n that has no prime factor above 7: its FFT is fast. */
static int fast_length(double n)
{
    for (int d = 0;; d++)
        for (int side = -1; side <= 1; side += 2) {
            const int length = 2 * (int)lround(n / 2) + side * 2 * d;
            int rest = length;
            for (int p = 2; p <= 7 && rest > 0; p++)
                while (rest % p == 0)
                    rest /= p;
            if (length > 1 && rest == 1)
                return length;
        }
}

blocks_band_powers *blocks_band_powers_new(const blocks_feature_extractor *fx, int sample_rate, bl_error *err)
{
    blocks_band_powers *b;
    if (sample_rate < 1000 || sample_rate > 768000) {
        bl_fail(err, BL_EARG, "expected a sample rate of 1000 to 768000 Hz, got %d", sample_rate);
        return NULL;
    }
    if (!(b = calloc(1, sizeof *b))) {
        bl_fail(err, BL_ENOMEM, "no memory for band powers");
        return NULL;
    }
    const double ratio = (double)sample_rate / fx->sample_rate;
    *b = (blocks_band_powers){ .fx = fx, .rate = sample_rate, .scale = 0.5f };
    if (ratio <= 1) {
        b->hop = (int)lround(2 * fx->hop_length * ratio);
        b->hop = b->hop < 1 ? 1 : b->hop;
        return b;
    }
    const int n_fft = fast_length(fx->n_fft * ratio), hop = (int)lround(fx->hop_length * ratio);
    const audio_feature_config config = { .sample_rate = sample_rate, .n_fft = n_fft, .hop_length = hop, .n_mels = fx->n_mels,
                                          .fmin_hz = fx->fmin_hz, .fmax_hz = fx->fmax_hz > 0 ? fx->fmax_hz : fx->sample_rate / 2.0,
                                          .which = AUDIO_FEATURE_MEL };
    b->hop = 2 * hop;
    b->scale = (float)(0.5 * fx->n_fft * fx->n_fft / ((double)n_fft * n_fft));
    if (!(b->plan = audio_feature_plan_new(&config, err))) {
        blocks_band_powers_free(b);
        return NULL;
    }
    return b;
}

void blocks_band_powers_free(blocks_band_powers *b)
{
    if (!b)
        return;
    audio_feature_plan_free(b->plan);
    free(b);
}

bl_status blocks_band_powers_run(blocks_band_powers *b, const float *x, int64_t n_samples, float **power, int64_t *n_frames,
                                 bl_error *err)
{
    audio_features features = { 0 };
    const int M = b->fx->n_mels;
    int64_t n = n_samples;
    float *owned = NULL;

    *power = NULL;
    *n_frames = 0;
    if (n_samples < 1)
        return bl_fail(err, BL_EARG, "the sound is empty");
    if (b->rate < b->fx->sample_rate) {
        n = audio_resample_length(n_samples, b->rate, b->fx->sample_rate);
        if (!(owned = malloc((size_t)n * sizeof *owned)))
            return bl_fail(err, BL_ENOMEM, "no memory to resample %lld samples", (long long)n_samples);
        audio_resample_buffer(x, n_samples, b->rate, b->fx->sample_rate, AUDIO_RESAMPLE_FAST, owned, err);
    }
    if (!err->code)
        audio_feature_plan_run(b->plan ? b->plan : b->fx->plan, owned ? owned : x, n, &features, err);
    const int64_t T = features.n_frames > 1 ? features.n_frames / 2 : 1;
    if (!err->code && !(*power = malloc((size_t)T * (size_t)M * sizeof **power)))
        bl_fail(err, BL_ENOMEM, "no memory for %lld frames", (long long)T);
    for (int m = 0; m < M && *power; m++) {
        const float *band = features.mel + m * features.n_frames;
        for (int64_t t = 0; t < T; t++)
            (*power)[t * M + m] = b->scale * (features.n_frames > 1 ? band[2 * t] + band[2 * t + 1] : 2 * band[0]);
    }
    *n_frames = *power ? T : 0;
    audio_features_free(&features);
    free(owned);
    return err->code;
}
