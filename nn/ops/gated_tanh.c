/* nn/ops/gated_tanh.c - WaveNet's gate: tanh(a) sigmoid(b), a the first half of the channels and b the second.
 *
 *     da = dy s (1 - h^2),   db = dy h s (1 - s),   h = tanh(a), s = sigmoid(b)
 *
 * in       x [B, 2C, T]
 * out      [B, C, T]
 * cost     one vector tanh and one exp per output; gated_tanh_grad(dy, x) computes both again, so that only x is kept
 * source   van den Oord et al., "WaveNet: A Generative Model for Raw Audio", 2016, equation 2
 */
#include "nn/fastmath.h"
#include "nn/ops.h"

enum { PIECE = 4096 };

/* Rows of the output cut into pieces of at most PIECE samples: the parallel tasks. */
static int64_t n_pieces(int64_t n_samples)
{
    return (n_samples + PIECE - 1) / PIECE;
}

static void gate_row(const real *restrict a, const real *restrict b, real *restrict out, int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        out[i] = nn_fast_gate(a[i], b[i]);
}

static void grad_row(const real *restrict dy, const real *restrict a, const real *restrict b, real *restrict da,
                     real *restrict db, int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        const real h = nn_fast_tanh(a[i]), s = nn_fast_sigmoid(b[i]), u = dy[i] * s;
        da[i] = u * (1 - h * h);
        db[i] = u * h * (1 - s);
    }
}

static bl_status grad_shape(nn_node *y, bl_error *err)
{
    const nn_shape *dy = &y->in[0]->shape, *x = &y->in[1]->shape;
    char a[96], b[96];
    if (dy->rank != 3 || x->rank != 3 || dy->dim[0] != x->dim[0] || 2 * dy->dim[1] != x->dim[1] || dy->dim[2] != x->dim[2])
        return bl_fail(err, BL_ESHAPE, "gated_tanh_grad: %s is no gradient for %s", nn_shape_str(dy, a), nn_shape_str(x, b));
    y->shape = *x;
    return BL_OK;
}

static void grad_forward(nn_tape *tape, nn_node *y)
{
    const nn_shape *s = &y->in[0]->shape;
    const int64_t half = s->dim[1] * s->dim[2], n = s->dim[2], pieces = n_pieces(n), tasks = s->dim[0] * s->dim[1] * pieces;
    const real *dy = y->in[0]->x, *x = y->in[1]->x;
    (void)tape;
#pragma omp parallel for schedule(static) if (2 * half * s->dim[0] > NN_PARALLEL_MIN)
    for (int64_t task = 0; task < tasks; task++) {
        const int64_t row = task / pieces, start = task % pieces * PIECE, count = n - start < PIECE ? n - start : PIECE;
        const int64_t at = row / s->dim[1] * 2 * half + row % s->dim[1] * n + start;
        grad_row(dy + row * n + start, x + at, x + at + half, y->x + at, y->x + at + half, count);
    }
}

static nn_node *grad(nn_tape *t, nn_node *dy, nn_node *x);

/* With dda, ddb the two halves of the incoming gradient and h' = 1 - h^2, s' = s (1 - s):
 *     d(dy) = dda s h' + ddb h s'
 *     d(a)  = dy h' (ddb s' - 2 dda h s)
 *     d(b)  = dy s' (dda h' + ddb h (1 - 2 s)) */
static void grad_backward(nn_tape *t, nn_node *y, nn_node *ddx, nn_node **din)
{
    nn_node *dy = y->in[0], *x = y->in[1];
    const int64_t channels = dy->shape.dim[1];
    nn_node *h = nn_tanh(t, nn_slice(t, x, 1, 0, channels)), *s = nn_sigmoid(t, nn_slice(t, x, 1, channels, 2 * channels));
    nn_node *dda = nn_slice(t, ddx, 1, 0, channels), *ddb = nn_slice(t, ddx, 1, channels, 2 * channels);
    nn_node *h1 = nn_affine(t, nn_square(t, h), -1, 1), *s1 = nn_mul(t, s, nn_affine(t, s, -1, 1));
    if (nn_wants_grad(t, dy))
        din[0] = nn_add(t, nn_mul(t, dda, nn_mul(t, s, h1)), nn_mul(t, ddb, nn_mul(t, h, s1)));
    if (!nn_wants_grad(t, x))
        return;
    nn_node *inner_a = nn_sub(t, nn_mul(t, ddb, s1), nn_affine(t, nn_mul(t, dda, nn_mul(t, h, s)), 2, 0));
    nn_node *inner_b = nn_add(t, nn_mul(t, dda, h1), nn_mul(t, nn_mul(t, ddb, h), nn_affine(t, s, -2, 1)));
    din[1] = nn_concat(t, 1, 2, (nn_node *const[]){ nn_mul(t, nn_mul(t, dy, h1), inner_a),
                                                     nn_mul(t, nn_mul(t, dy, s1), inner_b) });
}

static const nn_op grad_op = {
    .name = "gated_tanh_grad",
    .summary = "gradient of gated_tanh from dy and x",
    .min_in = 2,
    .max_in = 2,
    .shape = grad_shape,
    .forward = grad_forward,
    .backward = grad_backward,
    .unread = NN_READ_OUT,
};

static nn_node *grad(nn_tape *t, nn_node *dy, nn_node *x)
{
    return nn_apply(t, &grad_op, NULL, 2, (nn_node *const[]){ dy, x });
}

static bl_status shape(nn_node *y, bl_error *err)
{
    const nn_shape *x = &y->in[0]->shape;
    char text[96];
    if (x->rank != 3 || x->dim[1] % 2)
        return bl_fail(err, BL_ESHAPE, "gated_tanh: expected x [B, 2C, T], got %s", nn_shape_str(x, text));
    y->shape = *x;
    y->shape.dim[1] /= 2;
    return BL_OK;
}

static void forward(nn_tape *tape, nn_node *y)
{
    const nn_shape *s = &y->shape;
    const int64_t half = s->dim[1] * s->dim[2], n = s->dim[2], pieces = n_pieces(n), tasks = s->dim[0] * s->dim[1] * pieces;
    const real *x = y->in[0]->x;
    (void)tape;
#pragma omp parallel for schedule(static) if (half * s->dim[0] > NN_PARALLEL_MIN)
    for (int64_t task = 0; task < tasks; task++) {
        const int64_t row = task / pieces, start = task % pieces * PIECE, count = n - start < PIECE ? n - start : PIECE;
        const real *a = x + row / s->dim[1] * 2 * half + row % s->dim[1] * n + start;
        gate_row(a, a + half, y->x + row * n + start, count);
    }
}

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    din[0] = grad(t, dy, y->in[0]);
}

const nn_op nn_op_gated_tanh = {
    .name = "gated_tanh",
    .summary = "tanh(first half of the channels) sigmoid(second half)",
    .min_in = 1,
    .max_in = 1,
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_OUT,
    .cheap = 1,
    .examples = (const char *const[]){ "[2,6,5]:-2..2", "[1,2,0]", NULL },
};

nn_node *nn_gated_tanh(nn_tape *t, nn_node *x)
{
    return nn_apply(t, &nn_op_gated_tanh, NULL, 1, &x);
}
