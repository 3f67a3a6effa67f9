/* From ticks to a score: the tempo map, which program a note sounds with, tracks, texts. */
#include "music/chord.h"
#include "music/instrument.h"
#include "music/midi_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One (MIDI track, channel, program). */
typedef struct part { int source, channel, program; } part;

typedef struct parts {
    part *list;
    int   n, capacity;
    int  *of_note;   /* [n_notes] */
} parts;

/* Tempo map with the seconds at which each tempo starts. */
typedef struct tempo_map {
    const midi_timed *tempos;
    double           *start_s;
    int               n;
    double            ticks_per_second; /* SMPTE, else 0       */
    double            division;
} tempo_map;

/* Ticks per quarter that SMPTE time is given at 120 beats a minute: every rate and most resolutions divide it. */
enum { SMPTE_TICKS = 30000 };

static int compare_timed(const void *a, const void *b)
{
    const midi_timed *x = a, *y = b;
    return x->tick != y->tick ? (x->tick < y->tick ? -1 : 1) : x->order - y->order;
}

static void sort_timed(midi_timed *list, int n)
{
    if (n > 1)
        qsort(list, (size_t)n, sizeof *list, compare_timed);
}

static double to_seconds(const tempo_map *m, int64_t tick)
{
    if (m->ticks_per_second > 0)
        return (double)tick / m->ticks_per_second;
    int low = 0, high = m->n; /* last tempo at or before tick; -1: 120 bpm from the start */
    while (low < high) {
        int mid = (low + high) / 2;
        if (m->tempos[mid].tick <= tick)
            low = mid + 1;
        else
            high = mid;
    }
    if (low == 0)
        return (double)tick * 0.5 / m->division;
    const midi_timed *t = &m->tempos[low - 1];
    return m->start_s[low - 1] + (double)(tick - t->tick) * (double)t->value * 1e-6 / m->division;
}

static bl_status make_map(midi_reader *r, tempo_map *m)
{
    sort_timed(r->tempos, r->n_tempos);
    *m = (tempo_map){ .tempos = r->tempos, .division = r->division };
    if (r->division & 0x8000) {
        int fps = 256 - (r->division >> 8);
        m->ticks_per_second = (fps == 29 ? 30000.0 / 1001 : fps) * (r->division & 0xFF);
    }
    m->start_s = malloc((size_t)(r->n_tempos + 1) * sizeof *m->start_s);
    if (!m->start_s)
        return bl_fail(r->err, BL_ENOMEM, "%s: no memory for %d tempos", r->name, r->n_tempos);
    for (int i = 0; i < r->n_tempos; i++) {
        m->start_s[i] = to_seconds(m, r->tempos[i].tick); /* by the tempos before it: m->n counts those done */
        m->n = i + 1;
    }
    return BL_OK;
}

static bl_status fill_maps(midi_reader *r, const tempo_map *m, music_score *s)
{
    s->ticks_per_quarter = m->ticks_per_second > 0 ? SMPTE_TICKS : r->division;
    if (m->ticks_per_second == 0) {
        if (r->n_tempos == 0 || r->tempos[0].tick > 0)
            if (music_score_add_tempo(s, 0, 120, r->err) != BL_OK)
                return BL_ENOMEM;
        for (int i = 0; i < r->n_tempos; i++)
            if (i + 1 == r->n_tempos || r->tempos[i + 1].tick > r->tempos[i].tick) /* of several at once the last counts */
                if (music_score_add_tempo(s, m->start_s[i], 6e7 / (double)r->tempos[i].value, r->err) != BL_OK)
                    return BL_ENOMEM;
    }
    sort_timed(r->meters, r->n_meters);
    sort_timed(r->keys, r->n_keys);
    for (int i = 0; i < r->n_meters; i++) {
        const midi_timed *v = &r->meters[i];
        if (i && v->tick == v[-1].tick && v->value == v[-1].value) /* every track may say the same */
            continue;
        if (music_score_add_meter(s, to_seconds(m, v->tick), (int)(v->value >> 8), 1 << (v->value & 255), r->err) != BL_OK)
            return BL_ENOMEM;
    }
    for (int i = 0; i < r->n_keys; i++) {
        const midi_timed *v = &r->keys[i];
        if (i && v->tick == v[-1].tick && v->value == v[-1].value)
            continue;
        if (music_score_add_key(s, to_seconds(m, v->tick), (int)(v->value >> 1) - 7, (int)(v->value & 1), r->err) != BL_OK)
            return BL_ENOMEM;
    }
    for (int i = 0; i < r->n_sysex; i++)
        if (music_score_add_sysex(s, to_seconds(m, r->sysex[i].tick), r->sysex[i].bytes, r->sysex[i].n, r->err) != BL_OK)
            return BL_ENOMEM;
    return BL_OK;
}

