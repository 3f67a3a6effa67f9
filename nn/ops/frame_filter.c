/* nn/ops/frame_filter.c - a filter that changes from frame to frame.
 *
 *     y[b,m] = sum over n, l with n + l - delay = m of  taps[b, n div hop, l] x[b,n],     hop = N / J
 *
 * in       taps [B, J, L], signal x [B, N], N a multiple of J
 * out      [B, N]; what would lie outside is left out. Tap `delay` is the one without delay.
 * cost     2 L flops per sample, vectorised; for the few hundred taps of filtered noise that is less than an FFT's share
 *
 * With the trilinear form  sum taps x d  over the same n, l, m = n + l - delay, the op is its derivative in d; its gradients, those
 * in taps and in x, are ops of the same kind, and the three are each other's gradients at any order.
 * source   Engel et al., DDSP, ICLR 2020: frequency_filter with overlap-add
 */
#include "nn/ops.h"

#include <stdio.h>

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

/* out[m0 .. m1) of one example: every sample n that reaches it, in order. */
static void filter_stretch(const sizes *s, const real *taps, const real *x, int64_t m0, int64_t m1, real *out)
{
    for (int64_t m = m0; m < m1; m++)
        out[m] = 0;
    const int64_t n0 = larger(0, m0 + s->delay - s->L + 1), n1 = smaller(s->N, m1 + s->delay);
    for (int64_t n = n0; n < n1; n++) {
        const int64_t shift = n - s->delay; /* m = shift + l */
        const int64_t l0 = larger(0, m0 - shift), l1 = smaller(s->L, m1 - shift);
        const real *h = taps + n / s->hop * s->L, v = x[n];
        real *y = out + shift;
        for (int64_t l = l0; l < l1; l++)
            y[l] += h[l] * v;
    }
}

enum { MOST = 512 };

static void forward(nn_tape *t, nn_node *y)
{
    const nn_shape *h = &y->in[0]->shape;
    const int64_t B = h->dim[0], N = y->shape.dim[1], stretches = (N + MOST - 1) / MOST;
    const sizes s = sizes_of(h->dim[1], h->dim[2], N, ((const attr *)y->attr)->delay);
    (void)t;
#pragma omp parallel for schedule(static) if (B * N * s.L > NN_PARALLEL_MIN)
    for (int64_t r = 0; r < B * stretches; r++) {
        const int64_t b = r / stretches, m0 = r % stretches * MOST;
        filter_stretch(&s, y->in[0]->x + b * s.J * s.L, y->in[1]->x + b * N, m0, smaller(N, m0 + MOST), y->x + b * N);
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
    .parse = parse,
    .examples = (const char *const[]){ "[2,3,5] [2,12]; 2", "[1,2,7] [1,4]; 0", "[1,3,2] [1,9]; 1", NULL },
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

static void taps_grad_forward(nn_tape *t, nn_node *y)
{
    const int64_t B = y->shape.dim[0], N = y->in[0]->shape.dim[1];
    const sizes s = sizes_of(y->shape.dim[1], y->shape.dim[2], N, ((const attr *)y->attr)->delay);
    (void)t;
#pragma omp parallel for schedule(static) if (B * N * s.L > NN_PARALLEL_MIN)
    for (int64_t r = 0; r < B * s.J; r++) {
        const int64_t b = r / s.J, j = r % s.J;
        const real *x = y->in[0]->x + b * N, *d = y->in[1]->x + b * N;
        real *g = y->x + r * s.L;
        for (int64_t l = 0; l < s.L; l++)
            g[l] = 0;
        for (int64_t n = j * s.hop; n < (j + 1) * s.hop; n++) {
            const int64_t shift = n - s.delay, l0 = larger(0, -shift), l1 = smaller(s.L, N - shift);
            const real v = x[n], *from = d + shift;
            for (int64_t l = l0; l < l1; l++)
                g[l] += v * from[l];
        }
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
    enum { LANES = 16 };
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
