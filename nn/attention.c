#include "nn/attention.h"

#include "nn/fastmath.h"
#include "nn/op.h"

#include <omp.h>

/* Queries and keys that meet at a time: two blocks of scores fit into the first-level cache. */
enum { QUERIES = 64, KEYS = 60, LANES = 16, ROWS = 6 };

/* ---- small products: c [m, n] = a [m, k] b [k, n], n a multiple of LANES ----
 *
 * Blocks this small cost a BLAS as much in packing as in multiplying. ROWS sums stay in registers; written with vectors
 * of the compiler, since its own choice for these loops is 25 times slower. */

typedef real lanes __attribute__((vector_size(LANES * sizeof(real)), aligned(sizeof(real)), may_alias));

#define TILE(NAME, N_ROWS)                                                                                       \
    static void NAME(int64_t n_k, const real *restrict a, int64_t lda, const real *restrict b, int64_t ldb,      \
                     real *restrict c, int64_t ldc, int add)                                                     \
    {                                                                                                            \
        lanes sum[N_ROWS] = { { 0 } };                                                                           \
        for (int64_t k = 0; k < n_k; k++, b += ldb) {                                                            \
            const lanes column = *(const lanes *)b;                                                              \
            for (int r = 0; r < N_ROWS; r++)                                                                     \
                sum[r] += a[r * lda + k] * column;                                                               \
        }                                                                                                        \
        for (int r = 0; r < N_ROWS; r++) {                                                                       \
            lanes *out = (lanes *)(c + r * ldc);                                                                 \
            if (add)                                                                                             \
                sum[r] += *out;                                                                                  \
            *out = sum[r];                                                                                       \
        }                                                                                                        \
    }
TILE(tile_of_1, 1)
TILE(tile_of_6, ROWS)

static void product(int64_t m, int64_t n, int64_t k, const real *a, int64_t lda, const real *b, int64_t ldb, real *c,
                    int64_t ldc, int add)
{
    for (int64_t i = 0; i < m; i += i + ROWS <= m ? ROWS : 1)
        for (int64_t j = 0; j < n; j += LANES)
            if (i + ROWS <= m)
                tile_of_6(k, a + i * lda, lda, b + j, ldb, c + i * ldc + j, ldc, add);
            else
                tile_of_1(k, a + i * lda, lda, b + j, ldb, c + i * ldc + j, ldc, add);
}

static int64_t round_up(int64_t n)
{
    return (n + LANES - 1) / LANES * LANES;
}

/* out [n, m] (rows ld apart, the rest of each 0) from x [m, n], rows x_row apart, times scale. */
static void transpose(int64_t m, int64_t n, const real *x, int64_t x_row, real scale, real *out, int64_t ld)
{
    for (int64_t j = 0; j < n; j++) {
        for (int64_t i = 0; i < m; i++)
            out[j * ld + i] = x[i * x_row + j] * scale;
        for (int64_t i = m; i < ld; i++)
            out[j * ld + i] = 0;
    }
}

/* Some columns of x, each row filled up with zeros to n_lanes. */
static void take(int64_t m, const real *x, int64_t x_row, int64_t n, real scale, real *out, int64_t n_lanes)
{
    for (int64_t i = 0; i < m; i++)
        for (int64_t l = 0; l < n_lanes; l++)
            out[i * n_lanes + l] = l < n ? x[i * x_row + l] * scale : 0;
}

/* ---- a block of queries ---- */

typedef struct block {
    int64_t b, h, q0, n, n_lanes;   /* queries q0 .. q0 + n - 1; lanes beyond n compute and are not used */
    int64_t n_keys;                 /* that any of them sees                                             */
    int64_t first_row, n_rows;      /* of the table, that any of their distances needs                   */
} block;

static block block_at(const nn_attention_size *s, int64_t b, int64_t h, int64_t q0)
{
    block k = { b, h, q0, s->Tq - q0 < QUERIES ? s->Tq - q0 : QUERIES, 0, nn_attention_length(s, b), 0, 0 };
    k.n_lanes = round_up(k.n);
    if (s->causal && k.n_keys > q0 + k.n)
        k.n_keys = q0 + k.n;
    if (s->table && k.n_keys > 0) {
        k.first_row = nn_attention_row(s, q0 + k.n_lanes - 1, 0);
        k.n_rows = nn_attention_row(s, q0, k.n_keys - 1) - k.first_row + 1;
    }
    return k;
}

/* Rows of the table that one block can need. */
static int64_t most_rows(const nn_attention_size *s)
{
    const int64_t reached = s->Tk + QUERIES - 1;
    return s->n_rows < reached ? s->n_rows : reached;
}

