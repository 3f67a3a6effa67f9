#include "infer/plan_private.h"

#include "audio/key.h"
#include "base/file.h"
#include "data/instruments.h"
#include "music/chord.h"
#include "music/instrument.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BYTES = 256 << 20, MAX_ITEMS = 1000000 };
static const double MAX_TIME_S = 1e6;

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

const json_t *infer_plan_present(const json_t *root, const char *key)
{
    const json_t *value = json_object_get(root, key);
    return value && !json_is_null(value) ? value : NULL;
}

/* A list of no more than MAX_ITEMS. */
static bl_status list_of(const reader *r, const json_t *list, const char *key, const char *what, size_t *n)
{
    *n = json_array_size(list);
    if (!json_is_array(list))
        return expected(r, key, what, list);
    return *n <= MAX_ITEMS ? BL_OK : bl_fail(r->err, BL_EFORMAT, "%s: %s: more than %d of them", r->name, key, MAX_ITEMS);
}

static bl_status times(const reader *r, const json_t *list, const char *key, double **out, int *n)
{
    char where[64];
    size_t count;
    if (list_of(r, list, key, "a list of seconds", &count) != BL_OK)
        return r->err->code;
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

static bl_status read_sheet(const reader *r, const json_t *text, infer_plan *p)
{
    bl_error own = { 0 };
    if (music_chord_sheet_parse(json_string_value(text), "chords", &p->sheet, &own) == BL_OK)
        return BL_OK;
    return bl_fail(r->err, own.code, "%s: %s%s", r->name, strncmp(own.msg, "chords", 6) ? "chords: " : "", own.msg);
}

static bl_status read_chords(const reader *r, const json_t *list, infer_plan *p)
{
    char where[64];
    size_t n;
    if (list_of(r, list, "chords", "a list, or a chord sheet as a text", &n) != BL_OK)
        return r->err->code;
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
        const json_t *sure = json_object_get(item, "confidence");
        c->confidence = json_is_number(sure) ? json_number_value(sure) : 0;
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
    size_t n;
    if (list_of(r, list, "melody", "a list", &n) != BL_OK)
        return r->err->code;
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

/* Earlier reports have sections without an end: the arranger's, which follow from the rest. They are not obeyed. */
static bl_status read_sections(const reader *r, const json_t *list, infer_plan *p)
{
    char where[64], place[96];
    size_t n;
    if (list_of(r, list, "sections", "a list", &n) != BL_OK)
        return r->err->code;
    if (n && !json_object_get(json_array_get(list, 0), "end") && json_object_get(json_array_get(list, 0), "name"))
        return BL_OK;
    if (!(p->sections = calloc(n ? n : 1, sizeof *p->sections)))
        return bl_fail(r->err, BL_ENOMEM, "%s: no memory for %zu sections", r->name, n);
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(list, i);
        infer_section *s = &p->sections[i];
        snprintf(where, sizeof where, "sections[%zu]", i);
        if (span(r, item, where, "start", "end", &s->start_s, &s->end_s) != BL_OK)
            return r->err->code;
        const char *label = json_string_value(json_object_get(item, "label")), *name = json_string_value(json_object_get(item, "name"));
        snprintf(place, sizeof place, "%s.label", where);
        if (!label || !*label || strlen(label) >= sizeof s->label)
            return expected(r, place, "a name such as \"A\" or \"verse\", of up to 31 letters", json_object_get(item, "label"));
        strcpy(s->label, label);
        snprintf(s->name, sizeof s->name, "%s", name ? name : "");
        snprintf(place, sizeof place, "%s.start", where);
        if (i && s->start_s < p->sections[i - 1].end_s - 1e-4)
            return expected(r, place, "a time not before the end of the section before it", json_object_get(item, "start"));
    }
    p->n_sections = (int)n;
    p->has |= INFER_HAS_SECTIONS;
    return BL_OK;
}

static bl_status read_phrases(const reader *r, const json_t *list, infer_plan *p)
{
    char where[64];
    size_t n;
    if (list_of(r, list, "phrases", "a list", &n) != BL_OK)
        return r->err->code;
    if (!(p->phrases = calloc(n ? n : 1, sizeof *p->phrases)))
        return bl_fail(r->err, BL_ENOMEM, "%s: no memory for %zu phrases", r->name, n);
    for (size_t i = 0; i < n; i++) {
        snprintf(where, sizeof where, "phrases[%zu]", i);
        if (span(r, json_array_get(list, i), where, "start", "end", &p->phrases[i].start_s, &p->phrases[i].end_s) != BL_OK)
            return r->err->code;
        if (i && p->phrases[i].start_s < p->phrases[i - 1].end_s - 1e-4)
            return bl_fail(r->err, BL_EFORMAT, "%s: %s.start: %g lies before the end of the phrase before it", r->name, where,
                           p->phrases[i].start_s);
    }
    p->n_phrases = (int)n;
    p->has |= INFER_HAS_PHRASES;
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
    size_t count;
    if (list_of(r, list, "notes", "a list", &count) != BL_OK)
        return r->err->code;
    for (size_t i = 0; i < count; i++) {
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
        const json_t *accepted = infer_plan_present(item, "accepted"), *other = infer_plan_present(item, "replaced_by");
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
    const json_t *probability = infer_plan_present(value, "probability");
    if (!json_is_string(name) || !*json_string_value(name) || strlen(json_string_value(name)) >= sizeof p->genre)
        return expected(r, json_is_object(value) ? "genre.name" : "genre", "the name of a genre", json_is_object(value) ? name : value);
    data_genre_normalise(json_string_value(name), p->genre, sizeof p->genre);
    if (probability && number(r, probability, "genre.probability", 0, 1, &p->genre_probability) != BL_OK)
        return r->err->code;
    p->genre_given = json_is_true(json_object_get(value, "given"));
    const struct { const char *key; char *like; } likes[] = {
        { "band_like", p->genre_band }, { "chords_like", p->genre_chords }, { "sounds_like", p->genre_sounds } };
    for (size_t i = 0; i < sizeof likes / sizeof *likes; i++) { /* what was taken; looked up afresh where it is used again */
        const json_t *like = json_object_get(value, likes[i].key);
        snprintf(likes[i].like, sizeof p->genre_band, "%.63s", json_is_string(like) ? json_string_value(like) : "");
    }
    return BL_OK;
}

static bl_status read_heard(const reader *r, const json_t *root, unsigned stale, infer_plan *p)
{
    const json_t *v;
    if ((v = infer_plan_present(root, "tempo"))) {
        if (number(r, v, "tempo", INFER_PLAN_LEAST_BPM, INFER_PLAN_MOST_BPM, &p->tempo_bpm) != BL_OK)
            return r->err->code;
        p->has |= INFER_HAS_TEMPO;
    }
    if ((v = infer_plan_present(root, "beats")) && !(stale & INFER_HAS_BEATS)) {
        if (times(r, v, "beats", &p->beats_s, &p->n_beats) != BL_OK)
            return r->err->code;
        if (p->n_beats < 2 || p->n_beats > 1000000)
            return bl_fail(r->err, BL_EFORMAT, "%s: beats: expected two or more, got %d", r->name, p->n_beats);
        p->has |= INFER_HAS_BEATS;
    }
    if ((v = infer_plan_present(root, "meter"))) {
        if (whole(r, v, "meter", INFER_PLAN_LEAST_METER, INFER_PLAN_MOST_METER, &p->beats_per_bar) != BL_OK)
            return r->err->code;
        p->has |= INFER_HAS_METER;
    }
    if ((v = infer_plan_present(root, "downbeats")) && !(stale & INFER_HAS_DOWNBEATS)) {
        if (times(r, v, "downbeats", &p->downbeats_s, &p->n_downbeats) != BL_OK)
            return r->err->code;
        p->has |= INFER_HAS_DOWNBEATS;
    }
    if ((v = infer_plan_present(root, "key"))) {
        audio_key key;
        bl_error own = { 0 };
        if (!json_is_string(v) || audio_key_parse(json_string_value(v), &key, &own) != BL_OK)
            return expected(r, "key", "a key such as \"A minor\"", v);
        snprintf(p->key, sizeof p->key, "%s", key.name);
        p->has |= INFER_HAS_KEY;
    }
    if ((v = infer_plan_present(root, "tuning")) && number(r, v, "tuning", -100, 100, &p->tuning_cents) != BL_OK)
        return r->err->code;
    if ((v = infer_plan_present(root, "chords")) && !(stale & INFER_HAS_CHORDS)) {
        if ((json_is_string(v) ? read_sheet(r, v, p) : read_chords(r, v, p)) != BL_OK)
            return r->err->code;
        if (!json_is_string(v))
            p->has |= INFER_HAS_CHORDS;
    }
    if ((v = infer_plan_present(root, "melody"))) {
        if (read_melody(r, v, p) != BL_OK)
            return r->err->code;
        p->has |= INFER_HAS_MELODY;
    }
    if ((v = infer_plan_present(root, "sections")) && !(stale & INFER_HAS_SECTIONS) && read_sections(r, v, p) != BL_OK)
        return r->err->code;
    if ((v = infer_plan_present(root, "phrases")) && !(stale & INFER_HAS_PHRASES))
        return read_phrases(r, v, p);
    return BL_OK;
}

/* The notes, and what of them is out of date; none when everything is. */
static bl_status read_dated_notes(const reader *r, const json_t *root, const json_t *list, unsigned stale, infer_plan *p)
{
    unsigned edited;
    const unsigned all_stale = infer_plan_stale(root, INFER_HAS_CHORDS | INFER_HAS_NOTES, &edited);
    const int by_bars = !((edited | all_stale) & INFER_HAS_DOWNBEATS);
    if (!by_bars && stale & INFER_HAS_NOTES)
        return BL_OK;
    if (read_notes(r, list, p) != BL_OK)
        return r->err->code;
    p->has |= INFER_HAS_NOTES;
    if (!by_bars || !infer_plan_read_origin(root, p)) {
        if (stale & INFER_HAS_NOTES)
            infer_plan_forget(p, INFER_HAS_NOTES);
        return BL_OK;
    }
    p->origin.stale = (all_stale & INFER_HAS_NOTES) != 0;
    if (p->origin.stale && !infer_plan_any_by_hand(p))
        infer_plan_forget(p, INFER_HAS_NOTES);
    return BL_OK;
}

/* null: could not be measured. */
static bl_status level_number(const reader *r, const json_t *item, const char *where, const char *key, double *out)
{
    char place[96];
    const json_t *value = infer_plan_present(item, key);
    snprintf(place, sizeof place, "%s.%s", where, key);
    *out = (double)NAN;
    return value ? number(r, value, place, -200, 200, out) : BL_OK;
}

static bl_status read_levels(const reader *r, const json_t *list, infer_plan *p)
{
    char where[64], place[96];
    size_t n;
    if (list_of(r, list, "levels", "a list", &n) != BL_OK)
        return r->err->code;
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(list, i), *name = json_object_get(item, "instrument");
        infer_level level;
        snprintf(where, sizeof where, "levels[%zu]", i);
        snprintf(place, sizeof place, "levels[%zu].instrument", i);
        const int is_song = json_is_string(name) && !strcmp(json_string_value(name), "song");
        if (!is_song && instrument_name(r, name, place, level.instrument) != BL_OK)
            return r->err->code;
        if (level_number(r, item, where, "loudness", is_song ? &p->sum_lufs : &level.loudness_lufs) != BL_OK ||
            level_number(r, item, where, is_song ? "true_peak" : "phrase", is_song ? &p->sum_dbtp : &level.phrase) != BL_OK)
            return r->err->code;
        if (!is_song && p->n_levels == INFER_MAX_INSTRUMENTS)
            return bl_fail(r->err, BL_EFORMAT, "%s: %s: more than %d instruments", r->name, where, INFER_MAX_INSTRUMENTS);
        if (!is_song && isfinite(level.loudness_lufs) && isfinite(level.phrase))
            p->levels[p->n_levels++] = level;
    }
    p->has |= INFER_HAS_LEVELS;
    return BL_OK;
}

static bl_status read_wanted(const reader *r, const json_t *root, unsigned stale, infer_plan *p)
{
    const json_t *v;
    double seed = 0;
    if ((v = infer_plan_present(root, "genre"))) {
        if (read_genre(r, v, p) != BL_OK)
            return r->err->code;
        p->has |= INFER_HAS_GENRE;
    }
    if ((v = infer_plan_present(root, "instruments"))) {
        if (read_instruments(r, v, p) != BL_OK)
            return r->err->code;
        p->has |= INFER_HAS_INSTRUMENTS;
    }
    if ((v = infer_plan_present(root, "notes")) && read_dated_notes(r, root, v, stale, p) != BL_OK)
        return r->err->code;
    if ((v = infer_plan_present(root, "levels")) && !(stale & INFER_HAS_LEVELS) && read_levels(r, v, p) != BL_OK)
        return r->err->code;
    if ((v = infer_plan_present(root, "intervals"))) {
        if (read_intervals(r, v, p) != BL_OK)
            return r->err->code;
        p->has |= INFER_HAS_INTERVALS;
    }
    if ((v = infer_plan_present(root, "existing"))) {
        const char *text = json_string_value(v);
        if (!text || (strcmp(text, "keep") != 0 && strcmp(text, "drop") != 0))
            return expected(r, "existing", "\"keep\" or \"drop\"", v);
        p->keep_existing = !strcmp(text, "keep");
        p->has |= INFER_HAS_EXISTING;
    }
    if ((v = infer_plan_present(root, "at_least")) && number(r, v, "at_least", 0, 20 * 60, &p->least_s) != BL_OK)
        return r->err->code;
    if ((v = infer_plan_present(root, "seed"))) {
        if (number(r, v, "seed", 0, 9e15, &seed) != BL_OK)
            return r->err->code;
        if (seed != floor(seed))
            return expected(r, "seed", "a whole number", v);
        p->seed = (int64_t)seed;
        p->has |= INFER_HAS_SEED;
    }
    if ((v = infer_plan_present(root, "input"))) {
        const char *kind = json_string_value(json_object_get(v, "kind"));
        if (!kind || (strcmp(kind, "vocal") != 0 && strcmp(kind, "song") != 0 && strcmp(kind, "instrumental") != 0))
            return expected(r, "input.kind", "\"vocal\", \"song\" or \"instrumental\"", json_object_get(v, "kind"));
        snprintf(p->input, sizeof p->input, "%s", kind);
        p->has |= INFER_HAS_INPUT;
    }
    return BL_OK;
}

/* "song.json: notes[3].pitch: ..." as "song.json line 12: notes[3].pitch: ..." */
static bl_status fail_at_line(const char *text, const char *name, const bl_error *own, bl_error *err)
{
    const size_t n = strlen(name);
    char place[96] = "";
    int line = 0;
    if (!strncmp(own->msg, name, n) && !strncmp(own->msg + n, ": ", 2)) {
        snprintf(place, sizeof place, "%.*s", (int)strcspn(own->msg + n + 2, ": "), own->msg + n + 2);
        line = infer_plan_line(text, place);
    }
    return line ? bl_fail(err, own->code, "%s line %d%s", name, line, own->msg + n) : bl_fail(err, own->code, "%s", own->msg);
}

bl_status infer_plan_parse(const char *text, const char *name, infer_plan *plan, bl_error *err)
{
    bl_error own = { 0 };
    const reader r = { name, &own };
    json_error_t why;
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &why);

    infer_plan_init(plan);
    if (!root)
        return bl_fail(err, BL_EFORMAT, "%s line %d column %d: not a plan in JSON: %s", name, why.line, why.column, why.text);
    if (!json_is_object(root))
        expected(&r, "the plan", "an object", root);
    else {
        const unsigned stale = infer_plan_stale(root, 0, NULL);
        if (read_heard(&r, root, stale, plan) == BL_OK)
            read_wanted(&r, root, stale, plan);
        plan->origin.made = json_is_object(json_object_get(root, "made_from"));
    }
    json_decref(root);
    if (own.code == BL_OK)
        return BL_OK;
    infer_plan_free(plan);
    return fail_at_line(text, name, &own, err);
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
