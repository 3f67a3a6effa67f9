/* nn/ops/glu.c - a sigmoid(b), a and b the halves of a dimension.
 *
 *     da = dy s,   db = dy a s (1 - s),   s = sigmoid(b), fused as glu_grad(dy, x)
 *
 * source   Dauphin, Fan, Auli, Grangier, "Language Modeling with Gated Convolutional Networks", 2017
 */
#include "nn/fastmath.h"
#include "nn/window.h"

#include <stdio.h>

typedef struct attr { int dim; } attr;

static bl_status shape(nn_node *y, bl_error *err)
{
    const int dim = ((const attr *)y->attr)->dim;
    char text[96];
    y->shape = y->in[0]->shape;
    if (dim < 0 || dim >= y->shape.rank || y->shape.dim[dim] % 2)
        return bl_fail(err, BL_ESHAPE, "glu: dimension %d of %s has no halves", dim, nn_shape_str(&y->shape, text));
    y->shape.dim[dim] /= 2;
    return BL_OK;
}

static bl_status grad_shape(nn_node *y, bl_error *err)
{
    const int dim = ((const attr *)y->attr)->dim;
    nn_shape half = y->in[1]->shape;
    char a[96], b[96];
    if (dim < half.rank)
        half.dim[dim] /= 2;
    if (!nn_same_shape(&half, &y->in[0]->shape))
        return bl_fail(err, BL_ESHAPE, "glu_grad: %s is no gradient for %s", nn_shape_str(&y->in[0]->shape, a),
                       nn_shape_str(&y->in[1]->shape, b));
    y->shape = y->in[1]->shape;
    return BL_OK;
}

static void forward(nn_tape *tape, nn_node *y)
{
    const nn_window w = nn_window_of(&y->shape, ((const attr *)y->attr)->dim);
    const int64_t half = w.n * w.inner;
    (void)tape;
#pragma omp parallel for schedule(static) if (w.outer > 1 && w.outer * half > NN_PARALLEL_MIN)
    for (int64_t o = 0; o < w.outer; o++) {
        const real *restrict a = y->in[0]->x + o * 2 * half, *restrict b = a + half;
        real *restrict out = y->x + o * half;
#pragma omp simd
        for (int64_t i = 0; i < half; i++)
            out[i] = a[i] * nn_fast_sigmoid(b[i]);
    }
}

static void grad_forward(nn_tape *tape, nn_node *y)
{
    const nn_window w = nn_window_of(&y->in[0]->shape, ((const attr *)y->attr)->dim);
    const int64_t half = w.n * w.inner;
    (void)tape;
#pragma omp parallel for schedule(static) if (w.outer > 1 && w.outer * half > NN_PARALLEL_MIN)
    for (int64_t o = 0; o < w.outer; o++) {
        const real *restrict dy = y->in[0]->x + o * half, *restrict a = y->in[1]->x + o * 2 * half, *restrict b = a + half;
        real *restrict da = y->x + o * 2 * half, *restrict db = da + half;
#pragma omp simd
        for (int64_t i = 0; i < half; i++) {
            const real s = nn_fast_sigmoid(b[i]);
            da[i] = dy[i] * s;
            db[i] = dy[i] * a[i] * s * (1 - s);
        }
    }
}

/* With u, v the halves of the incoming gradient and s' = s (1 - s):
 *     d(dy) = u s + v a s',   d(a) = v dy s',   d(b) = dy s' (u + v a (1 - 2 s)) */
static void grad_backward(nn_tape *t, nn_node *y, nn_node *ddx, nn_node **din)
{
    const int dim = ((const attr *)y->attr)->dim;
    nn_node *dy = y->in[0], *x = y->in[1], *half[2], *up[2];
    nn_chunk(t, x, dim, 2, half);
    nn_chunk(t, ddx, dim, 2, up);
    nn_node *s = nn_sigmoid(t, half[1]), *slope = nn_mul(t, s, nn_affine(t, s, -1, 1)), *va = nn_mul(t, up[1], half[0]);
    if (nn_wants_grad(t, dy))
        din[0] = nn_add(t, nn_mul(t, up[0], s), nn_mul(t, va, slope));
    if (nn_wants_grad(t, x)) {
        nn_node *g = nn_mul(t, dy, slope), *inner = nn_add(t, up[0], nn_mul(t, va, nn_affine(t, s, -2, 1)));
        din[1] = nn_concat(t, dim, 2, (nn_node *const[]){ nn_mul(t, g, up[1]), nn_mul(t, g, inner) });
    }
}

static const nn_op grad_op = {
    .name = "glu_grad",
    .summary = "gradient of glu from dy and x",
    .min_in = 2,
    .max_in = 2,
    .attr_size = sizeof(attr),
    .shape = grad_shape,
    .forward = grad_forward,
    .backward = grad_backward,
    .unread = NN_READ_OUT,
};

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    din[0] = nn_apply(t, &grad_op, y->attr, 2, (nn_node *const[]){ dy, y->in[0] });
}

static int parse(const char *text, void *out)
{
    return sscanf(text, "%d", &((attr *)out)->dim) == 1;
}

const nn_op nn_op_glu = {
    .name = "glu",
    .summary = "first half times sigmoid of the second",
    .min_in = 1,
    .max_in = 1,
    .attr_size = sizeof(attr),
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_OUT,
    .parse = parse,
    .examples = (const char *const[]){ "[2,4,5]:-2..2; 1", "[3,6]:-2..2; 1", NULL },
};

nn_node *nn_glu(nn_tape *t, nn_node *x, int dim)
{
    return nn_apply(t, &nn_op_glu, &(attr){ dim }, 1, &x);
}
