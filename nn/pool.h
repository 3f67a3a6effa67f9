/* Windows of pooling, for the ops max_pool and avg_pool: regular as in torch.nn.MaxPool2d and AvgPool2d, or adaptive, where
 * output i of n covers the inputs from floor(i H / n) to ceil((i + 1) H / n). Index 0 is height, 1 width. */
#ifndef BL_NN_POOL_H
#define BL_NN_POOL_H

#include "nn/ops.h"

/* The windows of one direction: all of n inputs that output o reads. */
typedef struct nn_pool_window { int64_t first, end, step, covers; } nn_pool_window; /* covers: with padding, for the divisor */

int64_t        nn_pool_length(const nn_pool_opt *opt, int axis, int64_t n);
nn_pool_window nn_pool_window_of(const nn_pool_opt *opt, int axis, int64_t n, int64_t o);

/* The shape rule from the shape pooled to y's; checks the options. */
bl_status nn_pool_shape(const char *op, const nn_pool_opt *opt, const nn_shape *x, nn_shape *y, bl_error *err);

/* Rows of regular windows are walked tap by tap, many outputs side by side, which the compiler turns into vectors; single windows
 * one by one, where they are long or adaptive. */
enum { NN_POOL_TILE = 256 };
int nn_pool_by_rows(const nn_pool_opt *opt, int64_t n_outputs);

/* Of the outputs j0 .. end-1, those for which column tap k lies inside n inputs: *first .. *last - 1. Output j reads column
 * j stride + offset, which is returned. */
int64_t nn_pool_tap(const nn_pool_opt *opt, int64_t n, int k, int64_t j0, int64_t end, int64_t *first, int64_t *last);

/* For examples: "kh kw sh sw ph pw dh dw ceil include", or "adaptive oh ow". */
int nn_pool_parse(const char *text, nn_pool_opt *opt);

#endif
