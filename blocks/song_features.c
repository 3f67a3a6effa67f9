#include "blocks/song_features.h"

#include "audio/features.h"
#include "audio/resample.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RATE = 22050, N_FFT = 2048, HOP = 512, N_MFCC = 20 };
enum { /* places in the vector */
    TEMPO, PULSE, TWICE, HALF, ONSET_RATE, ONSET_MEAN, ONSET_DEVIATION, LEVEL, LEVEL_DEVIATION, LOW_ENERGY,
    SHAPE, CONTRAST = SHAPE + 10, MFCC = CONTRAST + 2 * AUDIO_CONTRAST_BANDS, CHROMA = MFCC + 3 * N_MFCC,
    CHROMA_ENTROPY = CHROMA + 12, CHROMA_CHANGE, MAJOR, N_ALL
};
_Static_assert((int)N_ALL == (int)BLOCKS_SONG_FEATURES && (int)MFCC == (int)BLOCKS_SONG_MFCC, "the header documents these places");

const char *blocks_song_feature_name(int i)
{
    static const char *const first[SHAPE] = { "tempo", "pulse", "twice", "half", "onset_rate", "onset_mean", "onset_deviation",
                                              "level_db", "level_deviation", "low_energy" };
    static const char *const shape[10] = { "zcr_mean", "zcr_deviation", "centroid_mean", "centroid_deviation", "bandwidth_mean",
                                           "bandwidth_deviation", "rolloff_mean", "rolloff_deviation", "flatness_mean",
                                           "flatness_deviation" };
    static const char *const last[3] = { "chroma_entropy", "chroma_change", "major" };
    static _Thread_local char name[32];
    if (i < 0 || i >= BLOCKS_SONG_FEATURES)
        return "";
    if (i < SHAPE)
        return first[i];
    if (i < CONTRAST)
        return shape[i - SHAPE];
    if (i >= CHROMA_ENTROPY)
        return last[i - CHROMA_ENTROPY];
    if (i >= CHROMA)
        snprintf(name, sizeof name, "chroma_%d", i - CHROMA);
    else if (i >= MFCC)
        snprintf(name, sizeof name, "mfcc_%s_%d", i - MFCC < N_MFCC ? "mean" : i - MFCC < 2 * N_MFCC ? "deviation" : "change",
                 (i - MFCC) % N_MFCC);
    else
        snprintf(name, sizeof name, "contrast_%s_%d", i - CONTRAST < AUDIO_CONTRAST_BANDS ? "mean" : "deviation",
                 (i - CONTRAST) % AUDIO_CONTRAST_BANDS);
    return name;
}

static void mean_deviation(const float *x, int64_t n, float *mean, float *deviation)
{
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i];
    for (int64_t i = 0; i < n; i++)
        squares += ((double)x[i] - sum / (double)n) * ((double)x[i] - sum / (double)n);
    *mean = (float)(sum / (double)n);
    *deviation = (float)sqrt(squares / (double)n);
}

/* ---- rhythm ---- */

static double correlation(const float *x, int64_t n, double mean, int64_t lag)
{
    double sum = 0;
    for (int64_t i = lag; i < n; i++)
        sum += ((double)x[i] - mean) * ((double)x[i - lag] - mean);
    return lag < n ? sum / (double)(n - lag) : 0;
}

