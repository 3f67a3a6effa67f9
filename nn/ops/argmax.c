/* nn/ops/argmax.c - the index of the first largest value along a dimension, which becomes 1. No gradient. */
#include "nn/window.h"

#include <stdio.h>

typedef struct attr { int dim; } attr;

static bl_status shape(nn_node *y, bl_error *err)
{
    const int dim = ((const attr *)y->attr)->dim;
    char text[96];
    y->shape = y->in[0]->shape;
    if (dim < 0 || dim >= y->shape.rank || y->shape.dim[dim] < 1)
        return bl_fail(err, BL_ESHAPE, "argmax: dimension %d of %s has no values", dim, nn_shape_str(&y->shape, text));
    y->shape.dim[dim] = 1;
    return BL_OK;
}

static void forward(nn_tape *tape, nn_node *y)
{
    const nn_window w = nn_window_of(&y->in[0]->shape, ((const attr *)y->attr)->dim);
    (void)tape;
#pragma omp parallel for schedule(static) if (w.outer * w.n * w.inner > NN_PARALLEL_MIN)
    for (int64_t o = 0; o < w.outer * w.inner; o++) {
        const real *x = y->in[0]->x + o / w.inner * w.n * w.inner + o % w.inner;
        int64_t best = 0;
        for (int64_t i = 1; i < w.n; i++)
            if (x[i * w.inner] > x[best * w.inner] || (x[i * w.inner] != x[i * w.inner] && x[best * w.inner] == x[best * w.inner]))
                best = i;
        y->x[o] = (real)best;
    }
}

static int parse(const char *text, void *out)
{
    return sscanf(text, "%d", &((attr *)out)->dim) == 1;
}

const nn_op nn_op_argmax = {
    .name = "argmax",
    .summary = "index of the largest value along a dimension",
    .min_in = 1,
    .max_in = 1,
    .attr_size = sizeof(attr),
    .shape = shape,
    .forward = forward,
    .unread = NN_READ_ANY,
    .parse = parse,
    .examples = (const char *const[]){ "[2,3,5]; 1", "[2,3,5]; 2", NULL },
};

nn_node *nn_argmax(nn_tape *t, nn_node *x, int dim)
{
    return nn_apply(t, &nn_op_argmax, &(attr){ dim }, 1, &x);
}
