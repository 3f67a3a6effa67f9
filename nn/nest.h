/* A tensor of at most four dimensions walked together with others that broadcast to its shape: four loops, the innermost
 * over contiguous or constant data of each. What elementwise ops, sums, norms and permutations share. */
#ifndef BL_NN_NEST_H
#define BL_NN_NEST_H

#include "nn/tape.h"

enum { NN_NEST_OPERANDS = 4 };

typedef struct nn_nest {
    int64_t n[4];                       /* outermost first; n[3] is the inner loop           */
    int64_t step[NN_NEST_OPERANDS][4];  /* of each operand, in elements; 0 where it repeats  */
} nn_nest;

/* Dimensions of size 1 are left out, neighbours that all operands walk as one are merged. Operands broadcast to shape by
 * NumPy's rule: checked before. */
nn_nest nn_nest_of(const nn_shape *shape, int n_operands, const nn_shape *const *operand);

/* The same from strides: stride[k] holds one for each dimension of shape. */
nn_nest nn_nest_strided(const nn_shape *shape, int n_operands, const int64_t (*stride)[NN_MAX_RANK]);

/* Element of operand k at row r of the three outer loops. */
static inline int64_t nn_nest_at(const nn_nest *l, int k, int64_t r)
{
    return r / l->n[2] / l->n[1] * l->step[k][0] + r / l->n[2] % l->n[1] * l->step[k][1] + r % l->n[2] * l->step[k][2];
}

#endif
