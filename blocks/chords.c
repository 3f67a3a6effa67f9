#include "blocks/chords.h"

#include "blocks/config_defaults.h"
#include "nn/trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char shipped_config[] = "configs/chords.ini";
static const char *const settings[] = { "chords_training", NULL }, *const networks[] = { "chords", NULL };

/* Frames that the network sees at a time, and those on either side that it only looks at: more than its convolutions reach. */
enum { CHUNK = 600, AROUND = 30 };

/* ---- building ---- */

static bl_status check_form(const blocks_chords *c, bl_error *err)
{
    static const int channels[3] = { MUSIC_HEARD_CLASSES, 12, 24 };
    const nn_shape in = nn_network_n_inputs(c->net) == 1 ? nn_network_input_shape(c->net, 0) : (nn_shape){ 0, { 0 } };
    if (in.rank != 3 || in.dim[0] != 1 || in.dim[1] != AUDIO_TONAL_BINS || in.dim[2] >= 0)
        return bl_fail(err, BL_ESHAPE, "%s: [chords] must have one input, input.spectrum = 1, %d, T", bl_config_name(c->config),
                       AUDIO_TONAL_BINS);
    if (nn_network_n_outputs(c->net) != 3)
        return bl_fail(err, BL_ESHAPE, "%s: [chords] must have three outputs, output = chord, bass, key", bl_config_name(c->config));
    for (int i = 0; i < 3; i++) {
        const nn_shape s = nn_network_output_shape(c->net, i);
        if (s.rank != 2 || s.dim[0] != channels[i] || s.dim[1] >= 0)
            return bl_fail(err, BL_ESHAPE, "%s: [chords] output %d of 3 (chord, bass, key) must be [%d, T]", bl_config_name(c->config),
                           i + 1, channels[i]);
    }
    return BL_OK;
}

/* Takes config. */
static blocks_chords *make(bl_config *config, uint64_t seed, bl_error *err)
{
    blocks_chords *c = config ? calloc(1, sizeof *c) : NULL;
    if (!c) {
        if (!err->code)
            bl_fail(err, BL_ENOMEM, "no memory for the chord network");
        bl_config_free(config);
        return NULL;
    }
    c->config = config;
    if (!(c->params = nn_params_new(err)) || !(c->net = nn_network_build(config, "chords", c->params, err)) ||
        check_form(c, err) != BL_OK || nn_params_finish(c->params, err) != BL_OK || !(c->tape = nn_tape_new(err))) {
        blocks_chords_free(c);
        return NULL;
    }
    nn_tape_record(c->tape, 0);
    nn_params_init(c->params, seed);
    return c;
}

blocks_chords *blocks_chords_new(const bl_config *config, uint64_t seed, bl_error *err)
{
    bl_error local = { 0 };
    bl_error *e = err ? err : &local;
    return make(blocks_config_filled(config, shipped_config, settings, networks, e), seed, e);
}

void blocks_chords_free(blocks_chords *c)
{
    if (!c)
        return;
    nn_network_free(c->net);
    nn_params_free(c->params);
    nn_tape_free(c->tape);
    bl_config_free(c->config);
    free(c);
}

void blocks_harmony_free(blocks_harmony *harmony)
{
    free(harmony->chord);
    free(harmony->bass);
    *harmony = (blocks_harmony){ 0 };
}

/* ---- checkpoints ---- */

bl_status blocks_chords_put(const blocks_chords *c, nn_checkpoint *out, bl_error *err)
{
    char *text = bl_config_text(c->config);
    if (!text)
        return bl_fail(err, BL_ENOMEM, "no memory for the checkpoint");
    nn_checkpoint_put_text(out, "config", text, err);
    free(text);
    nn_checkpoint_put_int(out, "step", c->step, err);
    return nn_params_save(c->params, out, "", err);
}

blocks_chords *blocks_chords_get(const nn_checkpoint *k, bl_error *err)
{
    bl_error local = { 0 };
    bl_error *e = err ? err : &local;
    char *text = nn_checkpoint_get_text(k, "config", e);
    bl_config *config = text ? bl_config_parse(text, nn_checkpoint_path(k), e) : NULL;
    blocks_chords *c = config ? make(config, 0, e) : NULL;
    if (c && nn_params_load(c->params, k, nn_trainer_prefix(k), e) != BL_OK) {
        blocks_chords_free(c);
        c = NULL;
    }
    if (c)
        c->step = nn_checkpoint_get_int(k, "step", 0, e);
    free(text);
    return c;
}

blocks_chords *blocks_chords_load(const char *path, bl_error *err)
{
    nn_checkpoint *k = nn_checkpoint_open(path, "chords", err);
    blocks_chords *c = k ? blocks_chords_get(k, err) : NULL;
    nn_checkpoint_free(k);
    return c;
}

/* ---- running ---- */

void blocks_chords_forward(blocks_chords *c, nn_tape *tape, nn_node *spectrum, nn_node *out[3])
{
    out[0] = out[1] = out[2] = NULL;
    nn_network_run(c->net, tape, &spectrum, out);
}

