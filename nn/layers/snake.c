/* nn/layers/snake.c - x + sin^2(alpha x) / alpha, alpha learned per channel: an activation with a period, made for
 * signals that have one.
 *
 * Shapes   [C, T] or [C] -> the same.   Parameters   alpha [C], starting at 1.
 * Source   Ziyin, Hartwig, Ueda, "Neural Networks Fail to Learn Periodic Functions and How to Fix It", 2020.
 */
#include "nn/layer.h"

static const nn_layer_option options[] = {
    { "alpha", NN_OPTION_REAL, 1, 0.001, 1000, "alpha at the start", NULL },
    { .name = NULL },
};

static bl_status build(nn_layer *l, bl_error *err)
{
    const int64_t channels = l->in_shape[0].dim[0];
    l->out_shape = l->in_shape[0];
    return nn_layer_param(l, "alpha", (nn_shape){ 1, { channels } }, NN_INIT_CONSTANT, l->option[0], err) < 0
               ? err->code : BL_OK;
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    nn_node *alpha = nn_layer_node(l, t, 0);
    if (l->in_shape[0].rank == 2)
        alpha = nn_reshape(t, alpha, (nn_shape){ 2, { l->in_shape[0].dim[0], 1 } });
    nn_node *sine = nn_sin(t, nn_mul(t, in[0], alpha));
    return nn_add(t, in[0], nn_div(t, nn_square(t, sine), nn_affine(t, alpha, 1, 1e-9)));
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
