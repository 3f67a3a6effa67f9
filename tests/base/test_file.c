#include "tests/temporary.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/resource.h>
#include <cmocka.h>

#include "tests/message.h"

static void paths_are_joined_and_taken_apart(void **state)
{
    char out[BL_PATH_MAX], longest[BL_PATH_MAX];
    bl_error err = { 0 };
    (void)state;
    assert_int_equal(bl_path_join(out, "a/b", "c.wav", &err), BL_OK);
    assert_string_equal(out, "a/b/c.wav");
    bl_path_join(out, "a/", "c", &err);
    assert_string_equal(out, "a/c");
    bl_path_join(out, "", "c", &err);
    assert_string_equal(out, "c");
    assert_string_equal(bl_path_name("a/b/c.wav"), "c.wav");
    assert_string_equal(bl_path_name("c.wav"), "c.wav");
    assert_string_equal(bl_path_extension("a.b/c.tar.gz"), "gz");
    assert_string_equal(bl_path_extension("a.b/c"), "");
    assert_string_equal(bl_path_extension("a/.hidden"), "");
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(bl_path_join(out, "a", longest, &err), BL_EARG);
    assert_message(err, "path longer than 4095 bytes");
}

static void bytes_come_back_and_nothing_else_is_left(void **state)
{
    const char data[] = "one\0two";
    char *text;
    size_t n;
    bl_error err = { 0 };
    (void)state;
    assert_int_equal(bl_write_file(temporary_path("a.txt"), data, sizeof data, &err), BL_OK);
    assert_int_equal(temporary_count(), 1);
    assert_int_equal(bl_read_file(temporary_path("a.txt"), 100, &text, &n, &err), BL_OK);
    assert_int_equal(n, sizeof data);
    assert_memory_equal(text, data, sizeof data);
    assert_int_equal(text[n], '\0');
    free(text);
    assert_int_equal(bl_read_file(temporary_path("a.txt"), 7, &text, &n, &err), BL_EFORMAT);
    assert_null(text);
    assert_message(err, "a.txt: larger than 7 bytes");
    unlink(temporary_path("a.txt"));
}

static void large_files_are_read_whole(void **state)
{
    enum { N = 700001 };
    char *data = malloc(N), *text;
    size_t n;
    (void)state;
    for (int i = 0; i < N; i++)
        data[i] = (char)(i * 7 % 251);
    bl_write_file(temporary_path("a.bin"), data, N, NULL);
    assert_int_equal(bl_read_file(temporary_path("a.bin"), N, &text, &n, NULL), BL_OK);
    assert_int_equal(n, N);
    assert_memory_equal(text, data, N);
    free(data);
    free(text);
    unlink(temporary_path("a.bin"));
}

static void the_old_file_stays_until_the_new_one_is_complete(void **state)
{
    char *text;
    bl_atomic a;
    bl_error err = { 0 };
    (void)state;
    bl_write_file(temporary_path("a.txt"), "old", 3, &err);
    assert_int_equal(bl_atomic_begin(&a, temporary_path("a.txt"), &err), BL_OK);
    assert_string_equal(bl_path_extension(a.temporary), "txt");
    FILE *f = fopen(a.temporary, "wb");
    fputs("new", f);
    fclose(f);
    bl_read_file(temporary_path("a.txt"), 100, &text, NULL, &err);
    assert_string_equal(text, "old");
    free(text);
    assert_int_equal(bl_atomic_commit(&a, &err), BL_OK);
    bl_read_file(temporary_path("a.txt"), 100, &text, NULL, &err);
    assert_string_equal(text, "new");
    free(text);
    assert_int_equal(temporary_count(), 1);
    bl_atomic_begin(&a, temporary_path("a.txt"), &err);
    fclose(fopen(a.temporary, "wb"));
    assert_int_equal(temporary_count(), 2);
    bl_atomic_abort(&a);
    assert_int_equal(temporary_count(), 1);
    assert_int_equal(bl_atomic_commit(&a, &err), BL_EIO); /* nothing was written */
    assert_message(err, "a.txt: cannot write: No such file");
    unlink(temporary_path("a.txt"));
}

