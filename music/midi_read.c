#include "base/file.h"
#include "music/chord.h"
#include "music/instrument.h"
#include "music/midi.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FILE_BYTES = 64 << 20, NO_NOTE = -1 };

/* A note in ticks; `next` links the sounding notes of one channel and pitch, oldest first. */
typedef struct raw_note {
    int64_t on, off;
    int     part, next;
    uint8_t pitch, velocity;
} raw_note;

/* One (MIDI track, channel, program). */
typedef struct part {
    int  source, channel, program;
    char name[64];
} part;

typedef struct timed { int64_t tick; int64_t value; int order; } timed;      /* tempo, or meter packed */
typedef struct text_event { int64_t tick; int lyric; char text[64]; } text_event;

typedef struct reader {
    const uint8_t *data;
    size_t         at, end;     /* within the current chunk             */
    const char    *name;
    int            track;       /* 1, 2, ... for messages               */
    int            division;
    raw_note      *notes;   int n_notes, cap_notes;
    part          *parts;   int n_parts, cap_parts;
    timed         *tempos;  int n_tempos, cap_tempos;
    timed         *meters;  int n_meters, cap_meters;
    text_event    *texts;   int n_texts, cap_texts;
    music_score   *score;
    bl_error      *err;
    /* of the current track */
    int            head[16][128], tail[16][128], part_of[16][128], program[16];
    char           track_name[64];
} reader;

static bl_status reserve(reader *r, void *array_pointer, int n, int *capacity, size_t size)
{
    if (n < *capacity)
        return BL_OK;
    void **array = array_pointer, *larger = realloc(*array, (size_t)(*capacity ? 2 * *capacity : 64) * size);
    if (!larger)
        return bl_fail(r->err, BL_ENOMEM, "%s: no memory for %d events", r->name, n + 1);
    *array = larger;
    *capacity = *capacity ? 2 * *capacity : 64;
    return BL_OK;
}
#define RESERVE(r, array) reserve(r, (void *)&(r)->array, (r)->n_##array, &(r)->cap_##array, sizeof *(r)->array)

static bl_status cut_short(reader *r)
{
    return bl_fail(r->err, BL_EFORMAT, "%s: track %d ends in the middle of an event", r->name, r->track);
}

static bl_status read_variable(reader *r, int64_t *value)
{
    int64_t v = 0;
    for (int i = 0; i < 4; i++) {
        if (r->at >= r->end)
            return cut_short(r);
        uint8_t byte = r->data[r->at++];
        v = v << 7 | (byte & 0x7F);
        if (!(byte & 0x80)) {
            *value = v;
            return BL_OK;
        }
    }
    return bl_fail(r->err, BL_EFORMAT, "%s: track %d has a number longer than four bytes at byte %zu", r->name, r->track,
                   r->at);
}

static int is_utf8(const uint8_t *text, size_t n)
{
    for (size_t i = 0; i < n;) {
        int more = text[i] < 0x80 ? 0 : (text[i] & 0xE0) == 0xC0 ? 1 : (text[i] & 0xF0) == 0xE0 ? 2 : (text[i] & 0xF8) == 0xF0 ? 3 : -1;
        if (more < 0 || i + (size_t)more >= n + (more == 0))
            return 0;
        for (int k = 1; k <= more; k++)
            if (i + (size_t)k >= n || (text[i + (size_t)k] & 0xC0) != 0x80)
                return 0;
        i += (size_t)more + 1;
    }
    return 1;
}

/* Text of a meta event as clean UTF-8 without blanks at its ends; other encodings become '?'. */
static void clean_text(char out[64], const uint8_t *text, size_t n)
{
    int utf8 = is_utf8(text, n);
    size_t k = 0, i = 0;
    while (i < n && text[i] <= ' ')
        i++;
    for (; i < n && k < 63; i++)
        out[k++] = (char)(text[i] < ' ' || text[i] == 127 ? ' ' : !utf8 && text[i] >= 0x80 ? '?' : text[i]);
    if (utf8 && i < n) /* do not cut a character in two */
        while (k > 0 && ((uint8_t)text[i] & 0xC0) == 0x80) {
            i--;
            k--;
        }
    while (k > 0 && out[k - 1] == ' ')
        k--;
    out[k] = '\0';
}

