/* nn/layers/instance_norm2d.c - each channel of each example to mean 0 and variance 1, then, with affine, weight and bias per channel.
 *
 * Shapes      [C, H, W] -> the same; more than one value per channel.
 * Parameters  with affine: weight, bias [C]. As torch.nn.InstanceNorm2d, which keeps no running values by default.
 * Source      Ulyanov, Vedaldi, Lempitsky, "Instance Normalization", 2016.
 */
#include "nn/norm_layer.h"

static const nn_layer_option options[] = {
    { "eps", NN_OPTION_REAL, 1e-5, 1e-12, 1, "added to the variance", NULL },
    { "affine", NN_OPTION_BOOL, 0, 0, 1, "learn weight and bias", NULL },
    { .name = NULL },
};

static bl_status build(nn_layer *l, bl_error *err)
{
    const nn_shape *in = &l->in_shape[0];
    char text[96];
    if (in->rank != 3 || nn_count(in) == in->dim[0])
        return bl_fail(err, BL_ESHAPE, "expects [C, H, W] with more than one value per channel, got %s", nn_shape_str(in, text));
    l->out_shape = *in;
    return nn_layer_get(l, "affine") != 0 ? nn_norm_params(l, (nn_shape){ 1, { in->dim[0] } }, err) : BL_OK;
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    const nn_shape column = { 3, { l->in_shape[0].dim[0], 1, 1 } };
    nn_node *weight = l->n_params ? nn_reshape(t, nn_layer_node(l, t, 0), column) : NULL;
    nn_node *bias = l->n_params ? nn_reshape(t, nn_layer_node(l, t, 1), column) : NULL;
    return nn_norm(t, in[0], NULL, weight, bias, 12u, nn_layer_get(l, "eps"));
}

const nn_layer_type nn_layer_instance_norm2d = {
    .name = "instance_norm2d",
    .summary = "normalises each channel of each example",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = build,
    .forward = forward,
};
