/* Features by their rank: every column of a table becomes even between -sqrt(3) and sqrt(3), deviation 1, by where a value stands
 * among those learned from.
 *
 *     z[j] = sqrt(12) (F_j(x[j]) - 1/2),   F_j  the distribution of column j, piecewise linear between BLOCKS_TONE_KNOTS quantiles
 *
 * Measured features have long tails: one odd attack time is worth more to a Gaussian kernel than the rest of the row. Ranks
 * have none, and keep all order. Where quantiles are equal a value takes the middle of their ranks. Values beyond those learned
 * from take the last rank.
 *
 * Shapes   x [n, BLOCKS_TONE_FEATURES], finite.
 * Errors   _learn is 0 when memory is short.
 * Tested   tests/blocks/test_tone_ranks.c
 */
#ifndef BL_BLOCKS_TONE_RANKS_H
#define BL_BLOCKS_TONE_RANKS_H

#include "blocks/tone_features.h"

#include <stdint.h>

enum { BLOCKS_TONE_KNOTS = 65 };

typedef struct blocks_tone_ranks {
    float knot[BLOCKS_TONE_FEATURES][BLOCKS_TONE_KNOTS];  /* quantiles 0, 1/64, ... 1: rising */
} blocks_tone_ranks;

int  blocks_tone_ranks_learn(blocks_tone_ranks *ranks, const float *x, int64_t n);
/* One row; out may be row. */
void blocks_tone_ranks_apply(const blocks_tone_ranks *ranks, const float *row, float *out);

#endif
