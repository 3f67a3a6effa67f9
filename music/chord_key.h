/* The key that chords were played in.
 *
 *     log p(key | chords) = SHARPNESS * (2 mean over the time of log P(degree | mode) + mean over changes of log P(next | degree, mode)
 *                           + 0.1 log P(first) + 0.2 log P(last) + 0.5 share of the tonic chord)  - log of the sum over keys
 *
 * Only root and third of a chord count. SHARPNESS was fitted, so that of keys found with a confidence of 0.8 about 0.8 are right;
 * n changes lower it by (n + 1) / (n + 2).
 *
 * Shapes   spans [n] in order; log_p [24], 12 minor + tonic; sums to 1. Without chords every key is as likely.
 * Source   Key profiles of chords: Noland & Sandler, "Key estimation using a hidden Markov model", ISMIR 2006.
 * Tested   tests/music/test_chord_key.c
 */
#ifndef BL_MUSIC_CHORD_KEY_H
#define BL_MUSIC_CHORD_KEY_H

#include "music/score.h"

enum { MUSIC_KEYS = 24 };

void music_chord_key(const music_chord_span *spans, int n, double log_p[MUSIC_KEYS]);

#endif
