/* nn/ops/harmonic_sum.c - all harmonics of one phase, under amplitudes given at frames.
 *
 *     y[b,n] = sum over h = 1..H of h^p a_h(n) sin(h phase[b,n] + q pi/2),   a_h linear between frames, the last held
 *
 * in       amplitude [B, H, J]; phase [B, J hop_length], radians; f0_hz [B, J] (no gradient)
 * out      [B, J hop_length]
 * options  p = q = 0 is the sound; further ones are its derivatives in the phase
 * edges    a partial is left out at samples where h f0(n) reaches half the sample rate: nothing folds back
 * cost     about 10 flops per partial and sample, in vectors over samples that stay in registers: sines come from one sine and
 *          cosine per sample, turned on by complex multiplication (error: h times the last bit). 6 G partial-samples a second on a
 *          core of Zen 4
 *
 * harmonic_sum and its adjoint in the amplitude, harmonic_sum_grad, are linear in amplitude and dy, and the derivative of either in
 * the phase is the same op with p + 1, q + 1: two kernels serve every order.
 * source   Engel et al., DDSP, ICLR 2020; the same as tf.cumsum, harmonic_synthesis and remove_above_nyquist there, with linear
 *          amplitudes
 */
#include "nn/fastmath.h"
#include "nn/ops.h"

#include <omp.h>
#include <stdio.h>
#include <string.h>

typedef struct attr { nn_oscillator_opt o; int p, q; } attr;

enum { LANES = 16, VECTORS = 2, WIDTH = LANES * VECTORS };

static int parse(const char *text, void *out)
{
    attr *a = out;
    return sscanf(text, "%d %d %d %d", &a->o.hop_length, &a->o.sample_rate, &a->p, &a->q) == 4;
}

static bl_status check(const attr *a, const nn_shape *phase, const nn_shape *f0, bl_error *err)
{
    char tp[96], tf[96];
    if (a->o.hop_length < 1 || a->o.sample_rate < 1)
        return bl_fail(err, BL_EARG, "harmonic_sum: hop_length %d and sample_rate %d must be positive", a->o.hop_length, a->o.sample_rate);
    if (phase->rank != 2 || f0->rank != 2 || f0->dim[0] != phase->dim[0] || f0->dim[1] * a->o.hop_length != phase->dim[1])
        return bl_fail(err, BL_ESHAPE, "harmonic_sum: phase %s [B, J %d] and f0_hz %s [B, J] do not go together", nn_shape_str(phase, tp),
                       a->o.hop_length, nn_shape_str(f0, tf));
    return BL_OK;
}

static bl_status shape(nn_node *y, bl_error *err)
{
    const nn_shape *a = &y->in[0]->shape, *f = &y->in[2]->shape;
    char text[96];
    if (check(y->attr, &y->in[1]->shape, f, err) != BL_OK)
        return err->code;
    if (a->rank != 3 || a->dim[0] != f->dim[0] || a->dim[2] != f->dim[1])
        return bl_fail(err, BL_ESHAPE, "harmonic_sum: expected amplitudes [%lld, H, %lld], got %s", (long long)f->dim[0],
                       (long long)f->dim[1], nn_shape_str(a, text));
    y->shape = y->in[1]->shape;
    return BL_OK;
}

/* A piece of one frame in vectors: samples first .. first + n - 1 of frame j, zeros behind. Two vectors at a time keep everything
 * in registers and the chains of products busy. */
typedef real vec __attribute__((vector_size(LANES * sizeof(real)), aligned(sizeof(real)), may_alias));

typedef struct piece {
    vec  s[VECTORS], c[VECTORS];    /* sine and cosine of the phase     */
    vec  weight[VECTORS];           /* of the next frame                */
    vec  f0[VECTORS];
    real low, high;                 /* of the frequencies               */
} piece;

