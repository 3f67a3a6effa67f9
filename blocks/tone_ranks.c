#include "blocks/tone_ranks.h"

#include <math.h>
#include <stdlib.h>

enum { LAST = BLOCKS_TONE_KNOTS - 1 };

static int rising(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

int blocks_tone_ranks_learn(blocks_tone_ranks *ranks, const float *x, int64_t n)
{
    float *column = malloc((size_t)(n > 0 ? n : 1) * sizeof *column);
    if (!column)
        return 0;
    for (int j = 0; j < BLOCKS_TONE_FEATURES; j++) {
        for (int64_t i = 0; i < n; i++)
            column[i] = x[i * BLOCKS_TONE_FEATURES + j];
        qsort(column, (size_t)n, sizeof *column, rising);
        for (int k = 0; k <= LAST; k++) {
            const double  at = (double)k / LAST * (double)(n - 1);
            const int64_t low = (int64_t)at, high = low + 1 < n ? low + 1 : low;
            ranks->knot[j][k] = n > 0 ? column[low] + (float)(at - (double)low) * (column[high] - column[low]) : 0;
        }
    }
    free(column);
    return 1;
}

/* The rank of v, 0 to LAST. */
static double rank_of(const float *knot, float v)
{
    int first = 0, last = LAST;
    if (v < knot[0] || v > knot[LAST])
        return v < knot[0] ? 0 : LAST;
    while (first < LAST && knot[first] < v)
        first++;
    while (last > 0 && knot[last] > v)
        last--;
    if (first <= last)
        return 0.5 * (first + last);  /* on one knot or several */
    return last + (double)(v - knot[last]) / (double)(knot[first] - knot[last]);
}

void blocks_tone_ranks_apply(const blocks_tone_ranks *ranks, const float *row, float *out)
{
    for (int j = 0; j < BLOCKS_TONE_FEATURES; j++)
        out[j] = (float)(sqrt(12.0) * (rank_of(ranks->knot[j], row[j]) / LAST - 0.5));
}
