/* nn/ops/interpolate.c - linear interpolation to `factor` times as many values along a dimension, and its adjoint.
 *
 *     y[i] = (1 - w) x[j] + w x[j + 1],   j + w the position of output i:
 *     align_corners      i (n - 1) / (n factor - 1): first and last values stay
 *     otherwise          (i + 1/2) / factor - 1/2, held at both ends
 *
 * As torch.nn.functional.interpolate, "linear" along one dimension, "bilinear" along two after each other. Along the last
 * dimension without align_corners, upsample_linear does the same faster.
 */
#include "nn/window.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct attr { int dim, factor, align_corners, is_adjoint; } attr;

/* Lower neighbour of output i among n values, and the weight of the upper one. */
static int64_t position(const attr *a, int64_t n, int64_t i, real *weight)
{
    const double at = a->align_corners ? (n * a->factor > 1 ? (double)i * (double)(n - 1) / (double)(n * a->factor - 1) : 0)
                                       : fmax(0, ((double)i + 0.5) / a->factor - 0.5);
    int64_t j = (int64_t)at;
    if (j > n - 2)
        j = n > 1 ? n - 2 : 0;
    *weight = n > 1 ? (real)fmin(1, at - (double)j) : 0;
    return j;
}

static bl_status shape(nn_node *y, bl_error *err)
{
    const attr *a = y->attr;
    const nn_shape *x = &y->in[0]->shape;
    char text[96];
    if (a->dim < 0 || a->dim >= x->rank || x->dim[a->dim] > INT32_MAX || a->factor < 1 || x->dim[a->dim] < 1 || (a->is_adjoint && x->dim[a->dim] % a->factor))
        return bl_fail(err, BL_ESHAPE, "interpolate: dimension %d and factor %d do not fit %s", a->dim, a->factor,
                       nn_shape_str(x, text));
    y->shape = *x;
    y->shape.dim[a->dim] = a->is_adjoint ? x->dim[a->dim] / a->factor : x->dim[a->dim] * a->factor;
    return BL_OK;
}

/* Neighbour and weight of every output, worked out once for all rows. */
static int64_t few(const nn_node *y)
{
    const attr *a = y->attr;
    return (a->is_adjoint ? &y->shape : &y->in[0]->shape)->dim[a->dim];
}

static int64_t scratch(const nn_node *y)
{
    const int64_t many = few(y) * ((const attr *)y->attr)->factor;
    return many + many * (int64_t)(sizeof(int32_t)) / (int64_t)sizeof(real) + 1;
}

static void forward(nn_tape *tape, nn_node *y)
{
    const attr *a = y->attr;
    const nn_window w = nn_window_of(a->is_adjoint ? &y->shape : &y->in[0]->shape, a->dim);
    const int64_t n = w.n, inner = w.inner, many = n * a->factor, upper = n > 1 ? inner : 0;
    real *weight = y->scratch;
    int32_t *lower = (int32_t *)(void *)(weight + many);
    (void)tape;
    for (int64_t i = 0; i < many; i++)
        lower[i] = (int32_t)position(a, n, i, &weight[i]);
#pragma omp parallel for schedule(static) if (w.outer * many * inner > NN_PARALLEL_MIN && w.outer > 1)
    for (int64_t o = 0; o < w.outer; o++) {
        const real *restrict x = y->in[0]->x + o * (a->is_adjoint ? many : n) * inner;
        real *restrict out = y->x + o * (a->is_adjoint ? n : many) * inner;
        if (a->is_adjoint)
            memset(out, 0, (size_t)(n * inner) * sizeof *out);
        if (inner == 1 && !a->is_adjoint) {
            for (int64_t i = 0; i < many; i++)
                out[i] = (1 - weight[i]) * x[lower[i]] + weight[i] * x[lower[i] + upper];
            continue;
        }
        for (int64_t i = 0; i < many; i++) {
            const real up = weight[i], down = 1 - up;
            const int64_t j = lower[i] * inner;
            if (a->is_adjoint)
                for (int64_t k = 0; k < inner; k++) {
                    const real v = x[i * inner + k];
                    out[j + k] += down * v;
                    out[j + upper + k] += up * v;
                }
            else
                for (int64_t k = 0; k < inner; k++)
                    out[i * inner + k] = down * x[j + k] + up * x[j + upper + k];
        }
    }
}

extern const nn_op nn_op_interpolate;

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    attr a = *(const attr *)y->attr;
    a.is_adjoint = !a.is_adjoint;
    din[0] = nn_apply(t, &nn_op_interpolate, &a, 1, &dy);
}

static int parse(const char *text, void *out)
{
    attr *a = out;
    return sscanf(text, "%d %d %d %d", &a->dim, &a->factor, &a->align_corners, &a->is_adjoint) == 4;
}

const nn_op nn_op_interpolate = {
    .name = "interpolate",
    .summary = "linear interpolation along a dimension",
    .min_in = 1,
    .max_in = 1,
    .attr_size = sizeof(attr),
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_ANY,
    .scratch = scratch,
    .parse = parse,
    .examples = (const char *const[]){ "[2,4,3]; 1 2 1 0", "[2,3]; 1 3 0 0", "[2,6,3]; 1 2 1 1", "[2,6]; 1 3 0 1", "[1,2]; 0 2 1 0", NULL },
};

nn_node *nn_interpolate(nn_tape *t, nn_node *x, int dim, int factor, int align_corners)
{
    return nn_apply(t, &nn_op_interpolate, &(attr){ dim, factor, !!align_corners, 0 }, 1, &x);
}
