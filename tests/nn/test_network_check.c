/* The gradient check of networks: right ones pass, wrong rules are found and named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "nn/network_check.h"

#include <stdlib.h>
#include <string.h>

#include "network_setup.h"

static const char *const text = "[n]\ninput.x = 3, T\ninput.word = 1, T/2\n"
                                "e = embedding num_embeddings=9 embedding_dim=4 from=word\n"
                                "long = upsample scale_factor=2\n"
                                "a = conv1d out_channels=4 kernel_size=3 padding=same from=x\n"
                                "b = conv1d out_channels=4 kernel_size=1 from=a\n"
                                "sum = add from=b,long\n"
                                "act = tanh\n"
                                "c = conv1d share=b from=act\n"
                                "out = batch_norm1d\noutput = out, act\n";

/* A convolution whose weight is used twice, once behind the gradient's back. */
static nn_node *half_gradient(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    nn_node *w = nn_layer_node(l, t, 0);
    return nn_conv1d(t, in[0], nn_affine(t, nn_add(t, w, nn_detach(t, w)), 0.5, 0), nn_layer_node(l, t, 1), (nn_conv1d_opt){ 0 });
}

#ifdef BL_F64 /* the second order is checked in double alone */
/* tanh whose first derivative is right and whose second is none. */
static nn_node *flat_tanh(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    (void)l;
    nn_node *y = nn_tanh(t, nn_detach(t, in[0]));
    nn_node *slope = nn_detach(t, nn_affine(t, nn_square(t, y), -1, 1));
    return nn_add(t, nn_detach(t, y), nn_mul(t, slope, nn_sub(t, in[0], nn_detach(t, in[0]))));
}

#endif

static nn_check_row *check(setup *s, int *n)
{
    const nn_check_options options = { .batch = 3, .seed = 5, .training = 1 };
    assert_int_equal(nn_network_set_length(s->net, 24, &s->err), BL_OK);
    nn_check_row *rows = nn_network_check(s->net, s->params, &options, n, &s->err);
    if (!rows)
        fail_msg("%s", s->err.msg);
    return rows;
}

static void right_networks_pass(void **state)
{
    (void)state;
    int n;
    setup s = build_ok(text);
    real *before = malloc((size_t)s.params->n_elements * sizeof *before);
    memcpy(before, s.params->value, (size_t)s.params->n_elements * sizeof *before);
    nn_check_row *rows = check(&s, &n);
    /* e, a, a, b, b, out, out: with the input x 8, and in double all of the second order at once */
    assert_int_equal(n, sizeof(real) == 8 ? 9 : 8);
    for (int i = 0; i < n; i++)
        if (!rows[i].fits)
            fail_msg("%s: %g, by differences %g", rows[i].name, rows[i].gradient, rows[i].difference);
    assert_string_equal(rows[7].name, "input.x");
    assert_memory_equal(before, s.params->value, (size_t)s.params->n_elements * sizeof *before);
    free(before);
    free(rows);
    finish(&s);
}

/* Its condition comes at another rate, which tests that give all inputs one length cannot say. */
static void a_stretched_condition_is_right(void **state)
{
    (void)state;
    int n;
    setup s = build_ok("[n]\ninput.x = 4, T\ninput.c = 3, T/3\n"
                       "a = wavenet_block channels=4 skip_channels=3 layers=3 condition_scale=3 residual_scale=0.7 from=x,c\n");
    nn_check_row *rows = check(&s, &n);
    for (int i = 0; i < n; i++)
        if (!rows[i].fits)
            fail_msg("%s: %g, by differences %g", rows[i].name, rows[i].gradient, rows[i].difference);
    assert_int_equal(nn_params_count(s.params, "n/a/smooth/"), 7);
    free(rows);
    finish(&s);
}

static void a_wrong_gradient_is_named(void **state)
{
    (void)state;
    int n;
    setup s = build_ok(text);
    nn_layer_type wrong = *nn_network_layer(s.net, "b")->type;
    wrong.forward = half_gradient;
    nn_network_layer(s.net, "b")->type = &wrong;
    nn_check_row *rows = check(&s, &n);
    for (int i = 0; i < 8; i++)
        assert_int_equal(rows[i].fits, strcmp(rows[i].name, "n/b/weight") != 0);
    free(rows);
    finish(&s);
}

#ifdef BL_F64
static void a_wrong_second_gradient_is_named(void **state)
{
    (void)state;
    int n, n_wrong = 0;
    setup s = build_ok(text);
    nn_layer_type wrong = *nn_network_layer(s.net, "act")->type;
    wrong.forward = flat_tanh;
    nn_network_layer(s.net, "act")->type = &wrong;
    nn_check_row *rows = check(&s, &n);
    for (int i = 0; i < n; i++) {
        assert_true(rows[i].order == 2 || rows[i].fits);
        n_wrong += !rows[i].fits;
    }
    assert_true(n_wrong > 0);
    free(rows);
    finish(&s);
}

#endif

static void what_stops_the_network_is_an_error(void **state)
{
    (void)state;
    int n;
    setup s = build_ok("[n]\ninput.x = 2\na = batch_norm1d\n");
    const nn_check_options options = { .batch = 1, .seed = 5, .training = 1 };
    assert_null(nn_network_check(s.net, s.params, &options, &n, &s.err));
    assert_non_null(strstr(s.err.msg, "more than one value per channel"));
    finish(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_networks_pass),
        cmocka_unit_test(a_stretched_condition_is_right),
        cmocka_unit_test(a_wrong_gradient_is_named),
#ifdef BL_F64
        cmocka_unit_test(a_wrong_second_gradient_is_named),
#endif
        cmocka_unit_test(what_stops_the_network_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
