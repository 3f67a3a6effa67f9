#include "blocks/beat_levels.h"

#include <math.h>
#include <string.h>

/* How much the votes on the tempo count beside the network of levels: chosen on songs that neither had heard. */
static const double NETWORK_WEIGHT = 0.5, VOTE_WEIGHT = 1, STAY = 1;
enum { VOTE_REACH = 2 };
static const double FACTOR[AUDIO_LEVELS] = { 0.5, 1, 2 };

bl_status blocks_beat_levels(blocks_beat_tracker *t, const audio_beat_activity *a, const double *beats_s, int n,
                             double logits[AUDIO_LEVELS], bl_error *err)
{
    float features[AUDIO_LEVELS * AUDIO_LEVEL_FEATURES] = { 0 };
    int   possible[AUDIO_LEVELS];
    for (int k = 0; k < AUDIO_LEVELS; k++)
        possible[k] = audio_level_features(a->flux, a->n_frames, a->hop_s, beats_s, n, k, features + k * AUDIO_LEVEL_FEATURES);
    nn_tape_reset(t->tape);
    nn_node *x = nn_input(t->tape, (nn_shape){ 2, { AUDIO_LEVELS, AUDIO_LEVEL_FEATURES } }, features);
    nn_node *y = nn_network_run(t->levels, t->tape, &x, NULL);
    if (t->tape->err.code)
        return bl_fail(err, t->tape->err.code, "levels of the beat: %s", t->tape->err.msg);
    for (int k = 0; k < AUDIO_LEVELS; k++)
        logits[k] = possible[k] ? (double)y->x[k] : -HUGE_VAL;
    return BL_OK;
}

/* Log of the chance that the votes give tempos next to this one. */
static double vote_for(const float *tempo, double bpm)
{
    const int centre = (int)lround(audio_tempo_bin(bpm));
    double    sum = 0;
    for (int k = centre - VOTE_REACH; k <= centre + VOTE_REACH; k++)
        sum += k >= 0 && k < AUDIO_TEMPOS ? exp((double)tempo[k]) : 0;
    return log(fmax(sum, 1e-4));
}

/* The likeliest level of a grid, the next one (-1: none), and how much likelier the first is. */
static bl_status choose_level(blocks_beat_tracker *t, const audio_beat_activity *a, const audio_rhythm *r, int *level, int *next,
                              double *margin, bl_error *err)
{
    double score[AUDIO_LEVELS];
    if (blocks_beat_levels(t, a, r->beats_s, r->n_beats, score, err) != BL_OK)
        return err->code;
    for (int k = 0; k < AUDIO_LEVELS; k++)
        score[k] = NETWORK_WEIGHT * score[k] + (a->tempo ? VOTE_WEIGHT * vote_for(a->tempo, r->bpm * FACTOR[k]) : 0) + (k == 1 ? STAY : 0);
    *level = 1, *next = -1;
    for (int k = 0; k < AUDIO_LEVELS; k++)
        *level = score[k] > score[*level] ? k : *level;
    for (int k = 0; k < AUDIO_LEVELS; k++)
        if (k != *level && isfinite(score[k]) && (*next < 0 || score[k] > score[*next]))
            *next = k;
    *margin = *next < 0 ? HUGE_VAL : score[*level] - score[*next];
    return BL_OK;
}

bl_status blocks_beat_grid(blocks_beat_tracker *t, double length_s, audio_rhythm_config config, audio_rhythm *out, bl_error *err)
{
    const double wanted = config.tempo_factor > 0 ? config.tempo_factor : 1;
    int          level = 1, next = -1;
    double       margin = 0;
    config.tempo_factor = 0;
    bl_status status = audio_rhythm_analyze(length_s, config, out, err);
    const int decides = status == BL_OK && t && t->levels && config.activity->flux && !(config.bpm > 0) && !config.n_notes && out->confidence > 0;
    if (decides)
        status = choose_level(t, config.activity, out, &level, &next, &margin, err);
    const double heard = out->bpm, confidence = (double)out->confidence;
    if (status == BL_OK && wanted * FACTOR[level] != 1 && !(config.bpm > 0)) {
        config.tempo_factor = wanted * FACTOR[level];
        audio_rhythm_free(out);
        status = audio_rhythm_analyze(length_s, config, out, err);
    }
    if (status == BL_OK && decides) {
        out->confidence = (float)confidence;
        out->other_bpm = next >= 0 && margin < 3 ? heard * FACTOR[next] * wanted : 0;
    }
    if (status != BL_OK)
        audio_rhythm_free(out);
    return status;
}
