#include "blocks/separator.h"

#include "audio/separation.h"
#include "base/fft.h"
#include "blocks/config_defaults.h"
#include "nn/trainer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char shipped_config[] = "configs/separator.ini";
static const char *const settings[] = { "separation", NULL }, *const networks[] = { "separator", NULL };
static const double PI = 3.14159265358979323846;

static const double MELODY_HIGH_HZ = 5500, MELODY_FADE_HZ = 4500; /* above, the network alone; between, less and less */
static const float LEAST_MASK = 0.02f; /* of the melody's mask: it may be wrong */

enum { PIECE_S = 20, CONTEXT_S = 2, FADE_S = 1, MOST_BANDS = 4096 };

/* ---- building ---- */

/* Band centres: a bin apart up to linear_hz, then `share` of their frequency apart. */
static bl_status make_bands(blocks_separator *s, bl_error *err)
{
    const bl_config *c = s->config;
    s->sample_rate = (int)bl_config_int(c, "separation", "sample_rate", 44100, 4000, 192000, err);
    s->n_fft = (int)bl_config_int(c, "separation", "n_fft", 4096, 64, 32768, err);
    s->hop_length = (int)bl_config_int(c, "separation", "hop_length", 1024, 16, 32768, err);
    const double linear_hz = bl_config_real(c, "separation", "linear_hz", 1500, 0, 1e5, err);
    const double share = bl_config_real(c, "separation", "band_share", 0.03, 0, 1, err);
    s->melody_share = bl_config_real(c, "separation", "melody_share", 0.1, 0, 1, err);
    const double highest_hz = bl_config_real(c, "separation", "highest_hz", 16000, 100, 1e5, err);
    if (err->code)
        return err->code;
    if (s->n_fft % 4 || s->n_fft % s->hop_length || s->hop_length > s->n_fft / 4)
        return bl_fail(err, BL_EARG, "%s: separation.hop_length must be a whole fraction of separation.n_fft, a quarter or less, "
                       "and n_fft a multiple of 4; got %d and %d", bl_config_name(c), s->hop_length, s->n_fft);
    const double bin_hz = (double)s->sample_rate / s->n_fft, most_hz = fmin(highest_hz, s->sample_rate / 2.0);
    if (!(s->centre_hz = malloc(MOST_BANDS * sizeof *s->centre_hz)))
        return bl_fail(err, BL_ENOMEM, "no memory for the separator");
    for (double hz = 0; hz <= most_hz; hz += hz < linear_hz ? bin_hz : fmax(bin_hz, share * hz)) {
        if (s->n_bands == MOST_BANDS)
            return bl_fail(err, BL_EARG, "%s: [separation] asks for more than %d bands", bl_config_name(c), MOST_BANDS);
        s->centre_hz[s->n_bands++] = hz;
    }
    return s->n_bands >= 8 ? BL_OK : bl_fail(err, BL_EARG, "%s: [separation] makes only %d bands", bl_config_name(c), s->n_bands);
}

static bl_status build(blocks_separator *s, bl_error *err)
{
    if (make_bands(s, err) != BL_OK || blocks_config_set_int(s->config, "separator", "bands", "%d", s->n_bands, err) != BL_OK ||
        !(s->params = nn_params_new(err)) || !(s->net = nn_network_build(s->config, "separator", s->params, err)))
        return err->code;
    const nn_shape in = nn_network_input_shape(s->net, 0), out = nn_network_output_shape(s->net, 0);
    if (nn_network_n_inputs(s->net) != 1 || in.rank != 2 || in.dim[0] != s->n_bands || in.dim[1] >= 0)
        return bl_fail(err, BL_ESHAPE, "%s: [separator] must have one input of %d bands over time", bl_config_name(s->config),
                       s->n_bands);
    if (nn_network_n_outputs(s->net) != 1 || out.rank != 2 || out.dim[0] != s->n_bands || out.dim[1] >= 0)
        return bl_fail(err, BL_ESHAPE, "%s: [separator] must give a mask of %d bands over time, gives %lld",
                       bl_config_name(s->config), s->n_bands, (long long)out.dim[0]);
    if (nn_params_finish(s->params, err) != BL_OK)
        return err->code;
    s->mean = calloc((size_t)s->n_bands, sizeof *s->mean);
    s->scale = malloc((size_t)s->n_bands * sizeof *s->scale);
    if (!s->mean || !s->scale)
        return bl_fail(err, BL_ENOMEM, "no memory for the separator");
    for (int b = 0; b < s->n_bands; b++)
        s->scale[b] = 1;
    if (!(s->tape = nn_tape_new(err)))
        return err->code;
    nn_tape_record(s->tape, 0);
    return BL_OK;
}

