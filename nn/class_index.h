/* What ops with whole-number inputs (embedding, pick) share. Indices come as reals, fractions are cut. */
#ifndef BL_NN_CLASS_INDEX_H
#define BL_NN_CLASS_INDEX_H

#include "nn/ops.h"

/* BL_EARG unless every value lies in 0 .. n - 1 (on a dry tape there are none). */
static inline bl_status nn_check_class_index(const nn_node *index, int64_t n, const char *op, bl_error *err)
{
    for (int64_t i = 0, count = index->x ? nn_count(&index->shape) : 0; i < count; i++)
        if (!(index->x[i] >= 0 && index->x[i] < (real)n))
            return bl_fail(err, BL_EARG, "%s: index %g lies outside 0..%lld", op, (double)index->x[i], (long long)n - 1);
    return BL_OK;
}

#endif
