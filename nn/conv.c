/* Convolution and transposed convolution: both are, for each phase of the output, sums over taps of input rows. Over 300
 * lines, because cutting, packing and running share one description of a block. */
#include "nn/conv.h"
#include "nn/kernel/kernel.h"

#include <omp.h>
#include <string.h>

enum {
    POSITIONS = 256,        /* outputs of one block, of one channel and phase            */
    TAPS = 256,             /* of one chunk at most                                      */
    DEPTH = 512,            /* terms of one sum before it is added up                    */
    STEPS = 2048,           /* entries of the tables of all phases                       */
    PHASES = 16,            /* of one block at most                                      */
    PATCH = 76 * 1024,      /* elements of x in cache                                    */
    SUMS = 72 * 1024,       /* elements of y in cache, where phases have to be interleaved */
    TASKS = 16,             /* wanted, where the shapes have room for so many            */
    ROUND = NN_TILE_LANES,  /* the same for all kernels: rounding decides how sums are cut */
    VECTORS = 1024,
};
static const double PARALLEL_MIN = 2e5; /* multiply-adds */

/* One direction: output = q phases + phase, q < grid, reads input q step + place(tap). Folded: its `fold` phases are rows of a
 * product of their own (see fold). */
typedef struct axis {
    int64_t in, out, kernel, phases, fold, grid, step, dilation, pad;
    int     transposed;
    int64_t block, blocks; /* of q */
} axis;

typedef struct job {
    const nn_kernel *kernel;
    int              transposed;
    int64_t          batch, groups, in, out;
    axis             h, w;
    const real      *x, *weight, *bias;
    real            *y;
    int              shared;       /* taps share rows of x (else each has its own)             */
    int              direct;       /* sums stand in y itself                                   */
    int64_t          channels;     /* of y; out, unless phases are folded into it              */
    const nn_conv_size *folded;    /* the sizes before folding, or NULL                        */
    int              folded_adjoint;
    int64_t          taps_h, taps_w; /* of one chunk                                           */
    int64_t          images, image_blocks, rows, row_blocks;
    int64_t          phases_h, phases_w, phase_blocks_h, phase_blocks_w;
} job;

/* The outputs of one task. */
typedef struct block {
    int64_t group, b0, nb, h0, nh, w0, nw, m0, m, ph0, nph, pw0, npw;
    int64_t line, columns; /* elements from one row of outputs to the next in the sums, and of all */
} block;

/* What a chunk of taps and channels reads, and where it stands in cache. */
typedef struct span {
    int64_t k0, n, low, high, length, residues; /* taps; first and last place, in steps; rows or columns; phases of x */
    int     by_place;                     /* not shared: taps that read the same place have one row          */
} span;

typedef struct chunk {
    span    h, w;
    int64_t i0, n, row, channel, image; /* elements from one row, channel, image to the next */
} chunk;

static int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t blocks_of(int64_t n, int64_t size) { return (n + size - 1) / size; }
static int64_t round_up(int64_t n, int64_t step) { return blocks_of(n, step) * step; }
static int64_t floor_div(int64_t a, int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }

static int64_t tap_phase(const axis *a, int64_t k)
{
    const int64_t place = k * a->dilation - a->pad;
    return place - floor_div(place, a->phases) * a->phases;
}

static int64_t tap_place(const axis *a, int64_t k)
{
    const int64_t place = k * a->dilation - a->pad;
    return a->transposed ? -floor_div(place, a->phases) : place;
}

/* Residues that the taps of a chunk leave modulo step: tap j has the j mod residues-th. */
static int64_t residues_of(const axis *a, int64_t n)
{
    int64_t x = a->step, y = a->dilation;
    while (y) {
        const int64_t rest = x % y;
        x = y;
        y = rest;
    }
    return min64(a->step / x, n);
}

static span span_of(const axis *a, int64_t k0, int64_t n, int64_t outputs)
{
    const int64_t first = floor_div(tap_place(a, k0), a->step), last = floor_div(tap_place(a, k0 + n - 1), a->step);
    const int64_t range = first < last ? last - first : first - last;
    return (span){ k0, n, min64(first, last), max64(first, last), outputs + range, residues_of(a, n), a->transposed && range < n };
}

/* Not shared: which row is a tap's, and which place a row has. */
static int64_t row_of(const axis *a, const span *s, int64_t tap)
{
    return s->by_place ? tap_place(a, s->k0 + tap) - s->low : tap;
}

