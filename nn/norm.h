/* Normalisation over any dimensions, with gradients in few passes over memory: what the norm layers are made of.
 *
 *     mean, var of x over the dimensions of `over` (var biased);  y = (x - mean) / sqrt(var + eps) * weight + bias
 *
 * Shapes   x any; moments [2, G]: all means, then all variances, G groups in the order of the dimensions that stay;
 *          weight, bias: broadcast to x by NumPy's rule, or both NULL
 *          batch norm: x [B, C, T] over 0 and 2, weight [C, 1]. Layer norm of channels: over 1. Instance norm: over 2. Group
 *          norm: x [B, G, C/G, T] over 2 and 3, weight [G, C/G, 1]
 * Threads  Sums run in double, each output in one thread: the same bits at any number of threads.
 * Cost     moments: one pass over x. normalize: one more and a write. Its gradient: one pass over x and dy for the sums, another
 *          for dx; where weights and groups are the same (batch norm), the sums for dx, weight and bias are one.
 */
#ifndef BL_NN_NORM_H
#define BL_NN_NORM_H

#include "nn/nest.h"
#include "nn/ops.h"

nn_node *nn_moments(nn_tape *t, nn_node *x, unsigned over);

/* Moments that are constants (the running values of batch norm). */
nn_node *nn_normalize(nn_tape *t, nn_node *x, nn_node *moments, nn_node *weight, nn_node *bias, unsigned over, double eps);

/* The moments of x itself: gradients go through them. Two steps, so that the caller sees the moments (NULL: made here). */
nn_node *nn_norm(nn_tape *t, nn_node *x, nn_node *moments, nn_node *weight, nn_node *bias, unsigned over, double eps);

/* ---- for the ops ---- */

typedef struct nn_norm_attr {
    unsigned over;
    double   eps;
    int      total;   /* normalize: moments are functions of x, and dx is the whole derivative */
} nn_norm_attr;

/* x with the dimensions of `over` 1; and how many values each group has. */
nn_shape nn_norm_groups(const nn_shape *x, unsigned over);
int64_t  nn_norm_size(const nn_shape *x, unsigned over);

/* Row 0 or 1 of [2, n] as `shape`. */
nn_node *nn_norm_row(nn_tape *t, nn_node *both, int row, nn_shape shape);

/* Loops over x for a sum to `out` (operand 0); x itself is operand 1, further operands follow. */
typedef struct nn_reduction {
    nn_nest nest;
    int64_t kept[3], summed[3];  /* sizes of the outer loops that stay, and of those that are summed */
    int64_t outputs, terms;      /* their products                                                   */
    int     inner_kept;
} nn_reduction;

nn_reduction nn_reduction_of(const nn_shape *x, const nn_shape *out, const nn_shape *second, const nn_shape *third);

/* Element of operand k at output o and term i. */
static inline int64_t nn_reduction_at(const nn_reduction *r, int k, int64_t o, int64_t i)
{
    const int64_t *a = r->kept, *b = r->summed, *step = r->nest.step[k];
    return (o / a[2] / a[1] + i / b[2] / b[1]) * step[0] + (o / a[2] % a[1] + i / b[2] % b[1]) * step[1] +
           (o % a[2] + i % b[2]) * step[2];
}

enum { NN_REDUCTION_TILE = 128 };

#endif
