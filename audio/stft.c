#include "audio/stft.h"

#include "base/fft.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Frames that are turned at once between frame order and [F, T]: rows of 512 bytes, so that few pages are
 * open at a time; the turn is memory-bound and costs more than the FFT with shorter rows. */
enum { BLOCK = 64 };

struct audio_stft {
    audio_stft_config config;
    int               n_bins;
    bl_fft           *fft;
    float            *window;   /* [n_fft]                                    */
    float            *frame;    /* [n_fft]                                    */
    float            *columns;  /* [BLOCK][F] pairs                           */
    double           *sum;      /* [n_fft] overlap-add of frames ...          */
    double           *weight;   /* [n_fft] ... and of squared windows         */
};

static int check(audio_stft_config *c, bl_error *err)
{
    if (c->n_fft < 2 || c->n_fft % 2)
        bl_fail(err, BL_EARG, "stft: n_fft must be even and at least 2, got %d", c->n_fft);
    else if (c->hop_length < 0 || (c->hop_length == 0 && c->n_fft < 4))
        bl_fail(err, BL_EARG, "stft: hop_length must be at least 1, got %d", c->hop_length);
    else if (c->win_length < 0 || c->win_length > c->n_fft)
        bl_fail(err, BL_EARG, "stft: win_length must be in 1 .. n_fft = %d, got %d", c->n_fft, c->win_length);
    else {
        c->hop_length = c->hop_length ? c->hop_length : c->n_fft / 4;
        c->win_length = c->win_length ? c->win_length : c->n_fft;
        return 1;
    }
    return 0;
}

audio_stft *audio_stft_new(const audio_stft_config *config, bl_error *err)
{
    audio_stft_config c = *config;
    if (!check(&c, err))
        return NULL;

    audio_stft *s = calloc(1, sizeof *s);
    if (!s) {
        bl_fail(err, BL_ENOMEM, "stft: no memory");
        return NULL;
    }
    const size_t n = (size_t)c.n_fft;
    s->config = c;
    s->n_bins = c.n_fft / 2 + 1;
    s->fft = bl_fft_new(c.n_fft, err);
    s->window = calloc(n, sizeof *s->window);
    s->frame = calloc(n, sizeof *s->frame);
    s->columns = calloc(BLOCK * (n + 2), sizeof *s->columns);
    s->sum = calloc(n, sizeof *s->sum);
    s->weight = calloc(n, sizeof *s->weight);
    if (!s->fft || !s->window || !s->frame || !s->columns || !s->sum || !s->weight) {
        audio_stft_free(s);
        bl_fail(err, BL_ENOMEM, "stft: no memory for n_fft = %d", c.n_fft);
        return NULL;
    }
    const int first = (c.n_fft - c.win_length) / 2;
    for (int i = 0; i < c.win_length; i++)
        s->window[first + i] = (float)(0.5 - 0.5 * cos(2 * 3.14159265358979323846 * i / c.win_length));
    return s;
}

void audio_stft_free(audio_stft *s)
{
    if (!s)
        return;
    bl_fft_free(s->fft);
    free(s->window);
    free(s->frame);
    free(s->columns);
    free(s->sum);
    free(s->weight);
    free(s);
}

int audio_stft_bins(const audio_stft *s)
{
    return s->n_bins;
}

int64_t audio_stft_frames(const audio_stft *s, int64_t n_samples)
{
    return n_samples / s->config.hop_length + 1;
}

void audio_stft_frame(audio_stft *s, const float *x, int64_t n_samples, int64_t t, float *out)
{
    const int n_fft = s->config.n_fft;
    const int64_t start = t * s->config.hop_length - n_fft / 2;

    if (start >= 0 && start + n_fft <= n_samples) {
        for (int i = 0; i < n_fft; i++)
            s->frame[i] = s->window[i] * x[start + i];
    } else {
        const int mirror = s->config.pad == AUDIO_PAD_REFLECT;
        for (int i = 0; i < n_fft; i++) {
            int64_t at = start + i;
            if (mirror)
                at = at < 0 ? -at : at >= n_samples ? 2 * (n_samples - 1) - at : at;
            s->frame[i] = at >= 0 && at < n_samples ? s->window[i] * x[at] : 0.0f;
        }
    }
    bl_fft_forward(s->fft, s->frame, out);
}

/* Transposes pairs: from [rows, columns] -> to [columns, rows], with row strides in pairs. In tiles of one
 * cache line of both. */
