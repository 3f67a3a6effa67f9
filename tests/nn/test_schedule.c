/* Learning rate schedules against torch.optim.lr_scheduler: tools/golden/schedules.py writes tests/golden/schedules.txt. */
#include "tests/temporary.h"

#include "nn/schedule.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "tests/message.h"

enum { STEPS = 40 };

/* "schedule=step gamma=0.1" as a section of a config. */
static bl_status read_words(const char *words, int64_t n_steps, double half_life, nn_schedule *s, bl_error *err)
{
    char text[420];
    snprintf(text, sizeof text, "[train]\n%s\n", words);
    for (char *p = text; *p; p++)
        *p = (char)(*p == ' ' ? '\n' : *p);
    bl_config *config = bl_config_parse(text, "rock.ini", err);
    assert_non_null(config);
    nn_schedule_read(config, "train", n_steps, half_life, s, err);
    bl_config_check_unused(config, err);
    bl_config_free(config);
    return err->code;
}

static int read_numbers(char *line, double *out)
{
    int n = 0;
    for (char *p = line, *end; n <= STEPS; p = end, n++) {
        const double v = strtod(p, &end);
        if (end == p)
            break;
        out[n] = v;
    }
    return n;
}

static void every_schedule_is_torchs(void **state)
{
    char words[400], line[4000];
    double figures[STEPS + 1], want[STEPS + 1];
    int n_cases = 0;
    FILE *f = fopen("tests/golden/schedules.txt", "r");
    (void)state;
    assert_non_null(f);
    while (fgets(words, sizeof words, f)) {
        bl_error err = { 0 };
        nn_schedule s;
        assert_false(strncmp(words, "case ", 5));
        words[strcspn(words, "\n")] = '\0';
        if (read_words(words + 5, STEPS, 0, &s, &err) != BL_OK)
            fail_msg("%s: %s", words, err.msg);
        assert_non_null(fgets(line, sizeof line, f));
        const int n_figures = read_numbers(line, figures);
        assert_non_null(fgets(line, sizeof line, f));
        assert_int_equal(read_numbers(line, want), STEPS);
        for (int i = 0; i < STEPS; i++) {
            const double got = nn_schedule_factor(&s, i);
            if (!(fabs(got - want[i]) < 1e-12))
                fail_msg("%s: step %d: %.15g, expected %.15g", words, i, got, want[i]);
            if (n_figures)
                nn_schedule_watch(&s, figures[i]);
        }
        n_cases++;
    }
    fclose(f);
    assert_int_equal(n_cases, 16);
}

static void behind_its_end_a_schedule_stays_where_it_is(void **state)
{
    static const char *const words[] = { "schedule=linear end_factor=0.25", "schedule=cosine end_factor=0.25",
                                         "schedule=one_cycle final_div_factor=1 div_factor=4" };
    (void)state;
    for (int i = 0; i < 3; i++) {
        bl_error err = { 0 };
        nn_schedule s;
        assert_int_equal(read_words(words[i], 100, 0, &s, &err), BL_OK);
        assert_true(fabs(nn_schedule_factor(&s, 100) - 0.25) < 1e-12);
        assert_true(fabs(nn_schedule_factor(&s, 100000) - 0.25) < 1e-12);
    }
}

static void a_schedule_of_one_step_and_extreme_shares_is_finite(void **state)
{
    static const char *const words[] = { "schedule=one_cycle pct_start=0", "schedule=one_cycle pct_start=1", "schedule=one_cycle",
                                         "schedule=cosine", "schedule=linear", "schedule=cosine warmup_steps=50" };
    (void)state;
    for (int i = 0; i < 6; i++)
        for (int n = 1; n < 4; n++) {
            bl_error err = { 0 };
            nn_schedule s;
            assert_int_equal(read_words(words[i], n, 0, &s, &err), BL_OK);
            for (int64_t step = 0; step < 60; step++) {
                const double factor = nn_schedule_factor(&s, step);
                assert_true(factor >= 0 && factor <= 1 + 1e-12);
            }
        }
}

