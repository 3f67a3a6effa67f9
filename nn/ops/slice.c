/* nn/ops/slice.c - entries start..stop-1 of one dimension. Its gradient is pad. */
#include "nn/window.h"

#include <stdio.h>

typedef struct attr { int dim; long long start, stop; } attr;

static bl_status shape(nn_node *y, bl_error *err)
{
    const nn_shape *x = &y->in[0]->shape;
    const attr *a = y->attr;
    char text[96];
    if (a->dim < 0 || a->dim >= x->rank || a->start < 0 || a->stop < a->start || a->stop > x->dim[a->dim])
        return bl_fail(err, BL_ESHAPE, "slice: %lld..%lld of dimension %d does not lie in %s", a->start, a->stop, a->dim,
                       nn_shape_str(x, text));
    y->shape = *x;
    y->shape.dim[a->dim] = a->stop - a->start;
    return BL_OK;
}

static void forward(nn_tape *t, nn_node *y)
{
    const attr *a = y->attr;
    (void)t;
    nn_window_copy(y->x, nn_window_of(&y->shape, a->dim), 0, y->in[0]->x, nn_window_of(&y->in[0]->shape, a->dim),
                   a->start, a->stop - a->start);
}

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    const attr *a = y->attr;
    din[0] = nn_pad(t, dy, a->dim, a->start, y->in[0]->shape.dim[a->dim] - a->stop);
}

static int parse(const char *text, void *out)
{
    attr *a = out;
    return sscanf(text, "%d %lld %lld", &a->dim, &a->start, &a->stop) == 3;
}

const nn_op nn_op_slice = {
    .name = "slice",
    .summary = "a range of one dimension",
    .min_in = 1,
    .max_in = 1,
    .attr_size = sizeof(attr),
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_ANY,
    .cheap = 1,
    .parse = parse,
    .examples = (const char *const[]){ "[2,5,3]; 1 1 4", "[2,5,3]; 2 0 2", "[4]; 0 2 2", NULL },
};

nn_node *nn_slice(nn_tape *t, nn_node *x, int dim, int64_t start, int64_t stop)
{
    return nn_apply(t, &nn_op_slice, &(attr){ dim, start, stop }, 1, &x);
}
