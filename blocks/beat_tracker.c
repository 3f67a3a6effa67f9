#include "blocks/beat_tracker.h"

#include "audio/beat_levels.h"
#include "blocks/config_defaults.h"
#include "nn/trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char shipped_config[] = "configs/beats.ini";
static const char *const settings[] = { "beats", NULL }, *const networks[] = { "beat_network", "tcn_block", "level_network", NULL };

/* ---- building ---- */

/* What weighs the metrical levels; checkpoints that were made before there was one have none. */
static bl_status build_levels(blocks_beat_tracker *t, bl_error *err)
{
    if (!bl_config_has_section(t->config, "level_network"))
        return BL_OK;
    if (!(t->levels = nn_network_build(t->config, "level_network", t->params, err)))
        return err->code;
    const nn_shape in = nn_network_input_shape(t->levels, 0), out = nn_network_output_shape(t->levels, 0);
    if (nn_network_n_inputs(t->levels) != 1 || in.rank != 1 || in.dim[0] != AUDIO_LEVEL_FEATURES || out.rank != 1 || out.dim[0] != 1)
        return bl_fail(err, BL_ESHAPE, "%s: [level_network] must make one number of %d (input.repeats = %d)", bl_config_name(t->config),
                       AUDIO_LEVEL_FEATURES, AUDIO_LEVEL_FEATURES);
    return BL_OK;
}

static bl_status build(blocks_beat_tracker *t, bl_error *err)
{
    const char *name = bl_config_name(t->config);
    if (!(t->params = nn_params_new(err)) || !(t->net = nn_network_build(t->config, "beat_network", t->params, err)) ||
        build_levels(t, err) != BL_OK)
        return err->code;
    const nn_shape in = nn_network_input_shape(t->net, 0), out = nn_network_output_shape(t->net, 0);
    if (nn_network_n_inputs(t->net) != 1 || in.rank != 2 || in.dim[0] != AUDIO_BEAT_BANDS || in.dim[1] >= 0)
        return bl_fail(err, BL_ESHAPE, "%s: [beat_network] must have one input of %d bands over time (input.bands = %d, T)", name,
                       AUDIO_BEAT_BANDS, AUDIO_BEAT_BANDS);
    const nn_shape votes = nn_network_output_shape(t->net, nn_network_n_outputs(t->net) - 1);
    t->hears_tempo = nn_network_n_outputs(t->net) == 2;
    if (nn_network_n_outputs(t->net) > 2 || out.rank != 2 || out.dim[0] != 2 || out.dim[1] >= 0)
        return bl_fail(err, BL_ESHAPE, "%s: [beat_network] must give 2 channels over time, beat and downbeat, gives %lld", name,
                       (long long)out.dim[0]);
    if (t->hears_tempo && (votes.rank != 2 || votes.dim[0] != AUDIO_TEMPOS || votes.dim[1] >= 0))
        return bl_fail(err, BL_ESHAPE, "%s: the second output of [beat_network] must have %d channels over time, one for each tempo, has %lld",
                       name, AUDIO_TEMPOS, (long long)votes.dim[0]);
    if (nn_params_finish(t->params, err) != BL_OK || !(t->tape = nn_tape_new(err)))
        return err->code;
    nn_tape_record(t->tape, 0);
    return BL_OK;
}

/* Takes config. */
static blocks_beat_tracker *make(bl_config *config, uint64_t seed, bl_error *err)
{
    blocks_beat_tracker *t = config ? calloc(1, sizeof *t) : NULL;
    if (!t) {
        bl_fail(err, BL_ENOMEM, "no memory for the beat tracker");
        bl_config_free(config);
        return NULL;
    }
    t->config = config;
    if (build(t, err) != BL_OK) {
        blocks_beat_tracker_free(t);
        return NULL;
    }
    nn_params_init(t->params, seed);
    return t;
}

blocks_beat_tracker *blocks_beat_tracker_new(const bl_config *config, uint64_t seed, bl_error *err)
{
    bl_error local = { 0 };
    bl_error *e = err ? err : &local;
    return make(blocks_config_filled(config, shipped_config, settings, networks, e), seed, e);
}

