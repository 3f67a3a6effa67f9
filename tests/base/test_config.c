#include "tests/temporary.h"

#include "base/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/message.h"

static bl_config *parse(const char *text)
{
    bl_error err = { 0 };
    bl_config *c = bl_config_parse(text, "rock.ini", &err);
    assert_string_equal(err.msg, "");
    assert_non_null(c);
    return c;
}

static bl_error parse_failure(const char *text)
{
    bl_error err = { 0 };
    assert_null(bl_config_parse(text, "rock.ini", &err));
    assert_int_not_equal(err.code, BL_OK);
    return err;
}

static void values_are_read_and_defaults_used(void **state)
{
    static const char *const kinds[] = { "sgd", "adam", NULL };
    bl_error err = { 0 };
    bl_config *c = parse("; a comment\n# another\n[train]\nsteps = 200 ; inline\nlr=1e-3\noptimizer = adam\n"
                         "resume = yes\nname =  two words \nempty =\n");
    (void)state;
    assert_int_equal(bl_config_int(c, "train", "steps", 1, 1, 1000, &err), 200);
    assert_true(bl_config_real(c, "train", "lr", 0, 0, 1, &err) == 1e-3);
    assert_int_equal(bl_config_choice(c, "train", "optimizer", kinds, 0, &err), 1);
    assert_int_equal(bl_config_bool(c, "train", "resume", 0, &err), 1);
    assert_string_equal(bl_config_str(c, "train", "name", NULL), "two words");
    assert_string_equal(bl_config_str(c, "train", "empty", NULL), "");
    assert_int_equal(bl_config_int(c, "train", "batch", 16, 1, 64, &err), 16);
    assert_int_equal(bl_config_bool(c, "other", "flag", 1, &err), 1);
    assert_null(bl_config_str(c, "Train", "steps", NULL));
    assert_true(bl_config_has_section(c, "train") && !bl_config_has_section(c, "other"));
    assert_int_equal(bl_config_count(c), 6);
    assert_int_equal(bl_config_at(c, 1)->line, 5);
    assert_string_equal(bl_config_name(c), "rock.ini");
    assert_int_equal(err.code, BL_OK);
    assert_int_equal(bl_config_check_unused(c, &err), BL_OK);
    bl_config_free(c);
    bl_config_free(NULL);
}

static void booleans_have_four_spellings(void **state)
{
    bl_error err = { 0 };
    bl_config *c = parse("[a]\n1=yes\n2=no\n3=true\n4=false\n5=on\n6=off\n7=1\n8=0\n9=maybe\n");
    (void)state;
    for (int i = 1; i <= 8; i++) {
        const char key[] = { (char)('0' + i), '\0' };
        assert_int_equal(bl_config_bool(c, "a", key, i % 2 == 0, &err), i % 2);
    }
    assert_int_equal(err.code, BL_OK);
    assert_int_equal(bl_config_bool(c, "a", "9", 1, &err), 1);
    assert_message(err, "rock.ini line 10: a.9: expected one of no, yes,");
    bl_config_free(c);
}

static void bad_values_name_file_line_and_key(void **state)
{
    static const struct { const char *value, *message; } real[] = {
        { "fast", "rock.ini line 2: t.x: expected a number, got \"fast\"" },
        { "1.5x", "expected a number, got \"1.5x\"" },
        { "", "expected a number, got \"\"" },
        { "nan", "expected a number, got \"nan\"" },
        { "inf", "expected a number" },
        { "3", "rock.ini line 2: t.x: expected 0 to 2, got 3" },
    }, whole[] = {
        { "1.5", "expected a whole number, got \"1.5\"" },
        { "99999999999999999999", "expected a whole number" },
        { "-1", "rock.ini line 2: t.x: expected 0 to 2, got -1" },
    };
    char text[100];
    (void)state;
    for (int i = 0; i < 9; i++) {
        bl_error err = { 0 };
        snprintf(text, sizeof text, "[t]\nx = %s\n", i < 6 ? real[i].value : whole[i - 6].value);
        bl_config *c = parse(text);
        if (i < 6)
            assert_true(bl_config_real(c, "t", "x", 0.5, 0, 2, &err) == 0.5);
        else
            assert_int_equal(bl_config_int(c, "t", "x", 1, 0, 2, &err), 1);
        assert_int_equal(err.code, BL_EARG);
        assert_message(err, i < 6 ? real[i].message : whole[i - 6].message);
        bl_config_free(c);
    }
}

