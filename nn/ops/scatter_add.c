/* nn/ops/scatter_add.c - adds elements up where an index along one dimension says, as torch.scatter_add into zeros.
 *
 *     y[i, index[i,j,k], k] += x[i,j,k]       for dim 1, in the order of j
 *
 * in       x, index (no gradient) of the same shape; values 0 .. n - 1, n = size of the output along dim
 * out      the given shape, nowhere shorter than index but along dim
 * errors   BL_ESHAPE: shapes;  BL_EARG: an index outside
 */
#include "nn/gather.h"

#include <stdio.h>
#include <string.h>

static bl_status shape(nn_node *y, bl_error *err)
{
    const nn_gather_opt *o = y->attr;
    char a[96], b[96];
    if (!nn_same_shape(&y->in[0]->shape, &y->in[1]->shape))
        return bl_fail(err, BL_ESHAPE, "scatter_add: %s and indices %s differ", nn_shape_str(&y->in[0]->shape, a),
                       nn_shape_str(&y->in[1]->shape, b));
    y->shape = o->shape;
    return nn_gather_check(&o->shape, y->in[1], o->dim, "scatter_add", err);
}

static void forward(nn_tape *t, nn_node *y)
{
    const int dim = ((const nn_gather_opt *)y->attr)->dim;
    const nn_shape *index = &y->in[1]->shape;
    const int64_t n = index->dim[dim], count = nn_count(index), lines = n ? count / n : 0;
    const int64_t y_step = nn_gather_step(&y->shape, dim), step = nn_gather_step(index, dim);
    (void)t;
    memset(y->x, 0, (size_t)nn_count(&y->shape) * sizeof(real));
#pragma omp parallel for schedule(static) if (count > NN_PARALLEL_MIN)
    for (int64_t i = 0; i < lines; i++) {
        const nn_gather_line at = nn_gather_line_at(&y->shape, index, dim, i);
        for (int64_t j = 0; j < n; j++)
            y->x[at.x + (int64_t)y->in[1]->x[at.index + j * step] * y_step] += y->in[0]->x[at.index + j * step];
    }
}

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    din[0] = nn_gather(t, dy, ((const nn_gather_opt *)y->attr)->dim, y->in[1]);
}

static int parse(const char *text, void *out)
{
    nn_gather_opt *o = out;
    int used;
    *o = (nn_gather_opt){ 0 };
    if (sscanf(text, "%d%n", &o->dim, &used) != 1)
        return 0;
    for (long long n; o->shape.rank < NN_MAX_RANK && sscanf(text += used, "%lld%n", &n, &used) == 1;)
        o->shape.dim[o->shape.rank++] = n;
    return o->shape.rank > 0;
}

const nn_op nn_op_scatter_add = {
    .name = "scatter_add",
    .summary = "adds elements up where an index along one dimension says",
    .min_in = 2,
    .max_in = 2,
    .attr_size = sizeof(nn_gather_opt),
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .no_grad = NN_READ_IN(1),
    .unread = NN_READ_IN(0) | NN_READ_OUT,
    .parse = parse,
    .examples = (const char *const[]){ "[2,5,4] [2,5,4]:0..3; 1 2 3 4", "[3] [3]:0..5; 0 5", "[1,2,6] [1,2,6]:0..4; 2 2 3 4", NULL },
};

nn_node *nn_scatter_add(nn_tape *t, nn_node *x, int dim, nn_node *index, nn_shape shape_out)
{
    return nn_apply(t, &nn_op_scatter_add, &(nn_gather_opt){ dim, shape_out }, 2, (nn_node *const[]){ x, index });
}