static bl_status find_part(reader *r, int channel, int *out)
{
    /* A drum channel is one part whatever its kits: the first kit stands for it. */
    int *slot = &r->part_of[channel][channel == 9 ? 0 : r->program[channel]];
    if (*slot < 0) {
        if (RESERVE(r, parts) != BL_OK)
            return BL_ENOMEM;
        *slot = r->n_parts++;
        r->parts[*slot] = (part){ .source = r->track, .channel = channel, .program = r->program[channel] };
    }
    *out = *slot;
    return BL_OK;
}

static bl_status note_on(reader *r, int64_t tick, int channel, int pitch, int velocity)
{
    int p;
    if (find_part(r, channel, &p) != BL_OK || RESERVE(r, notes) != BL_OK)
        return BL_ENOMEM;
    int i = r->n_notes++;
    r->notes[i] = (raw_note){ tick, -1, p, NO_NOTE, (uint8_t)pitch, (uint8_t)velocity };
    if (r->head[channel][pitch] == NO_NOTE)
        r->head[channel][pitch] = i;
    else
        r->notes[r->tail[channel][pitch]].next = i;
    r->tail[channel][pitch] = i;
    return BL_OK;
}

static void note_off(reader *r, int64_t tick, int channel, int pitch)
{
    int i = r->head[channel][pitch];
    if (i == NO_NOTE)
        return;
    r->notes[i].off = tick;
    r->head[channel][pitch] = r->notes[i].next;
}

static bl_status meta_event(reader *r, int64_t tick, int type, const uint8_t *p, size_t n)
{
    if (type == 0x51 && n >= 3) {
        if (RESERVE(r, tempos) != BL_OK)
            return BL_ENOMEM;
        int64_t us = (int64_t)p[0] << 16 | p[1] << 8 | p[2];
        if (us == 0)
            return bl_fail(r->err, BL_EFORMAT, "%s: track %d has a tempo of zero microseconds", r->name, r->track);
        r->tempos[r->n_tempos] = (timed){ tick, us, r->n_tempos };
        r->n_tempos++;
    } else if (type == 0x58 && n >= 2) {
        if (RESERVE(r, meters) != BL_OK)
            return BL_ENOMEM;
        if (p[0] < 1 || p[1] > 6)
            return BL_OK; /* nonsense that does no harm to the notes */
        r->meters[r->n_meters] = (timed){ tick, p[0] << 8 | p[1], r->n_meters };
        r->n_meters++;
    } else if (type == 0x59 && n >= 2 && !r->score->has_key) {
        int fifths = (int8_t)p[0], minor = p[1] == 1;
        if (fifths >= -7 && fifths <= 7 && p[1] <= 1) {
            r->score->has_key = 1;
            r->score->key_minor = minor;
            r->score->key_tonic = ((fifths * 7 + (minor ? 9 : 0)) % 12 + 12) % 12;
        }
    } else if (type == 0x05 || type == 0x06) {
        if (RESERVE(r, texts) != BL_OK)
            return BL_ENOMEM;
        text_event *t = &r->texts[r->n_texts];
        *t = (text_event){ .tick = tick, .lyric = type == 0x05 };
        clean_text(t->text, p, n);
        if (*t->text)
            r->n_texts++;
    } else if (type == 0x03 && !*r->track_name) {
        clean_text(r->track_name, p, n);
    }
    return BL_OK;
}

static bl_status channel_event(reader *r, int64_t tick, int status)
{
    /* Data bytes of 8n 9n An Bn Cn Dn En, then of F1..F6 (F0, F7 and FF never come here). */
    static const int8_t n_data[7] = { 2, 2, 2, 2, 1, 1, 2 };
    int n = status < 0xF0 ? n_data[(status >> 4) - 8] : status == 0xF2 ? 2 : status == 0xF1 || status == 0xF3 ? 1 : 0;
    int value[2] = { 0, 0 };
    if (r->end - r->at < (size_t)n)
        return cut_short(r);
    for (int i = 0; i < n; i++) {
        value[i] = r->data[r->at++];
        if (value[i] > 127)
            return bl_fail(r->err, BL_EFORMAT, "%s: track %d has 0x%02X at byte %zu where a data byte below 0x80 must be",
                           r->name, r->track, (unsigned)value[i], r->at - 1);
    }
    int channel = status & 15;
    if (status >= 0xF0)
        return BL_OK;
    if (status >> 4 == 9 && value[1] > 0)
        return note_on(r, tick, channel, value[0], value[1]);
    if (status >> 4 == 9 || status >> 4 == 8)
        note_off(r, tick, channel, value[0]);
    else if (status >> 4 == 12)
        r->program[channel] = value[0];
    return BL_OK;
}