static int64_t place_of(const axis *a, const span *s, int64_t row)
{
    return s->by_place ? s->low + row : tap_place(a, s->k0 + row);
}

/* ---- taking x into cache ---- */

/* Which of n places start + c step lie in a row of that length: c0 <= c < c1. */
static void places_inside(int64_t n, int64_t length, int64_t start, int64_t step, int64_t *c0, int64_t *c1)
{
    *c1 = start < length ? min64(n, (length - 1 - start) / step + 1) : 0;
    *c0 = min64(start < 0 ? blocks_of(-start, step) : 0, n);
    if (*c1 <= *c0)
        *c0 = *c1 = n;
}

static void zeros(real *to, int64_t n)
{
    for (int64_t c = 0; c < n; c++)
        to[c] = 0;
}

/* to[c] = row[start + c step], zero where row (NULL: all of it) has nothing. */
static void take(real *restrict to, int64_t n, const real *restrict row, int64_t length, int64_t start, int64_t step)
{
    int64_t c0, c1;
    places_inside(n, row ? length : 0, start, step, &c0, &c1);
    zeros(to, c0);
    if (step == 1)
        memcpy(to + c0, row ? row + start + c0 : to, (size_t)(c1 - c0) * sizeof(real));
    else
        for (int64_t c = c0; c < c1; c++)
            to[c] = row[start + c * step];
    zeros(to + c1, n - c1);
}

/* The same for all residues of a step of 2 or 4 at once: to[where[r] + c] = row[start + c step + r]. Writes up to the next
 * multiple of ROUND. */
static void split(real *restrict to, const int64_t *where, int64_t n, const real *restrict row, int64_t length, int64_t start,
                  int64_t step)
{
    /* c0 .. c1: all residues inside; beyond n if row goes on, so that vectors are full */
    int64_t c0 = start < 0 ? blocks_of(-start, step) : 0;
    int64_t c1 = start + step <= length ? min64(round_up(n, ROUND), (length - start) / step) : 0;
    if (!row || c1 <= c0)
        c0 = c1 = 0;
    real *restrict a = to + where[0], *restrict b = to + where[1];
    if (step == 2) {
        for (int64_t c = c0; c < c1; c++) {
            a[c] = row[start + c * 2];
            b[c] = row[start + c * 2 + 1];
        }
    } else {
        real *restrict d = to + where[2], *restrict e = to + where[3];
        for (int64_t c = c0; c < c1; c++) {
            a[c] = row[start + c * 4];
            b[c] = row[start + c * 4 + 1];
            d[c] = row[start + c * 4 + 2];
            e[c] = row[start + c * 4 + 3];
        }
    }
    for (int64_t c = 0; c < n; c++) { /* the ends */
        if (c == c0 && c1 > c0)
            c = c1;
        for (int64_t r = 0; r < step && c < n; r++) {
            const int64_t place = start + c * step + r;
            to[where[r] + c] = row && place >= 0 && place < length ? row[place] : 0;
        }
    }
}

static const real *input_row(const job *j, const block *k, int64_t b, int64_t i, int64_t place)
{
    if (place < 0 || place >= j->h.in)
        return NULL;
    return j->x + (((k->b0 + b) * j->groups + k->group) * j->in + i) * j->h.in * j->w.in + place * j->w.in;
}

/* Taps share: rows [image][channel][residue h][row][residue w]. An odd number of cache lines apart, so that rows spread over
 * all sets of the first-level cache. */
static void pack_shared(const job *j, const block *k, const chunk *c, real *patch)
{
    const int64_t step = j->w.step, start = (k->w0 + c->w.low) * step;
    const int all = c->w.residues == step && (step == 2 || step == 4);
    int64_t residue[TAPS], where[4] = { 0 };
    for (int64_t rw = 0; rw < c->w.residues; rw++) {
        const int64_t place = tap_place(&j->w, c->w.k0 + rw);
        residue[rw] = place - floor_div(place, step) * step;
        if (all)
            where[residue[rw]] = rw * c->row;
    }
    for (int64_t b = 0; b < k->nb; b++)
        for (int64_t i = 0; i < c->n; i++)
            for (int64_t rh = 0; rh < c->h.residues; rh++) {
                const int64_t place = tap_place(&j->h, c->h.k0 + rh), below = place - floor_div(place, j->h.step) * j->h.step;
                for (int64_t r = 0; r < c->h.length; r++) {
                    const real *row = input_row(j, k, b, c->i0 + i, (k->h0 + c->h.low + r) * j->h.step + below);
                    real *to = patch + b * c->image + i * c->channel + (rh * c->h.length + r) * c->w.residues * c->row;
                    if (all)
                        split(to, where, c->w.length, row, j->w.in, start, step);
                    for (int64_t rw = 0; rw < c->w.residues && !all; rw++)
                        take(to + rw * c->row, c->w.length, row, j->w.in, start + residue[rw], step);
                }
            }
}

