#include "blocks/sound_parts.h"

#include "audio/f0.h"
#include "audio/features.h"
#include "base/rng.h"
#include "nn/gemm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MEDIAN_MAX = 255, N_MFCC = 12 };
static const double window_s = 0.093, top_hz = 8000;
static const real least = (real)1e-10;

int blocks_parts_n_fft(int sample_rate)
{
    const double exact = log2(window_s * sample_rate);
    const int power = (int)(exact + 0.5);
    return 1 << (power < 6 ? 6 : power > 16 ? 16 : power);
}

void blocks_parts_free(blocks_parts *p)
{
    free(p->W);
    free(p->H);
    memset(p, 0, sizeof *p);
}

/* ---- harmonic and percussive share -------------------------------------------------------------- */

/* Running median of n values with mirrored ends; length odd. */
static void running_median(const float *x, int64_t n, int length, float *out)
{
    float sorted[MEDIAN_MAX];
    const int half = length / 2;
    int m = 0;
    for (int64_t t = -half; t < n + half; t++) {
        const int64_t i = t < 0 ? -t - 1 : t >= n ? 2 * n - 1 - t : t, leave = t - length;
        const float v = x[i < 0 ? 0 : i >= n ? n - 1 : i];
        int at;
        if (m == length) {
            int64_t j = leave < 0 ? -leave - 1 : leave >= n ? 2 * n - 1 - leave : leave;
            const float old = x[j < 0 ? 0 : j >= n ? n - 1 : j];
            for (at = 0; sorted[at] < old; at++)
                ;
            memmove(sorted + at, sorted + at + 1, (size_t)(m - at - 1) * sizeof *sorted);
            m--;
        }
        for (at = m; at > 0 && sorted[at - 1] > v; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = v;
        m++;
        if (t - half >= 0 && m == length)
            out[t - half] = sorted[half];
    }
}

bl_status blocks_harmonic_share(const float *magnitude, int n_bins, int64_t n_frames, int median_length, float *out,
                                bl_error *err)
{
    const int length = median_length > 0 ? (median_length < MEDIAN_MAX ? median_length | 1 : MEDIAN_MAX) : 31;
    int failed = 0;

    #pragma omp parallel for schedule(static)
    for (int f = 0; f < n_bins; f++)
        running_median(magnitude + f * n_frames, n_frames, length, out + f * n_frames);
    #pragma omp parallel
    {
        float *column = malloc(2 * (size_t)n_bins * sizeof *column);
        if (!column) {
            #pragma omp atomic write
            failed = 1;
        }
        #pragma omp for schedule(static)
        for (int64_t t = 0; t < n_frames; t++) {
            if (!column)
                continue;
            for (int f = 0; f < n_bins; f++)
                column[f] = magnitude[f * n_frames + t];
            running_median(column, n_bins, length, column + n_bins);
            for (int f = 0; f < n_bins; f++) {
                const float h = out[f * n_frames + t], p = column[n_bins + f], sum = h * h + p * p;
                out[f * n_frames + t] = sum > 0 ? h * h / sum : 0.5f;
            }
        }
        free(column);
    }
    return failed ? bl_fail(err, BL_ENOMEM, "no memory for the median filters") : BL_OK;
}

/* ---- factorisation ------------------------------------------------------------------------------ */

/* ratio = V / (W H); scratch of [F, T]. W [F, R] has rows of length R. */
static void model_ratio(const real *V, const real *W, const real *H, int64_t F, int64_t T, int64_t R, real *ratio)
{
    nn_gemm(0, 0, F, T, R, 1, W, R, H, T, 0, ratio, T);
    #pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < F * T; i++)
        ratio[i] = V[i] / (ratio[i] + least);
}

/* One share of the spectrogram into R parts. ratio [F, T], update [max(F, T), R] are scratch. */
static void factorise(const real *V, int64_t F, int64_t T, int64_t R, int iterations, real *W, real *H, real *ratio,
                      real *update)
{
    for (int it = 0; it < iterations; it++) {
        model_ratio(V, W, H, F, T, R, ratio);
        nn_gemm(1, 0, R, T, F, 1, W, R, ratio, T, 0, update, T);
        #pragma omp parallel for schedule(static)
        for (int64_t r = 0; r < R; r++) {
            double sum = 0;
            for (int64_t f = 0; f < F; f++)
                sum += (double)W[f * R + r];
            const real scale = (real)(1 / (sum + (double)least));
            for (int64_t t = 0; t < T; t++)
                H[r * T + t] *= update[r * T + t] * scale;
        }
        model_ratio(V, W, H, F, T, R, ratio);
        nn_gemm(0, 1, F, R, T, 1, ratio, T, H, T, 0, update, R);
        #pragma omp parallel for schedule(static)
        for (int64_t r = 0; r < R; r++) {
            double sum = 0, column = 0;
            for (int64_t t = 0; t < T; t++)
                sum += (double)H[r * T + t];
            for (int64_t f = 0; f < F; f++) {
                W[f * R + r] *= (real)((double)update[f * R + r] / (sum + (double)least));
                column += (double)W[f * R + r];
            }
            /* Columns sum to 1, their size goes into H; a part that died stays at rest. */
            for (int64_t f = 0; f < F && column > 0; f++)
                W[f * R + r] = (real)((double)W[f * R + r] / column);
            for (int64_t t = 0; t < T; t++)
                H[r * T + t] = (real)((double)H[r * T + t] * column);
        }
    }
}

/* Start: every part is a frame of the recording, drawn by its level, plus a floor everywhere. */
static void start_parts(const real *V, int64_t F, int64_t T, int64_t R, bl_rng *rng, real *W, real *H)
{
    double total = 0;
    for (int64_t i = 0; i < F * T; i++)
        total += (double)V[i];
    for (int64_t r = 0; r < R; r++) {
        const int64_t t = bl_rng_below(rng, T);
        double sum = 0;
        for (int64_t f = 0; f < F; f++)
            sum += (double)V[f * T + t];
        for (int64_t f = 0; f < F; f++)
            W[f * R + r] = (real)((sum > 0 ? (double)V[f * T + t] / sum : 0) + (0.2 + 0.8 * bl_rng_uniform(rng)) / (double)F);
        for (int64_t i = 0; i < T; i++)
            H[r * T + i] = (real)((0.5 + bl_rng_uniform(rng)) * (total + 1e-6) / (double)(R * T));
    }
}

/* Both shares; V holds the harmonic one, then the percussive one. */
static bl_status factorise_both(blocks_parts *p, const float *magnitude, const float *harmonic,
                                const blocks_parts_options *o, bl_error *err)
{
    const int64_t F = p->n_bins, T = p->n_frames, R = p->n_parts;
    const int64_t n_of[2] = { p->n_harmonic, p->n_parts - p->n_harmonic };
    const size_t FT = (size_t)F * (size_t)T;
    real *V = malloc(FT * sizeof *V), *ratio = malloc(FT * sizeof *ratio);
    real *update = malloc((size_t)(F > T ? F : T) * (size_t)R * sizeof *update);
    real *W = malloc((size_t)F * (size_t)R * sizeof *W);
    bl_status status = BL_OK;
    bl_rng rng;

    if (!V || !ratio || !update || !W) {
        status = bl_fail(err, BL_ENOMEM, "no memory for a spectrogram of %lld frames", (long long)T);
        goto done;
    }
    bl_rng_seed(&rng, o->seed);
    for (int share = 0, first = 0; share < 2; first += (int)n_of[share++]) {
        bl_rng own = bl_rng_fork(&rng, (uint64_t)share);
        if (n_of[share] == 0)
            continue;
        #pragma omp parallel for schedule(static)
        for (int64_t i = 0; i < F * T; i++)
            V[i] = (real)(magnitude[i] * sqrtf(share ? 1 - harmonic[i] : harmonic[i]));
        start_parts(V, F, T, n_of[share], &own, W, p->H + first * T);
        factorise(V, F, T, n_of[share], o->iterations > 0 ? o->iterations : 60, W, p->H + first * T, ratio, update);
        for (int64_t f = 0; f < F; f++)
            memcpy(p->W + f * R + first, W + f * n_of[share], (size_t)n_of[share] * sizeof *W);
    }
done:
    free(V);
    free(ratio);
    free(update);
    free(W);
    return status;
}

bl_status blocks_parts_new(blocks_parts *p, const float *x, int64_t n_samples, int sample_rate,
                           const blocks_parts_options *o, bl_error *err)
{
    const int n_fft = blocks_parts_n_fft(sample_rate);
    audio_stft *stft = audio_stft_new(&(audio_stft_config){ .n_fft = n_fft, .pad = AUDIO_PAD_ZERO }, err);
    float *spectrum = NULL, *harmonic = NULL;
    bl_status status = err ? err->code : BL_ENOMEM;

    memset(p, 0, sizeof *p);
    if (!stft)
        return status;
    p->n_fft = n_fft;
    p->sample_rate = sample_rate;
    p->n_bins = audio_stft_bins(stft);
    p->n_frames = audio_stft_frames(stft, n_samples);
    p->n_harmonic = o->n_harmonic > 0 ? o->n_harmonic : 32;
    p->n_parts = p->n_harmonic + (o->n_percussive > 0 ? o->n_percussive : 8);
    if (n_samples < 1 || p->n_frames < 4) {
        status = bl_fail(err, BL_EARG, "%lld samples at %d Hz are too short to be taken apart", (long long)n_samples, sample_rate);
        goto done;
    }
    const size_t FT = (size_t)p->n_bins * (size_t)p->n_frames;
    spectrum = malloc(2 * FT * sizeof *spectrum);
    harmonic = malloc(FT * sizeof *harmonic);
    p->W = calloc((size_t)p->n_bins * (size_t)p->n_parts, sizeof *p->W);
    p->H = calloc((size_t)p->n_frames * (size_t)p->n_parts, sizeof *p->H);
    if (!spectrum || !harmonic || !p->W || !p->H) {
        status = bl_fail(err, BL_ENOMEM, "no memory for a spectrogram of %lld frames", (long long)p->n_frames);
        goto done;
    }
    if ((status = audio_stft_run(stft, x, n_samples, spectrum, err)) != BL_OK)
        goto done;
    /* Magnitudes in place: entry i is read from 2i and 2i + 1, which no smaller entry overwrites. */
    for (size_t i = 0; i < FT; i++)
        spectrum[i] = sqrtf(spectrum[2 * i] * spectrum[2 * i] + spectrum[2 * i + 1] * spectrum[2 * i + 1]);
    status = blocks_harmonic_share(spectrum, p->n_bins, p->n_frames, o->median_length, harmonic, err);
    if (status == BL_OK)
        status = factorise_both(p, spectrum, harmonic, o, err);
done:
    audio_stft_free(stft);
    free(spectrum);
    free(harmonic);
    if (status != BL_OK)
        blocks_parts_free(p);
    return status;
}

/* ---- masks -------------------------------------------------------------------------------------- */

/* Row f of the masks: model power of every group, share by share. sums [2, T]. */
static void mask_row(const blocks_parts *p, const int *group, int n_groups, const float *harmonic, int f, float *masks,
                     float *power, float *sums)
{
    const int64_t T = p->n_frames, FT = p->n_bins * T;
    const int has_percussive = p->n_parts > p->n_harmonic;
    memset(power, 0, 2 * (size_t)n_groups * (size_t)T * sizeof *power);
    memset(sums, 0, 2 * (size_t)T * sizeof *sums);
    for (int r = 0; r < p->n_parts; r++) {
        const int share = r >= p->n_harmonic;
        float *row = power + (share * n_groups + group[r]) * T;
        const real w = p->W[(int64_t)f * p->n_parts + r], *h = p->H + r * T;
        for (int64_t t = 0; t < T; t++)
            row[t] += (float)(w * h[t]);
    }
    for (int sg = 0; sg < 2 * n_groups; sg++)
        for (int64_t t = 0; t < T; t++) {
            float *v = power + sg * T + t;
            *v = *v * *v + 1e-20f;
            sums[(sg / n_groups) * T + t] += *v;
        }
    for (int g = 0; g < n_groups; g++)
        for (int64_t t = 0; t < T; t++) {
            const float h = has_percussive ? harmonic[f * T + t] : 1;
            masks[g * FT + f * T + t] =
                h * power[g * T + t] / sums[t] + (1 - h) * power[(n_groups + g) * T + t] / sums[T + t];
        }
}

bl_status blocks_parts_masks(const blocks_parts *p, const int *group, int n_groups, const float *harmonic, float *masks,
                             bl_error *err)
{
    int failed = 0;
    #pragma omp parallel
    {
        float *power = malloc(2 * ((size_t)n_groups + 1) * (size_t)p->n_frames * sizeof *power);
        if (!power) {
            #pragma omp atomic write
            failed = 1;
        }
        #pragma omp for schedule(static)
        for (int f = 0; f < p->n_bins; f++)
            if (power)
                mask_row(p, group, n_groups, harmonic, f, masks, power, power + 2 * (size_t)n_groups * (size_t)p->n_frames);
        free(power);
    }
    return failed ? bl_fail(err, BL_ENOMEM, "no memory for the masks") : BL_OK;
}

/* ---- description -------------------------------------------------------------------------------- */

static const char *const feature_names[] = {
    "mfcc_1", "mfcc_2", "mfcc_3", "mfcc_4", "mfcc_5", "mfcc_6", "mfcc_7", "mfcc_8", "mfcc_9", "mfcc_10", "mfcc_11", "mfcc_12",
    "centroid", "bandwidth", "rolloff", "flatness_db", "lowest", "harmonicity", "pitch", "pitch_strength",
    "activity", "attack", "decay_s", "onsets_per_s", "peakiness", "modulation", "percussive"
};
_Static_assert(sizeof feature_names / sizeof *feature_names == BLOCKS_PART_FEATURES, "names of the features");

const char *blocks_part_feature_name(int i)
{
    return i >= 0 && i < BLOCKS_PART_FEATURES ? feature_names[i] : "";
}

static double octaves(double hz)
{
    return log2((hz < 20 ? 20 : hz) / 440);
}

/* Share of a spectrum's energy near multiples of hz. */
static double comb(const float *w, int n_bins, double bin_hz, double hz)
{
    double inside = 0, total = 0;
    for (int f = 1; f < n_bins && f * bin_hz < 5000; f++) {
        const double e = (double)w[f] * (double)w[f], at = f * bin_hz, h = floor(at / hz + 0.5);
        total += e;
        if (h >= 1 && fabs(at - h * hz) < 1.6 * bin_hz)
            inside += e;
    }
    return total > 0 ? inside / total : 0;
}

/* The pitch whose comb explains most, weighed against how many bins the comb covers (a low pitch explains all). */
static double find_pitch(const float *w, int n_bins, double bin_hz, double *strength)
{
    double best = -1, pitch = 28;
    for (double m = 28; m <= 96; m += 0.5) {
        const double hz = audio_midi_to_hz(m), cover = 3.2 * bin_hz / hz, inside = comb(w, n_bins, bin_hz, hz);
        const double score = inside - (cover < 1 ? cover : 1);
        if (score > best) {
            best = score;
            pitch = m;
        }
    }
    *strength = best;
    return pitch;
}

static void describe_spectrum(const float *w, int n_bins, double bin_hz, const float *mel_filters, blocks_part_row *row)
{
    float power[BLOCKS_PART_MELS], mfcc[N_MFCC + 1], *out = row->features;
    double top = 0, strength;
    const int limit = (int)(top_hz / bin_hz) < n_bins ? (int)(top_hz / bin_hz) : n_bins;
    for (int m = 0; m < BLOCKS_PART_MELS; m++) {
        double sum = 0;
        for (int f = 0; f < n_bins; f++)
            sum += (double)mel_filters[m * n_bins + f] * (double)w[f] * (double)w[f];
        power[m] = (float)sum;
        top = sum > top ? sum : top;
    }
    audio_power_to_db(power, BLOCKS_PART_MELS, top > 0 ? top : 1, top > 0 ? top * 1e-8 : 1e-10, -1, row->log_mel);
    audio_dct2(row->log_mel, BLOCKS_PART_MELS, 1, N_MFCC + 1, mfcc);
    memcpy(out, mfcc + 1, N_MFCC * sizeof *out);
    const double centroid = audio_spectral_centroid(w, limit, bin_hz);
    out[12] = (float)octaves(centroid);
    out[13] = (float)octaves(audio_spectral_bandwidth(w, limit, bin_hz, centroid));
    out[14] = (float)octaves(audio_spectral_rolloff(w, limit, bin_hz, 0.85));
    out[15] = (float)(10 * log10(audio_spectral_flatness(w, limit) + 1e-9));
    float peak = 0;
    int lowest = 1;
    for (int f = 1; f < limit; f++)
        peak = w[f] > peak ? w[f] : peak;
    while (lowest < limit - 1 && w[lowest] < 0.2f * peak)
        lowest++;
    out[16] = (float)octaves(lowest * bin_hz);
    row->pitch = find_pitch(w, n_bins, bin_hz, &strength);
    out[17] = (float)comb(w, n_bins, bin_hz, audio_midi_to_hz(row->pitch));
    out[18] = (float)((row->pitch - 60) / 12);
    out[19] = (float)strength;
}

static void describe_strength(const real *h, int64_t n, double frame_s, blocks_part_row *row)
{
    double sum = 0, squares = 0, fourth = 0, peak = 0, rise = 0, attacks = 0, active = 0, decay = 0, n_decay = 0, slow = 0, mod = 0;
    float *out = row->features + 20;
    for (int64_t t = 0; t < n; t++) {
        const double v = (double)h[t];
        sum += v;
        squares += v * v;
        fourth += v * v * v * v;
        peak = v > peak ? v : peak;
    }
    for (int64_t t = 0; t < n; t++) {
        const double v = (double)h[t], before = t ? (double)h[t - 1] : 0, after = t + 1 < n ? (double)h[t + 1] : 0;
        active += v > 0.1 * peak;
        rise += v > before ? v - before : 0;
        slow = t ? 0.8 * slow + 0.2 * v : v;
        mod += fabs(v - slow);
        if (v > 0.3 * peak && v >= before && v > after) {
            int64_t k = t;
            attacks++;
            while (k < n && (double)h[k] > 0.3 * v)
                k++;
            decay += (double)(k - t) * frame_s;
            n_decay++;
        }
    }
    row->energy = squares;
    out[0] = (float)log10(active / (double)n + 1e-3);
    out[1] = (float)(sum > 0 ? rise / sum : 0);
    out[2] = (float)log10((n_decay > 0 ? decay / n_decay : 0) + frame_s);
    out[3] = (float)log10(attacks / ((double)n * frame_s) + 0.05);
    out[4] = (float)log10(squares > 0 ? fourth * (double)n / (squares * squares) : 1);
    out[5] = (float)(sum > 0 ? mod / sum : 0);
}

bl_status blocks_parts_describe(const blocks_parts *p, blocks_part_row *rows, bl_error *err)
{
    const double bin_hz = (double)p->sample_rate / p->n_fft, frame_s = p->n_fft / 4 / (double)p->sample_rate;
    const double fmax = top_hz < p->sample_rate / 2.0 ? top_hz : p->sample_rate / 2.0;
    float *filters = malloc((size_t)BLOCKS_PART_MELS * (size_t)p->n_bins * sizeof *filters);
    float *columns = malloc((size_t)p->n_parts * (size_t)p->n_bins * sizeof *columns);
    bl_status status = BL_OK;

    if (!filters || !columns)
        status = bl_fail(err, BL_ENOMEM, "no memory to describe %d parts", p->n_parts);
    if (status == BL_OK)
        status = audio_mel_filters(p->sample_rate, p->n_fft, BLOCKS_PART_MELS, 30, fmax, AUDIO_MEL_SLANEY, 1, filters, err);
    if (status == BL_OK) {
        #pragma omp parallel for schedule(dynamic)
        for (int r = 0; r < p->n_parts; r++) {
            float *w = columns + (int64_t)r * p->n_bins;
            double size = 0;
            memset(&rows[r], 0, sizeof rows[r]);
            for (int f = 0; f < p->n_bins; f++) {
                w[f] = (float)p->W[(int64_t)f * p->n_parts + r];
                size += (double)w[f] * (double)w[f];
            }
            describe_spectrum(w, p->n_bins, bin_hz, filters, &rows[r]);
            describe_strength(p->H + r * p->n_frames, p->n_frames, frame_s, &rows[r]);
            rows[r].features[26] = r >= p->n_harmonic;
            rows[r].energy *= size;
        }
    }
    free(filters);
    free(columns);
    return status;
}