static void start(piece *p, const attr *a, const real *phase, const real *f0, int64_t j, int64_t J, int64_t first, int n)
{
    const int64_t next = j + 1 < J ? j + 1 : j;
    real s[WIDTH] = { 0 }, c[WIDTH] = { 0 }, weight[WIDTH] = { 0 }, f[WIDTH];
    for (int i = 0; i < WIDTH; i++)
        f[i] = f0[j];
    for (int i = 0; i < n; i++) {
        s[i] = nn_fast_sin(phase[first + i]);
        c[i] = nn_fast_cos(phase[first + i]);
        weight[i] = (real)(first + i) / (real)a->o.hop_length;
        f[i] = f0[j] + (f0[next] - f0[j]) * weight[i];
    }
    p->low = f[0] < f[n - 1] ? f[0] : f[n - 1]; /* linear: the ends are the extremes */
    p->high = f[0] < f[n - 1] ? f[n - 1] : f[0];
    for (int i = n; i < WIDTH; i++)
        f[i] = p->low;
    memcpy(p->s, s, sizeof s);
    memcpy(p->c, c, sizeof c);
    memcpy(p->weight, weight, sizeof weight);
    memcpy(p->f0, f, sizeof f);
}

/* Leaves out the samples at which partial h reaches half the sample rate. Vectors go by address: by value they would follow
 * another convention in each build. */
static inline void leave_out(vec *wave, const vec *f0, real h, real limit)
{
    vec keep;
    for (int i = 0; i < LANES; i++)
        keep[i] = h * (*f0)[i] < limit;
    *wave *= keep;
}

/* h^p, with the sign of sin(x + q pi/2) where that is -sin or -cos. */
static real factor_of(const attr *a, int64_t h)
{
    real v = a->q % 4 < 2 ? 1 : -1;
    for (int i = 0; i < a->p; i++)
        v *= (real)h;
    return v;
}

/* Sines and cosines of h phase, turned on from h to h + 1. */
typedef struct turning { vec s[VECTORS], c[VECTORS]; } turning;

static inline turning first_partial(const piece *p)
{
    turning w;
    memcpy(w.s, p->s, sizeof w.s);
    memcpy(w.c, p->c, sizeof w.c);
    return w;
}

/* Vector v of partial h, and on to the next one. */
static inline void partial(turning *w, const piece *p, int v, real h, real limit, int with_cosine, vec *wave)
{
    const vec s = w->s[v], c = w->c[v];
    *wave = with_cosine ? c : s;
    w->s[v] = s * p->c[v] + c * p->s[v];
    w->c[v] = c * p->c[v] - s * p->s[v];
    if (h * p->high >= limit)
        leave_out(wave, &p->f0[v], h, limit);
}

static inline void sum_piece(const piece *p, const attr *a, const real *amp, int64_t H, int64_t J, int64_t to_next, int with_cosine,
                             vec sum[VECTORS])
{
    const real limit = (real)a->o.sample_rate / 2;
    turning w = first_partial(p);
    for (int64_t h = 1; h <= H && !((real)h * p->low >= limit); h++) {
        const real factor = factor_of(a, h), a0 = amp[(h - 1) * J] * factor, da = amp[(h - 1) * J + to_next] * factor - a0;
        for (int v = 0; v < VECTORS; v++) {
            vec wave;
            partial(&w, p, v, (real)h, limit, with_cosine, &wave);
            sum[v] += (a0 + da * p->weight[v]) * wave;
        }
    }
}

static void forward(nn_tape *t, nn_node *y)
{
    const attr *a = y->attr;
    const nn_shape *as = &y->in[0]->shape;
    const int64_t B = as->dim[0], H = as->dim[1], J = as->dim[2], hop = a->o.hop_length;
    (void)t;
#pragma omp parallel for schedule(static) if (B * J * hop * H > NN_PARALLEL_MIN)
    for (int64_t r = 0; r < B * J; r++) {
        const int64_t b = r / J, j = r % J;
        const real *amp = y->in[0]->x + b * H * J + j;
        for (int64_t first = 0; first < hop; first += WIDTH) {
            const int n = (int)(hop - first < WIDTH ? hop - first : WIDTH);
            vec sum[VECTORS] = { { 0 } };
            piece p;
            start(&p, a, y->in[1]->x + r * hop, y->in[2]->x + b * J, j, J, first, n);
            if (a->q % 2)
                sum_piece(&p, a, amp, H, J, j + 1 < J, 1, sum);
            else
                sum_piece(&p, a, amp, H, J, j + 1 < J, 0, sum);
            memcpy(y->x + r * hop + first, sum, (size_t)n * sizeof(real));
        }
    }
}

