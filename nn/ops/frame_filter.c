/* nn/ops/frame_filter.c - a filter that changes from frame to frame.
 *
 *     y[b,m] = sum over n, l with n + l - delay = m of  taps[b, n div hop, l] x[b,n],     hop = N / J
 *
 * in       taps [B, J, L], signal x [B, N], N a multiple of J
 * out      [B, N]; what would lie outside is left out. Tap `delay` is the one without delay.
 * cost     2 (L + 63) flops per sample in registers; for the few hundred taps of filtered noise that is less than an FFT's share.
 *          Scratch: the taps between zeros
 *
 * With the trilinear form  sum taps x d  over the same n, l, m = n + l - delay, the op is its derivative in d; its gradients, those
 * in taps and in x, are ops of the same kind, and the three are each other's gradients at any order.
 * source   Engel et al., DDSP, ICLR 2020: frequency_filter with overlap-add
 */
#include "nn/ops.h"

#include <stdio.h>
#include <string.h>

typedef struct attr { int delay; int64_t n_frames, n_taps; } attr; /* sizes: for the gradient in the taps */

static int parse(const char *text, void *out)
{
    attr *a = out;
    a->n_frames = a->n_taps = 0;
    return sscanf(text, "%d", &a->delay) == 1;
}

static bl_status check(const nn_shape *taps, const nn_shape *x, int delay, bl_error *err)
{
    char tt[96], tx[96];
    if (taps->rank != 3 || x->rank != 2 || taps->dim[0] != x->dim[0] || taps->dim[1] < 1 || x->dim[1] % taps->dim[1])
        return bl_fail(err, BL_ESHAPE, "frame_filter: taps %s [B, J, L] and signal %s [B, J hop] do not go together", nn_shape_str(taps, tt),
                       nn_shape_str(x, tx));
    if (delay < 0 || (delay >= taps->dim[2] && delay > 0))
        return bl_fail(err, BL_EARG, "frame_filter: delay %d lies outside of %lld taps", delay, (long long)taps->dim[2]);
    return BL_OK;
}

static bl_status shape(nn_node *y, bl_error *err)
{
    y->shape = y->in[1]->shape;
    return check(&y->in[0]->shape, &y->in[1]->shape, ((const attr *)y->attr)->delay, err);
}

/* Sizes of an op: whole ones, and samples first .. last - 1 of an output that a thread owns. */
typedef struct sizes { int64_t J, L, N, hop, delay; } sizes;