static void a_value_continues_on_lines_that_start_with_a_blank(void **state)
{
    bl_config *c = parse("[a]\nlist = guitar, bass,\n  drums,\n\tpiano\nnext = 1\n");
    (void)state;
    assert_string_equal(bl_config_str(c, "a", "list", NULL), "guitar, bass, drums, piano");
    assert_string_equal(bl_config_str(c, "a", "next", NULL), "1");
    bl_config_free(c);
}

static void a_key_given_twice_is_an_error_with_both_lines(void **state)
{
    (void)state;
    assert_message(parse_failure("[a]\nx = 1\ny = 2\nx = 3\n"), "rock.ini line 4: a.x is given twice (first in line 2)");
    bl_config_free(parse("[a]\nx = 1\n[b]\nx = 1\n"));
}

static void a_line_that_is_no_assignment_is_named(void **state)
{
    (void)state;
    assert_message(parse_failure("[a]\nx = 1\nnonsense\n"), "rock.ini line 3: expected \"key = value\" or \"[section]\"");
    assert_message(parse_failure("[a\nx = 1\n"), "rock.ini line 1:");
}

static void a_line_longer_than_the_reader_takes_is_an_error(void **state)
{
    char text[400];
    (void)state;
    for (int n = 180; n < 220; n++) {
        bl_error err = { 0 };
        const int used = snprintf(text, sizeof text, "[a]\nx = ");
        memset(text + used, 'v', (size_t)(n - 4));
        strcpy(text + used + n - 4, "\ny = 1\n");
        bl_config *c = bl_config_parse(text, "rock.ini", &err);
        if (c) { /* whole or not at all */
            assert_int_equal(strlen(bl_config_str(c, "a", "x", "")), n - 4);
            assert_string_equal(bl_config_str(c, "a", "y", ""), "1");
        } else {
            assert_true(n >= 198);
            assert_message(err, "rock.ini line 2: longer than 198 characters");
        }
        bl_config_free(c);
    }
}

static void set_replaces_and_adds(void **state)
{
    bl_error err = { 0 };
    bl_config *c = parse("[train]\nsteps = 5\n");
    (void)state;
    bl_config_set(c, "train.steps=7", &err);
    bl_config_set(c, "net.layer.1=conv1d kernel_size=3", &err);
    assert_int_equal(err.code, BL_OK);
    assert_int_equal(bl_config_int(c, "train", "steps", 1, 0, 10, &err), 7);
    assert_string_equal(bl_config_str(c, "net", "layer.1", NULL), "conv1d kernel_size=3");
    bl_config_set(c, "train.steps=70", &err);
    bl_config_int(c, "train", "steps", 1, 0, 10, &err);
    assert_message(err, "--set train.steps: expected 0 to 10, got 70");
    static const char *const bad[] = { "", "x", "steps=3", ".x=3", "train.=3", "train.x", "a=b.c" };
    for (int i = 0; i < 7; i++) {
        bl_error_clear(&err);
        assert_int_equal(bl_config_set(c, bad[i], &err), BL_EARG);
        assert_message(err, "expected section.key=value");
    }
    bl_config_free(c);
}

static void an_unused_key_names_its_nearest_relative(void **state)
{
    bl_error err = { 0 };
    bl_config *c = parse("[train]\nsteps = 5\nbatch_sise = 8\n");
    (void)state;
    bl_config_int(c, "train", "steps", 1, 0, 10, &err);
    bl_config_int(c, "train", "batch_size", 1, 0, 10, &err);
    bl_config_real(c, "train", "lr", 1, 0, 10, &err);
    assert_int_equal(bl_config_check_unused(c, &err), BL_EARG);
    assert_message(err, "rock.ini line 3: train.batch_sise: unknown key; did you mean \"batch_size\"?");
    bl_config_free(c);
    c = parse("[trian]\nsteps = 5\n");
    bl_config_int(c, "train", "steps", 1, 0, 10, &err);
    bl_error_clear(&err);
    bl_config_check_unused(c, &err);
    assert_message(err, "unknown section [trian]; did you mean [train]?");
    bl_error_clear(&err);
    bl_config_ignore_section(c, "trian");
    assert_int_equal(bl_config_check_unused(c, &err), BL_OK);
    bl_config_free(c);
}

