/* A parallel region that is not worth its threads (`#pragma omp parallel for if (n > ...)`, or one thread in all) runs as a
 * plain call. GCC's libgomp would allocate a team for it, start it and free it again: 0.5 microseconds each, hundreds of
 * times in a training step, and from the heap. The linker sends GOMP_parallel here (--wrap, see Makefile); whoever links
 * without that, or compiles with another OpenMP, gets that library's own way and the same results. What must not stand in a
 * region because of this is in base/parallel.h. */
#include <omp.h>

typedef void region(void *data);

void __real_GOMP_parallel(region *run, void *data, unsigned n_threads, unsigned flags);
void __wrap_GOMP_parallel(region *run, void *data, unsigned n_threads, unsigned flags);

void __wrap_GOMP_parallel(region *run, void *data, unsigned n_threads, unsigned flags)
{
    /* n_threads 0: as many as there are. Inside a region the thread's number in its team would be the wrong one. */
    if ((n_threads == 1 || (n_threads == 0 && omp_get_max_threads() == 1)) && !omp_in_parallel())
        run(data);
    else
        __real_GOMP_parallel(run, data, n_threads, flags);
}
