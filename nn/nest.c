#include "nn/nest.h"

nn_nest nn_nest_strided(const nn_shape *shape, int n_operands, const int64_t (*stride)[NN_MAX_RANK])
{
    nn_nest l = { { 1, 1, 1, 1 }, { { 0 } } };
    int level = 3, empty = 1;
    for (int d = shape->rank - 1; d >= 0; d--) {
        const int64_t n = shape->dim[d];
        if (n == 1)
            continue;
        int merges = !empty;
        for (int k = 0; k < n_operands && merges; k++)
            merges = stride[k][d] == l.step[k][level] * l.n[level];
        if (merges) {
            l.n[level] *= n;
            continue;
        }
        level -= !empty;
        empty = 0;
        l.n[level] = n;
        for (int k = 0; k < n_operands; k++)
            l.step[k][level] = stride[k][d];
    }
    return l;
}

nn_nest nn_nest_of(const nn_shape *shape, int n_operands, const nn_shape *const *operand)
{
    int64_t stride[NN_NEST_OPERANDS][NN_MAX_RANK] = { { 0 } };
    for (int k = 0; k < n_operands; k++) {
        const int missing = shape->rank - operand[k]->rank;
        int64_t step = 1;
        for (int d = shape->rank - 1; d >= missing; d--) {
            const int64_t n = operand[k]->dim[d - missing];
            stride[k][d] = n == 1 ? 0 : step;
            step *= n;
        }
    }
    return nn_nest_strided(shape, n_operands, (const int64_t (*)[NN_MAX_RANK])stride);
}
