#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void blocks_are_aligned_and_apart(void **state)
{
    bl_arena a = { 0 };
    unsigned char *block[200];
    (void)state;
    for (int i = 0; i < 200; i++) {
        block[i] = bl_arena_alloc(&a, (size_t)i * 37);
        assert_non_null(block[i]);
        assert_int_equal((uintptr_t)block[i] % 64, 0);
        memset(block[i], i, (size_t)i * 37);
    }
    for (int i = 0; i < 200; i++)
        for (int j = 0; j < i * 37; j++)
            assert_int_equal(block[i][j], i);
    bl_arena_free(&a);
}

static void a_second_round_takes_nothing_from_the_heap(void **state)
{
    static const size_t sizes[] = { 100, 3u << 20, 7, 900000, 200000, 5u << 20, 1 };
    bl_arena a = { 0 };
    void *first[7];
    size_t reserved = 0;
    (void)state;
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 7; i++) {
            void *p = bl_arena_alloc(&a, sizes[i]);
            if (round == 0)
                first[i] = p;
            assert_ptr_equal(p, first[i]);
            memset(p, round, sizes[i]);
        }
        if (round == 0)
            reserved = a.reserved_bytes;
        assert_int_equal(a.reserved_bytes, reserved);
        bl_arena_reset(&a);
        assert_int_equal(a.used_bytes, 0);
    }
    assert_true(a.peak_bytes >= 9u << 20);
    bl_arena_free(&a);
    assert_null(a.first);
    bl_arena_free(&a);
}

static void a_size_nobody_has_gives_null(void **state)
{
    bl_arena a = { 0 };
    (void)state;
    assert_null(bl_arena_alloc(&a, SIZE_MAX));
    assert_null(bl_arena_alloc(&a, SIZE_MAX - 64));
    assert_non_null(bl_arena_alloc(&a, 10));
    bl_arena_free(&a);
}

static void texts_are_copied(void **state)
{
    bl_arena a = { 0 };
    char text[] = "generator/3";
    (void)state;
    const char *copy = bl_arena_strdup(&a, text);
    text[0] = 'x';
    assert_string_equal(copy, "generator/3");
    bl_arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_aligned_and_apart),
        cmocka_unit_test(a_second_round_takes_nothing_from_the_heap),
        cmocka_unit_test(a_size_nobody_has_gives_null),
        cmocka_unit_test(texts_are_copied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