/* ---- parts ---- */

static int compare_programs(const void *a, const void *b)
{
    const int64_t x = ((const midi_timed *)a)->value >> 8, y = ((const midi_timed *)b)->value >> 8;
    return x != y ? (x < y ? -1 : 1) : compare_timed(a, b);
}

/* The program that a note sounds with: the last one its channel was told before it, in whatever track. */
static int program_of(const midi_reader *r, const midi_note *n)
{
    const int64_t key = (int64_t)(r->format == 2 ? n->source : 0) << 8 | n->channel;
    int low = 0, high = r->n_programs;
    while (low < high) {
        const int mid = (low + high) / 2;
        const midi_timed *p = &r->programs[mid];
        const int64_t its = p->value >> 8;
        if (its < key || (its == key && (p->tick < n->on || (p->tick == n->on && p->order < n->order))))
            low = mid + 1;
        else
            high = mid;
    }
    return low > 0 && r->programs[low - 1].value >> 8 == key ? (int)(r->programs[low - 1].value & 127) : 0;
}

static bl_status find_parts(midi_reader *r, parts *p)
{
    int slot[16][128], source = 0;
    p->of_note = malloc(((size_t)r->n_notes + 1) * sizeof *p->of_note);
    if (!p->of_note)
        return bl_fail(r->err, BL_ENOMEM, "%s: no memory for %d notes", r->name, r->n_notes);
    if (r->n_programs > 1)
        qsort(r->programs, (size_t)r->n_programs, sizeof *r->programs, compare_programs);
    for (int i = 0; i < r->n_notes; i++) { /* one MIDI track after the other */
        const midi_note *n = &r->notes[i];
        if (n->source != source) {
            source = n->source;
            memset(slot, -1, sizeof slot);
        }
        const int program = program_of(r, n);
        int *at = &slot[n->channel][program];
        if (*at < 0) {
            if (p->n == p->capacity) {
                const int capacity = p->capacity ? 2 * p->capacity : 32;
                part *larger = realloc(p->list, (size_t)capacity * sizeof *larger);
                if (!larger)
                    return bl_fail(r->err, BL_ENOMEM, "%s: no memory for %d tracks", r->name, p->n);
                p->list = larger;
                p->capacity = capacity;
            }
            p->list[p->n] = (part){ source, n->channel, program };
            *at = p->n++;
        }
        p->of_note[i] = *at;
    }
    return BL_OK;
}

/* ---- tracks ---- */

/* A MIDI track's name is its instrument's where it holds one part. */
static void name_of(const midi_reader *r, const parts *p, int i, char name[64])
{
    const part *v = &p->list[i];
    const music_instrument *in = music_instrument_of_program(v->program);
    const int alone = (i == 0 || p->list[i - 1].source != v->source) && (i + 1 == p->n || p->list[i + 1].source != v->source);
    if (alone && *r->names[v->source - 1].text)
        memcpy(name, r->names[v->source - 1].text, 64);
    else if (v->channel == MIDI_DRUM_CHANNEL)
        strcpy(name, "drums");
    else if (in)
        snprintf(name, 64, "%s", in->name);
    else
        snprintf(name, 64, "%s", music_program_name(v->program));
}

static int compare_controls(const void *a, const void *b)
{
    const midi_control *x = a, *y = b;
    return x->tick != y->tick ? (x->tick < y->tick ? -1 : 1) : x->order - y->order;
}

/* A channel's messages go to the first track that plays on it; where nobody plays nobody hears them. Program changes are
 * kept for channels that select banks, as only they make a selection count; elsewhere the tracks' programs say it all. */
static bl_status fill_controls(midi_reader *r, const tempo_map *m, const parts *p, music_score *s)
{
    int first[16], banks[16] = { 0 };
    memset(first, -1, sizeof first);
    for (int i = 0; i < r->n_controls; i++)
        banks[r->controls[i].channel] |= r->controls[i].kind == MUSIC_CONTROLLER &&
                                         (r->controls[i].a == MUSIC_CC_BANK || r->controls[i].a == MUSIC_CC_BANK_LOW);
    for (int i = p->n - 1; i >= 0; i--)
        first[p->list[i].channel] = i;
    if (r->n_controls > 1)
        qsort(r->controls, (size_t)r->n_controls, sizeof *r->controls, compare_controls);
    for (int i = 0; i < r->n_controls; i++) {
        const midi_control *c = &r->controls[i];
        if (c->kind == MUSIC_PROGRAM && !banks[c->channel])
            continue;
        if (first[c->channel] >= 0 && music_track_add_control(&s->tracks[first[c->channel]],
                (music_control){ to_seconds(m, c->tick), c->kind, c->a, c->b }, r->err) != BL_OK)
            return BL_ENOMEM;
    }
    return BL_OK;
}

