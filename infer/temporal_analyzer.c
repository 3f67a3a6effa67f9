#include "infer/temporal_analyzer.h"

#include "base/file.h"
#include "base/parallel.h"
#include "blocks/temporal.h"
#include "infer/audio_generator.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_MODELS = 16 };

struct infer_temporal_analyzer {
    blocks_temporal *model[MAX_MODELS]; /* one per thread */
    int       n;
    infer_key key;
};

/* Pieces of the chain, what they hear beyond either end, and half of the crossfade between neighbours. */
static const double PIECE_S = 4, BEYOND_S = 1, FADE_S = 0.25;

infer_temporal_analyzer *infer_temporal_analyzer_load(const char *path, bl_error *err)
{
    infer_temporal_analyzer *a = calloc(1, sizeof *a);
    int wanted = omp_get_max_threads();
    if (!a) {
        bl_fail(err, BL_ENOMEM, "no memory for the temporal model");
        return NULL;
    }
    wanted = wanted > MAX_MODELS ? MAX_MODELS : wanted;
    a->key = infer_key_of("repair");
    bl_status status = BL_OK;
    for (int i = 0; i < wanted && status == BL_OK; i++) {
        status = (a->model[i] = blocks_temporal_load(path, err)) ? BL_OK : err->code;
        a->n += status == BL_OK;
    }
    if (status == BL_OK)
        status = infer_key_file(&a->key, path, err);
    if (status == BL_OK)
        return a;
    infer_temporal_analyzer_free(a);
    return NULL;
}

void infer_temporal_analyzer_free(infer_temporal_analyzer *a)
{
    for (int i = 0; a && i < a->n; i++)
        blocks_temporal_free(a->model[i]);
    free(a);
}

infer_key infer_temporal_analyzer_key(const infer_temporal_analyzer *a)
{
    return a->key;
}

/* Window and hop for a signal of this rate. */
static void window_of(const infer_temporal_analyzer *a, int sample_rate, int *n_fft, int *hop_length)
{
    const blocks_temporal *t = a->model[0];
    const double ratio = (double)sample_rate / t->sample_rate;
    *hop_length = (int)lround(t->hop_length * ratio);
    *n_fft = 2 * (int)lround(t->n_fft * ratio / 2);
    *hop_length = *hop_length < 1 ? 1 : *hop_length;
    *n_fft = *n_fft < 4 * *hop_length ? 4 * *hop_length : *n_fft;
}

/* ---- pieces ---- */

/* A stem cut into pieces, in samples; all but n are whole numbers of hops, so pieces share the frames of the stem. */
typedef struct cut {
    const float *x;
    int64_t n, piece, beyond, fade;
    int     n_pieces, n_fft, hop, sample_rate;
} cut;

static cut cut_of(const infer_temporal_analyzer *a, const float *x, int64_t n, int sample_rate)
{
    cut c = { .x = x, .n = n, .sample_rate = sample_rate };
    window_of(a, sample_rate, &c.n_fft, &c.hop);
    c.piece = (int64_t)lround(PIECE_S * sample_rate / c.hop) * c.hop;
    c.beyond = (int64_t)lround(BEYOND_S * sample_rate / c.hop) * c.hop;
    c.fade = (int64_t)lround(FADE_S * sample_rate / c.hop) * c.hop;
    c.n_pieces = (int)((n + c.piece - 1) / c.piece);
    return c;
}

/* What piece i hears, and where it is heard. */
static void bounds(const cut *c, int i, int64_t *first, int64_t *last, int64_t *from, int64_t *to)
{
    const int64_t start = i * c->piece, end = start + c->piece;
    *first = start > c->beyond ? start - c->beyond : 0;
    *last = end + c->beyond < c->n ? end + c->beyond : c->n;
    *from = i ? start - c->fade : 0;
    *to = i + 1 < c->n_pieces ? end + c->fade : c->n;
    *to = *to < c->n ? *to : c->n;
}

static int is_silent(const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (x[i] != 0)
            return 0;
    return 1;
}

typedef struct job {
    infer_temporal_analyzer *a;
    const char  *instrument;
    cut          c;
    double       level;
    infer_cache *cache;
    float       *done;     /* [n] pieces added up, for the chain; NULL: bands are wanted */
    float      **out;      /* [n_pieces] what each piece became, from..to                */
    float       *bands;    /* [n_bands, n_frames] of the stem                            */
    int64_t      n_frames;
    infer_chain_seconds *seconds;
} job;

