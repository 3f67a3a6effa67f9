#include "audio/separation.h"

#include "audio/separation_parts.h"
#include "audio/stft.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LANES = 16 }; /* frames that are masked together: a spectrogram's rows are far apart */

static const double PIECE_S = 45, OVERLAP_S = 3; /* bounded memory; masks of neighbours are cross-faded */
static const double STEADY_S = 0.4;
/* The comb's highest harmonic; above, nothing of a melody is looked for. At 5.5 kHz it would take a third less time, but one note
 * in ten of an instrumental would be heard otherwise. */
static const double MELODY_HIGHEST_HZ = 11025, ALL_HZ = HUGE_VAL;

/* How an output is made: make fills mask [F, T] with its share, of the bins up to highest_hz; nothing of those above. */
typedef struct mask_maker {
    bl_status (*make)(audio_parts *p, float *mask, bl_error *err);
    double highest_hz;
} mask_maker;

/* The grid on which voice and accompaniment are rounded, so that their float sum is the input again:
 * 24 bits below the clip's peak. Input of 24 bits or fewer lies on it itself. */
static float rounding_grid(const audio_clip *clip)
{
    float peak = 1e-9f;
    for (int64_t i = 0; i < clip->n_samples * clip->n_channels; i++)
        peak = fabsf(clip->samples[i]) > peak ? fabsf(clip->samples[i]) : peak;
    int exponent;
    frexpf(peak, &exponent);
    return ldexpf(1.0f, (exponent > 0 ? exponent : 0) - 23);
}

void audio_take_away(const audio_clip *mix, audio_clip *wanted, audio_clip *rest)
{
    const float grid = rounding_grid(mix);
    for (int64_t i = 0; i < mix->n_samples * mix->n_channels; i++) {
        const float m = mix->samples[i], w = rintf(wanted->samples[i] / grid) * grid;
        rest->samples[i] = m - w;
        /* Input finer than the grid: one more try, exact where the rest is not much larger than m. */
        wanted->samples[i] = w + rest->samples[i] == m ? w : m - rest->samples[i];
    }
}

static bl_status separate_piece(const audio_clip *mix, int64_t first, int64_t n, mask_maker maker, float *out, bl_error *err)
{
    audio_parts p;
    float     **spectra = NULL, *mask = NULL;
    audio_stft *stft = NULL;
    const int   n_fft = audio_parts_n_fft(mix->sample_rate), hop = n_fft / 4, all_bins = n_fft / 2 + 1;
    const int   bins = (int)fmin(all_bins, ceil(maker.highest_hz * n_fft / mix->sample_rate) + 1);
    bl_status   status = audio_parts_new_as(&p, mix->sample_rate, n_fft, hop, bins, n / hop + 1, err);

    if (status != BL_OK)
        return status;
    const size_t            cells = (size_t)p.bins * (size_t)p.frames, all_cells = (size_t)all_bins * (size_t)p.frames;
    const audio_stft_config config = { .n_fft = p.n_fft, .hop_length = p.hop, .pad = AUDIO_PAD_ZERO };
    spectra = calloc((size_t)mix->n_channels, sizeof *spectra);
    mask = malloc(sizeof(float) * cells);
    stft = audio_stft_new(&config, err);
    int ready = spectra && mask && stft;
    for (int c = 0; ready && c < mix->n_channels; c++)
        ready = (spectra[c] = malloc(sizeof(float) * 2 * all_cells)) != NULL;
    if (!ready) {
        status = bl_fail(err, BL_ENOMEM, "separation: no memory for a piece of %lld samples", (long long)n);
        goto done;
    }
    if ((status = audio_parts_transform(&p, mix, first, n, spectra, err)) != BL_OK ||
        (status = maker.make(&p, mask, err)) != BL_OK)
        goto done;
    for (int c = 0; c < mix->n_channels && status == BL_OK; c++) {
        for (size_t i = 0; i < cells; i++) {
            spectra[c][2 * i] *= mask[i];
            spectra[c][2 * i + 1] *= mask[i];
        }
        memset(spectra[c] + 2 * cells, 0, sizeof(float) * 2 * (all_cells - cells));
        status = audio_stft_inverse(stft, spectra[c], n, out + c * n, err);
    }
done:
    for (int c = 0; spectra && c < mix->n_channels; c++)
        free(spectra[c]);
    free(spectra), free(mask);
    audio_stft_free(stft);
    audio_parts_free(&p);
    return status;
}

