/* A song to learn harmony from, out of a MIDI file: which track is the melody, which chords sound when, where the beats are. The rules
 * are in blocks/harmonizer_songs.h.
 *
 * Errors   What music_midi_read says; BL_EFORMAT: no melody, no chords, no beats; BL_ENOMEM. _add_*: 0 when there is no memory.
 * Memory   Fills a zeroed song; release with _free, also after a failure.
 * Tested   tests/blocks/test_harmonizer.c
 */
#ifndef BL_BLOCKS_HARMONIZER_MIDI_H
#define BL_BLOCKS_HARMONIZER_MIDI_H

#include "music/chord.h"
#include "music/score.h"

typedef struct blocks_midi_song {
    music_note       *melody;
    int               n_melody;
    double           *beats_s;
    int              *is_downbeat;
    int               n_beats, beat_capacity;
    music_chord_span *chords;
    int               n_chords, chord_capacity;
    music_key         key;
} blocks_midi_song;

bl_status blocks_midi_read(const char *path, blocks_midi_song *song, bl_error *err);
/* The melody alone. */
bl_status blocks_midi_read_melody(const char *path, blocks_midi_song *song, bl_error *err);
void      blocks_midi_song_free(blocks_midi_song *song);

int blocks_midi_add_beat(blocks_midi_song *song, double time_s, int is_downbeat);
int blocks_midi_add_chord(blocks_midi_song *song, double start_s, double end_s, music_chord chord);
/* The commonest distance of downbeats; 4 without any. */
int blocks_midi_beats_per_bar(const blocks_midi_song *song);

#endif