/* The beat's period: the lag at which the onset envelope is most like itself, weighed by how usual that tempo is. */
static void rhythm(const float *onset, int64_t n, float *out)
{
    const double frames_per_s = (double)RATE / HOP, deviations = 4;
    const int64_t shortest = (int64_t)(frames_per_s * 60 / 240), longest = (int64_t)(frames_per_s * 60 / 40);
    double mean = 0, best = 0, onsets = 0;
    int64_t best_lag = 0;
    float m, d;

    mean_deviation(onset, n, &m, &d);
    mean = (double)m;
    const double power = correlation(onset, n, mean, 0);
    for (int64_t lag = shortest; lag <= longest && lag < n / 2 && power > 1e-9; lag++) {
        const double octaves = log2(60 * frames_per_s / (double)lag / 120);
        const double score = correlation(onset, n, mean, lag) / power * exp(-0.5 * octaves * octaves);
        if (score > best) {
            best = score;
            best_lag = lag;
        }
    }
    for (int64_t i = 1; i + 1 < n; i++)
        onsets += onset[i] > onset[i - 1] && onset[i] >= onset[i + 1] && (double)onset[i] > mean + (double)d / deviations + 0.5;
    out[TEMPO] = (float)(best_lag > 0 ? log2(60 * frames_per_s / (double)best_lag / 120) : 0);
    out[PULSE] = (float)(best_lag > 0 ? correlation(onset, n, mean, best_lag) / power : 0);
    out[TWICE] = (float)(best_lag > 0 ? correlation(onset, n, mean, best_lag / 2) / power : 0);
    out[HALF] = (float)(best_lag > 0 ? correlation(onset, n, mean, 2 * best_lag) / power : 0);
    out[ONSET_RATE] = (float)(onsets / ((double)n / frames_per_s));
    out[ONSET_MEAN] = m;
    out[ONSET_DEVIATION] = d;
}

/* ---- level ---- */

static void level(const float *rms, int64_t n, float *out)
{
    static const double SILENCE_DB = -80;
    double power = 0, sum = 0, squares = 0, low = 0;
    for (int64_t i = 0; i < n; i++)
        power += (double)rms[i] * (double)rms[i] / (double)n;
    for (int64_t i = 0; i < n; i++) {
        const double p = (double)rms[i] * (double)rms[i], db = fmax(SILENCE_DB, 10 * log10(p + 1e-20));
        sum += db / (double)n;
        squares += db * db / (double)n;
        low += p < 0.5 * power;
    }
    out[LEVEL] = (float)fmax(SILENCE_DB, 10 * log10(power + 1e-20));
    out[LEVEL_DEVIATION] = (float)sqrt(fmax(0, squares - sum * sum));
    out[LOW_ENERGY] = (float)(low / (double)n);
}

/* ---- pitch ---- */

/* Krumhansl & Kessler 1982: how well each pitch class fits a key. */
static const double major_profile[12] = { 6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88 };
static const double minor_profile[12] = { 6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17 };

static double best_key(const double *chroma, const double *profile)
{
    double mean_c = 0, mean_p = 0, best = -1;
    for (int i = 0; i < 12; i++) {
        mean_c += chroma[i] / 12;
        mean_p += profile[i] / 12;
    }
    for (int tonic = 0; tonic < 12; tonic++) {
        double cp = 0, cc = 0, pp = 0;
        for (int i = 0; i < 12; i++) {
            const double c = chroma[(i + tonic) % 12] - mean_c, p = profile[i] - mean_p;
            cp += c * p;
            cc += c * c;
            pp += p * p;
        }
        best = fmax(best, cp / sqrt(cc * pp + 1e-12));
    }
    return best;
}

static void pitch(const float *chroma, int64_t n, float *out)
{
    double mean[12] = { 0 }, total = 0, entropy = 0, change = 0;
    int strongest = 0;
    for (int c = 0; c < 12; c++) {
        for (int64_t t = 0; t < n; t++) {
            mean[c] += (double)chroma[c * n + t] / (double)n;
            change += t > 0 ? fabs((double)chroma[c * n + t] - (double)chroma[c * n + t - 1]) / (12 * (double)n) : 0;
        }
        total += mean[c];
        strongest = mean[c] > mean[strongest] ? c : strongest;
    }
    for (int c = 0; c < 12; c++) {
        const double p = total > 1e-9 ? mean[c] / total : 1.0 / 12;
        entropy -= p > 0 ? p * log(p) / log(12) : 0;
        out[CHROMA + c] = (float)mean[(strongest + c) % 12];
    }
    out[CHROMA_ENTROPY] = (float)entropy;
    out[CHROMA_CHANGE] = (float)change;
    out[MAJOR] = (float)(best_key(mean, major_profile) - best_key(mean, minor_profile));
}

