/* What the files of the bar pointer share; not for others.
 *
 *     rhythm.c          evidence, meters, confidence; a steady grid at a known tempo
 *     rhythm_pointer.c  Viterbi over beat periods and places in the bar
 *     rhythm_grid.c     beats to a smooth grid that spans the signal; positions on it
 */
#ifndef BL_AUDIO_RHYTHM_PRIVATE_H
#define BL_AUDIO_RHYTHM_PRIVATE_H

#include "audio/rhythm.h"
#include "audio/rhythm_tables.h"

#define RHYTHM_HOP_S 0.01          /* of the pointer */
/* Beat periods in frames: the shortest and longest that can be asked for. */
enum { RHYTHM_SHORTEST = 13, RHYTHM_LONGEST = 286, RHYTHM_PERIODS = RHYTHM_LONGEST - RHYTHM_SHORTEST + 1 };

typedef struct rhythm_meter {
    int beats, places;                           /* sixteenths in the tables */
    const short *onset, (*melody)[RHYTHM_SPANS]; /* audio/rhythm_tables.h */
} rhythm_meter;

/* Onset of a sung note and the time to the next one. */
typedef struct rhythm_note {
    double time_s, interval_s;
} rhythm_note;

typedef struct rhythm_evidence {
    float  *beat;         /* [n_frames] at RHYTHM_HOP_S: log odds of a beat above the lowest, 0 nearly everywhere             */
    float  *down, *other; /* [n_frames] log of the probability that a beat here is, is not, a downbeat; where beat[t] is 0: 0 */
    int64_t n_frames;
    const float *tempo;   /* [AUDIO_TEMPOS] or NULL                                                                           */
    const rhythm_note *notes;
    int     n_notes;
    double  note_weight, length_s;
} rhythm_evidence;

typedef struct rhythm_beat {
    int64_t frame;
    int     in_bar;
} rhythm_beat;

/* The best path in one meter: beats [*n], malloc'ed, in order. Only beat periods from shortest to longest frames are looked
 * at. *score: its log likelihood; by_period [RHYTHM_PERIODS]: how much less likely the best path is that has each period at the
 * end of the first four minutes (-INFINITY: not looked at). */
bl_status rhythm_point(const rhythm_meter *meter, const rhythm_evidence *evidence, int shortest, int longest,
                       rhythm_beat **beats, int64_t *n, double *score, double *by_period, bl_error *err);

/* Of one beat and of one note on a place, for a steady grid. */
double rhythm_beat_score(const rhythm_meter *meter, const rhythm_evidence *evidence, int in_bar, double time_s);
double rhythm_note_score(const rhythm_meter *meter, const rhythm_note *note, double place_s, double period_s);

/* Beats of a path moved to where they sound and smoothed: beats_s [n]. */
bl_status rhythm_smooth(const rhythm_evidence *evidence, double *beats_s, int64_t n, bl_error *err);

/* Takes beats [n] with the place in the bar of the first; adds beats at both ends so that the grid spans the signal; fills the
 * result's grid and tempo. */
bl_status rhythm_finish(const double *beats_s, int64_t n, int first_in_bar, int beats_per_bar, double length_s, audio_rhythm *out,
                        bl_error *err);

#endif
