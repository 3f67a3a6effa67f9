#include "blocks/temporal.h"

#include "audio/features.h"
#include "blocks/config_defaults.h"
#include "data/instruments.h"
#include "nn/trainer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char shipped_config[] = "configs/bilstm.ini";
static const char *const settings[] = { "temporal", NULL }, *const networks[] = { "bilstm", NULL };

/* ---- building ---- */

/* The last layer that has an output size of its own makes the bands; its size follows from [temporal] bands. */
static bl_status set_last_channels(bl_config *c, int n_bands, bl_error *err)
{
    char text[400];
    const bl_config_entry *last = NULL;
    for (int i = 0; i < bl_config_count(c); i++) {
        const bl_config_entry *e = bl_config_at(c, i);
        if (!strcmp(e->section, "bilstm") && strstr(e->value, "out_channels="))
            last = e;
    }
    if (!last)
        return bl_fail(err, BL_EARG, "%s: [bilstm] needs a conv1d with out_channels=... that makes the bands", bl_config_name(c));
    const char *number = strstr(last->value, "out_channels=") + strlen("out_channels=");
    const char *rest = number + strspn(number, "0123456789");
    snprintf(text, sizeof text, "bilstm.%.60s=%.*s%d%.150s", last->key, (int)(number - last->value), last->value, n_bands, rest);
    return bl_config_set(c, text, err);
}

static bl_status read_settings(blocks_temporal *t, bl_error *err)
{
    const bl_config *c = t->config;
    t->sample_rate = (int)bl_config_int(c, "temporal", "sample_rate", 44100, 4000, 192000, err);
    t->n_fft = (int)bl_config_int(c, "temporal", "n_fft", 2048, 64, 32768, err);
    t->hop_length = (int)bl_config_int(c, "temporal", "hop_length", 512, 16, 32768, err);
    t->n_bands = (int)bl_config_int(c, "temporal", "bands", 96, 4, 1024, err);
    if (t->n_fft % 2)
        bl_fail(err, BL_EARG, "%s: temporal.n_fft must be even, got %d", bl_config_name(c), t->n_fft);
    if (t->hop_length > t->n_fft / 2)
        bl_fail(err, BL_EARG, "%s: temporal.hop_length (%d) must not exceed half of temporal.n_fft (%d)", bl_config_name(c),
                t->hop_length, t->n_fft);
    return err->code;
}

/* Gains start near one: the parameters of the last layer are made small. */
static void quieten_last_layer(blocks_temporal *t)
{
    static const double NEAR_ZERO = 0.02;
    const char *prefix = NULL;
    for (int i = 0; i < t->params->n; i++)
        if (!t->params->param[i].is_buffer && (!prefix || strncmp(t->params->param[i].name, prefix, strlen(prefix))))
            prefix = t->params->param[i].name;
    const char *slash = prefix ? strrchr(prefix, '/') : NULL; /* "bilstm/fc3_n/weight": everything below "bilstm/fc3_n/" */
    for (int i = 0; slash && i < t->params->n; i++) {
        const nn_param *p = &t->params->param[i];
        if (p->is_buffer || strncmp(p->name, prefix, (size_t)(slash - prefix) + 1))
            continue;
        for (int64_t k = 0; k < nn_count(&p->shape); k++)
            t->params->value[p->offset + k] *= (real)NEAR_ZERO;
    }
}

static bl_status build(blocks_temporal *t, bl_error *err)
{
    bl_config *c = t->config;
    if (read_settings(t, err) != BL_OK ||
        blocks_config_set_int(c, "bilstm", "input.bands", "%d, T", t->n_bands, err) != BL_OK ||
        blocks_config_set_int(c, "bilstm", "input.condition", "%d", t->n_instruments, err) != BL_OK ||
        set_last_channels(c, t->n_bands, err) != BL_OK || !(t->params = nn_params_new(err)) ||
        !(t->net = nn_network_build(c, "bilstm", t->params, err)))
        return err->code;
    if (nn_network_n_inputs(t->net) != 2 || strcmp(nn_network_input_name(t->net, 0), "bands") ||
        strcmp(nn_network_input_name(t->net, 1), "condition"))
        return bl_fail(err, BL_EARG, "%s: [bilstm] must have two inputs, input.bands and input.condition", bl_config_name(c));
    const nn_shape s = nn_network_output_shape(t->net, 0);
    if (nn_network_n_outputs(t->net) != 1 || s.rank != 2 || s.dim[0] != t->n_bands || s.dim[1] >= 0)
        return bl_fail(err, BL_ESHAPE, "%s: [bilstm] must give %d bands over time, gives %lld", bl_config_name(c), t->n_bands,
                       (long long)s.dim[0]);
    if (nn_params_finish(t->params, err) != BL_OK)
        return err->code;
    t->mean = calloc((size_t)t->n_bands, sizeof *t->mean);
    t->scale = malloc((size_t)t->n_bands * sizeof *t->scale);
    if (!t->mean || !t->scale)
        return bl_fail(err, BL_ENOMEM, "no memory for the temporal model");
    for (int b = 0; b < t->n_bands; b++)
        t->scale[b] = 1;
    if (!(t->tape = nn_tape_new(err)))
        return err->code;
    nn_tape_record(t->tape, 0);
    return BL_OK;
}

