/* nn/ops/pad.c - zeros before and after one dimension. Its gradient is slice. */
#include "nn/window.h"

#include <stdio.h>
#include <string.h>

typedef struct attr { int dim; long long before, after; } attr;

static bl_status shape(nn_node *y, bl_error *err)
{
    const nn_shape *x = &y->in[0]->shape;
    const attr *a = y->attr;
    char text[96];
    if (a->dim < 0 || a->dim >= x->rank || a->before < 0 || a->after < 0)
        return bl_fail(err, BL_ESHAPE, "pad: cannot put %lld and %lld zeros about dimension %d of %s", a->before,
                       a->after, a->dim, nn_shape_str(x, text));
    y->shape = *x;
    y->shape.dim[a->dim] += a->before + a->after;
    return BL_OK;
}

static void forward(nn_tape *t, nn_node *y)
{
    const attr *a = y->attr;
    const int64_t n = y->in[0]->shape.dim[a->dim];
    (void)t;
    memset(y->x, 0, (size_t)nn_count(&y->shape) * sizeof(real));
    nn_window_copy(y->x, nn_window_of(&y->shape, a->dim), a->before, y->in[0]->x,
                   nn_window_of(&y->in[0]->shape, a->dim), 0, n);
}

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    const attr *a = y->attr;
    din[0] = nn_slice(t, dy, a->dim, a->before, a->before + y->in[0]->shape.dim[a->dim]);
}

static int parse(const char *text, void *out)
{
    attr *a = out;
    return sscanf(text, "%d %lld %lld", &a->dim, &a->before, &a->after) == 3;
}

const nn_op nn_op_pad = {
    .name = "pad",
    .summary = "zeros before and after one dimension",
    .min_in = 1,
    .max_in = 1,
    .attr_size = sizeof(attr),
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_ANY,
    .cheap = 1,
    .parse = parse,
    .examples = (const char *const[]){ "[2,5,3]; 1 1 2", "[2,5]; 1 0 3", "[4]; 0 0 0", NULL },
};

nn_node *nn_pad(nn_tape *t, nn_node *x, int dim, int64_t before, int64_t after)
{
    return nn_apply(t, &nn_op_pad, &(attr){ dim, before, after }, 1, &x);
}
