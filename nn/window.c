#include "nn/window.h"

#include <string.h>

nn_window nn_window_of(const nn_shape *s, int dim)
{
    nn_window w = { 1, s->dim[dim], 1 };
    for (int d = 0; d < dim; d++)
        w.outer *= s->dim[d];
    for (int d = dim + 1; d < s->rank; d++)
        w.inner *= s->dim[d];
    return w;
}

void nn_window_copy(real *to, nn_window tw, int64_t to_start, const real *from, nn_window fw, int64_t from_start,
                    int64_t count)
{
    const int64_t n = count * tw.inner;
    if (n <= 0)
        return;
#pragma omp parallel for schedule(static) if (tw.outer * n > NN_PARALLEL_MIN && tw.outer > 1)
    for (int64_t o = 0; o < tw.outer; o++)
        memcpy(to + (o * tw.n + to_start) * tw.inner, from + (o * fw.n + from_start) * fw.inner,
               (size_t)n * sizeof(real));
}
