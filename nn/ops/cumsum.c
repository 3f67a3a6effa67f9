/* nn/ops/cumsum.c - running sums along a dimension, from its start or, reversed, from its end; each is the other's gradient.
 * Sums run in double: the phase of an oscillator adds up millions of samples.
 */
#include "nn/window.h"

#include <stdio.h>

typedef struct attr { int dim, reverse; } attr;

static bl_status shape(nn_node *y, bl_error *err)
{
    const int dim = ((const attr *)y->attr)->dim;
    char text[96];
    y->shape = y->in[0]->shape;
    if (dim < 0 || dim >= y->shape.rank)
        return bl_fail(err, BL_ESHAPE, "cumsum: there is no dimension %d in %s", dim, nn_shape_str(&y->shape, text));
    return BL_OK;
}

static void forward(nn_tape *tape, nn_node *y)
{
    const attr *a = y->attr;
    const nn_window w = nn_window_of(&y->shape, a->dim);
    (void)tape;
#pragma omp parallel for schedule(static) if (w.outer * w.n * w.inner > NN_PARALLEL_MIN)
    for (int64_t o = 0; o < w.outer * w.inner; o++) {
        const int64_t at = o / w.inner * w.n * w.inner + o % w.inner;
        double sum = 0;
        for (int64_t k = 0; k < w.n; k++) {
            const int64_t i = at + (a->reverse ? w.n - 1 - k : k) * w.inner;
            sum += (double)y->in[0]->x[i];
            y->x[i] = (real)sum;
        }
    }
}

extern const nn_op nn_op_cumsum;

static nn_node *run(nn_tape *t, nn_node *x, int dim, int reverse)
{
    return nn_apply(t, &nn_op_cumsum, &(attr){ dim, reverse }, 1, &x);
}

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    const attr *a = y->attr;
    din[0] = run(t, dy, a->dim, !a->reverse);
}

static int parse(const char *text, void *out)
{
    attr *a = out;
    return sscanf(text, "%d %d", &a->dim, &a->reverse) == 2;
}

const nn_op nn_op_cumsum = {
    .name = "cumsum",
    .summary = "running sums along a dimension",
    .min_in = 1,
    .max_in = 1,
    .attr_size = sizeof(attr),
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_ANY,
    .parse = parse,
    .examples = (const char *const[]){ "[2,3,5]; 2 0", "[2,3,5]; 1 1", NULL },
};

nn_node *nn_cumsum(nn_tape *t, nn_node *x, int dim)
{
    return run(t, x, dim, 0);
}
