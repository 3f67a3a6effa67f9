/* What tells at which metrical level the beat is: how a recording repeats itself after one, two, three ... sixteenths of a beat
 * that is supposed, from the bottom (kick) to the top (hi-hat). A snare on every second beat comes back after eight sixteenths; the
 * same grid at half the tempo has it after four. Nothing here depends on where the bar begins.
 *
 *     flux[t, g]  how much louder the bands of group g grew from frame t - 1 to t: mean over bands of 0.07 neper steps
 *     features    from sqrt(flux summed over each sixteenth): by group autocorrelation at 1 .. 16 and 32 sixteenths, level, spread,
 *                 share of sixteenths above the mean; correlation of groups 0-2, 0-4, 1-2, 2-4 after 0, 2, 4, 8 sixteenths;
 *                 the octave o of the tempo over 100 beats a minute, and o^2 (the last two)
 *
 * Shapes   flux [n_frames, AUDIO_LEVEL_GROUPS]; beats_s [n], rising; features [AUDIO_LEVEL_FEATURES]
 * Errors   _features: 0 where a level has fewer than 6 beats in the recording or a tempo outside AUDIO_LEVEL_SLOWEST .. _FASTEST, and then nothing is
 *          written. No memory: 0, too.
 * Threads  no state
 * Tested   tests/audio/test_beat_levels.c
 */
#ifndef BL_AUDIO_BEAT_LEVELS_H
#define BL_AUDIO_BEAT_LEVELS_H

#include "audio/beat_bands.h"

enum { AUDIO_LEVEL_GROUPS = 5, AUDIO_LEVEL_LAGS = 17, AUDIO_LEVEL_FEATURES = AUDIO_LEVEL_GROUPS * (AUDIO_LEVEL_LAGS + 3) + 16 + 2 };
/* The levels that are compared with a grid: half its tempo, itself, twice its tempo; of those in between these beats a minute. */
enum { AUDIO_LEVELS = 3, AUDIO_LEVEL_SLOWEST = 42, AUDIO_LEVEL_FASTEST = 230 };

void audio_beat_flux(const audio_beat_bands *bands, float *flux);
/* The grid's beats at level 0 (every other one), 1 (all) or 2 (and one between). Returns whether there are features. */
int  audio_level_features(const float *flux, int64_t n_frames, double hop_s, const double *beats_s, int n, int level, float *features);

#endif
