/* Strokes: what a drummer does at one moment. The form in which the drummer (blocks/drummer.h) reads a part and learns from
 * performances.
 *
 * A stroke lies at one of six places of a beat (0, 1/4, 1/3, 1/2, 2/3, 3/4) or, where the music swings, `shift` beside it. It
 * has a hit or none for each of nine drums; a hit has a velocity and an offset behind the grid.
 *
 * Shapes    features [BLOCKS_STROKE_FEATURES, T], column t for stroke t: hits [9]; asked accents [9] (-1 a ghost note, 0, 1 an
 *           accent: beside the mean velocity within four beats) and 1 when they are known; beat of the bar [4], place [6], shift;
 *           tempo, mean velocity around, beats to the stroke before and to the next.
 * Units     at: beats from the start; shift, offset: sixteenths (quarters of a beat); velocity 0..1; a "beat" is a quarter
 *           note, of 6/8 a dotted one.
 * Tested    tests/blocks/test_drummer.c
 */
#ifndef BL_BLOCKS_DRUMMER_STROKES_H
#define BL_BLOCKS_DRUMMER_STROKES_H

#include "music/drummer.h"
#include "music/score.h"

enum { BLOCKS_STROKE_FEATURES = 34, BLOCKS_STROKE_PLACES = 6 };

typedef struct blocks_stroke {
    double at;
    int    bar, beat, place;
    float  shift, bpm;
    float  around;                             /* mean velocity within four beats, from blocks_strokes_finish */
    unsigned char hit[MUSIC_DRUM_CLASSES];
    float  velocity[MUSIC_DRUM_CLASSES], offset[MUSIC_DRUM_CLASSES];
} blocks_stroke;

/* Where the six places lie in a beat. */
extern const double blocks_stroke_place[BLOCKS_STROKE_PLACES];

/* A performance of n_notes sorted notes at a steady bpm, cut into strokes: for each beat straight sixteenths or triplets,
 * whichever its hits lie nearer to, given what the performance mostly does; then each place's median deviation is the
 * performance's own swing (shift). What is left, beside its mean within four beats (a person drifts against a click), are the offsets. Of two hits of one
 * drum in a stroke the louder counts. Returns the number of strokes (malloc'ed, release with free), -1: no memory. */
int  blocks_strokes_read(const music_note *notes, int n_notes, double bpm, int beats_per_bar, blocks_stroke **strokes);

/* The part that the arranger wrote; stroke_of [n_hits] says which stroke each hit went to. Returns as above. */
int  blocks_strokes_take(const music_drum_hit *hits, int n_hits, blocks_stroke **strokes, int *stroke_of);

/* Works out `around`. */
void blocks_strokes_finish(blocks_stroke *strokes, int n);

/* Columns of n strokes into x [BLOCKS_STROKE_FEATURES, stride]; `louder` is added to the mean velocity around. */
void blocks_strokes_features(const blocks_stroke *strokes, int n, int with_accents, double louder, float *x, int64_t stride);

#endif
