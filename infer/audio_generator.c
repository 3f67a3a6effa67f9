#include "infer/audio_generator.h"

#include <math.h>

bl_status infer_audio_generator_run(infer_spectrogram *s, float *out, bl_error *err)
{
    const int64_t cells = (int64_t)s->n_bins * s->n_frames;
    #pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < cells; i++) {
        float *x = s->spectrum + 2 * i;
        const float was = sqrtf(x[0] * x[0] + x[1] * x[1]), gain = was > 0 ? s->magnitude[i] / was : 0;
        x[0] *= gain;
        x[1] *= gain;
    }
    return audio_stft_inverse(s->stft, s->spectrum, s->n_samples, out, err);
}
