#include "base/file.h"
#include "music/midi_private.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_TICKS = 960, MAX_TICK = 0x0FFFFFFF };

/* What comes first at one tick: ends before starts, but a note without length ends after it started; the bank before
 * the program. */
enum { FIRST, OFF, TELL, PROGRAM, ON, LATE_OFF };

typedef struct bytes {
    uint8_t *data;
    size_t   n, capacity;
    int      failed; /* sticky: looked at once, at the end */
} bytes;

typedef struct event {
    int64_t     tick;
    int         order, index;
    uint8_t     data[12];
    int         n;
    const void *tail;   /* NULL, or what follows data after its own length: a text, a system message */
    int         n_tail;
} event;

typedef struct events {
    event *list;
    int    n, capacity, failed;
} events;

/* Where each tempo starts in the file's own ticks and seconds: rounding never adds up. */
typedef struct tempo_point { double file_s; int64_t tick; int us; } tempo_point;
typedef struct tempo_map { tempo_point *list; int n, ticks_per_quarter; } tempo_map;

/* A program change in front of a note of a track; track -1: one that stands among the track's controls. */
typedef struct change { int track, channel; int64_t tick; uint8_t program; } change;
typedef struct changes { change *list; int n; } changes;

static void put(bytes *b, const void *data, size_t n)
{
    if (b->failed)
        return;
    if (b->capacity - b->n < n) {
        size_t capacity = b->capacity ? b->capacity : 4096;
        while (capacity - b->n < n)
            capacity *= 2;
        uint8_t *larger = realloc(b->data, capacity);
        if (!larger) {
            b->failed = 1;
            return;
        }
        b->data = larger;
        b->capacity = capacity;
    }
    memcpy(b->data + b->n, data, n);
    b->n += n;
}

static void put_number(bytes *b, uint32_t value, int n)
{
    for (int i = n - 1; i >= 0; i--)
        put(b, &(uint8_t){ (uint8_t)(value >> (8 * i)) }, 1);
}

static void put_variable(bytes *b, uint32_t value)
{
    for (int shift = 21; shift > 0; shift -= 7)
        if (value >> shift)
            put(b, &(uint8_t){ (uint8_t)(0x80 | (value >> shift & 0x7F)) }, 1);
    put(b, &(uint8_t){ (uint8_t)(value & 0x7F) }, 1);
}

static event *add(events *e, int64_t tick, int order, int n, const uint8_t *data)
{
    if (e->n == e->capacity) {
        int capacity = e->capacity ? 2 * e->capacity : 256;
        event *larger = realloc(e->list, (size_t)capacity * sizeof *larger);
        if (!larger) {
            e->failed = 1;
            return NULL;
        }
        e->list = larger;
        e->capacity = capacity;
    }
    event *out = &e->list[e->n];
    *out = (event){ .tick = tick < 0 ? 0 : tick > MAX_TICK ? MAX_TICK : tick, .order = order, .index = e->n, .n = n };
    memcpy(out->data, data, (size_t)n);
    e->n++;
    return out;
}

static void add_with(events *e, int64_t tick, int order, int n, const uint8_t *data, const void *tail, int n_tail)
{
    event *v = add(e, tick, order, n, data);
    if (v) {
        v->tail = tail;
        v->n_tail = n_tail;
    }
}

static void add_text(events *e, int64_t tick, int type, const char *text)
{
    add_with(e, tick, FIRST, 2, (const uint8_t[]){ 0xFF, (uint8_t)type }, text, (int)strlen(text));
}

static int compare_events(const void *a, const void *b)
{
    const event *x = a, *y = b;
    if (x->tick != y->tick)
        return x->tick < y->tick ? -1 : 1;
    return x->order != y->order ? x->order - y->order : x->index - y->index;
}

/* Sorts the events and writes them as one chunk, end of track included. */
static void put_track(bytes *b, events *e)
{
    if (e->n > 1)
        qsort(e->list, (size_t)e->n, sizeof *e->list, compare_events);
    put(b, "MTrk", 4);
    size_t length_at = b->n;
    put_number(b, 0, 4);
    int64_t tick = 0;
    for (int i = 0; i < e->n; i++) {
        const event *v = &e->list[i];
        put_variable(b, (uint32_t)(v->tick - tick));
        tick = v->tick;
        put(b, v->data, (size_t)v->n);
        if (v->tail) {
            put_variable(b, (uint32_t)v->n_tail);
            put(b, v->tail, (size_t)v->n_tail);
        }
    }
    put(b, (const uint8_t[]){ 0, 0xFF, 0x2F, 0 }, 4);
    if (b->failed)
        return;
    uint32_t length = (uint32_t)(b->n - length_at - 4);
    for (int i = 0; i < 4; i++)
        b->data[length_at + (size_t)i] = (uint8_t)(length >> (24 - 8 * i));
    e->n = 0;
}