/* Takes config. */
static blocks_temporal *make(bl_config *config, const char *const *instruments, int n_instruments, uint64_t seed, bl_error *err)
{
    bl_error local = { 0 };
    bl_error *e = err ? err : &local;
    blocks_temporal *t = config ? calloc(1, sizeof *t) : NULL;
    if (!t) {
        bl_fail(e, BL_ENOMEM, "no memory for the temporal model");
        bl_config_free(config);
        return NULL;
    }
    t->config = config;
    if (n_instruments < 1) {
        bl_fail(e, BL_EFORMAT, "the temporal model needs at least one instrument");
        goto fail;
    }
    if (!(t->instruments = calloc((size_t)n_instruments, sizeof *t->instruments))) {
        bl_fail(e, BL_ENOMEM, "no memory for the temporal model");
        goto fail;
    }
    for (int i = 0; i < n_instruments; i++, t->n_instruments++) {
        const size_t size = strlen(instruments[i]) + 1;
        if (!(t->instruments[i] = malloc(size))) {
            bl_fail(e, BL_ENOMEM, "no memory for the temporal model");
            goto fail;
        }
        memcpy(t->instruments[i], instruments[i], size);
    }
    if (build(t, e) != BL_OK)
        goto fail;
    nn_params_init(t->params, seed);
    quieten_last_layer(t);
    return t;
fail:
    blocks_temporal_free(t);
    return NULL;
}

blocks_temporal *blocks_temporal_new(const bl_config *config, const char *const *instruments, int n_instruments, uint64_t seed,
                                     bl_error *err)
{
    return make(blocks_config_filled(config, shipped_config, settings, networks, err), instruments, n_instruments, seed, err);
}

void blocks_temporal_free(blocks_temporal *t)
{
    if (!t)
        return;
    nn_network_free(t->net);
    nn_params_free(t->params);
    nn_tape_free(t->tape);
    bl_config_free(t->config);
    for (int i = 0; i < t->n_instruments; i++)
        free(t->instruments[i]);
    free(t->instruments);
    free(t->mean);
    free(t->scale);
    free(t);
}

int blocks_temporal_instrument(const blocks_temporal *t, const char *name)
{
    for (int i = 0; name && i < t->n_instruments; i++)
        if (!strcmp(t->instruments[i], name))
            return i;
    return -1;
}

/* ---- checkpoints ---- */