/* Compilers do not see the vector here: the sixteenth element must not be needed. */
typedef real eight __attribute__((vector_size(8 * sizeof(real)), aligned(sizeof(real)), may_alias));
#ifdef BL_F64
typedef int64_t eight_index __attribute__((vector_size(8 * sizeof(real))));
#else
typedef int32_t eight_index __attribute__((vector_size(8 * sizeof(real))));
#endif

static inline void take_eight(real *to, const real *from, int64_t step)
{
    if (step == 1)
        *(eight *)to = *(const eight *)from;
    else
        *(eight *)to = __builtin_shuffle(*(const eight *)from, *(const eight *)(from + 8),
                                         (eight_index){ 0, 2, 4, 6, 8, 10, 12, 14 });
}

/* Each place of a tap has a row of its own, all outputs of the block behind each other. Short pieces are taken as whole vectors:
 * what is too much of one, the next overwrites. */
static void pack_apart(const job *j, const block *k, const chunk *c, real *patch)
{
    const int64_t step = j->w.step, n = k->nw;
    const real *end = j->x + j->batch * j->groups * j->in * j->h.in * j->w.in;
    for (int64_t i = 0; i < c->n; i++)
        for (int64_t r = 0; r < c->h.length; r++)
            for (int64_t s = 0; s < c->w.length; s++) {
                const int64_t place_h = place_of(&j->h, &c->h, r), place_w = place_of(&j->w, &c->w, s);
                const int64_t start = k->w0 * step + place_w;
                real *restrict to = patch + i * c->channel + (r * c->w.length + s) * c->row;
                int64_t c0, c1;
                places_inside(n, j->w.in, start, step, &c0, &c1);
                for (int64_t b = 0; b < k->nb; b++)
                    for (int64_t h = 0; h < k->nh; h++, to += n) {
                        const real *row = input_row(j, k, b, c->i0 + i, (k->h0 + h) * j->h.step + place_h);
                        const real *restrict from = row + (row ? start : 0);
                        if (n > ROUND || step > 2 || !row || from < j->x || end - from < ROUND * step) {
                            take(to, n, row, j->w.in, start, step);
                            continue;
                        }
                        for (int64_t v = 0; v < n; v += 8)
                            take_eight(to + v, from + v * step, step);
                        zeros(to, c0);
                        zeros(to + c1, n - c1);
                    }
            }
}

/* Where the row of a tap begins, in its channel. */
static int64_t tap_offset(const job *j, const chunk *c, int64_t kh, int64_t kw)
{
    if (!j->shared)
        return (row_of(&j->h, &c->h, kh) * c->w.length + row_of(&j->w, &c->w, kw)) * c->row;
    const int64_t place_h = tap_place(&j->h, c->h.k0 + kh), place_w = tap_place(&j->w, c->w.k0 + kw);
    const int64_t r = kh % c->h.residues * c->h.length + floor_div(place_h, j->h.step) - c->h.low;
    return (r * c->w.residues + kw % c->w.residues) * c->row + floor_div(place_w, j->w.step) - c->w.low;
}

/* The chunk's extent for taps from k0h, k0w on; channels as many as fit. */
static chunk chunk_of(const job *j, const block *k, int64_t k0h, int64_t k0w)
{
    const int64_t nh = min64(j->taps_h, j->h.kernel - k0h), nw = min64(j->taps_w, j->w.kernel - k0w);
    chunk c = { .h = span_of(&j->h, k0h, nh, j->shared ? k->nh : 1), .w = span_of(&j->w, k0w, nw, j->shared ? k->nw : 1) };
    if (j->shared) {
        c.row = (blocks_of(c.w.length, ROUND) | 1) * ROUND;
        c.channel = c.h.residues * c.h.length * c.w.residues * c.row;
    } else {
        c.h.length = c.h.by_place ? c.h.length : nh;
        c.w.length = c.w.by_place ? c.w.length : nw;
        c.row = round_up(k->columns, ROUND);
        c.channel = c.h.length * c.w.length * c.row;
    }
    const int64_t images = j->shared ? k->nb : 1;
    const int64_t per_phase = blocks_of(nh, j->h.phases) * blocks_of(nw, j->w.phases);
    int64_t n = min64(PATCH / (c.channel * images), min64(DEPTH / per_phase, STEPS / (nh * nw)));
    n = max64(1, min64(n, j->in));
    c.n = blocks_of(j->in, blocks_of(j->in, n)); /* chunks of the same size */
    c.image = c.n * c.channel;
    return c;
}