static int64_t to_tick(const tempo_map *map, double time_s)
{
    int low = 0, high = map->n - 1;
    while (low < high) { /* the last point not after time_s */
        const int mid = (low + high + 1) / 2;
        if (map->list[mid].file_s > time_s)
            high = mid - 1;
        else
            low = mid;
    }
    const tempo_point *p = &map->list[low];
    const double ticks = (time_s - p->file_s) * map->ticks_per_quarter * 1e6 / p->us;
    return p->tick + (int64_t)llround(fmin(fmax(ticks, -MAX_TICK), MAX_TICK));
}

/* Tempos in order of time; the first holds from 0 on. 0: no memory. */
static int build_map(const music_score *score, tempo_map *map)
{
    const int ticks = score->ticks_per_quarter;
    map->ticks_per_quarter = ticks >= 1 && ticks <= 32767 ? ticks : DEFAULT_TICKS;
    map->list = malloc((size_t)(score->n_tempos + 1) * sizeof *map->list);
    if (!map->list)
        return 0;
    for (int i = 0; i < score->n_tempos; i++) {
        const double bpm = fmin(fmax(score->tempos[i].bpm, 3.6), 6e7);
        const int us = (int)lround(6e7 / bpm);
        if (map->n == 0) {
            map->list[map->n++] = (tempo_point){ 0, 0, us };
            continue;
        }
        const int64_t tick = to_tick(map, score->tempos[i].time_s);
        tempo_point *last = &map->list[map->n - 1];
        if (tick <= last->tick)
            last->us = us;
        else
            map->list[map->n++] = (tempo_point){ last->file_s + (double)(tick - last->tick) * last->us * 1e-6 / map->ticks_per_quarter, tick, us };
    }
    if (map->n == 0)
        map->list[map->n++] = (tempo_point){ 0, 0, 500000 };
    return 1;
}

static void conductor(events *e, const music_score *score, const tempo_map *map)
{
    if (*score->title)
        add_text(e, 0, 0x03, score->title);
    for (int i = 0; i < score->n_sysex; i++)
        add_with(e, to_tick(map, score->sysex[i].time_s), FIRST, 1, (const uint8_t[]){ 0xF0 }, score->sysex[i].bytes, score->sysex[i].n);
    for (int i = 0; i < map->n; i++) {
        const int us = map->list[i].us;
        add(e, map->list[i].tick, FIRST, 6, (const uint8_t[]){ 0xFF, 0x51, 3, (uint8_t)(us >> 16), (uint8_t)(us >> 8), (uint8_t)us });
    }
    for (int i = 0; i < score->n_meters; i++) {
        const music_meter *m = &score->meters[i];
        int power = 0;
        while (1 << power < m->denominator && power < 6)
            power++;
        const int top = m->numerator < 1 ? 1 : m->numerator > 255 ? 255 : m->numerator;
        add(e, to_tick(map, m->time_s), FIRST, 7, (const uint8_t[]){ 0xFF, 0x58, 4, (uint8_t)top, (uint8_t)power, 24, 8 });
    }
    for (int i = 0; i < score->n_keys; i++) {
        const music_key_change *k = &score->keys[i];
        const int fifths = k->fifths < -7 ? -7 : k->fifths > 7 ? 7 : k->fifths;
        add(e, to_tick(map, k->time_s), FIRST, 5, (const uint8_t[]){ 0xFF, 0x59, 2, (uint8_t)(int8_t)fifths, k->minor ? 1 : 0 });
    }
    for (int i = 0; i < score->n_markers; i++)
        add_text(e, to_tick(map, score->markers[i].time_s), 0x06, score->markers[i].text);
    for (int i = 0; i < score->n_lyrics; i++)
        add_text(e, to_tick(map, score->lyrics[i].time_s), 0x05, score->lyrics[i].text);
}

/* ---- chords ---- */

/* Whether nothing sounds between this chord and the next, or the end. */
static int gap_after(const music_score *score, int i, double end_s)
{
    const double next_s = i + 1 == score->n_chords ? end_s : score->chords[i + 1].start_s - 1e-3;
    return score->chords[i].end_s < next_s;
}

/* Chord names as lyrics, unless the song has words of its own. */
static void chord_lyrics(events *e, const music_score *score, const tempo_map *map, double end_s)
{
    for (int i = 0; i < score->n_chords && !score->n_lyrics; i++) {
        add_text(e, to_tick(map, score->chords[i].start_s), 0x05, score->chords[i].name);
        if (gap_after(score, i, end_s))
            add_text(e, to_tick(map, score->chords[i].end_s), 0x05, "N");
    }
}

