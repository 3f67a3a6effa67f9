#include "audio/features.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NEEDS_MEL = AUDIO_FEATURE_MEL | AUDIO_FEATURE_MEL_DB | AUDIO_FEATURE_MFCC | AUDIO_FEATURE_ONSET };

struct audio_feature_plan {
    audio_feature_config config;
    int                  n_bins;
    double               bin_hz;
    audio_stft          *stft;
    float               *mel;         /* [n_mels, F]                         */
    int                 *mel_first;   /* [n_mels] each triangle's first bin  */
    int                 *mel_end;     /* [n_mels] and the one after its last */
    float               *chroma;      /* [n_chroma, F]                       */
    float               *column;      /* [F] pairs                           */
    float               *magnitude, *power, *scratch;   /* [F]               */
};

static int set_defaults(audio_feature_config *c, bl_error *err)
{
    c->n_fft = c->n_fft ? c->n_fft : 2048;
    c->hop_length = c->hop_length ? c->hop_length : c->n_fft / 4;
    c->n_mels = c->n_mels ? c->n_mels : 128;
    c->n_mfcc = c->n_mfcc ? c->n_mfcc : c->n_mels < 20 ? c->n_mels : 20;
    c->n_chroma = c->n_chroma ? c->n_chroma : 12;
    c->roll_percent = c->roll_percent > 0 ? c->roll_percent : 0.85;
    c->which = c->which ? c->which : (unsigned)AUDIO_FEATURE_ALL;
    if (c->sample_rate < 1)
        bl_fail(err, BL_EARG, "features: sample_rate must be at least 1, got %d", c->sample_rate);
    else if (c->n_mfcc < 1 || c->n_mfcc > c->n_mels)
        bl_fail(err, BL_EARG, "features: n_mfcc must be in 1 .. n_mels = %d, got %d", c->n_mels, c->n_mfcc);
    else if (c->n_mels < 1 || c->n_mels > 4096 || c->n_chroma < 1 || c->n_chroma > 4096)
        bl_fail(err, BL_EARG, "features: n_mels and n_chroma must be in 1 .. 4096, got %d and %d", c->n_mels, c->n_chroma);
    else if (!(c->roll_percent < 1))
        bl_fail(err, BL_EARG, "features: roll_percent must lie in 0 .. 1, got %g", c->roll_percent);
    else
        return 1;
    return 0;
}

static int allocate(audio_feature_plan *p)
{
    const size_t F = (size_t)p->n_bins, M = (size_t)p->config.n_mels;
    p->mel = calloc(M * F, sizeof *p->mel);
    p->mel_first = calloc(M, sizeof *p->mel_first);
    p->mel_end = calloc(M, sizeof *p->mel_end);
    p->chroma = calloc((size_t)p->config.n_chroma * F, sizeof *p->chroma);
    p->column = calloc(2 * F, sizeof *p->column);
    p->magnitude = calloc(F, sizeof *p->magnitude);
    p->power = calloc(F, sizeof *p->power);
    p->scratch = calloc(F, sizeof *p->scratch);
    return p->mel && p->mel_first && p->mel_end && p->chroma && p->column && p->magnitude && p->power && p->scratch;
}

/* The triangles cover few bins each; sums run over those alone. */
static void find_supports(audio_feature_plan *p)
{
    for (int m = 0; m < p->config.n_mels; m++) {
        const float *row = p->mel + (int64_t)m * p->n_bins;
        int first = 0, end = p->n_bins;
        while (first < end && row[first] <= 0)
            first++;
        while (end > first && row[end - 1] <= 0)
            end--;
        p->mel_first[m] = first;
        p->mel_end[m] = end;
    }
}

audio_feature_plan *audio_feature_plan_new(const audio_feature_config *config, bl_error *err)
{
    audio_feature_config c = *config;
    bl_error own = { 0 };
    audio_feature_plan *p = NULL;

    if (!set_defaults(&c, &own))
        goto done;
    p = calloc(1, sizeof *p);
    if (!p) {
        bl_fail(&own, BL_ENOMEM, "features: no memory");
        goto done;
    }
    p->config = c;
    p->stft = audio_stft_new(&(audio_stft_config){ .n_fft = c.n_fft, .hop_length = c.hop_length, .pad = AUDIO_PAD_ZERO }, &own);
    if (!p->stft)
        goto done;
    p->n_bins = audio_stft_bins(p->stft);
    p->bin_hz = (double)c.sample_rate / c.n_fft;
    if (!allocate(p))
        bl_fail(&own, BL_ENOMEM, "features: no memory for n_fft = %d", c.n_fft);
    else if (audio_mel_filters(c.sample_rate, c.n_fft, c.n_mels, c.fmin_hz, c.fmax_hz, c.mel_scale, 1, p->mel, &own) == BL_OK &&
             audio_chroma_filters(c.sample_rate, c.n_fft, c.n_chroma, c.tuning, p->chroma, &own) == BL_OK)
        find_supports(p);
done:
    if (own.code != BL_OK) {
        audio_feature_plan_free(p);
        bl_fail(err, own.code, "%s", own.msg);
        return NULL;
    }
    return p;
}

