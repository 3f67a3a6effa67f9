#include "blocks/segmenter_figures.h"

#include "audio/separation.h"
#include "audio/stft.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STEMS_MAX = 12 };

/* ---- a song and its stems ----------------------------------------------------------------------- */

typedef struct material {
    int64_t n;             /* samples */
    float  *mix;           /* [n] */
    int     n_stems;
    float  *stem[STEMS_MAX]; /* [n] */
} material;

static void material_free(material *m)
{
    free(m->mix);
    for (int i = 0; i < m->n_stems; i++)
        free(m->stem[i]);
    memset(m, 0, sizeof *m);
}

/* Mixture and audible stems at BLOCKS_REGIONS_RATE. The mixture is their sum, so that what is compared belongs together. */
static bl_status load_song(material *m, data_dataset *d, const data_song *song, double seconds, bl_error *err)
{
    const int64_t most = (int64_t)(seconds * BLOCKS_REGIONS_RATE);
    memset(m, 0, sizeof *m);
    if (song->n_stems < 2)
        return BL_OK;
    m->mix = calloc((size_t)most, sizeof *m->mix);
    if (!m->mix)
        return bl_fail(err, BL_ENOMEM, "%s: no memory", song->name);
    for (int i = 0; i < song->n_stems && m->n_stems < STEMS_MAX; i++) {
        bl_error own = { 0 };
        double power = 0;
        const audio_clip *clip = data_dataset_audio(d, song->stems[i].path, BLOCKS_REGIONS_RATE, &own);
        if (!clip)
            continue; /* reported by the dataset */
        const int64_t n = clip->n_samples < most ? clip->n_samples : most;
        float *stem = calloc((size_t)most, sizeof *stem);
        if (!stem) {
            material_free(m);
            return bl_fail(err, BL_ENOMEM, "%s: no memory", song->name);
        }
        for (int64_t k = 0; k < n; k++) {
            stem[k] = clip->samples[k];
            m->mix[k] += stem[k];
            power += (double)stem[k] * (double)stem[k];
        }
        m->n = n > m->n ? n : m->n;
        if (power < 1e-6 * (double)n) {
            free(stem);
            continue;
        }
        m->stem[m->n_stems++] = stem;
    }
    return m->n > 0 ? BL_OK : bl_fail(err, BL_EFORMAT, "%s: no stem could be read", song->name);
}

static bl_status magnitudes(const float *x, int64_t n, int n_fft, float *out, int64_t FT, bl_error *err)
{
    audio_stft *stft = audio_stft_new(&(audio_stft_config){ .n_fft = n_fft, .pad = AUDIO_PAD_ZERO }, err);
    float *spectrum = malloc(2 * (size_t)FT * sizeof *spectrum);
    bl_status status = stft && spectrum ? BL_OK : bl_fail(err, BL_ENOMEM, "no memory for a spectrogram");
    if (status == BL_OK)
        status = audio_stft_run(stft, x, n, spectrum, err);
    for (int64_t i = 0; status == BL_OK && i < FT; i++)
        out[i] = sqrtf(spectrum[2 * i] * spectrum[2 * i] + spectrum[2 * i + 1] * spectrum[2 * i + 1]);
    free(spectrum);
    audio_stft_free(stft);
    return status;
}

/* Shares of the stems in the power of every bin: masks [n_stems, F, T]. */
static bl_status ideal_masks(const material *m, int n_fft, int64_t FT, float *masks, bl_error *err)
{
    bl_status status = BL_OK;
    for (int s = 0; s < m->n_stems && status == BL_OK; s++)
        status = magnitudes(m->stem[s], m->n, n_fft, masks + s * FT, FT, err);
    #pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < FT; i++) {
        float sum = 1e-12f;
        for (int s = 0; s < m->n_stems; s++) {
            masks[s * FT + i] *= masks[s * FT + i];
            sum += masks[s * FT + i];
        }
        for (int s = 0; s < m->n_stems; s++)
            masks[s * FT + i] /= sum;
    }
    return status;
}

/* ---- figures ------------------------------------------------------------------------------------ */

double blocks_si_sdr(const float *reference, const float *estimate, int64_t n)
{
    double rr = 0, re = 0, noise = 0;
    for (int64_t i = 0; i < n; i++) {
        rr += (double)reference[i] * (double)reference[i];
        re += (double)reference[i] * (double)estimate[i];
    }
    const double a = rr > 0 ? re / rr : 0;
    for (int64_t i = 0; i < n; i++) {
        const double d = (double)estimate[i] - a * (double)reference[i];
        noise += d * d;
    }
    const double signal = a * a * rr, db = 10 * log10((signal + 1e-30) / (noise + 1e-30));
    return db < -100 ? -100 : db > 100 ? 100 : db;
}

