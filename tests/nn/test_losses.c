/* Losses against PyTorch to second order, what holds without PyTorch, and losses by name. */
#include "tests/nn/golden.h"

#include "nn/gan.h"
#include "nn/loss.h"

#include "tests/message.h"

/* ---- PyTorch ---- */

static nn_node *loss_of(const golden_case *c, nn_tape *t, nn_node *x)
{
    char text[64];
    bl_error err = { 0 };
    nn_loss loss;
    nn_node *target = golden_leaf(t, golden_find(c, "target"));
    nn_node *weight = golden_find(c, "weight") ? golden_leaf(t, golden_find(c, "weight")) : NULL;
    if (!strcmp(c->kind, "bce_weighted"))
        return nn_bce_with_logits_weighted(t, x, target, weight);
    if (!strcmp(c->kind, "cross_entropy_all"))
        return nn_cross_entropy_with(t, x, target, weight, 1, 0.1);
    if (!strcmp(c->kind, "nll_all"))
        return nn_nll_loss(t, x, target, weight, 2);
    if (!strncmp(c->kind, "affinity_", 9))
        return nn_affinity_loss(t, x, target, c->kind[9] - '0');
    if (!strcmp(c->kind, "gaussian_kl"))
        return nn_gaussian_kl(t, x, target);
    snprintf(text, sizeof text, "%s", c->kind);
    for (char *p = text; *p; p++)
        *p = (char)(*p == '+' ? ' ' : *p);
    if (nn_loss_parse(text, NN_LOSS_ANY, c->name, &loss, &err) != BL_OK)
        fail_msg("%s", err.msg);
    return nn_loss_run(t, &loss, x, target);
}

static void run_case(const golden_case *c)
{
    bl_error err = { BL_OK, "" };
    nn_tape *t = nn_tape_new(&err);
    nn_node *x = golden_leaf(t, golden_find(c, "x")), *dx = NULL, *ddx = NULL, *y = loss_of(c, t, x);
    if (!y)
        fail_msg("%s: %s", c->name, t->err.msg);
    assert_int_equal(nn_count(&y->shape), 1);
    golden_compare(c, "y", y->x, golden_find(c, "y"));
    nn_grad(t, y, golden_leaf(t, golden_find(c, "dy")), 1, &x, &dx, 1);
    golden_compare(c, "dx", dx->x, golden_find(c, "dx"));
    if (golden_find(c, "ddx")) {
        real zero[64] = { 0 };
        nn_grad(t, nn_sum(t, nn_mul(t, dx, golden_leaf(t, golden_find(c, "q")))), NULL, 1, &x, &ddx, 0);
        golden_compare(c, "ddx", ddx ? ddx->x : zero, golden_find(c, "ddx"));
    }
    assert_int_equal(t->err.code, BL_OK);
    nn_tape_free(t);
}

static void losses_agree_with_pytorch_to_second_order(void **state)
{
    (void)state;
    golden_run_file("tests/golden/losses.txt", NULL, 27, run_case);
}

/* ---- without PyTorch ---- */

typedef struct setup { nn_tape *t; bl_error err; } setup;

static setup begin(void)
{
    setup s = { NULL, { 0 } };
    s.t = nn_tape_new(&s.err);
    assert_non_null(s.t);
    return s;
}

/* The probabilities of all levels add up to 1, for wide and for narrow distributions, inside and outside -1..1. */
static void a_mixture_gives_its_levels_a_probability_of_one(void **state)
{
    static const double means[] = { 0, 0.999, -1, 1.7 }, log_scales[] = { 0, -2, -6.5 };
    setup s = begin();
    (void)state;
    for (int i = 0; i < 12; i++) {
        enum { LEVELS = 256 };
        double sum = 0;
        nn_tape_reset(s.t);
        nn_node *x = nn_full(s.t, nn_shape_of(3, 1, 6, 1), 0), *y = nn_full(s.t, nn_shape_of(2, 1, 1), 0);
        x->x[1] = 1.5; /* logits 0 and 1.5 */
        x->x[2] = (real)means[i % 4];
        x->x[3] = (real)0.1;
        x->x[4] = (real)log_scales[i / 4];
        x->x[5] = (real)-1.5;
        for (int k = 0; k < LEVELS; k++) {
            y->x[0] = (real)(2.0 * k / (LEVELS - 1) - 1);
            nn_node *loss = nn_mixture_of_logistics_loss(s.t, x, y, LEVELS, -7);
            sum += exp(-(double)loss->x[0]);
        }
        assert_true(fabs(sum - 1) < 2e-5);
    }
    nn_tape_free(s.t);
}

