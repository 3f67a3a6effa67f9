#include "nn/shape_layer.h"

#include <string.h>

int nn_layer_axis(const nn_layer *l, const char *option, bl_error *err)
{
    const int rank = l->in_shape[0].rank, choice = (int)nn_layer_get(l, option);
    const int axis = choice == 0 ? 1 : choice == 1 ? (rank > 1 ? rank : 0) : choice < 4 ? (rank == 3 ? choice : 0)
                     : choice < NN_DIM_LAST ? choice - 3 : rank + 1 - (choice - 6);
    char text[96];
    if (axis >= 1 && axis <= rank)
        return axis;
    const char *word = NN_DIM_CHOICES;
    for (int i = 0; i < choice; i++)
        word = strchr(word, '|') + 1;
    if (choice == NN_DIM_TIME)
        bl_fail(err, BL_ESHAPE, "%s=time: the input is a vector", option);
    else
        bl_fail(err, BL_ESHAPE, "%s=%.*s: there is no such dimension in the input %s (the batch is dimension 0)", option,
                (int)strcspn(word, "|"), word, nn_shape_str(&l->in_shape[0], text));
    return 0;
}

int nn_layer_axis_of(const nn_layer *l, const char *option)
{
    bl_error unused = { BL_OK, "" };
    const int axis = nn_layer_axis(l, option, &unused);
    BL_ASSERT(axis > 0);
    return axis;
}

bl_status nn_reduce_build(nn_layer *l, bl_error *err)
{
    const int axis = nn_layer_axis(l, "dim", err);
    if (!axis)
        return err->code;
    l->out_shape = l->in_shape[0];
    l->out_shape.dim[axis - 1] = 1;
    if (nn_layer_get(l, "keepdim") != 0 || l->out_shape.rank == 1)
        return BL_OK;
    for (int d = axis - 1; d < l->out_shape.rank - 1; d++)
        l->out_shape.dim[d] = l->out_shape.dim[d + 1];
    l->out_shape.rank--;
    if (l->out_shape.rank == 1 && l->out_shape.dim[0] < 0)
        return bl_fail(err, BL_ESHAPE, "a vector of free length would come out; keepdim=yes gives [1, T]");
    return BL_OK;
}

nn_node *nn_reduce_finish(nn_layer *l, nn_tape *t, nn_node *reduced)
{
    if (t->err.code || l->out_shape.rank + 1 == reduced->shape.rank)
        return t->err.code ? NULL : reduced;
    const int axis = nn_layer_axis_of(l, "dim");
    nn_shape s = { reduced->shape.rank - 1, { 0 } };
    for (int d = 0; d < s.rank; d++)
        s.dim[d] = reduced->shape.dim[d < axis ? d : d + 1];
    return nn_reshape(t, reduced, s);
}

nn_node *nn_as_rank(nn_tape *t, nn_node *x, int rank)
{
    if (t->err.code || x->shape.rank >= rank)
        return t->err.code ? NULL : x;
    nn_shape s = x->shape;
    while (s.rank < rank)
        s.dim[s.rank++] = 1;
    return nn_reshape(t, x, s);
}

nn_node *nn_fold_inputs(nn_layer *l, nn_tape *t, nn_node *const *in, nn_node *(*op)(nn_tape *, nn_node *, nn_node *))
{
    nn_node *y = nn_as_rank(t, in[0], l->out_shape.rank + 1);
    for (int i = 1; i < l->n_in; i++)
        y = op(t, y, nn_as_rank(t, in[i], l->out_shape.rank + 1));
    return y;
}
