#include "audio/feature_block_private.h"

#include "base/fft.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    NEEDS_MEL = AUDIO_FEATURE_MEL | AUDIO_FEATURE_MEL_DB | AUDIO_FEATURE_MFCC | AUDIO_FEATURE_ONSET,
    NEEDS_MEL_DB = AUDIO_FEATURE_MEL_DB | AUDIO_FEATURE_MFCC | AUDIO_FEATURE_ONSET,
    NEEDS_MOMENTS = AUDIO_FEATURE_CENTROID | AUDIO_FEATURE_BANDWIDTH | AUDIO_FEATURE_ROLLOFF,
    NEEDS_SPECTRUM = NEEDS_MEL | NEEDS_MOMENTS | AUDIO_FEATURE_CHROMA | AUDIO_FEATURE_FLATNESS | AUDIO_FEATURE_CONTRAST |
                     AUDIO_FEATURE_MAGNITUDE,
    NEEDS_LOUDEST = NEEDS_MEL_DB | AUDIO_FEATURE_CONTRAST
};

/* A signal of which samples at .. at + n - 1 are here. Before sample 0, and after the last one if that is here, are zeros. */
typedef struct samples {
    const float *x;
    int64_t      at, n;
} samples;

struct audio_feature_plan {
    audio_feature_config config;
    int                  n_bins, stride;    /* stride: n_bins rounded up, for rows [LANES, stride] */
    double               bin_hz;
    bl_fft_double       *fft;
    double              *window, *frame;    /* [n_fft]                             */
    double              *column;            /* [F] pairs                           */
    float               *rows;              /* [LANES, stride] powers              */
    float               *power, *magnitude; /* [F, LANES]                          */
    float               *mel;               /* [n_mels, F]                         */
    float               *chroma;            /* [n_chroma, F]                       */
    int                 *first, *end;       /* [n_mels] bins of each triangle      */
    int                 *zeros, *bins;      /* [n_chroma] 0 and F: chroma uses all */
    audio_contrast_band  bands[AUDIO_CONTRAST_BANDS];
    float               *kept;              /* scratch of the contrast             */
    float               *values;            /* [max(n_mels, n_chroma), LANES]      */
    /* the stream */
    float               *held;              /* [room] samples that frames to come still need */
    int64_t              room, held_at, n_held, next;
    int                  ended;
    float               *before, *late;     /* [n_mels] last column of mel_db, [shift] rises that are not due yet */
};