/* One event at r->at; *ended is set by "end of track". */
static bl_status read_event(reader *r, int64_t tick, int *running, int *ended)
{
    if (r->at >= r->end)
        return cut_short(r);
    int status = r->data[r->at];
    if (status < 0x80) {
        if (!*running)
            return bl_fail(r->err, BL_EFORMAT, "%s: track %d starts an event with data byte 0x%02X at byte %zu", r->name,
                           r->track, (unsigned)status, r->at);
        return channel_event(r, tick, *running);
    }
    r->at++;
    if (status != 0xFF && status != 0xF0 && status != 0xF7) {
        if (status < 0xF0)
            *running = status;
        return channel_event(r, tick, status);
    }
    int type = 0;
    int64_t length;
    if (status == 0xFF) {
        if (r->at >= r->end)
            return cut_short(r);
        type = r->data[r->at++];
    }
    if (read_variable(r, &length) != BL_OK)
        return BL_EFORMAT;
    if ((uint64_t)length > r->end - r->at)
        return bl_fail(r->err, BL_EFORMAT, "%s: an event of track %d claims %lld bytes but %zu are left", r->name, r->track,
                       (long long)length, r->end - r->at);
    const uint8_t *p = r->data + r->at;
    r->at += (size_t)length;
    if (status != 0xFF)
        return BL_OK;
    *ended = type == 0x2F;
    return meta_event(r, tick, type, p, (size_t)length);
}

static bl_status read_track(reader *r)
{
    for (int c = 0; c < 16; c++) {
        r->program[c] = 0;
        for (int p = 0; p < 128; p++) {
            r->head[c][p] = r->tail[c][p] = NO_NOTE;
            r->part_of[c][p] = -1;
        }
    }
    r->track_name[0] = '\0';
    int64_t tick = 0, delta;
    int running = 0, ended = 0, first_note = r->n_notes, first_part = r->n_parts;
    while (r->at < r->end && !ended) {
        bl_status s = read_variable(r, &delta);
        tick += s == BL_OK ? delta : 0;
        if (s == BL_OK)
            s = read_event(r, tick, &running, &ended);
        if (s != BL_OK)
            return s;
    }
    for (int i = first_note; i < r->n_notes; i++)
        if (r->notes[i].off < 0)
            r->notes[i].off = tick;
    /* A track's name is its instrument's where the track has one part; a drum part may share (its name says "drums"). */
    for (int i = first_part; i < r->n_parts; i++)
        if (*r->track_name && r->n_parts - first_part == 1)
            memcpy(r->parts[i].name, r->track_name, sizeof r->track_name);
    return BL_OK;
}

