#include "infer/temporal_analyzer.h"

#include "base/file.h"
#include "blocks/temporal.h"
#include "infer/audio_generator.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct infer_temporal_analyzer {
    blocks_temporal *model;
};

/* Pieces of the chain, and how far neighbours overlap and are faded into each other. */
static const double PIECE_S = 60, OVERLAP_S = 1;

infer_temporal_analyzer *infer_temporal_analyzer_load(const char *path, bl_error *err)
{
    infer_temporal_analyzer *a = calloc(1, sizeof *a);
    if (!a) {
        bl_fail(err, BL_ENOMEM, "no memory for the temporal model");
        return NULL;
    }
    if (!(a->model = blocks_temporal_load(path, err))) {
        free(a);
        return NULL;
    }
    return a;
}

void infer_temporal_analyzer_free(infer_temporal_analyzer *a)
{
    if (a)
        blocks_temporal_free(a->model);
    free(a);
}

void infer_temporal_analyzer_window(const infer_temporal_analyzer *a, int sample_rate, int *n_fft, int *hop_length)
{
    const double ratio = (double)sample_rate / a->model->sample_rate;
    *hop_length = (int)lround(a->model->hop_length * ratio);
    *n_fft = 2 * (int)lround(a->model->n_fft * ratio / 2);
    *hop_length = *hop_length < 1 ? 1 : *hop_length;
    *n_fft = *n_fft < 4 * *hop_length ? 4 * *hop_length : *n_fft;
}

bl_status infer_temporal_analyzer_run(infer_temporal_analyzer *a, const char *instrument, infer_spectrogram *s,
                                      int sample_rate, bl_error *err)
{
    return blocks_temporal_run(a->model, instrument, s->magnitude, s->n_bins, s->n_frames, sample_rate, err);
}

static bl_status one_piece(infer_temporal_analyzer *a, const char *instrument, const float *x, int64_t n, int sample_rate,
                           float *out, infer_chain_seconds *seconds, bl_error *err)
{
    infer_spectrogram s = { 0 };
    int n_fft, hop;
    double start = bl_seconds(), now;
    infer_temporal_analyzer_window(a, sample_rate, &n_fft, &hop);
    bl_status status = infer_spectrogram_new(&s, x, n, n_fft, hop, err);
    seconds->spectrogram += (now = bl_seconds()) - start;
    start = now;
    if (status == BL_OK)
        status = infer_temporal_analyzer_run(a, instrument, &s, sample_rate, err);
    seconds->temporal += (now = bl_seconds()) - start;
    start = now;
    if (status == BL_OK)
        status = infer_audio_generator_run(&s, out, err);
    infer_spectrogram_free(&s);
    seconds->audio += bl_seconds() - start;
    return status;
}

bl_status infer_temporal_analyzer_chain(infer_temporal_analyzer *a, const char *instrument, float *x, int64_t n_samples,
                                        int sample_rate, infer_chain_seconds *seconds, bl_error *err)
{
    const int64_t piece = (int64_t)(PIECE_S * sample_rate), overlap = (int64_t)(OVERLAP_S * sample_rate);
    const int64_t longest = piece + 2 * overlap < n_samples ? piece + 2 * overlap : n_samples;
    float *out = malloc((size_t)longest * sizeof *out), *done = calloc((size_t)n_samples, sizeof *done);
    bl_status status = out && done ? BL_OK : bl_fail(err, BL_ENOMEM, "no memory for a stem");

    for (int64_t start = 0; start < n_samples && status == BL_OK; start += piece) {
        /* the piece and what it shares with its neighbours; a short rest is joined to the last piece */
        const int64_t first = start > overlap ? start - overlap : 0;
        int64_t last = start + piece + overlap < n_samples ? start + piece + overlap : n_samples;
        if (last - first > longest)
            last = first + longest;
        status = one_piece(a, instrument, x + first, last - first, sample_rate, out, seconds, err);
        for (int64_t i = first; i < last && status == BL_OK; i++) {
            double w = 1; /* straight crossfades of neighbours add up to 1 */
            if (first > 0 && i < start + overlap)
                w = ((double)(i - first) + 0.5) / (double)(start + overlap - first);
            if (last < n_samples && i >= start + piece - overlap)
                w *= 1 - ((double)(i - (start + piece - overlap)) + 0.5) / (double)(2 * overlap);
            done[i] += (float)(w * (double)out[i - first]);
        }
        if (last == n_samples)
            break;
    }
    if (status == BL_OK)
        memcpy(x, done, (size_t)n_samples * sizeof *x);
    free(out);
    free(done);
    return status;
}
