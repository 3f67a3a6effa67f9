/* The arithmetic of scaled dot-product attention in blocks, forward and backward; the op attention calls it.
 *
 *     s[i,j] = (sum over c of q[c,i] (k[c,j] + table[clip(j - i) + reach, c])) / sqrt(D)
 *     p[i,j] = keep[i,j] exp(s[i,j]) / sum over the visible j' of exp(s[i,j'])          y[c,i] = sum over j of p[i,j] v[c,j]
 *
 * per example and head; j is visible to i when j < length of the example and, if causal, j <= i. Without `table` its term
 * is missing. keep is 1, or for dropout 0 or 1/(1 - p). A query that sees nothing gets y = 0.
 *
 * No [Tq, Tk] matrix is ever stored: a block of queries meets a block of keys after the other, keeps its largest score and
 * its sum so far, and rescales what it has when a larger score comes. Queries lie across the vector registers, so that
 * neither the softmax nor its sums go across a register. backward computes the scores again from the queries' saved
 * log-sum-exp.
 *
 * Shapes   q [B, H D, Tq], k [B, H D, Tk], v [B, H V, Tk], lengths [B] or NULL, table [H, n_rows, D] or NULL;
 *          y, dy [B, H V, Tq], lse [B, H, Tq]; each gradient as what it belongs to. Nothing may overlap.
 * Threads  Forward shares out blocks of queries, backward heads of examples; every sum is made by one thread in one order.
 * Cost     2 B H Tq Tk (D + V) flops forward, 2 B H Tq Tk (3 D + 2 V) backward; half of it when causal.
 * Memory   scratch as the two functions say: it grows with T, not with its square.
 * Source   Vaswani et al., "Attention Is All You Need", 2017; blocks: Dao et al., "FlashAttention", arXiv:2205.14135, 2022, and
 *          Milakov & Gimelshein, arXiv:1805.02867, 2018; relative positions: Shaw et al., arXiv:1803.02155, 2018, a table per
 *          head as in Huang et al., "Music Transformer", arXiv:1809.04281, 2018.
 */
#ifndef BL_NN_ATTENTION_H
#define BL_NN_ATTENTION_H

#include "base/real.h"
#include "nn/chance.h"

typedef struct nn_attention_size {
    int64_t     B, H, Tq, Tk, D, V;
    int64_t     reach, n_rows;      /* rows of the table: 2 reach + 1, causal reach + 1; 0 without table */
    int         causal;
    uint64_t    seed;               /* of dropout                                                        */
    uint32_t    drop_below;         /* p 2^32; 0: no dropout                                              */
    real        keep_scale;         /* 1 / (1 - p)                                                       */
    const real *q, *k, *v, *lengths, *table;
} nn_attention_size;

/* The distance j - i as a row of the table. */
static inline int64_t nn_attention_row(const nn_attention_size *s, int64_t i, int64_t j)
{
    const int64_t distance = j - i, high = s->causal ? 0 : s->reach;
    return (distance < -s->reach ? -s->reach : distance > high ? high : distance) + s->reach;
}

/* Keys that example b has. */
static inline int64_t nn_attention_length(const nn_attention_size *s, int64_t b)
{
    return s->lengths ? (int64_t)s->lengths[b] : s->Tk;
}

static inline uint32_t nn_attention_row_key(const nn_attention_size *s, int64_t head, int64_t i)
{
    return nn_chance_key(s->seed, head * s->Tq + i);
}

/* What dropout multiplies the weight of key j with. */
static inline real nn_attention_keep(const nn_attention_size *s, uint32_t row_key, int64_t j)
{
    return nn_chance(row_key, j) >= s->drop_below ? s->keep_scale : 0;
}

/* Elements of scratch. */
int64_t nn_attention_scratch(const nn_attention_size *s);
int64_t nn_attention_grad_scratch(const nn_attention_size *s);

/* lse may be NULL. */
void nn_attention_run(const nn_attention_size *s, real *y, real *lse, real *scratch);
/* dtable is NULL when there is no table. */
void nn_attention_grad_run(const nn_attention_size *s, const real *y, const real *lse, const real *dy, real *dq, real *dk,
                           real *dv, real *dtable, real *scratch);

#endif
