/* nn/ops/band_mix.c - a fixed bank of signals (noise split into bands) weighted by envelopes and added up: the noise
 * excitation of a tone.
 *
 *     y[b,n] = sum over k of a_k(n) bank[k, (n + offset_b) mod L],   a_k linear between frame borders
 *
 * in       amplitude [B, K, J + 1], bank [K, L] (no gradient), offset [B] whole numbers (no gradient)
 * out      [B, J hop_length]
 *
 * Linear in amplitude: band_mix and its adjoint band_mix_grad are each other's gradient.
 * source   filtered noise of Engel et al., DDSP, ICLR 2020, with the filter bank run once instead of per frame
 */
#include "nn/ops.h"

#include <stdio.h>

typedef struct attr { int hop; } attr;

static bl_status shape(nn_node *y, bl_error *err)
{
    const nn_shape *a = &y->in[0]->shape, *bank = &y->in[1]->shape;
    const int hop = ((const attr *)y->attr)->hop;
    char ta[96], tb[96];
    if (hop < 1 || a->rank != 3 || bank->rank != 2 || bank->dim[0] != a->dim[1] || a->dim[2] < 1 || bank->dim[1] < 1 ||
        nn_count(&y->in[2]->shape) != a->dim[0])
        return bl_fail(err, BL_ESHAPE, "band_mix: amplitude %s [B, K, J + 1] and bank %s [K, L] do not go together",
                       nn_shape_str(a, ta), nn_shape_str(bank, tb));
    y->shape = (nn_shape){ 2, { a->dim[0], (a->dim[2] - 1) * hop } };
    return BL_OK;
}

/* The bank row at n + offset, as runs that do not wrap. */
static int64_t start_of(const nn_node *y, int64_t b, int64_t n, int64_t L)
{
    return (n + (int64_t)y->in[2]->x[b]) % L;
}

static void forward(nn_tape *t, nn_node *y)
{
    const int hop = ((const attr *)y->attr)->hop;
    const nn_shape *as = &y->in[0]->shape;
    const int64_t B = as->dim[0], K = as->dim[1], J = as->dim[2] - 1, L = y->in[1]->shape.dim[1];
    (void)t;
#pragma omp parallel for schedule(static) if (B * J * hop * K > NN_PARALLEL_MIN)
    for (int64_t r = 0; r < B * J; r++) {
        const int64_t b = r / J, j = r % J;
        real *out = y->x + r * hop;
        for (int i = 0; i < hop; i++)
            out[i] = 0;
        for (int64_t k = 0; k < K; k++) {
            const real *a = y->in[0]->x + (b * K + k) * (J + 1) + j, *bank = y->in[1]->x + k * L;
            const real a0 = a[0], da = (a[1] - a[0]) / (real)hop;
            for (int i = 0; i < hop;) {
                const int64_t at = start_of(y, b, j * hop + i, L);
                const int n = L - at < hop - i ? (int)(L - at) : hop - i;
                for (int m = 0; m < n; m++)
                    out[i + m] += (a0 + da * (real)(i + m)) * bank[at + m];
                i += n;
            }
        }
    }
}

static nn_node *band_mix_grad(nn_tape *t, nn_node *dy, nn_node *bank, nn_node *offset, const attr *a);

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    if (nn_wants_grad(t, y->in[0]))
        din[0] = band_mix_grad(t, dy, y->in[1], y->in[2], y->attr);
}

static int parse(const char *text, void *out)
{
    return sscanf(text, "%d", &((attr *)out)->hop) == 1;
}

const nn_op nn_op_band_mix = {
    .name = "band_mix",
    .summary = "a bank of signals weighted by envelopes",
    .min_in = 3,
    .max_in = 3,
    .attr_size = sizeof(attr),
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_IN(0) | NN_READ_OUT,
    .no_grad = 6, /* bank and offset */
    .parse = parse,
    .examples = (const char *const[]){ "[2,3,4] [3,17] [2]:0..0; 5", NULL },
};

nn_node *nn_band_mix(nn_tape *t, nn_node *amplitude, nn_node *bank, nn_node *offset, int hop_length)
{
    return nn_apply(t, &nn_op_band_mix, &(attr){ hop_length }, 3, (nn_node *const[]){ amplitude, bank, offset });
}

static bl_status grad_shape(nn_node *y, bl_error *err)
{
    const nn_shape *d = &y->in[0]->shape, *bank = &y->in[1]->shape;
    const int hop = ((const attr *)y->attr)->hop;
    char text[96];
    if (d->rank != 2 || d->dim[1] % hop)
        return bl_fail(err, BL_ESHAPE, "band_mix_grad: %s is not whole frames of %d", nn_shape_str(d, text), hop);
    y->shape = (nn_shape){ 3, { d->dim[0], bank->dim[0], d->dim[1] / hop + 1 } };
    return BL_OK;
}

static void grad_forward(nn_tape *t, nn_node *y)
{
    const int hop = ((const attr *)y->attr)->hop;
    const int64_t B = y->shape.dim[0], K = y->shape.dim[1], J = y->shape.dim[2] - 1, L = y->in[1]->shape.dim[1];
    (void)t;
#pragma omp parallel for schedule(static) if (B * J * hop * K > NN_PARALLEL_MIN)
    for (int64_t r = 0; r < B * K; r++) {
        const int64_t b = r / K, k = r % K;
        const real *dy = y->in[0]->x + b * J * hop, *bank = y->in[1]->x + k * L;
        real *out = y->x + r * (J + 1);
        for (int64_t j = 0; j <= J; j++)
            out[j] = 0;
        for (int64_t j = 0; j < J; j++) {
            real s = 0, p = 0;
            for (int i = 0; i < hop;) {
                const int64_t at = start_of(y, b, j * hop + i, L);
                const int n = L - at < hop - i ? (int)(L - at) : hop - i;
                real sum[8] = { 0 }, ramp[8] = { 0 };
                int m = 0;
                for (; m + 8 <= n; m += 8)
                    for (int q = 0; q < 8; q++) {
                        const real v = dy[j * hop + i + m + q] * bank[at + m + q];
                        sum[q] += v;
                        ramp[q] += v * (real)(i + m + q);
                    }
                for (; m < n; m++) {
                    const real v = dy[j * hop + i + m] * bank[at + m];
                    s += v;
                    p += v * (real)(i + m);
                }
                for (int q = 0; q < 8; q++) {
                    s += sum[q];
                    p += ramp[q];
                }
                i += n;
            }
            p /= (real)hop;
            out[j] += s - p;
            out[j + 1] += p;
        }
    }
}

static void grad_backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    if (nn_wants_grad(t, y->in[0]))
        din[0] = nn_band_mix(t, dy, y->in[1], y->in[2], ((const attr *)y->attr)->hop);
}

static const nn_op grad_op = {
    .name = "band_mix_grad",
    .summary = "adjoint of band_mix in the envelopes",
    .min_in = 3,
    .max_in = 3,
    .attr_size = sizeof(attr),
    .shape = grad_shape,
    .forward = grad_forward,
    .backward = grad_backward,
    .unread = NN_READ_IN(0) | NN_READ_OUT,
};

static nn_node *band_mix_grad(nn_tape *t, nn_node *dy, nn_node *bank, nn_node *offset, const attr *a)
{
    return nn_apply(t, &grad_op, a, 3, (nn_node *const[]){ dy, bank, offset });
}
