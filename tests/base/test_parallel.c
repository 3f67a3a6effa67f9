/* Parallel regions of one thread, which base/parallel.c runs as plain calls. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/parallel.h"

#include <omp.h>

/* Adds 1 to `n` counters, in a region with a queue of its own. */
static void count(int *counter, int n, int threads)
{
    int64_t next = 0;
#pragma omp parallel num_threads(threads)
    {
        for (int64_t i; (i = bl_take(&next)) < n;)
            counter[i]++;
    }
}

static void queues_inside_one_another_give_every_turn_once(void **state)
{
    (void)state;
    for (int outer = 1; outer <= 2; outer++)
        for (int inner = 1; inner <= 2; inner++) {
            int counter[7][5] = { { 0 } };
            int64_t next = 0;
#pragma omp parallel num_threads(outer)
            {
                for (int64_t i; (i = bl_take(&next)) < 7;)
                    count(counter[i], 5, inner);
            }
            for (int i = 0; i < 35; i++)
                assert_int_equal(counter[i / 5][i % 5], 1);
        }
}

static void a_region_of_one_thread_is_thread_0_of_1(void **state)
{
    int number = -1, of = -1;
    (void)state;
#pragma omp parallel num_threads(1)
    {
        number = omp_get_thread_num();
        of = omp_get_num_threads();
    }
    assert_int_equal(number, 0);
    assert_int_equal(of, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queues_inside_one_another_give_every_turn_once),
        cmocka_unit_test(a_region_of_one_thread_is_thread_0_of_1),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