/* Takes config. */
static blocks_separator *make(bl_config *config, uint64_t seed, bl_error *err)
{
    blocks_separator *s = config ? calloc(1, sizeof *s) : NULL;
    if (!s) {
        bl_fail(err, BL_ENOMEM, "no memory for the separator");
        bl_config_free(config);
        return NULL;
    }
    s->config = config;
    if (build(s, err) != BL_OK) {
        blocks_separator_free(s);
        return NULL;
    }
    nn_params_init(s->params, seed);
    return s;
}

blocks_separator *blocks_separator_new(const bl_config *config, uint64_t seed, bl_error *err)
{
    bl_error local = { 0 };
    bl_error *e = err ? err : &local;
    bl_config *filled = blocks_config_filled(config, shipped_config, settings, networks, e);
    return filled ? make(filled, seed, e) : NULL;
}

void blocks_separator_free(blocks_separator *s)
{
    if (!s)
        return;
    nn_network_free(s->net);
    nn_params_free(s->params);
    nn_tape_free(s->tape);
    bl_config_free(s->config);
    free(s->centre_hz);
    free(s->mean);
    free(s->scale);
    free(s);
}

/* ---- checkpoints ---- */

bl_status blocks_separator_put(const blocks_separator *s, nn_checkpoint *c, bl_error *err)
{
    char *text = bl_config_text(s->config);
    const int64_t n = s->n_bands;
    if (!text)
        return bl_fail(err, BL_ENOMEM, "no memory for the checkpoint");
    nn_checkpoint_put_text(c, "config", text, err);
    free(text);
    nn_checkpoint_put(c, "bands/mean", NN_F32, 1, &n, s->mean, err);
    nn_checkpoint_put(c, "bands/scale", NN_F32, 1, &n, s->scale, err);
    return nn_params_save(s->params, c, "", err);
}

static bl_status get_row(const nn_checkpoint *c, const char *name, float *out, int64_t n, bl_error *err)
{
    float *read = nn_checkpoint_get(c, name, NN_F32, 1, &n, NULL, err);
    if (!read)
        return err->code;
    memcpy(out, read, (size_t)n * sizeof *out);
    free(read);
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(out[i]))
            return bl_fail(err, BL_EFORMAT, "%s: %s holds a number that is not finite", nn_checkpoint_path(c), name);
    return BL_OK;
}

blocks_separator *blocks_separator_get(const nn_checkpoint *c, bl_error *err)
{
    bl_error local = { 0 };
    bl_error *e = err ? err : &local;
    char *text = nn_checkpoint_get_text(c, "config", e);
    bl_config *config = text ? bl_config_parse(text, nn_checkpoint_path(c), e) : NULL;
    blocks_separator *s = config ? make(config, 0, e) : NULL;
    if (s && (get_row(c, "bands/mean", s->mean, s->n_bands, e) != BL_OK ||
              get_row(c, "bands/scale", s->scale, s->n_bands, e) != BL_OK ||
              nn_params_load(s->params, c, nn_trainer_prefix(c), e) != BL_OK)) {
        blocks_separator_free(s);
        s = NULL;
    }
    if (s)
        s->step = nn_checkpoint_get_int(c, "step", 0, e);
    free(text);
    return s;
}

