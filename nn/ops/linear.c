/* nn/ops/linear.c - y = x weight^T + bias over the last dimension, as torch.nn.functional.linear.
 *
 * in       x [.., I], weight [O, I], bias [O] (optional)
 * out      [.., O]
 * cost     2 rows I O flops, one product: the bias is added where the sums end
 *
 * Composed of matmul and add it would cost one more pass and one more value to keep.
 */
#include "nn/gemm.h"
#include "nn/ops.h"

static bl_status shape(nn_node *y, bl_error *err)
{
    const nn_shape *x = &y->in[0]->shape, *w = &y->in[1]->shape;
    char a[96], b[96];
    if (x->rank < 1 || w->rank != 2 || x->dim[x->rank - 1] != w->dim[1])
        return bl_fail(err, BL_ESHAPE, "linear: x %s and weight %s do not multiply; expected [.., I] and [O, I]",
                       nn_shape_str(x, a), nn_shape_str(w, b));
    if (y->n_in > 2 && (y->in[2]->shape.rank != 1 || y->in[2]->shape.dim[0] != w->dim[0]))
        return bl_fail(err, BL_ESHAPE, "linear: bias %s for %lld outputs", nn_shape_str(&y->in[2]->shape, a),
                       (long long)w->dim[0]);
    y->shape = *x;
    y->shape.dim[x->rank - 1] = w->dim[0];
    return BL_OK;
}

static void forward(nn_tape *t, nn_node *y)
{
    const int64_t n_in = y->in[1]->shape.dim[1], n_out = y->in[1]->shape.dim[0], rows = n_out ? nn_count(&y->shape) / n_out : 0;
    (void)t;
    nn_gemm_bias(0, 1, rows, n_out, n_in, y->in[0]->x, n_in, y->in[1]->x, n_in, y->n_in > 2 ? y->in[2]->x : NULL, y->x, n_out);
}

/* [rows, n]: what a product takes. */
static nn_node *as_rows(nn_tape *t, nn_node *x)
{
    if (t->err.code || x->shape.rank == 2)
        return x;
    const int64_t n = x->shape.rank ? x->shape.dim[x->shape.rank - 1] : 1;
    return nn_reshape(t, x, (nn_shape){ 2, { n ? nn_count(&x->shape) / n : 0, n } });
}

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    nn_node *x = y->in[0], *weight = y->in[1], *rows = as_rows(t, dy);
    if (nn_wants_grad(t, x)) {
        nn_node *dx = nn_matmul(t, rows, weight, 0, 0);
        din[0] = x->shape.rank == 2 ? dx : nn_reshape(t, dx, x->shape);
    }
    if (nn_wants_grad(t, weight))
        din[1] = nn_matmul(t, rows, as_rows(t, x), 1, 0);
    if (y->n_in > 2 && nn_wants_grad(t, y->in[2]))
        din[2] = nn_sum_to(t, dy, y->in[2]->shape);
}

const nn_op nn_op_linear = {
    .name = "linear",
    .summary = "x weight^T + bias",
    .min_in = 2,
    .max_in = 3,
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_IN(2) | NN_READ_OUT,
    .product = 1,
    .examples = (const char *const[]){ "[3,4] [5,4] [5]", "[3,4] [5,4]", "[2,3,4] [5,4] [5]", "[4] [5,4] [5]", NULL },
};

nn_node *nn_linear(nn_tape *t, nn_node *x, nn_node *weight, nn_node *bias)
{
    return nn_apply(t, &nn_op_linear, NULL, bias ? 3 : 2, (nn_node *const[]){ x, weight, bias });
}