/* ---- one task ---- */

/* For each phase of the block its taps: step[..][2], and where the next phase begins. */
static void make_steps(const job *j, const block *k, const chunk *c, int32_t (*step)[2], int64_t *begin)
{
    const int64_t K = j->h.kernel * j->w.kernel;
    const int64_t a_channel = j->folded ? c->h.n * c->w.n : j->transposed ? j->out * K : K;
    int64_t n = 0, f = 0;
    for (int64_t ph = k->ph0; ph < k->ph0 + k->nph; ph++)
        for (int64_t pw = k->pw0; pw < k->pw0 + k->npw; pw++) {
            begin[f++] = n;
            const int64_t from = n;
            for (int64_t y = 0; y < c->h.n; y++)
                for (int64_t x = 0; x < c->w.n && tap_phase(&j->h, c->h.k0 + y) == ph; x++)
                    if (tap_phase(&j->w, c->w.k0 + x) == pw) {
                        step[n][0] = (int32_t)(j->folded ? y * c->w.n + x : (c->h.k0 + y) * j->w.kernel + c->w.k0 + x);
                        step[n++][1] = (int32_t)tap_offset(j, c, y, x);
                    }
            const int64_t taps = n - from;
            for (int64_t i = 1; i < c->n; i++)
                for (int64_t t = from; t < from + taps; t++, n++) {
                    step[n][0] = step[t][0] + (int32_t)(i * a_channel);
                    step[n][1] = step[t][1] + (int32_t)(i * c->channel);
                }
        }
    begin[f] = n;
}

/* Vectors of outputs: where each begins in the patch, in the sums (or y), and how many of its columns exist. */
typedef struct vectors {
    int     n, width[VECTORS];
    int64_t b[VECTORS], c[VECTORS];
} vectors;

static void find_vectors(const job *j, const block *k, const chunk *c, vectors *v)
{
    const int64_t lanes = j->kernel->lanes, plane = j->h.out * j->w.out, image = j->groups * j->out * plane;
    const int64_t lines = k->nb * k->nh, per_image = k->nh * k->nw;
    v->n = 0;
    if (!j->shared) {
        for (int64_t p = 0; p < lines * k->nw; p += lanes, v->n++) {
            v->b[v->n] = p;
            v->c[v->n] = j->direct ? p / per_image * image + k->h0 * j->w.out + k->w0 + p % per_image : p;
            v->width[v->n] = (int)(j->direct ? min64(lanes, lines * k->nw - p) : lanes);
        }
        return;
    }
    for (int64_t l = 0; l < lines; l++)
        for (int64_t x = 0; x < k->nw; x += lanes, v->n++) {
            const int64_t b = l / k->nh, h = l % k->nh;
            v->b[v->n] = b * c->image + h * c->w.residues * c->row + x;
            v->c[v->n] = j->direct ? b * image + (k->h0 + h) * j->w.out + k->w0 + x : l * k->line + x;
            v->width[v->n] = (int)(j->direct ? min64(lanes, k->nw - x) : lanes);
        }
}

/* Which tap of the unfolded kernel reads `place` for phase p; -1: none. */
static int64_t unfolded_tap(const nn_conv_axis *a, int adjoint, int64_t place, int64_t p)
{
    const int64_t at = adjoint ? a->pad + p - place * a->stride : place - p * a->stride + a->pad;
    return at >= 0 && at % a->dilation == 0 && at / a->dilation < a->kernel ? at / a->dilation : -1;
}

/* The weights of a chunk as [row, channel, place], row = (phase h, phase w, channel of y): zero where a phase has no tap at a
 * place. */
