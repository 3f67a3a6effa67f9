/* What the three ops of a 1-D convolution share: conv1d, its adjoint in x (conv_transpose1d) and its adjoint in the
 * weight (conv1d_weight_grad). Each one's gradients are the other two, so gradients of any order need nothing more.
 *
 * All three cut time into blocks of fixed length, lay the block out as columns [I*K, block] and multiply: one GEMM
 * a block, blocks in parallel. The cut does not depend on the thread count.
 */
#ifndef BL_NN_CONV_H
#define BL_NN_CONV_H

#include "nn/ops.h"

typedef struct nn_conv_size {
    int64_t B, I, T;        /* the long side: x of conv1d                      */
    int64_t O, U;           /* the strided side: y of conv1d, U = its length   */
    int64_t K, groups, Ig, Og;
    int64_t stride, dilation, pad_left;
} nn_conv_size;

nn_conv1d_opt nn_conv1d_opt_filled(nn_conv1d_opt opt);
/* Reads "stride dilation groups pad_left pad_right length" for op examples. */
int nn_conv1d_parse(const char *text, void *attr);

/* Length of conv1d's output, or a negative number. */
int64_t nn_conv1d_length(int64_t T, int64_t K, const nn_conv1d_opt *opt);

/* columns[(i*K + k) * n + j] = x[i, (u0 + j) stride + k dilation - pad_left], zero outside; x [Ig, T]. */
void nn_conv_columns(const nn_conv_size *s, const real *x, int64_t u0, int64_t n, real *columns);

/* Sum of dy over batch and time, as a bias has: [O]. */
nn_node *nn_conv_bias_grad(nn_tape *t, nn_node *dy);

/* Start value of a convolution's output: the bias, or zero. y [B, C, T]. */
void nn_conv_fill_bias(real *y, const real *bias, int64_t B, int64_t C, int64_t T);

enum { NN_CONV_BLOCK = 512 };

#endif
