/* nn/ops/repeat.c - each value `factor` times along a dimension, as torch.repeat_interleave: nearest up-sampling; and
 * repeat_grad, its adjoint, which sums each run. They are each other's gradient.
 */
#include "nn/window.h"

#include <stdio.h>
#include <string.h>

typedef struct attr { int dim, factor; } attr;

static bl_status check(const nn_node *y, bl_error *err)
{
    const attr *a = y->attr;
    char text[96];
    if (a->dim < 0 || a->dim >= y->in[0]->shape.rank || a->factor < 1)
        return bl_fail(err, BL_EARG, "%s: dimension %d and factor %d do not fit %s", y->op->name, a->dim, a->factor,
                       nn_shape_str(&y->in[0]->shape, text));
    return BL_OK;
}

static bl_status shape(nn_node *y, bl_error *err)
{
    const attr *a = y->attr;
    if (check(y, err) != BL_OK)
        return err->code;
    y->shape = y->in[0]->shape;
    y->shape.dim[a->dim] *= a->factor;
    return BL_OK;
}

static bl_status grad_shape(nn_node *y, bl_error *err)
{
    const attr *a = y->attr;
    char text[96];
    if (check(y, err) != BL_OK)
        return err->code;
    y->shape = y->in[0]->shape;
    if (y->shape.dim[a->dim] % a->factor)
        return bl_fail(err, BL_ESHAPE, "repeat_grad: dimension %d of %s is no multiple of %d", a->dim,
                       nn_shape_str(&y->shape, text), a->factor);
    y->shape.dim[a->dim] /= a->factor;
    return BL_OK;
}

static void forward(nn_tape *tape, nn_node *y)
{
    const attr *a = y->attr;
    const nn_window w = nn_window_of(&y->in[0]->shape, a->dim);
    const int64_t factor = a->factor, rows = w.outer * w.n;
    (void)tape;
    if (w.inner == 1) {
#pragma omp parallel for schedule(static) if (rows * factor > NN_PARALLEL_MIN)
        for (int64_t i = 0; i < rows; i++) {
            const real value = y->in[0]->x[i];
            for (int64_t k = 0; k < factor; k++)
                y->x[i * factor + k] = value;
        }
        return;
    }
#pragma omp parallel for schedule(static) if (rows * w.inner * factor > NN_PARALLEL_MIN)
    for (int64_t r = 0; r < rows; r++)
        for (int64_t k = 0; k < factor; k++)
            memcpy(y->x + (r * factor + k) * w.inner, y->in[0]->x + r * w.inner, (size_t)w.inner * sizeof(real));
}

static void grad_forward(nn_tape *tape, nn_node *y)
{
    const attr *a = y->attr;
    const nn_window w = nn_window_of(&y->shape, a->dim);
    const int64_t factor = a->factor, rows = w.outer * w.n;
    (void)tape;
    if (w.inner == 1) {
#pragma omp parallel for schedule(static) if (rows * factor > NN_PARALLEL_MIN)
        for (int64_t i = 0; i < rows; i++) {
            double sum = 0;
            for (int64_t k = 0; k < factor; k++)
                sum += (double)y->in[0]->x[i * factor + k];
            y->x[i] = (real)sum;
        }
        return;
    }
#pragma omp parallel for schedule(static) if (rows * w.inner * factor > NN_PARALLEL_MIN)
    for (int64_t r = 0; r < rows; r++) {
        real *restrict to = y->x + r * w.inner;
        const real *restrict from = y->in[0]->x + r * factor * w.inner;
        memcpy(to, from, (size_t)w.inner * sizeof *to);
        for (int64_t k = 1; k < factor; k++)
            for (int64_t i = 0; i < w.inner; i++)
                to[i] += from[k * w.inner + i];
    }
}

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    const attr *a = y->attr;
    din[0] = nn_repeat_grad(t, dy, a->dim, a->factor);
}

static void grad_backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    const attr *a = y->attr;
    din[0] = nn_repeat(t, dy, a->dim, a->factor);
}

static int parse(const char *text, void *out)
{
    attr *a = out;
    return sscanf(text, "%d %d", &a->dim, &a->factor) == 2;
}

const nn_op nn_op_repeat = {
    .name = "repeat",
    .summary = "each value several times along a dimension",
    .min_in = 1,
    .max_in = 1,
    .attr_size = sizeof(attr),
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_ANY,
    .parse = parse,
    .examples = (const char *const[]){ "[2,3,4]; 2 3", "[2,3,4]; 1 2", NULL },
};

static const nn_op grad_op = {
    .name = "repeat_grad",
    .summary = "sums of runs along a dimension",
    .min_in = 1,
    .max_in = 1,
    .attr_size = sizeof(attr),
    .shape = grad_shape,
    .forward = grad_forward,
    .backward = grad_backward,
    .unread = NN_READ_ANY,
};

nn_node *nn_repeat(nn_tape *t, nn_node *x, int dim, int factor)
{
    return nn_apply(t, &nn_op_repeat, &(attr){ dim, factor }, 1, &x);
}

nn_node *nn_repeat_grad(nn_tape *t, nn_node *dy, int dim, int factor)
{
    return nn_apply(t, &grad_op, &(attr){ dim, factor }, 1, &dy);
}
