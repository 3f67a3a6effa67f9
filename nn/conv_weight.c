/* The weight's gradient of a convolution: for each tap a product of dy, as it lies, with x, transposed.
 *
 * A chunk of outputs takes the stretch of x that it reads into cache with channels last. There the columns (tap, channel) of
 * one output are runs of memory, and those of the next output lie stride pixels further: runs overlap, nothing is copied
 * twice. Where runs would be too short for vectors (few channels, two dimensions) they are laid out one by one instead.
 * The sums of a block of weights stay in cache over all chunks. Where there are fewer blocks than threads like, the chunks are
 * shared out among a number of partial sums that follows from the shapes, added in order.
 */
#include "nn/conv.h"
#include "nn/kernel/kernel.h"

#include <omp.h>
#include <string.h>

enum {
    POSITIONS = 512,      /* outputs of one chunk: terms of one sum before it is added up */
    PATCH = 72 * 1024,    /* elements of x in cache                                       */
    SUMS = 64 * 1024,     /* elements of the gradient in cache                            */
    COLUMNS = 640,        /* of the gradient at once, about                               */
    ROUND = NN_TILE_LANES,
    PARTS = 8,            /* wanted                                                       */
    RUNS = 512,
    A_ROW = POSITIONS + 16,
};
static const double PARALLEL_MIN = 2e5; /* multiply-adds */

typedef struct job {
    const nn_kernel    *kernel;
    const nn_conv_size *s;
    const real         *x, *dy;
    real               *weight, *parts;
    int64_t rows, row_blocks, channels, channel_blocks, taps_h, tap_blocks_h, taps_w, tap_blocks_w; /* a block of weights */
    int64_t nb, nh, nw, blocks_b, blocks_h, blocks_w;                                               /* a chunk of outputs */
    int64_t chunks, n_parts;
    int     apart; /* runs are laid out one by one */
} job;

/* A block of weights: o0 .. o0+m, i0 .. i0+n, taps from kh0, kw0 on. */
typedef struct block {
    int64_t group, o0, m, i0, n, kh0, kh, kw0, kw;
    int64_t lane;                     /* channels of a pixel in cache, some of them perhaps nobody's */
    int64_t runs, run, run_columns;   /* runs of memory, their length, and rounded                 */
    int64_t columns;
} block;

/* A chunk of outputs and its stretch of x in cache. */
typedef struct chunk {
    int64_t b0, nb, h0, nh, w0, nw, rows, columns; /* rows, columns: of x */
} chunk;

static int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t blocks_of(int64_t n, int64_t size) { return (n + size - 1) / size; }
static int64_t round_up(int64_t n, int64_t step) { return blocks_of(n, step) * step; }

static int64_t extent(const nn_conv_axis *a, int64_t n_outputs, int64_t n_taps)
{
    return (n_outputs - 1) * a->stride + (n_taps - 1) * a->dilation + 1;
}

static int64_t lane_of(int64_t channels)
{
    return channels < ROUND ? channels : round_up(channels, ROUND);
}

static void describe_runs(const job *j, block *k)
{
    if (j->apart) {
        k->lane = k->n;
        k->runs = 1;
        k->run = k->kh * k->kw * k->n;
    } else {
        k->lane = lane_of(k->n);
        k->runs = j->s->w.dilation == 1 ? k->kh : k->kh * k->kw;
        k->run = j->s->w.dilation == 1 ? k->kw * k->lane : k->lane;
    }
    k->run_columns = round_up(k->run, ROUND);
    k->columns = k->runs * k->run_columns;
}

static int64_t column_of(const job *j, const block *k, int64_t kh, int64_t kw, int64_t i)
{
    if (j->apart)
        return (kh * k->kw + kw) * k->n + i;
    return j->s->w.dilation == 1 ? kh * k->run_columns + kw * k->lane + i : (kh * k->kw + kw) * k->run_columns + i;
}

/* ---- taking x into cache ---- */