blocks_separator *blocks_separator_load(const char *path, bl_error *err)
{
    nn_checkpoint *c = nn_checkpoint_open(path, "separator", err);
    blocks_separator *s = c ? blocks_separator_get(c, err) : NULL;
    nn_checkpoint_free(c);
    return s;
}

/* ---- bands ---- */

static int is_smooth(int n)
{
    for (int p = 2; p <= 7; p += p == 2 ? 1 : 2)
        while (n % p == 0)
            n /= p;
    return n == 1;
}

/* Frames of nearly the same duration at any rate, in lengths that transform fast. */
static int frame_length(const blocks_separator *s, int sample_rate, int fraction)
{
    const int wanted = (int)lround((double)s->n_fft * sample_rate / s->sample_rate / fraction);
    for (int away = 0; away < wanted; away++)
        for (int n = wanted - away; n <= wanted + away; n += away ? 2 * away : 1)
            if (is_smooth(n) && n * fraction % 4 == 0)
                return n * fraction;
    return 4 * fraction;
}

bl_status blocks_separator_map_new(const blocks_separator *s, int sample_rate, blocks_separator_map *map, bl_error *err)
{
    const int fraction = s->n_fft / s->hop_length;
    map->n_fft = frame_length(s, sample_rate, fraction);
    map->hop_length = map->n_fft / fraction;
    map->n_bins = map->n_fft / 2 + 1;
    map->band = malloc((size_t)map->n_bins * sizeof *map->band);
    map->share = malloc((size_t)map->n_bins * sizeof *map->share);
    if (!map->band || !map->share) {
        blocks_separator_map_free(map);
        return bl_fail(err, BL_ENOMEM, "no memory for the separator's bands");
    }
    for (int f = 0, b = 0; f < map->n_bins; f++) {
        const double hz = (double)f * sample_rate / map->n_fft;
        while (b + 2 < s->n_bands && s->centre_hz[b + 1] <= hz)
            b++;
        const double at = (hz - s->centre_hz[b]) / (s->centre_hz[b + 1] - s->centre_hz[b]);
        map->band[f] = b;
        map->share[f] = (float)fmin(1, fmax(0, at));
    }
    return BL_OK;
}

void blocks_separator_map_free(blocks_separator_map *map)
{
    free(map->band);
    free(map->share);
    map->band = NULL;
    map->share = NULL;
}

double blocks_separator_unit(int n_fft)
{
    /* Parseval: the bins of 0..N/2 hold half of N sum(w^2 x^2), and sum(w^2) = 3/8 N for Hann. */
    return 2 / (0.375 * (double)n_fft * (double)n_fft);
}

void blocks_separator_window(int n_fft, float *out)
{
    for (int i = 0; i < n_fft; i++)
        out[i] = (float)(0.5 - 0.5 * cos(2 * PI * i / n_fft));
}

float blocks_separator_relative(float power, float level)
{
    static const float SILENCE = 1e-8f;
    return 0.5f * logf(power / fmaxf(1e-20f, level * level) + SILENCE);
}

double blocks_separator_level(const float *const *channels, int n_channels, int64_t n_samples, int sample_rate)
{
    enum { EVERY = 3 }; /* a third of the samples tells the power as well */
    const int64_t frame = sample_rate / 20 > 0 ? sample_rate / 20 : 1;
    double loudest = 0, sum = 0;
    int64_t n = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int64_t t = 0; t < n_samples; t += frame) {
            double power = 0;
            const int64_t end = t + frame < n_samples ? t + frame : n_samples;
            for (int64_t i = t; i < end; i += EVERY) {
                float x = 0;
                for (int c = 0; c < n_channels; c++)
                    x += channels[c][i];
                power += (double)x * (double)x;
            }
            power /= (double)((end - t + EVERY - 1) / EVERY) * n_channels * n_channels;
            if (pass == 0) {
                loudest = fmax(loudest, power);
            } else if (power > 1e-3 * loudest) {
                sum += power;
                n++;
            }
        }
    return n ? sqrt(sum / (double)n) : 0;
}

