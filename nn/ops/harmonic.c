/* nn/ops/harmonic.c - an oscillator bank: the harmonic excitation at a note's pitch. Tuning is right by construction.
 *
 *     y[b,n] = sum over h = 1..H of a_h(n) sin(phase_h(n) + offset_h)
 *     phase_h advances by 2 pi f_h / sample_rate,  f_h = h f0 sqrt(1 + stiffness h^2)
 *
 * in       amplitude  [B, H, J + 1]  at frame borders, linear in between
 *          f0_hz      [B, J]         constant inside a frame; 0 is silence; no gradient
 *          stiffness  [B]            inharmonicity of a string, 0 for none; no gradient
 * out      [B, J hop_length]
 * edges    partials fade out between 0.40 and 0.45 of the sample rate: nothing folds back
 * cost     about 5 H flops per sample each way
 * source   McAulay & Quatieri 1986; as a differentiable op: Engel et al., DDSP, ICLR 2020
 *
 * Offsets are spread by h^2 (Schroeder 1970), which keeps the crest factor low. Linear in amplitude: harmonic and its
 * adjoint harmonic_grad are each other's gradient.
 */
#include "nn/ops.h"

#include <math.h>
#include <stdio.h>

static const double PI = 3.14159265358979323846;

static bl_status shape(nn_node *y, bl_error *err)
{
    const nn_shape *a = &y->in[0]->shape, *f = &y->in[1]->shape, *s = &y->in[2]->shape;
    const nn_harmonic_opt *o = y->attr;
    char ta[96], tf[96];
    if (o->hop_length < 1 || o->sample_rate < 1)
        return bl_fail(err, BL_EARG, "harmonic: hop_length and sample_rate must be positive");
    if (a->rank != 3 || f->rank != 2 || f->dim[0] != a->dim[0] || f->dim[1] + 1 != a->dim[2] || nn_count(s) != a->dim[0])
        return bl_fail(err, BL_ESHAPE, "harmonic: amplitude %s [B, H, J + 1] and f0 %s [B, J] do not go together",
                       nn_shape_str(a, ta), nn_shape_str(f, tf));
    y->shape = (nn_shape){ 2, { a->dim[0], f->dim[1] * o->hop_length } };
    return BL_OK;
}

enum { LANES = 16, CHUNK = 256 };

/* sin(phase + i step) for i = 0 .. n-1, n <= CHUNK, by rotating LANES phasors at a time from an exact start. */
static void partial(double phase, double step, int n, real *out)
{
    real re[LANES], im[LANES];
    double c = cos(phase), s = sin(phase), wc = cos(step), ws = sin(step);
    for (int k = 0; k < LANES; k++) {
        re[k] = (real)c;
        im[k] = (real)s;
        const double next = c * wc - s * ws;
        s = c * ws + s * wc;
        c = next;
    }
    for (int doubled = 1; doubled < LANES; doubled *= 2) { /* (wc, ws) to the power of LANES */
        const double square = wc * wc - ws * ws;
        ws = 2 * wc * ws;
        wc = square;
    }
    const real wr = (real)wc, wi = (real)ws;
    int i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int k = 0; k < LANES; k++) {
            const real r = re[k], m = im[k];
            out[i + k] = m;
            re[k] = r * wr - m * wi;
            im[k] = r * wi + m * wr;
        }
    for (int k = 0; i < n; i++, k++)
        out[i] = im[k];
}

static double gain_at(double hz, double sample_rate)
{
    const double x = (0.45 - hz / sample_rate) / 0.05;
    return x <= 0 ? 0 : x >= 1 ? 1 : x;
}

static double wrap(double phase)
{
    return phase - 2 * PI * floor(phase / (2 * PI));
}

/* Frequency ratio and phase offset of partial h. */
static double ratio_of(int64_t h, double stiffness)
{
    return (double)h * sqrt(1 + stiffness * (double)h * (double)h);
}

static double offset_of(int64_t h, int64_t H)
{
    return wrap(PI * (double)h * (double)h / (double)H);
}

