/* What the norm layers share: weight and bias per channel, and batch norm of any rank. */
#ifndef BL_NN_NORM_LAYER_H
#define BL_NN_NORM_LAYER_H

#include "nn/layer.h"
#include "nn/norm.h"

/* The options of batch_norm1d and batch_norm2d. */
#define NN_BATCH_NORM_OPTIONS \
    { "eps", NN_OPTION_REAL, 1e-5, 1e-12, 1, "added to the variance", NULL }, \
    { "momentum", NN_OPTION_REAL, 0.1, 0, 1, "share of each batch in the running values", NULL }, \
    { "affine", NN_OPTION_BOOL, 1, 0, 1, "learn weight and bias", NULL }, \
    { "track_running_stats", NN_OPTION_BOOL, 1, 0, 1, "keep running values for evaluation; else it uses its batch too", NULL }

bl_status nn_batch_norm_build(nn_layer *layer, bl_error *err);
nn_node  *nn_batch_norm_forward(nn_layer *layer, nn_tape *tape, nn_node *const *in);

/* weight (ones) and bias (zeros) of this shape. */
bl_status nn_norm_params(nn_layer *layer, nn_shape shape, bl_error *err);

#endif
