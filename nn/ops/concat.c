/* nn/ops/concat.c - up to NN_MAX_IN tensors one behind the other along a dimension. Its gradient is slice. */
#include "nn/window.h"

#include <stdio.h>

typedef struct attr { int dim; } attr;

static bl_status shape(nn_node *y, bl_error *err)
{
    const int dim = ((const attr *)y->attr)->dim;
    char a[96], b[96];
    y->shape = y->in[0]->shape;
    if (dim < 0 || dim >= y->shape.rank)
        return bl_fail(err, BL_ESHAPE, "concat: no dimension %d in %s", dim, nn_shape_str(&y->shape, a));
    for (int i = 1; i < y->n_in; i++) {
        nn_shape other = y->in[i]->shape;
        const int64_t n = other.rank > dim ? other.dim[dim] : 0;
        other.dim[dim] = y->in[0]->shape.dim[dim];
        if (!nn_same_shape(&other, &y->in[0]->shape))
            return bl_fail(err, BL_ESHAPE, "concat: %s and %s differ outside dimension %d",
                           nn_shape_str(&y->in[0]->shape, a), nn_shape_str(&y->in[i]->shape, b), dim);
        y->shape.dim[dim] += n;
    }
    return BL_OK;
}

static void forward(nn_tape *t, nn_node *y)
{
    const int dim = ((const attr *)y->attr)->dim;
    int64_t start = 0;
    (void)t;
    for (int i = 0; i < y->n_in; i++) {
        const int64_t n = y->in[i]->shape.dim[dim];
        nn_window_copy(y->x, nn_window_of(&y->shape, dim), start, y->in[i]->x, nn_window_of(&y->in[i]->shape, dim), 0, n);
        start += n;
    }
}

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    const int dim = ((const attr *)y->attr)->dim;
    int64_t start = 0;
    for (int i = 0; i < y->n_in; i++) {
        const int64_t n = y->in[i]->shape.dim[dim];
        if (nn_wants_grad(t, y->in[i]))
            din[i] = nn_slice(t, dy, dim, start, start + n);
        start += n;
    }
}

static int parse(const char *text, void *out)
{
    return sscanf(text, "%d", &((attr *)out)->dim) == 1;
}

const nn_op nn_op_concat = {
    .name = "concat",
    .summary = "tensors one behind the other",
    .min_in = 1,
    .max_in = NN_MAX_IN,
    .attr_size = sizeof(attr),
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_ANY,
    .cheap = 1,
    .parse = parse,
    .examples = (const char *const[]){ "[2,3,4] [2,1,4] [2,2,4]; 1", "[2,3] [2,3]; 0", "[2,3] [2,1]; 1", NULL },
};

nn_node *nn_concat(nn_tape *t, int dim, int n, nn_node *const *xs)
{
    if (!t->err.code && (n < 1 || n > NN_MAX_IN))
        bl_fail(&t->err, BL_EARG, "concat: takes 1 to %d inputs, got %d", NN_MAX_IN, n);
    return nn_apply(t, &nn_op_concat, &(attr){ dim }, n, xs);
}
