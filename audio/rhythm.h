/* Tempo, beats, bars: a bar pointer. Every state is a beat period and a place in the bar; how much every moment sounds like a
 * beat and like a downbeat (blocks/beat_tracker.h) and, where given, the onsets of sung notes with the time to the next one
 * (weighed by how often melodies have them on that sixteenth of the bar, audio/rhythm_tables.h) are its evidence. Viterbi over
 * all states at once gives tempo, beats and downbeats, in 4/4 and in 3/4, and the better meter wins. A smoothing spline then
 * gives the final, gently bending grid.
 *
 * The grid is made for a band: beats run without gap or double from the start to the end of the signal, and the tempo changes
 * smoothly.
 *
 * Shapes   activity: beat, downbeat [n_frames]; notes [n_notes] or NULL
 * Units    seconds, beats per minute; probabilities 0..1
 * Options  bpm > 0 fixes the tempo: a steady grid of which only the phase is searched.
 *          tempo_factor 0.25, 0.5, 2 or 4: beats at so many times the tempo that would be heard without it; 0 or 1: as heard.
 *          beats_per_bar 0: 3 or 4, decided from the signal.
 *          Tempos of 42 to 230 bpm are looked for (with tempo_factor half or twice that).
 * Errors   BL_EARG: bpm outside 20..400, another tempo_factor, no activity, length_s not above 0. BL_ENOMEM. Without any
 *          evidence: a steady 100 bpm grid (or the given bpm) and confidence 0.
 * Cost     About 1 ms for a second of audio on one core.
 * Memory   audio_rhythm_analyze fills *out; release with audio_rhythm_free (zeroed struct allowed). It works through four
 *          minutes at a time: 15 MB, however long the recording is.
 * Source   Whiteley, Cemgil & Godsill, "Bayesian modelling of temporal structure in musical audio", ISMIR 2006; Krebs, Bock &
 *          Widmer, "An efficient state-space model for joint tempo and meter tracking", ISMIR 2015; Bock, Krebs & Widmer,
 *          "Joint beat and downbeat tracking with recurrent neural networks", ISMIR 2016; Temperley, "Music and
 *          Probability", 2007 (metrical note models).
 * Tested   tests/audio/test_rhythm.c
 */
#ifndef BL_AUDIO_RHYTHM_H
#define BL_AUDIO_RHYTHM_H

#include "audio/notes.h"

/* Tempos that a network tells apart: 40 * 2^(k/18) beats a minute, 40 to 244. */
enum { AUDIO_TEMPOS = 48 };
double audio_tempo_bin(double bpm); /* k, fractional, 0 .. AUDIO_TEMPOS - 1 */

/* How much every moment sounds like a beat and like the first one of a bar: probabilities, frame i at i*hop_s. */
typedef struct audio_beat_activity {
    float  *beat, *downbeat; /* [n_frames]                                                                             */
    float  *flux;            /* [n_frames, AUDIO_LEVEL_GROUPS] (audio/beat_levels.h); NULL: not known                  */
    float  *tempo;           /* [AUDIO_TEMPOS] log of the probability that the whole has this tempo; NULL: nobody says */
    int64_t n_frames;
    double  hop_s;
} audio_beat_activity;

void audio_beat_activity_free(audio_beat_activity *activity);

typedef struct audio_rhythm_config {
    double bpm;           /* 0: find it                  */
    double tempo_factor;  /* 0, 0.25, 0.5, 1, 2, 4       */
    int    beats_per_bar; /* 0: find it; else 2..12      */
    const audio_beat_activity *activity;
    const audio_sung_note *notes;
    int    n_notes;
    double note_weight;   /* of the notes beside the activity; 0: 1.5, for a voice alone. Give no notes when others play */
} audio_rhythm_config;

typedef struct audio_rhythm {
    double  bpm;            /* median                              */
    double *beats_s;        /* [n_beats]                           */
    int     n_beats;
    double *downbeats_s;    /* [n_downbeats], a subset of beats_s  */
    int     n_downbeats;
    int     beats_per_bar;
    int     first_downbeat; /* index into beats_s                  */
    double  other_bpm;      /* half or double the tempo where that is the next likely one; else 0       */
    float   confidence;     /* probability that the tempo is right, not half or double or another; 0..1 */
    float   bar_confidence; /* that the meter is right                                                  */
} audio_rhythm;

bl_status audio_rhythm_analyze(double length_s, audio_rhythm_config config, audio_rhythm *out, bl_error *err);
void      audio_rhythm_free(audio_rhythm *rhythm);

/* Position of a time on the grid in beats from beats_s[0] (fractional; extrapolated at both ends). */
double audio_rhythm_position(const audio_rhythm *rhythm, double time_s);
/* The inverse. */
double audio_rhythm_time(const audio_rhythm *rhythm, double position);

#endif
