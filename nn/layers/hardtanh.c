/* nn/layers/hardtanh.c - x limited to min_val .. max_val; as torch.nn.Hardtanh, no gradient at the limits.
 *
 * Shapes   any -> the same.
 */
#include "nn/layer.h"

static const nn_layer_option options[] = {
    { "min_val", NN_OPTION_REAL, -1, -1e6, 1e6, "lower limit", NULL },
    { "max_val", NN_OPTION_REAL, 1, -1e6, 1e6, "upper limit", NULL },
    { .name = NULL },
};

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    return nn_hardtanh(t, in[0], nn_layer_get(l, "min_val"), nn_layer_get(l, "max_val"));
}

const nn_layer_type nn_layer_hardtanh = {
    .name = "hardtanh",
    .summary = "x limited to min_val .. max_val",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = nn_build_same,
    .forward = forward,
    .takes_once = 1,
};