/* A sample far outside of a narrow distribution: the published form takes a density there and loses the gradient. */
static void a_mixture_is_finite_where_differences_vanish(void **state)
{
    setup s = begin();
    nn_node *dx = NULL;
    (void)state;
    real x[3] = { 0, (real)-0.9, -7 };
    nn_node *leaf = nn_leaf(s.t, nn_shape_of(3, 1, 3, 1), x), *y = nn_full(s.t, nn_shape_of(2, 1, 1), 0.9);
    nn_node *loss = nn_mixture_of_logistics_loss(s.t, leaf, y, 65536, -7);
    const double scale = exp(7), distance = 1.8 * scale; /* -log p = distance - log(exp(h s) - exp(-h s)) nearly */
    assert_true(fabs((double)loss->x[0] / (distance - log(2 * scale / 65535)) - 1) < 1e-5);
    nn_grad(s.t, loss, NULL, 1, &leaf, &dx, 0);
    assert_true(fabs((double)dx->x[1] / -scale - 1) < 1e-4);
    nn_tape_free(s.t);
}

static void samples_of_a_mixture_have_its_mean_and_spread(void **state)
{
    enum { N = 40000 };
    setup s = begin();
    bl_rng rng;
    real *out = malloc(N * sizeof *out);
    double mean = 0, variance = 0;
    (void)state;
    bl_rng_seed(&rng, 8);
    nn_node *x = nn_full(s.t, nn_shape_of(3, 1, 6, N), 0);
    for (int i = 0; i < N; i++) {
        x->x[i] = (real)log(0.25);
        x->x[N + i] = (real)log(0.75);
        x->x[2 * N + i] = (real)-0.4;
        x->x[3 * N + i] = (real)0.2;
        x->x[4 * N + i] = x->x[5 * N + i] = -4;
    }
    nn_mixture_of_logistics_sample(x, -7, &rng, out);
    for (int i = 0; i < N; i++)
        mean += (double)out[i] / N;
    for (int i = 0; i < N; i++)
        variance += ((double)out[i] - mean) * ((double)out[i] - mean) / N;
    const double width = exp(-4) * 3.14159265358979 / sqrt(3); /* of a logistic */
    assert_true(fabs(mean - 0.05) < 0.006);
    assert_true(fabs(variance - (width * width + 0.25 * 0.75 * 0.36)) < 0.002);
    nn_tape_free(s.t);
    free(out);
}

static void rows_that_are_ignored_have_no_gradient(void **state)
{
    setup s = begin();
    const real x[4] = { 1, 2, 3, 4 };
    nn_node *dx = NULL;
    (void)state;
    nn_node *leaf = nn_leaf(s.t, nn_shape_of(2, 2, 2), x), *k = nn_full(s.t, nn_shape_of(1, 2), -100);
    nn_node *loss = nn_cross_entropy(s.t, leaf, k);
    assert_true(loss->x[0] == 0);
    nn_grad(s.t, loss, NULL, 1, &leaf, &dx, 0);
    for (int i = 0; i < 4; i++)
        assert_true(dx->x[i] == 0);
    k = nn_full(s.t, nn_shape_of(1, 2), 1);
    k->x[0] = -100;
    loss = nn_cross_entropy(s.t, leaf, k);
    nn_grad(s.t, loss, NULL, 1, &leaf, &dx, 0);
    assert_true(dx->x[0] == 0 && dx->x[1] == 0 && dx->x[3] < 0);
    nn_tape_free(s.t);
}

/* The fused op against log_softmax and pick, large enough for threads and blocks. */
static void cross_entropy_is_pick_of_log_softmax(void **state)
{
    static const int last[] = { 0, 2, 1 };
    setup s = begin();
    nn_node *dx[2] = { NULL, NULL };
    (void)state;
    bl_rng_seed(&s.t->rng, 3);
    nn_node *noise = nn_randn(s.t, nn_shape_of(3, 3, 37, 501)), *k = nn_rand(s.t, nn_shape_of(2, 3, 501), 0, 36.999);
    for (int64_t i = 0; i < 3 * 501; i++)
        k->x[i] = (real)(int)k->x[i];
    nn_node *x = nn_leaf(s.t, noise->shape, noise->x);
    nn_node *fused = nn_cross_entropy(s.t, x, k);
    nn_node *plain = nn_affine(s.t, nn_mean(s.t, nn_pick(s.t, nn_log_softmax(s.t, nn_permute(s.t, x, last)), k)), -1, 0);
    assert_true(fabs((double)fused->x[0] - (double)plain->x[0]) < 1e-6);
    nn_grad(s.t, fused, NULL, 1, &x, &dx[0], 0);
    nn_grad(s.t, plain, NULL, 1, &x, &dx[1], 0);
    for (int64_t i = 0; i < nn_count(&x->shape); i++)
        assert_true(fabs((double)dx[0]->x[i] - (double)dx[1]->x[i]) < 1e-9);
    nn_tape_free(s.t);
}