static void a_full_disk_leaves_the_old_file_and_no_rest(void **state)
{
    struct rlimit old, limit;
    char *block = calloc(1, 100000), *text;
    bl_error err = { 0 };
    (void)state;
    bl_write_file(temporary_path("a.txt"), "old", 3, &err);
    getrlimit(RLIMIT_FSIZE, &old);
    limit = old;
    limit.rlim_cur = 5000;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    const bl_status status = bl_write_file(temporary_path("a.txt"), block, 100000, &err);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(status, BL_EIO);
    assert_message(err, "a.txt: cannot write: File too large");
    assert_int_equal(temporary_count(), 1);
    bl_read_file(temporary_path("a.txt"), 100, &text, NULL, NULL);
    assert_string_equal(text, "old");
    free(text);
    free(block);
    unlink(temporary_path("a.txt"));
}

static void missing_files_and_folders_are_told_apart(void **state)
{
    char *text, **names;
    int n;
    bl_error err = { 0 };
    (void)state;
    assert_int_equal(bl_read_file(temporary_path("no"), 9, &text, NULL, &err), BL_EIO);
    assert_message(err, "no: cannot open: No such file");
    bl_error_clear(&err);
    assert_int_equal(bl_read_file(temporary_folder, 9, &text, NULL, &err), BL_EIO);
    assert_message(err, "cannot read");
    bl_error_clear(&err);
    assert_int_equal(bl_list_folder(temporary_path("no"), &names, &n, &err), BL_EIO);
    assert_message(err, "no: cannot open the folder");
    bl_error_clear(&err);
    assert_int_equal(bl_write_file(temporary_path("no/a"), "x", 1, &err), BL_EIO);
    assert_message(err, "no/a: cannot write: No such file");
    assert_true(bl_is_folder(temporary_folder) && !bl_is_file(temporary_folder) && !bl_is_folder(temporary_path("no")));
}

static void folders_are_made_with_their_parents_and_listed_in_order(void **state)
{
    static const char *const files[] = { "b", "a10", "a9", ".x" };
    char **names;
    int n;
    bl_error err = { 0 };
    (void)state;
    assert_int_equal(bl_make_folder(temporary_path("p/q/"), &err), BL_OK);
    assert_int_equal(bl_make_folder(temporary_path("p/q"), &err), BL_OK);
    for (int i = 0; i < 4; i++) {
        char path[64];
        snprintf(path, sizeof path, "p/q/%s", files[i]);
        bl_write_file(temporary_path(path), "x", 1, &err);
    }
    assert_int_equal(bl_list_folder(temporary_path("p/q"), &names, &n, &err), BL_OK);
    assert_int_equal(n, 4);
    assert_string_equal(names[0], ".x");
    assert_string_equal(names[1], "a10");
    assert_string_equal(names[3], "b");
    for (int i = 0; i < n; i++) {
        char path[64];
        snprintf(path, sizeof path, "p/q/%.40s", names[i]);
        unlink(temporary_path(path));
    }
    bl_names_free(names, n);
    assert_int_equal(bl_list_folder(temporary_path("p/q"), &names, &n, &err), BL_OK);
    assert_int_equal(n, 0);
    bl_names_free(names, n);
    rmdir(temporary_path("p/q"));
    bl_write_file(temporary_path("p/file"), "x", 1, &err);
    assert_int_equal(err.code, BL_OK);
    assert_int_equal(bl_make_folder(temporary_path("p/file"), &err), BL_EIO);
    assert_message(err, "p/file: exists and is not a folder");
    bl_error_clear(&err);
    assert_int_equal(bl_make_folder(temporary_path("p/file/x"), &err), BL_EIO);
    assert_message(err, "cannot make the folder: Not a directory");
    unlink(temporary_path("p/file"));
    rmdir(temporary_path("p"));
}

static void the_clock_runs_and_memory_is_positive(void **state)
{
    const double start = bl_seconds();
    (void)state;
    while (bl_seconds() == start)
        ;
    assert_true(bl_seconds() > start);
    assert_true(bl_peak_rss_mb() > 0.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_are_joined_and_taken_apart),
        cmocka_unit_test(bytes_come_back_and_nothing_else_is_left),
        cmocka_unit_test(large_files_are_read_whole),
        cmocka_unit_test(the_old_file_stays_until_the_new_one_is_complete),
        cmocka_unit_test(a_full_disk_leaves_the_old_file_and_no_rest),
        cmocka_unit_test(missing_files_and_folders_are_told_apart),
        cmocka_unit_test(folders_are_made_with_their_parents_and_listed_in_order),
        cmocka_unit_test(the_clock_runs_and_memory_is_positive),
    };
    return cmocka_run_group_tests(tests, temporary_make, temporary_remove);
}