/* Pixels x0 .. x0+n-1 of one row of x, channels last, zeros outside. plane: elements from one channel to the next. */
static void take_row(const job *j, const block *k, const real *row, int64_t plane, int64_t x0, int64_t n, real *to)
{
    const int64_t length = j->s->w.in;
    int64_t from = min64(n, max64(0, -x0)), end = max64(from, min64(n, length - x0));
    if (!row)
        from = end = n;
    for (int64_t i = 0; i < from * k->lane; i++)
        to[i] = 0;
    if (k->n == 1)
        for (int64_t c = from; c < end; c++)
            to[c] = row[x0 + c];
    else if (k->n < ROUND)
        for (int64_t i = 0; i < k->n; i++)
            for (int64_t c = from; c < end; c++)
                to[c * k->lane + i] = row[i * plane + x0 + c];
    else if (from < end)
        j->kernel->transpose(k->n, end - from, row + x0 + from, plane, to + from * k->lane, k->lane);
    for (int64_t i = end * k->lane; i < n * k->lane; i++)
        to[i] = 0;
}

static const real *channels_at(const job *j, const block *k, int64_t b, int64_t row)
{
    const nn_conv_size *s = j->s;
    if (row < 0 || row >= s->h.in)
        return NULL;
    return j->x + ((b * s->groups + k->group) * s->in_channels + k->i0) * s->h.in * s->w.in + row * s->w.in;
}

static void pack_patch(const job *j, const block *k, const chunk *c, real *patch)
{
    const nn_conv_axis *h = &j->s->h, *w = &j->s->w;
    for (int64_t b = 0; b < c->nb; b++)
        for (int64_t r = 0; r < c->rows; r++, patch += c->columns * k->lane)
            take_row(j, k, channels_at(j, k, c->b0 + b, c->h0 * h->stride + k->kh0 * h->dilation - h->pad + r), h->in * w->in,
                     c->w0 * w->stride + k->kw0 * w->dilation - w->pad, c->columns, patch);
}

/* For each output its columns (tap, channel), one after the other. */
static void pack_apart(const job *j, const block *k, const chunk *c, real *patch)
{
    const nn_conv_axis *h = &j->s->h, *w = &j->s->w;
    const int64_t plane = h->in * w->in, stride = w->stride, columns = k->columns, line = c->nw * columns;
    memset(patch, 0, (size_t)(c->nb * c->nh * line) * sizeof(real));
    for (int64_t l = 0; l < c->nb * c->nh; l++)
        for (int64_t kh = 0; kh < k->kh; kh++) {
            const real *row = channels_at(j, k, c->b0 + l / c->nh, (c->h0 + l % c->nh) * h->stride
                                                                       + (k->kh0 + kh) * h->dilation - h->pad);
            for (int64_t kw = 0; kw < k->kw && row; kw++) {
                const int64_t start = c->w0 * stride + (k->kw0 + kw) * w->dilation - w->pad;
                const int64_t from = start < 0 ? blocks_of(-start, stride) : 0;
                const int64_t end = start < w->in ? min64(c->nw, (w->in - 1 - start) / stride + 1) : 0;
                for (int64_t i = 0; i < k->n; i++) {
                    real *to = patch + l * line + (kh * k->kw + kw) * k->n + i;
                    for (int64_t v = from; v < end; v++)
                        to[v * columns] = row[i * plane + start + v * stride];
                }
            }
        }
}

/* ---- one block of weights over some chunks ---- */

static chunk chunk_at(const job *j, const block *k, int64_t i)
{
    const nn_conv_size *s = j->s;
    chunk c = { .w0 = i % j->blocks_w * j->nw, .h0 = i / j->blocks_w % j->blocks_h * j->nh,
                .b0 = i / j->blocks_w / j->blocks_h * j->nb };
    c.nw = min64(j->nw, s->w.out - c.w0);
    c.nh = min64(j->nh, s->h.out - c.h0);
    c.nb = min64(j->nb, s->batch - c.b0);
    c.rows = extent(&s->h, c.nh, k->kh);
    c.columns = extent(&s->w, c.nw, k->kw);
    return c;
}