static sizes sizes_of(int64_t J, int64_t L, int64_t N, int delay)
{
    return (sizes){ J, L, N, N / J, delay };
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Outputs in vectors that stay in registers while the samples that reach them go by. */
enum { LANES = 16, VECTORS = 4, WIDTH = LANES * VECTORS, MOST = 8 * WIDTH };
typedef real vec __attribute__((vector_size(LANES * sizeof(real)), aligned(sizeof(real)), may_alias));

/* Taps between WIDTH zeros on each side, so that every vector of them can be read: [B J, WIDTH + L + WIDTH]. */
static int64_t scratch(const nn_node *y)
{
    const nn_shape *h = &y->in[0]->shape;
    return h->dim[0] * h->dim[1] * (h->dim[2] + 2 * WIDTH);
}

static void pad_taps(const nn_node *taps, real *padded)
{
    const int64_t rows = taps->shape.dim[0] * taps->shape.dim[1], L = taps->shape.dim[2];
#pragma omp parallel for schedule(static) if (rows * L > NN_PARALLEL_MIN)
    for (int64_t r = 0; r < rows; r++) {
        real *row = padded + r * (L + 2 * WIDTH);
        memset(row, 0, (size_t)(L + 2 * WIDTH) * sizeof *row);
        if (L > 0)
            memcpy(row + WIDTH, taps->x + r * L, (size_t)L * sizeof *row);
    }
}

/* out[m .. m + WIDTH), of which count exist: every sample n that reaches it, in order. taps: padded, of one example. */
static void filter_block(const sizes *s, const real *taps, const real *x, int64_t m, int64_t count, real *out)
{
    const int64_t n1 = smaller(s->N, m + WIDTH + s->delay);
    vec sum[VECTORS] = { { 0 } };
    for (int64_t n = larger(0, m + s->delay - s->L + 1); n < n1;) {
        const int64_t j = n / s->hop, stop = smaller(n1, (j + 1) * s->hop);
        const real *row = taps + j * (s->L + 2 * WIDTH) + WIDTH + m + s->delay;
        for (; n < stop; n++)
            for (int v = 0; v < VECTORS; v++)
                sum[v] += x[n] * *(const vec *)(const void *)(row - n + v * LANES);
    }
    memcpy(out + m, sum, (size_t)count * sizeof *out);
}

static void forward(nn_tape *t, nn_node *y)
{
    const nn_shape *h = &y->in[0]->shape;
    const int64_t B = h->dim[0], N = y->shape.dim[1], stretches = (N + MOST - 1) / MOST;
    const sizes s = sizes_of(h->dim[1], h->dim[2], N, ((const attr *)y->attr)->delay);
    (void)t;
    pad_taps(y->in[0], y->scratch);
#pragma omp parallel for schedule(static) if (B * N * s.L > NN_PARALLEL_MIN)
    for (int64_t r = 0; r < B * stretches; r++) {
        const int64_t b = r / stretches, m0 = r % stretches * MOST, m1 = smaller(N, m0 + MOST);
        for (int64_t m = m0; m < m1; m += WIDTH)
            filter_block(&s, y->scratch + b * s.J * (s.L + 2 * WIDTH), y->in[1]->x + b * N, m, smaller(WIDTH, m1 - m), y->x + b * N);
    }
}

static nn_node *taps_grad(nn_tape *t, nn_node *x, nn_node *d, attr a);
static nn_node *signal_grad(nn_tape *t, nn_node *taps, nn_node *d, attr a);

static nn_node *filter(nn_tape *t, nn_node *taps, nn_node *x, attr a);

static attr with_sizes(const nn_node *taps, const attr *a)
{
    return (attr){ a->delay, taps->shape.dim[1], taps->shape.dim[2] };
}

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    const attr a = with_sizes(y->in[0], y->attr);
    if (nn_wants_grad(t, y->in[0]))
        din[0] = taps_grad(t, y->in[1], dy, a);
    if (nn_wants_grad(t, y->in[1]))
        din[1] = signal_grad(t, y->in[0], dy, a);
}

const nn_op nn_op_frame_filter = {
    .name = "frame_filter",
    .summary = "a filter that changes from frame to frame",
    .min_in = 2,
    .max_in = 2,
    .attr_size = sizeof(attr),
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_OUT,
    .product = 1,
    .scratch = scratch,
    .parse = parse,
    .examples = (const char *const[]){ "[1,2,70] [1,150]; 3", "[2,3,5] [2,12]; 2", "[1,2,7] [1,4]; 0", "[1,3,2] [1,9]; 1", NULL },
};

static nn_node *filter(nn_tape *t, nn_node *taps, nn_node *x, attr a)
{
    return nn_apply(t, &nn_op_frame_filter, &a, 2, (nn_node *const[]){ taps, x });
}

nn_node *nn_frame_filter(nn_tape *t, nn_node *taps, nn_node *signal, int delay)
{
    return filter(t, taps, signal, (attr){ delay, 0, 0 });
}

/* ---- g[b,j,l] = sum over the samples n of frame j of x[n] d[n + l - delay] ---- */

static bl_status taps_grad_shape(nn_node *y, bl_error *err)
{
    const attr *a = y->attr;
    const nn_shape *x = &y->in[0]->shape, *d = &y->in[1]->shape;
    y->shape = (nn_shape){ 3, { x->dim[0], a->n_frames, a->n_taps } };
    if (!nn_same_shape(x, d))
        return bl_fail(err, BL_ESHAPE, "frame_filter_taps_grad: signal and gradient differ in shape");
    return check(&y->shape, x, a->delay, err);
}

/* g[l0 .. l1) from the samples of the frame that starts at n0. */
static void taps_block(const sizes *s, const real *x, const real *d, int64_t n0, int64_t l0, int64_t l1, real *g)
{
    const int64_t n1 = n0 + s->hop, first = n0 + l0 - s->delay, last = n1 - 1 + l1 - 1 - s->delay;
    if (l1 - l0 == WIDTH && first >= 0 && last < s->N) {
        vec sum[VECTORS] = { { 0 } };
        for (int64_t n = n0; n < n1; n++)
            for (int v = 0; v < VECTORS; v++)
                sum[v] += x[n] * *(const vec *)(const void *)(d + n + l0 - s->delay + v * LANES);
        memcpy(g + l0, sum, sizeof sum);
        return;
    }
    for (int64_t l = l0; l < l1; l++) /* at the ends of the signal, and the taps behind the last full vectors */
        g[l] = 0;
    for (int64_t n = n0; n < n1; n++) {
        const int64_t shift = n - s->delay;
        for (int64_t l = larger(l0, -shift); l < smaller(l1, s->N - shift); l++)
            g[l] += x[n] * d[shift + l];
    }
}

