#include "nn/unary.h"

bl_status nn_same_shape_rule(nn_node *y, bl_error *err)
{
    char a[96], b[96];
    y->shape = y->in[0]->shape;
    for (int i = 1; i < y->n_in; i++)
        if (!nn_same_shape(&y->in[i]->shape, &y->shape))
            return bl_fail(err, BL_ESHAPE, "%s: shapes %s and %s differ", y->op->name, nn_shape_str(&y->shape, a),
                           nn_shape_str(&y->in[i]->shape, b));
    return BL_OK;
}
