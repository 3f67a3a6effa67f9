/* Adversarial losses on numbers worked out by hand, and the gradient penalty of critics whose slope is known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "nn/gan.h"

#include <math.h>

static void close_to(const nn_node *x, double want)
{
    assert_non_null(x);
    assert_int_equal(nn_count(&x->shape), 1);
    if (!(fabs((double)x->x[0] - want) < 1e-5))
        fail_msg("got %g, expected %g", (double)x->x[0], want);
}

static void losses_are_their_formulas(void **state)
{
    const float real_scores[] = { 2, -1 }, fake_scores[] = { 0.5f, -3 };
    (void)state;
    nn_tape *t = nn_tape_new(NULL);
    nn_node *r = nn_input(t, nn_shape_of(2, 2, 1), real_scores), *f = nn_input(t, nn_shape_of(2, 2, 1), fake_scores);
    close_to(nn_gan_critic_loss(t, NN_GAN_HINGE, r, f), (0 + 2) / 2.0 + (1.5 + 0) / 2);
    close_to(nn_gan_generator_loss(t, NN_GAN_HINGE, f), 1.25);
    close_to(nn_gan_critic_loss(t, NN_GAN_LEAST_SQUARES, r, f), 0.5 * ((1 + 4) / 2.0 + (0.25 + 9) / 2));
    close_to(nn_gan_generator_loss(t, NN_GAN_LEAST_SQUARES, f), (0.25 + 16) / 2);
    close_to(nn_gan_critic_loss(t, NN_GAN_WGAN_GP, r, f), -1.25 - 0.5);
    close_to(nn_gan_generator_loss(t, NN_GAN_WGAN_GP, f), 1.25);
    /* cross entropies: -log sigmoid(2), -log sigmoid(-1); -log(1 - sigmoid(0.5)), -log(1 - sigmoid(-3)) */
    close_to(nn_gan_critic_loss(t, NN_GAN_DCGAN, r, f),
             0.5 * ((0.12692801 + 1.31326169) / 2 + (0.97407698 + 0.04858735) / 2));
    close_to(nn_gan_generator_loss(t, NN_GAN_DCGAN, f), (0.47407698 + 3.04858735) / 2);
    nn_tape_free(t);
}

static void a_linear_critic_has_its_weights_norm_as_slope(void **state)
{
    const float weight[] = { 3, 0, 4 };
    const real x[] = { 1, 2, 3, 4, 5, 6 };
    (void)state;
    nn_tape *t = nn_tape_new(NULL);
    nn_node *leaf = nn_leaf(t, nn_shape_of(2, 2, 3), x), *w = nn_input(t, nn_shape_of(2, 1, 3), weight);
    nn_node *norm = nn_gradient_norm(t, nn_linear(t, leaf, w, NULL), leaf);
    assert_true(norm->shape.dim[0] == 2 && norm->shape.dim[1] == 1);
    assert_true(fabs((double)norm->x[0] - 5) < 1e-5 && fabs((double)norm->x[1] - 5) < 1e-5);
    close_to(nn_gradient_penalty(t, nn_linear(t, leaf, w, NULL), leaf), 16);
    nn_tape_free(t);
}

static void points_between_lie_on_the_line(void **state)
{
    const float a[] = { 0, 0, 0, 10 }, b[] = { 1, 2, 1, 20 };
    bl_rng rng, same;
    (void)state;
    nn_tape *t = nn_tape_new(NULL);
    nn_node *p = nn_input(t, nn_shape_of(2, 2, 2), a), *q = nn_input(t, nn_shape_of(2, 2, 2), b);
    bl_rng_seed(&rng, 3);
    same = rng;
    const nn_node *x = nn_gan_between(t, p, q, &rng);
    for (int i = 0; i < 2; i++) {
        const double u = bl_rng_uniform(&same); /* one place for an example, another for the next */
        for (int k = 0; k < 2; k++)
            assert_true(fabs((double)x->x[2 * i + k] - ((1 - u) * (double)a[2 * i + k] + u * (double)b[2 * i + k])) < 1e-5);
    }
    assert_true(x->needs_grad);
    nn_tape_free(t);
}

static void a_score_that_ignores_x_is_an_error(void **state)
{
    const real x[] = { 1, 2 };
    (void)state;
    nn_tape *t = nn_tape_new(NULL);
    nn_node *leaf = nn_leaf(t, nn_shape_of(2, 1, 2), x), *other = nn_leaf(t, nn_shape_of(2, 1, 2), x);
    assert_null(nn_gradient_penalty(t, nn_square(t, other), leaf));
    assert_int_equal(t->err.code, BL_EARG);
    assert_null(nn_gan_critic_loss(t, NN_GAN_HINGE, leaf, leaf)); /* sticky */
    nn_tape_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(losses_are_their_formulas),
        cmocka_unit_test(a_linear_critic_has_its_weights_norm_as_slope),
        cmocka_unit_test(points_between_lie_on_the_line),
        cmocka_unit_test(a_score_that_ignores_x_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