static void the_default_is_the_trainers_half_life(void **state)
{
    bl_error err = { 0 };
    nn_schedule s;
    (void)state;
    assert_int_equal(read_words("", 100, 800, &s, &err), BL_OK);
    assert_true(nn_schedule_factor(&s, 801) == exp2(-801.0 / 800));
    assert_int_equal(read_words("", 100, 0, &s, &err), BL_OK);
    assert_true(nn_schedule_factor(&s, 801) == 1);
    assert_int_equal(read_words("lr_half_life=0", 100, 800, &s, &err), BL_OK);
    assert_true(nn_schedule_factor(&s, 801) == 1);
}

static void plateau_goes_on_where_it_was(void **state)
{
    static const char words[] = "schedule=plateau patience=1 factor=0.5";
    bl_error err = { 0 };
    nn_schedule whole, first, second;
    (void)state;
    read_words(words, 100, 0, &whole, &err);
    first = second = whole;
    for (int i = 0; i < 20; i++) {
        const double figure = i % 5 ? 1 : 1.0 / (1 + i);
        nn_schedule_watch(&whole, figure);
        nn_schedule_watch(i < 10 ? &first : &second, figure);
        if (i == 9) {
            nn_checkpoint *file = nn_checkpoint_create(temporary_path("s.h5"), "test", &err);
            nn_schedule_save(&first, file, &err);
            assert_int_equal(nn_checkpoint_commit(file, &err), BL_OK);
            file = nn_checkpoint_open(temporary_path("s.h5"), "test", &err);
            assert_int_equal(nn_schedule_load(&second, file, &err), BL_OK);
            nn_checkpoint_free(file);
        }
    }
    assert_true(whole.scale < 1 && whole.scale == second.scale && whole.best == second.best && whole.n_bad == second.n_bad);
    nn_schedule_watch(&second, NAN); /* no improvement, and no harm */
    assert_true(whole.best == second.best);
}

static void a_damaged_state_is_refused(void **state)
{
    const double bad[4] = { 2, 0, 0, 0 };
    bl_error err = { 0 };
    nn_schedule s;
    (void)state;
    read_words("schedule=plateau", 100, 0, &s, &err);
    nn_checkpoint *file = nn_checkpoint_create(temporary_path("s.h5"), "test", &err);
    nn_checkpoint_put(file, "optimizer/schedule", NN_F64, 1, (int64_t[]){ 4 }, bad, &err);
    assert_int_equal(nn_checkpoint_commit(file, &err), BL_OK);
    file = nn_checkpoint_open(temporary_path("s.h5"), "test", &err);
    assert_int_equal(nn_schedule_load(&s, file, &err), BL_EFORMAT);
    assert_message(err, "is not the state of a schedule");
    assert_true(s.scale == 1);
    nn_checkpoint_free(file);
}

static void mistakes_are_named(void **state)
{
    static const char *const cases[][2] = {
        { "schedule=cosinus", "expected one of constant, linear, step, multi_step, exponential, cosine, one_cycle, plateau" },
        { "schedule=step", "schedule step needs a step_size" },
        { "schedule=multi_step", "needs milestones, such as 1000, 2000" },
        { "schedule=multi_step milestones=5,3", "rising numbers of steps, got \"5,3\"" },
        { "schedule=multi_step milestones=5,x", "rising numbers of steps" },
        { "schedule=exponential", "needs gamma or lr_half_life" },
        { "schedule=cosine gamma=0.5", "gamma" },
        { "schedule=cosine end_factor=2", "end_factor" },
        { "start_factor=0.1", "start_factor" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bl_error err = { 0 };
        nn_schedule s;
        assert_int_equal(read_words(cases[i][0], 100, 0, &s, &err), BL_EARG);
        assert_message(err, cases[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_schedule_is_torchs),
        cmocka_unit_test(behind_its_end_a_schedule_stays_where_it_is),
        cmocka_unit_test(a_schedule_of_one_step_and_extreme_shares_is_finite),
        cmocka_unit_test(the_default_is_the_trainers_half_life),
        cmocka_unit_test(plateau_goes_on_where_it_was),
        cmocka_unit_test(a_damaged_state_is_refused),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, temporary_make, temporary_remove);
}
