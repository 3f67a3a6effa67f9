/* Tempo, beats, bars. Onset strength of the signal (log-mel flux with vibrato suppression) and, where
 * sung notes are given, an onset function made of them; tempogram with a log-normal prior; beats by
 * dynamic programming over position and tempo; downbeats from accents, chord changes and long notes.
 *
 * The grid is made for a band: beats run without gap or double from before the first sung note to
 * the end of the signal, and tempo changes smoothly.
 *
 * Shapes   x [n_samples] one channel; notes [n_notes] or NULL
 * Units    seconds, beats per minute
 * Options  bpm > 0 fixes the tempo: a steady grid of which only the phase is searched.
 *          beats_per_bar 0: 3 or 4, decided from the signal.
 * Errors   BL_EARG: bpm outside 20..400, n_samples < 1. BL_ENOMEM. A signal without any onset gets
 *          a steady 100 bpm grid (or the given bpm) and confidence 0.
 * Memory   audio_rhythm_analyze fills *out; release with audio_rhythm_free (zeroed struct allowed).
 * Source   Ellis, "Beat tracking by dynamic programming", JNMR 36(1), 2007; Bock & Widmer,
 *          "Maximum filter vibrato suppression for onset detection", DAFx 2013; Krebs, Bock & Widmer,
 *          "An efficient state-space model for joint tempo and meter tracking", ISMIR 2015.
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
