#include "base/file.h"
#include "infer/genre.h"
#include "infer/tone_generator.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/message.h"

/* Knows the genres of a list "a b c". */
static int listed(const void *who, const char *genre)
{
    const char *at = strstr(who, genre);
    return at && (at == who || at[-1] == ',') && (at[strlen(genre)] == ',' || !at[strlen(genre)]);
}

static void known_as(const char *genre, const char *list, const char *want)
{
    char known[INFER_GENRE_NAME];
    bl_error err = { 0 };
    assert_int_equal(infer_genre_known(genre, listed, list, known, &err), want[0] != '\0');
    assert_string_equal(known, want);
}

static void a_genre_that_is_known_stands_for_itself(void **state)
{
    (void)state;
    known_as("blues", "rock,blues", "blues");
    known_as("jazz", "jazz", "jazz");
}

static void the_genre_that_the_file_names_stands_in(void **state)
{
    (void)state;
    known_as("blues", "jazz,rock", "rock");
    known_as("hip-hop", "rock,pop", "pop");
    known_as("jazz", "rock,pop", "");
}

static void a_genre_without_a_file_is_like_the_one_that_the_list_names(void **state)
{
    char path[BL_PATH_MAX], style[INFER_GENRE_NAME];
    bl_error err = { 0 };
    (void)state;
    known_as("funk", "rock,pop", "pop"); /* funk, disco, pop */
    assert_int_equal(infer_genre_style("funk", path, style, &err), BL_OK);
    assert_string_equal(style, "disco");
    assert_non_null(strstr(path, "configs/styles/disco.ini"));
}

static void a_genre_that_nobody_knows_is_named_with_the_nearest(void **state)
{
    char path[BL_PATH_MAX], style[INFER_GENRE_NAME];
    bl_error err = { 0 };
    (void)state;
    assert_int_equal(infer_genre_style("regae", path, style, &err), BL_EARG);
    assert_message(err, "unknown genre \"regae\"; did you mean \"reggae\"?");
    bl_error_clear(&err);
    assert_int_equal(infer_genre_style("gamelan of bali", path, style, &err), BL_EARG);
    assert_message(err, "no configs/styles/gamelan of bali.ini");
    bl_error_clear(&err);
    assert_int_equal(infer_genre_style("../genres", path, style, &err), BL_EARG);
}

/* ---- a user's own genre, in a folder of its own ---- */

static char folder[64] = "/tmp/test_genre_XXXXXX";
static char before[BL_PATH_MAX];

static int enter(void **state)
{
    bl_error err = { 0 };
    (void)state;
    strcpy(folder, "/tmp/test_genre_XXXXXX");
    return !getcwd(before, sizeof before) || !mkdtemp(folder) || chdir(folder) || bl_make_folder("configs/styles", &err);
}

static int leave(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -r %s", folder);
    return chdir(before) || system(command);
}

static void write_style(const char *file, const char *text)
{
    char path[128];
    bl_error err = { 0 };
    snprintf(path, sizeof path, "configs/styles/%s", file);
    assert_int_equal(bl_write_file(path, text, strlen(text), &err), BL_OK);
}

static void a_new_genre_is_a_new_file(void **state)
{
    char path[BL_PATH_MAX], style[INFER_GENRE_NAME];
    bl_error err = { 0 };
    (void)state;
    write_style("mygenre.ini", "[style]\ngenre = mygenre\nlike = rock\n");
    assert_int_equal(infer_genre_style("mygenre", path, style, &err), BL_OK);
    assert_string_equal(path, "configs/styles/mygenre.ini");
    known_as("mygenre", "rock,pop", "rock");
}

static void a_copied_file_is_like_the_one_it_was_copied_from(void **state)
{
    (void)state;
    write_style("mine.ini", "[style]\ngenre = rock\n");
    known_as("mine", "pop,rock", "rock");
}

static void a_name_of_two_words_finds_its_file(void **state)
{
    char path[BL_PATH_MAX], style[INFER_GENRE_NAME];
    bl_error err = { 0 };
    (void)state;
    write_style("synth-wave.ini", "[style]\ngenre = synth wave\nlike = pop\n");
    assert_int_equal(infer_genre_style("synth wave", path, style, &err), BL_OK);
    assert_string_equal(style, "synth wave");
}

static void a_circle_is_an_error(void **state)
{
    char known[INFER_GENRE_NAME];
    bl_error err = { 0 };
    (void)state;
    write_style("one.ini", "[style]\ngenre = one\nlike = two\n");
    write_style("two.ini", "[style]\ngenre = two\nlike = one\n");
    assert_int_equal(infer_genre_known("one", listed, "rock", known, &err), -1);
    assert_message(err, "\"one\" is like others in a circle");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_genre_that_is_known_stands_for_itself),
        cmocka_unit_test(the_genre_that_the_file_names_stands_in),
        cmocka_unit_test(a_genre_without_a_file_is_like_the_one_that_the_list_names),
        cmocka_unit_test(a_genre_that_nobody_knows_is_named_with_the_nearest),
        cmocka_unit_test_setup_teardown(a_new_genre_is_a_new_file, enter, leave),
        cmocka_unit_test_setup_teardown(a_copied_file_is_like_the_one_it_was_copied_from, enter, leave),
        cmocka_unit_test_setup_teardown(a_name_of_two_words_finds_its_file, enter, leave),
        cmocka_unit_test_setup_teardown(a_circle_is_an_error, enter, leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