/* The same for notation programs, which look for chords in a track of notes. */
static void chord_events(events *e, const music_score *score, const tempo_map *map, double end_s)
{
    uint8_t data[10];
    for (int i = 0; i < score->n_chords; i++) {
        music_midi_chord_event(score->chords[i].name, data);
        add(e, to_tick(map, score->chords[i].start_s), FIRST, sizeof data, data);
        if (!gap_after(score, i, end_s))
            continue;
        music_midi_chord_event("N", data);
        add(e, to_tick(map, score->chords[i].end_s), FIRST, sizeof data, data);
    }
}

/* ---- channels and programs ---- */

static int clamp(int v, int low, int high)
{
    return v < low ? low : v > high ? high : v;
}

/* Channel of each track: the one it has; else a free one; else that of a track of the same program, or in turn. */
static void assign_channels(const music_score *score, uint8_t *channel)
{
    int owner[16], turn = 0;
    for (int c = 0; c < 16; c++)
        owner[c] = -1;
    for (int i = 0; i < score->n_tracks; i++) {
        const music_track *t = &score->tracks[i];
        const int own = t->is_drums ? MIDI_DRUM_CHANNEL : t->channel - 1;
        channel[i] = own >= 0 && own < 16 && (own != MIDI_DRUM_CHANNEL || t->is_drums) ? (uint8_t)own : 255;
        if (channel[i] != 255 && owner[channel[i]] < 0)
            owner[channel[i]] = i;
    }
    for (int i = 0; i < score->n_tracks; i++) {
        int found = -1;
        for (int c = 0; c < 16 && found < 0; c++)
            found = c != MIDI_DRUM_CHANNEL && owner[c] < 0 ? c : -1;
        for (int c = 0; c < 16 && found < 0; c++)
            found = c != MIDI_DRUM_CHANNEL && score->tracks[owner[c]].program == score->tracks[i].program ? c : -1;
        if (channel[i] != 255)
            continue;
        if (found < 0) {
            found = turn++ % 15;
            found += found >= MIDI_DRUM_CHANNEL;
        }
        channel[i] = (uint8_t)found;
        if (owner[found] < 0)
            owner[found] = i;
    }
}

static int compare_changes(const void *a, const void *b)
{
    const change *x = a, *y = b;
    if (x->channel != y->channel)
        return x->channel - y->channel;
    if (x->tick != y->tick)
        return x->tick < y->tick ? -1 : 1;
    return x->track - y->track;
}

static int is_bank(const music_control *c)
{
    return c->kind == MUSIC_CONTROLLER && (c->a == MUSIC_CC_BANK || c->a == MUSIC_CC_BANK_LOW);
}

/* Where a channel must be told its program: at the start, and where a track with another one takes over. A channel that
 * selects banks has program 0 until it is told otherwise, as a program change would make the bank count. 0: no memory. */
static int find_changes(const music_score *score, const uint8_t *channel, const tempo_map *map, changes *out)
{
    size_t most = 1;
    int n = 0, kept = 0, current = -1, banks[16] = { 0 };
    for (int i = 0; i < score->n_tracks; i++)
        most += (size_t)score->tracks[i].n_notes + (size_t)score->tracks[i].n_controls;
    change *list = malloc(most * sizeof *list);
    if (!list)
        return 0;
    for (int i = 0; i < score->n_tracks; i++) {
        const music_track *t = &score->tracks[i];
        for (int k = 0; k < t->n_notes; k++)
            list[n++] = (change){ i, channel[i], to_tick(map, fmax(t->notes[k].onset_s, 0)), (uint8_t)clamp(t->program, 0, 127) };
        for (int k = 0; k < t->n_controls; k++) {
            banks[channel[i]] |= is_bank(&t->controls[k]);
            if (t->controls[k].kind == MUSIC_PROGRAM)
                list[n++] = (change){ -1, channel[i], to_tick(map, t->controls[k].time_s), t->controls[k].a };
        }
    }
    if (n > 1)
        qsort(list, (size_t)n, sizeof *list, compare_changes);
    for (int i = 0; i < n; i++) {
        const int first = i == 0 || list[i - 1].channel != list[i].channel;
        const change c = list[i];
        if (first)
            current = banks[c.channel] ? 0 : -1;
        if (c.track >= 0 && c.program != current) {
            list[kept] = c;
            if (first && !banks[c.channel]) /* where programs look for it */
                list[kept].tick = 0;
            kept++;
        }
        current = c.program;
    }
    *out = (changes){ list, kept };
    return 1;
}

/* ---- notes ---- */

static int compare_note_pointers(const void *a, const void *b)
{
    const music_note *x = *(const music_note *const *)a, *y = *(const music_note *const *)b;
    if (x->onset_s != y->onset_s)
        return x->onset_s < y->onset_s ? -1 : 1;
    if (x->pitch != y->pitch)
        return x->pitch - y->pitch;
    return x->offset_s != y->offset_s ? (x->offset_s < y->offset_s ? -1 : 1) : x->velocity - y->velocity;
}

