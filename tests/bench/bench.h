/* Benchmarks beside PyTorch: what is measured (cases.c), how (bench.c), and the limits of the machine (machine.c). */
#ifndef BL_TESTS_BENCH_H
#define BL_TESTS_BENCH_H

#include "base/error.h"
#include "nn/tape.h"

/* One measured quantity; peers.py has the same under the same name. */
typedef struct bench_case {
    const char *name;
    const char *unit;
    int         is_rate;       /* more is better; else a time                                                    */
    int         max_threads;   /* 0: any number                                                                  */
    double      target;        /* how many times faster than PyTorch 1.13 is wanted                              */
    double      flops, bytes;  /* needed for one unit of a rate, or for the whole time: the floor. bytes: those that
                                  come from the last cache, 0 where arithmetic binds                            */
    bl_status (*run)(const struct bench_case *c, bl_error *err); /* measures, in a process of its own           */
    int         size, batch;   /* the case's own: model size, examples or streams                                */
} bench_case;

extern const bench_case bench_cases[]; /* name NULL at the end */

/* For run: calls step once to warm up, then until the time of the command line is over, at least twice; step returns
 * what it measured in the case's unit, NaN when it failed. Hands every measurement on. The tape is what --profile looks
 * at. */
void bench_measure(nn_tape *tape, double (*step)(void *state), void *state);

/* Measured, this number of threads: fp32 multiply-adds in registers, FLOP/s; reads of 8 MB that stay in the last cache,
 * bytes/s. */
double bench_peak_flops(int threads);
double bench_cache_bandwidth(int threads);

#endif
