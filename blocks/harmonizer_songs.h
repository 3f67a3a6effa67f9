/* Songs with a melody and its chords, for train_arranger: a folder, searched with all that is in it, of
 *
 *     POP909    a folder with NAME.mid (a track MELODY), beat_midi.txt, chord_midi.txt and key_audio.txt
 *     NAME.mid  any other MIDI file with
 *               melody  the track called melody, vocal, vocals, voice or lead; else the first that is neither drums nor the chords
 *               chords  lyrics or markers that are all chord names ("Am7"), as backline's own --midi writes them, or XF chord events; else the
 *                       track called chords; else the first other track that mostly plays three notes or more at once, read note for note
 *               beats   from tempo and meter (music/beats.h)
 *               key     its key signature, else the key that its chords are likeliest in
 *
 * Labels   A unit (music/harmony.h) has the degree and colour that sound in it longest; where half of it has no chord that can be
 *          named, none (-1). The key is that of the song's beginning for the whole song, as it is when the network is used.
 * Names    Songs are called by their path below the folder, without extension. keep_out: songs whose name ends in a number that is a
 *          multiple of this are not even read, so that they can be judged on; 0: none. held_out: share of the rest that is not trained
 *          on, chosen by the hash of the name's last part.
 * Errors   A song that cannot be used is reported through on_skip and left out; BL_EFORMAT when none is left, BL_ESTOP when interrupted,
 *          BL_ENOMEM.
 * Memory   _collect fills a zeroed struct, 20 kB a song; release with _free.
 * Tested   tests/blocks/test_harmonizer.c
 */
#ifndef BL_BLOCKS_HARMONIZER_SONGS_H
#define BL_BLOCKS_HARMONIZER_SONGS_H

#include "music/harmony.h"

typedef struct blocks_melody_song {
    char       *name;
    music_note *melody;
    int         n_melody;
    music_harmony_unit *units;
    int         n_units;
    double     *beats_s;
    int        *is_downbeat;
    int         n_beats, beats_per_bar;
    music_key   key;
    signed char *degree;  /* [n_units], seen from do; -1: not known */
    signed char *colour;  /* [n_units]; -1: not known               */
    int         held_out;
} blocks_melody_song;

typedef struct blocks_melody_songs {
    blocks_melody_song *songs; /* in the order of their names */
    int n, capacity, n_skipped, n_kept_out;
} blocks_melody_songs;

typedef struct blocks_melody_options {
    int    keep_out;
    double held_out;
    void (*on_skip)(void *user, const char *path, const char *reason); /* may be NULL */
    void  *user;
} blocks_melody_options;

bl_status blocks_melody_songs_collect(const char *folder, const blocks_melody_options *options, int quiet, blocks_melody_songs *songs,
                                      bl_error *err);
/* One song that is known already; everything is copied. name: its path. */
bl_status blocks_melody_songs_add(blocks_melody_songs *songs, const char *name, const music_harmony_input *input,
                                  const music_chord_span *chords, int n_chords, int held_out, bl_error *err);
void      blocks_melody_songs_free(blocks_melody_songs *songs);

#endif
