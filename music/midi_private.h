/* What the reader of MIDI files finds, in ticks, before it becomes a score; not for others. */
#ifndef BL_MUSIC_MIDI_PRIVATE_H
#define BL_MUSIC_MIDI_PRIVATE_H

#include "music/midi.h"

enum { MIDI_DRUM_CHANNEL = 9, MIDI_TEXT_MARKER = 0, MIDI_TEXT_LYRIC, MIDI_TEXT_CHORD };

/* `next` links the sounding notes of one channel and pitch, oldest first. order: the place in the file, which decides
 * what comes first at one tick. */
typedef struct midi_note {
    int64_t on, off;
    int     source, order, next; /* source: the MIDI track, 1, 2, ... */
    uint8_t channel, pitch, velocity;
} midi_note;

typedef struct midi_timed { int64_t tick; int64_t value; int order; } midi_timed;      /* tempo; meter, key, program packed */
typedef struct midi_text { int64_t tick; int kind, order; char text[64]; } midi_text;
typedef struct midi_control { int64_t tick; int order; uint8_t channel, kind, a, b; } midi_control;
typedef struct midi_sysex { int64_t tick; const uint8_t *bytes; int n; } midi_sysex;   /* bytes within the file's */
typedef struct midi_name { char text[64]; } midi_name;

typedef struct midi_reader {
    const uint8_t *data;
    size_t         at, end;     /* within the current chunk             */
    const char    *name;        /* of the file, for messages            */
    int            track, order;
    int            format, division;
    midi_note     *notes;    int n_notes, cap_notes;
    midi_timed    *tempos;   int n_tempos, cap_tempos;
    midi_timed    *meters;   int n_meters, cap_meters;
    midi_timed    *keys;     int n_keys, cap_keys;
    midi_timed    *programs; int n_programs, cap_programs; /* value: track << 16 | channel << 8 | program;
                                                              the track is 0 but in format 2, whose tracks are songs of their own */
    midi_text     *texts;    int n_texts, cap_texts;
    midi_control  *controls; int n_controls, cap_controls;
    midi_sysex    *sysex;    int n_sysex, cap_sysex;
    midi_name     *names;    int n_names, cap_names;       /* of the MIDI tracks            */
    bl_error      *err;
    int            head[16][128], tail[16][128];           /* of the current track          */
} midi_reader;

/* Sorts what was read and adds it to the zeroed score. */
bl_status music_midi_fill(midi_reader *r, music_score *score);

/* A chord as the meta event that Yamaha's XF format has for it ("N", and what has no name in it, for no chord), and the
 * chord that the data p [n] of such an event holds, 0: none. Tested in tests/music/test_midi.c. */
void music_midi_chord_event(const char *name, uint8_t event[10]);
int  music_midi_chord_name(const uint8_t *p, size_t n, char out[64]);

#endif
