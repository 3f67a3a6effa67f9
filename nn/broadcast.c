#include "nn/broadcast.h"

/* Dimension d counted from the last, 1 where the shape has none. */
static int64_t from_last(const nn_shape *s, int d)
{
    return d < s->rank ? s->dim[s->rank - 1 - d] : 1;
}

bl_status nn_broadcast_shape(nn_node *y, bl_error *err)
{
    const nn_shape *a = &y->in[0]->shape, *b = &y->in[1]->shape;
    char ta[96], tb[96];
    y->shape.rank = a->rank > b->rank ? a->rank : b->rank;
    for (int d = 0; d < y->shape.rank; d++) {
        const int64_t da = from_last(a, d), db = from_last(b, d);
        if (da != db && da != 1 && db != 1)
            return bl_fail(err, BL_ESHAPE, "%s: shapes %s and %s do not broadcast", y->op->name, nn_shape_str(a, ta),
                           nn_shape_str(b, tb));
        y->shape.dim[y->shape.rank - 1 - d] = da == 1 ? db : da;
    }
    return BL_OK;
}

nn_node *nn_unbroadcast(nn_tape *t, nn_node *g, const nn_node *in)
{
    return nn_same_shape(&g->shape, &in->shape) ? g : nn_sum_to(t, g, in->shape);
}

nn_nest nn_broadcast_nest(const nn_node *y)
{
    return nn_nest_of(&y->shape, 2, (const nn_shape *const[]){ &y->in[0]->shape, &y->in[1]->shape });
}