static void pack_folded(const job *j, const block *k, const chunk *c, real *to)
{
    const nn_conv_size *s = j->folded;
    const int64_t K = s->h.kernel * s->w.kernel;
    for (int64_t r = 0; r < j->out; r++) {
        const int64_t o = r % j->channels, pw = r / j->channels % j->w.fold, ph = r / j->channels / j->w.fold;
        const real *from = j->weight + (j->folded_adjoint ? (k->group * j->in + c->i0) * j->channels + o
                                                          : (k->group * j->channels + o) * j->in + c->i0) * K;
        for (int64_t i = 0; i < c->n; i++, from += (j->folded_adjoint ? j->channels : 1) * K)
            for (int64_t y = 0; y < c->h.n; y++) {
                const int64_t kh = unfolded_tap(&s->h, j->folded_adjoint, tap_place(&j->h, c->h.k0 + y), ph);
                for (int64_t x = 0; x < c->w.n; x++) {
                    const int64_t kw = unfolded_tap(&s->w, j->folded_adjoint, tap_place(&j->w, c->w.k0 + x), pw);
                    *to++ = kh >= 0 && kw >= 0 ? from[kh * s->w.kernel + kw] : 0;
                }
            }
    }
}

/* What the next chunk takes of x is on its way while this one is computed: share i of n. */
static void fetch_ahead(const job *j, const block *k, const chunk *c, int64_t i, int64_t n)
{
    enum { LINE = 64 / sizeof(real) };
    const int64_t w0 = max64(0, (k->w0 + c->w.low) * j->w.step), w1 = min64(j->w.in, (k->w0 + k->nw + c->w.high) * j->w.step);
    const int64_t h0 = (k->h0 + c->h.low) * j->h.step, h1 = (k->h0 + k->nh + c->h.high) * j->h.step;
    for (int64_t b = 0; b < k->nb; b++)
        for (int64_t ch = c->i0 + i * c->n / n; ch < min64(j->in, c->i0 + (i + 1) * c->n / n); ch++)
            for (int64_t h = h0; h < h1; h++) {
                const real *row = input_row(j, k, b, ch, h);
                for (int64_t w = w0; row && w < w1; w += LINE)
                    __builtin_prefetch(row + w, 0, 2);
            }
}

static void run_chunk(const job *j, const block *k, const chunk *c, const block *next_block, const chunk *next, int first,
                      real *patch, real *sums, int32_t (*step)[2])
{
    real *packed = sums + SUMS, bias[NN_TILE_ROWS];
    int64_t begin[PHASES + 1];
    vectors v;
    const int64_t K = j->h.kernel * j->w.kernel, plane = j->h.out * j->w.out, n_phases = k->nph * k->npw;
    const int64_t tiles = blocks_of(k->m, j->kernel->rows);
    (j->shared ? pack_shared : pack_apart)(j, k, c, patch);
    make_steps(j, k, c, step, begin);
    find_vectors(j, k, c, &v);
    nn_tile t = { .alpha = 1, .a_row = j->transposed ? K : j->in * K, .c_row = j->direct ? plane : k->columns };
    t.from_row = t.c_row;
    if (j->folded) {
        pack_folded(j, k, c, packed);
        t.a_row = c->n * c->h.n * c->w.n;
        for (int64_t r = 0; r < k->m && j->bias; r++)
            bias[r] = j->bias[k->group * j->channels + r % j->channels];
    }
    for (int64_t i = 0; i < tiles; i++) {
        if (next_block)
            fetch_ahead(j, next_block, next, i, tiles);
        const int64_t r0 = i * k->m / tiles, rows = (i + 1) * k->m / tiles - r0, o = k->m0 + r0;
        t.a = j->transposed ? j->weight + ((k->group * j->in + c->i0) * j->out + o) * K
                            : j->weight + ((k->group * j->out + o) * j->in + c->i0) * K;
        t.bias = first && j->bias ? j->bias + k->group * j->out + o : NULL;
        if (j->folded) {
            t.a = packed + r0 * t.a_row;
            t.bias = t.bias ? bias + r0 : NULL;
        }
        for (int64_t f = 0; f < n_phases; f++) {
            real *y = j->direct ? j->y + ((k->b0 * j->groups + k->group) * j->out + o) * plane
                                : sums + (f * k->m + r0) * k->columns;
            t.step = step[begin[f]];
            t.k = begin[f + 1] - begin[f];
            for (int n = 0; n < v.n;) {
                int at_once = 0;
                for (; at_once < j->kernel->vectors && n < v.n; at_once++, n++) {
                    t.b[at_once] = patch + v.b[n];
                    t.c[at_once] = y + v.c[n];
                    t.from[at_once] = first ? NULL : t.c[at_once];
                    t.width[at_once] = v.width[n];
                }
                nn_tile_run(j->kernel, &t, (int)rows, at_once);
            }
        }
    }
}