static bl_status split(const audio_clip *mix, mask_maker maker, audio_clip *wanted, audio_clip *rest, bl_error *err)
{
    memset(wanted, 0, sizeof *wanted);
    memset(rest, 0, sizeof *rest);
    if (mix->n_samples < 1 || mix->n_channels < 1 || mix->sample_rate < 4000)
        return bl_fail(err, BL_EARG, "separation: expected a signal at 4000 Hz or more, got %lld samples at %d Hz",
                       (long long)mix->n_samples, mix->sample_rate);
    const int64_t overlap = (int64_t)(OVERLAP_S * mix->sample_rate), step = (int64_t)(PIECE_S * mix->sample_rate) - overlap;
    const int     C = mix->n_channels;
    float        *piece = NULL;
    bl_status     status;
    if ((status = audio_clip_new(wanted, C, mix->n_samples, mix->sample_rate, err)) != BL_OK ||
        (status = audio_clip_new(rest, C, mix->n_samples, mix->sample_rate, err)) != BL_OK)
        goto done;
    const int64_t longest = mix->n_samples < step + 2 * overlap ? mix->n_samples : step + 2 * overlap;
    if (!(piece = malloc(sizeof(float) * (size_t)(longest * C)))) {
        status = bl_fail(err, BL_ENOMEM, "separation: no memory");
        goto done;
    }
    for (int64_t first = 0; first < mix->n_samples; first += step) {
        int64_t n = step + overlap;
        if (first + n + overlap >= mix->n_samples)
            n = mix->n_samples - first; /* no short piece at the end */
        if ((status = separate_piece(mix, first, n, maker, piece, err)) != BL_OK)
            goto done;
        for (int c = 0; c < C; c++)
            for (int64_t i = 0; i < n; i++) {
                float *to = wanted->samples + c * mix->n_samples + first + i;
                const float u = first && i < overlap ? (float)i / (float)overlap : 1.0f;
                *to = u * piece[c * n + i] + (1 - u) * *to;
            }
        if (first + n >= mix->n_samples)
            break;
    }
    audio_take_away(mix, wanted, rest);
done:
    free(piece);
    if (status != BL_OK) {
        audio_clip_free(wanted);
        audio_clip_free(rest);
    }
    return status;
}

static bl_status harmonic_mask(audio_parts *p, float *mask, bl_error *err)
{
    bl_status status = audio_parts_steady(p, STEADY_S, err);
    if (status == BL_OK)
        status = audio_parts_percussive(p, err);
    if (status != BL_OK)
        return status;
    for (int64_t i = 0; i < p->frames * p->bins; i++) {
        const float h = p->steady[i] * p->steady[i], q = p->percussive[i] * p->percussive[i];
        mask[i] = h + q > 0 ? h / (h + q) : 0.5f;
    }
    return BL_OK;
}

/* Chosen on three songs with known stems; the figures move by less than 0.3 dB around these. */
static const double COMB_FLOOR = 0.02;                       /* of the foreground, between harmonics  */
static const double SALIENCE_LOW = 0.02, SALIENCE_HIGH = 0.06; /* from not sung to surely sung        */
static const double CONSONANT = 0.3, CONSONANT_HZ = 4000;

/* How much of bin f lies on harmonics of hz: 1 on one, COMB_FLOOR between. */
static double on_harmonics(double hz, double f_hz, double bin_hz)
{
    const double h = floor(f_hz / hz + 0.5), away = fabs(f_hz - fmax(1, h) * hz);
    const double width = 1.3 * bin_hz + 0.012 * f_hz; /* the window's lobe and vibrato */
    return COMB_FLOOR + (1 - COMB_FLOOR) * exp(-away * away / (2 * width * width));
}