/* ---- a song ---- */

enum { ROWS = 16 }; /* frames that are transformed at once */

typedef struct work {
    blocks_separator_map map;
    const audio_clip *mix;
    const float **channels;  /* [n_channels] */
    double       level;
    int64_t      most_frames, stride;
    float       *window, *bands, *out; /* [n_fft], [n_bands, T], samples of a piece */
    float       *mask;                 /* [T, n_bands] */
    int          n_melody;             /* bins in which the melody's mask counts */
    float       *melody_share;         /* [n_melody] the power that it has there   */
    float       *magnitude, *melody;   /* [n_melody, T] and the mask of it         */
    float       *whole;                /* [n_melody, T] of both masks              */
    bl_fft_real *fft;
    real        *waves, *spectra;      /* [ROWS, stride], each row 64-byte aligned */
} work;

static void work_free(work *w)
{
    blocks_separator_map_free(&w->map);
    bl_fft_real_free(w->fft);
    free(w->channels);
    free(w->window);
    free(w->bands);
    free(w->out);
    free(w->mask);
    free(w->melody_share);
    free(w->magnitude);
    free(w->melody);
    free(w->whole);
    free(w->waves);
    free(w->spectra);
}

static bl_status work_new(work *w, const blocks_separator *s, const audio_clip *mix, bl_error *err)
{
    const bl_status status = blocks_separator_map_new(s, mix->sample_rate, &w->map, err);
    if (status != BL_OK)
        return status;
    const int64_t longest = (int64_t)(PIECE_S + 2 * CONTEXT_S + FADE_S) * mix->sample_rate;
    const int64_t n = mix->n_samples < longest ? mix->n_samples : longest;
    const size_t rows = ROWS * sizeof(real);
    w->mix = mix;
    w->most_frames = n / w->map.hop_length + 2 + s->n_fft / s->hop_length; /* frames reach beyond both ends */
    w->stride = (w->map.n_fft + 2 + 15) / 16 * 16;
    w->window = malloc((size_t)w->map.n_fft * sizeof *w->window);
    w->bands = malloc((size_t)s->n_bands * (size_t)w->most_frames * sizeof *w->bands);
    w->mask = malloc((size_t)s->n_bands * (size_t)w->most_frames * sizeof *w->mask);
    w->out = malloc((size_t)(n + w->map.n_fft) * sizeof *w->out);
    if (s->melody_share > 0 && mix->sample_rate >= 2.1 * MELODY_HIGH_HZ)
        w->n_melody = (int)(MELODY_HIGH_HZ * w->map.n_fft / mix->sample_rate) + 3;
    w->melody_share = malloc((size_t)(w->n_melody + 1) * sizeof *w->melody_share);
    w->magnitude = malloc((size_t)(w->n_melody + 1) * (size_t)w->most_frames * sizeof *w->magnitude);
    w->melody = malloc((size_t)(w->n_melody + 1) * (size_t)w->most_frames * sizeof *w->melody);
    w->whole = malloc((size_t)(w->n_melody + 1) * (size_t)w->most_frames * sizeof *w->whole);
    w->waves = aligned_alloc(64, (size_t)w->stride * rows);
    w->spectra = aligned_alloc(64, (size_t)w->stride * rows);
    w->channels = malloc((size_t)mix->n_channels * sizeof *w->channels);
    if (!w->window || !w->bands || !w->mask || !w->out || !w->waves || !w->spectra || !w->channels ||
        !w->melody_share || !w->magnitude || !w->melody || !w->whole)
        return bl_fail(err, BL_ENOMEM, "no memory to separate %lld samples", (long long)mix->n_samples);
    if (!(w->fft = bl_fft_real_new(w->map.n_fft, err)))
        return BL_ENOMEM;
    blocks_separator_window(w->map.n_fft, w->window);
    for (int f = 0; f < w->n_melody; f++) {
        const double hz = (double)f * mix->sample_rate / w->map.n_fft;
        const double share = s->melody_share * fmin(1, fmax(0, (MELODY_HIGH_HZ - hz) / (MELODY_HIGH_HZ - MELODY_FADE_HZ)));
        w->melody_share[f] = (float)share;
    }
    for (int c = 0; c < mix->n_channels; c++)
        w->channels[c] = mix->samples + c * mix->n_samples;
    w->level = blocks_separator_level(w->channels, mix->n_channels, mix->n_samples, mix->sample_rate);
    return BL_OK;
}