/* y[c phases + p] = from[p][c]. */
static void interleave(real *restrict y, int64_t n, int64_t phases, const real *restrict from, int64_t apart)
{
    if (phases == 2) {
        for (int64_t c = 0; c < n; c++) {
            y[c * 2] = from[c];
            y[c * 2 + 1] = from[apart + c];
        }
    } else if (phases == 4) {
        for (int64_t c = 0; c < n; c++) {
            y[c * 4] = from[c];
            y[c * 4 + 1] = from[apart + c];
            y[c * 4 + 2] = from[2 * apart + c];
            y[c * 4 + 3] = from[3 * apart + c];
        }
    } else {
        for (int64_t p = 0; p < phases; p++)
            for (int64_t c = 0; c < n; c++)
                y[c * phases + p] = from[p * apart + c];
    }
}

/* From the sums into y. */
static void put(const job *j, const block *k, const real *sums)
{
    const int64_t phases = j->w.phases * j->w.fold, n_h = k->nph * j->h.fold, n_w = k->npw * j->w.fold;
    const int64_t channels = j->folded ? j->channels : k->m, apart = channels * k->columns;
    for (int64_t m = 0; m < channels; m++)
        for (int64_t l = 0; l < k->nb * k->nh; l++)
            for (int64_t p = 0; p < n_h; p++) {
                const int64_t h = (k->h0 + l % k->nh) * j->h.phases * j->h.fold + k->ph0 + p;
                const real *from = sums + p * n_w * apart + m * k->columns + l * k->line;
                if (h >= j->h.out)
                    continue;
                real *row = j->y + ((((k->b0 + l / k->nh) * j->groups + k->group) * j->channels + k->m0 + m) * j->h.out + h)
                                       * j->w.out;
                /* columns where all phases are inside */
                const int64_t full = n_w == phases ? max64(0, min64(k->nw, j->w.out / phases - k->w0)) : 0;
                interleave(row + k->w0 * phases, full, phases, from, apart);
                for (int64_t c = full; c < k->nw; c++)
                    for (int64_t q = 0; q < n_w; q++)
                        if ((k->w0 + c) * phases + k->pw0 + q < j->w.out)
                            row[(k->w0 + c) * phases + k->pw0 + q] = from[q * apart + c];
            }
}

/* next: the task that this thread does next, or NULL. */
static void run_task(const job *j, const block *k, const block *next)
{
    real *patch = nn_workspace(), *sums = patch + PATCH + 4 * ROUND;
    int32_t step[STEPS][2];
    int first = 1;
    for (int64_t kh = 0; kh < j->h.kernel; kh += j->taps_h)
        for (int64_t kw = 0; kw < j->w.kernel; kw += j->taps_w) {
            chunk c = chunk_of(j, k, kh, kw);
            const int64_t at_once = c.n;
            for (; c.i0 < j->in; first = 0) {
                chunk ahead = c;
                ahead.i0 = c.i0 + at_once < j->in ? c.i0 + at_once : 0;
                c.n = min64(at_once, j->in - c.i0);
                run_chunk(j, k, &c, ahead.i0 ? k : next, &ahead, first, patch, sums, step);
                c.i0 += at_once;
            }
        }
    if (!j->direct)
        put(j, k, sums);
}

/* ---- cutting ---- */

/* Blocks of at most `size`, all about as long. */
static void cut(int64_t n, int64_t size, int64_t multiple, int64_t *length, int64_t *blocks)
{
    *length = round_up(blocks_of(n, blocks_of(n, max64(size, 1))), multiple);
    *blocks = blocks_of(n, *length);
}

static void cut_outputs(job *j, int64_t positions)
{
    const int64_t w = j->w.grid, h = j->h.grid;
    cut(w, positions, w > positions ? ROUND : 1, &j->w.block, &j->w.blocks);
    cut(h, w > positions ? 1 : positions / w, 1, &j->h.block, &j->h.blocks);
    cut(j->batch, w * h > positions ? 1 : positions / (w * h), 1, &j->images, &j->image_blocks);
}

