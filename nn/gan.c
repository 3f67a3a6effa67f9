#include "nn/gan.h"

const char *const nn_gan_kinds[] = { "hinge", "least_squares", "wgan_gp", "dcgan", 0 };

/* mean max(0, 1 + sign x) */
static nn_node *hinge(nn_tape *t, nn_node *x, double sign)
{
    return nn_mean(t, nn_leaky_relu(t, nn_affine(t, x, sign, 1), 0));
}

nn_node *nn_gan_generator_loss(nn_tape *t, nn_gan_kind kind, nn_node *fake)
{
    switch (kind) {
    case NN_GAN_LEAST_SQUARES:
        return nn_mean(t, nn_square(t, nn_affine(t, fake, 1, -1)));
    case NN_GAN_DCGAN:
        return nn_mean(t, nn_softplus(t, nn_affine(t, fake, -1, 0)));
    case NN_GAN_HINGE:
    case NN_GAN_WGAN_GP:
        break;
    }
    return nn_affine(t, nn_mean(t, fake), -1, 0);
}

nn_node *nn_gan_critic_loss(nn_tape *t, nn_gan_kind kind, nn_node *real_score, nn_node *fake)
{
    switch (kind) {
    case NN_GAN_LEAST_SQUARES:
        return nn_affine(t, nn_add(t, nn_mean(t, nn_square(t, nn_affine(t, real_score, 1, -1))), nn_mean(t, nn_square(t, fake))),
                         0.5, 0);
    case NN_GAN_DCGAN:
        return nn_affine(t, nn_add(t, nn_mean(t, nn_softplus(t, nn_affine(t, real_score, -1, 0))), nn_mean(t, nn_softplus(t, fake))),
                         0.5, 0);
    case NN_GAN_HINGE:
        return nn_add(t, hinge(t, real_score, -1), hinge(t, fake, 1));
    case NN_GAN_WGAN_GP:
        break;
    }
    return nn_sub(t, nn_mean(t, fake), nn_mean(t, real_score));
}

nn_node *nn_gan_between(nn_tape *t, const nn_node *a, const nn_node *b, bl_rng *rng)
{
    if (t->err.code)
        return NULL;
    BL_ASSERT(nn_same_shape(&a->shape, &b->shape) && a->shape.rank > 0);
    nn_node *x = nn_leaf(t, a->shape, a->x);
    const int64_t batch = a->shape.dim[0], n = batch ? nn_count(&a->shape) / batch : 0;
    for (int64_t i = 0; x && i < batch && !t->dry; i++) {
        const real w = (real)bl_rng_uniform(rng);
        for (int64_t k = i * n; k < (i + 1) * n; k++)
            x->x[k] += w * (b->x[k] - a->x[k]);
    }
    return x;
}