bl_status blocks_temporal_put(const blocks_temporal *t, nn_checkpoint *c, bl_error *err)
{
    char *text = bl_config_text(t->config);
    const int64_t n = t->n_bands;
    if (!text)
        return bl_fail(err, BL_ENOMEM, "no memory for the checkpoint");
    nn_checkpoint_put_text(c, "config", text, err);
    free(text);
    nn_checkpoint_put_texts(c, "instruments", (const char *const *)t->instruments, t->n_instruments, err);
    nn_checkpoint_put(c, "bands/mean", NN_F32, 1, &n, t->mean, err);
    nn_checkpoint_put(c, "bands/scale", NN_F32, 1, &n, t->scale, err);
    return nn_params_save(t->params, c, "", err);
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

blocks_temporal *blocks_temporal_get(const nn_checkpoint *c, bl_error *err)
{
    bl_error local = { 0 };
    bl_error *e = err ? err : &local;
    int n = 0;
    char *text = nn_checkpoint_get_text(c, "config", e);
    char **names = nn_checkpoint_get_texts(c, "instruments", &n, e);
    bl_config *config = text && names ? bl_config_parse(text, nn_checkpoint_path(c), e) : NULL;
    blocks_temporal *t = config ? make(config, (const char *const *)names, n, 0, e) : NULL;
    if (t && (get_row(c, "bands/mean", t->mean, t->n_bands, e) != BL_OK ||
              get_row(c, "bands/scale", t->scale, t->n_bands, e) != BL_OK ||
              nn_params_load(t->params, c, nn_trainer_prefix(c), e) != BL_OK)) {
        blocks_temporal_free(t);
        t = NULL;
    }
    if (t)
        t->step = nn_checkpoint_get_int(c, "step", 0, e);
    free(text);
    nn_checkpoint_texts_free(names, n);
    return t;
}

blocks_temporal *blocks_temporal_load(const char *path, bl_error *err)
{
    nn_checkpoint *c = nn_checkpoint_open(path, "bilstm", err);
    blocks_temporal *t = c ? blocks_temporal_get(c, err) : NULL;
    nn_checkpoint_free(c);
    return t;
}

/* ---- bands ---- */

/* Band centres lie equally spaced in mels from 40 Hz to 16 kHz; each bin belongs to the two centres around it, more to the
 * nearer one. The same triangles gather bins into bands and spread gains back over bins. */
static const double LOWEST_HZ = 40, HIGHEST_HZ = 16000;

typedef struct band_map {
    int   *band;   /* [F] the lower of the two bands */
    float *share;  /* [F] of the upper one, 0..1     */
    float *weight; /* [n_bands] sum of shares        */
} band_map;

static void free_map(band_map *m)
{
    free(m->band);
    free(m->share);
    free(m->weight);
}

static bl_status make_map(const blocks_temporal *t, int64_t n_bins, int sample_rate, band_map *m, bl_error *err)
{
    const double low = audio_hz_to_mel(LOWEST_HZ, AUDIO_MEL_HTK), high = audio_hz_to_mel(HIGHEST_HZ, AUDIO_MEL_HTK);
    m->band = malloc((size_t)n_bins * sizeof *m->band);
    m->share = malloc((size_t)n_bins * sizeof *m->share);
    m->weight = calloc((size_t)t->n_bands, sizeof *m->weight);
    if (!m->band || !m->share || !m->weight) {
        free_map(m);
        return bl_fail(err, BL_ENOMEM, "no memory for %lld bins", (long long)n_bins);
    }
    for (int64_t f = 0; f < n_bins; f++) {
        const double hz = (double)f * sample_rate / (2.0 * (double)(n_bins - 1));
        double at = (audio_hz_to_mel(hz, AUDIO_MEL_HTK) - low) / (high - low) * (t->n_bands - 1);
        at = at < 0 ? 0 : at > t->n_bands - 1.0 ? t->n_bands - 1.0 : at;
        m->band[f] = at >= t->n_bands - 1.0 ? t->n_bands - 2 : (int)at;
        m->share[f] = (float)(at - m->band[f]);
        m->weight[m->band[f]] += 1 - m->share[f];
        m->weight[m->band[f] + 1] += m->share[f];
    }
    return BL_OK;
}

/* |X| of full scale: a sine of amplitude 1 gives n_fft/4 with a Hann window. */
static double full_scale(int64_t n_bins)
{
    return (double)(n_bins - 1) / 2;
}

/* Frames first .. first + n - 1 of magnitude [F, T] to out [n_bands, n]: half the log of the mean power. */
static void gather(const blocks_temporal *t, const band_map *m, const float *magnitude, int64_t n_bins, int64_t T, int64_t first,
                   int64_t n, float *out)
{
    const double floor = BLOCKS_TEMPORAL_FLOOR * BLOCKS_TEMPORAL_FLOOR, unit = 1 / (full_scale(n_bins) * full_scale(n_bins));
    #pragma omp parallel for schedule(static)
    for (int64_t j = 0; j < n; j++) {
        /* by frames, so that threads never share a sum */
        double power[1024] = { 0 };
        for (int64_t f = 0; f < n_bins; f++) {
            const double p = (double)magnitude[f * T + first + j] * (double)magnitude[f * T + first + j];
            power[m->band[f]] += (1 - (double)m->share[f]) * p;
            power[m->band[f] + 1] += (double)m->share[f] * p;
        }
        for (int b = 0; b < t->n_bands; b++)
            out[b * n + j] = (float)(0.5 * log(power[b] * unit / fmax(1e-6, (double)m->weight[b]) + floor));
    }
}

static bl_status check(int64_t n_bins, int64_t n_frames, int sample_rate, bl_error *err)
{
    if (n_bins < 2 || n_frames < 1 || sample_rate < 1)
        return bl_fail(err, BL_EARG, "temporal model: expected at least 2 bins, 1 frame and a rate of 1 Hz, got %lld, %lld and %d",
                       (long long)n_bins, (long long)n_frames, sample_rate);
    return BL_OK;
}

bl_status blocks_temporal_bands(const blocks_temporal *t, const float *magnitude, int64_t n_bins, int64_t n_frames,
                                int sample_rate, float *out, bl_error *err)
{
    band_map m = { NULL, NULL, NULL };
    if (check(n_bins, n_frames, sample_rate, err) != BL_OK || make_map(t, n_bins, sample_rate, &m, err) != BL_OK)
        return err ? err->code : BL_EARG;
    gather(t, &m, magnitude, n_bins, n_frames, 0, n_frames, out);
    free_map(&m);
    return BL_OK;
}

static double power_of(double band)
{
    return fmax(0, exp(2 * band) - BLOCKS_TEMPORAL_FLOOR * BLOCKS_TEMPORAL_FLOOR);
}

double blocks_temporal_level(const blocks_temporal *t, const float *bands, int64_t n_frames)
{
    static const double SOUNDING = 1e-4;
    double loudest = 0, sum = 0, n = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int64_t j = 0; j < n_frames; j++) {
            double power = 0;
            for (int b = 0; b < t->n_bands; b++)
                power += power_of((double)bands[b * n_frames + j]) / t->n_bands;
            if (pass == 0) {
                loudest = fmax(loudest, power);
            } else if (power > SOUNDING * loudest) {
                sum += power;
                n++;
            }
        }
    return n > 0 ? 0.5 * log(sum / n) : 0;
}

