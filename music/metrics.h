/* Figures that describe a score, by the definitions of MusPy (Dong et al., ISMIR 2020). Drum tracks are left
 * out except for groove consistency and empty beats and bars. What cannot be computed (no notes) is NAN.
 *
 *     n_pitches, n_pitch_classes    different ones used                     pitch_range   highest - lowest, semitones
 *     pitch_entropy                 -sum p log2 p over the 128 pitches, by note count
 *     pitch_class_entropy           -sum p log2 p over the 12 pitch classes, by note count
 *     scale_consistency             largest share of notes within one of the 24 major and minor scales
 *     polyphony                     mean number of pitches sounding, over time steps with at least one
 *     polyphony_rate                share of all time steps with more than `threshold` pitches (MusPy's default: 2)
 *     empty_beat_rate               share of beats in which no note starts or sounds; empty_bar_rate (MusPy: empty
 *                                   measure rate) likewise for whole bars. MusPy's code also counts the beat on whose
 *                                   very first tick a note ends; here, as in its definition, nothing is played there.
 *     groove_consistency            1 - mean Hamming distance of the onset patterns of neighbouring bars
 *     drum_in_pattern_rate          share of drum notes on the halves and quarters of a beat (duple), or its thirds (triple)
 *     drum_pattern_consistency      the larger of the two
 *
 * Shapes   beats_s [n_beats] rising; time steps are steps_per_beat equal parts of each beat, onsets count for the nearest.
 *          Bars are of beats_per_bar beats from the first on; what is left at the end is no bar.
 * Tested   tests/music/test_metrics.c, against numpy
 */
#ifndef BL_MUSIC_METRICS_H
#define BL_MUSIC_METRICS_H

#include "music/chord.h"
#include "music/score.h"

int    music_n_pitches(const music_score *score);
int    music_n_pitch_classes(const music_score *score);
int    music_pitch_range(const music_score *score); /* 0 without notes */
double music_pitch_entropy(const music_score *score);
double music_pitch_class_entropy(const music_score *score);
double music_scale_consistency(const music_score *score);
double music_pitch_in_key_rate(const music_score *score, music_key key);
double music_polyphony(const music_score *score, const double *beats_s, int n_beats, int steps_per_beat);
double music_polyphony_rate(const music_score *score, const double *beats_s, int n_beats, int steps_per_beat, int threshold);
double music_empty_beat_rate(const music_score *score, const double *beats_s, int n_beats);
double music_empty_bar_rate(const music_score *score, const double *beats_s, int n_beats, int beats_per_bar);
double music_groove_consistency(const music_score *score, const double *beats_s, int n_beats, int beats_per_bar,
                                int steps_per_beat);
double music_drum_in_pattern_rate(const music_score *score, const double *beats_s, int n_beats, int steps_per_beat, int triple);
double music_drum_pattern_consistency(const music_score *score, const double *beats_s, int n_beats, int steps_per_beat);

#endif
