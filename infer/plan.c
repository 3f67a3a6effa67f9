#include "infer/plan_private.h"

#include "base/rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void infer_plan_free(infer_plan *plan)
{
    free(plan->path);
    free(plan->beats_s);
    free(plan->downbeats_s);
    free(plan->chords);
    free(plan->melody);
    free(plan->sections);
    free(plan->phrases);
    music_score_free(&plan->score);
    music_chord_sheet_free(&plan->sheet);
    infer_origin_free(&plan->origin);
    memset(plan, 0, sizeof *plan);
}

void infer_plan_init(infer_plan *plan)
{
    const double none = (double)NAN;
    memset(plan, 0, sizeof *plan);
    plan->confidence = (infer_confidence){ none, none, none, none, none, 0 };
    plan->vocal_lufs = plan->mix_lufs = plan->true_peak_dbtp = plan->sum_lufs = plan->sum_dbtp = none;
}

music_track *infer_plan_track(const infer_plan *plan, const char *instrument)
{
    for (int i = 0; i < plan->score.n_tracks; i++)
        if (!strcmp(plan->score.tracks[i].name, instrument))
            return &plan->score.tracks[i];
    return NULL;
}

infer_level *infer_plan_level(infer_plan *plan, const char *instrument)
{
    for (int i = 0; i < plan->n_levels; i++)
        if (!strcmp(plan->levels[i].instrument, instrument))
            return &plan->levels[i];
    return NULL;
}

bl_status infer_plan_add_instrument(infer_plan *plan, const char *name, int accepted, const char *reason,
                                    const char *replaced_by, bl_error *err)
{
    if (plan->n_instruments == INFER_MAX_INSTRUMENTS)
        return bl_fail(err, BL_EARG, "more than %d instruments", INFER_MAX_INSTRUMENTS);
    infer_instrument *e = &plan->instruments[plan->n_instruments++];
    memset(e, 0, sizeof *e);
    snprintf(e->name, sizeof e->name, "%s", name);
    snprintf(e->reason, sizeof e->reason, "%s", reason ? reason : "");
    snprintf(e->replaced_by, sizeof e->replaced_by, "%s", replaced_by ? replaced_by : "");
    e->accepted = accepted;
    return BL_OK;
}

static const char *plays(const infer_instrument *e)
{
    return e->accepted ? e->name : e->replaced_by[0] ? e->replaced_by : NULL;
}

const char *infer_plan_plays(const infer_plan *plan, int i)
{
    const char *name = plays(&plan->instruments[i]);
    for (int k = 0; name && k < i; k++) {
        const char *before = plays(&plan->instruments[k]);
        if (before && !strcmp(before, name))
            return NULL;
    }
    return name;
}

double infer_plan_rounded(double seconds)
{
    return round(seconds * 1e5) / 1e5;
}

static void round_notes(music_note *notes, int n)
{
    for (int i = 0; i < n; i++) {
        notes[i].onset_s = infer_plan_rounded(notes[i].onset_s);
        notes[i].offset_s = infer_plan_rounded(notes[i].offset_s);
    }
}

void infer_plan_round(infer_plan *p)
{
    p->duration_s = infer_plan_rounded(p->duration_s);
    p->tempo_bpm = round(p->tempo_bpm * 1000) / 1000;
    p->tuning_cents = round(p->tuning_cents * 10) / 10;
    p->genre_probability = round(p->genre_probability * 1000) / 1000;
    for (int i = 0; i < p->n_beats; i++)
        p->beats_s[i] = infer_plan_rounded(p->beats_s[i]);
    for (int i = 0; i < p->n_downbeats; i++)
        p->downbeats_s[i] = infer_plan_rounded(p->downbeats_s[i]);
    for (int i = 0; i < p->n_chords; i++) {
        p->chords[i].start_s = infer_plan_rounded(p->chords[i].start_s);
        p->chords[i].end_s = infer_plan_rounded(p->chords[i].end_s);
    }
    round_notes(p->melody, p->n_melody);
    for (int i = 0; i < p->n_sections; i++) {
        p->sections[i].start_s = infer_plan_rounded(p->sections[i].start_s);
        p->sections[i].end_s = infer_plan_rounded(p->sections[i].end_s);
    }
    for (int i = 0; i < p->n_phrases; i++) {
        p->phrases[i].start_s = infer_plan_rounded(p->phrases[i].start_s);
        p->phrases[i].end_s = infer_plan_rounded(p->phrases[i].end_s);
    }
    for (int i = 0; i < p->score.n_tracks; i++)
        round_notes(p->score.tracks[i].notes, p->score.tracks[i].n_notes);
    for (int i = 0; i < p->score.n_markers; i++)
        p->score.markers[i].time_s = infer_plan_rounded(p->score.markers[i].time_s);
}

/* ---- fingerprints: what a value says, however it is spelled ---- */

uint64_t infer_plan_fingerprint(const json_t *value)
{
    char number[32];
    uint64_t sum = 0;
    size_t i;
    const char *key;
    json_t *item;

    switch (json_typeof(value)) {
    case JSON_OBJECT: /* the order of keys says nothing */
        json_object_foreach((json_t *)value, key, item)
            sum += bl_hash(infer_plan_fingerprint(item), key, strlen(key));
        return bl_hash(sum, "{", 1);
    case JSON_ARRAY:
        json_array_foreach(value, i, item) {
            const uint64_t one = infer_plan_fingerprint(item);
            sum = bl_hash(sum, &one, sizeof one);
        }
        return bl_hash(sum, "[", 1);
    case JSON_STRING:
        return bl_hash(0, json_string_value(value), strlen(json_string_value(value)));
    case JSON_INTEGER:
    case JSON_REAL: /* 120 and 120.0 are the same */
        snprintf(number, sizeof number, "%.10g", json_number_value(value));
        return bl_hash(1, number, strlen(number));
    case JSON_TRUE:
        return 2;
    case JSON_FALSE:
        return 3;
    default:
        return 4;
    }
}