double blocks_temporal_relative(double band, double level)
{
    static const double SILENCE = 1e-6; /* in power, of the phrase's level */
    return 0.5 * log(power_of(band) * exp(-2 * level) + SILENCE);
}

/* ---- the network ---- */

nn_node *blocks_temporal_forward(blocks_temporal *t, nn_tape *tape, nn_node *bands, nn_node *condition)
{
    const double ln3 = 1.0986122886681098, ln4 = 1.3862943611198906;
    nn_node *y = nn_network_run(t->net, tape, (nn_node *const[]){ bands, condition }, NULL);
    /* ln(4 sigmoid(y - ln 3)) = ln 4 - softplus(ln 3 - y) */
    return nn_affine(tape, nn_softplus(tape, nn_affine(tape, y, -1, ln3)), -1, ln4);
}

/* Gains [n_bands, T] onto magnitude [F, T], between bands by interpolation. */
static void spread(const band_map *m, const float *gain, float *magnitude, int64_t n_bins, int64_t T)
{
    #pragma omp parallel for schedule(static)
    for (int64_t f = 0; f < n_bins; f++) {
        const float *lower = gain + (int64_t)m->band[f] * T, *upper = lower + T, share = m->share[f];
        for (int64_t j = 0; j < T; j++)
            magnitude[f * T + j] *= (1 - share) * lower[j] + share * upper[j];
    }
}

bl_status blocks_temporal_apply(const blocks_temporal *t, const float *gain, float *magnitude, int64_t n_bins, int64_t n_frames,
                                int sample_rate, bl_error *err)
{
    band_map m = { NULL, NULL, NULL };
    if (check(n_bins, n_frames, sample_rate, err) != BL_OK || make_map(t, n_bins, sample_rate, &m, err) != BL_OK)
        return err ? err->code : BL_EARG;
    spread(&m, gain, magnitude, n_bins, n_frames);
    free_map(&m);
    return BL_OK;
}

enum { PIECE_S = 20, OVERLAP_S = 2 };