/* Column t of logits [n, T] to a row of log-probabilities. */
static void log_softmax(const real *logits, int n, int64_t T, int64_t t, float *row)
{
    double top = -HUGE_VAL, sum = 0;
    for (int k = 0; k < n; k++)
        top = fmax(top, (double)logits[k * T + t]);
    for (int k = 0; k < n; k++)
        sum += exp((double)logits[k * T + t] - top);
    for (int k = 0; k < n; k++)
        row[k] = (float)((double)logits[k * T + t] - top - log(sum));
}

/* Frames first .. last - 1 to their rows; the keys' logits of frames that sound add to key, their number to *n_sounding. */
static bl_status run_chunk(blocks_chords *c, const audio_tonal *tonal, int64_t first, int64_t last, float *work, blocks_harmony *out,
                           double *n_sounding, bl_error *err)
{
    const int64_t from = first - AROUND < 0 ? 0 : first - AROUND, to = last + AROUND > tonal->n_frames ? tonal->n_frames : last + AROUND;
    const int64_t T = to - from;
    nn_node *heard[3];
    for (int b = 0; b < AUDIO_TONAL_BINS; b++)
        memcpy(work + b * T, tonal->value + b * tonal->n_frames + from, (size_t)T * sizeof *work);
    nn_tape_reset(c->tape);
    blocks_chords_forward(c, c->tape, nn_input(c->tape, (nn_shape){ 4, { 1, 1, AUDIO_TONAL_BINS, T } }, work), heard);
    nn_expect(c->tape, heard[0], nn_shape_of(3, (int64_t)1, (int64_t)MUSIC_HEARD_CLASSES, T), "chord");
    nn_expect(c->tape, heard[1], nn_shape_of(3, (int64_t)1, (int64_t)12, T), "bass");
    nn_expect(c->tape, heard[2], nn_shape_of(3, (int64_t)1, (int64_t)24, T), "key");
    if (c->tape->err.code)
        return bl_fail(err, c->tape->err.code, "chords: %s", c->tape->err.msg);
    for (int64_t t = first; t < last; t++) {
        float *row = out->chord + t * MUSIC_HEARD_CLASSES;
        log_softmax(heard[0]->x, MUSIC_HEARD_CLASSES, T, t - from, row);
        log_softmax(heard[1]->x, 12, T, t - from, out->bass + t * 12);
        const double sounding = 1 - exp((double)row[MUSIC_HEARD_NONE]);
        *n_sounding += sounding;
        for (int k = 0; k < 24; k++)
            out->key[k] += sounding * (double)heard[2]->x[k * T + t - from];
    }
    return BL_OK;
}

/* Means of logits become log-probabilities. The network learnt the mean over a stretch; of nothing, every key is as likely. */
static void finish_key(double *key, double n_sounding)
{
    double top = -HUGE_VAL, sum = 0;
    for (int k = 0; k < 24; k++)
        top = fmax(top, key[k] = n_sounding > 1 ? key[k] / n_sounding : 0);
    for (int k = 0; k < 24; k++)
        sum += exp(key[k] - top);
    for (int k = 0; k < 24; k++)
        key[k] -= top + log(sum);
}

bl_status blocks_chords_hear(blocks_chords *c, const audio_tonal *tonal, blocks_harmony *out, bl_error *err)
{
    const int64_t T = tonal->n_frames;
    double        n_sounding = 0;
    bl_status     status = BL_OK;
    *out = (blocks_harmony){ .n_frames = T, .hop_s = tonal->hop_s, .tuning_cents = tonal->tuning_cents };
    out->chord = malloc((size_t)T * MUSIC_HEARD_CLASSES * sizeof *out->chord);
    out->bass = malloc((size_t)T * 12 * sizeof *out->bass);
    float *work = malloc((size_t)AUDIO_TONAL_BINS * (CHUNK + 2 * AROUND) * sizeof *work);
    if (!out->chord || !out->bass || !work)
        status = bl_fail(err, BL_ENOMEM, "no memory for the chords of %lld frames", (long long)T);
    for (int64_t t = 0; t < T && status == BL_OK; t += CHUNK)
        status = run_chunk(c, tonal, t, t + CHUNK < T ? t + CHUNK : T, work, out, &n_sounding, err);
    if (status == BL_OK)
        finish_key(out->key, n_sounding);
    else
        blocks_harmony_free(out);
    free(work);
    return status;
}

bl_status blocks_chords_run(blocks_chords *c, const float *x, int64_t n_samples, int sample_rate, blocks_harmony *out, bl_error *err)
{
    audio_tonal tonal;
    bl_status   status;
    *out = (blocks_harmony){ 0 };
    for (int64_t i = 0; i < n_samples; i++)
        if (!isfinite(x[i]))
            return bl_fail(err, BL_ENAN, "chords: sample %lld is not a finite number", (long long)i);
    if ((status = audio_tonal_run(x, n_samples, sample_rate, &tonal, err)) == BL_OK)
        status = blocks_chords_hear(c, &tonal, out, err);
    audio_tonal_free(&tonal);
    return status;
}
