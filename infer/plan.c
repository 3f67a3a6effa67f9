/* Over 600 lines: reading and writing of the report stand side by side, key by key, so that neither forgets one. */
/* Reading (checks and all) and writing stand together, since they are two sides of one format. */
#include "infer/plan.h"

#include "audio/key.h"
#include "base/file.h"
#include "base/rng.h"
#include "data/instruments.h"
#include "music/chord.h"
#include "music/instrument.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BYTES = 256 << 20 };
static const double MAX_TIME_S = 1e6;

void infer_plan_free(infer_plan *plan)
{
    free(plan->path);
    free(plan->beats_s);
    free(plan->downbeats_s);
    free(plan->chords);
    free(plan->melody);
    music_score_free(&plan->score);
    memset(plan, 0, sizeof *plan);
}

music_track *infer_plan_track(const infer_plan *plan, const char *instrument)
{
    for (int i = 0; i < plan->score.n_tracks; i++)
        if (!strcmp(plan->score.tracks[i].name, instrument))
            return &plan->score.tracks[i];
    return NULL;
}

bl_status infer_plan_add_instrument(infer_plan *plan, const char *name, int accepted, const char *reason,
                                    const char *replaced_by, bl_error *err)
{
    if (plan->n_instruments == INFER_MAX_INSTRUMENTS)
        return bl_fail(err, BL_EARG, "more than %d instruments", INFER_MAX_INSTRUMENTS);
    infer_instrument *e = &plan->instruments[plan->n_instruments++];
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

static double rounded(double seconds)
{
    return round(seconds * 1e5) / 1e5;
}

static void round_notes(music_note *notes, int n)
{
    for (int i = 0; i < n; i++) {
        notes[i].onset_s = rounded(notes[i].onset_s);
        notes[i].offset_s = rounded(notes[i].offset_s);
    }
}

void infer_plan_round(infer_plan *p)
{
    p->duration_s = rounded(p->duration_s);
    p->tempo_bpm = round(p->tempo_bpm * 1000) / 1000;
    p->tuning_cents = round(p->tuning_cents * 10) / 10;
    p->genre_probability = round(p->genre_probability * 1000) / 1000;
    p->input_confidence = round(p->input_confidence * 1000) / 1000;
    for (int i = 0; i < p->n_beats; i++)
        p->beats_s[i] = rounded(p->beats_s[i]);
    for (int i = 0; i < p->n_downbeats; i++)
        p->downbeats_s[i] = rounded(p->downbeats_s[i]);
    for (int i = 0; i < p->n_chords; i++) {
        p->chords[i].start_s = rounded(p->chords[i].start_s);
        p->chords[i].end_s = rounded(p->chords[i].end_s);
    }
    round_notes(p->melody, p->n_melody);
    for (int i = 0; i < p->score.n_tracks; i++)
        round_notes(p->score.tracks[i].notes, p->score.tracks[i].n_notes);
    for (int i = 0; i < p->score.n_markers; i++)
        p->score.markers[i].time_s = rounded(p->score.markers[i].time_s);
}

/* ---- fingerprints: what a value says, however it is spelled ---- */

static uint64_t fingerprint(const json_t *value)
{
    char number[32];
    uint64_t sum = 0;
    size_t i;
    const char *key;
    json_t *item;

    switch (json_typeof(value)) {
    case JSON_OBJECT: /* the order of keys says nothing */
        json_object_foreach((json_t *)value, key, item)
            sum += bl_hash(fingerprint(item), key, strlen(key));
        return bl_hash(sum, "{", 1);
    case JSON_ARRAY:
        json_array_foreach(value, i, item) {
            const uint64_t one = fingerprint(item);
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

static const struct { const char *key; unsigned has, stale; } parts[] = {
    { "tempo", INFER_HAS_TEMPO, INFER_HAS_BEATS },
    { "beats", INFER_HAS_BEATS, INFER_HAS_DOWNBEATS },
    { "meter", INFER_HAS_METER, INFER_HAS_DOWNBEATS },
    { "downbeats", INFER_HAS_DOWNBEATS, INFER_HAS_CHORDS | INFER_HAS_NOTES },
    { "key", INFER_HAS_KEY, INFER_HAS_CHORDS | INFER_HAS_NOTES },
    { "melody", INFER_HAS_MELODY, INFER_HAS_CHORDS | INFER_HAS_NOTES },
    { "chords", INFER_HAS_CHORDS, INFER_HAS_NOTES },
    { "genre", INFER_HAS_GENRE, INFER_HAS_NOTES },
    { "intervals", INFER_HAS_INTERVALS, INFER_HAS_NOTES },
    { "notes", INFER_HAS_NOTES, 0 },
};
enum { N_PARTS = (int)(sizeof parts / sizeof *parts) };

/* What an edit has put out of date; parts stand in the order in which one follows from another. */
static unsigned stale_parts(const json_t *root)
{
    const json_t *made_from = json_object_get(root, "made_from");
    unsigned edited = 0, stale = 0;
    if (!json_is_object(made_from))
        return 0;
    for (int i = 0; i < N_PARTS; i++) {
        const json_t *value = json_object_get(root, parts[i].key);
        const json_t *print = json_object_get(made_from, parts[i].key);
        char text[24] = "";
        if (!value || json_is_null(value))
            continue;
        snprintf(text, sizeof text, "%016llx", (unsigned long long)fingerprint(value));
        if (!json_is_string(print) || strcmp(json_string_value(print), text) != 0)
            edited |= parts[i].has;
        if ((edited | stale) & parts[i].has)
            stale |= parts[i].stale;
        if (edited & parts[i].has)
            stale &= ~parts[i].has; /* somebody means it */
    }
    return stale;
}

void infer_plan_edited(infer_plan *p, unsigned edited)
{
    unsigned stale = 0;
    for (int i = 0; i < N_PARTS; i++)
        if ((edited | stale) & parts[i].has)
            stale |= parts[i].stale;
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
    if (what & INFER_HAS_NOTES)
        music_score_free(&p->score);
    if (what & INFER_HAS_INSTRUMENTS)
        p->n_instruments = 0;
    if (what & INFER_HAS_INTERVALS)
        p->n_intervals = 0;
    p->has &= ~what;
}

/* ---- reading ---- */

typedef struct reader {
    const char *name;
    bl_error   *err;
} reader;

static bl_status expected(const reader *r, const char *where, const char *what, const json_t *got)
{
    char *text = got ? json_dumps(got, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(10)) : NULL;
    char shown[64];
    snprintf(shown, sizeof shown, "%s", text ? text : "nothing");
    if (text && strlen(text) >= sizeof shown)
        memcpy(shown + sizeof shown - 4, "...", 4);
    free(text);
    return bl_fail(r->err, BL_EFORMAT, "%s: %s: expected %s, got %s", r->name, where, what, shown);
}

static bl_status number(const reader *r, const json_t *value, const char *where, double min, double max, double *out)
{
    char what[80];
    const double v = json_is_number(value) ? json_number_value(value) : (double)NAN;
    if (isfinite(v) && v >= min && v <= max) {
        *out = v;
        return BL_OK;
    }
    snprintf(what, sizeof what, "a number from %g to %g", min, max);
    return expected(r, where, what, value);
}

static bl_status whole(const reader *r, const json_t *value, const char *where, int min, int max, int *out)
{
    char what[80];
    const double v = json_is_number(value) ? json_number_value(value) : (double)NAN;
    if (isfinite(v) && v >= min && v <= max && v == floor(v)) {
        *out = (int)v;
        return BL_OK;
    }
    snprintf(what, sizeof what, "a whole number from %d to %d", min, max);
    return expected(r, where, what, value);
}

static const json_t *present(const json_t *root, const char *key)
{
    const json_t *value = json_object_get(root, key);
    return value && !json_is_null(value) ? value : NULL;
}

static bl_status times(const reader *r, const json_t *list, const char *key, double **out, int *n)
{
    char where[64];
    const size_t count = json_array_size(list);
    if (!json_is_array(list))
        return expected(r, key, "a list of seconds", list);
    if (!(*out = malloc((count ? count : 1) * sizeof **out)))
        return bl_fail(r->err, BL_ENOMEM, "%s: no memory for %zu times", r->name, count);
    for (size_t i = 0; i < count; i++) {
        snprintf(where, sizeof where, "%s[%zu]", key, i);
        if (number(r, json_array_get(list, i), where, -60, MAX_TIME_S, &(*out)[i]) != BL_OK)
            return r->err->code;
        if (i && (*out)[i] <= (*out)[i - 1])
            return expected(r, where, "a time after the one before it", json_array_get(list, i));
    }
    *n = (int)count;
    return BL_OK;
}

/* start and end under the given names. */
static bl_status span(const reader *r, const json_t *item, const char *where, const char *first, const char *second,
                      double *start_s, double *end_s)
{
    char place[96];
    if (!json_is_object(item))
        return expected(r, where, "an object", item);
    snprintf(place, sizeof place, "%s.%s", where, first);
    if (number(r, json_object_get(item, first), place, -60, MAX_TIME_S, start_s) != BL_OK)
        return r->err->code;
    snprintf(place, sizeof place, "%s.%s", where, second);
    if (number(r, json_object_get(item, second), place, -60, MAX_TIME_S, end_s) != BL_OK)
        return r->err->code;
    if (*end_s <= *start_s)
        return bl_fail(r->err, BL_EFORMAT, "%s: %s: %s %g does not come after %s %g", r->name, where, second, *end_s,
                       first, *start_s);
    return BL_OK;
}

static bl_status note(const reader *r, const json_t *item, const char *where, music_note *out)
{
    char place[96];
    double pitch = 0, velocity = 0;
    if (span(r, item, where, "onset", "offset", &out->onset_s, &out->offset_s) != BL_OK)
        return r->err->code;
    if (out->onset_s < 0)
        return bl_fail(r->err, BL_EFORMAT, "%s: %s.onset: expected 0 or more, got %g", r->name, where, out->onset_s);
    snprintf(place, sizeof place, "%s.pitch", where);
    if (number(r, json_object_get(item, "pitch"), place, 0, 127, &pitch) != BL_OK)
        return r->err->code;
    if (pitch != floor(pitch))
        return expected(r, place, "a whole number from 0 to 127", json_object_get(item, "pitch"));
    snprintf(place, sizeof place, "%s.velocity", where);
    if (number(r, json_object_get(item, "velocity"), place, 1, 127, &velocity) != BL_OK)
        return r->err->code;
    out->pitch = (int)pitch;
    out->velocity = (int)lround(velocity);
    return BL_OK;
}

static bl_status read_chords(const reader *r, const json_t *list, infer_plan *p)
{
    char where[64];
    const size_t n = json_array_size(list);
    if (!json_is_array(list))
        return expected(r, "chords", "a list", list);
    if (!(p->chords = calloc(n ? n : 1, sizeof *p->chords)))
        return bl_fail(r->err, BL_ENOMEM, "%s: no memory for %zu chords", r->name, n);
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(list, i);
        music_chord_span *c = &p->chords[i];
        music_chord chord;
        snprintf(where, sizeof where, "chords[%zu]", i);
        if (span(r, item, where, "start", "end", &c->start_s, &c->end_s) != BL_OK)
            return r->err->code;
        const char *name = json_string_value(json_object_get(item, "chord"));
        snprintf(where, sizeof where, "chords[%zu].chord", i);
        if (!name || strlen(name) >= sizeof c->name || !music_chord_parse(name, &chord))
            return expected(r, where, "a chord such as \"Am\", \"G7\" or \"N\"", json_object_get(item, "chord"));
        strcpy(c->name, name);
        snprintf(where, sizeof where, "chords[%zu].start", i);
        if (i && c->start_s < p->chords[i - 1].end_s - 1e-4)
            return expected(r, where, "a time not before the end of the chord before it", json_object_get(item, "start"));
    }
    p->n_chords = (int)n;
    return BL_OK;
}

static bl_status read_melody(const reader *r, const json_t *list, infer_plan *p)
{
    char where[64];
    const size_t n = json_array_size(list);
    if (!json_is_array(list))
        return expected(r, "melody", "a list", list);
    if (!(p->melody = calloc(n ? n : 1, sizeof *p->melody)))
        return bl_fail(r->err, BL_ENOMEM, "%s: no memory for %zu notes", r->name, n);
    for (size_t i = 0; i < n; i++) {
        snprintf(where, sizeof where, "melody[%zu]", i);
        if (note(r, json_array_get(list, i), where, &p->melody[i]) != BL_OK)
            return r->err->code;
    }
    p->n_melody = (int)n;
    return BL_OK;
}

/* An instrument's name in a plan, as its canonical name. */
static bl_status instrument_name(const reader *r, const json_t *value, const char *where, char out[64])
{
    bl_error own = { 0 };
    if (!json_is_string(value))
        return expected(r, where, "the name of an instrument", value);
    const int id = data_instrument_parse(json_string_value(value), &own);
    if (id < 0)
        return bl_fail(r->err, BL_EFORMAT, "%s: %s: %s", r->name, where, own.msg);
    snprintf(out, 64, "%s", data_instrument_name(id));
    return BL_OK;
}

static bl_status read_notes(const reader *r, const json_t *list, infer_plan *p)
{
    char where[64], place[96], name[64];
    if (!json_is_array(list))
        return expected(r, "notes", "a list", list);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        music_note one;
        snprintf(where, sizeof where, "notes[%zu]", i);
        snprintf(place, sizeof place, "%s.instrument", where);
        if (note(r, item, where, &one) != BL_OK ||
            instrument_name(r, json_object_get(item, "instrument"), place, name) != BL_OK)
            return r->err->code;
        music_track *track = infer_plan_track(p, name);
        if (!track) {
            const data_instrument *d = data_instrument_at(data_instrument_find(name));
            if (p->score.n_tracks == INFER_MAX_INSTRUMENTS)
                return bl_fail(r->err, BL_EFORMAT, "%s: %s: more than %d instruments", r->name, place, INFER_MAX_INSTRUMENTS);
            track = music_score_add_track(&p->score, name, d->is_pitched ? d->program : 0, !d->is_pitched, r->err);
        }
        if (!track || music_track_add(track, one.onset_s, one.offset_s, one.pitch, one.velocity, r->err) != BL_OK)
            return r->err->code;
    }
    for (int i = 0; i < p->score.n_tracks; i++)
        music_track_sort(&p->score.tracks[i]);
    return BL_OK;
}

static bl_status read_instruments(const reader *r, const json_t *list, infer_plan *p)
{
    char where[64], name[64], replaced_by[64];
    if (!json_is_array(list))
        return expected(r, "instruments", "a list", list);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        const json_t *given = json_is_string(item) ? item : json_object_get(item, "name");
        const json_t *accepted = present(item, "accepted"), *other = present(item, "replaced_by");
        const char *reason = json_string_value(json_object_get(item, "reason"));
        snprintf(where, sizeof where, "instruments[%zu].name", i);
        if (instrument_name(r, given, where, name) != BL_OK)
            return r->err->code;
        snprintf(where, sizeof where, "instruments[%zu].accepted", i);
        if (accepted && !json_is_boolean(accepted))
            return expected(r, where, "true or false", accepted);
        replaced_by[0] = '\0';
        snprintf(where, sizeof where, "instruments[%zu].replaced_by", i);
        if (other && !(json_is_string(other) && !*json_string_value(other)) &&
            instrument_name(r, other, where, replaced_by) != BL_OK)
            return r->err->code;
        if (infer_plan_add_instrument(p, name, !accepted || json_is_true(accepted), reason ? reason : "as the plan says",
                                      replaced_by, r->err) != BL_OK) {
            bl_error_prefix(r->err, "%s", r->name);
            return r->err->code;
        }
    }
    return BL_OK;
}

static bl_status read_intervals(const reader *r, const json_t *list, infer_plan *p)
{
    char where[64];
    if (!json_is_array(list))
        return expected(r, "intervals", "a list", list);
    if (json_array_size(list) > INFER_MAX_INTERVALS)
        return bl_fail(r->err, BL_EFORMAT, "%s: intervals: more than %d", r->name, INFER_MAX_INTERVALS);
    for (size_t i = 0; i < json_array_size(list); i++) {
        snprintf(where, sizeof where, "intervals[%zu]", i);
        if (span(r, json_array_get(list, i), where, "start", "end", &p->intervals[i].start_s, &p->intervals[i].end_s) != BL_OK)
            return r->err->code;
    }
    p->n_intervals = (int)json_array_size(list);
    return BL_OK;
}

static bl_status read_genre(const reader *r, const json_t *value, infer_plan *p)
{
    const json_t *name = json_is_string(value) ? value : json_object_get(value, "name");
    const json_t *probability = present(value, "probability");
    if (!json_is_string(name) || !*json_string_value(name) || strlen(json_string_value(name)) >= sizeof p->genre)
        return expected(r, json_is_string(value) ? "genre" : "genre.name", "the name of a genre", name);
    data_genre_normalise(json_string_value(name), p->genre, sizeof p->genre);
    if (probability && number(r, probability, "genre.probability", 0, 1, &p->genre_probability) != BL_OK)
        return r->err->code;
    p->genre_given = json_is_true(json_object_get(value, "given"));
    return BL_OK;
}

static bl_status read_heard(const reader *r, const json_t *root, unsigned stale, infer_plan *p)
{
    const json_t *v;
    if ((v = present(root, "tempo"))) {
        if (number(r, v, "tempo", 20, 400, &p->tempo_bpm) != BL_OK)
            return r->err->code;
        p->has |= INFER_HAS_TEMPO;
    }
    if ((v = present(root, "beats")) && !(stale & INFER_HAS_BEATS)) {
        if (times(r, v, "beats", &p->beats_s, &p->n_beats) != BL_OK)
            return r->err->code;
        if (p->n_beats < 2 || p->n_beats > 1000000)
            return bl_fail(r->err, BL_EFORMAT, "%s: beats: expected two or more, got %d", r->name, p->n_beats);
        p->has |= INFER_HAS_BEATS;
    }
    if ((v = present(root, "meter"))) {
        if (whole(r, v, "meter", 2, 12, &p->beats_per_bar) != BL_OK)
            return r->err->code;
        p->has |= INFER_HAS_METER;
    }
    if ((v = present(root, "downbeats")) && !(stale & INFER_HAS_DOWNBEATS)) {
        if (times(r, v, "downbeats", &p->downbeats_s, &p->n_downbeats) != BL_OK)
            return r->err->code;
        p->has |= INFER_HAS_DOWNBEATS;
    }
    if ((v = present(root, "key"))) {
        audio_key key;
        bl_error own = { 0 };
        if (!json_is_string(v) || audio_key_parse(json_string_value(v), &key, &own) != BL_OK)
            return expected(r, "key", "a key such as \"A minor\"", v);
        snprintf(p->key, sizeof p->key, "%s", key.name);
        p->has |= INFER_HAS_KEY;
    }
    if ((v = present(root, "tuning")) && number(r, v, "tuning", -100, 100, &p->tuning_cents) != BL_OK)
        return r->err->code;
    if ((v = present(root, "chords")) && !(stale & INFER_HAS_CHORDS)) {
        if (read_chords(r, v, p) != BL_OK)
            return r->err->code;
        p->has |= INFER_HAS_CHORDS;
    }
    if ((v = present(root, "melody"))) {
        if (read_melody(r, v, p) != BL_OK)
            return r->err->code;
        p->has |= INFER_HAS_MELODY;
    }
    return BL_OK;
}

static bl_status read_wanted(const reader *r, const json_t *root, unsigned stale, infer_plan *p)
{
    const json_t *v;
    double seed = 0;
    if ((v = present(root, "genre"))) {
        if (read_genre(r, v, p) != BL_OK)
            return r->err->code;
        p->has |= INFER_HAS_GENRE;
    }
    if ((v = present(root, "instruments"))) {
        if (read_instruments(r, v, p) != BL_OK)
            return r->err->code;
        p->has |= INFER_HAS_INSTRUMENTS;
    }
    if ((v = present(root, "notes")) && !(stale & INFER_HAS_NOTES)) {
        if (read_notes(r, v, p) != BL_OK)
            return r->err->code;
        p->has |= INFER_HAS_NOTES;
    }
    if ((v = present(root, "intervals"))) {
        if (read_intervals(r, v, p) != BL_OK)
            return r->err->code;
        p->has |= INFER_HAS_INTERVALS;
    }
    if ((v = present(root, "existing"))) {
        const char *text = json_string_value(v);
        if (!text || (strcmp(text, "keep") != 0 && strcmp(text, "drop") != 0))
            return expected(r, "existing", "\"keep\" or \"drop\"", v);
        p->keep_existing = !strcmp(text, "keep");
        p->has |= INFER_HAS_EXISTING;
    }
    if ((v = present(root, "seed"))) {
        if (number(r, v, "seed", 0, 9e15, &seed) != BL_OK)
            return r->err->code;
        p->seed = (int64_t)seed;
        p->has |= INFER_HAS_SEED;
    }
    if ((v = present(root, "input"))) {
        const char *kind = json_string_value(json_object_get(v, "kind"));
        if (!kind || (strcmp(kind, "vocal") != 0 && strcmp(kind, "song") != 0 && strcmp(kind, "instrumental") != 0))
            return expected(r, "input.kind", "\"vocal\", \"song\" or \"instrumental\"", json_object_get(v, "kind"));
        snprintf(p->input, sizeof p->input, "%s", kind);
        p->has |= INFER_HAS_INPUT;
    }
    return BL_OK;
}

bl_status infer_plan_parse(const char *text, const char *name, infer_plan *plan, bl_error *err)
{
    bl_error own = { 0 };
    const reader r = { name, &own };
    json_error_t why;
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &why);

    memset(plan, 0, sizeof *plan);
    if (!root)
        return bl_fail(err, BL_EFORMAT, "%s: line %d: not a plan in JSON: %s", name, why.line, why.text);
    if (!json_is_object(root))
        expected(&r, "the plan", "an object", NULL);
    else {
        const unsigned stale = stale_parts(root);
        if (read_heard(&r, root, stale, plan) == BL_OK)
            read_wanted(&r, root, stale, plan);
    }
    json_decref(root);
    if (own.code == BL_OK)
        return BL_OK;
    infer_plan_free(plan);
    return bl_fail(err, own.code, "%s", own.msg);
}

