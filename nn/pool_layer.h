/* What the pooling layers share: options, shapes, and one dimension as height 1. */
#ifndef BL_NN_POOL_LAYER_H
#define BL_NN_POOL_LAYER_H

#include "nn/layer.h"
#include "nn/pool.h"

/* In two dimensions NAME holds for both, NAME_height and NAME_width for one; a stride of 0 is the kernel's size. */
#define NN_POOL_OPTIONS_1D \
    { "kernel_size", NN_OPTION_INT, NAN, 1, 65536, "samples in a window", NULL }, \
    { "stride", NN_OPTION_INT, 0, 0, 65536, "samples from one window to the next; 0: kernel_size", NULL }, \
    { "padding", NN_OPTION_INT, 0, 0, 32768, "on both sides, at most half a window", NULL }, \
    { "ceil_mode", NN_OPTION_BOOL, 0, 0, 1, "the last window may reach over the end", NULL }
#define NN_POOL_OPTIONS_2D \
    { "kernel_size", NN_OPTION_INT, 0, 0, 65536, "size of a window in both directions", NULL }, \
    { "kernel_height", NN_OPTION_INT, 0, 0, 65536, "height of a window", NULL }, \
    { "kernel_width", NN_OPTION_INT, 0, 0, 65536, "width of a window", NULL }, \
    { "stride", NN_OPTION_INT, 0, 0, 65536, "from one window to the next; 0: its size", NULL }, \
    { "stride_height", NN_OPTION_INT, 0, 0, 65536, "vertical stride; 0: as stride", NULL }, \
    { "stride_width", NN_OPTION_INT, 0, 0, 65536, "horizontal stride; 0: as stride", NULL }, \
    { "padding", NN_OPTION_INT, 0, 0, 32768, "on all sides, at most half a window", NULL }, \
    { "padding_height", NN_OPTION_INT, -1, 0, 32768, "above and below", "padding" }, \
    { "padding_width", NN_OPTION_INT, -1, 0, 32768, "left and right", "padding" }, \
    { "ceil_mode", NN_OPTION_BOOL, 0, 0, 1, "the last window may reach over the end", NULL }

/* Build and forward of all of them; dims is 1 or 2. Adaptive ones have the option output_size, or output_height and output_width. */
bl_status nn_pool_build(nn_layer *layer, int dims, bl_error *err);
nn_node  *nn_pool_forward(nn_layer *layer, nn_tape *tape, nn_node *x, int dims, int is_max);

/* [C, T] or [C, H, W] -> [C]: one window over everything. */
bl_status nn_global_pool_build(nn_layer *layer, bl_error *err);

#endif
