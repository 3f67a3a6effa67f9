/* Reductions that are composed of ops, over the dimensions of a mask, which become 1. Exact to any order. */
#include "nn/ops.h"

nn_node *nn_var_dims(nn_tape *t, nn_node *x, unsigned mask, int unbiased)
{
    nn_node *s = nn_sum_dims(t, nn_square(t, nn_sub(t, x, nn_mean_dims(t, x, mask))), mask);
    if (t->err.code)
        return NULL;
    const int64_t n = nn_count(&s->shape) ? nn_count(&x->shape) / nn_count(&s->shape) : 0;
    return nn_affine(t, s, 1 / ((double)n - (unbiased != 0)), 0);
}

nn_node *nn_std_dims(nn_tape *t, nn_node *x, unsigned mask, int unbiased)
{
    return nn_sqrt(t, nn_var_dims(t, x, mask, unbiased));
}

/* Of a vector of zeros the gradient is 0, as torch's: the root is taken of 1 instead, and the result multiplied by 0. */
nn_node *nn_norm_dims(nn_tape *t, nn_node *x, unsigned mask)
{
    nn_node *s = nn_sum_dims(t, nn_square(t, x), mask);
    if (t->err.code)
        return NULL;
    nn_node *is_positive = nn_step(t, s);
    return nn_mul(t, is_positive, nn_sqrt(t, nn_where(t, is_positive, s, nn_full(t, s->shape, 1))));
}
