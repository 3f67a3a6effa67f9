/* nn/layers/reparameterize.c - draws from the normal distribution that an encoder has described: z = mu + exp(logvar / 2) eps.
 *
 * Shapes   mu and logvar of one shape (from=mu,logvar) -> the same. In evaluation z = mu.
 * Source   Kingma & Welling, "Auto-Encoding Variational Bayes", 2014.
 */
#include "nn/layer.h"

static bl_status build(nn_layer *l, bl_error *err)
{
    char a[96], b[96];
    l->out_shape = l->in_shape[0];
    if (!nn_same_shape(&l->in_shape[0], &l->in_shape[1]))
        return bl_fail(err, BL_ESHAPE, "mu %s and logvar %s differ", nn_shape_str(&l->in_shape[0], a), nn_shape_str(&l->in_shape[1], b));
    return BL_OK;
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    (void)l;
    if (t->err.code || !t->training)
        return t->err.code ? NULL : in[0];
    return nn_add(t, in[0], nn_mul(t, nn_exp(t, nn_affine(t, in[1], 0.5, 0)), nn_randn(t, in[0]->shape)));
}

const nn_layer_type nn_layer_reparameterize = {
    .name = "reparameterize",
    .summary = "z = mu + exp(logvar / 2) eps, in evaluation mu",
    .min_in = 2,
    .max_in = 2,
    .build = build,
    .forward = forward,
};