/* A thread owns whole examples; within one, partials run in order. */
static void forward(nn_tape *t, nn_node *y)
{
    const nn_harmonic_opt *o = y->attr;
    const nn_shape *as = &y->in[0]->shape;
    const int64_t B = as->dim[0], H = as->dim[1], J = as->dim[2] - 1;
    const int hop = o->hop_length;
    /* stretches of frames are independent once the phase at their start is known */
    enum { STRETCH = 16 };
    const int64_t stretches = (J + STRETCH - 1) / STRETCH;
    (void)t;
#pragma omp parallel for schedule(static) if (B * J * hop * H > NN_PARALLEL_MIN)
    for (int64_t r = 0; r < B * stretches; r++) {
        const int64_t b = r / stretches, j0 = r % stretches * STRETCH, j1 = j0 + STRETCH < J ? j0 + STRETCH : J;
        const real *f0 = y->in[1]->x + b * J, *amp = y->in[0]->x + b * H * (J + 1);
        real *out = y->x + b * J * hop;
        double turns = 0; /* of the fundamental, up to j0 */
        for (int64_t j = 0; j < j0; j++)
            turns += (double)f0[j] * hop / o->sample_rate;
        for (int64_t j = j0; j < j1; j++) {
            real *frame = out + j * hop;
            for (int i = 0; i < hop; i++)
                frame[i] = 0;
            for (int64_t h = 1; h <= H && f0[j] > 0; h++) {
                const double ratio = ratio_of(h, (double)y->in[2]->x[b]), hz = ratio * (double)f0[j];
                const double gain = gain_at(hz, o->sample_rate);
                const real *a = amp + (h - 1) * (J + 1) + j;
                const double start = wrap(2 * PI * (turns * ratio - floor(turns * ratio)) + offset_of(h, H));
                if (gain <= 0)
                    break;
                const real a0 = a[0] * (real)gain, da = (a[1] - a[0]) * (real)gain / (real)hop;
                real wave[CHUNK];
                for (int i0 = 0; i0 < hop; i0 += CHUNK) {
                    const int n = hop - i0 < CHUNK ? hop - i0 : CHUNK;
                    partial(start + 2 * PI * hz / o->sample_rate * i0, 2 * PI * hz / o->sample_rate, n, wave);
                    for (int i = 0; i < n; i++)
                        frame[i0 + i] += (a0 + da * (real)(i0 + i)) * wave[i];
                }
            }
            turns += (double)f0[j] * hop / o->sample_rate;
        }
    }
}

static nn_node *harmonic_grad(nn_tape *t, nn_node *dy, nn_node *f0, nn_node *stiffness, int64_t H, const nn_harmonic_opt *o);

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    if (nn_wants_grad(t, y->in[0]))
        din[0] = harmonic_grad(t, dy, y->in[1], y->in[2], y->in[0]->shape.dim[1], y->attr);
}

static int parse(const char *text, void *out)
{
    nn_harmonic_opt *o = out;
    return sscanf(text, "%d %d", &o->hop_length, &o->sample_rate) == 2;
}

const nn_op nn_op_harmonic = {
    .name = "harmonic",
    .summary = "oscillator bank at a pitch",
    .min_in = 3,
    .max_in = 3,
    .attr_size = sizeof(nn_harmonic_opt),
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_IN(0) | NN_READ_OUT,
    .no_grad = 6, /* f0_hz and stiffness */
    .parse = parse,
    .examples = (const char *const[]){ "[2,3,4] [2,3]:400..410 [2]:0..0.001; 20 8000", NULL },
};

nn_node *nn_harmonic(nn_tape *t, nn_node *amplitude, nn_node *f0_hz, nn_node *stiffness, nn_harmonic_opt opt)
{
    return nn_apply(t, &nn_op_harmonic, &opt, 3, (nn_node *const[]){ amplitude, f0_hz, stiffness });
}

/* ---- the adjoint: how much each amplitude would have changed the sum ---- */

typedef struct grad_attr { nn_harmonic_opt o; int64_t H; } grad_attr;