static void features_of_real_sounds_are_constants(void **state)
{
    setup s = begin();
    const real a[3] = { 1, 2, 3 }, b[3] = { 2, 0, 3 };
    nn_node *x[1], *y[1], *g[2] = { NULL, NULL };
    (void)state;
    x[0] = nn_leaf(s.t, nn_shape_of(2, 1, 3), a);
    y[0] = nn_leaf(s.t, nn_shape_of(2, 1, 3), b);
    nn_node *loss = nn_feature_matching_loss(s.t, 1, x, y);
    assert_true(fabs((double)loss->x[0] - 1) < 1e-6);
    nn_grad(s.t, loss, NULL, 2, (nn_node *[]){ x[0], y[0] }, g, 0);
    assert_non_null(g[0]);
    assert_null(g[1]);
    nn_tape_free(s.t);
}

static void adversarial_losses_are_their_formulas(void **state)
{
    static const double d = 0.4, g = -0.3;
    const double soft_d = log1p(exp(-d)), soft_g = log1p(exp(g));
    const double critic[] = { fmax(0, 1 - d) + fmax(0, 1 + g), ((d - 1) * (d - 1) + g * g) / 2, g - d, (soft_d + soft_g) / 2 };
    const double generator[] = { -g, (g - 1) * (g - 1), -g, log1p(exp(-g)) };
    setup s = begin();
    (void)state;
    for (int kind = NN_GAN_HINGE; kind <= NN_GAN_DCGAN; kind++) {
        nn_tape_reset(s.t);
        nn_node *real_score = nn_full(s.t, nn_shape_of(2, 3, 1), d), *fake = nn_full(s.t, nn_shape_of(2, 3, 1), g);
        nn_node *c = nn_gan_critic_loss(s.t, (nn_gan_kind)kind, real_score, fake);
        nn_node *n = nn_gan_generator_loss(s.t, (nn_gan_kind)kind, fake);
        assert_true(fabs((double)c->x[0] - critic[kind]) < 1e-6);
        assert_true(fabs((double)n->x[0] - generator[kind]) < 1e-6);
    }
    nn_tape_free(s.t);
}

/* Memory is planned on a dry tape: no loss may look at values there, in its gradient's gradient neither. */
static void every_loss_runs_dry(void **state)
{
    setup s = begin();
    (void)state;
    nn_tape_dry(s.t, 1);
    for (const nn_loss_type *type = nn_losses; type->name; type++) {
        const int classes = type->target == NN_LOSS_CLASS, samples = type->target == NN_LOSS_SAMPLES;
        const real x[60] = { 0 };
        nn_loss loss;
        nn_node *dx = NULL, *ddx = NULL;
        nn_tape_reset(s.t);
        assert_int_equal(nn_loss_parse(type->name, NN_LOSS_ANY, "here", &loss, &s.err), BL_OK);
        nn_node *leaf = nn_leaf(s.t, nn_shape_of(3, 2, 6, 5), x);
        nn_node *target = nn_input_real(s.t, classes || samples ? nn_shape_of(2, 2, 5) : leaf->shape, x);
        nn_node *y = nn_loss_run(s.t, &loss, leaf, target);
        nn_grad(s.t, y, NULL, 1, &leaf, &dx, 1);
        if (dx)
            nn_grad(s.t, nn_sum(s.t, nn_square(s.t, dx)), NULL, 1, &leaf, &ddx, 0);
        if (s.t->err.code || !y || y->x)
            fail_msg("%s: %s", type->name, s.t->err.msg);
        assert_non_null(dx);
    }
    nn_tape_free(s.t);
}

/* ---- mistakes ---- */

