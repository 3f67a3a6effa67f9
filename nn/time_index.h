/* Attributes of gather_time and scatter_time, each other's gradient: positions along the last dimension. */
#ifndef BL_NN_TIME_INDEX_H
#define BL_NN_TIME_INDEX_H

#include "nn/ops.h"

#include <string.h>

typedef struct nn_time_index {
    const int64_t *index;    /* [rows, n], on the tape; values in 0 .. n_source - 1        */
    int64_t        rows;     /* 1: the same for all; else one row for each example (dim 0) */
    int64_t        n;        /* samples of the gathered side                               */
    int64_t        n_source; /* samples of the side gathered from                          */
    const struct nn_time_run *run; /* [rows], on the tape; NULL: none                      */
} nn_time_index;

/* The longest stretch start <= j < stop with index[j] = j + shift: all but the edges, as a rule, and copied as a whole. */
typedef struct nn_time_run { int64_t start, stop, shift; } nn_time_run;

/* Copies the positions to the tape; NULL with tape->err set when one lies outside 0 .. n_source - 1. */
const int64_t *nn_time_index_copy(nn_tape *tape, const char *op, const int64_t *index, int64_t count, int64_t n_source);
/* The longest run of each row of positions; NULL with tape->err set without memory. */
const nn_time_run *nn_time_runs(nn_tape *tape, const int64_t *index, int64_t rows, int64_t n);
nn_node *nn_gather_time_by(nn_tape *tape, nn_node *x, const nn_time_index *by);
nn_node *nn_scatter_time_by(nn_tape *tape, nn_node *x, const nn_time_index *by);

/* A large memcpy is one string instruction in glibc, which Zen 4 runs at half the speed when target and source lie a few
 * bytes apart modulo 4096, as they do here: so in pieces. */
static inline void nn_time_copy(real *to, const real *from, int64_t n)
{
    enum { PIECE = 2048 / sizeof(real) };
    for (int64_t i = 0; i < n; i += PIECE)
        memcpy(to + i, from + i, (size_t)(n - i < PIECE ? n - i : PIECE) * sizeof *to);
}

/* For examples of both ops: "shared" or "per_example", 7 positions among 5 samples. */
int nn_time_index_parse(const char *text, void *attr);

#endif
