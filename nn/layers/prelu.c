/* nn/layers/prelu.c - x where x > 0, a learned slope times x elsewhere; one slope, or one for each channel.
 *
 * Shapes   any -> the same.
 * Parameters  weight [num_parameters]. As torch.nn.PReLU.
 */
#include "nn/layer.h"

static const nn_layer_option options[] = {
    { "num_parameters", NN_OPTION_INT, 1, 1, 65536, "1, or the number of channels", NULL },
    { "init", NN_OPTION_REAL, 0.25, -100, 100, "the slope at the start", NULL },
    { .name = NULL },
};

static bl_status build(nn_layer *l, bl_error *err)
{
    const int64_t n = nn_layer_int(l, "num_parameters");
    l->out_shape = l->in_shape[0];
    if (n > 1 && n != l->in_shape[0].dim[0])
        return bl_fail(err, BL_ESHAPE, "num_parameters=%lld: expected 1 or the %lld channels", (long long)n, (long long)l->in_shape[0].dim[0]);
    return nn_layer_param(l, "weight", (nn_shape){ 1, { n } }, NN_INIT_CONSTANT, nn_layer_get(l, "init"), err) < 0 ? err->code : BL_OK;
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    nn_node *slope = nn_layer_node(l, t, 0);
    if (nn_layer_int(l, "num_parameters") > 1)
        slope = nn_reshape(t, slope, (nn_shape){ l->in_shape[0].rank, { l->in_shape[0].dim[0], 1, 1 } });
    return nn_prelu(t, in[0], slope);
}

const nn_layer_type nn_layer_prelu = {
    .name = "prelu",
    .summary = "x where x > 0, a learned slope elsewhere",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = build,
    .forward = forward,
};