void blocks_beat_tracker_free(blocks_beat_tracker *t)
{
    if (!t)
        return;
    nn_network_free(t->net);
    nn_network_free(t->levels);
    nn_params_free(t->params);
    nn_tape_free(t->tape);
    bl_config_free(t->config);
    free(t);
}

/* ---- checkpoints ---- */

bl_status blocks_beat_tracker_put(const blocks_beat_tracker *t, nn_checkpoint *c, bl_error *err)
{
    char *text = bl_config_text(t->config);
    if (!text)
        return bl_fail(err, BL_ENOMEM, "no memory for the checkpoint");
    nn_checkpoint_put_text(c, "config", text, err);
    free(text);
    return nn_params_save(t->params, c, "", err);
}

blocks_beat_tracker *blocks_beat_tracker_get(const nn_checkpoint *c, bl_error *err)
{
    bl_error local = { 0 };
    bl_error *e = err ? err : &local;
    char *text = nn_checkpoint_get_text(c, "config", e);
    bl_config *config = text ? bl_config_parse(text, nn_checkpoint_path(c), e) : NULL;
    blocks_beat_tracker *t = config ? make(config, 0, e) : NULL;
    free(text);
    if (t && nn_params_load(t->params, c, nn_trainer_prefix(c), e) != BL_OK) {
        blocks_beat_tracker_free(t);
        return NULL;
    }
    if (t)
        t->step = nn_checkpoint_get_int(c, "step", 0, e);
    return t;
}

blocks_beat_tracker *blocks_beat_tracker_load(const char *path, bl_error *err)
{
    nn_checkpoint *c = nn_checkpoint_open(path, "beats", err);
    blocks_beat_tracker *t = c ? blocks_beat_tracker_get(c, err) : NULL;
    nn_checkpoint_free(c);
    return t;
}

bl_status blocks_beat_tracker_begin(blocks_beat_tracker *t, const char *path, bl_error *err)
{
    blocks_beat_tracker *from = blocks_beat_tracker_load(path, err);
    int                  n_shared = 0;
    if (!from)
        return err->code;
    for (int i = 0; i < t->params->n && err->code == BL_OK; i++) {
        const nn_param *here = &t->params->param[i];
        const int       k = nn_params_find(from->params, here->name);
        if (k >= 0 && !nn_same_shape(&here->shape, &from->params->param[k].shape))
            bl_fail(err, BL_ESHAPE, "%s: %s has another shape than in the network that is to begin with it", path, here->name);
        n_shared += k >= 0;
    }
    if (err->code == BL_OK && !n_shared)
        bl_fail(err, BL_ESHAPE, "%s: shares no layer with the network that is to begin with it", path);
    if (err->code == BL_OK)
        nn_params_copy(t->params, from->params);
    blocks_beat_tracker_free(from);
    return err->code;
}

/* ---- hearing ---- */

enum { PIECE = 120 * AUDIO_BEAT_FPS, OVERLAP = 21 * AUDIO_BEAT_FPS };

/* 60 dB below the loudness is silence; the rest spreads about one to either side of nothing. */
float blocks_beat_tracker_input(double log_magnitude, double loudness)
{
    const double v = log_magnitude - loudness;
    return (float)(((v > -6.9 ? v : -6.9) + 2.5) / 2);
}

