/* nn/layers/linear.c - y = x weight^T + bias over the last dimension.
 *
 * Shapes      [.., in_features] -> [.., out_features]; in_features follows from the input. For a free length use conv1d
 *             with kernel_size=1, which mixes channels.
 * Parameters  weight [out_features, in_features], bias [out_features]; init as torch.nn.Linear. With
 *             weight_norm or spectral_norm what nn/weight.h says instead of weight.
 */
#include "nn/weight.h"

#include <math.h>

static const nn_layer_option options[] = {
    { "out_features", NN_OPTION_INT, NAN, 1, 1 << 24, "size of the output", NULL },
    { "bias", NN_OPTION_BOOL, 1, 0, 1, "add a bias", NULL },
    NN_WEIGHT_OPTIONS,
    { .name = NULL },
};

static bl_status build(nn_layer *l, bl_error *err)
{
    const nn_shape *in = &l->in_shape[0];
    const int64_t n_in = in->dim[in->rank - 1], n_out = nn_layer_int(l, "out_features");
    if (n_in < 0)
        return bl_fail(err, BL_ESHAPE, "acts on the last dimension, which must not be free; conv1d with kernel_size=1 "
                                       "mixes channels");
    const double bound = nn_kaiming_bound(n_in);
    l->out_shape = *in;
    l->out_shape.dim[in->rank - 1] = n_out;
    l->macs = (double)nn_count(in) * (double)n_out;
    const nn_shape weight = { 2, { n_out, n_in } };
    if (nn_weight_check(l, err) != BL_OK || nn_weight_params(l, "", &weight, nn_weight_kind_of(l), 0, err) < 0)
        return err->code;
    if (nn_layer_get(l, "bias") != 0
        && nn_layer_param(l, "bias", (nn_shape){ 1, { n_out } }, NN_INIT_UNIFORM, bound, err) < 0)
        return err->code;
    return BL_OK;
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    int slot = 0;
    nn_node *weight = nn_weight_node(l, t, &slot, nn_weight_kind_of(l), 0);
    nn_node *bias = nn_layer_get(l, "bias") != 0 ? nn_layer_node(l, t, slot) : NULL;
    return nn_linear(t, in[0], weight, bias);
}

const nn_layer_type nn_layer_linear = {
    .name = "linear",
    .summary = "dense layer over the last dimension",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = build,
    .forward = forward,
};
