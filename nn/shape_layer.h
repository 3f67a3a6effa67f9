/* What layers that name a dimension share. Dimensions count as torch's, the batch being 0, or go by name. */
#ifndef BL_NN_SHAPE_LAYER_H
#define BL_NN_SHAPE_LAYER_H

#include "nn/layer.h"

#define NN_DIM_CHOICES "channels|time|height|width|1|2|3|-1|-2|-3"
enum { NN_DIM_CHANNELS = 0, NN_DIM_TIME = 1, NN_DIM_LAST = 7, NN_DIM_MOST = 9 };

/* The dimension, batch counted, that an option of the layer's first input names; 0 and err when there is none. */
int nn_layer_axis(const nn_layer *layer, const char *option, bl_error *err);
/* The same in forward, after build has checked it. */
int nn_layer_axis_of(const nn_layer *layer, const char *option);

/* mean, sum, max, min, norm: options dim and keepdim, shape rule, and the result of a reduction over that dimension. */
#define NN_REDUCE_OPTIONS \
    { "dim", NN_OPTION_CHOICE, NAN, 0, NN_DIM_MOST, "what is summed up", NN_DIM_CHOICES }, \
    { "keepdim", NN_OPTION_BOOL, 0, 0, 1, "it stays, with size 1; else it goes", NULL }
bl_status nn_reduce_build(nn_layer *layer, bl_error *err);
nn_node  *nn_reduce_finish(nn_layer *layer, nn_tape *tape, nn_node *reduced);

/* All inputs through an elementwise op of two, from left to right, shapes as nn_build_broadcast. */
nn_node *nn_fold_inputs(nn_layer *layer, nn_tape *tape, nn_node *const *in, nn_node *(*op)(nn_tape *, nn_node *, nn_node *));
/* [B, C] -> [B, C, 1, ..] of this rank. */
nn_node *nn_as_rank(nn_tape *tape, nn_node *x, int rank);

#endif
