/* Measures LANES spectra side by side: value f of frame l is v[f*LANES + l], so that every sum over f runs over LANES
 * frames at once and a frame's result depends on nothing but the frame (features.c).
 *
 * Shapes   power, magnitude [F, LANES]; results [.., LANES]
 */
#ifndef BL_AUDIO_FEATURE_BLOCK_PRIVATE_H
#define BL_AUDIO_FEATURE_BLOCK_PRIVATE_H

#include "audio/features.h"

enum { LANES = 16 };

typedef struct audio_contrast_band {
    int first, n; /* bins; n = 0: the band has none                    */
    int few;      /* the 2 % that peak and valley are means of         */
} audio_contrast_band;

/* rows [LANES, stride] of powers, frame after frame -> power and magnitude. */
void audio_block_turn(const float *rows, int stride, int n_bins, float *power, float *magnitude);

/* out[r] = sum over first[r] <= f < end[r] of weight[r, f] * power[f]; weight [n_rows, F]. */
void audio_block_filter(const float *power, int n_bins, const float *weight, const int *first, const int *end, int n_rows,
                        float *out);

/* Silent frames give 0. */
void audio_block_moments(const float *magnitude, int n_bins, double bin_hz, double roll_percent, float *centroid,
                         float *bandwidth, float *rolloff);
void audio_block_flatness(const float *power, int n_bins, float *out);

/* librosa's bands for this resolution, and each band's peak and valley [AUDIO_CONTRAST_BANDS, LANES] as magnitudes.
 * scratch [2*few, LANES] for the largest `few` of all bands. */
void audio_contrast_bands(int n_bins, double bin_hz, audio_contrast_band bands[AUDIO_CONTRAST_BANDS]);
void audio_block_contrast(const float *magnitude, const audio_contrast_band bands[AUDIO_CONTRAST_BANDS], float *scratch,
                          float *peak, float *valley);

/* How much frame t is louder than the one before it, mean over the bands of what rises; before [n_mels] is the column in
 * front of mel_db [n_mels, T], NULL where there is none (then out[0] = 0). */
void audio_mel_rises(const float *mel_db, const float *before, int n_mels, int64_t n_frames, float *out);

#endif