static void shapes_that_do_not_fit_have_a_sentence(void **state)
{
    setup s = begin();
    (void)state;
    for (int i = 0; i < 12; i++) {
        static const char *const want[] = { "l1_loss: shapes", "huber_loss: delta", "cross_entropy: expected logits", "class 5 lies outside 0..3",
                                            "expected 4 class weights", "label_smoothing", "nll_loss", "kl_div", "cosine_loss",
                                            "expected parameters [B, 3 K, T]", "levels are too few", "affinity_loss: expected embeddings" };
        nn_tape_reset(s.t);
        nn_node *a = nn_full(s.t, nn_shape_of(2, 3, 4), 1), *b = nn_full(s.t, nn_shape_of(2, 4, 3), 1), *k = nn_full(s.t, nn_shape_of(1, 3), 5);
        nn_node *one = nn_full(s.t, nn_shape_of(1, 3), 1), *m = nn_full(s.t, nn_shape_of(3, 1, 6, 2), 0), *y = nn_full(s.t, nn_shape_of(2, 1, 2), 0);
        nn_node *none = i == 0   ? nn_l1_loss(s.t, a, b)
                        : i == 1 ? nn_huber_loss(s.t, a, a, 0)
                        : i == 2 ? nn_cross_entropy(s.t, a, a)
                        : i == 3 ? nn_cross_entropy(s.t, a, k)
                        : i == 4 ? nn_cross_entropy_with(s.t, a, one, one, -100, 0)
                        : i == 5 ? nn_cross_entropy_with(s.t, a, one, NULL, -100, 1.5)
                        : i == 6 ? nn_nll_loss(s.t, k, k, NULL, 0)
                        : i == 7 ? nn_kl_div(s.t, a, b, 0)
                        : i == 8 ? nn_cosine_loss(s.t, a, b)
                        : i == 9 ? nn_mixture_of_logistics_loss(s.t, m, a, 256, -7)
                        : i == 10 ? nn_mixture_of_logistics_loss(s.t, m, y, 1, -7)
                                  : nn_affinity_loss(s.t, m, m, 2);
        assert_null(none);
        assert_message(s.t->err, want[i]);
    }
    nn_tape_free(s.t);
}

static void losses_are_found_by_name_and_mistakes_are_named(void **state)
{
    static const char *const cases[][2] = {
        { "loss = hubert", "rock.ini: [a] loss: there is no loss for this target called \"hubert\"; did you mean \"huber\"?" },
        { "loss = huber detla=1", "there is no option of huber \"detla\"; did you mean \"delta\"?" },
        { "loss = huber delta=0", "delta=0: expected 1e-09 to 1e+09" },
        { "loss = huber delta=big", "delta=big: expected" },
        { "loss = huber 0.5", "expected option=value without blanks, got \"0.5\"" },
        { "loss = cross_entropy", "there is no loss for this target called \"cross_entropy\"" },
        { "loss =", "expected the name of a loss" },
    };
    bl_error err = { 0 };
    nn_loss loss;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[100];
        bl_error_clear(&err);
        snprintf(text, sizeof text, "[a]\n%s\n", cases[i][0]);
        bl_config *c = bl_config_parse(text, "rock.ini", &err);
        assert_int_equal(nn_loss_read(c, "a", "loss", "mse", NN_LOSS_DISTANCE, &loss, &err), BL_EARG);
        assert_message(err, cases[i][1]);
        bl_config_free(c);
    }
    bl_error_clear(&err);
    for (const nn_loss_type *type = nn_losses; type->name; type++) {
        assert_int_equal(nn_loss_parse(type->name, NN_LOSS_ANY, "here", &loss, &err), BL_OK);
        assert_ptr_equal(loss.type, type);
    }
    assert_int_equal(nn_loss_parse("  smooth_l1   beta=0.5 ", NN_LOSS_ANY, "here", &loss, &err), BL_OK);
    assert_true(loss.option[0] == 0.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(losses_agree_with_pytorch_to_second_order),
        cmocka_unit_test(a_mixture_gives_its_levels_a_probability_of_one),
        cmocka_unit_test(a_mixture_is_finite_where_differences_vanish),
        cmocka_unit_test(samples_of_a_mixture_have_its_mean_and_spread),
        cmocka_unit_test(rows_that_are_ignored_have_no_gradient),
        cmocka_unit_test(cross_entropy_is_pick_of_log_softmax),
        cmocka_unit_test(features_of_real_sounds_are_constants),
        cmocka_unit_test(adversarial_losses_are_their_formulas),
        cmocka_unit_test(every_loss_runs_dry),
        cmocka_unit_test(shapes_that_do_not_fit_have_a_sentence),
        cmocka_unit_test(losses_are_found_by_name_and_mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
