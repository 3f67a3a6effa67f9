/* Where the beats and bar lines of a score lie: its tempo and meter maps as times.
 *
 *     music_beats grid = { 0 };
 *     if (music_score_beats(&score, end_s, &grid, &err) == BL_OK) ...
 *     music_beats_free(&grid);
 *
 * Beat     The note that the meter counts; three of them where the meter is compound (6/8, 9/8, 12/8). A change of meter
 *          starts a bar. Without a meter 4/4, without a tempo 120 quarters a minute.
 * Range    From 0 to the first beat at or beyond end_s (at most MUSIC_MAX_BEATS: BL_EARG).
 * Memory   Fills a zeroed struct; release with music_beats_free.
 * Tested   tests/music/test_beats.c
 */
#ifndef BL_MUSIC_BEATS_H
#define BL_MUSIC_BEATS_H

#include "music/score.h"

enum { MUSIC_MAX_BEATS = 1 << 20 };

typedef struct music_beats {
    double *time_s;      /* [n] rising                            */
    int    *in_bar;      /* [n] 1 on a bar line, then 2, 3, ...   */
    int     n;
} music_beats;

bl_status music_score_beats(const music_score *score, double end_s, music_beats *beats, bl_error *err);
void      music_beats_free(music_beats *beats);

/* Quarters from the start to a time. */
double music_score_quarters(const music_score *score, double time_s);

#endif
