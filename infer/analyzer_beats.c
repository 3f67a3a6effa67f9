#include "infer/analyzer_private.h"

#include "audio/key.h"
#include "audio/meter.h"
#include "base/config.h"
#include "base/file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int compare_real(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_bpm(const double *beats, int n, bl_error *err)
{
    double *gap = malloc((size_t)n * sizeof *gap), bpm = 0;
    if (!gap) {
        bl_fail(err, BL_ENOMEM, "no memory for the beats");
        return 0;
    }
    for (int i = 1; i < n; i++)
        gap[i - 1] = beats[i] - beats[i - 1];
    qsort(gap, (size_t)n - 1, sizeof *gap, compare_real);
    bpm = 60 / gap[(n - 1) / 2];
    free(gap);
    return bpm;
}

int infer_nearest_beat(const infer_plan *plan, double time_s)
{
    int best = 0;
    for (int i = 1; i < plan->n_beats; i++)
        if (fabs(plan->beats_s[i] - time_s) < fabs(plan->beats_s[best] - time_s))
            best = i;
    return best;
}

/* Downbeats on the plan's beats: the phase for which most of the heard downbeats vote. */
static bl_status lay_downbeats(infer_plan *plan, const audio_rhythm *heard, bl_error *err)
{
    int votes[16] = { 0 }, phase = 0;
    const int per_bar = plan->beats_per_bar;
    for (int i = 0; i < heard->n_downbeats; i++)
        votes[infer_nearest_beat(plan, heard->downbeats_s[i]) % per_bar]++;
    for (int i = 1; i < per_bar; i++)
        if (votes[i] > votes[phase])
            phase = i;
    if (!(plan->downbeats_s = malloc(((size_t)plan->n_beats + 1) * sizeof *plan->downbeats_s)))
        return bl_fail(err, BL_ENOMEM, "no memory for the bars");
    for (int i = phase; i < plan->n_beats; i += per_bar)
        plan->downbeats_s[plan->n_downbeats++] = plan->beats_s[i];
    plan->has |= INFER_HAS_DOWNBEATS;
    return BL_OK;
}

/* A song shorter than two beats still gets a grid: the arranger needs one. */
static bl_status take_beats(infer_plan *plan, const audio_rhythm *r, bl_error *err)
{
    const double period_s = 60 / r->bpm;
    if (!(plan->beats_s = malloc(((size_t)r->n_beats + 2) * sizeof *plan->beats_s)))
        return bl_fail(err, BL_ENOMEM, "no memory for the beats");
    for (int i = 0; i < r->n_beats; i++)
        plan->beats_s[i] = r->beats_s[i];
    plan->n_beats = r->n_beats;
    while (plan->n_beats < 2) {
        plan->beats_s[plan->n_beats] = plan->n_beats ? plan->beats_s[plan->n_beats - 1] + period_s : 0;
        plan->n_beats++;
    }
    plan->has |= INFER_HAS_BEATS;
    return BL_OK;
}

enum { ALL = INFER_HAS_TEMPO | INFER_HAS_BEATS | INFER_HAS_METER | INFER_HAS_DOWNBEATS };

bl_status infer_analyzer_beats(infer_song *song, const infer_plan *plan, const char *model_dir, bl_error *err)
{
    char path[BL_PATH_MAX];
    if (song->is_long || song->beats.n_frames || (plan->has & ALL) == ALL)
        return BL_OK;
    /* Melodies of a voice alone have a network of their own: the one for bands is not judged on them (docs/beats.md). */
    const char *name = strcmp(plan->input, "vocal") ? "beats.h5" : "beats_voice.h5";
    if (infer_ear_path(path, model_dir, name, err) != BL_OK)
        return err->code;
    if (!(song->tracker = blocks_beat_tracker_load(path, err)))
        return err->code;
    return blocks_beat_tracker_run(song->tracker, song->mono, song->n_lead, song->lead_rate, &song->beats, err);
}

