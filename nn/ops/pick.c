/* nn/ops/pick.c - one entry of each row: y[..] = x[.., index[..]].
 *
 * in       x [.., C], index [..] with values 0..C-1 (no gradient)
 * out      [..]
 * errors   BL_EARG: an index outside the row
 */
#include "nn/class_index.h"

#include <string.h>

static bl_status shape(nn_node *y, bl_error *err)
{
    const nn_shape *x = &y->in[0]->shape, *index = &y->in[1]->shape;
    char a[96], b[96];
    if (x->rank != index->rank + 1 || memcmp(x->dim, index->dim, (size_t)index->rank * sizeof x->dim[0]))
        return bl_fail(err, BL_ESHAPE, "pick: x %s needs indices of all its dimensions but the last, got %s",
                       nn_shape_str(x, a), nn_shape_str(index, b));
    y->shape = *index;
    return nn_check_class_index(y->in[1], x->dim[x->rank - 1], "pick", err);
}

static void forward(nn_tape *tape, nn_node *y)
{
    const int64_t n = nn_count(&y->shape), width = y->in[0]->shape.dim[y->shape.rank];
    (void)tape;
#pragma omp parallel for schedule(static) if (n > NN_PARALLEL_MIN)
    for (int64_t i = 0; i < n; i++)
        y->x[i] = y->in[0]->x[i * width + (int64_t)y->in[1]->x[i]];
}

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    din[0] = nn_pick_grad(t, dy, y->in[1], y->in[0]->shape.dim[y->shape.rank]);
}

const nn_op nn_op_pick = {
    .name = "pick",
    .summary = "one entry of each row",
    .min_in = 2,
    .max_in = 2,
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_IN(0) | NN_READ_OUT,
    .no_grad = 2, /* the index */
    .examples = (const char *const[]){ "[5,3] [5]:0..3", "[2,3,4] [2,3]:0..4", NULL },
};

nn_node *nn_pick(nn_tape *t, nn_node *x, nn_node *index)
{
    return nn_apply(t, &nn_op_pick, NULL, 2, (nn_node *const[]){ x, index });
}
