/* Tempo, beats, bars: a bar pointer. Every state is a beat period and a place in the bar; peaks of the
 * signal's flux (audio/flux.h) in four bands and, where given, the onsets of sung notes with the time to
 * the next one are weighed by how often music has them on that sixteenth of the bar (audio/rhythm_tables.h);
 * Viterbi over all states at once gives tempo, beats and downbeats, in 4/4 and in 3/4, and the better
 * meter wins. A smoothing spline through the events then gives the final, gently bending grid.
 *
 * The grid is made for a band: beats run without gap or double from before the first sung note to
 * the end of the signal, and tempo changes smoothly.
 *
 * Shapes   x [n_samples] one channel; notes [n_notes] or NULL
 * Units    seconds, beats per minute
 * Options  bpm > 0 fixes the tempo: a steady grid of which only the phase is searched.
 *          beats_per_bar 0: 3 or 4, decided from the signal.
 *          Tempos of 46 to 210 bpm are looked for.
 * Errors   BL_EARG: bpm outside 20..400, n_samples < 1. BL_ENOMEM. A signal without any onset gets
 *          a steady 100 bpm grid (or the given bpm) and confidence 0.
 * Cost     About 1 s for 60 s of audio on one core.
 * Memory   audio_rhythm_analyze fills *out; release with audio_rhythm_free (zeroed struct allowed).
 * Source   Whiteley, Cemgil & Godsill, "Bayesian modelling of temporal structure in musical audio",
 *          ISMIR 2006; Krebs, Bock & Widmer, "An efficient state-space model for joint tempo and meter
 *          tracking", ISMIR 2015; Temperley, "Music and Probability", 2007 (metrical note models).
 * Tested   tests/audio/test_rhythm.c
 */
#ifndef BL_AUDIO_RHYTHM_H
#define BL_AUDIO_RHYTHM_H

#include "audio/notes.h"

typedef struct audio_rhythm_config {
    double bpm;           /* 0: find it                  */
    int    beats_per_bar; /* 0: find it; else 2..12      */
    const audio_sung_note *notes;
    int    n_notes;
    double note_weight;   /* 0..1, share of the notes against the signal's onsets; 0: 0.75 for a voice
                             alone; set about 0.2 when drums play */
} audio_rhythm_config;

typedef struct audio_rhythm {
    double  bpm;            /* median                              */
    double *beats_s;        /* [n_beats]                           */
    int     n_beats;
    double *downbeats_s;    /* [n_downbeats], a subset of beats_s  */
    int     n_downbeats;
    int     beats_per_bar;
    int     first_downbeat; /* index into beats_s                  */
    float   confidence;     /* 0..1                                */
} audio_rhythm;

bl_status audio_rhythm_analyze(const float *x, int64_t n_samples, int sample_rate, audio_rhythm_config config,
                               audio_rhythm *out, bl_error *err);
void      audio_rhythm_free(audio_rhythm *rhythm);

/* Position of a time on the grid in beats from beats_s[0] (fractional; extrapolated at both ends). */
double audio_rhythm_position(const audio_rhythm *rhythm, double time_s);
/* The inverse. */
double audio_rhythm_time(const audio_rhythm *rhythm, double position);

#endif
