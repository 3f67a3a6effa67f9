#define _POSIX_C_SOURCE 200809L
#include "tests/temporary.h"

#include "infer/cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/message.h"

static float sound[1000];

static infer_cache *opened(void)
{
    bl_error err = { 0 };
    infer_cache *c = infer_cache_open(temporary_path("cache"), &err);
    if (!c)
        fail_msg("%s", err.msg);
    for (int i = 0; i < 1000; i++)
        sound[i] = (float)(i * i) * 1e-3f;
    return c;
}

static infer_key key_of(int number)
{
    infer_key k = infer_key_of("test");
    infer_key_add(&k, &number, sizeof number);
    return k;
}

/* The only file of the cache. */
static const char *the_file(void)
{
    static char path[BL_PATH_MAX];
    FILE *f = popen("find \"$CACHE\" -type f", "r");
    if (!f || !fgets(path, sizeof path, f))
        fail_msg("no file in the cache");
    pclose(f);
    path[strcspn(path, "\n")] = '\0';
    return path;
}

static int clear(void **state)
{
    char line[BL_PATH_MAX + 32];
    (void)state;
    setenv("CACHE", temporary_path("cache"), 1);
    snprintf(line, sizeof line, "rm -rf \"%s\"", temporary_path("cache"));
    return system(line);
}

static int done(void **state)
{
    clear(state);
    return temporary_remove(state);
}

static void what_was_kept_comes_back_and_nothing_else(void **state)
{
    (void)state;
    float *x = NULL;
    int64_t n = 0, found, kept;
    infer_cache *c = opened();
    assert_int_equal(infer_cache_get(c, key_of(1), &x, &n), 0);
    infer_cache_put(c, key_of(1), sound, 1000);
    infer_cache_put(c, key_of(2), sound, 0);
    infer_cache_close(c);
    c = opened();
    assert_int_equal(infer_cache_get(c, key_of(1), &x, &n), 1);
    assert_int_equal(n, 1000);
    assert_memory_equal(x, sound, sizeof sound);
    free(x);
    assert_int_equal(infer_cache_get(c, key_of(2), &x, &n), 1);
    assert_int_equal(n, 0);
    free(x);
    assert_int_equal(infer_cache_get(c, key_of(3), &x, &n), 0);
    infer_cache_figures(c, &found, &kept);
    assert_true(found == 2 && kept == 0);
    infer_cache_close(c);
    assert_int_equal(infer_cache_get(NULL, key_of(1), &x, &n), 0); /* no cache */
    infer_cache_put(NULL, key_of(1), sound, 1000);
    infer_cache_close(NULL);
}

static void keys_say_everything_that_was_added(void **state)
{
    (void)state;
    enum { N = 3072 };
    static infer_key keys[N];
    for (int i = 0; i < N; i++) {
        const int bits = i & 1023;
        keys[i] = infer_key_of(i < 1024 ? "a" : "b");
        if (i & 2048)
            infer_key_text(&keys[i], "");
        infer_key_add(&keys[i], &bits, i & 1 ? sizeof bits : 2);
        for (int k = 0; k < i; k++)
            if (keys[k].a == keys[i].a || keys[k].b == keys[i].b)
                fail_msg("keys %d and %d", k, i);
    }
    /* the same bytes cut elsewhere are something else */
    infer_key a = infer_key_of("x"), b = a;
    infer_key_add(&a, "abcd", 4);
    infer_key_add(&b, "ab", 2);
    infer_key_add(&b, "cd", 2);
    assert_true(a.a != b.a);
}

static void damaged_files_are_missing_and_go(void **state)
{
    static const struct { long at; const char *bytes; } damage[] = { { 0, "X" }, { 8, "\x01\x02" }, { 24, "\xff\xff\xff\xff\xff\xff\xff\x7f" },
                                                                     { 24, "\x01" }, { 300, "\x55\x01" }, { 32, "zz" } };
    (void)state;
    float *x = NULL;
    int64_t n = 0;
    infer_cache *c = opened();
    for (size_t i = 0; i <= sizeof damage / sizeof *damage; i++) {
        infer_cache_put(c, key_of(7), sound, 1000);
        if (i < sizeof damage / sizeof *damage) {
            FILE *f = fopen(the_file(), "r+b");
            fseek(f, damage[i].at, SEEK_SET);
            fputs(damage[i].bytes, f);
            fclose(f);
        } else
            assert_int_equal(truncate(the_file(), 500), 0);
        const char *path = the_file();
        assert_int_equal(infer_cache_get(c, key_of(7), &x, &n), 0);
        assert_false(bl_is_file(path));
    }
    infer_cache_put(c, key_of(7), sound, 1000); /* and is made again */
    assert_int_equal(infer_cache_get(c, key_of(7), &x, &n), 1);
    free(x);
    infer_cache_close(c);
}

static void the_longest_unused_go_when_there_is_too_much(void **state)
{
    (void)state;
    float *x = NULL;
    int64_t n = 0;
    infer_cache *c = opened();
    const struct timespec moment = { 0, 20000000 };
    for (int i = 0; i < 10; i++) {
        infer_cache_put(c, key_of(i), sound, 1000);
        nanosleep(&moment, NULL);
    }
    assert_int_equal(infer_cache_get(c, key_of(0), &x, &n), 1); /* used again */
    free(x);
    infer_cache_limit(c, 5 * 4100);
    infer_cache_close(c);
    c = opened();
    int there = 0;
    for (int i = 0; i < 10; i++)
        if (infer_cache_get(c, key_of(i), &x, &n)) {
            there |= 1 << i;
            free(x);
        }
    assert_int_equal(there, 1 << 0 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 9);
    infer_cache_close(c);
}

static void a_folder_that_cannot_be_is_named(void **state)
{
    (void)state;
    bl_error err = { 0 };
    assert_int_equal(bl_write_file(temporary_path("file"), "x", 1, NULL), BL_OK);
    assert_null(infer_cache_open(temporary_path("file"), &err));
    assert_message(err, "file");
    unlink(temporary_path("file"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_was_kept_comes_back_and_nothing_else, clear),
        cmocka_unit_test_setup(keys_say_everything_that_was_added, clear),
        cmocka_unit_test_setup(damaged_files_are_missing_and_go, clear),
        cmocka_unit_test_setup(the_longest_unused_go_when_there_is_too_much, clear),
        cmocka_unit_test_setup(a_folder_that_cannot_be_is_named, clear),
    };
    return cmocka_run_group_tests(tests, temporary_make, done);
}