/* The stretch of dy's row o that the chunk covers, the first image of it. */
static const real *dy_at(const job *j, const block *k, const chunk *c, int64_t o)
{
    const nn_conv_size *s = j->s;
    return j->dy + ((c->b0 * s->groups + k->group) * s->out_channels + k->o0 + o) * s->h.out * s->w.out + c->h0 * s->w.out
           + c->w0;
}

static void run_chunk(const job *j, const block *k, const chunk *c, int first, real *patch, real *packed, real *sums)
{
    int32_t step[POSITIONS][2];
    int64_t run_at[RUNS];
    const nn_conv_axis *h = &j->s->h, *w = &j->s->w;
    const int64_t positions = c->nb * c->nh * c->nw, lanes = j->kernel->lanes, tiles = blocks_of(k->m, j->kernel->rows);
    const int64_t plane = h->out * w->out, image = j->s->groups * j->s->out_channels * plane, per_image = c->nh * c->nw;
    /* Where many columns pass over them, rows of dy get memory of their own: rows a power of two apart would drive each other
     * out of the first-level cache. */
    const int pack_dy = k->columns > 2 * NN_TILE_WIDTH;
    (j->apart ? pack_apart : pack_patch)(j, k, c, patch);
    for (int64_t p = 0; p < positions; p++) {
        const int64_t b = p / per_image, u = p / c->nw % c->nh, v = p % c->nw;
        step[p][0] = (int32_t)(pack_dy ? p : b * image + p % per_image);
        step[p][1] = (int32_t)(j->apart ? p * k->columns
                                        : ((b * c->rows + u * h->stride) * c->columns + v * w->stride) * k->lane);
    }
    for (int64_t r = 0; r < k->runs; r++)
        run_at[r] = j->apart ? 0 : w->dilation == 1 ? r * h->dilation * c->columns * k->lane
                                 : (r / k->kw * h->dilation * c->columns + r % k->kw * w->dilation) * k->lane;
    nn_tile t = { .alpha = 1, .a_row = pack_dy ? A_ROW : plane, .step = &step[0][0], .k = positions, .c_row = k->columns,
                  .from_row = k->columns };
    for (int v = 0; v < NN_TILE_VECTORS; v++)
        t.width[v] = (int)lanes;
    for (int64_t i = 0; i < tiles; i++) {
        const int64_t r0 = i * k->m / tiles, rows = (i + 1) * k->m / tiles - r0;
        t.a = pack_dy ? packed : dy_at(j, k, c, r0);
        for (int64_t r = 0; r < rows && pack_dy; r++)
            for (int64_t b = 0; b < c->nb; b++)
                memcpy(packed + r * A_ROW + b * per_image, dy_at(j, k, c, r0 + r) + b * image,
                       (size_t)per_image * sizeof(real));
        for (int64_t column = 0; column < k->columns;) {
            int n = 0;
            for (; n < j->kernel->vectors && column < k->columns; n++, column += lanes) {
                t.b[n] = patch + run_at[column / k->run_columns] + column % k->run_columns;
                t.c[n] = sums + r0 * k->columns + column;
                t.from[n] = first ? NULL : t.c[n];
            }
            nn_tile_run(j->kernel, &t, (int)rows, n);
        }
    }
}

