/* Figures that describe a score, by the definitions of MusPy (Dong et al., ISMIR 2020). Drum tracks are left
 * out except for groove consistency and empty beats. What cannot be computed (no notes) is NAN.
 *
 *     pitch_class_entropy   -sum p log2 p over the 12 pitch classes, by note count
 *     scale_consistency     largest share of notes within one of the 24 major and minor scales
 *     polyphony             mean number of pitches sounding, over time steps with at least one
 *     empty_beat_rate       share of beats in which no note starts or sounds
 *     groove_consistency    1 - mean Hamming distance of the onset patterns of neighbouring bars
 *
 * Shapes   beats_s [n_beats] rising; time steps are steps_per_beat equal parts of each beat.
 * Tested   tests/music/test_metrics.c
 */
#ifndef BL_MUSIC_METRICS_H
#define BL_MUSIC_METRICS_H

#include "music/chord.h"
#include "music/score.h"

double music_pitch_class_entropy(const music_score *score);
double music_scale_consistency(const music_score *score);
double music_pitch_in_key_rate(const music_score *score, music_key key);
double music_polyphony(const music_score *score, const double *beats_s, int n_beats, int steps_per_beat);
double music_empty_beat_rate(const music_score *score, const double *beats_s, int n_beats);
double music_groove_consistency(const music_score *score, const double *beats_s, int n_beats, int beats_per_bar,
                                int steps_per_beat);

#endif
