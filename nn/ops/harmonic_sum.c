/* nn/ops/harmonic_sum.c - all harmonics of one phase, under amplitudes given at frames.
 *
 *     y[b,n] = sum over h = 1..H of h^p a_h(n) sin(h phase[b,n] + q pi/2),   a_h linear between frames, the last held
 *
 * in       amplitude [B, H, J]; phase [B, J hop_length], radians; f0_hz [B, J] (no gradient)
 * out      [B, J hop_length]
 * options  p = q = 0 is the sound; further ones are its derivatives in the phase
 * edges    a partial is left out at samples where h f0(n) reaches half the sample rate: nothing folds back
 * cost     about 10 flops per partial and sample, vectorised over samples: sines come from one sine and cosine per sample, turned on
 *          by complex multiplication (error: h times the last bit)
 *
 * harmonic_sum and its adjoint in the amplitude, harmonic_sum_grad, are linear in amplitude and dy, and the derivative of either in
 * the phase is the same op with p + 1, q + 1: two kernels serve every order.
 * source   Engel et al., DDSP, ICLR 2020; the same as tf.cumsum, harmonic_synthesis and remove_above_nyquist there, with linear
 *          amplitudes
 */
#include "nn/ops.h"

#include <math.h>
#include <stdio.h>
#include <tgmath.h>

typedef struct attr { nn_oscillator_opt o; int p, q; } attr;

enum { LANES = 64, STRETCH = 16 };

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

/* A piece of one frame: samples first .. first + n - 1 of frame j. */
typedef struct piece {
    int  n;
    real s1[LANES], c1[LANES];  /* sine and cosine of the phase */
    real s[LANES], c[LANES];    /* of h times the phase         */
    real weight[LANES];         /* of the next frame            */
    real f0[LANES], low, limit; /* frequency, the lowest of them; half the sample rate */
} piece;

static void start(piece *p, const attr *a, const real *phase, const real *f0, int64_t j, int64_t J, int64_t first, int n)
{
    const int64_t next = j + 1 < J ? j + 1 : j;
    p->n = n;
    p->limit = (real)a->o.sample_rate / 2;
    p->low = HUGE_VAL;
    for (int i = 0; i < n; i++) {
        p->s1[i] = p->s[i] = sin(phase[first + i]);
        p->c1[i] = p->c[i] = cos(phase[first + i]);
        p->weight[i] = (real)(first + i) / (real)a->o.hop_length;
        p->f0[i] = f0[j] + (f0[next] - f0[j]) * p->weight[i];
        p->low = p->f0[i] < p->low ? p->f0[i] : p->low;
    }
    for (int i = n; i < LANES; i++)
        p->s1[i] = p->s[i] = p->c1[i] = p->c[i] = p->weight[i] = p->f0[i] = 0;
}

static void turn(piece *p)
{
    for (int i = 0; i < LANES; i++) {
        const real s = p->s[i], c = p->c[i];
        p->s[i] = s * p->c1[i] + c * p->s1[i];
        p->c[i] = c * p->c1[i] - s * p->s1[i];
    }
}

/* sin(h phase + q pi/2), 0 where the partial is left out. */
static void partial(const piece *p, int64_t h, int q, real *restrict wave)
{
    const real *from = q % 2 ? p->c : p->s, sign = q % 4 < 2 ? 1 : -1, factor = (real)h;
    for (int i = 0; i < LANES; i++)
        wave[i] = factor * p->f0[i] < p->limit ? sign * from[i] : 0;
}

static real power_of(int64_t h, int p)
{
    real v = 1;
    for (int i = 0; i < p; i++)
        v *= (real)h;
    return v;
}

static void forward(nn_tape *t, nn_node *y)
{
    const attr *a = y->attr;
    const nn_shape *as = &y->in[0]->shape;
    const int64_t B = as->dim[0], H = as->dim[1], J = as->dim[2], hop = a->o.hop_length;
    (void)t;
#pragma omp parallel for schedule(static) if (B * J * hop * H > NN_PARALLEL_MIN)
    for (int64_t r = 0; r < B * J; r++) {
        const int64_t b = r / J, j = r % J, next = j + 1 < J ? j + 1 : j;
        const real *amp = y->in[0]->x + b * H * J, *phase = y->in[1]->x + r * hop;
        for (int64_t first = 0; first < hop; first += LANES) {
            real sum[LANES] = { 0 }, wave[LANES];
            piece p;
            start(&p, a, phase, y->in[2]->x + b * J, j, J, first, (int)(hop - first < LANES ? hop - first : LANES));
            for (int64_t h = 1; h <= H && (real)h * p.low < p.limit; h++) {
                const real scale = power_of(h, a->p), a0 = amp[(h - 1) * J + j] * scale, da = amp[(h - 1) * J + next] * scale - a0;
                partial(&p, h, a->q, wave);
                for (int i = 0; i < LANES; i++)
                    sum[i] += (a0 + da * p.weight[i]) * wave[i];
                turn(&p);
            }
            for (int i = 0; i < p.n; i++)
                y->x[r * hop + first + i] = sum[i];
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

/* What each frame's samples give to the frame and to the next one, [B J, 2, H]: written by the thread that owns the frame. */
static int64_t grad_scratch(const nn_node *y)
{
    return 2 * nn_count(&y->shape);
}

static real sum_lanes(const real *x)
{
    real lane[8] = { 0 }, total = 0;
    for (int i = 0; i < LANES; i += 8)
        for (int k = 0; k < 8; k++)
            lane[k] += x[i + k];
    for (int k = 0; k < 8; k++)
        total += lane[k];
    return total;
}

static void grad_forward(nn_tape *t, nn_node *y)
{
    const grad_attr *g = y->attr;
    const attr *a = &g->a;
    const int64_t B = y->shape.dim[0], H = g->H, J = y->shape.dim[2], hop = a->o.hop_length;
    real *share = y->scratch;
    (void)t;
#pragma omp parallel for schedule(static) if (B * J * hop * H > NN_PARALLEL_MIN)
    for (int64_t r = 0; r < B * J; r++) {
        const int64_t b = r / J, j = r % J;
        real *own = share + r * 2 * H, *next = own + H;
        for (int64_t k = 0; k < 2 * H; k++)
            own[k] = 0;
        for (int64_t first = 0; first < hop; first += LANES) {
            real dy[LANES] = { 0 }, wave[LANES], ramp[LANES];
            piece p;
            start(&p, a, y->in[1]->x + r * hop, y->in[2]->x + b * J, j, J, first, (int)(hop - first < LANES ? hop - first : LANES));
            for (int i = 0; i < p.n; i++)
                dy[i] = y->in[0]->x[r * hop + first + i];
            for (int64_t h = 1; h <= H && (real)h * p.low < p.limit; h++) {
                const real scale = power_of(h, a->p);
                partial(&p, h, a->q, wave);
                for (int i = 0; i < LANES; i++) {
                    wave[i] *= dy[i];
                    ramp[i] = wave[i] * p.weight[i];
                    wave[i] -= ramp[i];
                }
                own[h - 1] += scale * sum_lanes(wave);
                next[h - 1] += scale * sum_lanes(ramp);
                turn(&p);
            }
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
