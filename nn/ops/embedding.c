/* nn/ops/embedding.c - rows of a table by index: y[.., d] = table[index[..], d].
 *
 * in       table [N, D], index [..] with values 0..N-1 (no gradient)
 * out      [.., D]
 * errors   BL_EARG: an index outside the table
 */
#include "nn/class_index.h"

#include <string.h>

static bl_status shape(nn_node *y, bl_error *err)
{
    const nn_shape *table = &y->in[0]->shape, *index = &y->in[1]->shape;
    char a[96], b[96];
    if (table->rank != 2 || index->rank >= NN_MAX_RANK)
        return bl_fail(err, BL_ESHAPE, "embedding: expected a table [N, D] and indices of rank 0 to 3, got %s and %s",
                       nn_shape_str(table, a), nn_shape_str(index, b));
    y->shape = *index;
    y->shape.dim[y->shape.rank++] = table->dim[1];
    return nn_check_class_index(y->in[1], table->dim[0], "embedding", err);
}

static void forward(nn_tape *tape, nn_node *y)
{
    const int64_t width = y->in[0]->shape.dim[1], n = nn_count(&y->in[1]->shape);
    (void)tape;
#pragma omp parallel for schedule(static) if (n * width > NN_PARALLEL_MIN)
    for (int64_t i = 0; i < n; i++)
        memcpy(y->x + i * width, y->in[0]->x + (int64_t)y->in[1]->x[i] * width, (size_t)width * sizeof(real));
}

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    din[0] = nn_embedding_grad(t, dy, y->in[1], y->in[0]->shape.dim[0]);
}

const nn_op nn_op_embedding = {
    .name = "embedding",
    .summary = "rows of a table by index",
    .min_in = 2,
    .max_in = 2,
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_IN(0) | NN_READ_OUT,
    .no_grad = 2, /* the index */
    .examples = (const char *const[]){ "[4,3] [5]:0..4", "[4,3] [2,3]:0..4", "[1,2] []:0..1", NULL },
};

nn_node *nn_embedding(nn_tape *t, nn_node *table, nn_node *index)
{
    return nn_apply(t, &nn_op_embedding, NULL, 2, (nn_node *const[]){ table, index });
}
