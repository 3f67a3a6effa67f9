#include "tests/temporary.h"

#include "train/history.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/message.h"

static const char *const names[] = { "loss", "other" };

static void long_runs_keep_their_sums_in_bounded_memory(void **state)
{
    train_history h;
    double sum = 0, total = 0;
    (void)state;
    train_history_start(&h, 2, 0, NULL);
    for (int i = 0; i < 100000; i++) {
        train_history_add(&h, (double[]){ i % 97, -i });
        sum += i % 97;
    }
    const int64_t n = (h.n_steps + h.width - 1) / h.width;
    assert_true(n <= 1024 && n > 500);
    for (int64_t k = 0; k < n; k++)
        total += h.sums[2 * k];
    assert_true(total == sum);
    assert_true(h.sums[1] == -(double)(h.width * (h.width - 1) / 2)); /* the first stretch is steps 0 .. width-1 */
    train_history_free(&h);
}

static void it_comes_back_from_a_checkpoint_and_draws_the_same(void **state)
{
    bl_error err = { 0 };
    train_history h, g;
    char *a, *b;
    size_t na, nb;
    (void)state;
    train_history_start(&h, 2, 1, &err);
    train_history_start(&g, 2, 1, &err);
    for (int i = 1; i <= 3001; i++) {
        train_history_add(&h, (double[]){ 1.0 / i, exp(-0.001 * i) });
        if (i % 100 == 0)
            train_history_add_figures(&h, i, (double[]){ 2.0 / i }, &err);
    }
    nn_checkpoint *c = nn_checkpoint_create(temporary_path("h.h5"), "test", &err);
    train_history_save(&h, c, &err);
    assert_int_equal(nn_checkpoint_commit(c, &err), BL_OK);
    c = nn_checkpoint_open(temporary_path("h.h5"), "test", &err);
    assert_int_equal(train_history_load(&g, c, 3000000, &err), BL_EFORMAT);
    assert_message(err, "h.h5: \"train/metrics\" does not go with 3000000 steps");
    bl_error_clear(&err);
    assert_int_equal(train_history_load(&g, c, 3001, &err), BL_OK);
    nn_checkpoint_free(c);
    assert_int_equal(train_history_draw(&h, temporary_path("h.png"), "t", names, names, &err), BL_OK);
    assert_int_equal(train_history_draw(&g, temporary_path("g.png"), "t", names, names, &err), BL_OK);
    bl_read_file(temporary_path("h.png"), 1 << 20, &a, &na, &err);
    bl_read_file(temporary_path("g.png"), 1 << 20, &b, &nb, &err);
    assert_int_equal(err.code, BL_OK);
    assert_int_equal(na, nb);
    assert_memory_equal(a, b, na);
    free(a);
    free(b);
    train_history_free(&h);
    train_history_free(&g);
}

static void the_start_of_a_training_can_be_drawn(void **state)
{
    bl_error err = { 0 };
    train_history h;
    (void)state;
    train_history_start(&h, 1, 1, &err);
    assert_int_equal(train_history_draw(&h, temporary_path("0.png"), "t", names, names, &err), BL_OK);
    train_history_add(&h, (double[]){ -1 });
    assert_int_equal(train_history_draw(&h, temporary_path("1.png"), "t", names, names, &err), BL_OK);
    train_history_free(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_runs_keep_their_sums_in_bounded_memory),
        cmocka_unit_test(it_comes_back_from_a_checkpoint_and_draws_the_same),
        cmocka_unit_test(the_start_of_a_training_can_be_drawn),
    };
    return cmocka_run_group_tests(tests, temporary_make, temporary_remove);
}