void audio_feature_plan_free(audio_feature_plan *p)
{
    if (!p)
        return;
    audio_stft_free(p->stft);
    free(p->mel);
    free(p->mel_first);
    free(p->mel_end);
    free(p->chroma);
    free(p->column);
    free(p->magnitude);
    free(p->power);
    free(p->scratch);
    free(p);
}

void audio_features_free(audio_features *features)
{
    if (!features)
        return;
    free(features->memory);
    *features = (audio_features){ 0 };
}

/* Hands out the arrays of out from its block; with no block yet it only counts. Returns floats used. */
static int64_t lay_out(const audio_feature_plan *p, int64_t T, audio_features *out, float **valley)
{
    const audio_feature_config *c = &p->config;
    const int need_mel = (c->which & NEEDS_MEL) != 0;
    const struct { float **to; int64_t rows; } parts[] = {
        { &out->mel, need_mel ? c->n_mels : 0 },
        { &out->mel_db, need_mel ? c->n_mels : 0 },
        { &out->mfcc, c->which & AUDIO_FEATURE_MFCC ? c->n_mfcc : 0 },
        { &out->chroma, c->which & AUDIO_FEATURE_CHROMA ? c->n_chroma : 0 },
        { &out->contrast, c->which & AUDIO_FEATURE_CONTRAST ? AUDIO_CONTRAST_BANDS : 0 },
        { valley, c->which & AUDIO_FEATURE_CONTRAST ? AUDIO_CONTRAST_BANDS : 0 },
        { &out->magnitude, c->which & AUDIO_FEATURE_MAGNITUDE ? p->n_bins : 0 },
        { &out->centroid, (c->which & AUDIO_FEATURE_CENTROID) != 0 },
        { &out->bandwidth, (c->which & AUDIO_FEATURE_BANDWIDTH) != 0 },
        { &out->rolloff, (c->which & AUDIO_FEATURE_ROLLOFF) != 0 },
        { &out->flatness, (c->which & AUDIO_FEATURE_FLATNESS) != 0 },
        { &out->rms, (c->which & AUDIO_FEATURE_RMS) != 0 },
        { &out->zcr, (c->which & AUDIO_FEATURE_ZCR) != 0 },
        { &out->onset, (c->which & AUDIO_FEATURE_ONSET) != 0 },
    };
    int64_t used = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        *parts[i].to = out->memory && parts[i].rows > 0 ? out->memory + used : NULL;
        used += parts[i].rows * T;
    }
    return used;
}