bl_status infer_plan_read(const char *path, infer_plan *plan, bl_error *err)
{
    char *text = NULL;
    size_t n = 0;
    bl_error own = { 0 };
    memset(plan, 0, sizeof *plan);
    if (bl_read_file(path, MAX_BYTES, &text, &n, &own) == BL_OK) {
        if (strlen(text) != n)
            bl_fail(&own, BL_EFORMAT, "%s: not a plan in JSON", path);
        else
            infer_plan_parse(text, path, plan, &own);
    }
    free(text);
    return own.code == BL_OK ? BL_OK : bl_fail(err, own.code, "%s", own.msg);
}

/* ---- writing ---- */

/* Text that JSON can hold: bytes that are not UTF-8 (file names may be anything) become '?'. */
static json_t *text_value(const char *text)
{
    json_t *value = json_string(text);
    if (value || !text)
        return value ? value : json_null();
    char *copy = malloc(strlen(text) + 1);
    if (!copy)
        return NULL;
    strcpy(copy, text);
    for (char *c = copy; *c; c++)
        if ((unsigned char)*c >= 0x80)
            *c = '?';
    value = json_string(copy);
    free(copy);
    return value;
}

/* JSON has no infinities: what could not be measured is null. */
static json_t *real_value(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *times_value(const double *x, int n)
{
    json_t *list = json_array();
    for (int i = 0; i < n; i++)
        json_array_append_new(list, json_real(rounded(x[i])));
    return list;
}

static json_t *note_value(const music_note *x, const char *instrument)
{
    json_t *o = json_object();
    if (instrument)
        json_object_set_new(o, "instrument", json_string(instrument));
    json_object_set_new(o, "onset", json_real(rounded(x->onset_s)));
    json_object_set_new(o, "offset", json_real(rounded(x->offset_s)));
    json_object_set_new(o, "pitch", json_integer(x->pitch));
    json_object_set_new(o, "velocity", json_integer(x->velocity));
    return o;
}

static json_t *span_value(double start_s, double end_s)
{
    json_t *o = json_object();
    json_object_set_new(o, "start", json_real(rounded(start_s)));
    json_object_set_new(o, "end", json_real(rounded(end_s)));
    return o;
}

static void write_heard(json_t *root, const infer_plan *p)
{
    json_t *o = json_object(), *list;
    json_object_set_new(o, "path", text_value(p->path));
    json_object_set_new(o, "duration", json_real(rounded(p->duration_s)));
    json_object_set_new(o, "sample_rate", json_integer(p->sample_rate));
    json_object_set_new(o, "channels", json_integer(p->n_channels));
    json_object_set_new(root, "song", o);
    o = json_object();
    json_object_set_new(o, "kind", json_string(p->input));
    json_object_set_new(o, "confidence", real_value(p->input_confidence));
    json_object_set_new(root, "input", p->input[0] ? o : json_null());
    if (!p->input[0])
        json_decref(o);

    json_object_set_new(root, "tempo", p->has & INFER_HAS_TEMPO ? json_real(p->tempo_bpm) : json_null());
    json_object_set_new(root, "meter", p->has & INFER_HAS_METER ? json_integer(p->beats_per_bar) : json_null());
    json_object_set_new(root, "beats", p->has & INFER_HAS_BEATS ? times_value(p->beats_s, p->n_beats) : json_null());
    json_object_set_new(root, "downbeats",
                        p->has & INFER_HAS_DOWNBEATS ? times_value(p->downbeats_s, p->n_downbeats) : json_null());
    json_object_set_new(root, "key", p->has & INFER_HAS_KEY ? json_string(p->key) : json_null());
    json_object_set_new(root, "tuning", real_value(p->tuning_cents));
    list = json_array();
    for (int i = 0; i < p->n_chords; i++) {
        o = span_value(p->chords[i].start_s, p->chords[i].end_s);
        json_object_set_new(o, "chord", json_string(p->chords[i].name));
        json_array_append_new(list, o);
    }
    json_object_set_new(root, "chords", list);
    list = json_array();
    for (int i = 0; i < p->n_melody; i++)
        json_array_append_new(list, note_value(&p->melody[i], NULL));
    json_object_set_new(root, "melody", list);
}

static void write_wanted(json_t *root, const infer_plan *p)
{
    json_t *o, *list;
    if (p->has & INFER_HAS_GENRE) {
        o = json_object();
        json_object_set_new(o, "name", text_value(p->genre));
        json_object_set_new(o, "probability", real_value(p->genre_probability));
        json_object_set_new(o, "given", json_boolean(p->genre_given));
        json_object_set_new(root, "genre", o);
    }
    list = json_array();
    for (int i = 0; i < p->n_instruments; i++) {
        const infer_instrument *e = &p->instruments[i];
        o = json_object();
        json_object_set_new(o, "name", text_value(e->name));
        json_object_set_new(o, "accepted", json_boolean(e->accepted));
        json_object_set_new(o, "reason", text_value(e->reason));
        json_object_set_new(o, "replaced_by", e->replaced_by[0] ? text_value(e->replaced_by) : json_null());
        json_array_append_new(list, o);
    }
    json_object_set_new(root, "instruments", list);
    list = json_array();
    for (int i = 0; i < p->n_intervals; i++)
        json_array_append_new(list, span_value(p->intervals[i].start_s, p->intervals[i].end_s));
    json_object_set_new(root, "intervals", list);
    json_object_set_new(root, "existing", json_string(p->keep_existing ? "keep" : "drop"));
    json_object_set_new(root, "seed", json_integer(p->seed));
    list = json_array();
    for (int i = 0; i < p->score.n_markers; i++) {
        o = json_object();
        json_object_set_new(o, "start", json_real(rounded(p->score.markers[i].time_s)));
        json_object_set_new(o, "name", text_value(p->score.markers[i].text));
        json_array_append_new(list, o);
    }
    json_object_set_new(root, "sections", list);
    list = json_array();
    for (int t = 0; t < p->score.n_tracks; t++)
        for (int i = 0; i < p->score.tracks[t].n_notes; i++)
            json_array_append_new(list, note_value(&p->score.tracks[t].notes[i], p->score.tracks[t].name));
    json_object_set_new(root, "notes", list);
}

static void write_figures(json_t *root, const infer_plan *p)
{
    json_t *o = json_object(), *list = json_array();
    json_object_set_new(o, "vocal", real_value(round(p->vocal_lufs * 100) / 100));
    json_object_set_new(o, "mix", real_value(round(p->mix_lufs * 100) / 100));
    json_object_set_new(o, "true_peak", real_value(round(p->true_peak_dbtp * 100) / 100));
    json_object_set_new(root, "loudness", o);
    for (int i = 0; i < p->n_stages; i++) {
        o = json_object();
        json_object_set_new(o, "name", json_string(p->stages[i].name));
        json_object_set_new(o, "seconds", json_real(round(p->stages[i].seconds * 1000) / 1000));
        json_array_append_new(list, o);
    }
    json_object_set_new(root, "stages", list);
    json_object_set_new(root, "seconds", json_real(round(p->seconds * 1000) / 1000));
    json_object_set_new(root, "peak_rss_mb", json_real(round(p->peak_rss_mb * 10) / 10));

    o = json_object();
    for (int i = 0; i < N_PARTS; i++) {
        char text[24];
        const json_t *value = present(root, parts[i].key);
        if (!value)
            continue;
        snprintf(text, sizeof text, "%016llx", (unsigned long long)fingerprint(value));
        json_object_set_new(o, parts[i].key, json_string(text));
    }
    json_object_set_new(root, "made_from", o);
}

/* One line a key, one line a list item that is an object: what people edit stands by itself. */
typedef struct text_buffer {
    char  *text;
    size_t n, capacity;
    int    failed;
} text_buffer;

static void append(text_buffer *b, const char *text)
{
    const size_t n = text ? strlen(text) : 0;
    if (b->n + n + 1 > b->capacity) {
        const size_t capacity = 2 * (b->n + n) + 4096;
        char *bigger = realloc(b->text, capacity);
        if (!bigger) {
            b->failed = 1;
            return;
        }
        b->text = bigger;
        b->capacity = capacity;
    }
    if (!text) {
        b->failed = 1;
        return;
    }
    memcpy(b->text + b->n, text, n + 1);
    b->n += n;
}

static void append_value(text_buffer *b, const json_t *value)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(10));
    append(b, text);
    free(text);
}

