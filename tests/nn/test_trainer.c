/* What the training programs share: steps of several batches, averages, and going on from a checkpoint bit by bit. */
#include "tests/temporary.h"

#include "nn/trainer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/message.h"

/* A line through noisy points, y = 2 x - 1. */
typedef struct model {
    nn_params *params;
    nn_trainer run;
    int64_t    step;
    int        batches[8], n_batches, spoil;
} model;

static bl_status learn(void *user, double *losses, bl_error *err)
{
    enum { B = 16 };
    model   *m = user;
    nn_tape *tape = m->run.tape;
    float    x[B], y[B];
    for (int i = 0; i < B && !tape->dry; i++) {
        x[i] = (float)bl_rng_normal(&m->run.rng);
        y[i] = 2 * x[i] - 1 + 0.1f * (float)bl_rng_normal(&m->run.rng);
    }
    if (m->spoil)
        y[0] = INFINITY;
    if (m->n_batches < 8)
        m->batches[m->n_batches++] = m->run.batch;
    nn_tape_reset(tape);
    const nn_shape shape = nn_shape_of(1, (int64_t)B);
    nn_node *out = nn_add(tape, nn_mul(tape, nn_input(tape, shape, x), nn_param_node(tape, m->params, 0)), nn_param_node(tape, m->params, 1));
    nn_node *loss = nn_keep(nn_mse_loss(tape, out, nn_input(tape, shape, y)));
    nn_backward(tape, loss);
    losses[0] = nn_scalar(loss);
    return tape->err.code ? bl_fail(err, tape->err.code, "%s", tape->err.msg) : BL_OK;
}

static void start(model *m, const char *keys)
{
    char      text[300];
    bl_error  err = { 0 };
    nn_trainer_config set;
    snprintf(text, sizeof text, "[t]\noptimizer=adam\nlr=0.05\n%s", keys);
    bl_config *config = bl_config_parse(text, "t.ini", &err);
    *m = (model){ .params = nn_params_new(&err) };
    nn_params_add(m->params, "slope", nn_shape_of(1, (int64_t)1), NN_INIT_ZERO, 0, &err);
    nn_params_add(m->params, "offset", nn_shape_of(1, (int64_t)1), NN_INIT_ZERO, 0, &err);
    assert_int_equal(nn_params_finish(m->params, &err), BL_OK);
    nn_params_init(m->params, 1);
    assert_int_equal(nn_trainer_read(config, "t", 100, 0, 0.9, &set, &err), BL_OK);
    bl_config_check_unused(config, &err);
    assert_int_equal(nn_trainer_start(&m->run, m->params, &set, 7, &err), BL_OK);
    bl_config_free(config);
}

static void stop(model *m)
{
    nn_trainer_free(&m->run);
    nn_params_free(m->params);
}

static void walk(model *m, int64_t until)
{
    bl_error err = { 0 };
    double loss, norm;
    while (m->step < until)
        assert_int_equal(nn_trainer_step(&m->run, learn, m, &loss, 1, &m->step, &norm, &err), BL_OK);
}

static void steps_find_the_line_and_averages_are_closer(void **state)
{
    model m;
    (void)state;
    start(&m, "accumulate=4\n");
    walk(&m, 300);
    assert_int_equal(m.batches[0], 0);
    assert_int_equal(m.batches[3], 3);
    assert_int_equal(m.batches[4], 0);
    assert_true(fabs((double)m.params->value[m.params->param[0].offset] - 2) < 0.1);
    nn_trainer_swap(&m.run);
    assert_true(fabs((double)m.params->value[m.params->param[0].offset] - 2) < 0.05);
    assert_true(fabs((double)m.params->value[m.params->param[1].offset] + 1) < 0.05);
    stop(&m);
}

static void a_run_from_a_checkpoint_goes_on_bit_by_bit(void **state)
{
    model whole, half, again;
    bl_error err = { 0 };
    const char *path = temporary_path("trainer.h5");
    (void)state;
    start(&whole, "accumulate=2\n");
    walk(&whole, 40);
    start(&half, "accumulate=2\n");
    walk(&half, 20);
    nn_checkpoint *c = nn_checkpoint_create(path, "test", &err);
    nn_params_save(half.params, c, "", &err);
    nn_checkpoint_put_int(c, "step", half.step, &err);
    assert_int_equal(nn_trainer_save(&half.run, c, &err), BL_OK);
    assert_int_equal(nn_checkpoint_commit(c, &err), BL_OK);
    start(&again, "accumulate=2\n");
    walk(&again, 3);
    c = nn_checkpoint_open(path, "test", &err);
    assert_int_equal(nn_trainer_load(&again.run, c, "t", &again.step, &err), BL_OK);
    assert_int_equal(again.step, 20);
    assert_string_equal(nn_trainer_prefix(c), "average/");
    nn_checkpoint_free(c);
    walk(&again, 40);
    for (int k = 0; k < 2; k++) {
        const int64_t at = whole.params->param[k].offset;
        assert_memory_equal(&whole.params->value[at], &again.params->value[at], sizeof(real));
    }
    nn_trainer_swap(&whole.run);
    nn_trainer_swap(&again.run);
    assert_memory_equal(&whole.params->value[whole.params->param[1].offset], &again.params->value[again.params->param[1].offset], sizeof(real));
    stop(&whole);
    stop(&half);
    stop(&again);
}

static void a_checkpoint_without_moments_is_refused(void **state)
{
    model m;
    bl_error err = { 0 };
    const char *path = temporary_path("bare.h5");
    (void)state;
    start(&m, "");
    nn_checkpoint *c = nn_checkpoint_create(path, "test", &err);
    nn_params_save(m.params, c, "", &err);
    assert_int_equal(nn_checkpoint_commit(c, &err), BL_OK);
    c = nn_checkpoint_open(path, "test", &err);
    assert_int_equal(nn_trainer_load(&m.run, c, "t", &m.step, &err), BL_EFORMAT);
    assert_message(err, "bare.h5: was written with t.keep_optimizer = 0");
    assert_string_equal(nn_trainer_prefix(c), "");
    nn_checkpoint_free(c);
    stop(&m);
}

static void a_step_that_is_not_finite_moves_nothing(void **state)
{
    model m;
    bl_error err = { 0 };
    double loss;
    (void)state;
    start(&m, "");
    walk(&m, 5);
    const real before = m.params->value[m.params->param[0].offset];
    m.spoil = 1;
    assert_int_equal(nn_trainer_step(&m.run, learn, &m, &loss, 1, &m.step, NULL, &err), BL_ENAN);
    assert_int_equal(m.step, 5);
    assert_true(m.params->value[m.params->param[0].offset] == before);
    stop(&m);
}

static void a_plan_draws_nothing_and_counts_memory(void **state)
{
    model m;
    nn_plan plan;
    (void)state;
    start(&m, "");
    const bl_rng before = m.run.rng;
    nn_trainer_plan(&m.run, learn, &m, &plan);
    assert_memory_equal(&before, &m.run.rng, sizeof before);
    assert_true(plan.weights >= 4 * sizeof(real) && plan.moments > 0 && plan.step > 0);
    stop(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_find_the_line_and_averages_are_closer),
        cmocka_unit_test(a_run_from_a_checkpoint_goes_on_bit_by_bit),
        cmocka_unit_test(a_checkpoint_without_moments_is_refused),
        cmocka_unit_test(a_step_that_is_not_finite_moves_nothing),
        cmocka_unit_test(a_plan_draws_nothing_and_counts_memory),
    };
    return cmocka_run_group_tests(tests, temporary_make, temporary_remove);
}
