/* Losses of adversarial training: what a generator and a discriminator (critic) want of the discriminator's scores.
 *
 *     kind            discriminator, mean of                           generator, mean of
 *     hinge           max(0, 1 - D(x)) + max(0, 1 + D(g))              -D(g)
 *     least_squares   ((D(x) - 1)^2 + D(g)^2) / 2                      (D(g) - 1)^2
 *     wgan_gp         D(g) - D(x) + lambda penalty                     -D(g)
 *     dcgan           (softplus(-D(x)) + softplus(D(g))) / 2           softplus(-D(g))
 *
 * x is real, g generated; softplus(-s) = -log sigmoid(s), the cross entropy of "real". The penalty of wgan_gp is
 * nn_gradient_penalty (nn/ops.h) at nn_gan_between.
 *
 * Shapes   scores of any one shape, [B, 1] or [B, 1, T]; results are scalars.
 * Source   hinge: Lim & Ye 2017; least squares: Mao et al. 2017; Wasserstein: Arjovsky et al. 2017, Gulrajani et al.
 *          2017; dcgan: Radford et al. 2016. The halves are those of the published WaveGAN (Donahue et al. 2019).
 * Tested   tests/nn/test_gan.c
 */
#ifndef BL_NN_GAN_H
#define BL_NN_GAN_H

#include "nn/ops.h"

typedef enum nn_gan_kind { NN_GAN_HINGE, NN_GAN_LEAST_SQUARES, NN_GAN_WGAN_GP, NN_GAN_DCGAN } nn_gan_kind;

/* "hinge", "least_squares", "wgan_gp", "dcgan", NULL: for bl_config_choice. */
extern const char *const nn_gan_kinds[];

nn_node *nn_gan_generator_loss(nn_tape *t, nn_gan_kind kind, nn_node *fake_score);
nn_node *nn_gan_critic_loss(nn_tape *t, nn_gan_kind kind, nn_node *real_score, nn_node *fake_score);

/* On the straight line from a to b, at a uniform place of its own for each example: a leaf whose gradient can be asked
 * for. a, b [B, ...] of one shape; draws from rng. */
nn_node *nn_gan_between(nn_tape *t, const nn_node *a, const nn_node *b, bl_rng *rng);

/* |d score / d x| of each example over all its elements: [B, 1, ...], to second order. Scores of one example are summed;
 * hand in their mean to measure that. */
nn_node *nn_gradient_norm(nn_tape *t, nn_node *score, nn_node *x);

#endif
