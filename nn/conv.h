/* The arithmetic of convolutions in one and two dimensions: the product, its adjoint in x (the transposed convolution) and its
 * adjoint in the weight. Each one's gradients are the other two, so gradients of any order need nothing more.
 *
 *     y[b, o, u, v] = bias[o] + sum over i, k, l of
 *                     weight[o, i, k, l] x[b, i + I group(o), u h.stride + k h.dilation - h.pad, v w.stride + l w.dilation - w.pad]
 *
 * Nothing is laid out as columns. A block of outputs takes the stretch of x that it needs into cache, each channel split
 * into its `stride` phases, zeros where x ends: there every tap of every channel is a row of its own, shifted, and the kernels
 * (nn/kernel/kernel.h) read it where it stands. A transposed convolution is, for each phase of its output, a convolution of
 * stride 1 with the taps of that phase. In one dimension h has length, kernel and stride 1.
 *
 * Threads  Parallel over blocks of outputs; how they are cut, and how sums are, follows from the shapes alone: the same bits
 *          at any number of threads, and with avx512 and avx2.
 * Memory   nn_workspace, and for the weight's gradient nn_conv_weight_scratch elements.
 */
#ifndef BL_NN_CONV_H
#define BL_NN_CONV_H

#include "nn/ops.h"

/* One direction of a convolution, `in` being the length of x and `out` that of y. */
typedef struct nn_conv_axis {
    int64_t in, out, kernel, stride, dilation, pad;
} nn_conv_axis;

typedef struct nn_conv_size {
    int64_t      batch, groups, in_channels, out_channels; /* channels of one group: I and O above, per group */
    nn_conv_axis h, w;
} nn_conv_size;

/* y from x; weight [groups O, I, kh, kw]; bias [groups O] or NULL. */
void nn_conv_product(const nn_conv_size *s, const real *x, const real *weight, const real *bias, real *y);
/* x from y; bias [groups I] or NULL. */
void nn_conv_adjoint(const nn_conv_size *s, const real *y, const real *weight, const real *bias, real *x);
/* The weight's gradient from x and y. */
void    nn_conv_weight(const nn_conv_size *s, const real *x, const real *y, real *scratch, real *weight);
int64_t nn_conv_weight_scratch(const nn_conv_size *s);

/* Where every channel is its own group with at most 64 taps (nn/conv_depthwise.c). */
int  nn_conv_is_depthwise(const nn_conv_size *s);
void nn_conv_depthwise(const nn_conv_size *s, const real *x, const real *weight, const real *bias, real *y);
void nn_conv_depthwise_adjoint(const nn_conv_size *s, const real *y, const real *weight, const real *bias, real *x);
void nn_conv_depthwise_weight(const nn_conv_size *s, const real *x, const real *y, real *weight);

/* Where every channel is its own group with one tap of stride 1 (nn/conv_scale.c), product and adjoint are the same. */
int  nn_conv_is_scale(const nn_conv_size *s);
void nn_conv_scale(const nn_conv_size *s, const real *x, const real *weight, const real *bias, real *y);
void nn_conv_scale_weight(const nn_conv_size *s, const real *x, const real *y, real *weight);

/* ---- what the ops share: one rule for shapes, forward and gradients, in one dimension ([B, C, T]) and in two ---- */

typedef enum nn_conv_kind { NN_CONV_PRODUCT, NN_CONV_ADJOINT, NN_CONV_WEIGHT } nn_conv_kind;

/* An op of this kind: name for messages, number of dimensions, options (in one dimension: widened). */
typedef struct nn_conv_op {
    const char   *name;
    nn_conv_kind  kind;
    int           dimensions;
    nn_conv2d_opt opt;
} nn_conv_op;

nn_conv2d_opt nn_conv1d_widened(const nn_conv1d_opt *opt);
bl_status     nn_conv_shape(const nn_conv_op *op, nn_node *y, bl_error *err);
void          nn_conv_forward(const nn_conv_op *op, nn_node *y);
void          nn_conv_backward(const nn_conv_op *op, nn_tape *t, nn_node *y, nn_node *dy, nn_node **din);
int64_t       nn_conv_scratch(const nn_conv_op *op, const nn_node *y);

/* For op examples: "stride dilation groups pad_left pad_right length", and
 * "stride_h stride_w dilation_h dilation_w groups pad_top pad_bottom pad_left pad_right height width". */
int nn_conv1d_parse(const char *text, void *attr);
int nn_conv2d_parse(const char *text, void *attr);

#endif
