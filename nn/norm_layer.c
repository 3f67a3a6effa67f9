#include "nn/norm_layer.h"

bl_status nn_norm_params(nn_layer *l, nn_shape shape, bl_error *err)
{
    if (nn_layer_param(l, "weight", shape, NN_INIT_ONE, 0, err) < 0 || nn_layer_param(l, "bias", shape, NN_INIT_ZERO, 0, err) < 0)
        return err->code;
    return BL_OK;
}

enum { RUNNING_MEAN, RUNNING_VAR };

bl_status nn_batch_norm_build(nn_layer *l, bl_error *err)
{
    const nn_shape per_channel = { 1, { l->in_shape[0].dim[0] } };
    l->out_shape = l->in_shape[0];
    if (nn_layer_get(l, "track_running_stats") != 0
        && (nn_layer_buffer(l, "running_mean", per_channel, NN_INIT_ZERO, err) < 0
            || nn_layer_buffer(l, "running_var", per_channel, NN_INIT_ONE, err) < 0))
        return err->code;
    return nn_layer_get(l, "affine") != 0 ? nn_norm_params(l, per_channel, err) : BL_OK;
}

static real *running(const nn_layer *l, int slot)
{
    return l->params->value + l->params->param[l->param[slot]].offset;
}

static void update(const nn_layer *l, const nn_node *moments, double n)
{
    const double momentum = nn_layer_get(l, "momentum");
    const int64_t channels = moments->shape.dim[1];
    real *mean = running(l, RUNNING_MEAN), *var = running(l, RUNNING_VAR);
    for (int64_t c = 0; c < channels; c++) {
        mean[c] = (real)((1 - momentum) * (double)mean[c] + momentum * (double)moments->x[c]);
        var[c] = (real)((1 - momentum) * (double)var[c] + momentum * n / (n - 1) * (double)moments->x[channels + c]);
    }
}

nn_node *nn_batch_norm_forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    const int tracks = nn_layer_get(l, "track_running_stats") != 0, affine = nn_layer_get(l, "affine") != 0;
    const double eps = nn_layer_get(l, "eps");
    nn_node *x = in[0], *weight = NULL, *bias = NULL, *moments;
    if (t->err.code)
        return NULL;
    const int64_t channels = x->shape.dim[1];
    const unsigned over = ((1u << x->shape.rank) - 1u) & ~2u;
    if (affine) {
        const nn_shape column = { x->shape.rank - 1, { channels, 1, 1 } };
        weight = nn_reshape(t, nn_layer_node(l, t, 2 * tracks), column);
        bias = nn_reshape(t, nn_layer_node(l, t, 2 * tracks + 1), column);
    }
    if (tracks && !t->training) {
        const nn_shape row = { 2, { 1, channels } };
        moments = nn_concat(t, 0, 2, (nn_node *const[]){ nn_reshape(t, nn_layer_node(l, t, RUNNING_MEAN), row),
                                                         nn_reshape(t, nn_layer_node(l, t, RUNNING_VAR), row) });
        return nn_normalize(t, x, moments, weight, bias, over, eps);
    }
    const double n = (double)nn_norm_size(&x->shape, over);
    if (n < 2) {
        bl_fail(&t->err, BL_ESHAPE, "more than one value per channel is needed in training");
        return NULL;
    }
    const int was = nn_tape_record(t, 0);
    moments = nn_moments(t, x, over);
    nn_tape_record(t, was);
    if (tracks && moments && !t->dry && !t->recomputing)
        update(l, moments, n);
    return nn_norm(t, x, moments, weight, bias, over, eps);
}