/* Lanes whose distance to key j lies within the table's: first .. end - 1. Those before use its last row, those behind its first.
 * Lane l has row r - l, if row is that of lane 0. */
typedef struct near_lanes { int64_t first, end, row; } near_lanes;

static near_lanes near_of(const nn_attention_size *s, const block *k, int64_t j)
{
    const int64_t distance = j - k->q0, first = distance - (s->causal ? 0 : s->reach), end = distance + s->reach + 1;
    near_lanes n = { first < 0 ? 0 : first > k->n_lanes ? k->n_lanes : first, end < 0 ? 0 : end > k->n_lanes ? k->n_lanes : end,
                     distance + s->reach - k->first_row };
    return n;
}

/* x [lanes] of key j plus the products of its distance with the queries: relative [rows, lanes]. */
static void add_relative(const nn_attention_size *s, const block *k, int64_t j, const real *relative, real *restrict x)
{
    const int64_t L = k->n_lanes;
    const near_lanes n = near_of(s, k, j);
    for (int64_t l = 0; l < n.first && !s->causal; l++) /* causal: not seen anyway */
        x[l] += relative[(2 * s->reach - k->first_row) * L + l];
    for (int64_t l = n.first; l < n.end; l++)
        x[l] += relative[(n.row - l) * L + l];
    for (int64_t l = n.end; l < L; l++)
        x[l] += relative[l - k->first_row * L];
}

/* Its adjoint. */
static void add_relative_grad(const nn_attention_size *s, const block *k, int64_t j, const real *dx, real *restrict drelative)
{
    const int64_t L = k->n_lanes;
    const near_lanes n = near_of(s, k, j);
    for (int64_t l = 0; l < n.first && !s->causal; l++)
        drelative[(2 * s->reach - k->first_row) * L + l] += dx[l];
    for (int64_t l = n.first; l < n.end; l++)
        drelative[(n.row - l) * L + l] += dx[l];
    for (int64_t l = n.end; l < L; l++)
        drelative[l - k->first_row * L] += dx[l];
}

/* scores of n keys from k0 on: [n, lanes]; relative [rows, lanes] are the queries' products with the table. */
static void scores(const nn_attention_size *s, const block *k, int64_t k0, int64_t n, const real *queries,
                   const real *keys, const real *relative, real *out)
{
    product(n, k->n_lanes, s->D, keys + k0 * s->D, s->D, queries, k->n_lanes, out, k->n_lanes, 0);
    for (int64_t j = k0; j < k0 + n; j++) {
        real *row = out + (j - k0) * k->n_lanes;
        if (s->table)
            add_relative(s, k, j, relative, row);
        for (int64_t l = 0; s->causal && l < j - k->q0; l++)
            row[l] = -INFINITY;
    }
}

static void drop(const nn_attention_size *s, const uint32_t *keys, int64_t n_lanes, int64_t j, const real *x, real *out)
{
    const uint32_t below = s->drop_below; /* in registers: out might be s itself, for all that the compiler knows */
    const real scale = s->keep_scale;
#pragma omp simd
    for (int64_t l = 0; l < n_lanes; l++)
        out[l] = x[l] * (nn_chance(keys[l], j) >= below ? scale : 0);
}

static void row_keys(const nn_attention_size *s, const block *k, uint32_t *keys)
{
    for (int64_t l = 0; l < k->n_lanes && s->drop_below; l++)
        keys[l] = nn_attention_row_key(s, k->b * s->H + k->h, k->q0 + l);
}

/* ---- forward ---- */

typedef struct running {
    real     top[QUERIES], rescale[QUERIES];
    double   sum[QUERIES];
    uint32_t key[QUERIES];
} running;

/* Scores of n keys become exp(score - top) under the new top. */
static void absorb(running *r, int64_t n, int64_t n_lanes, real *x)
{
    real part[QUERIES] = { 0 }, top[QUERIES];
    for (int64_t l = 0; l < n_lanes; l++)
        top[l] = r->top[l];
    for (int64_t j = 0; j < n; j++)
#pragma omp simd
        for (int64_t l = 0; l < n_lanes; l++)
            top[l] = x[j * n_lanes + l] > top[l] ? x[j * n_lanes + l] : top[l];
    for (int64_t j = 0; j < n; j++)
#pragma omp simd
        for (int64_t l = 0; l < n_lanes; l++) {
            const real e = nn_fast_exp_low(x[j * n_lanes + l] - top[l]);
            x[j * n_lanes + l] = e;
            part[l] += e;
        }
    for (int64_t l = 0; l < n_lanes; l++) {
        r->rescale[l] = nn_fast_exp_low(r->top[l] - top[l]);
        r->sum[l] = r->sum[l] * (double)r->rescale[l] + (double)part[l];
        r->top[l] = top[l];
    }
}

