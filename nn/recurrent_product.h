/* Products with recurrent weights: a few examples at a time, weights packed once and used at every step.
 *
 *     y[r, j] = sum over k of a[r, k] w[k, j],   j in one panel of n_gates x 16 columns
 *
 * Shapes   a [rows, n_in], lda apart; rows <= NN_RECURRENT_TILE. panel [n_in, n_gates, 16]; y [rows, n_gates, 16].
 * Threads  The sum over k runs in order whatever rows is: the same bits for an example alone and among others.
 */
#ifndef BL_NN_RECURRENT_PRODUCT_H
#define BL_NN_RECURRENT_PRODUCT_H

#include "base/real.h"

#include <stdint.h>

/* n_gates 3 or 4. */
void nn_recurrent_product(int n_gates, int64_t rows, const real *a, int64_t lda, const real *panel, int64_t n_in, real *y);

/* Panels of a matrix w: column c of input k is w[k * step_in + c * step_column], c below n. Of gates: panel p holds units
 * 16 p .. of every gate, gate g's unit j being column g n / n_gates + j. Plain: panel p holds columns 64 p .., n_gates 4.
 * Columns beyond the last are zeros. */
int64_t nn_recurrent_packed_count(int64_t n_in, int n_gates, int64_t n);
int64_t nn_recurrent_packed_plain_count(int64_t n_in, int64_t n);
void    nn_recurrent_pack(const real *w, int64_t n_in, int64_t step_in, int n_gates, int64_t n, int64_t step_column, real *packed);
void    nn_recurrent_pack_plain(const real *w, int64_t n_in, int64_t step_in, int64_t n, int64_t step_column, real *packed);

#endif
