/* nn/ops/embedding_grad.c - the adjoint of embedding: y[r, d] = sum over i with index[i] = r of dy[i, d]; 0 for r = padding_idx.
 *
 * Threads share the columns, each adds its own in the order of i.
 *
 * in       dy [.., D], index [..] (no gradient);  options: rows N, padding_idx (-1: none)
 * out      [N, D]
 */
#include "nn/class_index.h"

#include <stdio.h>
#include <string.h>

typedef struct attr { int64_t n_rows, padding_idx; } attr;

static int parse(const char *text, void *out)
{
    long long n, padding_idx;
    if (sscanf(text, "%lld %lld", &n, &padding_idx) != 2)
        return 0;
    *(attr *)out = (attr){ n, padding_idx };
    return 1;
}

static bl_status shape(nn_node *y, bl_error *err)
{
    const nn_shape *dy = &y->in[0]->shape, *index = &y->in[1]->shape;
    const int64_t n_rows = ((const attr *)y->attr)->n_rows;
    char a[96], b[96];
    if (dy->rank != index->rank + 1 || n_rows < 0 || memcmp(dy->dim, index->dim, (size_t)index->rank * sizeof dy->dim[0]))
        return bl_fail(err, BL_ESHAPE, "embedding_grad: %s does not belong to indices %s", nn_shape_str(dy, a),
                       nn_shape_str(index, b));
    y->shape = (nn_shape){ 2, { n_rows, dy->dim[dy->rank - 1] } };
    return nn_check_class_index(y->in[1], n_rows, "embedding_grad", err);
}

static void forward(nn_tape *tape, nn_node *y)
{
    const int64_t width = y->shape.dim[1], n = nn_count(&y->in[1]->shape), n_rows = y->shape.dim[0], strip = 64;
    const int64_t tasks = (width + strip - 1) / strip;
    const int64_t skip = ((const attr *)y->attr)->padding_idx;
    const real *index = y->in[1]->x;
    (void)tape;
#pragma omp parallel for schedule(static) if (n * width > NN_PARALLEL_MIN)
    for (int64_t task = 0; task < tasks; task++) {
        const int64_t first = task * strip, last = first + strip < width ? first + strip : width;
        for (int64_t r = 0; r < n_rows; r++)
            memset(y->x + r * width + first, 0, (size_t)(last - first) * sizeof(real));
        for (int64_t i = 0; i < n; i++) {
            real *to = y->x + (int64_t)index[i] * width;
            const real *from = y->in[0]->x + i * width;
            for (int64_t d = first; d < last && (int64_t)index[i] != skip; d++)
                to[d] += from[d];
        }
    }
}

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    din[0] = nn_embedding_without(t, dy, y->in[1], ((const attr *)y->attr)->padding_idx);
}

const nn_op nn_op_embedding_grad = {
    .name = "embedding_grad",
    .summary = "adds rows up by index",
    .min_in = 2,
    .max_in = 2,
    .attr_size = sizeof(attr),
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_IN(0) | NN_READ_OUT,
    .no_grad = 2, /* the index */
    .parse = parse,
    .examples = (const char *const[]){ "[5,3] [5]:0..4; 4 -1", "[2,3,2] [2,3]:0..4; 6 2", NULL },
};

nn_node *nn_embedding_grad(nn_tape *t, nn_node *dy, nn_node *index, int64_t n_rows, int64_t padding_idx)
{
    return nn_apply(t, &nn_op_embedding_grad, &(attr){ n_rows, padding_idx }, 2, (nn_node *const[]){ dy, index });
}