static void forward_block(const nn_attention_size *s, const block *k, const real *keys, real *y, real *lse, real *scratch)
{
    const int64_t head = k->b * s->H + k->h, L = k->n_lanes;
    const real *values = s->v + head * s->V * s->Tk;
    real *queries = scratch, *x = queries + s->D * L, *out = x + KEYS * L, *relative = out + s->V * L;
    running r;
    for (int64_t l = 0; l < L; l++) {
        r.top[l] = -INFINITY;
        r.sum[l] = 0;
    }
    row_keys(s, k, r.key);
    take(s->D, s->q + head * s->D * s->Tq + k->q0, s->Tq, k->n, (real)(1 / sqrt((double)s->D)), queries, L);
    for (int64_t i = 0; i < s->V * L; i++)
        out[i] = 0;
    if (k->n_rows)
        product(k->n_rows, L, s->D, s->table + (k->h * s->n_rows + k->first_row) * s->D, s->D, queries, L, relative, L, 0);
    for (int64_t k0 = 0; k0 < k->n_keys; k0 += KEYS) {
        const int64_t n = k->n_keys - k0 < KEYS ? k->n_keys - k0 : KEYS;
        scores(s, k, k0, n, queries, keys, relative, x);
        absorb(&r, n, L, x);
        for (int64_t j = 0; j < n && s->drop_below; j++)
            drop(s, r.key, L, k0 + j, x + j * L, x + j * L);
        for (int64_t c = 0; c < s->V && k0 > 0; c++)
            for (int64_t l = 0; l < L; l++)
                out[c * L + l] *= r.rescale[l];
        product(s->V, L, n, values + k0, s->Tk, x, L, out, L, 1);
    }
    for (int64_t c = 0; c < s->V; c++)
        for (int64_t l = 0; l < k->n; l++)
            y[(head * s->V + c) * s->Tq + k->q0 + l] = k->n_keys ? (real)((double)out[c * L + l] / r.sum[l]) : 0;
    for (int64_t l = 0; l < k->n && lse; l++)
        lse[head * s->Tq + k->q0 + l] = k->n_keys ? (real)((double)r.top[l] + log(r.sum[l])) : 0;
}

static int64_t forward_per_thread(const nn_attention_size *s)
{
    return QUERIES * (s->D + KEYS + s->V + most_rows(s));
}

int64_t nn_attention_scratch(const nn_attention_size *s)
{
    return s->B * s->H * s->Tk * s->D + omp_get_max_threads() * forward_per_thread(s);
}

void nn_attention_run(const nn_attention_size *s, real *y, real *lse, real *scratch)
{
    const int64_t heads = s->B * s->H, blocks = (s->Tq + QUERIES - 1) / QUERIES, per_head = s->Tk * s->D;
    const int parallel = heads * s->Tq * s->Tk > NN_PARALLEL_MIN;
    real *own = scratch + heads * per_head;
#pragma omp parallel for schedule(static) if (parallel)
    for (int64_t i = 0; i < heads; i++)
        transpose(s->D, s->Tk, s->k + i * per_head, s->Tk, 1, scratch + i * per_head, s->D);
    /* One block after the other to each thread: causal ones grow. */
#pragma omp parallel for schedule(static, 1) if (parallel)
    for (int64_t task = 0; task < heads * blocks; task++) {
        const int64_t head = task / blocks;
        const block k = block_at(s, head / s->H, head % s->H, task % blocks * QUERIES);
        forward_block(s, &k, scratch + head * per_head, y, lse, own + omp_get_thread_num() * forward_per_thread(s));
    }
}

/* ---- backward ----
 *
 *     dv[c,j] = sum over i of p[i,j] dy[c,i]         dp[i,j] = sum over c of v[c,j] dy[c,i]
 *     ds[i,j] = p[i,j] (dp[i,j] - delta[i])          delta[i] = sum over c of y[c,i] dy[c,i]
 *     dq = ds k / sqrt(D),  dk = ds^T q / sqrt(D),  and the table's as dk's, by distance
 *
 * with p after dropout in the first line, before it in ds, and dp times keep. Of a head's arrays, _t are transposed. */

