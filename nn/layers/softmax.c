/* nn/layers/softmax.c - exp(x) / sum of exp(x) over a dimension.
 *
 * Shapes   any -> the same.
 */
#include "nn/shape_layer.h"

static const nn_layer_option options[] = {
    { "dim", NN_OPTION_CHOICE, NN_DIM_CHANNELS, 0, NN_DIM_MOST, "along which dimension", NN_DIM_CHOICES },
    { .name = NULL },
};

static bl_status build(nn_layer *l, bl_error *err)
{
    l->out_shape = l->in_shape[0];
    return nn_layer_axis(l, "dim", err) ? BL_OK : err->code;
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    return nn_softmax_dim(t, in[0], nn_layer_axis_of(l, "dim"));
}

const nn_layer_type nn_layer_softmax = {
    .name = "softmax",
    .summary = "exp(x) / sum of exp(x) over a dimension",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = build,
    .forward = forward,
};
