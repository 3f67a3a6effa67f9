#include "tests/temporary.h"

#include "tests/capture.h"

#include "base/cli.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static struct {
    int         quiet;
    int64_t     seed;
    double      bpm;
    const char *out;
    bl_cli_list intervals;
} args;

static const bl_cli_option options[] = {
    { "quiet", 'q', BL_CLI_FLAG, &args.quiet, NULL, "no progress" },
    { "seed", 0, BL_CLI_INT, &args.seed, "N", "another take" },
    { "bpm", 0, BL_CLI_REAL, &args.bpm, "X", "tempo" },
    { "out", 'o', BL_CLI_TEXT, &args.out, "FILE", "where the song goes" },
    { "interval", 0, BL_CLI_LIST, &args.intervals, "START-END", "may be repeated" },
    { NULL, 0, BL_CLI_FLAG, NULL, NULL, NULL },
};

static int topic(const char *name, const char **near)
{
    if (!strcmp(name, "layers"))
        return printf("all layers\n") > 0;
    *near = name[0] == 'l' ? "layers" : NULL;
    return 0;
}

static const bl_cli_program program = {
    .topics = "layers: all of them", .topic = topic, .name = "infer", .usage = "SONG -o OUT", .summary = "A band behind a voice.", .examples = "  infer a.wav -o b.wav\n",
    .min_positional = 1, .max_positional = 2,
};

static const char *positional[2];
static int         n_positional;
static capture     out, errors;

/* Parses words separated by blanks; what is printed is in out.text and errors.text. */
static int parse(const char *line)
{
    static char words[500];
    char *argv[40] = { "infer" };
    int argc = 1;
    memset(&args, 0, sizeof args);
    strcpy(words, line);
    for (char *w = strtok(words, " "); w; w = strtok(NULL, " "))
        argv[argc++] = w;
    capture_begin(&out, STDOUT_FILENO);
    capture_begin(&errors, STDERR_FILENO);
    const int rc = bl_cli_parse(&program, options, argc, argv, positional, &n_positional);
    capture_end(&errors);
    capture_end(&out);
    return rc;
}

static void every_spelling_of_an_option_works(void **state)
{
    (void)state;
    assert_int_equal(parse("song.wav --seed 7 --bpm=98.5 -o x.wav -q --interval 1-2 --interval=3-4"), -1);
    assert_int_equal(args.quiet, 1);
    assert_int_equal(args.seed, 7);
    assert_true(args.bpm == 98.5);
    assert_string_equal(args.out, "x.wav");
    assert_int_equal(args.intervals.n, 2);
    assert_string_equal(args.intervals.item[1], "3-4");
    assert_int_equal(n_positional, 1);
    assert_string_equal(positional[0], "song.wav");
    assert_int_equal(parse("--seed=-3 -- -o"), -1);
    assert_int_equal(args.seed, -3);
    assert_string_equal(positional[0], "-o");
    assert_int_equal(parse("-"), -1); /* a lone dash is an argument */
    assert_string_equal(positional[0], "-");
}

static void wrong_usage_is_status_two_and_one_sentence(void **state)
{
    static const struct { const char *line, *message; } cases[] = {
        { "", "infer: an argument is missing; usage: infer SONG -o OUT" },
        { "a b c", "infer: one argument too many: c" },
        { "a --sed 3", "infer: unknown option --sed; did you mean --seed?" },
        { "a --frobnicate", "infer: unknown option --frobnicate" },
        { "a --seed", "infer: --seed needs a value: N" },
        { "a --seed x", "infer: --seed: expected a whole number, got \"x\"" },
        { "a --seed 99999999999999999999", "infer: --seed: expected a whole number" },
        { "a --bpm 12o", "infer: --bpm: expected a number, got \"12o\"" },
        { "a --bpm nan", "infer: --bpm: expected a number, got \"nan\"" },
        { "a --quiet=yes", "infer: --quiet takes no value, got \"yes\"" },
        { "a -x", "infer: unknown option -x" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(parse(cases[i].line), 2);
        if (strncmp(errors.text, cases[i].message, strlen(cases[i].message)) != 0)
            fail_msg("expected \"%s\", got \"%s\"", cases[i].message, errors.text);
        assert_ptr_equal(strchr(errors.text, '\n'), errors.text + strlen(errors.text) - 1);
        assert_string_equal(out.text, "");
    }
}

static void help_and_version_are_always_there(void **state)
{
    (void)state;
    assert_int_equal(parse("--seed 3 --help"), 0);
    for (const bl_cli_option *o = options; o->name; o++)
        assert_non_null(strstr(out.text, o->help));
    assert_non_null(strstr(out.text, "usage: infer SONG -o OUT"));
    assert_non_null(strstr(out.text, "-o, --out FILE"));
    assert_non_null(strstr(out.text, program.examples));
    assert_string_equal(errors.text, "");
    assert_int_equal(parse("--version"), 0);
    assert_non_null(strstr(out.text, bl_version));
}

static void help_knows_topics(void **state)
{
    (void)state;
    assert_int_equal(parse("--help layers"), 0);
    assert_string_equal(out.text, "all layers\n");
    assert_int_equal(parse("--help=layers"), 0);
    assert_string_equal(out.text, "all layers\n");
    assert_int_equal(parse("--help --quiet"), 0); /* an option is no topic */
    assert_non_null(strstr(out.text, "--help TOPIC               layers: all of them"));
    assert_int_equal(parse("--help layer"), 2);
    assert_string_equal(errors.text, "infer: no help on layer; did you mean --help layers?; see infer --help\n");
    assert_int_equal(parse("--help it"), 2);
    assert_string_equal(errors.text, "infer: no help on it; see infer --help\n");
}

static void a_list_has_an_end(void **state)
{
    static char *argv[2 + 2 * 70];
    int argc = 0;
    (void)state;
    argv[argc++] = "infer";
    argv[argc++] = "a";
    for (int i = 0; i < BL_CLI_LIST_MAX + 1; i++) {
        argv[argc++] = "--interval";
        argv[argc++] = "1-2";
    }
    memset(&args, 0, sizeof args);
    assert_int_equal(bl_cli_parse(&program, options, argc - 2, argv, positional, &n_positional), -1);
    assert_int_equal(args.intervals.n, BL_CLI_LIST_MAX);
    memset(&args, 0, sizeof args);
    capture_begin(&errors, STDERR_FILENO);
    const int rc = bl_cli_parse(&program, options, argc, argv, positional, &n_positional);
    capture_end(&errors);
    assert_int_equal(rc, 2);
    assert_non_null(strstr(errors.text, "--interval: given too often"));
}

static void a_failure_is_printed_with_the_programs_name(void **state)
{
    bl_error err = { BL_EIO, "a.wav: cannot open" };
    (void)state;
    capture_begin(&errors, STDERR_FILENO);
    const int rc = bl_cli_fail(&program, &err);
    capture_end(&errors);
    assert_int_equal(rc, 1);
    assert_string_equal(errors.text, "infer: a.wav: cannot open\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_spelling_of_an_option_works),
        cmocka_unit_test(wrong_usage_is_status_two_and_one_sentence),
        cmocka_unit_test(help_and_version_are_always_there),
        cmocka_unit_test(help_knows_topics),
        cmocka_unit_test(a_list_has_an_end),
        cmocka_unit_test(a_failure_is_printed_with_the_programs_name),
    };
    return cmocka_run_group_tests(tests, temporary_make, temporary_remove);
}
