/* Recordings whose beats are known, for train_beats: a folder of sound files, each with a NAME.beats beside it.
 *
 *     NAME.beats: a line a beat, its time in seconds and, after a blank or tab, its place in the bar from 1; 0 or nothing: the
 *     bar is not known. Times rise. Empty lines and those that begin with # do not count.
 *
 * Errors   _read_beats: one sentence with file and line (BL_EFORMAT, BL_EIO). _collect: a recording that cannot be used is
 *          reported through on_skip and left out; BL_EFORMAT when none can, BL_ESTOP when interrupted.
 * Memory   _collect fills a zeroed struct: 3.6 kB a second of audio; release with _free.
 * Threads  Recordings are read in parallel; the result does not depend on how many threads there are.
 * Tested   tests/blocks/test_beat_tracker.c
 */
#ifndef BL_BLOCKS_BEAT_SONGS_H
#define BL_BLOCKS_BEAT_SONGS_H

#include "audio/beat_bands.h"

typedef struct blocks_beat {
    double time_s;
    int    place; /* in the bar, from 1; 0: not known */
} blocks_beat;

typedef struct blocks_beat_song {
    char            *name;
    audio_beat_bands bands;
    blocks_beat     *beats;
    int              n_beats, held_out;
    double           duration_s;
} blocks_beat_song;

typedef struct blocks_beat_songs {
    blocks_beat_song *songs;  /* in the order of their names */
    int               n, n_skipped;
} blocks_beat_songs;

bl_status blocks_read_beats(const char *path, blocks_beat **beats, int *n, bl_error *err);
/* held_out: share of the songs kept for figures, chosen by their names alone. on_skip may be called by several threads in turn. */
bl_status blocks_beat_songs_collect(const char *folder, double held_out, int quiet,
                                    void (*on_skip)(void *user, const char *path, const char *reason), void *user,
                                    blocks_beat_songs *out, bl_error *err);
void      blocks_beat_songs_free(blocks_beat_songs *songs);

#endif