/* From the sums of one output channel, taps first, into the weight, channels first. */
static void put(const job *j, const block *k, const real *sums, real *weight)
{
    const nn_conv_size *s = j->s;
    const int64_t K = s->h.kernel * s->w.kernel;
    const int rows = k->lane % ROUND == 0 && !j->apart && k->kh * k->kw == K && k->n % ROUND == 0; /* sums [K, n] */
    int64_t tap = 0;
    for (; rows && tap + ROUND <= K; tap += ROUND)
        j->kernel->transpose(ROUND, k->n, sums + tap * k->lane, k->lane, weight + tap, K);
    if (tap > 0) { /* the last taps once more, with some before them: whole vectors */
        j->kernel->transpose(ROUND, k->n, sums + (K - ROUND) * k->lane, k->lane, weight + K - ROUND, K);
        return;
    }
    for (int64_t y = 0; y < k->kh; y++)
        for (int64_t x = 0; x < k->kw; x++) {
            const real *from = sums + column_of(j, k, y, x, 0);
            real *to = weight + (k->kh0 + y) * s->w.kernel + k->kw0 + x;
            for (int64_t i = 0; i < k->n; i++)
                to[i * K] = from[i];
        }
}

static void run_task(const job *j, block k, int64_t part)
{
    const nn_conv_size *s = j->s;
    real *patch = nn_workspace(), *packed = patch + PATCH + RUNS, *sums = packed + A_ROW * NN_TILE_ROWS;
    const int64_t K = s->h.kernel * s->w.kernel, first = part * j->chunks / j->n_parts;
    real *weight = j->n_parts > 1 ? j->parts + part * s->groups * s->out_channels * s->in_channels * K : j->weight;
    describe_runs(j, &k);
    for (int64_t i = first; i < (part + 1) * j->chunks / j->n_parts; i++) {
        const chunk c = chunk_at(j, &k, i);
        run_chunk(j, &k, &c, i == first, patch, packed, sums);
    }
    for (int64_t o = 0; o < k.m; o++)
        put(j, &k, sums + o * k.columns, weight + ((k.group * s->out_channels + k.o0 + o) * s->in_channels + k.i0) * K);
}

/* ---- cutting ---- */

static void cut(int64_t n, int64_t size, int64_t *length, int64_t *blocks)
{
    *length = blocks_of(n, blocks_of(n, max64(size, 1)));
    *blocks = blocks_of(n, *length);
}

static void cut_outputs(job *j, int64_t positions)
{
    const int64_t w = j->s->w.out, h = j->s->h.out;
    cut(w, positions, &j->nw, &j->blocks_w);
    cut(h, w > positions ? 1 : positions / w, &j->nh, &j->blocks_h);
    cut(j->s->batch, w * h > positions ? 1 : positions / (w * h), &j->nb, &j->blocks_b);
    j->chunks = j->blocks_b * j->blocks_h * j->blocks_w;
}

static void plan(job *j)
{
    const nn_conv_size *s = j->s;
    cut(s->w.kernel, s->w.kernel > COLUMNS / ROUND ? COLUMNS / ROUND / 2 : s->w.kernel, &j->taps_w, &j->tap_blocks_w);
    cut(s->h.kernel, COLUMNS / ROUND / j->taps_w, &j->taps_h, &j->tap_blocks_h);
    const int64_t taps = j->taps_h * j->taps_w;
    cut(s->in_channels, max64(ROUND, COLUMNS / 2 / taps / ROUND * ROUND), &j->channels, &j->channel_blocks);
    if (j->channel_blocks > 1) { /* whole vectors but for the last */
        j->channels = round_up(j->channels, ROUND);
        j->channel_blocks = blocks_of(s->in_channels, j->channels);
    }
    block k = { .n = j->channels, .kh = j->taps_h, .kw = j->taps_w };
    const int64_t m = min64(s->out_channels, 64);
    /* vectors for each output against the work of laying runs out */
    j->apart = 1;
    describe_runs(j, &k);
    const double cost_apart = (double)(m * k.columns) / ROUND + 1.5 * (double)(taps * k.n);
    j->apart = 0;
    describe_runs(j, &k);
    const double cost_runs = (double)(m * k.columns) / ROUND + 0.5 * (double)(s->w.stride * s->h.stride * k.lane);
    int64_t positions = POSITIONS;
    cut_outputs(j, positions);
    while (positions > 32 && j->nb * extent(&s->h, j->nh, k.kh) * extent(&s->w, j->nw, k.kw) * k.lane > PATCH)
        cut_outputs(j, positions /= 2);
    const int fits = j->nb * extent(&s->h, j->nh, k.kh) * extent(&s->w, j->nw, k.kw) * k.lane <= PATCH;
    j->apart = !fits || cost_apart < cost_runs;
    if (j->apart) {
        describe_runs(j, &k);
        cut_outputs(j, min64(POSITIONS, PATCH / k.columns));
    }
    cut(s->out_channels, min64(128, SUMS / k.columns / 8 * 8), &j->rows, &j->row_blocks);
    const int64_t tasks = s->groups * j->row_blocks * j->channel_blocks * j->tap_blocks_h * j->tap_blocks_w;
    const double work = (double)(s->batch * s->groups * s->out_channels * s->in_channels) * (double)(s->h.out * s->w.out)
                        * (double)(s->h.kernel * s->w.kernel);
    j->n_parts = work < PARALLEL_MIN ? 1 : max64(1, min64(j->chunks, (PARTS + tasks / 2) / tasks));
}

