/* nn/layers/batch_norm1d.c - each channel to mean 0 and variance 1 over the batch and time, then weight and bias.
 *
 *     training    y = (x - mean) / sqrt(var + eps) weight + bias, mean and (biased) var of this batch;
 *                 running = (1 - momentum) running + momentum batch, the variance unbiased
 *     evaluation  the same with the running values
 *
 * Shapes      [C, T] or [C] -> the same.
 * Parameters  weight, bias [C]; buffers running_mean, running_var [C]. As torch.nn.BatchNorm1d.
 * Errors      In training, BL_ESHAPE when there is one value per channel: it has no variance.
 * Source      Ioffe & Szegedy, 2015. Tested against torch: tests/nn/test_ops_golden.c.
 */
#include "nn/layer.h"

static const nn_layer_option options[] = {
    { "eps", NN_OPTION_REAL, 1e-5, 1e-12, 1, "added to the variance", NULL },
    { "momentum", NN_OPTION_REAL, 0.1, 0, 1, "share of each batch in the running values", NULL },
    { "affine", NN_OPTION_BOOL, 1, 0, 1, "learn weight and bias", NULL },
    { .name = NULL },
};

enum { RUNNING_MEAN, RUNNING_VAR, WEIGHT, BIAS };

static bl_status build(nn_layer *l, bl_error *err)
{
    const nn_shape per_channel = { 1, { l->in_shape[0].dim[0] } };
    char text[96];
    if (l->in_shape[0].rank > 2)
        return bl_fail(err, BL_ESHAPE, "expects [C, T] or [C], got %s", nn_shape_str(&l->in_shape[0], text));
    l->out_shape = l->in_shape[0];
    if (nn_layer_buffer(l, "running_mean", per_channel, NN_INIT_ZERO, err) < 0
        || nn_layer_buffer(l, "running_var", per_channel, NN_INIT_ONE, err) < 0)
        return err->code;
    if (nn_layer_get(l, "affine") != 0
        && (nn_layer_param(l, "weight", per_channel, NN_INIT_ONE, 0, err) < 0
            || nn_layer_param(l, "bias", per_channel, NN_INIT_ZERO, 0, err) < 0))
        return err->code;
    return BL_OK;
}

static void update(nn_layer *l, int slot, const real *batch, double momentum, double factor)
{
    const nn_param *param = &l->params->param[l->param[slot]];
    real *running = l->params->value + param->offset;
    for (int64_t c = 0; c < nn_count(&param->shape); c++)
        running[c] = (real)((1 - momentum) * (double)running[c] + momentum * factor * (double)batch[c]);
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    const double eps = nn_layer_get(l, "eps"), momentum = nn_layer_get(l, "momentum");
    const int is_sequence = l->in_shape[0].rank == 2;
    const int64_t channels = l->in_shape[0].dim[0];
    const nn_shape column = { is_sequence ? 2 : 1, { channels, 1 } };
    nn_node *x = in[0], *centred, *var;
    if (t->err.code)
        return NULL;
    if (t->training) {
        const double n = (double)nn_count(&x->shape) / (double)channels;
        const unsigned over = is_sequence ? 5u : 1u;
        if (n < 2) {
            bl_fail(&t->err, BL_ESHAPE, "more than one value per channel is needed in training");
            return NULL;
        }
        nn_node *mean = nn_mean_dims(t, x, over);
        centred = nn_sub(t, x, mean);
        var = nn_mean_dims(t, nn_square(t, centred), over);
        if (t->err.code)
            return NULL;
        if (!t->dry) {
            update(l, RUNNING_MEAN, mean->x, momentum, 1);
            update(l, RUNNING_VAR, var->x, momentum, n / (n - 1));
        }
    } else {
        centred = nn_sub(t, x, nn_reshape(t, nn_layer_node(l, t, RUNNING_MEAN), column));
        var = nn_reshape(t, nn_layer_node(l, t, RUNNING_VAR), column);
    }
    nn_node *deviation = nn_sqrt(t, nn_affine(t, var, 1, eps));
    if (l->n_params <= WEIGHT)
        return nn_div(t, centred, deviation);
    nn_node *scale = nn_div(t, nn_reshape(t, nn_layer_node(l, t, WEIGHT), column), deviation);
    return nn_add(t, nn_mul(t, centred, scale), nn_reshape(t, nn_layer_node(l, t, BIAS), column));
}

const nn_layer_type nn_layer_batch_norm1d = {
    .name = "batch_norm1d",
    .summary = "normalises each channel over batch and time",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = build,
    .forward = forward,
};