/* The slowest beat of the plan's genre by configs/genres.ini; 0: none is named, or the genre is no more than a guess. */
static bl_status slowest_beat(const infer_plan *plan, double *bpm, bl_error *err)
{
    char     path[BL_PATH_MAX];
    bl_error own = { 0 };
    *bpm = 0;
    if (!(plan->has & INFER_HAS_GENRE) || (!plan->genre_given && plan->genre_probability < 0.5))
        return BL_OK;
    if (bl_find_shipped(path, "configs/genres.ini", err) != BL_OK)
        return err->code;
    bl_config *c = bl_config_load(path, &own);
    if (c)
        *bpm = bl_config_real(c, "slowest", plan->genre, 0, 20, 200, &own);
    bl_config_free(c);
    return own.code ? bl_fail(err, own.code, "%s", own.msg) : BL_OK;
}

/* What the melody alone says of the grid. The key, where nobody knows it yet, is that of the notes on this grid. */
static bl_status reread(const infer_plan *plan, const audio_sung_notes *sung, int keep_level, double slowest, audio_rhythm *r, bl_error *err)
{
    audio_key key;
    if (!(plan->has & INFER_HAS_KEY) || audio_key_parse(plan->key, &key, NULL) != BL_OK)
        key = audio_key_from_notes(sung->notes, sung->n_notes, sung->tuning_cents, r);
    const audio_meter_config config = { .tonic = (key.tonic + (key.is_minor ? 3 : 0)) % 12, .keep_level = keep_level, .slowest_bpm = slowest };
    return audio_meter_reread(r, plan->duration_s, sung->notes, sung->n_notes, config, err);
}

bl_status infer_find_beats(const infer_song *song, infer_plan *plan, const audio_sung_notes *sung, bl_error *err)
{
    audio_rhythm r = { 0 };
    bl_status status = BL_OK;

    if (plan->has & INFER_HAS_BEATS && !(plan->has & INFER_HAS_TEMPO)) {
        plan->tempo_bpm = median_bpm(plan->beats_s, plan->n_beats, err);
        if (err->code)
            return err->code;
        plan->has |= INFER_HAS_TEMPO;
    }
    if ((plan->has & ALL) == ALL)
        return BL_OK;
    const double bpm = plan->has & INFER_HAS_TEMPO && plan->tempo_bpm >= 20 && plan->tempo_bpm <= 400 ? plan->tempo_bpm : 0;
    /* Beside other instruments the notes of the voice would only blur what drums and bass say. */
    const int alone = infer_is_alone(song, plan), known = (plan->has & (INFER_HAS_TEMPO | INFER_HAS_BEATS)) != 0;
    audio_rhythm_config config = { .bpm = bpm, .tempo_factor = known ? 0 : song->tempo_factor, .activity = &song->beats,
                                   .notes = alone ? sung->notes : NULL, .n_notes = alone ? sung->n_notes : 0,
                                   .beats_per_bar = plan->has & INFER_HAS_METER ? plan->beats_per_bar : 0 };
    status = blocks_beat_grid(song->tracker, plan->duration_s, config, &r, err);
    double slowest = 0;
    if (status == BL_OK && alone && !known && config.tempo_factor != 2 && config.tempo_factor != 0.5)
        status = slowest_beat(plan, &slowest, err);
    if (status == BL_OK && r.bpm < slowest) {
        audio_rhythm_free(&r);
        config.tempo_factor = 2;
        status = blocks_beat_grid(song->tracker, plan->duration_s, config, &r, err);
    }
    if (status == BL_OK && alone && !(plan->has & (INFER_HAS_BEATS | INFER_HAS_DOWNBEATS)))
        status = reread(plan, sung, known || config.tempo_factor == 2 || config.tempo_factor == 0.5, slowest, &r, err);
    if (status != BL_OK) {
        audio_rhythm_free(&r);
        return status;
    }
    if (!(plan->has & INFER_HAS_METER)) {
        plan->beats_per_bar = r.beats_per_bar;
        plan->confidence.meter = (double)r.bar_confidence;
    }
    if (!(plan->has & INFER_HAS_TEMPO)) {
        plan->tempo_bpm = r.bpm;
        plan->confidence.tempo = (double)r.confidence;
        plan->confidence.other_bpm = r.other_bpm;
    }
    if (!(plan->has & INFER_HAS_BEATS))
        status = take_beats(plan, &r, err);
    if (status == BL_OK && !(plan->has & INFER_HAS_DOWNBEATS))
        status = lay_downbeats(plan, &r, err);
    plan->has |= INFER_HAS_METER | INFER_HAS_TEMPO;
    audio_rhythm_free(&r);
    return status;
}
