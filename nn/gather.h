/* What gather and scatter_add share: torch's way of naming elements by an index along one dimension.
 *
 * x [.. n ..] and index have the same rank; along every other dimension index is no longer than x. The line of index at some
 * place of the other dimensions speaks of the line of x at the same place, so lines never meet: threads share them out. */
#ifndef BL_NN_GATHER_H
#define BL_NN_GATHER_H

#include "nn/class_index.h"

typedef struct nn_gather_opt {
    int      dim;
    nn_shape shape;     /* scatter_add: of its output */
} nn_gather_opt;

/* index against x: shapes and values. */
bl_status nn_gather_check(const nn_shape *x, const nn_node *index, int dim, const char *op, bl_error *err);

/* Line number i of index: where it starts in x and in index. */
typedef struct nn_gather_line { int64_t x, index; } nn_gather_line;
nn_gather_line nn_gather_line_at(const nn_shape *x, const nn_shape *index, int dim, int64_t i);
/* Elements from one entry of a line to the next. */
int64_t nn_gather_step(const nn_shape *shape, int dim);

#endif