static bl_status track_notes(events *e, const music_track *t, int channel, const tempo_map *map, bl_error *err)
{
    const music_note **order = malloc((size_t)(t->n_notes + 1) * sizeof *order);
    if (!order)
        return bl_fail(err, BL_ENOMEM, "no memory for %d notes", t->n_notes);
    for (int i = 0; i < t->n_notes; i++)
        order[i] = &t->notes[i];
    if (t->n_notes > 1)
        qsort(order, (size_t)t->n_notes, sizeof *order, compare_note_pointers);
    for (int i = 0; i < t->n_notes; i++) {
        const music_note *note = order[i];
        const uint8_t p = (uint8_t)clamp(note->pitch, 0, 127);
        const int64_t on = to_tick(map, fmax(note->onset_s, 0));
        int64_t off = to_tick(map, fmax(note->offset_s, 0));
        if (off <= on)
            off = on + (note->offset_s > note->onset_s);
        add(e, on, ON, 3, (const uint8_t[]){ (uint8_t)(0x90 | channel), p, (uint8_t)clamp(note->velocity, 1, 127) });
        add(e, off, off > on ? OFF : LATE_OFF, 3, (const uint8_t[]){ (uint8_t)(0x80 | channel), p, 64 });
    }
    free(order);
    return e->failed ? bl_fail(err, BL_ENOMEM, "no memory for %d notes", t->n_notes) : BL_OK;
}

static void track_controls(events *e, const music_track *t, int channel, const tempo_map *map)
{
    for (int i = 0; i < t->n_controls; i++) {
        const music_control *c = &t->controls[i];
        const int kind = c->kind & 0xF0;
        if (kind >= 0xA0 && kind <= 0xE0)
            add(e, to_tick(map, fmax(c->time_s, 0)), TELL, kind == 0xC0 || kind == 0xD0 ? 2 : 3,
                (const uint8_t[]){ (uint8_t)(kind | channel), c->a & 127, c->b & 127 });
    }
}

static bl_status put_score(const music_score *score, const tempo_map *map, const uint8_t *channel, const changes *told, events *e, bytes *b, bl_error *err)
{
    const double end_s = music_score_end_s(score);
    int chords_told = 0;
    put(b, "MThd", 4);
    put_number(b, 6, 4);
    put_number(b, 1, 2);
    put_number(b, (uint32_t)score->n_tracks + 1, 2);
    put_number(b, (uint32_t)map->ticks_per_quarter, 2);
    conductor(e, score, map);
    chord_lyrics(e, score, map, end_s);
    put_track(b, e);
    for (int i = 0; i < score->n_tracks; i++) {
        const music_track *t = &score->tracks[i];
        add_text(e, 0, 0x03, t->name);
        if (!t->is_drums && t->n_notes && !chords_told++)
            chord_events(e, score, map, end_s);
        for (int k = 0; k < told->n; k++)
            if (told->list[k].track == i)
                add(e, told->list[k].tick, PROGRAM, 2, (const uint8_t[]){ (uint8_t)(0xC0 | channel[i]), told->list[k].program });
        track_controls(e, t, channel[i], map);
        if (track_notes(e, t, channel[i], map, err) != BL_OK)
            return BL_ENOMEM;
        put_track(b, e);
    }
    return b->failed || e->failed ? BL_ENOMEM : BL_OK;
}

bl_status music_midi_format(const music_score *score, uint8_t **data, size_t *n_bytes, bl_error *err)
{
    bytes b = { 0 };
    events e = { 0 };
    tempo_map map = { 0 };
    changes told = { 0 };
    bl_status s = BL_ENOMEM; /* until all is done */
    if (score->n_tracks >= 65535)
        return bl_fail(err, BL_EARG, "%d tracks are too many for a MIDI file", score->n_tracks);
    uint8_t *channels = malloc((size_t)score->n_tracks + 1);
    if (channels && build_map(score, &map)) {
        assign_channels(score, channels);
        if (find_changes(score, channels, &map, &told))
            s = put_score(score, &map, channels, &told, &e, &b, err);
    }
    free(channels);
    free(map.list);
    free(told.list);
    free(e.list);
    if (s != BL_OK) {
        free(b.data);
        return bl_fail(err, s, "no memory for a MIDI file of %d tracks", score->n_tracks);
    }
    *data = b.data;
    *n_bytes = b.n;
    return BL_OK;
}

bl_status music_midi_write(const char *path, const music_score *score, bl_error *err)
{
    uint8_t *data = NULL;
    size_t n = 0;
    bl_status s = music_midi_format(score, &data, &n, err);
    if (s == BL_OK)
        s = bl_write_file(path, data, n, err);
    free(data);
    return s;
}
