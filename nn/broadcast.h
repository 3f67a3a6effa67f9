/* What the elementwise ops of two inputs share: NumPy's broadcasting rule, and a loop nest of at most four levels
 * whose innermost one walks contiguous or constant data. Include in the op's own file and use NN_BINARY_KERNEL. */
#ifndef BL_NN_BROADCAST_H
#define BL_NN_BROADCAST_H

#include "nn/ops.h"

#include <tgmath.h>

/* Shape rule; used as nn_op.shape of add, sub, mul, div. */
bl_status nn_broadcast_shape(nn_node *y, bl_error *err);

/* Gradient for an input of smaller shape: sums over what was broadcast. */
nn_node *nn_unbroadcast(nn_tape *tape, nn_node *g, const nn_node *in);

typedef struct nn_loops {
    int64_t n[4];           /* outermost first; n[3] is the inner loop */
    int64_t a[4], b[4];     /* strides in elements, 0 where broadcast  */
} nn_loops;

nn_loops nn_broadcast_loops(const nn_node *y);

/* Fills y with EXPR of the scalars `u` (from in[0]) and `v` (from in[1]). */
#define NN_BINARY_KERNEL(NAME, EXPR)                                                                          \
    static void NAME##_row(real *restrict out, const real *a, int64_t sa, const real *b, int64_t sb, int64_t n) \
    {                                                                                                         \
        if (sa && sb)                                                                                         \
            for (int64_t i = 0; i < n; i++) {                                                                 \
                const real u = a[i], v = b[i];                                                                \
                out[i] = EXPR;                                                                                \
            }                                                                                                 \
        else if (sa)                                                                                          \
            for (int64_t i = 0; i < n; i++) {                                                                 \
                const real u = a[i], v = b[0];                                                                \
                out[i] = EXPR;                                                                                \
            }                                                                                                 \
        else                                                                                                  \
            for (int64_t i = 0; i < n; i++) {                                                                 \
                const real u = a[0], v = b[i * sb];                                                           \
                out[i] = EXPR;                                                                                \
            }                                                                                                 \
    }                                                                                                         \
    static void NAME(nn_tape *tape, nn_node *y)                                                               \
    {                                                                                                         \
        const nn_loops l = nn_broadcast_loops(y);                                                             \
        const int64_t inner = l.n[3] > NN_PARALLEL_MIN ? NN_PARALLEL_MIN : l.n[3];                            \
        const int64_t pieces = inner ? (l.n[3] + inner - 1) / inner : 0;                                      \
        const int64_t rows = l.n[0] * l.n[1] * l.n[2] * pieces;                                               \
        const real *a = y->in[0]->x, *b = y->in[1]->x;                                                        \
        (void)tape;                                                                                           \
        _Pragma("omp parallel for schedule(static) if (rows > 1 && rows * inner > NN_PARALLEL_MIN)")          \
        for (int64_t r = 0; r < rows; r++) {                                                                  \
            const int64_t p = r % pieces, i2 = r / pieces % l.n[2], i1 = r / pieces / l.n[2] % l.n[1];        \
            const int64_t i0 = r / pieces / l.n[2] / l.n[1], start = p * inner;                               \
            const int64_t count = l.n[3] - start < inner ? l.n[3] - start : inner;                            \
            NAME##_row(y->x + (r / pieces) * l.n[3] + start,                                                  \
                       a + i0 * l.a[0] + i1 * l.a[1] + i2 * l.a[2] + start * l.a[3], l.a[3],                  \
                       b + i0 * l.b[0] + i1 * l.b[1] + i2 * l.b[2] + start * l.b[3], l.b[3], count);          \
        }                                                                                                     \
    }

#endif