/* Row k: the windowed frame around sample `centre` of the channels' mean, and its transform. */
static void transform(const work *w, const float *const *channels, int n_channels, int64_t centre, int k)
{
    const int N = w->map.n_fft;
    const int64_t first = centre - N / 2, n_samples = w->mix->n_samples;
    real *x = w->waves + k * w->stride;
    const int from = first < 0 ? (int)(-first < N ? -first : N) : 0;
    const int to = first + N <= n_samples ? N : first < n_samples ? (int)(n_samples - first) : from;
    memset(x, 0, (size_t)N * sizeof *x);
    for (int c = 0; c < n_channels; c++)
        for (int i = from; i < to; i++)
            x[i] += channels[c][first + i];
    for (int i = 0; i < N; i++)
        x[i] = (float)x[i] / (float)n_channels * w->window[i];
    bl_fft_real_forward_on(w->fft, x, w->spectra + k * w->stride);
}

/* What the network hears of frame t, whose transform is in row k. */
static void hear(const blocks_separator *s, const work *w, int64_t t, int64_t T, int k)
{
    const real *z = w->spectra + k * w->stride;
    const float unit = (float)blocks_separator_unit(w->map.n_fft);
    float power[MOST_BANDS];
    memset(power, 0, (size_t)s->n_bands * sizeof *power);
    for (int f = 0; f < w->map.n_bins; f++) {
        const float p = (float)(z[2 * f] * z[2 * f] + z[2 * f + 1] * z[2 * f + 1]) * unit;
        power[w->map.band[f]] += (1 - w->map.share[f]) * p;
        power[w->map.band[f] + 1] += w->map.share[f] * p;
    }
    for (int f = 0; f < w->n_melody; f++)
        w->magnitude[f * T + t] = sqrtf((float)(z[2 * f] * z[2 * f] + z[2 * f + 1] * z[2 * f + 1]));
    for (int b = 0; b < s->n_bands; b++)
        w->bands[b * T + t] = (blocks_separator_relative(power[b], (float)w->level) - s->mean[b]) * s->scale[b];
}

/* What the network answered for bin f in frame t. */
static inline float learned_of(const blocks_separator *s, const work *w, int64_t t, int f)
{
    const float *mask = w->mask + t * s->n_bands + w->map.band[f];
    return (1 - w->map.share[f]) * mask[0] + w->map.share[f] * mask[1];
}

/* Below n_melody: the geometric mean of both masks for the voice; their product, what both take for the singer, for the lead. */
static void join_masks(const blocks_separator *s, const work *w, int64_t T)
{
    #pragma omp parallel for schedule(static)
    for (int f = 0; f < w->n_melody; f++) {
        const float share = w->melody_share[f];
        float *melody = w->melody + f * T, *whole = w->whole + f * T;
        for (int64_t t = 0; t < T; t++) {
            const float learned = learned_of(s, w, t, f);
            whole[t] = share > 0 ? powf(learned, 1 - share) * powf(fmaxf(LEAST_MASK, melody[t]), share) : learned;
            melody[t] *= learned;
        }
    }
}

/* The mask of frame t, below n_melody that of `low`, above `high` times the network's, onto the transform in row k, and back to a
 * windowed frame in time. */
