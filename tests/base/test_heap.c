/* The heap of the tape: blocks keep apart, neighbours join, and the same requests on paper end at the same byte. */
#include "base/heap.h"
#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { SLOTS = 200 };

/* Random requests and releases; the top that they reach. */
static size_t churn(bl_heap *h, int check)
{
    static bl_block *slot[SLOTS];
    static size_t size[SLOTS];
    bl_rng rng;
    bl_rng_seed(&rng, 7);
    memset(slot, 0, sizeof slot);
    for (int step = 0; step < 20000; step++) {
        const int i = (int)bl_rng_below(&rng, SLOTS);
        if (slot[i]) {
            unsigned char *p = slot[i]->data;
            for (size_t k = 0; check && k < size[i]; k += size[i] < 64 ? 1 : size[i] / 64)
                assert_int_equal(p[k], i);
            bl_heap_release(h, slot[i]);
            slot[i] = NULL;
        } else {
            size[i] = (size_t)bl_rng_below(&rng, 10) ? (size_t)bl_rng_below(&rng, 3000) : (size_t)bl_rng_below(&rng, 3 << 20);
            slot[i] = bl_heap_alloc(h, size[i]);
            assert_non_null(slot[i]);
            assert_true(slot[i]->n_bytes >= size[i]);
            assert_int_equal((uintptr_t)slot[i]->data % 64, 0);
            if (check)
                memset(slot[i]->data, i, size[i]);
        }
    }
    return h->top_bytes;
}

static void blocks_keep_apart_and_paper_agrees_to_the_byte(void **state)
{
    bl_heap h;
    size_t top[3];
    (void)state;
    bl_heap_init(&h);
    bl_heap_paper(&h, 1);
    top[0] = churn(&h, 0);
    assert_null(h.base);
    bl_heap_paper(&h, 0);
    assert_int_equal(h.peak_bytes, 0);
    top[1] = churn(&h, 1);
    assert_true(h.in_use_bytes <= h.top_bytes);
    bl_heap_reset(&h);
    assert_int_equal(h.top_bytes, 0);
    assert_int_equal(h.in_use_bytes, 0);
    top[2] = churn(&h, 1);
    assert_int_equal(top[0], top[1]);
    assert_int_equal(top[1], top[2]);
    bl_heap_free(&h);
}

static void free_neighbours_are_one_block_again(void **state)
{
    enum { N = 12, MB = 1 << 20 };
    bl_heap h;
    bl_block *b[N];
    (void)state;
    bl_heap_init(&h);
    for (int i = 0; i < N; i++)
        b[i] = bl_heap_alloc(&h, MB);
    const size_t top = h.top_bytes;
    static const int order[N] = { 3, 1, 2, 7, 5, 6, 4, 0, 11, 9, 10, 8 };
    for (int i = 0; i < N; i++)
        bl_heap_release(&h, b[order[i]]);
    b[0] = bl_heap_alloc(&h, (size_t)N * MB);
    assert_int_equal(h.top_bytes, top);
    bl_heap_release(&h, b[0]);
    b[0] = bl_heap_alloc(&h, (size_t)(N + 1) * MB); /* a free block at the top grows with it */
    assert_true(h.top_bytes <= top + 2 * MB);
    bl_heap_free(&h);
}

static void a_shared_block_lives_until_its_last_user(void **state)
{
    bl_heap h;
    (void)state;
    bl_heap_init(&h);
    bl_block *a = bl_heap_alloc(&h, 100000);
    a->n_users++;
    bl_heap_release(&h, a);
    assert_true(bl_heap_alloc(&h, 100000)->data != a->data);
    bl_heap_release(&h, a);
    assert_ptr_equal(bl_heap_alloc(&h, 100000)->data, a->data);
    bl_heap_free(&h);
}

static size_t resident_bytes(void)
{
    long total = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%ld %ld", &total, &resident), 2);
    fclose(f);
    return (size_t)resident * (size_t)sysconf(_SC_PAGESIZE);
}

static void memory_is_taken_when_it_is_touched(void **state)
{
    enum { MB = 1 << 20 };
    bl_heap h;
    (void)state;
    bl_heap_init(&h);
    const size_t before = resident_bytes();
    bl_block *b = bl_heap_alloc(&h, 200 * MB);
    assert_non_null(b);
    assert_true(resident_bytes() < before + 64 * MB);
    memset(b->data, 1, 100 * MB);
    assert_true(resident_bytes() >= before + 99 * MB);
    bl_heap_free(&h);
    assert_true(resident_bytes() < before + 64 * MB);
}

static void more_than_the_machine_has_gives_null(void **state)
{
    bl_heap h;
    (void)state;
    bl_heap_init(&h);
    assert_null(bl_heap_alloc(&h, SIZE_MAX));
    assert_null(bl_heap_alloc(&h, SIZE_MAX / 8));
    assert_non_null(bl_heap_alloc(&h, 0));
    assert_non_null(bl_heap_alloc(&h, 1 << 20));
    bl_heap_free(&h);
    bl_heap_free(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_keep_apart_and_paper_agrees_to_the_byte),
        cmocka_unit_test(free_neighbours_are_one_block_again),
        cmocka_unit_test(a_shared_block_lives_until_its_last_user),
        cmocka_unit_test(memory_is_taken_when_it_is_touched),
        cmocka_unit_test(more_than_the_machine_has_gives_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
