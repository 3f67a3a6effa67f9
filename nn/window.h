/* A tensor seen as [outer, n, inner] about one dimension: what slice, pad and concat share. */
#ifndef BL_NN_WINDOW_H
#define BL_NN_WINDOW_H

#include "nn/ops.h"

typedef struct nn_window { int64_t outer, n, inner; } nn_window;

nn_window nn_window_of(const nn_shape *shape, int dim);

/* Copies `count` entries of the middle dimension from `from` at `from_start` to `to` at `to_start`. */
void nn_window_copy(real *to, nn_window to_window, int64_t to_start, const real *from, nn_window from_window,
                    int64_t from_start, int64_t count);

#endif