/* Frames from .. to - 1 of the result, from what lies OVERLAP around them; their votes are added to votes [AUDIO_TEMPOS]. */
static bl_status hear_piece(blocks_beat_tracker *t, const audio_beat_bands *bands, int64_t from, int64_t to, const float *table,
                            float *input, audio_beat_activity *out, double *votes, bl_error *err)
{
    nn_node *outputs[2] = { NULL, NULL };
    const int64_t first = from > OVERLAP ? from - OVERLAP : 0, end = to + OVERLAP < bands->n_frames ? to + OVERLAP : bands->n_frames;
    const int64_t n = end - first;
    for (int b = 0; b < AUDIO_BEAT_BANDS; b++)
        for (int64_t i = 0; i < n; i++)
            input[b * n + i] = table[bands->level[(first + i) * AUDIO_BEAT_BANDS + b]];
    nn_tape_reset(t->tape);
    nn_node *x = nn_input(t->tape, (nn_shape){ 3, { 1, AUDIO_BEAT_BANDS, n } }, input);
    nn_network_run(t->net, t->tape, &x, outputs);
    nn_node *y = nn_sigmoid(t->tape, nn_expect(t->tape, outputs[0], nn_shape_of(3, (int64_t)1, (int64_t)2, n), "beats"));
    if (t->hears_tempo)
        nn_expect(t->tape, outputs[1], nn_shape_of(3, (int64_t)1, (int64_t)AUDIO_TEMPOS, n), "votes on the tempo");
    if (t->tape->err.code)
        return bl_fail(err, t->tape->err.code, "beat tracker: %s", t->tape->err.msg);
    for (int64_t i = from; i < to; i++) {
        out->beat[i] = (float)y->x[i - first];
        out->downbeat[i] = (float)y->x[n + i - first];
    }
    for (int k = 0; t->hears_tempo && k < AUDIO_TEMPOS; k++)
        for (int64_t i = from; i < to; i++)
            votes[k] += (double)outputs[1]->x[k * n + i - first];
    return BL_OK;
}

/* The mean of every frame's vote, as log probabilities. */
static void count_votes(double *votes, int64_t n_frames, float *tempo)
{
    double top = -INFINITY, sum = 0;
    for (int k = 0; k < AUDIO_TEMPOS; k++) {
        votes[k] /= (double)n_frames;
        top = fmax(top, votes[k]);
    }
    for (int k = 0; k < AUDIO_TEMPOS; k++)
        sum += exp(votes[k] - top);
    for (int k = 0; k < AUDIO_TEMPOS; k++)
        tempo[k] = (float)(votes[k] - top - log(sum));
}

bl_status blocks_beat_tracker_hear(blocks_beat_tracker *t, const audio_beat_bands *bands, audio_beat_activity *out, bl_error *err)
{
    const int64_t T = bands->n_frames, longest = T < PIECE + 2 * OVERLAP ? T : PIECE + 2 * OVERLAP;
    float        *input = malloc(sizeof(float) * AUDIO_BEAT_BANDS * (size_t)longest), table[256];
    double        votes[AUDIO_TEMPOS] = { 0 };
    bl_status     status = BL_OK;
    memset(out, 0, sizeof *out);
    out->n_frames = T;
    out->hop_s = bands->hop_s;
    out->beat = malloc(sizeof(float) * (size_t)T);
    out->downbeat = malloc(sizeof(float) * (size_t)T);
    out->tempo = t->hears_tempo ? malloc(sizeof(float) * AUDIO_TEMPOS) : NULL;
    out->flux = malloc(sizeof(float) * AUDIO_LEVEL_GROUPS * (size_t)T);
    if (!input || !out->beat || !out->downbeat || !out->flux || (t->hears_tempo && !out->tempo))
        status = bl_fail(err, BL_ENOMEM, "no memory for the beats of %lld frames", (long long)T);
    else
        audio_beat_flux(bands, out->flux);
    for (int q = 0; q < 256; q++)
        table[q] = blocks_beat_tracker_input(q ? AUDIO_BEAT_BOTTOM + AUDIO_BEAT_STEP * q : -1e3, bands->loudness);
    for (int64_t from = 0; status == BL_OK && from < T;) {
        /* What would be left for a short last piece goes with this one. */
        const int64_t to = T - from <= PIECE + OVERLAP ? T : from + PIECE;
        status = hear_piece(t, bands, from, to, table, input, out, votes, err);
        from = to;
    }
    free(input);
    if (status == BL_OK && t->hears_tempo)
        count_votes(votes, T, out->tempo);
    if (status != BL_OK)
        audio_beat_activity_free(out);
    return status;
}

bl_status blocks_beat_tracker_run(blocks_beat_tracker *t, const float *x, int64_t n_samples, int sample_rate,
                                  audio_beat_activity *activity, bl_error *err)
{
    audio_beat_bands bands;
    memset(activity, 0, sizeof *activity);
    if (audio_beat_bands_run(x, n_samples, sample_rate, &bands, err) != BL_OK)
        return err->code;
    const bl_status status = blocks_beat_tracker_hear(t, &bands, activity, err);
    audio_beat_bands_free(&bands);
    return status;
}
