/* The next of some tasks, for the threads of one region: dynamic scheduling without a `#pragma omp for schedule(dynamic)`.
 *
 *     int64_t next = 0;
 *     #pragma omp parallel
 *     {
 *         for (int64_t i; (i = bl_take(&next)) < n;)
 *             ...
 *     }
 *
 * Such a loop keeps its place in the thread's team, and base/parallel.c runs regions of one thread without a team: of two of
 * them inside one another, the inner one would take the outer one's place away. `parallel for schedule(dynamic)` in one
 * line is fine: it always has a team. `make lint` looks for the other.
 *
 * Tested   tests/base/test_parallel.c
 */
#ifndef BL_BASE_PARALLEL_H
#define BL_BASE_PARALLEL_H

#include <stdint.h>

static inline int64_t bl_take(int64_t *next)
{
    int64_t i;
#pragma omp atomic capture
    i = (*next)++;
    return i;
}

#endif