typedef struct head_scratch {
    real *keys_t, *values_t, *dkeys_t, *dvalues_t;            /* [Tk, D], [Tk, V], [Tk, D'], [Tk, V'], ' rounded up  */
    real *queries, *dout, *queries_t, *dout_t, *dqueries;     /* of a block: [D, L], [V, L], [L, D'], [L, V'], [D, L] */
    real *p, *dp;                                             /* [KEYS, L]                                          */
    real *relative, *drelative, *table_t;                     /* [rows, L] twice, [D, n_rows]                       */
} head_scratch;

/* Takes n elements from *next on; returns how many that are. next NULL: only counts. */
static int64_t part(real **place, real **next, int64_t n)
{
    if (next) {
        *place = *next;
        *next += round_up(n);
    }
    return round_up(n);
}

/* Lays the arrays out from `memory` on (NULL: only counts); returns their size. */
static int64_t lay_out(const nn_attention_size *s, head_scratch *h, real *memory)
{
    real **next = memory ? &memory : NULL;
    int64_t n = part(&h->keys_t, next, s->Tk * s->D) + part(&h->values_t, next, s->Tk * s->V);
    n += part(&h->dkeys_t, next, s->Tk * round_up(s->D)) + part(&h->dvalues_t, next, s->Tk * round_up(s->V));
    n += part(&h->queries, next, s->D * QUERIES) + part(&h->dout, next, s->V * QUERIES);
    n += part(&h->queries_t, next, QUERIES * round_up(s->D)) + part(&h->dout_t, next, QUERIES * round_up(s->V));
    n += part(&h->dqueries, next, s->D * QUERIES);
    n += part(&h->p, next, KEYS * QUERIES) + part(&h->dp, next, KEYS * QUERIES);
    n += part(&h->relative, next, most_rows(s) * QUERIES) + part(&h->drelative, next, most_rows(s) * QUERIES);
    return n + part(&h->table_t, next, s->D * s->n_rows);
}

/* p [n, lanes] from scores; ds into dp, and p after dropout. */
static void score_grad(const nn_attention_size *s, const block *k, int64_t k0, int64_t n, const real *lse,
                       const real *delta, const uint32_t *key, real *p, real *dp)
{
    for (int64_t j = 0; j < n; j++) {
        real *restrict pj = p + j * k->n_lanes, *restrict dj = dp + j * k->n_lanes;
        if (s->drop_below)
            drop(s, key, k->n_lanes, k0 + j, dj, dj);
#pragma omp simd
        for (int64_t l = 0; l < k->n_lanes; l++) {
            pj[l] = nn_fast_exp_low(pj[l] - lse[l]);
            dj[l] = pj[l] * (dj[l] - delta[l]);
        }
        if (s->drop_below)
            drop(s, key, k->n_lanes, k0 + j, pj, pj);
    }
}

static void backward_block(const nn_attention_size *s, const block *k, const head_scratch *w, const real *y, const real *lse,
                           const real *dy, real *dq, real *dtable)
{
    const int64_t head = k->b * s->H + k->h, L = k->n_lanes, Dp = round_up(s->D), Vp = round_up(s->V);
    const int64_t q_at = head * s->D * s->Tq + k->q0, y_at = head * s->V * s->Tq + k->q0;
    const real scale = (real)(1 / sqrt((double)s->D));
    const real *table = s->table ? s->table + (k->h * s->n_rows + k->first_row) * s->D : NULL;
    real delta[QUERIES], block_lse[QUERIES];
    uint32_t key[QUERIES];

    row_keys(s, k, key);
    take(s->D, s->q + q_at, s->Tq, k->n, scale, w->queries, L);
    take(s->V, dy + y_at, s->Tq, k->n, 1, w->dout, L);
    transpose(s->D, k->n, s->q + q_at, s->Tq, scale, w->queries_t, Dp);
    transpose(s->V, k->n, dy + y_at, s->Tq, 1, w->dout_t, Vp);
    for (int64_t l = 0; l < L; l++) {
        double sum = 0;
        for (int64_t c = 0; c < s->V && l < k->n; c++)
            sum += (double)(y[y_at + c * s->Tq + l] * dy[y_at + c * s->Tq + l]);
        delta[l] = (real)sum;
        block_lse[l] = l < k->n ? lse[head * s->Tq + k->q0 + l] : 0;
    }
    for (int64_t i = 0; i < s->D * L; i++)
        w->dqueries[i] = 0;
    for (int64_t i = 0; i < k->n_rows * L; i++)
        w->drelative[i] = 0;
    if (k->n_rows)
        product(k->n_rows, L, s->D, table, s->D, w->queries, L, w->relative, L, 0);

    for (int64_t k0 = 0; k0 < k->n_keys; k0 += KEYS) {
        const int64_t n = k->n_keys - k0 < KEYS ? k->n_keys - k0 : KEYS;
        scores(s, k, k0, n, w->queries, w->keys_t, w->relative, w->p);
        product(n, L, s->V, w->values_t + k0 * s->V, s->V, w->dout, L, w->dp, L, 0);
        score_grad(s, k, k0, n, block_lse, delta, key, w->p, w->dp);
        product(n, Vp, k->n, w->p, L, w->dout_t, Vp, w->dvalues_t + k0 * Vp, Vp, 1);
        product(n, Dp, k->n, w->dp, L, w->queries_t, Dp, w->dkeys_t + k0 * Dp, Dp, 1);
        product(s->D, L, n, s->k + head * s->D * s->Tk + k0, s->Tk, w->dp, L, w->dqueries, L, 1);
        for (int64_t j = 0; j < n && table; j++)
            add_relative_grad(s, k, k0 + j, w->dp + j * L, w->drelative);
    }
    if (k->n_rows) {
        product(s->D, L, k->n_rows, w->table_t + k->first_row, s->n_rows, w->drelative, L, w->dqueries, L, 1);
        product(k->n_rows, Dp, k->n, w->drelative, L, w->queries_t, Dp, dtable + k->first_row * Dp, Dp, 1);
    }
    for (int64_t c = 0; c < s->D; c++)
        for (int64_t l = 0; l < k->n; l++)
            dq[q_at + c * s->Tq + l] = w->dqueries[c * L + l] * scale;
}

