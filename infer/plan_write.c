#include "infer/plan_private.h"

#include "base/file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* Of 0 .. 1, to three places. */
static json_t *share_value(double x)
{
    return real_value(round(x * 1000) / 1000);
}

/* The list of a part; null when the plan does not have it. Takes the list. */
static void set_part(json_t *root, const char *key, int has, json_t *list)
{
    json_object_set(root, key, has ? list : json_null());
    json_decref(list);
}

static json_t *times_value(const double *x, int n)
{
    json_t *list = json_array();
    for (int i = 0; i < n; i++)
        json_array_append_new(list, json_real(infer_plan_rounded(x[i])));
    return list;
}

/* The number of times that are not after time_s. */
static int passed(const double *times_s, int n, double time_s)
{
    int low = 0, high = n;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (times_s[middle] <= time_s)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Where in the song that is, for people: bar and beat, from 1 on; bar 0 is what comes before the first downbeat. What comes a little
 * early is meant for the beat. */
static void set_bar(json_t *o, const infer_plan *p, double time_s, int with_beat)
{
    static const double EARLY_S = 0.03;
    const int bar = passed(p->downbeats_s, p->n_downbeats, time_s + EARLY_S);
    if (!(p->has & INFER_HAS_DOWNBEATS) || !p->n_downbeats || p->n_beats < 2)
        return;
    json_object_set_new(o, "bar", json_integer(bar));
    if (!with_beat || !bar)
        return;
    int at = passed(p->beats_s, p->n_beats, time_s);
    at = at < 1 ? 1 : at > p->n_beats - 1 ? p->n_beats - 1 : at;
    const double beat = at + (time_s - p->beats_s[at - 1]) / (p->beats_s[at] - p->beats_s[at - 1]);
    const double from = passed(p->beats_s, p->n_beats, p->downbeats_s[bar - 1] + EARLY_S);
    json_object_set_new(o, "beat", json_real(round((beat - from + 1) * 100) / 100));
}

static json_t *note_value(const infer_plan *p, const music_note *x, const char *instrument)
{
    json_t *o = json_object();
    if (instrument)
        json_object_set_new(o, "instrument", json_string(instrument));
    set_bar(o, p, x->onset_s, 1);
    json_object_set_new(o, "onset", json_real(infer_plan_rounded(x->onset_s)));
    json_object_set_new(o, "offset", json_real(infer_plan_rounded(x->offset_s)));
    json_object_set_new(o, "pitch", json_integer(x->pitch));
    json_object_set_new(o, "velocity", json_integer(x->velocity));
    return o;
}

/* p NULL: without a bar. */
static json_t *span_value(const infer_plan *p, double start_s, double end_s)
{
    json_t *o = json_object();
    if (p) /* what begins with the recording and lasts into the first bar is that bar's */
        set_bar(o, p, p->n_downbeats && start_s < p->downbeats_s[0] && end_s > p->downbeats_s[0] ? p->downbeats_s[0] : start_s, 0);
    json_object_set_new(o, "start", json_real(infer_plan_rounded(start_s)));
    json_object_set_new(o, "end", json_real(infer_plan_rounded(end_s)));
    return o;
}

static void write_heard(json_t *root, const infer_plan *p)
{
    json_t *o = json_object(), *list;
    json_object_set_new(o, "path", text_value(p->path));
    json_object_set_new(o, "duration", json_real(infer_plan_rounded(p->duration_s)));
    json_object_set_new(o, "sample_rate", json_integer(p->sample_rate));
    json_object_set_new(o, "channels", json_integer(p->n_channels));
    json_object_set_new(root, "song", o);
    if (p->least_s > 0)
        json_object_set_new(root, "at_least", json_real(p->least_s));
    o = json_object();
    json_object_set_new(o, "kind", json_string(p->input));
    json_object_set_new(o, "confidence", share_value(p->confidence.input));
    json_object_set_new(root, "input", p->input[0] ? o : json_null());
    if (!p->input[0])
        json_decref(o);

    const int has_tempo = p->has & INFER_HAS_TEMPO && p->tempo_bpm >= INFER_PLAN_LEAST_BPM && p->tempo_bpm <= INFER_PLAN_MOST_BPM;
    const int has_meter = p->has & INFER_HAS_METER && p->beats_per_bar >= INFER_PLAN_LEAST_METER && p->beats_per_bar <= INFER_PLAN_MOST_METER;
    json_object_set_new(root, "tempo", has_tempo ? json_real(p->tempo_bpm) : json_null());
    json_object_set_new(root, "meter", has_meter ? json_integer(p->beats_per_bar) : json_null());
    json_object_set_new(root, "beats", p->has & INFER_HAS_BEATS ? times_value(p->beats_s, p->n_beats) : json_null());
    json_object_set_new(root, "downbeats",
                        p->has & INFER_HAS_DOWNBEATS ? times_value(p->downbeats_s, p->n_downbeats) : json_null());
    json_object_set_new(root, "key", p->has & INFER_HAS_KEY ? json_string(p->key) : json_null());
    json_object_set_new(root, "tuning", real_value(p->tuning_cents));
    list = json_array();
    for (int i = 0; i < p->n_chords; i++) {
        o = span_value(p, p->chords[i].start_s, p->chords[i].end_s);
        json_object_set_new(o, "chord", json_string(p->chords[i].name));
        if (p->chords[i].confidence > 0)
            json_object_set_new(o, "confidence", share_value(p->chords[i].confidence));
        json_array_append_new(list, o);
    }
    set_part(root, "chords", p->has & INFER_HAS_CHORDS, list);
    list = json_array();
    for (int i = 0; i < p->n_melody; i++)
        json_array_append_new(list, note_value(p, &p->melody[i], NULL));
    set_part(root, "melody", p->has & INFER_HAS_MELODY, list);
}

/* What the song consists of, and how sure all that is. */
static void write_form(json_t *root, const infer_plan *p)
{
    const infer_confidence *c = &p->confidence;
    json_t *o, *list = json_array();
    for (int i = 0; i < p->n_sections; i++) {
        o = span_value(p, p->sections[i].start_s, p->sections[i].end_s);
        json_object_set_new(o, "label", text_value(p->sections[i].label));
        json_object_set_new(o, "name", p->sections[i].name[0] ? text_value(p->sections[i].name) : json_null());
        json_array_append_new(list, o);
    }
    set_part(root, "sections", p->has & INFER_HAS_SECTIONS, list);
    list = json_array();
    for (int i = 0; i < p->n_phrases; i++)
        json_array_append_new(list, span_value(NULL, p->phrases[i].start_s, p->phrases[i].end_s));
    set_part(root, "phrases", p->has & INFER_HAS_PHRASES, list);
    list = json_array();
    for (int i = 0; i < p->n_heard; i++) {
        o = json_object();
        json_object_set_new(o, "name", text_value(p->heard[i].name));
        json_object_set_new(o, "probability", share_value(p->heard[i].probability));
        json_array_append_new(list, o);
    }
    json_object_set_new(root, "heard", list);
    o = json_object();
    json_object_set_new(o, "input", share_value(c->input));
    json_object_set_new(o, "tempo", share_value(c->tempo));
    json_object_set_new(o, "other_tempo", c->other_bpm > 0 ? json_real(round(c->other_bpm * 1000) / 1000) : json_null());
    json_object_set_new(o, "meter", share_value(c->meter));
    json_object_set_new(o, "key", share_value(c->key));
    json_object_set_new(o, "genre", share_value(c->genre));
    json_object_set_new(root, "confidence", o);
}

/* The validator's numbers; reading ignores them. */
static void set_evidence(json_t *o, const infer_instrument *e)
{
    json_object_set_new(o, "probability", share_value(e->probability));
    json_object_set_new(o, "table", share_value(e->table));
    json_object_set_new(o, "count", json_integer(llround(e->count)));
    json_object_set_new(o, "songs", json_integer(llround(e->songs)));
    json_object_set_new(o, "threshold", share_value(e->threshold));
    if (e->replaced_by[0])
        json_object_set_new(o, "replacement_probability", share_value(e->replacement_probability));
    json_object_set_new(o, "forced", json_boolean(e->forced));
}

static void write_wanted(json_t *root, const infer_plan *p)
{
    json_t *o, *list;
    if (p->has & INFER_HAS_GENRE) {
        o = json_object();
        json_object_set_new(o, "name", text_value(p->genre));
        json_object_set_new(o, "probability", real_value(p->genre_probability));
        json_object_set_new(o, "given", json_boolean(p->genre_given));
        const struct { const char *key, *like; } likes[] = {
            { "band_like", p->genre_band }, { "chords_like", p->genre_chords }, { "sounds_like", p->genre_sounds } };
        for (size_t i = 0; i < sizeof likes / sizeof *likes; i++)
            if (likes[i].like[0] && strcmp(likes[i].like, p->genre) != 0)
                json_object_set_new(o, likes[i].key, text_value(likes[i].like));
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
        if (e->threshold > 0)
            set_evidence(o, e);
        json_array_append_new(list, o);
    }
    set_part(root, "instruments", p->has & INFER_HAS_INSTRUMENTS, list);
    list = json_array();
    for (int i = 0; i < p->n_intervals; i++)
        json_array_append_new(list, span_value(NULL, p->intervals[i].start_s, p->intervals[i].end_s));
    json_object_set_new(root, "intervals", list);
    json_object_set_new(root, "existing", p->has & INFER_HAS_EXISTING ? json_string(p->keep_existing ? "keep" : "drop") : json_null());
    json_object_set_new(root, "seed", p->has & INFER_HAS_SEED ? json_integer(p->seed) : json_null());
    list = json_array();
    for (int t = 0; t < p->score.n_tracks; t++)
        for (int i = 0; i < p->score.tracks[t].n_notes; i++)
            json_array_append_new(list, note_value(p, &p->score.tracks[t].notes[i], p->score.tracks[t].name));
    set_part(root, "notes", p->has & INFER_HAS_NOTES, list);
}

static json_t *level_value(const char *instrument, double loudness)
{
    json_t *o = json_object();
    json_object_set_new(o, "instrument", text_value(instrument));
    json_object_set_new(o, "loudness", real_value(round(loudness * 1e4) / 1e4));
    return o;
}

static void write_levels(json_t *root, const infer_plan *p)
{
    json_t *list = json_array(), *o;
    for (int i = 0; i < p->n_levels; i++) {
        o = level_value(p->levels[i].instrument, p->levels[i].loudness_lufs);
        json_object_set_new(o, "phrase", real_value(round(p->levels[i].phrase * 1e4) / 1e4));
        json_array_append_new(list, o);
    }
    o = level_value("song", p->sum_lufs);
    json_object_set_new(o, "true_peak", real_value(round(p->sum_dbtp * 1e4) / 1e4));
    json_array_append_new(list, o);
    set_part(root, "levels", p->has & INFER_HAS_LEVELS, list);
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
    for (int i = 0; i < infer_plan_n_parts; i++) {
        char text[24];
        const json_t *value = infer_plan_present(root, infer_plan_parts[i].key);
        if (!value)
            continue;
        snprintf(text, sizeof text, "%016llx", (unsigned long long)infer_plan_fingerprint(value));
        json_object_set_new(o, infer_plan_parts[i].key, json_string(text));
    }
    if (p->has & INFER_HAS_NOTES && p->has & INFER_HAS_DOWNBEATS)
        infer_plan_write_origin(p, o);
    json_object_set_new(root, "made_from", o);
}

/* One line a key, one line a list item that is an object, a few numbers a line: what people edit stands by itself, and a comparison
 * of two plans shows what differs. */
enum { NUMBERS_A_LINE = 8 };

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
    const int numbers = json_is_number(json_array_get(list, 0));
    for (size_t i = 0; i < json_array_size(list); i++) {
        append(b, !i ? "[\n  " : numbers && i % NUMBERS_A_LINE ? ", " : ",\n  ");
        append_value(b, json_array_get(list, i));
    }
    append(b, "\n ]");
}

/* One line a key. */
static void append_keys(text_buffer *b, const json_t *object)
{
    const char *key;
    json_t *value;
    int n = 0;
    json_object_foreach((json_t *)object, key, value) {
        append(b, n++ ? ",\n  \"" : "{\n  \"");
        append(b, key);
        append(b, "\": ");
        append_value(b, value);
    }
    append(b, n ? "\n }" : "{}");
}

char *infer_plan_text(const infer_plan *plan, bl_error *err)
{
    json_t *root = json_object(), *value;
    text_buffer b = { 0 };
    const char *key;
    if (root) {
        write_heard(root, plan);
        write_form(root, plan);
        write_wanted(root, plan);
        write_levels(root, plan);
        write_figures(root, plan);
        append(&b, "{");
        json_object_foreach(root, key, value) {
            append(&b, b.n > 1 ? ",\n \"" : "\n \"");
            append(&b, key);
            append(&b, "\": ");
            if (json_is_object(json_array_get(value, 0)) || json_array_size(value) > NUMBERS_A_LINE)
                append_list(&b, value);
            else if (!strcmp(key, "made_from"))
                append_keys(&b, value);
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
