/* Pitch of a single tone, and how it wanders: YIN, summed over the tone.
 *
 *     d[t,k] = sum over n < 1024 of (x[t+n] - x[t+n+k])^2      c[t,k] = d[t,k] k / (d[t,1] + .. + d[t,k])
 *
 * A tone has one pitch, so the functions c of frames all over it are averaged, weighed by their energy, before the first dip
 * below a threshold decides; no tracking is needed, and a frame that alone would be an octave off is outvoted. The contour is the
 * nearest dip of every frame within a semitone and a half.
 *
 * Units    hertz; semitones relative to f0_hz; frames every 20 ms.
 * Shapes   x [n_samples] at BLOCKS_TONE_RATE; frames begin from from..to.
 * Memory   _new returns a plan; release with _free (NULL allowed).
 * Threads  A plan holds scratch: one per thread.
 * Cost     some 40 us for each 20 ms, at most a second of the tone is looked at.
 * Source   de Cheveigne & Kawahara, "YIN", JASA 111(4), 2002.
 * Tested   tests/blocks/test_tone_features.c
 */
#ifndef BL_BLOCKS_TONE_PITCH_H
#define BL_BLOCKS_TONE_PITCH_H

#include "base/error.h"

#include <stdint.h>

enum { BLOCKS_TONE_CONTOUR_MAX = 50 };

typedef struct blocks_tone_contour {
    double f0_hz;   /* 0: no pitch                                       */
    double clarity; /* 1 - c at the dip: 1 periodic, 0 noise             */
    double hop_s;
    int    n;
    double semitones[BLOCKS_TONE_CONTOUR_MAX];
} blocks_tone_contour;

typedef struct blocks_tone_pitch blocks_tone_pitch;
blocks_tone_pitch *blocks_tone_pitch_new(bl_error *err);
void               blocks_tone_pitch_free(blocks_tone_pitch *p);
void               blocks_tone_pitch_run(blocks_tone_pitch *p, const float *x, int64_t n_samples, int64_t from, int64_t to,
                                         blocks_tone_contour *out);

#endif
