/* nn/layers/dropout2d.c - in training, sets whole channels to 0 with probability p and scales the others by 1/(1 - p).
 *
 * Shapes   [C, H, W] -> the same.
 * Source   Tompson et al., 2015.
 */
#include "nn/layer.h"

static const nn_layer_option options[] = {
    { "p", NN_OPTION_REAL, 0.5, 0, 0.999, "probability that a channel is zero", NULL },
    { .name = NULL },
};

static bl_status build(nn_layer *l, bl_error *err)
{
    char text[96];
    l->out_shape = l->in_shape[0];
    if (l->out_shape.rank != 3)
        return bl_fail(err, BL_ESHAPE, "expects [C, H, W], got %s", nn_shape_str(&l->out_shape, text));
    return BL_OK;
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    if (t->err.code || !t->training)
        return t->err.code ? NULL : in[0];
    nn_shape mask = { in[0]->shape.rank, { in[0]->shape.dim[0], in[0]->shape.dim[1], 1, 1 } };
    return nn_mul(t, in[0], nn_dropout(t, nn_full(t, mask, 1), nn_layer_get(l, "p")));
}

const nn_layer_type nn_layer_dropout2d = {
    .name = "dropout2d",
    .summary = "random channels of zeros in training",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = build,
    .forward = forward,
};
