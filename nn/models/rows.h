/* What the clustering and the support vector files share: rows of points.
 *
 * Shapes   x [n, dim]; a, b [dim].
 * Note     Sums run in eight lanes, so that they vectorise without reordering flags: the same bits always.
 */
#ifndef BL_NN_MODELS_ROWS_H
#define BL_NN_MODELS_ROWS_H

#include "base/error.h"

#include <stdint.h>

/* BL_ENAN naming row and column of the first number that is not finite; `what` starts the sentence. */
bl_status nn_rows_check(const float *x, int64_t n, int64_t dim, const char *what, bl_error *err);

float  nn_rows_distance2(const float *a, const float *b, int64_t dim); /* squared Euclidean */
double nn_rows_dot(const double *a, const double *b, int64_t dim);

/* Mean and variance (divided by n) of every column; out [dim], variance may be NULL. */
void nn_rows_moments(const float *x, int64_t n, int64_t dim, double *mean, double *variance);

#endif