static void answer(const blocks_separator *s, const work *w, const float *low, float high, int64_t t, int64_t T, int k)
{
    const int N = w->map.n_fft;
    /* Window on the way in and out: sum over frames of w^2 is 3/8 N/hop. */
    const float unit = 1 / ((float)N * 0.375f * (float)(N / w->map.hop_length));
    real *z = w->spectra + k * w->stride, *x = w->waves + k * w->stride;
    for (int f = 0; f < w->map.n_bins; f++) {
        const float g = f < w->n_melody ? low[f * T + t] : high * learned_of(s, w, t, f);
        z[2 * f] *= g;
        z[2 * f + 1] *= g;
    }
    bl_fft_real_inverse_on(w->fft, z, x);
    for (int i = 0; i < N; i++)
        x[i] *= w->window[i] * unit;
}

/* The mask of frames that lie around samples first, first + hop ... */
static bl_status draw_mask(blocks_separator *s, work *w, int64_t first, int64_t T, bl_error *err)
{
    BL_ASSERT(T <= w->most_frames);
    for (int64_t t = 0; t < T; t += ROWS) {
        const int rows = T - t < ROWS ? (int)(T - t) : ROWS;
        #pragma omp parallel for schedule(static)
        for (int k = 0; k < rows; k++) {
            transform(w, w->channels, w->mix->n_channels, first + (t + k) * w->map.hop_length, k);
            hear(s, w, t + k, T, k);
        }
    }
    nn_tape_reset(s->tape);
    nn_node *x = nn_input(s->tape, nn_shape_of(3, (int64_t)1, (int64_t)s->n_bands, T), w->bands);
    nn_node *y = nn_expect(s->tape, nn_network_run(s->net, s->tape, &x, NULL), nn_shape_of(3, (int64_t)1, (int64_t)s->n_bands, T), "mask");
    if (s->tape->err.code)
        return bl_fail(err, s->tape->err.code, "separator: %s", s->tape->err.msg);
    for (int64_t t = 0; t < T; t++)
        for (int b = 0; b < s->n_bands; b++)
            w->mask[t * s->n_bands + b] = (float)fmax(0, (double)y->x[b * T + t]); /* of less than nothing there is no power */
    if (w->n_melody && audio_melody_mask(w->magnitude, w->n_melody, T, w->mix->sample_rate, w->map.n_fft, w->map.hop_length, w->melody,
                                         err) != BL_OK)
        return err->code;
    join_masks(s, w, T);
    return BL_OK;
}

/* Samples from .. from + n - 1 of the channels' mean, masked, to w->out; frames lie as draw_mask(first, T) drew them. */
static void apply_mask(const blocks_separator *s, const work *w, const float *const *channels, int n_channels, const float *low,
                       float high, int64_t first, int64_t T, int64_t from, int64_t n)
{
    const int N = w->map.n_fft, hop = w->map.hop_length;
    memset(w->out, 0, (size_t)n * sizeof *w->out);
    for (int64_t t = 0; t < T; t += ROWS) {
        const int rows = T - t < ROWS ? (int)(T - t) : ROWS;
        if (first + (t + rows - 1) * hop + N / 2 <= from || first + t * hop - N / 2 >= from + n)
            continue;
        #pragma omp parallel for schedule(static)
        for (int k = 0; k < rows; k++) {
            transform(w, channels, n_channels, first + (t + k) * hop, k);
            answer(s, w, low, high, t + k, T, k);
        }
        for (int k = 0; k < rows; k++) { /* one after the other: sums in one order */
            const int64_t start = first + (t + k) * hop - N / 2 - from;
            const real *y = w->waves + k * w->stride;
            for (int64_t i = start < 0 ? -start : 0; i < N && start + i < n; i++)
                w->out[start + i] += (float)y[i];
        }
    }
}

