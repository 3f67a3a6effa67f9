/* What the elementwise ops of one input share. Include in the op's own file: NN_UNARY_KERNEL defines `forward`,
 * nn_same_shape_rule copies the shape. */
#ifndef BL_NN_UNARY_H
#define BL_NN_UNARY_H

#include "nn/ops.h"

#include <tgmath.h>

/* Shape of y is that of in[0]; further inputs (of gradient ops) must have it too. */
bl_status nn_same_shape_rule(nn_node *y, bl_error *err);

/* Fills y with EXPR of the scalar `u` (from in[0]) and, for gradient ops of two inputs, `v` (from in[1]).
 * SETUP declares what the expression needs of the attributes. */
#define NN_UNARY_KERNEL(NAME, SETUP, EXPR)                                                                    \
    static void NAME(nn_tape *tape, nn_node *y)                                                               \
    {                                                                                                         \
        const int64_t n = nn_count(&y->shape);                                                                \
        const real *restrict a = y->in[0]->x;                                                                 \
        const real *restrict b = y->n_in > 1 ? y->in[1]->x : a;                                               \
        real *restrict out = y->x;                                                                            \
        SETUP;                                                                                                \
        (void)tape;                                                                                           \
        (void)b;                                                                                              \
        _Pragma("omp parallel for simd schedule(static) if (n > NN_PARALLEL_MIN)")                            \
        for (int64_t i = 0; i < n; i++) {                                                                     \
            const real u = a[i], v = b[i];                                                                    \
            (void)v;                                                                                          \
            out[i] = EXPR;                                                                                    \
        }                                                                                                     \
    }

#endif
