/* What the elementwise ops of one input share. Include in the op's own file: NN_UNARY_KERNEL defines `forward`,
 * nn_same_shape_rule copies the shape.
 *
 * Gradients without a rule of one's own: y = f(v) names as `derivative` the op u f'(v) of the inputs (u, v), that one names
 * u f''(v) as its own, and nn_unary_backward differentiates all of them. v is the input of f, or its output with `by_output`:
 * then the input need not be kept. f piecewise linear: the chain ends after f', which counts as constant. f'' is the last one of
 * any other chain: it ends with nn_unary_last_backward, which answers a third derivative with an error. */
#ifndef BL_NN_UNARY_H
#define BL_NN_UNARY_H

#include "nn/ops.h"

#include <tgmath.h>

/* Shape of y is that of in[0]; further inputs (of gradient ops) must have it too. */
bl_status nn_same_shape_rule(nn_node *y, bl_error *err);

void nn_unary_backward(nn_tape *tape, nn_node *y, nn_node *dy, nn_node **din);
void nn_unary_last_backward(nn_tape *tape, nn_node *y, nn_node *dy, nn_node **din);

/* The fields that all links of such a chain have alike: f itself, u f'(v) with a further derivative, the last u f''(v), and
 * u f'(v) of a piecewise linear f. */
#define NN_UNARY_OP .min_in = 1, .max_in = 1, .shape = nn_same_shape_rule, .in_place = 1, .forward = forward, \
                    .backward = nn_unary_backward
#define NN_UNARY_GRAD .min_in = 2, .max_in = 2, .shape = nn_same_shape_rule, .in_place = 1, .unread = NN_READ_OUT, \
                      .backward = nn_unary_backward
#define NN_UNARY_LAST .min_in = 2, .max_in = 2, .shape = nn_same_shape_rule, .in_place = 1, .unread = NN_READ_IN(0) | NN_READ_OUT, \
                      .backward = nn_unary_last_backward
#define NN_UNARY_STEP .min_in = 2, .max_in = 2, .no_grad = 1u << 1, .shape = nn_same_shape_rule, .in_place = 1, .unread = NN_READ_IN(0) | NN_READ_OUT, \
                      .backward = nn_unary_backward

/* Fills y with EXPR of the scalar `u` (from in[0]) and, for gradient ops of two inputs, `v` (from in[1]).
 * SETUP declares what the expression needs of the attributes. */
#define NN_UNARY_KERNEL(NAME, SETUP, EXPR)                                                                    \
    static void NAME(nn_tape *tape, nn_node *y)                                                               \
    {                                                                                                         \
        const int64_t n = nn_count(&y->shape);                                                                \
        const real *a = y->in[0]->x, *b = y->n_in > 1 ? y->in[1]->x : a;                                      \
        real *out = y->x; /* may be a: each element is read before it is written (op.h: in_place) */          \
        SETUP;                                                                                                \
        (void)tape;                                                                                           \
        (void)b;                                                                                              \
        _Pragma("omp parallel for simd schedule(static) if (parallel : n > NN_PARALLEL_MIN)")                            \
        for (int64_t i = 0; i < n; i++) {                                                                     \
            const real u = a[i], v = b[i];                                                                    \
            (void)v;                                                                                          \
            out[i] = EXPR;                                                                                    \
        }                                                                                                     \
    }

#endif
