/* The symbolic side: notes, tracks, tempo and meter maps, chords. What the arranger writes, what MIDI
 * files hold, and what the synthesizer plays.
 *
 * Units    Times in seconds from the start of the recording, pitch as MIDI numbers (69 = 440 Hz),
 *          velocity 1..127. In a drum track the pitch is a General MIDI percussion key
 *          (36 kick, 38 snare, 42 closed hi-hat, 46 open hi-hat, 49 crash, 51 ride, ...). A note read from a file may
 *          have no length: offset_s >= onset_s.
 * Memory   Growing arrays; music_score_free releases everything, and leaves a zeroed struct.
 */
#ifndef BL_MUSIC_SCORE_H
#define BL_MUSIC_SCORE_H

#include "base/error.h"

#include <stdint.h>

typedef struct music_note {
    double onset_s, offset_s;
    int    pitch, velocity;
} music_note;

/* What a MIDI channel is told beside its notes, as the bytes of the message. */
typedef struct music_control {
    double  time_s;
    uint8_t kind;            /* 0xA0 key pressure, 0xB0 controller, 0xD0 channel pressure, 0xE0 pitch bend; 0xC0 program:
                                only for a bank that was selected to count, a track's program is written in any case */
    uint8_t a, b;            /* key, controller number, pressure or low 7 bits; value or high 7 bits       */
} music_control;

enum { MUSIC_CONTROLLER = 0xB0, MUSIC_PROGRAM = 0xC0, MUSIC_CC_BANK = 0, MUSIC_CC_VOLUME = 7, MUSIC_CC_PAN = 10, MUSIC_CC_BANK_LOW = 32 };

typedef struct music_track {
    char        name[64];    /* an instrument name of DESIGN ("electric guitar") where known      */
    int         program;     /* General MIDI program 0..127; of a drum track its kit (0 standard, 40 brushes) */
    int         is_drums;    /* channel 10                                                        */
    int         channel;     /* 1..16 as a file gave it; 0: the writer chooses                    */
    music_note *notes;       /* sorted by onset, then pitch                                       */
    int         n_notes, capacity;
    music_control *controls; /* rising in time: volume, pan, pedal, bends of the track's channel  */
    int         n_controls;
} music_track;

typedef struct music_tempo { double time_s, bpm; } music_tempo;                 /* from time_s on */
typedef struct music_meter { double time_s; int numerator, denominator; } music_meter;
/* "Am7", "N"; confidence: how probable a heard chord is, 0 where it was not heard but arranged or given. */
typedef struct music_chord_span { double start_s, end_s; char name[16]; double confidence; } music_chord_span;
typedef struct music_marker { double time_s; char text[64]; } music_marker;     /* sections; syllables of lyrics */
typedef struct music_key_change { double time_s; int fifths, minor; } music_key_change; /* -7 flats .. 7 sharps; 1: minor */
typedef struct music_sysex { double time_s; uint8_t *bytes; int n; } music_sysex; /* what follows 0xF0, its end 0xF7 included */

typedef struct music_score {
    music_track      *tracks;  int n_tracks;
    music_tempo      *tempos;  int n_tempos;
    music_meter      *meters;  int n_meters;
    music_chord_span *chords;  int n_chords;
    music_marker     *markers; int n_markers;
    music_marker     *lyrics;  int n_lyrics;       /* what is sung, a syllable each                    */
    music_key_change *keys;    int n_keys;         /* key signatures                                   */
    music_sysex      *sysex;   int n_sysex;        /* messages to devices ("General MIDI on")          */
    char              title[64];                   /* of the song; "" unknown                          */
    int               ticks_per_quarter;           /* of the file it came from, and goes to; 0: 960    */
} music_score;

void         music_score_free(music_score *score);
music_track *music_score_add_track(music_score *score, const char *name, int program, int is_drums, bl_error *err);
bl_status    music_track_add(music_track *track, double onset_s, double offset_s, int pitch, int velocity, bl_error *err);
bl_status    music_score_add_tempo(music_score *score, double time_s, double bpm, bl_error *err);
bl_status    music_score_add_meter(music_score *score, double time_s, int numerator, int denominator, bl_error *err);
bl_status    music_score_add_chord(music_score *score, double start_s, double end_s, const char *name, bl_error *err);
bl_status    music_score_add_marker(music_score *score, double time_s, const char *text, bl_error *err);
bl_status    music_score_add_lyric(music_score *score, double time_s, const char *text, bl_error *err);
bl_status    music_score_add_key(music_score *score, double time_s, int fifths, int minor, bl_error *err);
bl_status    music_score_add_sysex(music_score *score, double time_s, const uint8_t *bytes, int n, bl_error *err); /* copies */
bl_status    music_track_add_control(music_track *track, music_control control, bl_error *err);
void         music_track_sort(music_track *track);
double       music_score_end_s(const music_score *score);

/* Replaces tempos and meters by a map in which beat i of beats_s [n_beats] is a quarter note and first_downbeat
 * (an index into beats_s) starts a bar; the time before the first beat is filled up with whole bars. */
bl_status    music_score_set_beats(music_score *score, const double *beats_s, int n_beats, int first_downbeat,
                                   int beats_per_bar, bl_error *err);

#endif
