/* What the elementwise ops of two inputs share: NumPy's broadcasting rule and its loops (nn/nest.h). Include in the op's own file and use NN_BINARY_KERNEL. */
#ifndef BL_NN_BROADCAST_H
#define BL_NN_BROADCAST_H

#include "nn/nest.h"
#include "nn/ops.h"

#include <tgmath.h>

/* Shape rule; used as nn_op.shape of add, sub, mul, div. */
bl_status nn_broadcast_shape(nn_node *y, bl_error *err);

/* Gradient for an input of smaller shape: sums over what was broadcast. */
nn_node *nn_unbroadcast(nn_tape *tape, nn_node *g, const nn_node *in);

nn_nest nn_broadcast_nest(const nn_node *y);

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
        const nn_nest l = nn_broadcast_nest(y);                                                               \
        const int64_t inner = l.n[3] > NN_PARALLEL_MIN ? NN_PARALLEL_MIN : l.n[3];                            \
        const int64_t pieces = inner ? (l.n[3] + inner - 1) / inner : 0;                                      \
        const int64_t rows = l.n[0] * l.n[1] * l.n[2] * pieces, sa = l.step[0][3], sb = l.step[1][3];         \
        const real *a = y->in[0]->x, *b = y->in[1]->x;                                                        \
        (void)tape;                                                                                           \
        _Pragma("omp parallel for schedule(static) if (rows > 1 && rows * inner > NN_PARALLEL_MIN)")          \
        for (int64_t r = 0; r < rows; r++) {                                                                  \
            const int64_t row = r / pieces, start = r % pieces * inner;                                       \
            NAME##_row(y->x + row * l.n[3] + start, a + nn_nest_at(&l, 0, row) + start * sa, sa,              \
                       b + nn_nest_at(&l, 1, row) + start * sb, sb,                                           \
                       l.n[3] - start < inner ? l.n[3] - start : inner);                                      \
        }                                                                                                     \
    }

#endif