static nn_node *sum_of(nn_tape *t, nn_node *amplitude, nn_node *phase, nn_node *f0, attr a);
static nn_node *grad_of(nn_tape *t, nn_node *dy, nn_node *phase, nn_node *f0, int64_t H, attr a);

static attr slope_of(const attr *a)
{
    return (attr){ a->o, a->p + 1, a->q + 1 };
}

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    const attr *a = y->attr;
    if (nn_wants_grad(t, y->in[0]))
        din[0] = grad_of(t, dy, y->in[1], y->in[2], y->in[0]->shape.dim[1], *a);
    if (nn_wants_grad(t, y->in[1]))
        din[1] = nn_mul(t, dy, sum_of(t, y->in[0], y->in[1], y->in[2], slope_of(a)));
}

const nn_op nn_op_harmonic_sum = {
    .name = "harmonic_sum",
    .summary = "sum of the harmonics of a phase",
    .min_in = 3,
    .max_in = 3,
    .attr_size = sizeof(attr),
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .no_grad = 4, /* f0_hz: a step where a partial comes or goes */
    .unread = NN_READ_OUT,
    .parse = parse,
    .examples = (const char *const[]){ "[2,3,3] [2,15] [2,3]:90..100; 5 2000 0 0", "[1,4,2] [1,6] [1,2]:50..450; 3 2000 1 3", NULL },
};

static nn_node *sum_of(nn_tape *t, nn_node *amplitude, nn_node *phase, nn_node *f0, attr a)
{
    return nn_apply(t, &nn_op_harmonic_sum, &a, 3, (nn_node *const[]){ amplitude, phase, f0 });
}

nn_node *nn_harmonic_sum(nn_tape *t, nn_node *amplitude, nn_node *phase, nn_node *f0_hz, nn_oscillator_opt opt)
{
    return sum_of(t, amplitude, phase, f0_hz, (attr){ opt, 0, 0 });
}

/* ---- the adjoint in the amplitude: g[b,h,j] = sum over n of dy w_j h^p sin(h phase + q pi/2) ---- */

typedef struct grad_attr { attr a; int64_t H; } grad_attr;

static bl_status grad_shape(nn_node *y, bl_error *err)
{
    const grad_attr *g = y->attr;
    const nn_shape *d = &y->in[0]->shape, *f = &y->in[2]->shape;
    char text[96];
    if (check(&g->a, &y->in[1]->shape, f, err) != BL_OK)
        return err->code;
    if (!nn_same_shape(d, &y->in[1]->shape))
        return bl_fail(err, BL_ESHAPE, "harmonic_sum_grad: %s is not the shape of the phase", nn_shape_str(d, text));
    y->shape = (nn_shape){ 3, { f->dim[0], g->H, f->dim[1] } };
    return BL_OK;
}

/* What each frame's samples give to the frame and to the next one, [B J, 2, H], written by the thread that owns the frame; and
 * sums of a frame in vectors, [H, 2] for each thread. */
static int64_t grad_scratch(const nn_node *y)
{
    return 2 * nn_count(&y->shape) + (int64_t)omp_get_max_threads() * y->shape.dim[1] * 2 * LANES;
}

static real sum_lanes(const vec *x)
{
    real v[LANES];
    memcpy(v, x, sizeof v);
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int k = 0; k < half; k++)
            v[k] += v[k + half];
    return v[0];
}

