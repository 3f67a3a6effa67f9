/* The second feature set: what one tone sounds like, as a fixed row of numbers for the tone detector.
 *
 *     mfcc         mean, standard deviation and deviation of the first difference over the frames that sound,
 *                  and the mean over the attack
 *     time         attack, decay, temporal centroid, envelope at fixed times after the onset, tremolo, re-attacks
 *     pitch        register, range, drift, vibrato rate and extent, share of voiced frames
 *     harmonics    levels of partials 1..8, tristimulus, odd to even, inharmonicity, harmonic to noise, slope
 *     spectrum     centroid, bandwidth, rolloff, flatness, contrast, zero crossings, flux
 *
 * Everything is measured at BLOCKS_TONE_RATE after the tone was scaled to a peak of 1, so neither the rate of the
 * recording (from 16 kHz up) nor its level matters. Levels are in dB, frequencies in octaves, times as log10 of
 * seconds: numbers on which Euclidean distances mean something once each is standardised.
 *
 * Shapes   x [n_samples] one channel; out [BLOCKS_TONE_FEATURES], all finite. Only the first
 *          BLOCKS_TONE_SECONDS count. The onset is found in x; sound before it is ignored.
 * Errors   BL_EARG: shorter than 10 ms, or silent (peak below -80 dBFS); BL_ENAN: a sample not finite; BL_ENOMEM.
 * Memory   blocks_tone_analyser_new returns a plan; release with _free (NULL allowed).
 * Threads  A plan holds scratch: one per thread.
 * Cost     about 20 ms for a tone of one second, mostly its fundamental frequency.
 * Source   Peeters, "A large set of audio features for sound description", CUIDADO, 2004; Fletcher & Rossing,
 *          "The Physics of Musical Instruments" (inharmonicity: f[h] = h f0 sqrt(1 + B h^2)).
 * Tested   tests/blocks/test_tone_features.c
 */
#ifndef BL_BLOCKS_TONE_FEATURES_H
#define BL_BLOCKS_TONE_FEATURES_H

#include "base/error.h"

#include <stdint.h>

enum {
    BLOCKS_TONE_RATE     = 16000,
    BLOCKS_TONE_SECONDS  = 2,
    BLOCKS_TONE_MFCC     = 12,
    BLOCKS_TONE_FEATURES = 72
};

/* Where the groups begin in a row. */
enum {
    BLOCKS_TONE_AT_MFCC      = 0,    /* 12 of the body, then 6 of the attack's difference from it */
    BLOCKS_TONE_AT_TIME      = 18,   /* 15 */
    BLOCKS_TONE_AT_PITCH     = 33,   /*  5 */
    BLOCKS_TONE_AT_HARMONICS = 38,   /* 19 */
    BLOCKS_TONE_AT_SPECTRUM  = 57    /* 15 */
};

typedef struct blocks_tone_analyser blocks_tone_analyser;

blocks_tone_analyser *blocks_tone_analyser_new(bl_error *err);
void                  blocks_tone_analyser_free(blocks_tone_analyser *a);
bl_status             blocks_tone_analyser_run(blocks_tone_analyser *a, const float *x, int64_t n_samples, int sample_rate,
                                               float out[BLOCKS_TONE_FEATURES], bl_error *err);

/* "mfcc_mean_3", "attack_s", "inharmonicity" ...; out of range: "". The text is constant or written into buffer. */
const char *blocks_tone_feature_name(int i, char buffer[32]);

#endif
