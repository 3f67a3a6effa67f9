/* The habits of a corpus: how often each chord, what follows it, how long it lasts. */
#include "blocks/harmonizer_train.h"

#include <math.h>
#include <string.h>

enum { N = MUSIC_DEGREES, LONGEST = MUSIC_LONGEST_CHORD };

typedef struct counts {
    double share[2][N], move[2][N][N], length[2][LONGEST];
} counts;

static void count_song(const blocks_melody_song *s, counts *c)
{
    const int minor = s->key.minor != 0;
    for (int from = 0, to; from < s->n_units; from = to) {
        const int d = s->degree[from];
        for (to = from + 1; to < s->n_units && s->degree[to] == d;)
            to++;
        if (d < 0)
            continue;
        const int units = to - from < LONGEST ? to - from : LONGEST;
        c->share[minor][d] += to - from;
        c->length[s->units[from].mid_bar != 0][units - 1]++;
        if (to < s->n_units && s->degree[to] >= 0)
            c->move[minor][d][(int)s->degree[to]]++;
    }
}

/* Logarithms of n counts, each raised by what `backing` (sums to 1, or NULL: even) would give in `weight` observations. */
static void log_shares(const double *count, const double *backing, double weight, int n, float *out)
{
    double sum = weight;
    for (int i = 0; i < n; i++)
        sum += count[i];
    for (int i = 0; i < n; i++)
        out[i] = (float)log((count[i] + weight * (backing ? backing[i] : 1.0 / n)) / sum);
}

void blocks_harmonizer_count(const blocks_melody_songs *songs, music_harmony_habits *habits)
{
    static const double EVEN = 4, BOTH_MODES = 20;
    counts c;
    memset(&c, 0, sizeof c);
    for (int i = 0; i < songs->n; i++)
        if (!songs->songs[i].held_out)
            count_song(&songs->songs[i], &c);
    for (int from = -1; from < N; from++) { /* -1: shares */
        double *mode[2] = { from < 0 ? c.share[0] : c.move[0][from], from < 0 ? c.share[1] : c.move[1][from] };
        double both[N];
        float  pooled[N];
        for (int j = 0; j < N; j++)
            both[j] = mode[0][j] + mode[1][j];
        log_shares(both, NULL, EVEN, N, pooled);
        for (int j = 0; j < N; j++)
            both[j] = exp((double)pooled[j]);
        for (int m = 0; m < 2; m++)
            log_shares(mode[m], both, BOTH_MODES, N, from < 0 ? habits->share[m] : habits->move[m][from]);
    }
    for (int p = 0; p < 2; p++)
        log_shares(c.length[p], NULL, EVEN, LONGEST, habits->length[p]);
}