/* ---- all of them ---- */

static void summarise(audio_features *f, float *out)
{
    const int64_t n = f->n_frames;
    float *const hz[3] = { f->centroid, f->bandwidth, f->rolloff };
    rhythm(f->onset, n, out);
    level(f->rms, n, out);
    mean_deviation(f->zcr, n, &out[SHAPE], &out[SHAPE + 1]);
    for (int i = 0; i < 3; i++) { /* octaves, as the ear has it; silence counts as 20 Hz */
        for (int64_t t = 0; t < n; t++)
            hz[i][t] = log2f(hz[i][t] > 20 ? hz[i][t] : 20);
        mean_deviation(hz[i], n, &out[SHAPE + 2 + 2 * i], &out[SHAPE + 3 + 2 * i]);
    }
    for (int64_t t = 0; t < n; t++)
        f->flatness[t] = log2f(f->flatness[t] > 1e-9f ? f->flatness[t] : 1e-9f);
    mean_deviation(f->flatness, n, &out[SHAPE + 8], &out[SHAPE + 9]);
    for (int b = 0; b < AUDIO_CONTRAST_BANDS; b++)
        mean_deviation(f->contrast + b * n, n, &out[CONTRAST + b], &out[CONTRAST + AUDIO_CONTRAST_BANDS + b]);
    for (int k = 0; k < N_MFCC; k++) {
        double change = 0;
        mean_deviation(f->mfcc + k * n, n, &out[MFCC + k], &out[MFCC + N_MFCC + k]);
        for (int64_t t = 1; t < n; t++)
            change += fabs((double)f->mfcc[k * n + t] - (double)f->mfcc[k * n + t - 1]);
        out[MFCC + 2 * N_MFCC + k] = (float)(n > 1 ? change / (double)(n - 1) : 0);
    }
    pitch(f->chroma, n, out);
}

bl_status blocks_song_features(const float *mono, int64_t n_samples, int sample_rate, float *out, bl_error *err)
{
    const audio_feature_config config = {
        .sample_rate = RATE, .n_fft = N_FFT, .hop_length = HOP, .n_mfcc = N_MFCC,
        .which = AUDIO_FEATURE_ALL & ~(unsigned)(AUDIO_FEATURE_MEL)
    };
    audio_features features = { 0 };
    audio_feature_plan *plan = NULL;
    float *owned = NULL;
    const float *x = mono;
    int64_t n = n_samples;
    bl_status status = BL_OK;

    memset(out, 0, BLOCKS_SONG_FEATURES * sizeof *out);
    if (n_samples < 1)
        return bl_fail(err, BL_EARG, "song features: the sound is empty");
    if (sample_rate < 1000 || sample_rate > 768000)
        return bl_fail(err, BL_EARG, "song features: expected a sample rate of 1000 to 768000 Hz, got %d", sample_rate);
    for (int64_t i = 0; i < n_samples; i++)
        if (!isfinite(mono[i]))
            return bl_fail(err, BL_ENAN, "song features: sample %lld is not a finite number", (long long)i);
    if (sample_rate != RATE) {
        n = audio_resample_length(n_samples, sample_rate, RATE);
        x = owned = malloc((size_t)n * sizeof *owned);
        status = owned ? audio_resample_buffer(mono, n_samples, sample_rate, RATE, AUDIO_RESAMPLE_FAST, owned, err)
                       : bl_fail(err, BL_ENOMEM, "no memory to resample %lld samples", (long long)n_samples);
    }
    if (status == BL_OK)
        status = (plan = audio_feature_plan_new(&config, err)) ? BL_OK : BL_ENOMEM;
    if (status == BL_OK)
        status = audio_feature_plan_run(plan, x, n, &features, err);
    if (status == BL_OK)
        summarise(&features, out);
    audio_features_free(&features);
    audio_feature_plan_free(plan);
    free(owned);
    return status;
}
