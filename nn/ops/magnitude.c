/* nn/ops/magnitude.c - lengths of complex numbers whose parts stand in dimension 1.
 *
 *     y[b,f,t] = sqrt(re^2 + im^2 + eps)        d(re, im) = (re, im) dy / y
 *
 * in       [B, 2, F, T], as stft gives it
 * out      [B, F, T]
 * options  eps >= 0; with 0 the gradient at 0 is not a number (torch.abs: 0)
 * cost     one pass; the gradient, magnitude_grad(dy, y, x) = x dy / y, one more
 */
#include "nn/ops.h"

#include <stdio.h>
#include <tgmath.h>

typedef struct attr { double eps; } attr;

static int parse(const char *text, void *out)
{
    return sscanf(text, "%lf", &((attr *)out)->eps) == 1;
}

static bl_status shape(nn_node *y, bl_error *err)
{
    const nn_shape *s = &y->in[0]->shape;
    char text[96];
    if (s->rank != 4 || s->dim[1] != 2)
        return bl_fail(err, BL_ESHAPE, "magnitude: expected [B, 2, F, T], got %s", nn_shape_str(s, text));
    if (!(((const attr *)y->attr)->eps >= 0))
        return bl_fail(err, BL_EARG, "magnitude: eps %g is negative", ((const attr *)y->attr)->eps);
    y->shape = (nn_shape){ 3, { s->dim[0], s->dim[2], s->dim[3] } };
    return BL_OK;
}

static void forward(nn_tape *t, nn_node *y)
{
    const int64_t B = y->shape.dim[0], n = y->shape.dim[1] * y->shape.dim[2], piece = 1 << 12, pieces = (n + piece - 1) / piece;
    const real eps = (real)((const attr *)y->attr)->eps;
    (void)t;
#pragma omp parallel for schedule(static) if (B * n > NN_PARALLEL_MIN)
    for (int64_t r = 0; r < B * pieces; r++) {
        const int64_t b = r / pieces, first = r % pieces * piece, count = n - first < piece ? n - first : piece;
        const real *restrict re = y->in[0]->x + b * 2 * n + first, *restrict im = re + n;
        real *restrict out = y->x + b * n + first;
#pragma omp simd
        for (int64_t i = 0; i < count; i++)
            out[i] = sqrt(re[i] * re[i] + im[i] * im[i] + eps);
    }
}

static bl_status grad_shape(nn_node *y, bl_error *err)
{
    (void)err;
    y->shape = y->in[2]->shape;
    return BL_OK;
}

static void grad_forward(nn_tape *t, nn_node *y)
{
    const int64_t B = y->shape.dim[0], n = y->shape.dim[2] * y->shape.dim[3], piece = 1 << 12, pieces = (n + piece - 1) / piece;
    (void)t;
#pragma omp parallel for schedule(static) if (B * n > NN_PARALLEL_MIN)
    for (int64_t r = 0; r < B * pieces; r++) {
        const int64_t b = r / pieces, first = r % pieces * piece, count = n - first < piece ? n - first : piece;
        const real *restrict dy = y->in[0]->x + b * n + first, *restrict size = y->in[1]->x + b * n + first;
        const real *restrict re = y->in[2]->x + b * 2 * n + first, *restrict im = re + n;
        real *restrict to_re = y->x + b * 2 * n + first, *restrict to_im = to_re + n;
#pragma omp simd
        for (int64_t i = 0; i < count; i++) {
            const real ratio = dy[i] / size[i];
            to_re[i] = ratio * re[i];
            to_im[i] = ratio * im[i];
        }
    }
}

/* g = x dy / y, given dg: with c = sum over parts of dg x,  d dy = c / y, dy' = -c dy / y^2, dx = dg dy / y. */
static void grad_backward(nn_tape *t, nn_node *g, nn_node *dg, nn_node **din)
{
    nn_node *dy = g->in[0], *y = g->in[1], *x = g->in[2];
    const nn_shape beside = { 4, { y->shape.dim[0], 1, y->shape.dim[1], y->shape.dim[2] } };
    nn_node *c = nn_div(t, nn_reshape(t, nn_sum_dims(t, nn_mul(t, dg, x), 2u), y->shape), y), *ratio = nn_div(t, dy, y);
    if (nn_wants_grad(t, dy))
        din[0] = c;
    if (nn_wants_grad(t, y))
        din[1] = nn_affine(t, nn_mul(t, c, ratio), -1, 0);
    if (nn_wants_grad(t, x))
        din[2] = nn_mul(t, dg, nn_reshape(t, ratio, beside));
}

static const nn_op grad_op = {
    .name = "magnitude_grad",
    .summary = "x dy / y",
    .min_in = 3,
    .max_in = 3,
    .shape = grad_shape,
    .forward = grad_forward,
    .backward = grad_backward,
    .unread = NN_READ_OUT,
};

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    din[0] = nn_apply(t, &grad_op, NULL, 3, (nn_node *const[]){ dy, y, y->in[0] });
}

const nn_op nn_op_magnitude = {
    .name = "magnitude",
    .summary = "sqrt(re^2 + im^2 + eps)",
    .min_in = 1,
    .max_in = 1,
    .attr_size = sizeof(attr),
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .parse = parse,
    .examples = (const char *const[]){ "[2,2,3,5]; 0.1", "[1,2,1,4]:0.5..1; 0", NULL },
};

nn_node *nn_magnitude(nn_tape *t, nn_node *x, double eps)
{
    return nn_apply(t, &nn_op_magnitude, &(attr){ eps }, 1, &x);
}

nn_node *nn_stft_magnitude(nn_tape *t, nn_node *x, nn_stft_opt opt, double eps)
{
    return nn_magnitude(t, nn_stft(t, x, opt), eps);
}
