#include "tests/temporary.h"

#include "nn/params.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/message.h"

enum { WEIGHT, BIAS, MEAN, OTHER };

/* Two networks, one with a buffer. */
static nn_params *two_networks(void)
{
    bl_error err = { 0 };
    nn_params *p = nn_params_new(&err);
    assert_int_equal(nn_params_add(p, "generator/up/weight", nn_shape_of(3, 5, 4, 3), NN_INIT_UNIFORM, 0.25, &err), WEIGHT);
    assert_int_equal(nn_params_add(p, "generator/up/bias", nn_shape_of(1, 5), NN_INIT_ZERO, 0, &err), BIAS);
    assert_int_equal(nn_params_add_buffer(p, "generator/norm/running_mean", nn_shape_of(1, 17), NN_INIT_ONE, &err), MEAN);
    assert_int_equal(nn_params_add(p, "discriminator/weight", nn_shape_of(2, 100, 100), NN_INIT_NORMAL, 2, &err), OTHER);
    assert_int_equal(nn_params_finish(p, &err), BL_OK);
    nn_params_init(p, 3);
    return p;
}

static void save(const nn_params *p, const char *path, const char *prefix)
{
    bl_error err = { 0 };
    nn_checkpoint *c = nn_checkpoint_create(path, "test", &err);
    nn_params_save(p, c, prefix, &err);
    assert_int_equal(nn_checkpoint_commit(c, &err), BL_OK);
}

static bl_error load(nn_params *p, const char *path, const char *prefix)
{
    bl_error err = { 0 };
    nn_checkpoint *c = nn_checkpoint_open(path, "test", &err);
    assert_non_null(c);
    const bl_status status = nn_params_load(p, c, prefix, &err);
    assert_int_equal(status, err.code);
    nn_checkpoint_free(c);
    return err;
}

static void every_parameter_starts_on_a_cache_line(void **state)
{
    nn_params *p = two_networks();
    (void)state;
    for (int i = 0; i < p->n; i++) {
        assert_int_equal((uintptr_t)(p->value + p->param[i].offset) % 64, 0);
        assert_int_equal((uintptr_t)(p->grad + p->param[i].offset) % 64, 0);
    }
    assert_int_equal(p->n_elements % 16, 0);
    nn_params_free(p);
}

static void names_are_found_and_counted_by_prefix(void **state)
{
    nn_params *p = two_networks();
    (void)state;
    assert_int_equal(nn_params_find(p, "generator/up/bias"), BIAS);
    assert_int_equal(nn_params_find(p, "generator/up"), -1);
    assert_int_equal(nn_params_count(p, "generator/"), 65);
    assert_int_equal(nn_params_count(p, ""), 10065);
    assert_int_equal(nn_params_count(p, "critic/"), 0);
    nn_params_freeze(p, "discriminator/", 1);
    assert_true(p->param[OTHER].frozen && !p->param[WEIGHT].frozen);
    nn_params_free(p);
}

static void initial_values_follow_their_distribution(void **state)
{
    nn_params *p = two_networks();
    double sum = 0, squares = 0;
    real low = 1, high = -1;
    (void)state;
    for (int i = 0; i < 60; i++) {
        const real x = p->value[p->param[WEIGHT].offset + i];
        low = x < low ? x : low;
        high = x > high ? x : high;
    }
    assert_true(low >= (real)-0.25 && low < (real)-0.2 && high <= (real)0.25 && high > (real)0.2);
    for (int i = 0; i < 10000; i++) {
        const double x = (double)p->value[p->param[OTHER].offset + i];
        sum += x;
        squares += x * x;
    }
    assert_true(fabs(sum / 10000) < 0.1); /* 5 standard errors */
    assert_true(fabs(squares / 10000 - 4) < 0.3);
    assert_true(p->value[p->param[BIAS].offset] == 0 && p->value[p->param[MEAN].offset + 16] == 1);
    for (int64_t i = 0; i < p->n_elements; i++)
        assert_true(p->grad[i] == 0);
    nn_params_free(p);
}

static void a_further_layer_does_not_change_the_others(void **state)
{
    bl_error err = { 0 };
    nn_params *p = two_networks(), *q = nn_params_new(&err);
    (void)state;
    nn_params_add(q, "generator/in/weight", nn_shape_of(1, 7), NN_INIT_NORMAL, 1, &err);
    nn_params_add(q, "generator/up/weight", nn_shape_of(3, 5, 4, 3), NN_INIT_UNIFORM, 0.25, &err);
    nn_params_finish(q, &err);
    nn_params_init(q, 3);
    assert_memory_equal(q->value + q->param[1].offset, p->value, 60 * sizeof(real));
    nn_params_init(q, 4);
    assert_memory_not_equal(q->value + q->param[1].offset, p->value, 60 * sizeof(real));
    nn_params_free(p);
    nn_params_free(q);
}