/* Gains of frames first .. first + n - 1 of bands [n_bands, T] into gain [n_bands, T]. */
static bl_status run_piece(blocks_temporal *t, const float *bands, int64_t T, int64_t first, int64_t n, int64_t keep_from,
                           int64_t keep_to, double level, const float *condition, float *scratch, float *gain, bl_error *err)
{
    for (int b = 0; b < t->n_bands; b++)
        for (int64_t j = 0; j < n; j++)
            scratch[b * n + j] = (float)((blocks_temporal_relative((double)bands[b * T + first + j], level) - (double)t->mean[b]) *
                                         (double)t->scale[b]);
    nn_tape_reset(t->tape);
    nn_node *y = blocks_temporal_forward(t, t->tape, nn_input(t->tape, (nn_shape){ 3, { 1, t->n_bands, n } }, scratch),
                                         nn_input(t->tape, (nn_shape){ 2, { 1, t->n_instruments } }, condition));
    nn_expect(t->tape, y, nn_shape_of(3, (int64_t)1, (int64_t)t->n_bands, n), "gains");
    if (t->tape->err.code)
        return bl_fail(err, t->tape->err.code, "temporal model: %s", t->tape->err.msg);
    for (int b = 0; b < t->n_bands; b++)
        for (int64_t j = keep_from; j < keep_to; j++)
            gain[b * T + j] = (float)exp((double)y->x[b * n + j - first]);
    return BL_OK;
}

/* known NULL: the level is measured. */
static bl_status run(blocks_temporal *t, const char *instrument_name, const double *known, float *magnitude, int64_t n_bins,
                     int64_t n_frames, int sample_rate, bl_error *err)
{
    const double frames_per_s = (double)t->sample_rate / t->hop_length;
    const int64_t piece = (int64_t)(PIECE_S * frames_per_s), overlap = (int64_t)(OVERLAP_S * frames_per_s);
    const int64_t T = n_frames, longest = piece + 2 * overlap < T ? piece + 2 * overlap : T;
    const int instrument = blocks_temporal_instrument(t, instrument_name);
    float *bands = NULL, *gain = NULL, *scratch = NULL, *condition = NULL;
    band_map m = { NULL, NULL, NULL };
    bl_status status = check(n_bins, T, sample_rate, err);

    for (int64_t i = 0; status == BL_OK && i < n_bins * T; i++)
        if (!isfinite(magnitude[i]) || magnitude[i] < 0)
            status = bl_fail(err, BL_ENAN, "temporal model: the magnitude of bin %lld, frame %lld is not a finite number of 0 or "
                             "more", (long long)(i / T), (long long)(i % T));
    if (status != BL_OK || (status = make_map(t, n_bins, sample_rate, &m, err)) != BL_OK)
        return status;
    bands = malloc((size_t)t->n_bands * (size_t)T * sizeof *bands);
    gain = malloc((size_t)t->n_bands * (size_t)T * sizeof *gain);
    scratch = malloc((size_t)t->n_bands * (size_t)longest * sizeof *scratch);
    condition = calloc((size_t)t->n_instruments, sizeof *condition);
    if (!bands || !gain || !scratch || !condition) {
        status = bl_fail(err, BL_ENOMEM, "no memory for %lld frames", (long long)T);
        goto done;
    }
    if (instrument >= 0)
        condition[instrument] = 1;
    gather(t, &m, magnitude, n_bins, T, 0, T, bands);
    const double level = known ? *known : blocks_temporal_level(t, bands, T);
    for (int64_t at = 0; status == BL_OK && at < T; at += piece) {
        const int64_t first = at > overlap ? at - overlap : 0, end = at + piece < T ? at + piece : T;
        const int64_t last = end + overlap < T ? end + overlap : T;
        status = run_piece(t, bands, T, first, last - first, at, end, level, condition, scratch, gain, err);
    }
    if (status != BL_OK)
        goto done;
    spread(&m, gain, magnitude, n_bins, T);
done:
    free(bands);
    free(gain);
    free(scratch);
    free(condition);
    free_map(&m);
    return status;
}

bl_status blocks_temporal_run(blocks_temporal *t, const char *instrument_name, float *magnitude, int64_t n_bins,
                              int64_t n_frames, int sample_rate, bl_error *err)
{
    return run(t, instrument_name, NULL, magnitude, n_bins, n_frames, sample_rate, err);
}

bl_status blocks_temporal_run_at(blocks_temporal *t, const char *instrument_name, double level, float *magnitude, int64_t n_bins,
                                 int64_t n_frames, int sample_rate, bl_error *err)
{
    return run(t, instrument_name, &level, magnitude, n_bins, n_frames, sample_rate, err);
}
