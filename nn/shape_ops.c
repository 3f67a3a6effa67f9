/* Shape ops that are composed of others. */
#include "nn/ops.h"

static int has_dim(nn_tape *t, const char *name, const nn_node *x, int dim, int most)
{
    char text[96];
    if (t->err.code)
        return 0;
    if (dim >= 0 && dim < most)
        return 1;
    bl_fail(&t->err, BL_ESHAPE, "%s: there is no dimension %d in %s", name, dim, nn_shape_str(&x->shape, text));
    return 0;
}

nn_node *nn_squeeze(nn_tape *t, nn_node *x, int dim)
{
    if (!has_dim(t, "squeeze", x, dim, x ? x->shape.rank : 0))
        return NULL;
    nn_shape s = { x->shape.rank - 1, { 0 } };
    if (x->shape.dim[dim] != 1)
        return x;
    for (int d = 0; d < s.rank; d++)
        s.dim[d] = x->shape.dim[d < dim ? d : d + 1];
    return nn_reshape(t, x, s);
}

nn_node *nn_unsqueeze(nn_tape *t, nn_node *x, int dim)
{
    if (!has_dim(t, "unsqueeze", x, dim, x ? (x->shape.rank < NN_MAX_RANK ? x->shape.rank + 1 : 0) : 0))
        return NULL;
    nn_shape s = { x->shape.rank + 1, { 0 } };
    for (int d = 0; d < s.rank; d++)
        s.dim[d] = d == dim ? 1 : x->shape.dim[d < dim ? d : d - 1];
    return nn_reshape(t, x, s);
}

nn_node *nn_transpose(nn_tape *t, nn_node *x, int a, int b)
{
    int order[NN_MAX_RANK] = { 0, 1, 2, 3 };
    if (!has_dim(t, "transpose", x, a, x ? x->shape.rank : 0) || !has_dim(t, "transpose", x, b, x->shape.rank))
        return NULL;
    order[a] = b;
    order[b] = a;
    return nn_permute(t, x, order);
}

nn_node *nn_stack(nn_tape *t, int dim, int n, nn_node *const *xs)
{
    nn_node *in[NN_MAX_IN] = { NULL };
    for (int i = 0; i < n && i < NN_MAX_IN; i++)
        in[i] = nn_unsqueeze(t, xs[i], dim);
    return nn_concat(t, dim, n, in);
}

void nn_chunk(nn_tape *t, nn_node *x, int dim, int n, nn_node **out)
{
    const int fits = has_dim(t, "chunk", x, dim, x ? x->shape.rank : 0);
    char text[96];
    if (fits && (n < 1 || x->shape.dim[dim] % n))
        bl_fail(&t->err, BL_ESHAPE, "chunk: dimension %d of %s does not divide into %d", dim, nn_shape_str(&x->shape, text), n);
    for (int i = 0; i < n; i++)
        out[i] = t->err.code ? NULL : nn_slice(t, x, dim, x->shape.dim[dim] / n * i, x->shape.dim[dim] / n * (i + 1));
}

nn_node *nn_pad_value(nn_tape *t, nn_node *x, int dim, int64_t before, int64_t after, double value)
{
    if (value == 0 || !has_dim(t, "pad", x, dim, x ? x->shape.rank : 0))
        return nn_pad(t, x, dim, before, after);
    nn_shape s = x->shape;
    nn_node *part[3];
    int n = 0;
    s.dim[dim] = before;
    if (before)
        part[n++] = nn_full(t, s, value);
    part[n++] = x;
    s.dim[dim] = after;
    if (after)
        part[n++] = nn_full(t, s, value);
    return nn_concat(t, dim, n, part);
}
