#include "infer/spectrogram.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void infer_spectrogram_free(infer_spectrogram *s)
{
    audio_stft_free(s->stft);
    free(s->spectrum);
    free(s->magnitude);
    memset(s, 0, sizeof *s);
}

bl_status infer_spectrogram_new(infer_spectrogram *s, const float *x, int64_t n_samples, int n_fft, int hop_length,
                                bl_error *err)
{
    const audio_stft_config config = { .n_fft = n_fft, .hop_length = hop_length, .pad = AUDIO_PAD_ZERO };
    memset(s, 0, sizeof *s);
    if (!(s->stft = audio_stft_new(&config, err)))
        return err->code;
    s->n_samples = n_samples;
    s->n_bins = audio_stft_bins(s->stft);
    s->n_frames = audio_stft_frames(s->stft, n_samples);
    const size_t cells = (size_t)s->n_bins * (size_t)s->n_frames;
    s->spectrum = malloc(2 * cells * sizeof *s->spectrum);
    s->magnitude = malloc(cells * sizeof *s->magnitude);
    bl_status status = s->spectrum && s->magnitude ? BL_OK : bl_fail(err, BL_ENOMEM, "no memory for a spectrogram");
    if (status == BL_OK)
        status = audio_stft_run(s->stft, x, n_samples, s->spectrum, err);
    if (status != BL_OK) {
        infer_spectrogram_free(s);
        return status;
    }
    #pragma omp parallel for schedule(static)
    for (size_t i = 0; i < cells; i++)
        s->magnitude[i] = sqrtf(s->spectrum[2 * i] * s->spectrum[2 * i] + s->spectrum[2 * i + 1] * s->spectrum[2 * i + 1]);
    return BL_OK;
}
