/* Plain measured values of a stretch of sound, a vector of fixed length: rhythm, beat, pitch, tone, level.
 *
 * Order    blocks_song_feature_name(i) names each; in this order:
 *              0  tempo             log2(bpm / 120), tempo of the onset envelope's autocorrelation with a log-normal prior
 *              1  pulse             height of that peak, 0..1: how clear the beat is
 *              2  double, half      ... 3  the autocorrelation at half and twice the beat's period, 0..1
 *              4  onset_rate        onsets per second
 *              5  onset_mean        6  onset_deviation   of the onset strength
 *              7  level_db          RMS, dBFS            8  level_deviation   of the frames, dB
 *              9  low_energy        share of frames below half the mean power
 *             10  zcr, centroid, bandwidth, rolloff, flatness: mean, then deviation, of each (10 values; in log2 units but for zcr)
 *             20  contrast          mean of 7 octave bands, then deviation of each (14 values), dB
 *             34  mfcc              mean of 20, deviation of 20, mean change per frame of 20 (60 values)
 *             94  chroma            mean chroma of 12 pitch classes, from the strongest on: no key is preferred
 *            106  chroma_entropy    0 one pitch class .. 1 all alike
 *            107  chroma_change     mean change of the chroma from frame to frame
 *            108  major             correlation of the chroma with the best major profile minus the best minor one
 * Shapes   mono [n_samples], out [BLOCKS_SONG_FEATURES].
 * Units    as named; always finite, for silence too.
 * Errors   BL_EARG: no sample or a rate outside 1000..768000 Hz; BL_ENAN; BL_ENOMEM.
 * Cost     one STFT at 22050 Hz; 60 s of sound take about 0.2 s.
 * Tested   tests/blocks/test_feature_extractor.c
 */
#ifndef BL_BLOCKS_SONG_FEATURES_H
#define BL_BLOCKS_SONG_FEATURES_H

#include "base/error.h"

#include <stdint.h>

enum { BLOCKS_SONG_FEATURES = 109, BLOCKS_SONG_MFCC = 34 };

bl_status   blocks_song_features(const float *mono, int64_t n_samples, int sample_rate, float *out, bl_error *err);
const char *blocks_song_feature_name(int i);

#endif