static void nearest_is_none_when_nothing_is_near(void **state)
{
    static const char *const words[] = { "guitar", "bass", "drums" };
    (void)state;
    assert_string_equal(bl_nearest("gitar", words, 3), "guitar");
    assert_string_equal(bl_nearest("drum", words, 3), "drums");
    assert_null(bl_nearest("saxophone", words, 3));
    assert_null(bl_nearest("x", words, 0));
}

/* What a checkpoint stores parses to the same config: long values are wrapped, comments cannot creep in. */
static void the_text_of_a_config_parses_to_the_same_config(void **state)
{
    char assignment[1000];
    bl_error err = { 0 };
    bl_config *c = parse("[a]\nx = 1\n[b]\ny = two\n  words\n[a]\nz = 3\nempty =\n");
    (void)state;
    int n = snprintf(assignment, sizeof assignment, "b.long=");
    for (int i = 0; i < 90; i++)
        n += snprintf(assignment + n, sizeof assignment - (size_t)n, "%sw%d%s", i ? " " : "", i, i % 7 ? "" : " #x");
    bl_config_set(c, assignment, &err);
    char *text = bl_config_text(c);
    bl_config *d = parse(text);
    assert_int_equal(bl_config_count(d), bl_config_count(c));
    for (int i = 0; i < bl_config_count(c); i++) {
        const bl_config_entry *e = bl_config_at(c, i);
        assert_string_equal(bl_config_str(d, e->section, e->key, NULL), e->value);
    }
    char *again = bl_config_text(d);
    assert_string_equal(again, text);
    free(again);
    free(text);
    bl_config_free(c);
    bl_config_free(d);
}

static void files_that_are_no_configuration_are_refused(void **state)
{
    bl_error err = { 0 };
    (void)state;
    assert_null(bl_config_load(temporary_path("no.ini"), &err));
    assert_int_equal(err.code, BL_EIO);
    assert_message(err, "no.ini: cannot open the configuration: No such file");
    bl_error_clear(&err);
    assert_null(bl_config_load(temporary_folder, &err));
    assert_message(err, "Is a directory");
    bl_error_clear(&err);
    bl_write_file(temporary_path("binary.ini"), "[a]\nx\0=1\n", 9, NULL);
    assert_null(bl_config_load(temporary_path("binary.ini"), &err));
    assert_message(err, "binary.ini: not a text file");
    bl_error_clear(&err);
    bl_write_file(temporary_path("good.ini"), "[a]\nx = 1\n", 10, NULL);
    bl_config *c = bl_config_load(temporary_path("good.ini"), &err);
    assert_int_equal(bl_config_int(c, "a", "x", 0, 0, 9, &err), 1);
    bl_config_free(c);
    bl_write_file(temporary_path("empty.ini"), "", 0, NULL);
    c = bl_config_load(temporary_path("empty.ini"), &err);
    assert_int_equal(bl_config_count(c), 0);
    bl_config_free(c);
    assert_int_equal(err.code, BL_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_read_and_defaults_used),
        cmocka_unit_test(booleans_have_four_spellings),
        cmocka_unit_test(bad_values_name_file_line_and_key),
        cmocka_unit_test(a_value_continues_on_lines_that_start_with_a_blank),
        cmocka_unit_test(a_key_given_twice_is_an_error_with_both_lines),
        cmocka_unit_test(a_line_that_is_no_assignment_is_named),
        cmocka_unit_test(a_line_longer_than_the_reader_takes_is_an_error),
        cmocka_unit_test(set_replaces_and_adds),
        cmocka_unit_test(an_unused_key_names_its_nearest_relative),
        cmocka_unit_test(nearest_is_none_when_nothing_is_near),
        cmocka_unit_test(the_text_of_a_config_parses_to_the_same_config),
        cmocka_unit_test(files_that_are_no_configuration_are_refused),
    };
    return cmocka_run_group_tests(tests, temporary_make, temporary_remove);
}