static inline void weigh_piece(const piece *p, const attr *a, const vec dy[VECTORS], int64_t H, int with_cosine, vec *sums)
{
    const real limit = (real)a->o.sample_rate / 2;
    vec next[VECTORS], own[VECTORS];
    for (int v = 0; v < VECTORS; v++) {
        next[v] = dy[v] * p->weight[v];
        own[v] = dy[v] - next[v];
    }
    turning w = first_partial(p);
    for (int64_t h = 1; h <= H && !((real)h * p->low >= limit); h++)
        for (int v = 0; v < VECTORS; v++) {
            vec wave;
            partial(&w, p, v, (real)h, limit, with_cosine, &wave);
            sums[2 * (h - 1)] += own[v] * wave;
            sums[2 * (h - 1) + 1] += next[v] * wave;
        }
}

static void grad_forward(nn_tape *t, nn_node *y)
{
    const grad_attr *g = y->attr;
    const attr *a = &g->a;
    const int64_t B = y->shape.dim[0], H = g->H, J = y->shape.dim[2], hop = a->o.hop_length;
    real *share = y->scratch, *all_sums = share + 2 * B * J * H;
    (void)t;
#pragma omp parallel for schedule(static) if (B * J * hop * H > NN_PARALLEL_MIN)
    for (int64_t r = 0; r < B * J; r++) {
        const int64_t b = r / J, j = r % J;
        vec *sums = (vec *)(void *)(all_sums + omp_get_thread_num() * H * 2 * LANES);
        if (H > 0)
            memset(sums, 0, (size_t)(2 * H) * sizeof *sums);
        for (int64_t first = 0; first < hop; first += WIDTH) {
            const int n = (int)(hop - first < WIDTH ? hop - first : WIDTH);
            vec dy[VECTORS] = { { 0 } };
            piece p;
            start(&p, a, y->in[1]->x + r * hop, y->in[2]->x + b * J, j, J, first, n);
            memcpy(dy, y->in[0]->x + r * hop + first, (size_t)n * sizeof(real));
            if (a->q % 2)
                weigh_piece(&p, a, dy, H, 1, sums);
            else
                weigh_piece(&p, a, dy, H, 0, sums);
        }
        for (int64_t h = 0; h < H; h++) {
            const real factor = factor_of(a, h + 1);
            share[r * 2 * H + h] = factor * sum_lanes(&sums[2 * h]);
            share[r * 2 * H + H + h] = factor * sum_lanes(&sums[2 * h + 1]);
        }
    }
#pragma omp parallel for schedule(static) if (B * J * H > NN_PARALLEL_MIN)
    for (int64_t r = 0; r < B * H; r++) {
        const int64_t b = r / H, h = r % H;
        for (int64_t j = 0; j < J; j++) {
            const real *own = share + (b * J + j) * 2 * H + h;
            y->x[r * J + j] = own[0] + (j > 0 ? own[-H] : 0) + (j == J - 1 ? own[H] : 0); /* own[-H]: the next-part of frame j - 1 */
        }
    }
}

static void grad_backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    const grad_attr *g = y->attr;
    if (nn_wants_grad(t, y->in[0]))
        din[0] = sum_of(t, dy, y->in[1], y->in[2], g->a);
    if (nn_wants_grad(t, y->in[1]))
        din[1] = nn_mul(t, y->in[0], sum_of(t, dy, y->in[1], y->in[2], slope_of(&g->a)));
}

static const nn_op grad_op = {
    .name = "harmonic_sum_grad",
    .summary = "adjoint of harmonic_sum in the amplitudes",
    .min_in = 3,
    .max_in = 3,
    .attr_size = sizeof(grad_attr),
    .shape = grad_shape,
    .forward = grad_forward,
    .backward = grad_backward,
    .no_grad = 4,
    .unread = NN_READ_OUT,
    .scratch = grad_scratch,
};

static nn_node *grad_of(nn_tape *t, nn_node *dy, nn_node *phase, nn_node *f0, int64_t H, attr a)
{
    return nn_apply(t, &grad_op, &(grad_attr){ a, H }, 3, (nn_node *const[]){ dy, phase, f0 });
}
