/* nn/profile.c: what is counted, and that nothing is while it is off. */
#include "nn/profile.h"

#include "nn/ops.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* Two squares of one shape, one of another, and their sum. */
static void step(nn_tape *t)
{
    nn_tape_reset(t);
    nn_node *x = nn_full(t, nn_shape_of(2, 3, 4), 2), *y = nn_square(t, nn_square(t, x));
    nn_sum(t, nn_square(t, nn_full(t, nn_shape_of(1, 7), 1)));
    nn_sum(t, y);
}

static int count(const char *text, const char *word)
{
    int n = 0;
    for (; (text = strstr(text, word)); text += strlen(word))
        n++;
    return n;
}

static void a_profile_counts_calls_by_op_and_shape(void **state)
{
    (void)state;
    char text[4096] = "";
    bl_error err = { BL_OK, "" };
    nn_tape *t = nn_tape_new(&err);
    assert_non_null(t);
    step(t); /* not counted */
    assert_null(t->profile);
    assert_int_equal(nn_profile_start(t, &err), BL_OK);
    for (int i = 0; i < 4; i++)
        step(t);
    FILE *f = fmemopen(text, sizeof text, "w");
    assert_non_null(f);
    nn_profile_print(t, 4, 20, f);
    fclose(f);
    assert_int_equal(count(text, "  square "), 3); /* all together, [3, 4], [7] */
    assert_int_equal(count(text, "3.0 calls"), 1);
    assert_int_equal(count(text, "[3, 4]\n"), 1);
    assert_int_equal(count(text, "[7]\n"), 1);
    assert_int_equal(count(text, "outside ops"), 1);
    const char *row = strstr(text, "[3, 4]\n");
    while (row > text && row[-1] != '\n')
        row--;
    assert_non_null(strstr(row, "2.0 calls"));
    assert_int_equal(nn_profile_start(t, &err), BL_OK); /* again from zero */
    f = fmemopen(text, sizeof text, "w");
    assert_non_null(f);
    nn_profile_print(t, 1, 20, f);
    fclose(f);
    assert_int_equal(count(text, "calls"), 0);
    nn_tape_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(a_profile_counts_calls_by_op_and_shape) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
