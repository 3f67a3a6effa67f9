/* nn/ops/matmul.c - y = op(a) op(b), batched over the leading dimensions; op transposes the last two when asked.
 *
 * in       a [.., m, k], b [.., k, n] with the same leading dimensions, or b [k, n] for all
 * out      [.., m, n]
 * cost     2 m n k flops per matrix
 */
#include "nn/gemm.h"
#include "nn/ops.h"

#include <stdio.h>

typedef struct attr { int ta, tb; } attr;

static bl_status shape(nn_node *y, bl_error *err)
{
    const nn_shape *a = &y->in[0]->shape, *b = &y->in[1]->shape;
    const attr *o = y->attr;
    char sa[96], sb[96];
    int fits = a->rank >= 2 && b->rank >= 2 && (b->rank == 2 || b->rank == a->rank);
    for (int d = 0; fits && b->rank > 2 && d < a->rank - 2; d++)
        fits = a->dim[d] == b->dim[d];
    if (fits)
        fits = a->dim[a->rank - (o->ta ? 2 : 1)] == b->dim[b->rank - (o->tb ? 1 : 2)];
    if (!fits)
        return bl_fail(err, BL_ESHAPE, "matmul: %s%s and %s%s do not multiply", nn_shape_str(a, sa),
                       o->ta ? " transposed" : "", nn_shape_str(b, sb), o->tb ? " transposed" : "");
    y->shape = *a;
    y->shape.dim[a->rank - 2] = a->dim[a->rank - (o->ta ? 1 : 2)];
    y->shape.dim[a->rank - 1] = b->dim[b->rank - (o->tb ? 2 : 1)];
    return BL_OK;
}

static void forward(nn_tape *t, nn_node *y)
{
    const nn_shape *a = &y->in[0]->shape, *b = &y->in[1]->shape;
    const attr *o = y->attr;
    const int r = a->rank;
    const int64_t m = y->shape.dim[r - 2], n = y->shape.dim[r - 1], k = a->dim[r - (o->ta ? 2 : 1)];
    const int64_t lda = a->dim[r - 1], ldb = b->dim[b->rank - 1];
    int64_t batch = 1;
    (void)t;
    for (int d = 0; d < r - 2; d++)
        batch *= a->dim[d];
    if (b->rank == 2 && !o->ta) { /* one product of [batch m, k] */
        nn_gemm(0, o->tb, batch * m, n, k, 1, y->in[0]->x, lda, y->in[1]->x, ldb, 0, y->x, n);
        return;
    }
#pragma omp parallel for schedule(static) if (batch > 1 && batch * m * n * k > NN_PARALLEL_MIN)
    for (int64_t i = 0; i < batch; i++)
        nn_gemm(o->ta, o->tb, m, n, k, 1, y->in[0]->x + i * m * k, lda,
                y->in[1]->x + (b->rank == 2 ? 0 : i * k * n), ldb, 0, y->x + i * m * n, n);
}

/* Sum over the batch of op(x_i)^T op(z_i) for a shared b: fold the batch into the inner dimension. */
static nn_node *fold(nn_tape *t, nn_node *x)
{
    nn_shape s = { 2, { -1, x->shape.dim[x->shape.rank - 1] } };
    return x->shape.rank == 2 ? x : nn_reshape(t, x, s);
}

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    const attr *o = y->attr;
    nn_node *a = y->in[0], *b = y->in[1];
    const int shared = b->shape.rank == 2 && a->shape.rank > 2;
    if (nn_wants_grad(t, a))
        din[0] = o->ta ? nn_matmul(t, b, dy, o->tb, 1) : nn_matmul(t, dy, b, 0, !o->tb);
    if (nn_wants_grad(t, b)) {
        if (shared)
            din[1] = o->tb ? nn_matmul(t, fold(t, dy), fold(t, a), 1, 0) : nn_matmul(t, fold(t, a), fold(t, dy), 1, 0);
        else
            din[1] = o->tb ? nn_matmul(t, dy, a, 1, o->ta) : nn_matmul(t, a, dy, !o->ta, 0);
    }
}

static int parse(const char *text, void *out)
{
    attr *a = out;
    return sscanf(text, "%d %d", &a->ta, &a->tb) == 2;
}

const nn_op nn_op_matmul = {
    .name = "matmul",
    .summary = "matrix product, batched",
    .min_in = 2,
    .max_in = 2,
    .attr_size = sizeof(attr),
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_OUT,
    .product = 1,
    .parse = parse,
    .examples = (const char *const[]){ "[3,4] [4,5]; 0 0", "[4,3] [4,5]; 1 0", "[3,4] [5,4]; 0 1", "[4,3] [5,4]; 1 1",
                                       "[2,3,4] [2,4,5]; 0 0", "[2,4,3] [2,5,4]; 1 1", "[2,3,4] [4,5]; 0 0",
                                       "[2,3,4] [5,4]; 0 1", NULL },
};

nn_node *nn_matmul(nn_tape *t, nn_node *a, nn_node *b, int transpose_a, int transpose_b)
{
    /* A transposed batch times one shared matrix has no single product; give b the batch. */
    if (!t->err.code && transpose_a && b->shape.rank == 2 && a->shape.rank > 2) {
        nn_shape s = a->shape;
        s.dim[s.rank - 2] = b->shape.dim[0];
        s.dim[s.rank - 1] = b->shape.dim[1];
        b = nn_broadcast_to(t, b, s);
    }
    return nn_apply(t, &nn_op_matmul, &(attr){ !!transpose_a, !!transpose_b }, 2, (nn_node *const[]){ a, b });
}
