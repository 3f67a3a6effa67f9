#include "nn/norm.h"

extern const nn_op nn_op_normalize; /* nn/ops/normalize.c */

nn_shape nn_norm_groups(const nn_shape *x, unsigned over)
{
    nn_shape s = *x;
    for (int d = 0; d < s.rank; d++)
        if (over & 1u << d)
            s.dim[d] = 1;
    return s;
}

int64_t nn_norm_size(const nn_shape *x, unsigned over)
{
    int64_t n = 1;
    for (int d = 0; d < x->rank; d++)
        if (over & 1u << d)
            n *= x->dim[d];
    return n;
}

nn_node *nn_norm_row(nn_tape *t, nn_node *both, int row, nn_shape shape)
{
    return nn_reshape(t, nn_slice(t, both, 0, row, row + 1), shape);
}

nn_reduction nn_reduction_of(const nn_shape *x, const nn_shape *out, const nn_shape *second, const nn_shape *third)
{
    const nn_shape *operands[NN_NEST_OPERANDS] = { out, x, second, third };
    nn_reduction r = { .nest = nn_nest_of(x, third ? 4 : second ? 3 : 2, operands), .outputs = 1, .terms = 1 };
    r.inner_kept = r.nest.step[0][3] != 0;
    for (int d = 0; d < 3; d++) {
        const int keeps = r.nest.step[0][d] != 0;
        const int64_t n = r.nest.n[d], at_least_1 = n > 0 ? n : 1; /* nn_reduction_at divides by them, of empty axes too */
        r.kept[d] = keeps ? at_least_1 : 1;
        r.summed[d] = keeps ? 1 : at_least_1;
        *(keeps ? &r.outputs : &r.terms) *= n;
    }
    return r;
}

nn_node *nn_norm(nn_tape *t, nn_node *x, nn_node *moments, nn_node *weight, nn_node *bias, unsigned over, double eps)
{
    if (!moments) { /* constants for the tape: dx of the op is the whole derivative */
        const int was = nn_tape_record(t, 0);
        moments = nn_moments(t, x, over);
        nn_tape_record(t, was);
    }
    return nn_apply(t, &nn_op_normalize, &(nn_norm_attr){ over, eps, 1 }, weight ? 4 : 2,
                    (nn_node *const[]){ x, moments, weight, bias });
}

nn_node *nn_normalize(nn_tape *t, nn_node *x, nn_node *moments, nn_node *weight, nn_node *bias, unsigned over, double eps)
{
    return nn_apply(t, &nn_op_normalize, &(nn_norm_attr){ over, eps, 0 }, weight ? 4 : 2,
                    (nn_node *const[]){ x, moments, weight, bias });
}