/* Everything that is a function of one frame. */
static void measure_frame(audio_feature_plan *p, const float *x, int64_t n_samples, int64_t t, audio_features *out, float *valley)
{
    const audio_feature_config *c = &p->config;
    const int F = p->n_bins;
    const int64_t T = out->n_frames, center = t * c->hop_length;

    audio_stft_frame(p->stft, x, n_samples, t, p->column);
    for (int f = 0; f < F; f++) {
        const float re = p->column[2 * f], im = p->column[2 * f + 1];
        p->power[f] = re * re + im * im;
        p->magnitude[f] = sqrtf(p->power[f]);
    }
    for (int m = 0; out->mel && m < c->n_mels; m++) {
        const float *row = p->mel + (int64_t)m * F;
        float sum = 0;
        for (int f = p->mel_first[m]; f < p->mel_end[m]; f++)
            sum += row[f] * p->power[f];
        out->mel[m * T + t] = sum;
    }
    if (out->chroma) {
        double largest = 0;
        for (int k = 0; k < c->n_chroma; k++) {
            const float *row = p->chroma + (int64_t)k * F;
            double sum = 0;
            for (int f = 0; f < F; f++)
                sum += (double)(row[f] * p->power[f]);
            out->chroma[k * T + t] = (float)sum;
            largest = sum > largest ? sum : largest;
        }
        for (int k = 0; k < c->n_chroma && largest > 1.1754943508222875e-38; k++)   /* librosa.util.tiny */
            out->chroma[k * T + t] = (float)((double)out->chroma[k * T + t] / largest);
    }
    if (out->contrast) {
        float peaks[AUDIO_CONTRAST_BANDS], valleys[AUDIO_CONTRAST_BANDS];
        audio_spectral_contrast_bands(p->magnitude, F, p->bin_hz, p->scratch, peaks, valleys);
        for (int k = 0; k < AUDIO_CONTRAST_BANDS; k++) {
            out->contrast[k * T + t] = peaks[k];
            valley[k * T + t] = valleys[k];
        }
    }
    for (int f = 0; out->magnitude && f < F; f++)
        out->magnitude[f * T + t] = p->magnitude[f];

    const double centroid = out->centroid || out->bandwidth ? audio_spectral_centroid(p->magnitude, F, p->bin_hz) : 0;
    if (out->centroid)
        out->centroid[t] = (float)centroid;
    if (out->bandwidth)
        out->bandwidth[t] = (float)audio_spectral_bandwidth(p->magnitude, F, p->bin_hz, centroid);
    if (out->rolloff)
        out->rolloff[t] = (float)audio_spectral_rolloff(p->magnitude, F, p->bin_hz, c->roll_percent);
    if (out->flatness)
        out->flatness[t] = (float)audio_spectral_flatness(p->magnitude, F);
    if (out->rms)
        out->rms[t] = (float)audio_frame_rms(x, n_samples, center, c->n_fft);
    if (out->zcr)
        out->zcr[t] = (float)audio_frame_zcr(x, n_samples, center, c->n_fft);
}

/* What needs the whole clip: decibels are cut 80 dB below the loudest value of all frames. */
static void finish(const audio_feature_plan *p, audio_features *out, float *valley)
{
    const audio_feature_config *c = &p->config;
    const int64_t T = out->n_frames;

    if (out->mel)
        audio_power_to_db(out->mel, c->n_mels * T, 1.0, 1e-10, 80.0, out->mel_db);
    if (out->mfcc)
        audio_dct2(out->mel_db, c->n_mels, T, c->n_mfcc, out->mfcc);
    if (out->onset)
        audio_onset_strength(out->mel_db, c->n_mels, T, c->n_fft / (2 * c->hop_length), out->onset);
    if (out->contrast) {
        int empty[AUDIO_CONTRAST_BANDS];
        for (int k = 0; k < AUDIO_CONTRAST_BANDS; k++)
            empty[k] = out->contrast[k * T] < 0;
        audio_power_to_db(out->contrast, AUDIO_CONTRAST_BANDS * T, 1.0, 1e-10, 80.0, out->contrast);
        audio_power_to_db(valley, AUDIO_CONTRAST_BANDS * T, 1.0, 1e-10, 80.0, valley);
        for (int64_t i = 0; i < AUDIO_CONTRAST_BANDS * T; i++)
            out->contrast[i] = empty[i / T] ? 0.0f : out->contrast[i] - valley[i];
    }
    out->mel = c->which & AUDIO_FEATURE_MEL ? out->mel : NULL;
    out->mel_db = c->which & AUDIO_FEATURE_MEL_DB ? out->mel_db : NULL;
}

bl_status audio_feature_plan_run(audio_feature_plan *p, const float *x, int64_t n_samples, audio_features *out, bl_error *err)
{
    float *valley = NULL;
    *out = (audio_features){ 0 };
    if (n_samples < 1)
        return bl_fail(err, BL_EARG, "features: no samples");

    const int64_t T = audio_stft_frames(p->stft, n_samples);
    const int64_t n = lay_out(p, T, out, &valley);
    out->memory = malloc(sizeof(float) * (size_t)n);
    if (!out->memory) {
        *out = (audio_features){ 0 };
        return bl_fail(err, BL_ENOMEM, "features: no memory for %lld frames", (long long)T);
    }
    lay_out(p, T, out, &valley);
    out->n_frames = T;
    out->n_bins = p->n_bins;
    out->n_mels = p->config.n_mels;
    out->n_mfcc = p->config.n_mfcc;
    out->n_chroma = p->config.n_chroma;
    for (int64_t t = 0; t < T; t++)
        measure_frame(p, x, n_samples, t, out, valley);
    finish(p, out, valley);
    return BL_OK;
}