/* Greatest mean improvement of one-to-one assignments of tracks to stems, over subsets of tracks used. */
static double best_assignment(const double *gain, int n_stems, int n_tracks)
{
    const int n_sets = 1 << n_tracks;
    double *best = malloc((size_t)n_sets * sizeof *best), *next = malloc((size_t)n_sets * sizeof *next), top = 0;
    if (best && next) {
        for (int u = 0; u < n_sets; u++)
            best[u] = u ? -INFINITY : 0;
        for (int s = 0; s < n_stems; s++) {
            memcpy(next, best, (size_t)n_sets * sizeof *next);
            for (int u = 0; u < n_sets; u++)
                for (int t = 0; t < n_tracks; t++)
                    if (!(u & 1 << t) && best[u] + gain[s * n_tracks + t] > next[u | 1 << t])
                        next[u | 1 << t] = best[u] + gain[s * n_tracks + t];
            memcpy(best, next, (size_t)n_sets * sizeof *best);
        }
        for (int u = 0; u < n_sets; u++)
            top = best[u] > top ? best[u] : top;
    }
    free(best);
    free(next);
    return top / n_stems;
}

/* Mean improvement over the stems by tracks[n_tracks]. */
static double improvement(const material *m, const float *const *tracks, int n_tracks)
{
    double gain[STEMS_MAX * BLOCKS_SEGMENTER_MAX_TRACKS];
    #pragma omp parallel for schedule(dynamic)
    for (int s = 0; s < m->n_stems; s++) {
        const double before = blocks_si_sdr(m->stem[s], m->mix, m->n);
        for (int t = 0; t < n_tracks; t++)
            gain[s * n_tracks + t] = blocks_si_sdr(m->stem[s], tracks[t], m->n) - before;
    }
    return best_assignment(gain, m->n_stems, n_tracks);
}

/* Tracks by masks [n_masks, F, T] on the mixture; out [n_masks, n]. */
static bl_status apply_masks(const material *m, int n_fft, int64_t FT, const float *masks, int n_masks, float *out, bl_error *err)
{
    audio_stft *stft = audio_stft_new(&(audio_stft_config){ .n_fft = n_fft, .pad = AUDIO_PAD_ZERO }, err);
    float *spectrum = malloc(2 * (size_t)FT * sizeof *spectrum), *masked = malloc(2 * (size_t)FT * sizeof *masked);
    bl_status status = stft && spectrum && masked ? BL_OK : bl_fail(err, BL_ENOMEM, "no memory for the masks");
    if (status == BL_OK)
        status = audio_stft_run(stft, m->mix, m->n, spectrum, err);
    for (int g = 0; g < n_masks && status == BL_OK; g++) {
        for (int64_t i = 0; i < FT; i++) {
            masked[2 * i] = spectrum[2 * i] * masks[g * FT + i];
            masked[2 * i + 1] = spectrum[2 * i + 1] * masks[g * FT + i];
        }
        status = audio_stft_inverse(stft, masked, m->n, out + g * m->n, err);
    }
    audio_stft_free(stft);
    free(spectrum);
    free(masked);
    return status;
}

static bl_status find_ceiling(const material *m, blocks_segmenter_figures *f, bl_error *err)
{
    enum { N_FFT = 2048 };
    const int64_t FT = (N_FFT / 2 + 1) * (m->n / (N_FFT / 4) + 1);
    const float *tracks[STEMS_MAX];
    float *masks = malloc((size_t)m->n_stems * (size_t)FT * sizeof *masks);
    float *out = malloc((size_t)m->n_stems * (size_t)m->n * sizeof *out);
    bl_status status = masks && out ? BL_OK : bl_fail(err, BL_ENOMEM, "no memory for the masks");
    for (int i = 0; i < m->n_stems && out; i++)
        tracks[i] = out + i * m->n;
    if (status == BL_OK)
        status = ideal_masks(m, N_FFT, FT, masks, err);
    if (status == BL_OK)
        status = apply_masks(m, N_FFT, FT, masks, m->n_stems, out, err);
    if (status == BL_OK)
        f->ideal_masks_db = improvement(m, tracks, m->n_stems);
    free(masks);
    free(out);
    return status;
}

bl_status blocks_segmenter_evaluate(blocks_segmenter *s, data_dataset *dataset, int song, double seconds,
                                    blocks_segmenter_figures *f, bl_error *err)
{
    const float *tracks[BLOCKS_SEGMENTER_MAX_TRACKS];
    blocks_segments segments = { 0 };
    audio_clip harmonic = { 0 }, percussive = { 0 };
    material m = { 0 };
    bl_status status = load_song(&m, dataset, &dataset->songs[song], seconds, err);

    memset(f, 0, sizeof *f);
    if (status != BL_OK || m.n_stems < 2)
        goto done;
    const audio_clip mix = { .samples = m.mix, .n_samples = m.n, .n_channels = 1, .sample_rate = BLOCKS_REGIONS_RATE };
    if ((status = blocks_segmenter_run(s, &mix, NULL, &segments, err)) != BL_OK)
        goto done;
    for (int i = 0; i < segments.n; i++)
        tracks[i] = segments.tracks[i].audio.samples;
    f->tracks_db = improvement(&m, tracks, segments.n);
    if ((status = audio_hpss(&mix, &harmonic, &percussive, err)) != BL_OK)
        goto done;
    tracks[0] = harmonic.samples;
    tracks[1] = percussive.samples;
    f->hpss_db = improvement(&m, tracks, 2);
    status = find_ceiling(&m, f, err);
    f->n_stems = m.n_stems;
    f->n_tracks = segments.n;
done:
    material_free(&m);
    blocks_segments_free(&segments);
    audio_clip_free(&harmonic);
    audio_clip_free(&percussive);
    return status;
}
