/* nn/layers/group_norm.c - the channels of an example in groups, each to mean 0 and variance 1, then weight and bias per channel.
 *
 * Shapes      [C], [C, T] or [C, H, W] -> the same; C a multiple of num_groups.
 * Parameters  weight, bias [C]. As torch.nn.GroupNorm.
 * Source      Wu & He, "Group Normalization", 2018.
 */
#include "nn/norm_layer.h"

#include <math.h>

static const nn_layer_option options[] = {
    { "num_groups", NN_OPTION_INT, NAN, 1, 65536, "groups of channels", NULL },
    { "eps", NN_OPTION_REAL, 1e-5, 1e-12, 1, "added to the variance", NULL },
    { "affine", NN_OPTION_BOOL, 1, 0, 1, "learn weight and bias", NULL },
    { .name = NULL },
};

static bl_status build(nn_layer *l, bl_error *err)
{
    const int64_t channels = l->in_shape[0].dim[0], groups = nn_layer_int(l, "num_groups");
    if (channels % groups)
        return bl_fail(err, BL_EARG, "num_groups=%lld does not divide the %lld channels", (long long)groups, (long long)channels);
    l->out_shape = l->in_shape[0];
    return nn_layer_get(l, "affine") != 0 ? nn_norm_params(l, (nn_shape){ 1, { channels } }, err) : BL_OK;
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    const int64_t groups = nn_layer_int(l, "num_groups"), each = l->in_shape[0].dim[0] / groups;
    const nn_shape column = { 3, { groups, each, 1 } };
    if (t->err.code)
        return NULL;
    nn_node *x = nn_reshape(t, in[0], (nn_shape){ 4, { in[0]->shape.dim[0], groups, each, -1 } });
    nn_node *weight = l->n_params ? nn_reshape(t, nn_layer_node(l, t, 0), column) : NULL;
    nn_node *bias = l->n_params ? nn_reshape(t, nn_layer_node(l, t, 1), column) : NULL;
    return nn_reshape(t, nn_norm(t, x, NULL, weight, bias, 12u, nn_layer_get(l, "eps")), in[0]->shape);
}

const nn_layer_type nn_layer_group_norm = {
    .name = "group_norm",
    .summary = "normalises groups of channels of each example",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = build,
    .forward = forward,
};