/* Do taps share rows of x, or has each its own? What costs less: vectors that are not full, or copies. */
static void choose_sharing(job *j)
{
    block k = { .nb = j->images, .nh = j->h.block, .nw = j->w.block };
    const int64_t lines = k.nb * k.nh;
    k.line = k.nw;
    k.columns = round_up(lines * k.nw, ROUND);
    j->shared = 0;
    const int64_t apart = chunk_of(j, &k, 0, 0).channel;
    j->shared = 1;
    const int64_t together = chunk_of(j, &k, 0, 0).channel * k.nb, wide = lines * round_up(k.nw, ROUND);
    j->shared = together <= PATCH && together * 2 <= apart * 3 && wide * 9 <= k.columns * 10 && wide <= POSITIONS + ROUND;
}

static block block_at(const job *j, int64_t n)
{
    block k = { 0 };
    k.m0 = n % j->row_blocks * j->rows;
    n /= j->row_blocks;
    k.pw0 = n % j->phase_blocks_w * j->phases_w;
    n /= j->phase_blocks_w;
    k.ph0 = n % j->phase_blocks_h * j->phases_h;
    n /= j->phase_blocks_h;
    k.w0 = n % j->w.blocks * j->w.block;
    n /= j->w.blocks;
    k.h0 = n % j->h.blocks * j->h.block;
    n /= j->h.blocks;
    k.b0 = n % j->image_blocks * j->images;
    k.group = n / j->image_blocks;
    k.m = min64(j->rows, j->out - k.m0);
    k.npw = min64(j->phases_w, j->w.phases - k.pw0);
    k.nph = min64(j->phases_h, j->h.phases - k.ph0);
    k.nw = min64(j->w.block, j->w.grid - k.w0);
    k.nh = min64(j->h.block, j->h.grid - k.h0);
    k.nb = min64(j->images, j->batch - k.b0);
    k.line = j->shared ? round_up(k.nw, ROUND) : k.nw;
    k.columns = round_up(k.nb * k.nh * k.line, ROUND);
    return k;
}

/* What remains when there are no channels or taps to sum over. */
static void only_bias(const job *j)
{
    const int64_t plane = j->h.out * j->w.out, channels = j->groups * j->channels;
    for (int64_t i = 0; i < j->batch * channels * plane; i++)
        j->y[i] = j->bias ? j->bias[i / plane % channels] : 0;
}

static void run(job *j)
{
    if (j->batch * j->out * j->h.out * j->w.out == 0)
        return;
    if (j->in * j->h.kernel * j->w.kernel * j->h.in * j->w.in == 0) {
        only_bias(j);
        return;
    }
    const double work = (double)(j->batch * j->groups * j->out) * (double)(j->h.grid * j->w.grid)
                        * (double)(j->in * j->h.kernel) * (double)j->w.kernel;
    const int parallel = work > PARALLEL_MIN;
    j->kernel = nn_kernel_get();
    j->taps_w = min64(j->w.kernel, TAPS);
    j->taps_h = max64(1, min64(j->h.kernel, TAPS / j->taps_w));
    const int64_t n_phases = j->h.phases * j->w.phases;
    j->phases_w = min64(j->w.phases, PHASES);
    j->phases_h = n_phases <= PHASES ? j->h.phases : 1;
    j->phase_blocks_w = blocks_of(j->w.phases, j->phases_w);
    j->phase_blocks_h = blocks_of(j->h.phases, j->phases_h);
    int64_t positions = POSITIONS, rows = round_up(j->out, 8), tasks;
    for (;;) { /* until there is something to share out */
        cut_outputs(j, positions);
        choose_sharing(j);
        const int64_t lines = j->images * j->h.block;
        const int64_t columns = j->shared ? lines * round_up(j->w.block, ROUND) : round_up(lines * j->w.block, ROUND);
        j->direct = n_phases == 1 && !j->folded && (j->shared || j->images == 1 || j->h.grid * j->w.grid % ROUND == 0);
        if (!j->direct)
            rows = min64(rows, max64(8, SUMS / (j->phases_h * j->phases_w * columns) / 8 * 8));
        cut(j->out, rows, 1, &j->rows, &j->row_blocks);
        tasks = j->groups * j->row_blocks * j->phase_blocks_h * j->phase_blocks_w * j->image_blocks * j->h.blocks * j->w.blocks;
        if (!parallel || tasks >= TASKS)
            break;
        if (rows > 32 && !j->folded)
            rows = round_up(rows / 2, 8);
        else if (positions > 64)
            positions /= 2;
        else if (rows > 8 && !j->folded)
            rows = round_up(rows / 2, 8);
        else
            break;
    }
    /* runs of neighbours: what a task reads, the one before it has fetched */
    const int64_t run_length = max64(1, min64(8, tasks / 32)), runs = blocks_of(tasks, run_length);
#pragma omp parallel for schedule(dynamic) if (parallel && runs > 1 && !omp_in_parallel())
    for (int64_t r = 0; r < runs; r++) {
        const int64_t end = min64(tasks, (r + 1) * run_length);
        block k = block_at(j, r * run_length);
        for (int64_t i = r * run_length; i < end; i++) {
            const block next = block_at(j, min64(i + 1, tasks - 1));
            run_task(j, &k, i + 1 < end && next.m0 == 0 ? &next : NULL);
            k = next;
        }
    }
}

