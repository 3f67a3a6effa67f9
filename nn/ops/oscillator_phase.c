/* nn/ops/oscillator_phase.c - from a frequency at each frame to the phase at each sample.
 *
 *     phase[b,n] = 2 pi / sample_rate sum over m = 0..n of f(m),     f linear between f0_hz[b,j] at sample j hop, the last held
 *
 * in       f0_hz [B, J]
 * out      [B, J hop_length], radians within -pi..pi
 * cost     a few flops per sample, no scratch: the sum over a frame has a closed form, so only frames are added one after the
 *          other, in double. Minutes of sound keep their phase to 1e-9.
 *
 * Wrapping has no gradient of its own: d phase / d f is that of the sum. The gradient, oscillator_phase_grad, is linear, and
 * its own gradient is the sum without wrapping.
 * source   McAulay & Quatieri 1986; Engel et al., DDSP, 2020 (angular_cumsum)
 */
#include "nn/ops.h"

#include <math.h>
#include <stdio.h>

static const double PI = 3.14159265358979323846;

typedef struct attr { nn_oscillator_opt o; int unwrapped; } attr;

static int parse(const char *text, void *out)
{
    attr *a = out;
    return sscanf(text, "%d %d %d", &a->o.hop_length, &a->o.sample_rate, &a->unwrapped) == 3;
}

static bl_status shape(nn_node *y, bl_error *err)
{
    const nn_shape *f = &y->in[0]->shape;
    const attr *a = y->attr;
    char text[96];
    if (a->o.hop_length < 1 || a->o.sample_rate < 1)
        return bl_fail(err, BL_EARG, "oscillator_phase: hop_length %d and sample_rate %d must be positive", a->o.hop_length, a->o.sample_rate);
    if (f->rank != 2)
        return bl_fail(err, BL_ESHAPE, "oscillator_phase: expected f0_hz [B, J], got %s", nn_shape_str(f, text));
    y->shape = (nn_shape){ 2, { f->dim[0], f->dim[1] * a->o.hop_length } };
    return BL_OK;
}

static double turns_wrapped(double turns)
{
    return turns - floor(turns + 0.5);
}

/* Turns are summed, not radians: wrapping them loses nothing. */
static void forward(nn_tape *t, nn_node *y)
{
    const attr *a = y->attr;
    const int64_t B = y->in[0]->shape.dim[0], J = y->in[0]->shape.dim[1], hop = a->o.hop_length;
    (void)t;
#pragma omp parallel for schedule(static) if (B * J * hop > NN_PARALLEL_MIN && B > 1)
    for (int64_t b = 0; b < B; b++) {
        const real *f = y->in[0]->x + b * J;
        double turns = 0;
        for (int64_t j = 0; j < J; j++) {
            const double f0 = (double)f[j] / a->o.sample_rate, step = j + 1 < J ? ((double)f[j + 1] / a->o.sample_rate - f0) / (double)hop : 0;
            real *out = y->x + (b * J + j) * hop;
            for (int64_t i = 0; i < hop; i++) {
                const double v = turns + f0 * (double)(i + 1) + step * (double)(i * (i + 1)) / 2;
                out[i] = (real)(2 * PI * (a->unwrapped ? v : turns_wrapped(v)));
            }
            turns += f0 * (double)hop + step * (double)(hop * (hop - 1)) / 2;
            turns = a->unwrapped ? turns : turns_wrapped(turns);
        }
    }
}

static nn_node *grad(nn_tape *t, nn_node *dy, const attr *a);

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    din[0] = grad(t, dy, y->attr);
}

static nn_node *phase(nn_tape *t, nn_node *f0_hz, nn_oscillator_opt opt, int unwrapped);

const nn_op nn_op_oscillator_phase = {
    .name = "oscillator_phase",
    .summary = "phase at each sample from the frequency at each frame",
    .min_in = 1,
    .max_in = 1,
    .attr_size = sizeof(attr),
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_ANY,
    .parse = parse,
    .examples = (const char *const[]){ "[2,3]:1..2; 5 100 0", "[2,3]:1..20; 4 30 1", "[1,1]; 3 50 0", NULL },
};

/* ---- the adjoint: every frequency moves all later samples ---- */

static bl_status grad_shape(nn_node *y, bl_error *err)
{
    const nn_shape *d = &y->in[0]->shape;
    const int64_t hop = ((const attr *)y->attr)->o.hop_length;
    char text[96];
    if (d->rank != 2 || d->dim[1] % hop)
        return bl_fail(err, BL_ESHAPE, "oscillator_phase_grad: %s is not whole frames of %lld", nn_shape_str(d, text), (long long)hop);
    y->shape = (nn_shape){ 2, { d->dim[0], d->dim[1] / hop } };
    return BL_OK;
}

static void grad_forward(nn_tape *t, nn_node *y)
{
    const attr *a = y->attr;
    const int64_t B = y->shape.dim[0], J = y->shape.dim[1], hop = a->o.hop_length;
    const double scale = 2 * PI / a->o.sample_rate;
    (void)t;
#pragma omp parallel for schedule(static) if (B * J * hop > NN_PARALLEL_MIN && B > 1)
    for (int64_t b = 0; b < B; b++) {
        const real *d = y->in[0]->x + b * J * hop;
        double later = 0, into_next = 0; /* sum of d from here on; what the next frame's interpolation passes back */
        for (int64_t j = J - 1; j >= 0; j--) {
            double own = 0, next = 0;
            for (int64_t i = hop - 1; i >= 0; i--) {
                later += (double)d[j * hop + i];
                const double w = j + 1 < J ? (double)i / (double)hop : 0;
                own += later * (1 - w);
                next += later * w;
            }
            if (j + 1 < J)
                y->x[b * J + j + 1] = (real)(scale * (into_next + next));
            into_next = own;
        }
        if (J > 0)
            y->x[b * J] = (real)(scale * into_next);
    }
}

static void grad_backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    din[0] = phase(t, dy, ((const attr *)y->attr)->o, 1);
}

static const nn_op grad_op = {
    .name = "oscillator_phase_grad",
    .summary = "adjoint of oscillator_phase",
    .min_in = 1,
    .max_in = 1,
    .attr_size = sizeof(attr),
    .shape = grad_shape,
    .forward = grad_forward,
    .backward = grad_backward,
    .unread = NN_READ_ANY,
};

static nn_node *grad(nn_tape *t, nn_node *dy, const attr *a)
{
    return nn_apply(t, &grad_op, a, 1, &dy);
}

static nn_node *phase(nn_tape *t, nn_node *f0_hz, nn_oscillator_opt opt, int unwrapped)
{
    return nn_apply(t, &nn_op_oscillator_phase, &(attr){ opt, unwrapped }, 1, &f0_hz);
}

nn_node *nn_oscillator_phase(nn_tape *t, nn_node *f0_hz, nn_oscillator_opt opt)
{
    return phase(t, f0_hz, opt, 0);
}