static inline double lower(double a, double b)
{
    return a < b ? a : b;
}

static inline double higher(double a, double b)
{
    return a > b ? a : b;
}

/* Voiced degree, smoothed over neighbours so that a mask does not flutter. */
static double voiced_degree(const audio_parts *p, int64_t t)
{
    double around = 0;
    for (int64_t i = t - 2; i <= t + 2; i++)
        around += i >= 0 && i < p->frames ? (double)p->salience[i] / 5 : 0;
    return fmin(1, fmax(0, (around - SALIENCE_LOW) / (SALIENCE_HIGH - SALIENCE_LOW)));
}

/* The voice's share of bin f in frame t. */
static inline float voice_share(const audio_parts *p, int f, int64_t t, double voiced)
{
    const int64_t i = (int64_t)f * p->frames + t;
    const double  bin_hz = (double)p->sample_rate / p->n_fft, hz = (double)p->f0_hz[t];
    const double  all = (double)p->magnitude[i], f_hz = f * bin_hz, back = (double)p->repeating[i];
    const double  percussion = lower(all, (double)p->percussive[i]), centre = (double)p->centre[i];
    const double  front = centre * higher(0, all - higher(back, percussion));
    /* Consonants: noise of the foreground beside sung frames. */
    const double  noise = f_hz > CONSONANT_HZ ? CONSONANT * voiced * centre * higher(0, all - back) : 0;
    const double  comb = voiced > 0 && f_hz > 0.7 * hz && f_hz < MELODY_HIGHEST_HZ ? voiced * on_harmonics(hz, f_hz, bin_hz) : 0;
    const double  sung = front * front * comb + noise * noise, behind = higher(back, all - front);
    const double  rest = behind * behind + front * front * (1 - comb);
    return sung + rest > 0 ? (float)(sung / (sung + rest)) : 0.0f;
}

static bl_status voice_mask(audio_parts *p, float *mask, bl_error *err)
{
    const int64_t T = p->frames;
    bl_status     status = audio_parts_percussive(p, err);
    if (status == BL_OK)
        status = audio_parts_repeating(p, err);
    if (status == BL_OK)
        status = audio_parts_melody(p, err);
    if (status != BL_OK)
        return status;
    #pragma omp parallel for schedule(static)
    for (int64_t first = 0; first < T; first += LANES) {
        const int n = T - first < LANES ? (int)(T - first) : LANES;
        double    voiced[LANES];
        for (int l = 0; l < n; l++)
            voiced[l] = voiced_degree(p, first + l);
        for (int f = 0; f < p->bins; f++)
            for (int l = 0; l < n; l++)
                mask[(int64_t)f * T + first + l] = voice_share(p, f, first + l, voiced[l]);
    }
    return BL_OK;
}

bl_status audio_separate_melody(const audio_clip *mix, audio_clip *voice, audio_clip *accompaniment, bl_error *err)
{
    return split(mix, (mask_maker){ voice_mask, MELODY_HIGHEST_HZ }, voice, accompaniment, err);
}

bl_status audio_hpss(const audio_clip *mix, audio_clip *harmonic, audio_clip *percussive, bl_error *err)
{
    return split(mix, (mask_maker){ harmonic_mask, ALL_HZ }, harmonic, percussive, err);
}

bl_status audio_melody_mask(const float *magnitude, int n_bins, int64_t n_frames, int sample_rate, int n_fft, int hop_length,
                            float *mask, bl_error *err)
{
    audio_parts p;
    bl_status status = audio_parts_new_as(&p, sample_rate, n_fft, hop_length, n_bins, n_frames, err);
    if (status != BL_OK)
        return status;
    memcpy(p.magnitude, magnitude, (size_t)n_bins * (size_t)n_frames * sizeof *magnitude);
    status = voice_mask(&p, mask, err);
    audio_parts_free(&p);
    return status;
}