static uint32_t big_endian(const uint8_t *p, int n)
{
    uint32_t v = 0;
    for (int i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

static bl_status read_chunks(reader *r, size_t n_bytes)
{
    size_t at = 0;
    const uint8_t *d = r->data;
    if (n_bytes >= 20 && !memcmp(d, "RIFF", 4) && !memcmp(d + 8, "RMIDdata", 8))
        at = 20;
    if (n_bytes < at + 14 || memcmp(d + at, "MThd", 4))
        return bl_fail(r->err, BL_EFORMAT, "%s: not a MIDI file (no MThd header)", r->name);
    uint32_t header = big_endian(d + at + 4, 4);
    if (header < 6 || header > n_bytes - at - 8)
        return bl_fail(r->err, BL_EFORMAT, "%s: the MIDI header claims %lu bytes", r->name, (unsigned long)header);
    unsigned format = big_endian(d + at + 8, 2);
    unsigned n_tracks = big_endian(d + at + 10, 2);
    r->division = (int)big_endian(d + at + 12, 2);
    if (format > 2)
        return bl_fail(r->err, BL_EFORMAT, "%s: MIDI format %u, expected 0, 1 or 2", r->name, format);
    if (r->division == 0 || (r->division & 0x8000 && (r->division & 0xFF) == 0))
        return bl_fail(r->err, BL_EFORMAT, "%s: the time division of the MIDI header is zero", r->name);
    if (r->division & 0x8000) {
        int fps = 256 - (r->division >> 8);
        if (fps != 24 && fps != 25 && fps != 29 && fps != 30)
            return bl_fail(r->err, BL_EFORMAT, "%s: %d SMPTE frames per second, expected 24, 25, 29 or 30", r->name, fps);
    }
    at += 8 + header;
    unsigned found = 0;
    while (n_bytes - at >= 8 && found < n_tracks) {
        size_t length = big_endian(d + at + 4, 4), left = n_bytes - at - 8;
        int is_track = !memcmp(d + at, "MTrk", 4);
        if (length > left)
            return bl_fail(r->err, BL_EFORMAT, "%s: %s %u claims %zu bytes but %zu are left", r->name,
                           is_track ? "track" : "the chunk before track", found + 1, length, left);
        if (is_track) {
            r->track = (int)++found;
            r->at = at + 8;
            r->end = r->at + length;
            bl_status s = read_track(r);
            if (s != BL_OK)
                return s;
        }
        at += 8 + length;
    }
    if (found == 0)
        return bl_fail(r->err, BL_EFORMAT, "%s: a MIDI file without tracks", r->name);
    if (found < n_tracks)
        return bl_fail(r->err, BL_EFORMAT, "%s: the header promises %u tracks but the file holds %u", r->name, n_tracks, found);
    return BL_OK;
}

static int compare_timed(const void *a, const void *b)
{
    const timed *x = a, *y = b;
    return x->tick != y->tick ? (x->tick < y->tick ? -1 : 1) : x->order - y->order;
}

/* Tempo map with the seconds at which each tempo starts. */
typedef struct tempo_map {
    const timed *tempos;
    double      *start_s;
    int          n;
    double       ticks_per_second; /* SMPTE, else 0       */
    double       division;
} tempo_map;

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
    const timed *t = &m->tempos[low - 1];
    return m->start_s[low - 1] + (double)(tick - t->tick) * (double)t->value * 1e-6 / m->division;
}

static bl_status fill_tempos(reader *r, tempo_map *m)
{
    if (r->n_tempos)
        qsort(r->tempos, (size_t)r->n_tempos, sizeof *r->tempos, compare_timed);
    if (r->n_meters)
        qsort(r->meters, (size_t)r->n_meters, sizeof *r->meters, compare_timed);
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
    music_score *s = r->score;
    if (m->ticks_per_second == 0) {
        if (r->n_tempos == 0 || r->tempos[0].tick > 0)
            if (music_score_add_tempo(s, 0, 120, r->err) != BL_OK)
                return BL_ENOMEM;
        for (int i = 0; i < r->n_tempos; i++)
            if (i + 1 == r->n_tempos || r->tempos[i + 1].tick > r->tempos[i].tick) /* of several at once the last counts */
                if (music_score_add_tempo(s, m->start_s[i], 6e7 / (double)r->tempos[i].value, r->err) != BL_OK)
                    return BL_ENOMEM;
    }
    for (int i = 0; i < r->n_meters; i++)
        if (music_score_add_meter(s, to_seconds(m, r->meters[i].tick), (int)(r->meters[i].value >> 8),
                                  1 << (r->meters[i].value & 255), r->err) != BL_OK)
            return BL_ENOMEM;
    return BL_OK;
}

static bl_status fill_tracks(reader *r, const tempo_map *m)
{
    music_score *s = r->score;
    for (int i = 0; i < r->n_parts; i++) {
        const part *p = &r->parts[i];
        const music_instrument *in = music_instrument_of_program(p->program);
        char name[64];
        if (*p->name)
            memcpy(name, p->name, sizeof name);
        else if (p->channel == 9)
            strcpy(name, "drums");
        else if (in)
            snprintf(name, sizeof name, "%s", in->name);
        else
            snprintf(name, sizeof name, "program %d", p->program);
        if (!music_score_add_track(s, name, p->program, p->channel == 9, r->err))
            return BL_ENOMEM;
    }
    for (int i = 0; i < r->n_notes; i++) {
        const raw_note *n = &r->notes[i];
        if (n->off > n->on && music_track_add(&s->tracks[n->part], to_seconds(m, n->on), to_seconds(m, n->off), n->pitch,
                                              n->velocity, r->err) != BL_OK)
            return BL_ENOMEM;
    }
    int kept = 0; /* a part whose notes all had no length is no track */
    for (int i = 0; i < s->n_tracks; i++) {
        if (s->tracks[i].n_notes > 0) {
            music_track_sort(&s->tracks[i]);
            s->tracks[kept++] = s->tracks[i];
        }
    }
    s->n_tracks = kept;
    return BL_OK;
}

static int compare_texts(const void *a, const void *b)
{
    const text_event *x = a, *y = b;
    if (x->tick != y->tick)
        return x->tick < y->tick ? -1 : 1;
    return x->lyric != y->lyric ? x->lyric - y->lyric : strcmp(x->text, y->text);
}

static bl_status fill_texts(reader *r, const tempo_map *m)
{
    int chords[2] = { 1, 1 }; /* of markers and of lyrics: is every one a chord name? */
    music_chord chord;
    for (int i = 0; i < r->n_texts; i++)
        if (!music_chord_parse(r->texts[i].text, &chord) || strlen(r->texts[i].text) >= sizeof r->score->chords->name)
            chords[r->texts[i].lyric] = 0;
    if (r->n_texts)
        qsort(r->texts, (size_t)r->n_texts, sizeof *r->texts, compare_texts);
    for (int i = 0; i < r->n_texts; i++) {
        const text_event *t = &r->texts[i];
        double time_s = to_seconds(m, t->tick);
        if (chords[t->lyric]) {
            music_score *s = r->score;
            if (s->n_chords)
                s->chords[s->n_chords - 1].end_s = time_s;
            if (music_score_add_chord(s, time_s, time_s, t->text, r->err) != BL_OK)
                return BL_ENOMEM;
        } else if (!t->lyric && music_score_add_marker(r->score, time_s, t->text, r->err) != BL_OK) {
            return BL_ENOMEM;
        }
    }
    music_score *s = r->score;
    if (s->n_chords) {
        music_chord_span *last = &s->chords[s->n_chords - 1];
        double end = music_score_end_s(s);
        last->end_s = end > last->start_s ? end : last->start_s;
    }
    return BL_OK;
}

bl_status music_midi_parse(const void *data, size_t n_bytes, const char *name, music_score *score, bl_error *err)
{
    *score = (music_score){ 0 };
    bl_error local = { 0 };
    reader *r = calloc(1, sizeof *r);
    tempo_map map = { 0 };
    if (!r)
        return bl_fail(err, BL_ENOMEM, "%s: no memory to read it", name);
    *r = (reader){ .data = data, .name = name, .score = score, .err = &local };
    bl_status s = read_chunks(r, n_bytes);
    if (s == BL_OK)
        s = fill_tempos(r, &map);
    if (s == BL_OK)
        s = fill_tracks(r, &map);
    if (s == BL_OK)
        s = fill_texts(r, &map);
    free(map.start_s);
    free(r->notes);
    free(r->parts);
    free(r->tempos);
    free(r->meters);
    free(r->texts);
    free(r);
    if (s != BL_OK) {
        music_score_free(score);
        bl_fail(err, s, "%s", local.msg);
    }
    return s;
}

bl_status music_midi_read(const char *path, music_score *score, bl_error *err)
{
    char *text = NULL;
    size_t n_bytes = 0;
    *score = (music_score){ 0 };
    bl_status s = bl_read_file(path, MAX_FILE_BYTES, &text, &n_bytes, err);
    if (s == BL_OK)
        s = music_midi_parse(text, n_bytes, path, score, err);
    free(text);
    return s;
}