static bl_status grad_shape(nn_node *y, bl_error *err)
{
    const nn_shape *d = &y->in[0]->shape, *f = &y->in[1]->shape;
    const grad_attr *a = y->attr;
    char td[96], tf[96];
    if (d->rank != 2 || f->rank != 2 || d->dim[1] != f->dim[1] * a->o.hop_length)
        return bl_fail(err, BL_ESHAPE, "harmonic_grad: %s and f0 %s do not go together", nn_shape_str(d, td), nn_shape_str(f, tf));
    y->shape = (nn_shape){ 3, { d->dim[0], a->H, f->dim[1] + 1 } };
    return BL_OK;
}

/* A thread owns one partial of one example: its amplitudes are written by nobody else. */
static void grad_forward(nn_tape *t, nn_node *y)
{
    const grad_attr *ga = y->attr;
    const nn_harmonic_opt *o = &ga->o;
    const int64_t B = y->shape.dim[0], H = ga->H, J = y->shape.dim[2] - 1;
    const int hop = o->hop_length;
    (void)t;
#pragma omp parallel for schedule(static) if (B * J * hop * H > NN_PARALLEL_MIN)
    for (int64_t r = 0; r < B * H; r++) {
        const int64_t b = r / H, h = r % H + 1;
        const real *f0 = y->in[1]->x + b * J, *dy = y->in[0]->x + b * J * hop;
        const double ratio = ratio_of(h, (double)y->in[2]->x[b]), offset = offset_of(h, H);
        real *out = y->x + r * (J + 1);
        double turns = 0;
        for (int64_t j = 0; j <= J; j++)
            out[j] = 0;
        for (int64_t j = 0; j < J; j++) {
            const double hz = ratio * (double)f0[j], gain = f0[j] > 0 ? gain_at(hz, o->sample_rate) : 0;
            const double start = wrap(2 * PI * (turns * ratio - floor(turns * ratio)) + offset);
            turns += (double)f0[j] * hop / o->sample_rate;
            if (gain <= 0)
                continue;
            real sum[LANES] = { 0 }, ramp[LANES] = { 0 }, wave[CHUNK], s = 0, p = 0;
            for (int i0 = 0; i0 < hop; i0 += CHUNK) {
                const int n = hop - i0 < CHUNK ? hop - i0 : CHUNK;
                partial(start + 2 * PI * hz / o->sample_rate * i0, 2 * PI * hz / o->sample_rate, n, wave);
                int i = 0;
                for (; i + LANES <= n; i += LANES)
                    for (int k = 0; k < LANES; k++) {
                        const real v = dy[j * hop + i0 + i + k] * wave[i + k];
                        sum[k] += v;
                        ramp[k] += v * (real)(i0 + i + k);
                    }
                for (; i < n; i++) {
                    const real v = dy[j * hop + i0 + i] * wave[i];
                    s += v;
                    p += v * (real)(i0 + i);
                }
            }
            for (int k = 0; k < LANES; k++) {
                s += sum[k];
                p += ramp[k];
            }
            p /= (real)hop;
            out[j] += (real)gain * (s - p);
            out[j + 1] += (real)gain * p;
        }
    }
}

static void grad_backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    if (nn_wants_grad(t, y->in[0]))
        din[0] = nn_harmonic(t, dy, y->in[1], y->in[2], ((const grad_attr *)y->attr)->o);
}

static const nn_op grad_op = {
    .name = "harmonic_grad",
    .summary = "adjoint of harmonic in the amplitudes",
    .min_in = 3,
    .max_in = 3,
    .attr_size = sizeof(grad_attr),
    .shape = grad_shape,
    .forward = grad_forward,
    .backward = grad_backward,
    .unread = NN_READ_IN(0) | NN_READ_OUT,
};

static nn_node *harmonic_grad(nn_tape *t, nn_node *dy, nn_node *f0, nn_node *stiffness, int64_t H, const nn_harmonic_opt *o)
{
    return nn_apply(t, &grad_op, &(grad_attr){ *o, H }, 3, (nn_node *const[]){ dy, f0, stiffness });
}
