/* Values written over others (op.h: in_place): only where nobody reads them again, and without a change of a bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "nn/network.h"

#include <string.h>

static nn_tape *new_tape(void)
{
    bl_error err = { BL_OK, "" };
    nn_tape *t = nn_tape_new(&err);
    assert_non_null(t);
    return t;
}

static void the_last_use_lies_over_its_input(void **state)
{
    (void)state;
    nn_tape *t = new_tape();
    const real data[4] = { -1, 2, -3, 4 };
    nn_node *x = nn_input_real(t, nn_shape_of(1, 4), data);
    const real *place = x->x;
    nn_node *y = nn_leaky_relu(t, nn_last_use(x), 0);
    assert_ptr_equal(y->x, place);
    assert_true(x->released);
    assert_true(y->x[0] == 0 && y->x[1] == 2 && y->x[2] == 0 && y->x[3] == 4);
    nn_tape_free(t);
}

static void values_that_somebody_may_read_stay(void **state)
{
    (void)state;
    nn_tape *t = new_tape();
    real data[4] = { -1, 2, -3, 4 };
    nn_node *kept = nn_keep(nn_input_real(t, nn_shape_of(1, 4), data));
    nn_node *borrowed = nn_borrow(t, nn_shape_of(1, 4), data);
    nn_node *seen = nn_input_real(t, nn_shape_of(1, 4), data), *view = nn_reshape(t, seen, nn_shape_of(2, 2, 2));
    nn_node *read = nn_square(t, nn_leaf(t, nn_shape_of(1, 4), data)); /* silu's rule wants its input */
    nn_node *plain = nn_input_real(t, nn_shape_of(1, 4), data);
    nn_tanh(t, nn_last_use(kept));
    nn_tanh(t, nn_last_use(borrowed));
    nn_tanh(t, nn_last_use(seen));
    nn_silu(t, nn_last_use(read));
    nn_tanh(t, plain); /* nobody promised anything */
    assert_true(kept->x[1] == 2 && borrowed->x[1] == 2 && view->x[1] == 2 && read->x[1] == 4 && plain->x[1] == 2);
    assert_false(t->err.code);
    nn_tape_free(t);
}

/* Activations of both kinds, one of them read twice. */
static const char text[] = "[net]\n"
                           "input.x = 2, T\n"
                           "a = conv1d out_channels=3 kernel_size=3 padding=same\n"
                           "a_act = leaky_relu negative_slope=0.2\n"
                           "b = conv1d out_channels=3 kernel_size=3 padding=same\n"
                           "b_act = silu\n"
                           "both = add from=b,b_act\n"
                           "c = conv1d out_channels=3 kernel_size=1\n"
                           "c_act = leaky_relu negative_slope=-0.1\n"
                           "y = tanh\n";

/* The network by hand: every value stays. */
static nn_node *by_hand(nn_tape *t, nn_params *p, nn_node *x)
{
    const nn_conv1d_opt same = { .pad_left = 1, .pad_right = 1 }, plain = { 0 };
    nn_node *w[6];
    static const char *const name[] = { "net/a/weight", "net/a/bias", "net/b/weight", "net/b/bias", "net/c/weight", "net/c/bias" };
    for (int i = 0; i < 6; i++)
        w[i] = nn_param_node(t, p, nn_params_find(p, name[i]));
    x = nn_leaky_relu(t, nn_conv1d(t, x, w[0], w[1], same), 0.2);
    nn_node *b = nn_conv1d(t, x, w[2], w[3], same), *both = nn_add(t, b, nn_silu(t, b));
    return nn_tanh(t, nn_leaky_relu(t, nn_conv1d(t, both, w[4], w[5], plain), -0.1));
}

static void networks_give_the_same_bits_as_ops_that_keep_everything(void **state)
{
    (void)state;
    enum { B = 2, T = 40, N = B * 2 * T };
    bl_error err = { BL_OK, "" };
    bl_config *config = bl_config_parse(text, "net", &err);
    nn_params *p = nn_params_new(&err);
    nn_network *net = nn_network_build(config, "net", p, &err);
    assert_non_null(net);
    assert_int_equal(nn_params_finish(p, &err), BL_OK);
    nn_params_init(p, 1);
    nn_tape *t = new_tape();
    real *gradient[2], out[2], data[N], slope[2][N];
    for (int i = 0; i < N; i++)
        data[i] = (real)((i * 37 % 101) - 50) / 25;
    for (int way = 0; way < 2; way++) {
        nn_tape_reset(t);
        nn_params_zero_grad(p);
        nn_node *x = nn_leaf(t, nn_shape_of(3, B, 2, T), data), *dx = NULL;
        nn_node *y = nn_square(t, way ? by_hand(t, p, x) : nn_network_run(net, t, &x, NULL));
        nn_grad(t, y, NULL, 1, &x, &dx, 1); /* second order goes through the same values */
        nn_node *loss = nn_add(t, nn_mean(t, y), nn_mean(t, nn_square(t, dx)));
        nn_keep(loss);
        nn_keep(dx);
        nn_backward(t, loss);
        assert_false(t->err.code);
        out[way] = loss->x[0];
        memcpy(slope[way], dx->x, sizeof slope[way]);
        gradient[way] = test_malloc((size_t)p->n_elements * sizeof(real));
        memcpy(gradient[way], p->grad, (size_t)p->n_elements * sizeof(real));
    }
    assert_memory_equal(&out[0], &out[1], sizeof out[0]);
    assert_memory_equal(slope[0], slope[1], sizeof slope[0]);
    assert_memory_equal(gradient[0], gradient[1], (size_t)p->n_elements * sizeof(real));
    test_free(gradient[0]);
    test_free(gradient[1]);
    nn_tape_free(t);
    nn_network_free(net);
    nn_params_free(p);
    bl_config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_use_lies_over_its_input),
        cmocka_unit_test(values_that_somebody_may_read_stay),
        cmocka_unit_test(networks_give_the_same_bits_as_ops_that_keep_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
