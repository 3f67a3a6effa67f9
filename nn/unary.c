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

void nn_unary_backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    const nn_op *next = y->op->derivative;
    if (y->n_in == 1) {
        din[0] = nn_apply(t, next, y->attr, 2, (nn_node *const[]){ nn_last_use(dy), y->op->by_output ? y : y->in[0] });
        return;
    }
    if (nn_wants_grad(t, y->in[0]))
        din[0] = nn_apply(t, y->op, y->attr, 2, (nn_node *const[]){ dy, y->in[1] });
    if (next && nn_wants_grad(t, y->in[1]))
        din[1] = nn_apply(t, next, y->attr, 2, (nn_node *const[]){ nn_mul(t, dy, y->in[0]), y->in[1] });
}

void nn_unary_last_backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    if (nn_wants_grad(t, y->in[0]))
        din[0] = nn_apply(t, y->op, y->attr, 2, (nn_node *const[]){ dy, y->in[1] });
    if (nn_wants_grad(t, y->in[1]))
        bl_fail(&t->err, BL_EARG, "%s: there is no derivative of third order", y->op->name);
}