static int set_defaults(audio_feature_config *c, bl_error *err)
{
    c->n_fft = c->n_fft ? c->n_fft : 2048;
    c->hop_length = c->hop_length ? c->hop_length : c->n_fft / 4;
    c->n_mels = c->n_mels ? c->n_mels : 128;
    c->n_mfcc = c->n_mfcc ? c->n_mfcc : c->n_mels < 20 ? c->n_mels : 20;
    c->n_chroma = c->n_chroma ? c->n_chroma : 12;
    c->roll_percent = c->roll_percent > 0 ? c->roll_percent : 0.85;
    c->top_db = c->top_db == 0 ? 80 : c->top_db;
    c->which = c->which ? c->which : (unsigned)AUDIO_FEATURE_ALL;
    if (c->sample_rate < 1)
        bl_fail(err, BL_EARG, "features: sample_rate must be at least 1, got %d", c->sample_rate);
    else if (c->n_fft < 2 || c->n_fft % 2)
        bl_fail(err, BL_EARG, "features: n_fft must be even and at least 2, got %d", c->n_fft);
    else if (c->hop_length < 1)
        bl_fail(err, BL_EARG, "features: hop_length must be at least 1, got %d", c->hop_length);
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

static int onset_shift(const audio_feature_plan *p)
{
    return p->config.n_fft / (2 * p->config.hop_length);
}

/* n zeros on a 64-byte boundary. */
static void *aligned(size_t size)
{
    const size_t bytes = (size + 63) / 64 * 64;
    void        *memory = aligned_alloc(64, bytes);
    return memory ? memset(memory, 0, bytes) : NULL;
}

static int allocate(audio_feature_plan *p)
{
    const size_t n = (size_t)p->config.n_fft, F = (size_t)p->n_bins, M = (size_t)p->config.n_mels, C = (size_t)p->config.n_chroma;
    int few = 0;
    for (int k = 0; k < AUDIO_CONTRAST_BANDS; k++)
        few = p->bands[k].few > few ? p->bands[k].few : few;
    p->window = aligned(n * sizeof(double)), p->frame = aligned(n * sizeof(double));
    p->column = aligned((n + 2) * sizeof(double));
    p->rows = aligned(LANES * (size_t)p->stride * sizeof(float));
    p->power = aligned(F * LANES * sizeof(float)), p->magnitude = aligned(F * LANES * sizeof(float));
    p->mel = aligned(M * F * sizeof(float)), p->chroma = aligned(C * F * sizeof(float));
    p->first = aligned(M * sizeof(int)), p->end = aligned(M * sizeof(int));
    p->zeros = aligned(C * sizeof(int)), p->bins = aligned(C * sizeof(int));
    p->kept = aligned((size_t)(2 * few + 1) * LANES * sizeof(float));
    p->values = aligned((M > C ? M : C) * LANES * sizeof(float));
    p->before = aligned(M * sizeof(float)), p->late = aligned((size_t)(onset_shift(p) + 1) * sizeof(float));
    return p->window && p->frame && p->column && p->rows && p->power && p->magnitude && p->mel && p->chroma && p->first &&
           p->end && p->zeros && p->bins && p->kept && p->values && p->before && p->late;
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
        p->first[m] = first;
        p->end[m] = end;
    }
    for (int k = 0; k < p->config.n_chroma; k++)
        p->bins[k] = p->n_bins;
}