static void append_list(text_buffer *b, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        append(b, i ? ",\n  " : "[\n  ");
        append_value(b, json_array_get(list, i));
    }
    append(b, "\n ]");
}

char *infer_plan_text(const infer_plan *plan, bl_error *err)
{
    json_t *root = json_object(), *value;
    text_buffer b = { 0 };
    const char *key;
    if (root) {
        write_heard(root, plan);
        write_wanted(root, plan);
        write_figures(root, plan);
        append(&b, "{");
        json_object_foreach(root, key, value) {
            append(&b, b.n > 1 ? ",\n \"" : "\n \"");
            append(&b, key);
            append(&b, "\": ");
            if (json_is_object(json_array_get(value, 0)))
                append_list(&b, value);
            else
                append_value(&b, value);
        }
        append(&b, "\n}\n");
    }
    if (!root || b.failed) {
        free(b.text);
        b.text = NULL;
        bl_fail(err, BL_ENOMEM, "no memory for the report");
    }
    json_decref(root);
    return b.text;
}

bl_status infer_plan_write(const char *path, const infer_plan *plan, bl_error *err)
{
    char *text = infer_plan_text(plan, err);
    if (!text)
        return BL_ENOMEM;
    const bl_status status = bl_write_file(path, text, strlen(text), err);
    free(text);
    return status;
}