static bl_status fill_tracks(midi_reader *r, const tempo_map *m, music_score *s)
{
    parts p = { 0 };
    char name[64];
    bl_status status = find_parts(r, &p);
    for (int i = 0; i < p.n && status == BL_OK; i++) {
        const part *v = &p.list[i];
        name_of(r, &p, i, name);
        music_track *t = music_score_add_track(s, name, v->program, v->channel == MIDI_DRUM_CHANNEL, r->err);
        if (t)
            t->channel = v->channel + 1;
        else
            status = BL_ENOMEM;
    }
    for (int i = 0; i < r->n_notes && status == BL_OK; i++) {
        const midi_note *n = &r->notes[i];
        status = music_track_add(&s->tracks[p.of_note[i]], to_seconds(m, n->on), to_seconds(m, n->off), n->pitch, n->velocity, r->err);
    }
    if (status == BL_OK)
        status = fill_controls(r, m, &p, s);
    for (int i = 0; i < s->n_tracks; i++)
        music_track_sort(&s->tracks[i]);
    /* The first MIDI track's name is the song's, unless it is a track's. */
    if (!p.n || p.list[0].source != 1 || (p.n > 1 && p.list[1].source == 1))
        memcpy(s->title, r->names[0].text, sizeof s->title);
    free(p.list);
    free(p.of_note);
    return status;
}

/* ---- texts ---- */

static int compare_texts(const void *a, const void *b)
{
    const midi_text *x = a, *y = b;
    return x->tick != y->tick ? (x->tick < y->tick ? -1 : 1) : x->order - y->order;
}

/* The chord that a text names, without blanks around it; 0: none that a score can hold. */
static int chord_name(const char *text, char out[16])
{
    music_chord chord;
    size_t n = 0;
    while (*text == ' ')
        text++;
    for (n = strlen(text); n > 0 && text[n - 1] == ' ';)
        n--;
    if (n == 0 || n >= 16)
        return 0;
    memcpy(out, text, n);
    out[n] = '\0';
    return music_chord_parse(out, &chord);
}

static bl_status fill_texts(midi_reader *r, const tempo_map *m, music_score *s)
{
    int n[3] = { 0 }, chords[3] = { 0 }, from = MIDI_TEXT_CHORD; /* by kind; from: the kind that gives the chords */
    char chord[16];
    for (int i = 0; i < r->n_texts; i++) {
        n[r->texts[i].kind]++;
        chords[r->texts[i].kind] += chord_name(r->texts[i].text, chord);
    }
    if (n[MIDI_TEXT_LYRIC] && chords[MIDI_TEXT_LYRIC] == n[MIDI_TEXT_LYRIC])
        from = MIDI_TEXT_LYRIC;
    else if (!n[MIDI_TEXT_CHORD] && chords[MIDI_TEXT_MARKER] == n[MIDI_TEXT_MARKER])
        from = MIDI_TEXT_MARKER;
    if (r->n_texts > 1)
        qsort(r->texts, (size_t)r->n_texts, sizeof *r->texts, compare_texts);
    for (int i = 0; i < r->n_texts; i++) {
        const midi_text *t = &r->texts[i];
        const double time_s = to_seconds(m, t->tick);
        bl_status status = BL_OK;
        if (t->kind == from && chord_name(t->text, chord)) {
            if (s->n_chords)
                s->chords[s->n_chords - 1].end_s = time_s;
            status = music_score_add_chord(s, time_s, time_s, chord, r->err);
        } else if (t->kind == MIDI_TEXT_LYRIC)
            status = music_score_add_lyric(s, time_s, t->text, r->err);
        else if (t->kind == MIDI_TEXT_MARKER)
            status = music_score_add_marker(s, time_s, t->text, r->err);
        if (status != BL_OK)
            return status;
    }
    if (s->n_chords) {
        music_chord_span *last = &s->chords[s->n_chords - 1];
        const double end = music_score_end_s(s);
        last->end_s = end > last->start_s ? end : last->start_s;
    }
    return BL_OK;
}

bl_status music_midi_fill(midi_reader *r, music_score *score)
{
    tempo_map map = { 0 };
    bl_status s = make_map(r, &map);
    if (s == BL_OK)
        s = fill_maps(r, &map, score);
    if (s == BL_OK)
        s = fill_tracks(r, &map, score);
    if (s == BL_OK)
        s = fill_texts(r, &map, score);
    free(map.start_s);
    return s;
}
