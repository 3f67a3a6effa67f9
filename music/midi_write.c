#include "base/file.h"
#include "music/chord.h"
#include "music/midi.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TICKS_PER_QUARTER = 960, DRUM_CHANNEL = 9, MAX_TICK = 0x0FFFFFFF };

typedef struct bytes {
    uint8_t *data;
    size_t   n, capacity;
    int      failed; /* sticky: looked at once, at the end */
} bytes;

/* order: what comes first at one tick. */
typedef struct event {
    int64_t     tick;
    int         order, index;
    uint8_t     data[8];
    int         n;
    const char *text; /* behind data, with its length, for meta texts */
} event;

typedef struct events {
    event *list;
    int    n, capacity, failed;
} events;

/* Where each tempo starts in the file's own ticks and seconds: rounding never adds up. */
typedef struct tempo_point { double file_s; int64_t tick; int us; } tempo_point;

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
        if (v->text) {
            put_variable(b, (uint32_t)strlen(v->text));
            put(b, v->text, strlen(v->text));
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

static int64_t to_tick(const tempo_point *map, int n, double time_s)
{
    int i = n - 1;
    while (i > 0 && map[i].file_s > time_s)
        i--;
    double ticks = (time_s - map[i].file_s) * TICKS_PER_QUARTER * 1e6 / map[i].us;
    return map[i].tick + (int64_t)llround(fmin(fmax(ticks, -MAX_TICK), MAX_TICK));
}

/* Tempos in order of time; the first holds from 0 on. Returns how many, 0 without memory. */
static int build_map(const music_score *score, tempo_point **out)
{
    tempo_point *map = malloc((size_t)(score->n_tempos + 1) * sizeof *map);
    if (!map)
        return 0;
    int n = 0;
    for (int i = 0; i < score->n_tempos; i++) {
        double bpm = fmin(fmax(score->tempos[i].bpm, 3.6), 6e6);
        int us = (int)lround(6e7 / bpm);
        if (n == 0) {
            map[n++] = (tempo_point){ 0, 0, us };
            continue;
        }
        int64_t tick = to_tick(map, n, score->tempos[i].time_s);
        const tempo_point *last = &map[n - 1];
        if (tick <= last->tick) {
            map[n - 1].us = us;
            continue;
        }
        map[n] = (tempo_point){ last->file_s + (double)(tick - last->tick) * last->us * 1e-6 / TICKS_PER_QUARTER, tick, us };
        n++;
    }
    if (n == 0)
        map[n++] = (tempo_point){ 0, 0, 500000 };
    *out = map;
    return n;
}

static void add_text(events *e, int64_t tick, int order, int type, const char *text)
{
    event *v = add(e, tick, order, 2, (const uint8_t[]){ 0xFF, (uint8_t)type });
    if (v)
        v->text = text;
}

static void conductor(events *e, const music_score *score, const tempo_point *map, int n_map)
{
    add_text(e, 0, 0, 0x03, "conductor");
    for (int i = 0; i < n_map; i++)
        add(e, map[i].tick, 1, 6, (const uint8_t[]){ 0xFF, 0x51, 3, (uint8_t)(map[i].us >> 16), (uint8_t)(map[i].us >> 8),
                                                     (uint8_t)map[i].us });
    for (int i = 0; i < score->n_meters; i++) {
        const music_meter *m = &score->meters[i];
        int power = 0;
        while (1 << power < m->denominator && power < 6)
            power++;
        int top = m->numerator < 1 ? 1 : m->numerator > 255 ? 255 : m->numerator;
        add(e, to_tick(map, n_map, m->time_s), 2, 7, (const uint8_t[]){ 0xFF, 0x58, 4, (uint8_t)top, (uint8_t)power, 24, 8 });
    }
    if (score->has_key) {
        int fifths = music_key_signature((music_key){ score->key_tonic, score->key_minor });
        add(e, 0, 3, 5, (const uint8_t[]){ 0xFF, 0x59, 2, (uint8_t)(int8_t)fifths, score->key_minor ? 1 : 0 });
    }
    for (int i = 0; i < score->n_markers; i++)
        add_text(e, to_tick(map, n_map, score->markers[i].time_s), 4, 0x06, score->markers[i].text);
    for (int i = 0; i < score->n_chords; i++) {
        add_text(e, to_tick(map, n_map, score->chords[i].start_s), 5, 0x05, score->chords[i].name);
        int gap = i + 1 == score->n_chords ? score->chords[i].end_s < music_score_end_s(score)
                                           : score->chords[i].end_s < score->chords[i + 1].start_s - 1e-3;
        if (gap)
            add_text(e, to_tick(map, n_map, score->chords[i].end_s), 5, 0x05, "N");
    }
}

/* Channel of each track. Fifteen melodic ones in order; later tracks share with one of the same program, else in turn.
 * changes[i] is set where a track shares with another program and must say its own before each note. */
static void assign_channels(const music_score *score, uint8_t *channel, uint8_t *changes)
{
    int used = 0, owner[16], turn = 0;
    for (int i = 0; i < score->n_tracks; i++) {
        const music_track *t = &score->tracks[i];
        changes[i] = 0;
        if (t->is_drums) {
            channel[i] = DRUM_CHANNEL;
            continue;
        }
        if (used < 15) {
            channel[i] = (uint8_t)(used < DRUM_CHANNEL ? used : used + 1);
            owner[used++] = i;
            continue;
        }
        int same = -1;
        for (int k = 0; k < 15 && same < 0; k++)
            if (score->tracks[owner[k]].program == t->program)
                same = k;
        int k = same >= 0 ? same : turn++ % 15;
        channel[i] = channel[owner[k]];
        if (same < 0)
            changes[i] = changes[owner[k]] = 1;
    }
}

static int compare_note_pointers(const void *a, const void *b)
{
    const music_note *x = *(const music_note *const *)a, *y = *(const music_note *const *)b;
    if (x->onset_s != y->onset_s)
        return x->onset_s < y->onset_s ? -1 : 1;
    return x->pitch != y->pitch ? x->pitch - y->pitch : x->velocity - y->velocity;
}

static int clamp(int v, int low, int high)
{
    return v < low ? low : v > high ? high : v;
}

/* The notes of one track, a pitch always ended before it starts again. */
static bl_status track_notes(events *e, const music_track *t, int channel, int changes, const tempo_point *map, int n_map,
                             bl_error *err)
{
    const music_note **order = malloc((size_t)(t->n_notes + 1) * sizeof *order);
    int off_index[128] = { 0 }; /* of the event that ends the pitch: the list moves while it grows */
    int64_t off_tick[128] = { 0 }, on_tick[128];
    if (!order)
        return bl_fail(err, BL_ENOMEM, "no memory for %d notes", t->n_notes);
    for (int i = 0; i < t->n_notes; i++)
        order[i] = &t->notes[i];
    if (t->n_notes > 1)
        qsort(order, (size_t)t->n_notes, sizeof *order, compare_note_pointers);
    for (int p = 0; p < 128; p++)
        on_tick[p] = -1;
    uint8_t program = (uint8_t)clamp(t->program, 0, 127);
    for (int i = 0; i < t->n_notes; i++) {
        const music_note *note = order[i];
        int p = clamp(note->pitch, 0, 127);
        int64_t on = to_tick(map, n_map, fmax(note->onset_s, 0)), off = to_tick(map, n_map, fmax(note->offset_s, 0));
        off = off <= on ? on + 1 : off;
        if (on_tick[p] == on) { /* twice at once: one note, as long as the longer */
            if (off > off_tick[p])
                e->list[off_index[p]].tick = off_tick[p] = off;
            continue;
        }
        if (on_tick[p] >= 0 && off_tick[p] > on)
            e->list[off_index[p]].tick = on;
        if (changes)
            add(e, on, 2, 2, (const uint8_t[]){ (uint8_t)(0xC0 | channel), program });
        add(e, on, 3, 3, (const uint8_t[]){ (uint8_t)(0x90 | channel), (uint8_t)p, (uint8_t)clamp(note->velocity, 1, 127) });
        add(e, off, 1, 3, (const uint8_t[]){ (uint8_t)(0x80 | channel), (uint8_t)p, 64 });
        if (e->failed)
            break;
        off_index[p] = e->n - 1;
        on_tick[p] = on;
        off_tick[p] = off;
    }
    free(order);
    return e->failed ? bl_fail(err, BL_ENOMEM, "no memory for %d notes", t->n_notes) : BL_OK;
}

bl_status music_midi_format(const music_score *score, uint8_t **data, size_t *n_bytes, bl_error *err)
{
    bytes b = { 0 };
    events e = { 0 };
    tempo_point *map = NULL;
    bl_status s = BL_ENOMEM; /* until all is done */
    uint8_t *channels = malloc(2 * (size_t)(score->n_tracks + 1));
    int n_map = build_map(score, &map);
    if (!channels || n_map == 0)
        goto done;
    if (score->n_tracks >= 65535) {
        s = bl_fail(err, BL_EARG, "%d tracks are too many for a MIDI file", score->n_tracks);
        goto done;
    }
    uint8_t *changes = channels + score->n_tracks;
    assign_channels(score, channels, changes);
    put(&b, "MThd", 4);
    put_number(&b, 6, 4);
    put_number(&b, 1, 2);
    put_number(&b, (uint32_t)score->n_tracks + 1, 2);
    put_number(&b, TICKS_PER_QUARTER, 2);
    conductor(&e, score, map, n_map);
    put_track(&b, &e);
    for (int i = 0; i < score->n_tracks; i++) {
        const music_track *t = &score->tracks[i];
        add_text(&e, 0, 0, 0x03, t->name);
        add(&e, 0, 0, 2, (const uint8_t[]){ (uint8_t)(0xC0 | channels[i]), (uint8_t)clamp(t->program, 0, 127) });
        if (track_notes(&e, t, channels[i], changes[i], map, n_map, err) != BL_OK)
            goto done;
        put_track(&b, &e);
    }
    s = b.failed || e.failed ? BL_ENOMEM : BL_OK;
done:
    free(channels);
    free(map);
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
