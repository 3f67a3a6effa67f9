/* The layers conv1d, conv2d, conv_transpose1d and conv_transpose2d: one way to read options, register parameters and run.
 * In two dimensions kernel_size, stride, padding, dilation and output_padding hold for both, and each has its
 * NAME_height and NAME_width for one of them. */
#ifndef BL_NN_CONV_LAYER_H
#define BL_NN_CONV_LAYER_H

#include "nn/weight.h"

#include <math.h>

/* Rows of an option table. */
#define NN_CONV_OPTION_OUT { "out_channels", NN_OPTION_INT, NAN, 1, 65536, "channels of the output", NULL }
#define NN_CONV_OPTIONS_END                                                                                              \
    { "groups", NN_OPTION_INT, 1, 1, 65536, "groups of channels that do not mix", NULL },                               \
        { "bias", NN_OPTION_BOOL, 1, 0, 1, "add a bias", NULL },                                                        \
        NN_WEIGHT_OPTIONS,                                                                                                \
    {                                                                                                                   \
        .name = NULL                                                                                                    \
    }
/* "kernel_height" and "kernel_width" beside "kernel_size": 0, or for a padding the word, means the common value. */
#define NN_CONV_OPTION_PAIR(name, max, what)                                                                             \
    { name "_height", NN_OPTION_INT, 0, 0, max, what " vertically (0: as for both)", NULL },                            \
    { name "_width", NN_OPTION_INT, 0, 0, max, what " horizontally (0: as for both)", NULL }

bl_status nn_conv_layer_build(nn_layer *layer, int dimensions, int transposed, bl_error *err);
nn_node  *nn_conv_layer_forward(nn_layer *layer, nn_tape *tape, nn_node *x, int dimensions, int transposed);

#endif
