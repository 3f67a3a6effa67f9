/* nn/layers/snake.c - x + sin^2(alpha x) / alpha, alpha learned per channel: an activation with a period, made for
 * signals that have one.
 *
 * Shapes   any -> the same.
 * Parameters  alpha [C].
 * Source   Ziyin, Hartwig, Ueda, "Neural Networks Fail to Learn Periodic Functions and How to Fix It", 2020.
 */
#include "nn/layer.h"

static const nn_layer_option options[] = {
    { "alpha", NN_OPTION_REAL, 1, 0.001, 1000, "alpha at the start", NULL },
    { .name = NULL },
};

static bl_status build(nn_layer *l, bl_error *err)
{
    l->out_shape = l->in_shape[0];
    return nn_layer_param(l, "alpha", (nn_shape){ 1, { l->in_shape[0].dim[0] } }, NN_INIT_CONSTANT, nn_layer_get(l, "alpha"), err) < 0
               ? err->code : BL_OK;
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    nn_node *alpha = nn_reshape(t, nn_layer_node(l, t, 0), (nn_shape){ l->in_shape[0].rank, { l->in_shape[0].dim[0], 1, 1 } });
    return nn_snake(t, in[0], alpha, nn_affine(t, alpha, 1, 1e-9));
}

const nn_layer_type nn_layer_snake = {
    .name = "snake",
    .summary = "x + sin^2(alpha x) / alpha, alpha learned per channel",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = build,
    .forward = forward,
};
