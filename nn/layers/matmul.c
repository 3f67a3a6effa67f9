/* nn/layers/matmul.c - matrix product of two inputs; each may be transposed first.
 *
 * Shapes   [M, K], [K, N] -> [M, N]; with a third dimension in front, matrix by matrix.
 */
#include "nn/layer.h"

static const nn_layer_option options[] = {
    { "transpose_a", NN_OPTION_BOOL, 0, 0, 1, "the first input is transposed", NULL },
    { "transpose_b", NN_OPTION_BOOL, 0, 0, 1, "the second input is transposed", NULL },
    { .name = NULL },
};

static bl_status build(nn_layer *l, bl_error *err)
{
    const nn_shape *a = &l->in_shape[0], *b = &l->in_shape[1];
    const int ta = nn_layer_get(l, "transpose_a") != 0, tb = nn_layer_get(l, "transpose_b") != 0;
    char sa[96], sb[96];
    if (a->rank != b->rank || a->rank < 2 || (a->rank == 3 && a->dim[0] != b->dim[0])
        || a->dim[a->rank - (ta ? 2 : 1)] != b->dim[b->rank - (tb ? 1 : 2)])
        return bl_fail(err, BL_ESHAPE, "%s%s and %s%s do not multiply", nn_shape_str(a, sa), ta ? " transposed" : "",
                       nn_shape_str(b, sb), tb ? " transposed" : "");
    l->out_shape = *a;
    l->out_shape.dim[a->rank - 2] = a->dim[a->rank - (ta ? 1 : 2)];
    l->out_shape.dim[a->rank - 1] = b->dim[b->rank - (tb ? 2 : 1)];
    const double macs = (double)nn_count(&l->out_shape) * (double)a->dim[a->rank - (ta ? 2 : 1)];
    l->macs = macs > 0 ? macs : 0;
    return BL_OK;
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    return nn_matmul(t, in[0], in[1], nn_layer_get(l, "transpose_a") != 0, nn_layer_get(l, "transpose_b") != 0);
}

const nn_layer_type nn_layer_matmul = {
    .name = "matmul",
    .summary = "matrix product of two inputs",
    .min_in = 2,
    .max_in = 2,
    .options = options,
    .build = build,
    .forward = forward,
};
