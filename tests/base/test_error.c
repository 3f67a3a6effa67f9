#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static void the_first_failure_wins(void **state)
{
    bl_error err = { 0 };
    (void)state;
    assert_int_equal(bl_fail(&err, BL_EIO, "%s: cannot open", "a.wav"), BL_EIO);
    assert_int_equal(bl_fail(&err, BL_EARG, "later"), BL_EARG);
    assert_int_equal(err.code, BL_EIO);
    assert_string_equal(err.msg, "a.wav: cannot open");
    bl_error_clear(&err);
    assert_int_equal(err.code, BL_OK);
    assert_string_equal(err.msg, "");
}

static void a_null_error_is_accepted(void **state)
{
    (void)state;
    assert_int_equal(bl_fail(NULL, BL_ENOMEM, "no memory"), BL_ENOMEM);
    bl_error_prefix(NULL, "x");
    bl_error_clear(NULL);
}

static void a_prefix_goes_in_front_of_a_recorded_message_only(void **state)
{
    bl_error err = { 0 };
    (void)state;
    bl_error_prefix(&err, "song %d", 3);
    assert_string_equal(err.msg, "");
    bl_fail(&err, BL_EARG, "too short");
    bl_error_prefix(&err, "song %d", 3);
    assert_string_equal(err.msg, "song 3: too short");
}

static void long_messages_are_cut_and_terminated(void **state)
{
    char text[2000];
    bl_error err = { 0 };
    (void)state;
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    bl_fail(&err, BL_EARG, "%s", text);
    assert_int_equal(strlen(err.msg), sizeof err.msg - 1);
    bl_error_prefix(&err, "%s", "a.ini");
    assert_int_equal(strlen(err.msg), sizeof err.msg - 1);
    assert_memory_equal(err.msg, "a.ini: xxx", 10);
    bl_error_prefix(&err, "%s", text);
    assert_true(strlen(err.msg) < sizeof err.msg);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_failure_wins),
        cmocka_unit_test(a_null_error_is_accepted),
        cmocka_unit_test(a_prefix_goes_in_front_of_a_recorded_message_only),
        cmocka_unit_test(long_messages_are_cut_and_terminated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
