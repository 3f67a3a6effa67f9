#include "tests/temporary.h"

#include "tests/capture.h"

#include "base/progress.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void durations_read_as_people_say_them(void **state)
{
    static const struct { double seconds; const char *text; } cases[] = {
        { -3, "0 s" }, { 0.4, "0 s" }, { 12, "12 s" }, { 59.4, "59 s" }, { 60, "1 min 00 s" }, { 200, "3 min 20 s" },
        { 3599, "59 min 59 s" }, { 3720, "1 h 02 min" }, { 360000, "100 h 00 min" },
    };
    char text[32];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(bl_format_duration(cases[i].seconds, text), cases[i].text);
}

static void lines_are_plain_when_piped_and_none_when_quiet(void **state)
{
    capture c;
    bl_progress p;
    (void)state;
    for (int quiet = 0; quiet < 2; quiet++) {
        capture_begin(&c, STDERR_FILENO);
        bl_progress_start(&p, "rendering", "songs", 3, quiet);
        for (int i = 1; i <= 3; i++)
            bl_progress_step(&p, i, "loss 0.5");
        bl_progress_end(&p);
        capture_end(&c);
        if (quiet) {
            assert_string_equal(c.text, "");
        } else {
            assert_non_null(strstr(c.text, "rendering 3/3 songs, "));
            assert_non_null(strstr(c.text, "left, loss 0.5\n"));
            assert_null(strchr(c.text, '\r'));
        }
    }
}

static void an_interrupt_is_noted_once(void **state)
{
    (void)state;
    bl_catch_interrupt();
    assert_false(bl_interrupted());
    raise(SIGINT);
    assert_true(bl_interrupted());
    bl_catch_interrupt();
    assert_false(bl_interrupted());
    raise(SIGTERM);
    assert_true(bl_interrupted());
    bl_catch_interrupt();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_read_as_people_say_them),
        cmocka_unit_test(lines_are_plain_when_piped_and_none_when_quiet),
        cmocka_unit_test(an_interrupt_is_noted_once),
    };
    return cmocka_run_group_tests(tests, temporary_make, temporary_remove);
}
