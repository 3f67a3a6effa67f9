#include "nn/softmax.h"

#include <stdio.h>

static int dim_of(const nn_node *y)
{
    const int dim = ((const nn_softmax_attr *)y->attr)->dim;
    return dim < 0 ? dim + y->shape.rank : dim;
}

bl_status nn_softmax_shape(nn_node *y, bl_error *err)
{
    char a[96], b[96];
    y->shape = y->in[0]->shape;
    const int dim = dim_of(y);
    if (dim < 0 || dim >= y->shape.rank)
        return bl_fail(err, BL_ESHAPE, "%s: there is no dimension %d in %s", y->op->name,
                       ((const nn_softmax_attr *)y->attr)->dim, nn_shape_str(&y->shape, a));
    if (y->n_in > 1 && !nn_same_shape(&y->shape, &y->in[1]->shape))
        return bl_fail(err, BL_ESHAPE, "%s: shapes %s and %s differ", y->op->name, nn_shape_str(&y->shape, a),
                       nn_shape_str(&y->in[1]->shape, b));
    return BL_OK;
}

int nn_softmax_parse(const char *text, void *attr)
{
    return sscanf(text, "%d", &((nn_softmax_attr *)attr)->dim) == 1;
}

unsigned nn_softmax_mask(const nn_node *y)
{
    return 1u << dim_of(y);
}

static int64_t tiles_of(const nn_window *w)
{
    return (w->inner + NN_SOFTMAX_TILE - 1) / NN_SOFTMAX_TILE;
}

int64_t nn_softmax_tasks(const nn_node *y)
{
    const nn_window w = nn_window_of(&y->shape, dim_of(y));
    return w.n ? w.outer * tiles_of(&w) : 0;
}

nn_softmax_task nn_softmax_task_of(const nn_node *y, int64_t task)
{
    const nn_window w = nn_window_of(&y->shape, dim_of(y));
    const int64_t tiles = tiles_of(&w), start = task % tiles * NN_SOFTMAX_TILE;
    return (nn_softmax_task){ task / tiles * w.n * w.inner + start, w.n, w.inner,
                              w.inner - start < NN_SOFTMAX_TILE ? w.inner - start : NN_SOFTMAX_TILE };
}
