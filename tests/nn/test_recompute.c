/* checkpoint = yes: less memory, and not a bit of difference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "nn/gan.h"
#include "nn/network.h"

#include <math.h>

/* %s: "" or "checkpoint = yes" of the network, then of its part. */
static const char network[] =
    "[n]\n%s\n"
    "input.x = 3, T\n"
    "start = conv1d out_channels=8 kernel_size=3 padding=1\n"
    "one = stage repeat=3\n"
    "side = conv1d out_channels=8 kernel_size=1 from=start\n"
    "both = add from=one,side\n"
    "drop = dropout p=0.3\n"
    "two = stage repeat=12\n"
    "third = lstm hidden_size=8 dropout=0.2\n"
    "shuffle = phase_shuffle n=2\n"
    "again = add from=shuffle,both\n"
    "end = conv1d out_channels=1 kernel_size=3 padding=1\n"
    "[stage]\n%s\n"
    "input.x = 8, T\n"
    "norm = batch_norm1d\n"
    "act = tanh\n"
    "conv = conv1d out_channels=8 kernel_size=5 padding=2\n"
    "noise = dropout p=0.1\n"
    "out = add from=noise,x\n";

typedef struct outcome {
    real  *gradient, *value, *dx, loss;
    size_t plan, used;
    int64_t n;
} outcome;

static nn_node *loss_of(nn_network *net, nn_tape *t, int penalised, int64_t length, nn_node **leaf)
{
    bl_rng_seed(&t->rng, 5);
    real *data = calloc((size_t)(2 * 3 * length), sizeof *data);
    for (int64_t i = 0; i < 2 * 3 * length; i++)
        data[i] = (real)(0.01 * (double)(i % 97) - 0.3);
    nn_node *x = *leaf = nn_leaf(t, (nn_shape){ 3, { 2, 3, length } }, data), *y = nn_network_run(net, t, &x, NULL);
    free(data);
    return penalised ? nn_add(t, nn_gradient_penalty(t, y, x), nn_mean(t, nn_square(t, y))) : nn_mean(t, nn_square(t, y));
}

static outcome train(const char *of_network, const char *of_part, int penalised, int64_t length)
{
    char text[2000];
    bl_error err = { BL_OK, "" };
    nn_node *x;
    snprintf(text, sizeof text, network, of_network, of_part);
    bl_config *config = bl_config_parse(text, "test.ini", &err);
    nn_params *p = nn_params_new(&err);
    nn_tape *t = nn_tape_new(&err);
    nn_network *net = nn_network_build(config, "n", p, &err);
    if (!net || nn_params_finish(p, &err) != BL_OK)
        fail_msg("%s", err.msg);
    nn_params_init(p, 3);
    t->training = 1;
    nn_tape_dry(t, 1);
    nn_backward(t, loss_of(net, t, penalised, length, &x));
    outcome o = { .plan = nn_tape_peak_bytes(t), .n = p->n_elements };
    nn_tape_dry(t, 0);
    nn_node *loss = loss_of(net, t, penalised, length, &x);
    if (!loss)
        fail_msg("%s", t->err.msg);
    o.loss = loss->x[0];
    if (!penalised) {
        nn_node *dx;
        nn_grad(t, loss, NULL, 1, &x, &dx, 0);
        o.dx = malloc((size_t)nn_count(&x->shape) * sizeof(real));
        memcpy(o.dx, dx->x, (size_t)nn_count(&x->shape) * sizeof(real));
    }
    nn_backward(t, loss);
    assert_int_equal(t->err.code, BL_OK);
    o.used = nn_tape_peak_bytes(t);
    o.gradient = malloc((size_t)p->n_elements * sizeof(real));
    o.value = malloc((size_t)p->n_elements * sizeof(real)); /* running statistics stand in it */
    memcpy(o.gradient, p->grad, (size_t)p->n_elements * sizeof(real));
    memcpy(o.value, p->value, (size_t)p->n_elements * sizeof(real));
    nn_network_free(net);
    nn_tape_free(t);
    nn_params_free(p);
    bl_config_free(config);
    return o;
}

static void release(outcome *o)
{
    free(o->gradient);
    free(o->value);
    free(o->dx);
}

/* To the last bit; in second order the same terms come in another order. */
static void expect_the_same(const outcome *a, const outcome *b, int64_t length)
{
    double largest = 0, difference = 0;
    assert_int_equal(a->n, b->n);
    assert_true(a->loss == b->loss);
    for (int64_t i = 0; i < a->n; i++) {
        largest = fmax(largest, fabs((double)a->gradient[i]));
        difference = fmax(difference, fabs((double)a->gradient[i] - (double)b->gradient[i]));
    }
    assert_true(largest > 0 && difference <= (a->dx ? 0 : sizeof(real) == 4 ? 1e-5 : 1e-13) * largest);
    assert_memory_equal(a->value, b->value, (size_t)a->n * sizeof(real));
    if (a->dx)
        assert_memory_equal(a->dx, b->dx, (size_t)(2 * 3 * length) * sizeof(real));
}

static void gradients_are_those_of_a_plain_run(void **state)
{
    (void)state;
    for (int penalised = 0; penalised < 2; penalised++) {
        outcome plain = train("", "", penalised, 40);
        for (int kind = 0; kind < 2; kind++) {
            outcome less = train(kind ? "" : "checkpoint = yes", kind ? "checkpoint = yes" : "", penalised, 40);
            expect_the_same(&plain, &less, 40);
            release(&less);
        }
        release(&plain);
    }
}

static void memory_falls_as_planned(void **state)
{
    (void)state;
    outcome plain = train("", "", 0, 20000), whole = train("checkpoint = yes", "", 0, 20000), parts = train("", "checkpoint = yes", 0, 20000);
    print_message("%.1f MB; with checkpoint = yes %.1f MB, in the part %.1f MB\n", 1e-6 * (double)plain.plan, 1e-6 * (double)whole.plan,
                  1e-6 * (double)parts.plan);
    assert_true(whole.plan * 2 < plain.plan);
    assert_true(parts.plan * 3 < plain.plan * 2);
    expect_the_same(&plain, &whole, 20000);
    expect_the_same(&plain, &parts, 20000);
    release(&plain);
    release(&whole);
    release(&parts);
}

static void a_wrong_value_is_named(void **state)
{
    char text[2000];
    bl_error err = { BL_OK, "" };
    (void)state;
    snprintf(text, sizeof text, network, "checkpoint = perhaps", "");
    bl_config *config = bl_config_parse(text, "test.ini", &err);
    nn_params *p = nn_params_new(&err);
    assert_null(nn_network_build(config, "n", p, &err));
    assert_non_null(strstr(err.msg, "checkpoint=perhaps: expected true or false"));
    nn_params_free(p);
    bl_config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_those_of_a_plain_run),
        cmocka_unit_test(memory_falls_as_planned),
        cmocka_unit_test(a_wrong_value_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
