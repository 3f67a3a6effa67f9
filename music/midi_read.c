#include "base/file.h"
#include "music/midi_private.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_FILE_BYTES = 64 << 20, NO_NOTE = -1 };

static bl_status reserve(midi_reader *r, void *array_pointer, int n, int *capacity, size_t size)
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

static bl_status cut_short(midi_reader *r)
{
    return bl_fail(r->err, BL_EFORMAT, "%s: track %d ends in the middle of an event", r->name, r->track);
}

static bl_status read_variable(midi_reader *r, int64_t *value)
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

/* Text of a meta event as clean UTF-8, control characters as blanks; what is no UTF-8 is taken for Latin-1. Trimmed:
 * without blanks at its ends. */
static void clean_text(char out[64], const uint8_t *text, size_t n, int trimmed)
{
    const int utf8 = is_utf8(text, n);
    size_t k = 0, i = 0;
    while (trimmed && i < n && text[i] <= ' ')
        i++;
    for (; i < n; i++) {
        const int control = text[i] < ' ' || text[i] == 127, c = control ? ' ' : !utf8 && text[i] >= 0x80 && text[i] < 0xA0 ? '?' : text[i];
        const int continues = utf8 && (c & 0xC0) == 0x80;
        const size_t size = c < 0x80 || continues ? 1 : !utf8 || c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
        if (!continues && k + size > 63) /* do not cut a character in two */
            break;
        if (!utf8 && c >= 0x80) {
            out[k++] = (char)(0xC0 | c >> 6);
            out[k++] = (char)(0x80 | (c & 0x3F));
        } else
            out[k++] = (char)c;
    }
    while (trimmed && k > 0 && out[k - 1] == ' ')
        k--;
    out[k] = '\0';
}

static bl_status note_on(midi_reader *r, int64_t tick, int channel, int pitch, int velocity)
{
    if (RESERVE(r, notes) != BL_OK)
        return BL_ENOMEM;
    int i = r->n_notes++;
    r->notes[i] = (midi_note){ tick, -1, r->track, r->order, NO_NOTE, (uint8_t)channel, (uint8_t)pitch, (uint8_t)velocity };
    if (r->head[channel][pitch] == NO_NOTE)
        r->head[channel][pitch] = i;
    else
        r->notes[r->tail[channel][pitch]].next = i;
    r->tail[channel][pitch] = i;
    return BL_OK;
}

static void note_off(midi_reader *r, int64_t tick, int channel, int pitch)
{
    int i = r->head[channel][pitch];
    if (i == NO_NOTE)
        return;
    r->notes[i].off = tick;
    r->head[channel][pitch] = r->notes[i].next;
}

#define ADD(r, array, ...)                                              \
    do {                                                                \
        if (RESERVE(r, array) != BL_OK)                                 \
            return BL_ENOMEM;                                           \
        (r)->array[(r)->n_##array++] = __VA_ARGS__;                     \
    } while (0)

static bl_status meta_event(midi_reader *r, int64_t tick, int type, const uint8_t *p, size_t n)
{
    if (type == 0x51 && n >= 3) {
        const int64_t us = (int64_t)p[0] << 16 | p[1] << 8 | p[2];
        if (us == 0)
            return bl_fail(r->err, BL_EFORMAT, "%s: track %d has a tempo of zero microseconds", r->name, r->track);
        ADD(r, tempos, (midi_timed){ tick, us, r->order });
    } else if (type == 0x58 && n >= 2) {
        if (p[0] >= 1 && p[1] <= 6) /* else nonsense that does no harm to the notes */
            ADD(r, meters, (midi_timed){ tick, p[0] << 8 | p[1], r->order });
    } else if (type == 0x59 && n >= 2) {
        const int fifths = (int8_t)p[0];
        if (fifths >= -7 && fifths <= 7 && p[1] <= 1)
            ADD(r, keys, (midi_timed){ tick, (fifths + 7) << 1 | p[1], r->order });
    } else if (type == 0x05 || type == 0x06) {
        midi_text t = { .tick = tick, .kind = type == 0x05 ? MIDI_TEXT_LYRIC : MIDI_TEXT_MARKER, .order = r->order };
        clean_text(t.text, p, n, type == 0x06);
        if (*t.text)
            ADD(r, texts, t);
    } else if (type == 0x7F) {
        midi_text t = { .tick = tick, .kind = MIDI_TEXT_CHORD, .order = r->order };
        if (music_midi_chord_name(p, n, t.text))
            ADD(r, texts, t);
    } else if (type == 0x03 && !*r->names[r->n_names - 1].text) {
        clean_text(r->names[r->n_names - 1].text, p, n, 1);
    }
    return BL_OK;
}

static bl_status channel_event(midi_reader *r, int64_t tick, int status)
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
    else
        ADD(r, controls, (midi_control){ tick, r->order, (uint8_t)channel, (uint8_t)(status & 0xF0), (uint8_t)value[0], (uint8_t)value[1] });
    if (status >> 4 == 12)
        ADD(r, programs, (midi_timed){ tick, (int64_t)(r->format == 2 ? r->track : 0) << 16 | channel << 8 | value[0], r->order });
    return BL_OK;
}

/* One event at r->at; *ended is set by "end of track". */
static bl_status read_event(midi_reader *r, int64_t tick, int *running, int *ended)
{
    if (r->at >= r->end)
        return cut_short(r);
    int status = r->data[r->at];
    r->order++;
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
    if (status == 0xF0) /* 0xF7 continues one, or is for the device's eyes only */
        ADD(r, sysex, (midi_sysex){ tick, p, (int)length });
    if (status != 0xFF)
        return BL_OK;
    *ended = type == 0x2F;
    return meta_event(r, tick, type, p, (size_t)length);
}

static bl_status read_track(midi_reader *r)
{
    int64_t tick = 0, delta;
    int running = 0, ended = 0, first_note = r->n_notes;
    for (int c = 0; c < 16; c++)
        for (int p = 0; p < 128; p++)
            r->head[c][p] = r->tail[c][p] = NO_NOTE;
    ADD(r, names, (midi_name){ "" });
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
    return BL_OK;
}

static uint32_t big_endian(const uint8_t *p, int n)
{
    uint32_t v = 0;
    for (int i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

static bl_status read_chunks(midi_reader *r, size_t n_bytes)
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
    const unsigned n_tracks = big_endian(d + at + 10, 2);
    r->division = (int)big_endian(d + at + 12, 2);
    r->format = (int)format;
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

bl_status music_midi_parse(const void *data, size_t n_bytes, const char *name, music_score *score, bl_error *err)
{
    *score = (music_score){ 0 };
    bl_error local = { 0 };
    midi_reader *r = calloc(1, sizeof *r);
    if (!r)
        return bl_fail(err, BL_ENOMEM, "%s: no memory to read it", name);
    *r = (midi_reader){ .data = data, .name = name, .err = &local };
    bl_status s = read_chunks(r, n_bytes);
    if (s == BL_OK)
        s = music_midi_fill(r, score);
    free(r->notes);
    free(r->tempos);
    free(r->meters);
    free(r->keys);
    free(r->programs);
    free(r->texts);
    free(r->controls);
    free(r->sysex);
    free(r->names);
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