audio_feature_plan *audio_feature_plan_new(const audio_feature_config *config, bl_error *err)
{
    audio_feature_config c = *config;
    bl_error own = { 0 };
    audio_feature_plan *p = NULL;

    if (!set_defaults(&c, &own))
        goto done;
    if (!(p = calloc(1, sizeof *p))) {
        bl_fail(&own, BL_ENOMEM, "features: no memory");
        goto done;
    }
    p->config = c;
    if (!(p->fft = bl_fft_double_new(c.n_fft, &own)))
        goto done;
    p->n_bins = c.n_fft / 2 + 1;
    p->stride = (p->n_bins + LANES - 1) / LANES * LANES;
    p->bin_hz = (double)c.sample_rate / c.n_fft;
    audio_contrast_bands(p->n_bins, p->bin_hz, p->bands);
    if (!allocate(p))
        bl_fail(&own, BL_ENOMEM, "features: no memory for n_fft = %d", c.n_fft);
    else if (audio_mel_filters(c.sample_rate, c.n_fft, c.n_mels, c.fmin_hz, c.fmax_hz, c.mel_scale, 1, p->mel, &own) == BL_OK &&
             audio_chroma_filters(c.sample_rate, c.n_fft, c.n_chroma, c.tuning, p->chroma, &own) == BL_OK) {
        find_supports(p);
        for (int i = 0; i < c.n_fft; i++)
            p->window[i] = 0.5 - 0.5 * cos(2 * 3.14159265358979323846 * i / c.n_fft);
    }
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
    bl_fft_double_free(p->fft);
    free(p->window), free(p->frame), free(p->column);
    free(p->rows), free(p->power), free(p->magnitude);
    free(p->mel), free(p->chroma), free(p->first), free(p->end), free(p->zeros), free(p->bins);
    free(p->kept), free(p->values), free(p->held), free(p->before), free(p->late);
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
    const struct { float **to; int64_t rows; } parts[] = {
        { &out->mel, c->which & AUDIO_FEATURE_MEL ? c->n_mels : 0 },
        { &out->mel_db, c->which & NEEDS_MEL_DB ? c->n_mels : 0 },
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

/* The powers of frame t into one of the rows. */
static void transform_frame(audio_feature_plan *p, samples s, int64_t t, float *row)
{
    const int     n = p->config.n_fft;
    const int64_t start = t * p->config.hop_length - n / 2 - s.at;
    const int     from = start < 0 ? (int)(-start < n ? -start : n) : 0;
    const int     to = start + n > s.n ? (int)(s.n - start > from ? s.n - start : from) : n;
    const float  *x = s.x + (to > from ? start : 0);

    memset(p->frame, 0, sizeof(double) * (size_t)from);
    for (int i = from; i < to; i++)
        p->frame[i] = p->window[i] * (double)x[i];
    memset(p->frame + to, 0, sizeof(double) * (size_t)(n - to));
    bl_fft_double_forward_on(p->fft, p->frame, p->column);
    for (int f = 0; f < p->n_bins; f++)
        row[f] = (float)(p->column[2 * f] * p->column[2 * f] + p->column[2 * f + 1] * p->column[2 * f + 1]);
}

static int is_negative(float v)
{
    return v < -1e-10f;   /* what is smaller counts as zero, and zero as positive */
}

/* Root mean square and zero crossing rate of frame t. Repeated end samples never cross, so only pairs inside the clip count. */
static void measure_samples(const audio_feature_plan *p, samples s, int64_t t, float *rms, float *zcr)
{
    enum { SIDE = 8 }; /* sums side by side */
    const int     n = p->config.n_fft;
    const int64_t start = t * p->config.hop_length - n / 2 - s.at;
    const int64_t from = start < 0 ? 0 : start, to = start + n < s.n ? start + n : s.n;
    double        sum[SIDE] = { 0 };
    int           crossings = 0;
    int64_t       i = from;
    if (rms) {
        for (; i + SIDE <= to; i += SIDE)
            for (int l = 0; l < SIDE; l++)
                sum[l] += (double)s.x[i + l] * (double)s.x[i + l];
        for (; i < to; i++)
            sum[0] += (double)s.x[i] * (double)s.x[i];
        for (int l = 1; l < SIDE; l++)
            sum[0] += sum[l];
        *rms = (float)sqrt(sum[0] / n);
    }
    if (zcr) {
        for (i = from + 1; i < to; i++)
            crossings += is_negative(s.x[i]) != is_negative(s.x[i - 1]);
        *zcr = (float)((double)crossings / n);
    }
}

/* values [n_rows, LANES], their first n lanes, into columns at, at + 1, ... of out [n_rows, T]. */
static void store(const float *values, int n_rows, int n, float *out, int64_t T, int64_t at)
{
    for (int r = 0; r < n_rows; r++)
        memcpy(out + r * T + at, values + r * LANES, sizeof(float) * (size_t)n);
}

/* Each frame's largest value becomes 1, unless it is as good as 0 (librosa.util.tiny). */
static void normalise_chroma(float *chroma, int n_chroma)
{
    float largest[LANES] = { 0 };
    for (int k = 0; k < n_chroma; k++)
        for (int l = 0; l < LANES; l++)
            largest[l] = chroma[k * LANES + l] > largest[l] ? chroma[k * LANES + l] : largest[l];
    for (int l = 0; l < LANES; l++)
        largest[l] = largest[l] > 1.1754943508222875e-38f ? largest[l] : 1;
    for (int k = 0; k < n_chroma; k++)
        for (int l = 0; l < LANES; l++)
            chroma[k * LANES + l] /= largest[l];
}

/* Everything that is a function of single frames, for frames t .. t + n - 1, into columns at, at + 1, ... */
static void measure_block(audio_feature_plan *p, samples s, int64_t t, int n, int64_t at, audio_features *out, float *valley)
{
    const audio_feature_config *c = &p->config;
    const int     F = p->n_bins;
    const int64_t T = out->n_frames;
    float         moment[3][LANES];

    for (int l = 0; (out->rms || out->zcr) && l < n; l++)
        measure_samples(p, s, t + l, out->rms ? out->rms + at + l : NULL, out->zcr ? out->zcr + at + l : NULL);
    if (!(c->which & NEEDS_SPECTRUM))
        return;
    for (int l = 0; l < n; l++)
        transform_frame(p, s, t + l, p->rows + l * p->stride);
    for (int l = n; l < LANES; l++)
        memset(p->rows + l * p->stride, 0, sizeof(float) * (size_t)F);
    audio_block_turn(p->rows, p->stride, F, p->power, p->magnitude);
    if (c->which & NEEDS_MEL) {
        audio_block_filter(p->power, F, p->mel, p->first, p->end, c->n_mels, p->values);
        if (out->mel)
            store(p->values, c->n_mels, n, out->mel, T, at);
        if (out->mel_db) {
            audio_power_to_db(p->values, (int64_t)c->n_mels * LANES, 1.0, 1e-10, -1, p->values);
            store(p->values, c->n_mels, n, out->mel_db, T, at);
        }
    }
    if (out->chroma) {
        audio_block_filter(p->power, F, p->chroma, p->zeros, p->bins, c->n_chroma, p->values);
        normalise_chroma(p->values, c->n_chroma);
        store(p->values, c->n_chroma, n, out->chroma, T, at);
    }
    if (out->contrast) {
        float peaks[AUDIO_CONTRAST_BANDS * LANES], valleys[AUDIO_CONTRAST_BANDS * LANES];
        audio_block_contrast(p->magnitude, p->bands, p->kept, peaks, valleys);
        store(peaks, AUDIO_CONTRAST_BANDS, n, out->contrast, T, at);
        store(valleys, AUDIO_CONTRAST_BANDS, n, valley, T, at);
    }
    if (out->magnitude)
        store(p->magnitude, F, n, out->magnitude, T, at);
    if (c->which & NEEDS_MOMENTS)
        audio_block_moments(p->magnitude, F, p->bin_hz, c->roll_percent, moment[0], moment[1], moment[2]);
    if (out->centroid)
        store(moment[0], 1, n, out->centroid, T, at);
    if (out->bandwidth)
        store(moment[1], 1, n, out->bandwidth, T, at);
    if (out->rolloff)
        store(moment[2], 1, n, out->rolloff, T, at);
    if (out->flatness) {
        audio_block_flatness(p->power, F, moment[0]);
        store(moment[0], 1, n, out->flatness, T, at);
    }
}

/* Nothing more than top_db below the loudest of v [n]. */
static void cut_below(float *v, int64_t n, double top_db)
{
    float largest = -INFINITY;
    for (int64_t i = 0; i < n; i++)
        largest = v[i] > largest ? v[i] : largest;
    const float floor_db = (float)((double)largest - top_db);
    for (int64_t i = 0; i < n; i++)
        v[i] = v[i] > floor_db ? v[i] : floor_db;
}

/* What follows from the decibels, when those of all frames of out are there; frame number `first` of the signal is its first. */
static void finish(audio_feature_plan *p, int64_t first, audio_features *out, float *valley)
{
    const audio_feature_config *c = &p->config;
    const int64_t T = out->n_frames, shift = onset_shift(p);

    if (out->mel_db && c->top_db >= 0)
        cut_below(out->mel_db, c->n_mels * T, c->top_db);
    if (out->mfcc)
        audio_dct2(out->mel_db, c->n_mels, T, c->n_mfcc, out->mfcc);
    if (out->onset) {
        audio_mel_rises(out->mel_db, first ? p->before : NULL, c->n_mels, T, out->onset);
        for (int m = 0; m < c->n_mels; m++)
            p->before[m] = out->mel_db[m * T + T - 1];
        for (int64_t t = 0; t < T && shift > 0; t++) { /* each rise waits for shift frames */
            float *due = &p->late[(first + t) % shift];
            const float rise = out->onset[t];
            out->onset[t] = first + t >= shift ? *due : 0;
            *due = rise;
        }
    }
    if (out->contrast) {
        const int64_t n = AUDIO_CONTRAST_BANDS * T;
        audio_power_to_db(out->contrast, n, 1.0, 1e-10, c->top_db, out->contrast);
        audio_power_to_db(valley, n, 1.0, 1e-10, c->top_db, valley);
        for (int64_t i = 0; i < n; i++)
            out->contrast[i] = p->bands[i / T].n ? out->contrast[i] - valley[i] : 0.0f;
    }
    out->mel_db = c->which & AUDIO_FEATURE_MEL_DB ? out->mel_db : NULL;
}

/* Frames first .. first + T - 1 of the signal. */
static bl_status measure(audio_feature_plan *p, samples s, int64_t first, int64_t T, audio_features *out, bl_error *err)
{
    float *valley = NULL;
    *out = (audio_features){ 0 };
    const int64_t n = lay_out(p, T, out, &valley);
    out->memory = malloc(sizeof(float) * (size_t)(n + 1));
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
    for (int64_t t = 0; t < T; t += LANES)
        measure_block(p, s, first + t, (int)(T - t < LANES ? T - t : LANES), t, out, valley);
    if (T > 0)
        finish(p, first, out, valley);
    return BL_OK;
}

bl_status audio_feature_plan_run(audio_feature_plan *p, const float *x, int64_t n_samples, audio_features *out, bl_error *err)
{
    audio_feature_plan_reset(p);
    if (n_samples < 1) {
        *out = (audio_features){ 0 };
        return bl_fail(err, BL_EARG, "features: no samples");
    }
    return measure(p, (samples){ x, 0, n_samples }, 0, n_samples / p->config.hop_length + 1, out, err);
}

void audio_feature_plan_reset(audio_feature_plan *p)
{
    p->held_at = p->n_held = p->next = 0;
    p->ended = 0;
}

bl_status audio_feature_plan_push(audio_feature_plan *p, const float *x, int64_t n_samples, int is_last, bl_error *err)
{
    if (p->config.top_db >= 0 && (p->config.which & NEEDS_LOUDEST))
        return bl_fail(err, BL_EARG, "features: mel_db, mfcc, onset and contrast of a stream need top_db < 0 (no cut), got %g",
                       p->config.top_db);
    if (p->ended || n_samples < 0)
        return bl_fail(err, BL_EARG, "features: %s", p->ended ? "the stream has ended" : "the number of samples is negative");
    const int64_t need = p->n_held + n_samples;
    if (need > p->room) {
        const int64_t room = need + p->room / 2;
        float *larger = realloc(p->held, sizeof *larger * (size_t)room);
        if (!larger)
            return bl_fail(err, BL_ENOMEM, "features: no memory for %lld samples", (long long)room);
        p->held = larger;
        p->room = room;
    }
    if (n_samples > 0)
        memcpy(p->held + p->n_held, x, sizeof *x * (size_t)n_samples);
    p->n_held = need;
    p->ended = is_last;
    return BL_OK;
}

bl_status audio_feature_plan_pull(audio_feature_plan *p, audio_features *out, bl_error *err)
{
    const int64_t hop = p->config.hop_length, half = p->config.n_fft / 2, n = p->held_at + p->n_held;
    const int64_t end = p->ended ? n > 0 ? n / hop + 1 : 0 : n >= half ? (n - half) / hop + 1 : 0; /* frames that are complete */
    const int64_t T = end > p->next ? end - p->next : 0;
    const bl_status status = measure(p, (samples){ p->held, p->held_at, p->n_held }, p->next, T, out, err);
    if (status != BL_OK)
        return status;
    p->next += T;
    const int64_t used = p->next * hop - half - p->held_at, drop = used < 0 ? 0 : used < p->n_held ? used : p->n_held;
    if (drop > 0)
        memmove(p->held, p->held + drop, sizeof *p->held * (size_t)(p->n_held - drop));
    p->held_at += drop;
    p->n_held -= drop;
    return BL_OK;
}