static void turn(const float *from, int64_t from_stride, float *to, int64_t to_stride, int64_t rows, int64_t columns)
{
    enum { TILE = 8 };
    for (int64_t c0 = 0; c0 < columns; c0 += TILE)
        for (int64_t r0 = 0; r0 < rows; r0 += TILE) {
            const int64_t c1 = c0 + TILE < columns ? c0 + TILE : columns;
            const int64_t r1 = r0 + TILE < rows ? r0 + TILE : rows;
            for (int64_t c = c0; c < c1; c++)
                for (int64_t r = r0; r < r1; r++)
                    memcpy(to + 2 * (c * to_stride + r), from + 2 * (r * from_stride + c), 2 * sizeof *to);
        }
}

bl_status audio_stft_run(audio_stft *s, const float *x, int64_t n_samples, float *out, bl_error *err)
{
    if (n_samples < 1)
        return bl_fail(err, BL_EARG, "stft: no samples");
    if (s->config.pad == AUDIO_PAD_REFLECT && n_samples <= s->config.n_fft / 2)
        return bl_fail(err, BL_EARG, "stft: %lld samples are too few to mirror n_fft/2 = %d of them",
                       (long long)n_samples, s->config.n_fft / 2);

    const int64_t T = audio_stft_frames(s, n_samples), F = s->n_bins;
    for (int64_t t0 = 0; t0 < T; t0 += BLOCK) {
        const int64_t n = T - t0 < BLOCK ? T - t0 : BLOCK;
        for (int64_t j = 0; j < n; j++)
            audio_stft_frame(s, x, n_samples, t0 + j, s->columns + 2 * j * F);
        turn(s->columns, F, out + 2 * t0, T, n, F);
    }
    return BL_OK;
}

/* Adds one frame to the sums, hands out the hop_length samples that no later frame touches, from
 * sample number `at` of the signal on, and moves the sums along. */
static void overlap_add(audio_stft *s, const float *column, int64_t at, int64_t n_samples, float *out)
{
    const int n_fft = s->config.n_fft, hop = s->config.hop_length;

    bl_fft_inverse(s->fft, column, s->frame);
    for (int i = 0; i < n_fft; i++) {
        const double w = (double)s->window[i];
        s->sum[i] += w * (double)s->frame[i];
        s->weight[i] += w * w;
    }
    for (int i = 0; i < hop && at + i < n_samples; i++)
        if (at + i >= 0)
            out[at + i] = s->weight[i] > 1e-30 ? (float)(s->sum[i] / s->weight[i]) : 0.0f;

    const size_t keep = (size_t)(n_fft - hop);
    memmove(s->sum, s->sum + hop, keep * sizeof *s->sum);
    memmove(s->weight, s->weight + hop, keep * sizeof *s->weight);
    memset(s->sum + keep, 0, (size_t)hop * sizeof *s->sum);
    memset(s->weight + keep, 0, (size_t)hop * sizeof *s->weight);
}

bl_status audio_stft_inverse(audio_stft *s, const float *spectrum, int64_t n_samples, float *out, bl_error *err)
{
    const int n_fft = s->config.n_fft, hop = s->config.hop_length;

    if (n_samples < 1)
        return bl_fail(err, BL_EARG, "stft: no samples");
    if (2 * hop > s->config.win_length)
        return bl_fail(err, BL_EARG, "stft: hop_length %d leaves gaps between windows of %d; at most half of it can be inverted",
                       hop, s->config.win_length);

    const int64_t T = audio_stft_frames(s, n_samples), F = s->n_bins;
    memset(s->sum, 0, (size_t)n_fft * sizeof *s->sum);
    memset(s->weight, 0, (size_t)n_fft * sizeof *s->weight);
    for (int64_t t0 = 0; t0 < T; t0 += BLOCK) {
        const int64_t n = T - t0 < BLOCK ? T - t0 : BLOCK;
        turn(spectrum + 2 * t0, T, s->columns, F, F, n);
        for (int64_t j = 0; j < n; j++)
            overlap_add(s, s->columns + 2 * j * F, (t0 + j) * hop - n_fft / 2, n_samples, out);
    }
    /* What the last frame left in the sums. */
    const int64_t at = T * hop - n_fft / 2;
    for (int i = 0; i < n_fft - hop; i++)
        if (at + i >= 0 && at + i < n_samples)
            out[at + i] = s->weight[i] > 1e-30 ? (float)(s->sum[i] / s->weight[i]) : 0.0f;
    return BL_OK;
}