static axis axis_of(const nn_conv_axis *a, int transposed)
{
    axis r = { .kernel = a->kernel, .dilation = a->dilation, .pad = a->pad, .transposed = transposed, .fold = 1 };
    r.in = transposed ? a->out : a->in;
    r.out = transposed ? a->in : a->out;
    r.phases = transposed ? a->stride : 1;
    r.step = transposed ? 1 : a->stride;
    r.grid = blocks_of(r.out, r.phases);
    return r;
}

/* One direction with its phases folded into rows: a plain convolution over all places that some phase reads. */
static axis folded_axis(const nn_conv_axis *a, int transposed, int64_t phases)
{
    axis r = axis_of(a, transposed), plain = r;
    const int64_t last = transposed ? tap_place(&plain, 0) : (a->kernel - 1) * a->dilation + (phases - 1) * a->stride - a->pad;
    int64_t first = transposed ? tap_place(&plain, a->kernel - 1) : -a->pad;
    for (int64_t k = 0; k < a->kernel && transposed; k++)
        first = min64(first, tap_place(&plain, k));
    r.step = transposed ? 1 : a->stride * phases;
    r.phases = 1;
    r.fold = phases;
    r.grid = blocks_of(r.out, phases);
    r.transposed = 0;
    r.dilation = 1;
    r.pad = -first;
    r.kernel = last - first + 1;
    return r;
}

/* A y of one or two channels would leave most rows of a tile empty: the phases of a transposed convolution become rows, which
 * read the same places of x, or four neighbours of a plain one's outputs do. Worth it where places are few. */
static void fold(job *j, const nn_conv_size *s)
{
    const int64_t taps = s->h.kernel * s->w.kernel;
    const int64_t ph = j->transposed ? s->h.stride : 1, pw = j->transposed ? s->w.stride : 4, rows = ph * pw * j->out;
    if (rows > NN_TILE_ROWS || rows == j->out || s->h.kernel > TAPS || s->w.kernel > TAPS / 2)
        return;
    const axis h = folded_axis(&s->h, j->transposed, ph), w = folded_axis(&s->w, j->transposed, pw);
    /* a step costs loads of b and of each row, or its multiply-adds */
    const int64_t unfolded = taps * (j->transposed ? 1 : ph * pw) * max64(12, 3 * j->out);
    if (h.kernel * w.kernel * max64(13, 3 * rows) * 10 > unfolded * 9 || h.kernel * w.kernel > TAPS)
        return;
    j->folded = s;
    j->folded_adjoint = j->transposed;
    j->transposed = 0;
    j->h = h;
    j->w = w;
    j->out = rows;
}

static void start(job *j, const nn_conv_size *s)
{
    j->batch = s->batch;
    j->groups = s->groups;
    j->in = j->transposed ? s->out_channels : s->in_channels;
    j->out = j->channels = j->transposed ? s->in_channels : s->out_channels;
    j->h = axis_of(&s->h, j->transposed);
    j->w = axis_of(&s->w, j->transposed);
    if (j->in && j->out && s->h.kernel && s->w.kernel)
        fold(j, s);
    run(j);
}

void nn_conv_product(const nn_conv_size *s, const real *x, const real *weight, const real *bias, real *y)
{
    if (nn_conv_is_depthwise(s))
        nn_conv_depthwise(s, x, weight, bias, y);
    else
        start(&(job){ .x = x, .weight = weight, .bias = bias, .y = y }, s);
}

void nn_conv_adjoint(const nn_conv_size *s, const real *y, const real *weight, const real *bias, real *x)
{
    if (nn_conv_is_depthwise(s))
        nn_conv_depthwise_adjoint(s, y, weight, bias, x);
    else
        start(&(job){ .transposed = 1, .x = y, .weight = weight, .bias = bias, .y = x }, s);
}