/* Bands of the frames that lie in piece i itself. */
static bl_status hear_piece(const job *j, blocks_temporal *t, int i, bl_error *err)
{
    int64_t first, last, from, to;
    infer_spectrogram s = { 0 };
    bounds(&j->c, i, &first, &last, &from, &to);
    if (is_silent(j->c.x + first, last - first)) /* frames of the floor are never sounding ones */
        return BL_OK;
    bl_status status = infer_spectrogram_new(&s, j->c.x + first, last - first, j->c.n_fft, j->c.hop, err);
    float *bands = status == BL_OK ? malloc((size_t)t->n_bands * (size_t)s.n_frames * sizeof *bands) : NULL;
    if (status == BL_OK && !bands)
        status = bl_fail(err, BL_ENOMEM, "no memory for a stem");
    if (status == BL_OK)
        status = blocks_temporal_bands(t, s.magnitude, s.n_bins, s.n_frames, j->c.sample_rate, bands, err);
    const int64_t at = (int64_t)i * j->c.piece / j->c.hop, skip = at - first / j->c.hop, n = j->c.piece / j->c.hop;
    for (int b = 0; b < t->n_bands && status == BL_OK; b++)
        for (int64_t k = 0; k < n && at + k < j->n_frames && skip + k < s.n_frames; k++)
            j->bands[b * j->n_frames + at + k] = bands[b * s.n_frames + skip + k];
    infer_spectrogram_free(&s);
    free(bands);
    return status;
}

static bl_status repair(const job *j, blocks_temporal *t, const float *x, int64_t n, float *out, infer_chain_seconds *seconds, bl_error *err)
{
    infer_spectrogram s = { 0 };
    double start = bl_seconds(), now;
    bl_status status = infer_spectrogram_new(&s, x, n, j->c.n_fft, j->c.hop, err);
    seconds->spectrogram += (now = bl_seconds()) - start;
    start = now;
    if (status == BL_OK)
        status = blocks_temporal_run_at(t, j->instrument, j->level, s.magnitude, s.n_bins, s.n_frames, j->c.sample_rate, err);
    seconds->temporal += (now = bl_seconds()) - start;
    start = now;
    if (status == BL_OK)
        status = infer_audio_generator_run(&s, out, err);
    infer_spectrogram_free(&s);
    seconds->audio += bl_seconds() - start;
    return status;
}

static bl_status repair_piece(const job *j, blocks_temporal *t, int i, infer_chain_seconds *seconds, bl_error *err)
{
    int64_t first, last, from, to, n = 0;
    bounds(&j->c, i, &first, &last, &from, &to);
    const float *x = j->c.x + first;
    const int64_t words[4] = { last - first, from - first, to - first, j->c.sample_rate };
    infer_key key = j->a->key;
    float *whole;
    if (is_silent(x, last - first))
        return BL_OK;
    infer_key_add(&key, words, sizeof words);
    infer_key_add(&key, &j->level, sizeof j->level);
    infer_key_text(&key, j->instrument);
    infer_key_add(&key, x, (size_t)(last - first) * sizeof *x);
    if (infer_cache_get(j->cache, key, &j->out[i], &n)) {
        if (n == to - from)
            return BL_OK;
        free(j->out[i]);
        j->out[i] = NULL;
    }
    if (!(whole = malloc((size_t)(last - first) * sizeof *whole)) || !(j->out[i] = malloc((size_t)(to - from) * sizeof **j->out))) {
        free(whole);
        return bl_fail(err, BL_ENOMEM, "no memory for a stem");
    }
    bl_status status = repair(j, t, x, last - first, whole, seconds, err);
    if (status == BL_OK) {
        memcpy(j->out[i], whole + (from - first), (size_t)(to - from) * sizeof *whole);
        infer_cache_put(j->cache, key, j->out[i], to - from);
    }
    free(whole);
    return status;
}

