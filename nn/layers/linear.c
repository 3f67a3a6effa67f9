/* nn/layers/linear.c - y = x weight^T + bias over the last dimension.
 *
 * Shapes      [.., in_features] -> [.., out_features]; in_features follows from the input. For a free length use conv1d
 *             with kernel_size=1, which mixes channels.
 * Parameters  weight [out_features, in_features], bias [out_features]; init as torch.nn.Linear.
 */
#include "nn/layer.h"

#include <math.h>

static const nn_layer_option options[] = {
    { "out_features", NN_OPTION_INT, NAN, 1, 1 << 24, "size of the output", NULL },
    { "bias", NN_OPTION_BOOL, 1, 0, 1, "add a bias", NULL },
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
    if (nn_layer_param(l, "weight", (nn_shape){ 2, { n_out, n_in } }, NN_INIT_UNIFORM, bound, err) < 0)
        return err->code;
    if (nn_layer_get(l, "bias") != 0
        && nn_layer_param(l, "bias", (nn_shape){ 1, { n_out } }, NN_INIT_UNIFORM, bound, err) < 0)
        return err->code;
    return BL_OK;
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    nn_node *weight = nn_layer_node(l, t, 0), *bias = l->n_params > 1 ? nn_layer_node(l, t, 1) : NULL;
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