static int64_t tables(const nn_attention_size *s)
{
    return s->B * s->H * s->n_rows * round_up(s->D);
}

int64_t nn_attention_grad_scratch(const nn_attention_size *s)
{
    head_scratch unused = { NULL };
    return omp_get_max_threads() * lay_out(s, &unused, NULL) + tables(s);
}

/* [Tk, n] (rows ld apart) to [n, Tk]. */
static void put_back(int64_t n, int64_t Tk, const real *x, int64_t ld, real *out)
{
    for (int64_t c = 0; c < n; c++)
        for (int64_t j = 0; j < Tk; j++)
            out[c * Tk + j] = x[j * ld + c];
}

void nn_attention_grad_run(const nn_attention_size *s, const real *y, const real *lse, const real *dy, real *dq, real *dk,
                           real *dv, real *dtable, real *scratch)
{
    const int64_t heads = s->B * s->H, Dp = round_up(s->D), Vp = round_up(s->V), per_table = s->n_rows * Dp;
    head_scratch unused = { NULL };
    const int64_t per_thread = lay_out(s, &unused, NULL);
    real *own_tables = scratch + omp_get_max_threads() * per_thread; /* a head of an example each, added up in order */
#pragma omp parallel for schedule(static, 1) if (heads * s->Tq * s->Tk > NN_PARALLEL_MIN)
    for (int64_t head = 0; head < heads; head++) {
        head_scratch w = { NULL };
        lay_out(s, &w, scratch + omp_get_thread_num() * per_thread);
        transpose(s->D, s->Tk, s->k + head * s->D * s->Tk, s->Tk, 1, w.keys_t, s->D);
        transpose(s->V, s->Tk, s->v + head * s->V * s->Tk, s->Tk, 1, w.values_t, s->V);
        for (int64_t i = 0; i < s->Tk * Dp; i++)
            w.dkeys_t[i] = 0;
        for (int64_t i = 0; i < s->Tk * Vp; i++)
            w.dvalues_t[i] = 0;
        for (int64_t i = 0; i < per_table; i++)
            own_tables[head * per_table + i] = 0;
        if (s->table)
            transpose(s->n_rows, s->D, s->table + head % s->H * s->n_rows * s->D, s->D, 1, w.table_t, s->n_rows);
        for (int64_t q0 = 0; q0 < s->Tq; q0 += QUERIES) {
            const block k = block_at(s, head / s->H, head % s->H, q0);
            backward_block(s, &k, &w, y, lse, dy, dq, own_tables + head * per_table);
        }
        put_back(s->D, s->Tk, w.dkeys_t, Dp, dk + head * s->D * s->Tk);
        put_back(s->V, s->Tk, w.dvalues_t, Vp, dv + head * s->V * s->Tk);
    }
#pragma omp parallel for schedule(static) if (s->H * per_table > NN_PARALLEL_MIN)
    for (int64_t r = 0; r < s->H * s->n_rows; r++)
        for (int64_t c = 0; c < s->D; c++) {
            double sum = 0;
            for (int64_t b = 0; b < s->B; b++)
                sum += (double)own_tables[b * s->H * per_table + r * Dp + c];
            dtable[r * s->D + c] = (real)sum;
        }
}