/* All pieces, whoever comes first; kernels inside run on one thread each, so a piece is the same whoever makes it. */
static bl_status each_piece(job *j, bl_error *err)
{
    int64_t next = 0;
    int failed = 0;
    const double start = bl_seconds();
    infer_chain_seconds sum = { 0, 0, 0 };
    #pragma omp parallel num_threads(j->a->n)
    {
        bl_error own = { 0 };
        infer_chain_seconds mine = { 0, 0, 0 };
        blocks_temporal *t = j->a->model[omp_get_thread_num()];
        for (int64_t i; (i = bl_take(&next)) < j->c.n_pieces;) {
            int skip;
            #pragma omp atomic read
            skip = failed;
            if (skip || (j->done ? repair_piece(j, t, (int)i, &mine, &own) : hear_piece(j, t, (int)i, &own)) == BL_OK)
                continue;
            #pragma omp atomic write
            failed = 1;
            #pragma omp critical(infer_piece_failed)
            bl_fail(err, own.code, "%s", own.msg);
        }
        #pragma omp critical(infer_piece_seconds)
        sum = (infer_chain_seconds){ sum.spectrogram + mine.spectrogram, sum.temporal + mine.temporal, sum.audio + mine.audio };
    }
    /* by the clock, parted as the threads parted their time */
    const double all = sum.spectrogram + sum.temporal + sum.audio, share = all > 0 ? (bl_seconds() - start) / all : 0;
    if (j->seconds) {
        j->seconds->spectrogram += share * sum.spectrogram;
        j->seconds->temporal += share * sum.temporal;
        j->seconds->audio += share * sum.audio;
    }
    return failed ? err->code : BL_OK;
}

bl_status infer_temporal_analyzer_level(infer_temporal_analyzer *a, const float *x, int64_t n_samples, int sample_rate, double *level,
                                        bl_error *err)
{
    const blocks_temporal *t = a->model[0];
    job j = { .a = a, .c = cut_of(a, x, n_samples, sample_rate) };
    bl_error own = { 0 };
    j.n_frames = n_samples / j.c.hop + 1;
    if (!(j.bands = malloc((size_t)t->n_bands * (size_t)j.n_frames * sizeof *j.bands)))
        return bl_fail(err, BL_ENOMEM, "no memory for a stem");
    for (int64_t i = 0; i < t->n_bands * j.n_frames; i++)
        j.bands[i] = (float)log(BLOCKS_TEMPORAL_FLOOR);
    const bl_status status = each_piece(&j, &own);
    *level = status == BL_OK ? blocks_temporal_level(t, j.bands, j.n_frames) : 0;
    free(j.bands);
    return status == BL_OK ? BL_OK : bl_fail(err, own.code, "%s", own.msg);
}

/* How much of piece i is heard at sample k: straight crossfades of neighbours add up to 1. */
static double weight(const cut *c, int i, int64_t k)
{
    const int64_t start = i * c->piece, end = start + c->piece;
    if (i && k < start + c->fade)
        return ((double)(k - (start - c->fade)) + 0.5) / (double)(2 * c->fade);
    if (i + 1 < c->n_pieces && k >= end - c->fade)
        return 1 - ((double)(k - (end - c->fade)) + 0.5) / (double)(2 * c->fade);
    return 1;
}

bl_status infer_temporal_analyzer_chain(infer_temporal_analyzer *a, const char *instrument, double level, float *x, int64_t n_samples,
                                        int sample_rate, infer_cache *cache, infer_chain_seconds *seconds, bl_error *err)
{
    job j = { .a = a, .instrument = instrument, .c = cut_of(a, x, n_samples, sample_rate), .level = level, .cache = cache,
              .seconds = seconds };
    bl_error own = { 0 };
    bl_status status = BL_OK;
    j.done = calloc((size_t)n_samples + 1, sizeof *j.done);
    j.out = calloc((size_t)j.c.n_pieces + 1, sizeof *j.out);
    if (!j.done || !j.out)
        status = bl_fail(&own, BL_ENOMEM, "no memory for a stem");
    if (status == BL_OK)
        status = each_piece(&j, &own);
    for (int i = 0; i < j.c.n_pieces && j.out; i++) {
        int64_t first, last, from, to;
        bounds(&j.c, i, &first, &last, &from, &to);
        for (int64_t k = from; k < to && j.out[i] && status == BL_OK; k++)
            j.done[k] += (float)(weight(&j.c, i, k) * (double)j.out[i][k - from]);
        free(j.out[i]);
    }
    if (status == BL_OK)
        memcpy(x, j.done, (size_t)n_samples * sizeof *x);
    free(j.done);
    free(j.out);
    return status == BL_OK ? BL_OK : bl_fail(err, own.code, "%s", own.msg);
}