static void taps_grad_forward(nn_tape *t, nn_node *y)
{
    const int64_t B = y->shape.dim[0], N = y->in[0]->shape.dim[1];
    const sizes s = sizes_of(y->shape.dim[1], y->shape.dim[2], N, ((const attr *)y->attr)->delay);
    (void)t;
#pragma omp parallel for schedule(static) if (B * N * s.L > NN_PARALLEL_MIN)
    for (int64_t r = 0; r < B * s.J; r++) {
        const int64_t b = r / s.J, j = r % s.J;
        const real *x = y->in[0]->x + b * N, *d = y->in[1]->x + b * N;
        for (int64_t l = 0; l < s.L; l += WIDTH)
            taps_block(&s, x, d, j * s.hop, l, smaller(s.L, l + WIDTH), y->x + r * s.L);
    }
}

static void taps_grad_backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    const attr a = *(const attr *)y->attr;
    if (nn_wants_grad(t, y->in[0]))
        din[0] = signal_grad(t, dy, y->in[1], a);
    if (nn_wants_grad(t, y->in[1]))
        din[1] = filter(t, dy, y->in[0], a);
}

static const nn_op taps_grad_op = {
    .name = "frame_filter_taps_grad",
    .summary = "gradient of frame_filter in its taps",
    .min_in = 2,
    .max_in = 2,
    .attr_size = sizeof(attr),
    .shape = taps_grad_shape,
    .forward = taps_grad_forward,
    .backward = taps_grad_backward,
    .unread = NN_READ_OUT,
    .product = 1,
};

static nn_node *taps_grad(nn_tape *t, nn_node *x, nn_node *d, attr a)
{
    return nn_apply(t, &taps_grad_op, &a, 2, (nn_node *const[]){ x, d });
}

/* ---- g[b,n] = sum over l of taps[b, n div hop, l] d[n + l - delay] ---- */

static void signal_grad_forward(nn_tape *t, nn_node *y)
{
    const nn_shape *h = &y->in[0]->shape;
    const int64_t B = h->dim[0], N = y->shape.dim[1];
    const sizes s = sizes_of(h->dim[1], h->dim[2], N, ((const attr *)y->attr)->delay);
    (void)t;
#pragma omp parallel for schedule(static) if (B * N * s.L > NN_PARALLEL_MIN)
    for (int64_t r = 0; r < B * N; r++) {
        const int64_t b = r / N, n = r % N, shift = n - s.delay, l0 = larger(0, -shift), l1 = smaller(s.L, N - shift);
        const real *taps = y->in[0]->x + (b * s.J + n / s.hop) * s.L, *d = y->in[1]->x + b * N + shift;
        real lane[LANES] = { 0 }, total = 0;
        int64_t l = l0;
        for (; l + LANES <= l1; l += LANES)
            for (int k = 0; k < LANES; k++)
                lane[k] += taps[l + k] * d[l + k];
        for (; l < l1; l++)
            total += taps[l] * d[l];
        for (int k = 0; k < LANES; k++)
            total += lane[k];
        y->x[r] = total;
    }
}

static void signal_grad_backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    const attr a = with_sizes(y->in[0], y->attr);
    if (nn_wants_grad(t, y->in[0]))
        din[0] = taps_grad(t, dy, y->in[1], a);
    if (nn_wants_grad(t, y->in[1]))
        din[1] = filter(t, y->in[0], dy, a);
}

static const nn_op signal_grad_op = {
    .name = "frame_filter_signal_grad",
    .summary = "gradient of frame_filter in its signal",
    .min_in = 2,
    .max_in = 2,
    .attr_size = sizeof(attr),
    .shape = shape,
    .forward = signal_grad_forward,
    .backward = signal_grad_backward,
    .unread = NN_READ_OUT,
    .product = 1,
};

static nn_node *signal_grad(nn_tape *t, nn_node *taps, nn_node *d, attr a)
{
    return nn_apply(t, &signal_grad_op, &a, 2, (nn_node *const[]){ taps, d });
}