const infer_plan_part infer_plan_parts[] = {
    { "tempo", INFER_HAS_TEMPO, INFER_HAS_BEATS },
    { "beats", INFER_HAS_BEATS, INFER_HAS_DOWNBEATS },
    { "meter", INFER_HAS_METER, INFER_HAS_DOWNBEATS },
    { "downbeats", INFER_HAS_DOWNBEATS, INFER_HAS_CHORDS | INFER_HAS_SECTIONS | INFER_HAS_NOTES | INFER_HAS_LEVELS },
    { "key", INFER_HAS_KEY, INFER_HAS_CHORDS | INFER_HAS_NOTES | INFER_HAS_LEVELS },
    { "melody", INFER_HAS_MELODY, INFER_HAS_CHORDS | INFER_HAS_SECTIONS | INFER_HAS_PHRASES | INFER_HAS_NOTES | INFER_HAS_LEVELS },
    { "phrases", INFER_HAS_PHRASES, 0 },
    { "chords", INFER_HAS_CHORDS, INFER_HAS_NOTES },
    { "sections", INFER_HAS_SECTIONS, INFER_HAS_NOTES | INFER_HAS_LEVELS },
    { "genre", INFER_HAS_GENRE, INFER_HAS_NOTES | INFER_HAS_LEVELS },
    { "seed", INFER_HAS_SEED, INFER_HAS_NOTES | INFER_HAS_LEVELS },
    { "intervals", INFER_HAS_INTERVALS, INFER_HAS_NOTES | INFER_HAS_LEVELS },
    { "notes", INFER_HAS_NOTES, 0 },
    { "levels", INFER_HAS_LEVELS, 0 },
};
const int infer_plan_n_parts = (int)(sizeof infer_plan_parts / sizeof *infer_plan_parts);

/* What an edit has put out of date; parts stand in the order in which one follows from another. */
unsigned infer_plan_stale(const json_t *root, unsigned local, unsigned *was_edited)
{
    const json_t *made_from = json_object_get(root, "made_from");
    unsigned edited = 0, stale = 0;
    if (was_edited)
        *was_edited = 0;
    if (!json_is_object(made_from))
        return 0;
    for (int i = 0; i < infer_plan_n_parts; i++) {
        const json_t *value = json_object_get(root, infer_plan_parts[i].key);
        const json_t *print = json_object_get(made_from, infer_plan_parts[i].key);
        char text[24] = "";
        if (!value || json_is_null(value))
            continue;
        snprintf(text, sizeof text, "%016llx", (unsigned long long)infer_plan_fingerprint(value));
        if (!json_is_string(print) || strcmp(json_string_value(print), text) != 0)
            edited |= infer_plan_parts[i].has;
        if (infer_plan_parts[i].has & local)
            continue;
        if ((edited | stale) & infer_plan_parts[i].has)
            stale |= infer_plan_parts[i].stale;
        if (edited & infer_plan_parts[i].has)
            stale &= ~infer_plan_parts[i].has; /* somebody means it */
    }
    if (was_edited)
        *was_edited = edited;
    return stale;
}

void infer_plan_edited(infer_plan *p, unsigned edited)
{
    unsigned stale = 0;
    for (int i = 0; i < infer_plan_n_parts; i++)
        if ((edited | stale) & infer_plan_parts[i].has)
            stale |= infer_plan_parts[i].stale;
    if (stale & INFER_HAS_NOTES && p->origin.known && !((edited | stale) & INFER_HAS_DOWNBEATS)) {
        p->origin.stale = 1;
        if (infer_plan_any_by_hand(p)) /* what somebody has edited stays */
            stale &= ~(unsigned)INFER_HAS_NOTES;
    }
    infer_plan_forget(p, stale & ~edited);
}

void infer_plan_forget(infer_plan *p, unsigned what)
{
    if (what & INFER_HAS_BEATS) {
        free(p->beats_s);
        p->beats_s = NULL;
        p->n_beats = 0;
    }
    if (what & INFER_HAS_DOWNBEATS) {
        free(p->downbeats_s);
        p->downbeats_s = NULL;
        p->n_downbeats = 0;
    }
    if (what & INFER_HAS_CHORDS) {
        free(p->chords);
        p->chords = NULL;
        p->n_chords = 0;
    }
    if (what & INFER_HAS_MELODY) {
        free(p->melody);
        p->melody = NULL;
        p->n_melody = 0;
    }
    if (what & INFER_HAS_SECTIONS) {
        free(p->sections);
        p->sections = NULL;
        p->n_sections = 0;
    }
    if (what & INFER_HAS_PHRASES) {
        free(p->phrases);
        p->phrases = NULL;
        p->n_phrases = 0;
    }
    if (what & INFER_HAS_NOTES) {
        const int made = p->origin.made;
        music_score_free(&p->score);
        infer_origin_free(&p->origin);
        p->origin.made = made;
    }
    if (what & INFER_HAS_INSTRUMENTS)
        p->n_instruments = 0;
    if (what & INFER_HAS_INTERVALS)
        p->n_intervals = 0;
    if (what & INFER_HAS_LEVELS) {
        p->n_levels = 0;
        p->sum_lufs = p->sum_dbtp = (double)NAN;
    }
    p->has &= ~what;
}
