/* A drummer: plays what the style's patterns ask for, with the velocities and the timing of a person. The arranger (music/arrange.h)
 * hands over all strokes of a song at once; without a drummer it deviates by chance.
 *
 * Hits     in the order of time, those of one stroke (same bar, same place) together. The drummer changes velocity and late_s,
 *          nothing else. The arranger then mixes: feel of the style (0: as written, 1: as the drummer plays), and holds
 *          every hit to MUSIC_DRUM_LATE_S of the grid, so that band and singer stay together.
 * Errors   play returns not BL_OK and says why in err; arranging fails with it.
 * Threads  play may be called from one thread at a time.
 */
#ifndef BL_MUSIC_DRUMMER_H
#define BL_MUSIC_DRUMMER_H

#include "base/error.h"

#include <stdint.h>

/* The kit as learned from: Gillick et al., "Learning to groove with inverse sequence transformations", ICML 2019. */
typedef enum music_drum_class {
    MUSIC_DRUM_KICK, MUSIC_DRUM_SNARE, MUSIC_DRUM_CLOSED, MUSIC_DRUM_OPEN, MUSIC_DRUM_TOM_LOW, MUSIC_DRUM_TOM_MID,
    MUSIC_DRUM_TOM_HIGH, MUSIC_DRUM_CRASH, MUSIC_DRUM_RIDE, MUSIC_DRUM_CLASSES
} music_drum_class;

#define MUSIC_DRUM_LATE_S 0.026

typedef struct music_drum_hit {
    int    bar, n_beats;     /* index of the bar, beats in it                                    */
    int    beat, step, steps; /* place in the bar: step of `steps` (1..4) in a beat from 0        */
    double place;            /* where the step lies in its beat, 0..1: the style's swing is in it */
    double time_s, beat_s;   /* of that place; length of the beat                                */
    int    drum;             /* General MIDI key                                                 */
    double velocity;         /* 1..127                                                           */
    double late_s;           /* behind time_s                                                    */
} music_drum_hit;

typedef struct music_drummer {
    bl_status (*play)(void *user, const char *manner, uint64_t seed, music_drum_hit *hits, int n_hits, bl_error *err);
    void *user;
} music_drummer;

/* Class of a General MIDI key, and of those that an electronic kit sends (22, 26, 58, 59); hand percussion goes with what it
 * stands for: claps with the snare, shakers with the hi-hat. */
music_drum_class music_drum_class_of(int key);

#endif
