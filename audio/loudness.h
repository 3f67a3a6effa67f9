/* Loudness and true peak of a whole clip, on libebur128 (EBU R 128, ITU-R BS.1770-4, EBU Tech 3342).
 *
 * Units    LUFS, LU, dBTP (4-fold oversampled peak relative to full scale), dBFS.
 * Contract integrated_lufs is -INFINITY when there is nothing to measure: a clip shorter than one gating
 *          block of 400 ms, or one with no block above -70 LUFS (silence). range_lu is then 0.
 *          Peaks are always measured; -INFINITY for digital silence only.
 * Errors   BL_EARG: empty clip, a rate outside 16..2822400 Hz, more than 64 channels. BL_ENOMEM.
 * Note     Mono counts once (as one speaker); channels beyond 2 have the weights of 5.0/5.1 as libebur128 sets them.
 * Tested   tests/audio/test_loudness.c: EBU Tech 3341 signals, silence, short clips.
 */
#ifndef BL_AUDIO_LOUDNESS_H
#define BL_AUDIO_LOUDNESS_H

#include "audio/clip.h"

typedef struct audio_loudness {
    double integrated_lufs;
    double range_lu;
    double true_peak_dbtp;    /* largest over channels */
    double sample_peak_dbfs;
} audio_loudness;

bl_status audio_loudness_measure(const audio_clip *clip, audio_loudness *out, bl_error *err);

/* The integrated loudness and the sample peak alone, at a third of the cost: the true peak and the range take the rest. */
bl_status audio_loudness_integrated(const audio_clip *clip, double *lufs, double *sample_peak_dbfs, bl_error *err);

/* The gain in dB that brings a measured clip to target_lufs, lowered where needed so that the true peak
 * stays at or below ceiling_dbtp. Not measurable (integrated -INFINITY): 0, or less if the ceiling wants so. */
double audio_loudness_gain_db(const audio_loudness *measured, double target_lufs, double ceiling_dbtp);

#endif