static void bad_additions_are_refused(void **state)
{
    bl_error err = { 0 };
    char name[200];
    nn_params *p = nn_params_new(&err);
    (void)state;
    nn_params_add(p, "a", nn_shape_of(1, 3), NN_INIT_ZERO, 0, &err);
    assert_int_equal(nn_params_add(p, "a", nn_shape_of(1, 3), NN_INIT_ZERO, 0, &err), -1);
    assert_message(err, "parameter a: there is one of this name already");
    bl_error_clear(&err);
    assert_int_equal(nn_params_add(p, "b", nn_shape_of(2, 3, 0), NN_INIT_ZERO, 0, &err), -1);
    assert_int_equal(err.code, BL_ESHAPE);
    bl_error_clear(&err);
    assert_int_equal(nn_params_add(p, "b", nn_shape_of(3, INT64_MAX, INT64_MAX, (int64_t)4), NN_INIT_ZERO, 0, &err), -1);
    assert_int_equal(err.code, BL_ESHAPE);
    bl_error_clear(&err);
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    assert_int_equal(nn_params_add(p, name, nn_shape_of(1, 3), NN_INIT_ZERO, 0, &err), -1);
    bl_error_clear(&err);
    nn_params_finish(p, &err);
    assert_int_equal(nn_params_add(p, "c", nn_shape_of(1, 3), NN_INIT_ZERO, 0, &err), -1);
    assert_message(err, "parameter c: the parameters are finished");
    nn_params_free(p);
}

static void save_and_load_give_the_same_bits(void **state)
{
    nn_params *p = two_networks(), *q = two_networks();
    (void)state;
    nn_params_init(q, 99);
    save(p, temporary_path("p.h5"), "model/");
    assert_string_equal(load(q, temporary_path("p.h5"), "model/").msg, "");
    assert_memory_equal(p->value, q->value, (size_t)p->n_elements * sizeof *p->value);
    nn_params_free(p);
    nn_params_free(q);
}

static void parts_of_other_networks_in_the_file_are_left_alone(void **state)
{
    bl_error err = { 0 };
    nn_params *p = two_networks(), *q = nn_params_new(&err);
    (void)state;
    save(p, temporary_path("p.h5"), "");
    nn_params_add(q, "discriminator/weight", nn_shape_of(2, 100, 100), NN_INIT_ZERO, 0, &err);
    nn_params_finish(q, &err);
    assert_string_equal(load(q, temporary_path("p.h5"), "").msg, "");
    assert_memory_equal(q->value, p->value + p->param[OTHER].offset, 10000 * sizeof(real));
    nn_params_free(p);
    nn_params_free(q);
}

static void a_checkpoint_of_another_network_says_what_differs(void **state)
{
    bl_error err = { 0 };
    nn_params *p = two_networks(), *q = nn_params_new(&err);
    (void)state;
    save(p, temporary_path("p.h5"), "");
    nn_params_add(q, "generator/up/weight", nn_shape_of(3, 5, 4, 25), NN_INIT_ONE, 0, &err);
    nn_params_add(q, "generator/up/bias", nn_shape_of(2, 5, 1), NN_INIT_ONE, 0, &err);
    nn_params_add(q, "generator/down/weight", nn_shape_of(1, 2), NN_INIT_ONE, 0, &err);
    nn_params_add(q, "generator/down/bias", nn_shape_of(1, 2), NN_INIT_ONE, 0, &err);
    nn_params_finish(q, &err);
    nn_params_init(q, 1);
    err = load(q, temporary_path("p.h5"), "");
    assert_int_equal(err.code, BL_ESHAPE);
    assert_message(err, "p.h5: the parameters are another network's: ");
    assert_message(err, "missing generator/down/weight [2] and 1 more; ");
    assert_message(err, "generator/up/bias is [5], expected [5, 1] and 1 more; ");
    assert_message(err, "not expected: generator/norm/running_mean");
    for (int i = 0; i < 500; i++)
        assert_true(q->value[i] == 1); /* untouched */
    err = load(p, temporary_path("p.h5"), "model/");
    assert_message(err, "missing generator/up/weight [5, 4, 3] and 3 more");
    nn_params_free(p);
    nn_params_free(q);
}

static void values_that_are_not_finite_are_refused(void **state)
{
    nn_params *p = two_networks(), *q = two_networks();
    bl_error err;
    (void)state;
    p->value[p->param[BIAS].offset + 4] = (real)NAN;
    save(p, temporary_path("p.h5"), "");
    err = load(q, temporary_path("p.h5"), "");
    assert_int_equal(err.code, BL_ENAN);
    assert_message(err, "\"generator/up/bias\" holds a value that is not a finite number");
    assert_memory_equal(p->value, q->value, 60 * sizeof(real));
    assert_true(q->value[q->param[BIAS].offset + 4] == 0);
    nn_params_free(p);
    nn_params_free(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_parameter_starts_on_a_cache_line),
        cmocka_unit_test(names_are_found_and_counted_by_prefix),
        cmocka_unit_test(initial_values_follow_their_distribution),
        cmocka_unit_test(a_further_layer_does_not_change_the_others),
        cmocka_unit_test(bad_additions_are_refused),
        cmocka_unit_test(save_and_load_give_the_same_bits),
        cmocka_unit_test(parts_of_other_networks_in_the_file_are_left_alone),
        cmocka_unit_test(a_checkpoint_of_another_network_says_what_differs),
        cmocka_unit_test(values_that_are_not_finite_are_refused),
    };
    return cmocka_run_group_tests(tests, temporary_make, temporary_remove);
}