static bl_status check(const audio_clip *mix, bl_error *err)
{
    if (mix->n_samples < 1 || mix->n_channels < 1 || mix->sample_rate < 4000)
        return bl_fail(err, BL_EARG, "separator: expected a signal at 4000 Hz or more, got %lld samples at %d Hz",
                       (long long)mix->n_samples, mix->sample_rate);
    for (int64_t i = 0; i < mix->n_samples * mix->n_channels; i++)
        if (!isfinite(mix->samples[i]))
            return bl_fail(err, BL_ENAN, "separator: sample %lld is not a finite number", (long long)(i % mix->n_samples));
    return BL_OK;
}

/* Pieces of PIECE_S. Each is masked with what the network made of it and CONTEXT_S around it, and FADE_S longer than it is:
 * there it fades into the next one. */
static bl_status run_pieces(blocks_separator *s, work *w, audio_clip *voice, audio_clip *lead, bl_error *err)
{
    const int C = w->mix->n_channels;
    const int64_t N = w->mix->n_samples, hop = w->map.hop_length, rate = w->mix->sample_rate;
    const int64_t piece = PIECE_S * rate / hop * hop, context = CONTEXT_S * rate / hop * hop, fade = FADE_S * rate / hop * hop;
    for (int64_t from = 0; from < N; from += piece) {
        const int64_t n = from + piece + fade < N ? piece + fade : N - from;
        const int64_t reach = w->map.n_fft / 2 / hop * hop, first = from > context ? from - context : -reach;
        const int64_t end = from + piece + fade + context < N ? from + piece + fade + context : N;
        const int64_t T = (end + reach - first) / hop + 1;
        const bl_status status = draw_mask(s, w, first, T, err);
        if (status != BL_OK)
            return status;
        for (int c = 0; c < C + (lead != NULL); c++) {
            float *to = (c < C ? voice->samples + c * N : lead->samples) + from;
            if (c < C)
                apply_mask(s, w, w->channels + c, 1, w->whole, 1, first, T, from, n);
            else /* hissing is no note */
                apply_mask(s, w, w->channels, C, w->melody, w->n_melody ? 0 : 1, first, T, from, n);
            const int64_t faded = !from ? 0 : n < fade ? n : fade;
            for (int64_t i = 0; i < faded; i++) {
                const float u = (float)i / (float)fade;
                to[i] = u * w->out[i] + (1 - u) * to[i];
            }
            memcpy(to + faded, w->out + faded, (size_t)(n - faded) * sizeof *to);
        }
        if (from + n >= N)
            break;
    }
    return BL_OK;
}

bl_status blocks_separator_hear(blocks_separator *s, const audio_clip *mix, audio_clip *voice, audio_clip *rest, audio_clip *lead,
                                bl_error *err)
{
    bl_error local = { 0 };
    bl_error *e = err ? err : &local;
    work w = { 0 };
    memset(voice, 0, sizeof *voice);
    memset(rest, 0, sizeof *rest);
    if (lead)
        memset(lead, 0, sizeof *lead);
    bl_status status = check(mix, e);
    if (status != BL_OK)
        return status;
    if ((status = work_new(&w, s, mix, e)) == BL_OK &&
        (status = audio_clip_new(voice, mix->n_channels, mix->n_samples, mix->sample_rate, e)) == BL_OK &&
        (status = audio_clip_new(rest, mix->n_channels, mix->n_samples, mix->sample_rate, e)) == BL_OK &&
        (!lead || (status = audio_clip_new(lead, 1, mix->n_samples, mix->sample_rate, e)) == BL_OK) &&
        (status = run_pieces(s, &w, voice, lead, e)) == BL_OK)
        audio_take_away(mix, voice, rest);
    work_free(&w);
    if (status != BL_OK) {
        audio_clip_free(voice);
        audio_clip_free(rest);
        if (lead)
            audio_clip_free(lead);
    }
    return status;
}

bl_status blocks_separator_run(blocks_separator *s, const audio_clip *mix, audio_clip *voice, audio_clip *rest, bl_error *err)
{
    return blocks_separator_hear(s, mix, voice, rest, NULL, err);
}