int64_t nn_conv_weight_scratch(const nn_conv_size *s)
{
    job j = { .s = s };
    if (nn_conv_is_depthwise(s) || s->batch * s->h.out * s->w.out * s->in_channels * s->out_channels == 0)
        return 0;
    plan(&j);
    return j.n_parts > 1 ? j.n_parts * s->groups * s->out_channels * s->in_channels * s->h.kernel * s->w.kernel : 0;
}

static void run_tasks(const job *j, int64_t blocks, int parallel)
{
    const nn_conv_size *s = j->s;
#pragma omp parallel for schedule(dynamic) if (parallel)
    for (int64_t i = 0; i < blocks * j->n_parts; i++) {
        int64_t n = i / j->n_parts;
        block k = { 0 };
        k.kw0 = n % j->tap_blocks_w * j->taps_w;
        n /= j->tap_blocks_w;
        k.kh0 = n % j->tap_blocks_h * j->taps_h;
        n /= j->tap_blocks_h;
        k.i0 = n % j->channel_blocks * j->channels;
        n /= j->channel_blocks;
        k.o0 = n % j->row_blocks * j->rows;
        k.group = n / j->row_blocks;
        k.kw = min64(j->taps_w, s->w.kernel - k.kw0);
        k.kh = min64(j->taps_h, s->h.kernel - k.kh0);
        k.n = min64(j->channels, s->in_channels - k.i0);
        k.m = min64(j->rows, s->out_channels - k.o0);
        run_task(j, k, i % j->n_parts);
    }
}

void nn_conv_weight(const nn_conv_size *s, const real *x, const real *dy, real *scratch, real *weight)
{
    job j = { .s = s, .x = x, .dy = dy, .weight = weight, .parts = scratch };
    const int64_t n = s->groups * s->out_channels * s->in_channels * s->h.kernel * s->w.kernel;
    if (s->batch * s->h.out * s->w.out * s->in_channels * s->out_channels == 0) {
        memset(weight, 0, (size_t)n * sizeof(real));
        return;
    }
    if (nn_conv_is_depthwise(s)) {
        nn_conv_depthwise_weight(s, x, dy, weight);
        return;
    }
    j.kernel = nn_kernel_get();
    plan(&j);
    const int64_t blocks = s->groups * j.row_blocks * j.channel_blocks * j.tap_blocks_h * j.tap_blocks_w;
    const double work = (double)n * (double)(s->batch * s->h.out * s->w.out);
    run_tasks(&j, blocks, work > PARALLEL_MIN && blocks * j.n_parts > 1 && !omp_in_parallel());
    if (j.n_parts == 1)
        return;
    memcpy(weight, scratch, (size_t)n * sizeof(real));
    for (int64_t p = 1; p < j.n_parts; p++)
        for (int64_t i = 0; i < n; i++)
            weight[i] += scratch[p * n + i];
}
