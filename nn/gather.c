#include "nn/gather.h"

bl_status nn_gather_check(const nn_shape *x, const nn_node *index, int dim, const char *op, bl_error *err)
{
    char a[96], b[96];
    int fits = x->rank == index->shape.rank && dim >= 0 && dim < x->rank;
    for (int d = 0; d < x->rank && fits; d++)
        fits = d == dim || index->shape.dim[d] <= x->dim[d];
    if (!fits)
        return bl_fail(err, BL_ESHAPE, "%s along dimension %d: %s and indices %s; expected the same rank, and indices nowhere longer "
                                       "but along it", op, dim, nn_shape_str(x, a), nn_shape_str(&index->shape, b));
    return nn_check_class_index(index, x->dim[dim], op, err);
}

int64_t nn_gather_step(const nn_shape *shape, int dim)
{
    int64_t step = 1;
    for (int d = dim + 1; d < shape->rank; d++)
        step *= shape->dim[d];
    return step;
}

nn_gather_line nn_gather_line_at(const nn_shape *x, const nn_shape *index, int dim, int64_t i)
{
    nn_gather_line at = { 0, 0 };
    int64_t x_step = 1, index_step = 1;
    for (int d = x->rank - 1; d >= 0; d--) {
        if (d != dim) {
            const int64_t place = i % index->dim[d];
            i /= index->dim[d];
            at.x += place * x_step;
            at.index += place * index_step;
        }
        x_step *= x->dim[d];
        index_step *= index->dim[d];
    }
    return at;
}
