/* nn/ops/embedding.c - rows of a table by index: y[.., d] = table[index[..], d].
 *
 * in       table [N, D], index [..] with values 0..N-1 (no gradient)
 * out      [.., D]
 * options  padding_idx: this row gets no gradient (torch's; -1: none). zero: it reads as zeros, whatever is in it: so the
 *          adjoint of embedding_grad leaves it out.
 * errors   BL_EARG: an index outside the table, or a padding_idx
 */
#include "nn/class_index.h"

#include <stdio.h>
#include <string.h>

typedef struct attr {
    int64_t padding_idx;
    int     zero;
} attr;

static int parse(const char *text, void *out)
{
    long long padding_idx;
    attr *a = out;
    const int n = sscanf(text, "%lld %d", &padding_idx, &a->zero);
    a->padding_idx = padding_idx;
    return n == 2;
}

static bl_status shape(nn_node *y, bl_error *err)
{
    const nn_shape *table = &y->in[0]->shape, *index = &y->in[1]->shape;
    const attr *o = y->attr;
    char a[96], b[96];
    if (table->rank != 2 || index->rank >= NN_MAX_RANK)
        return bl_fail(err, BL_ESHAPE, "embedding: expected a table [N, D] and indices of rank 0 to 3, got %s and %s",
                       nn_shape_str(table, a), nn_shape_str(index, b));
    if (o->padding_idx < -1 || o->padding_idx >= table->dim[0])
        return bl_fail(err, BL_EARG, "embedding: padding_idx %lld lies outside 0..%lld", (long long)o->padding_idx,
                       (long long)table->dim[0] - 1);
    y->shape = *index;
    y->shape.dim[y->shape.rank++] = table->dim[1];
    return nn_check_class_index(y->in[1], table->dim[0], "embedding", err);
}

static void forward(nn_tape *tape, nn_node *y)
{
    const attr *o = y->attr;
    const int64_t width = y->in[0]->shape.dim[1], n = nn_count(&y->in[1]->shape), skip = o->zero ? o->padding_idx : -1;
    (void)tape;
#pragma omp parallel for schedule(static) if (n * width > NN_PARALLEL_MIN)
    for (int64_t i = 0; i < n; i++) {
        const int64_t row = (int64_t)y->in[1]->x[i];
        if (row == skip)
            memset(y->x + i * width, 0, (size_t)width * sizeof(real));
        else
            memcpy(y->x + i * width, y->in[0]->x + row * width, (size_t)width * sizeof(real));
    }
}

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    din[0] = nn_embedding_grad(t, dy, y->in[1], y->in[0]->shape.dim[0], ((const attr *)y->attr)->padding_idx);
}

const nn_op nn_op_embedding = {
    .name = "embedding",
    .summary = "rows of a table by index",
    .min_in = 2,
    .max_in = 2,
    .attr_size = sizeof(attr),
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_IN(0) | NN_READ_OUT,
    .no_grad = 2, /* the index */
    .parse = parse,
    .examples = (const char *const[]){ "[4,3] [5]:0..4; -1 0", "[4,3] [2,3]:0..4; -1 0", "[1,2] []:0..1; -1 0",
                                       "[4,3] [2,9]:0..4; 2 1", NULL },
};

nn_node *nn_embedding(nn_tape *t, nn_node *table, nn_node *index, int64_t padding_idx)
{
    return nn_apply(t, &nn_op_embedding, &(attr){ padding_idx, 0 }, 2, (nn_node *const[]){ table, index });
}

nn_node *nn_embedding_without(nn_tape *t, nn_node *table, nn_node *index, int64_t padding_idx)
{
    return nn_apply(t, &nn_op_embedding, &(attr){ padding_idx, padding_idx >= 0 }, 2, (nn_node *const[]){ table, index });
}
