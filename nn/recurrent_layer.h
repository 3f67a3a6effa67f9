/* The layers lstm and gru: parameters as in torch, stacks, both directions, lengths, and a state to go on from.
 *
 * A stream in chunks equals the whole at once, bit for bit (one direction; the other needs the end):
 *
 *     nn_node *state[16] = { NULL }, *next[16];               // one per stacked layer; NULL: zeros
 *     y = nn_recurrent_layer_run(layer, tape, chunk, NULL, state, next);
 *
 * Shapes   x [B, C, T] -> [B, D H, T]; lengths [B, 1] or [B]; state[k], final[k] [B, S, D H]: h and c of lstm (S = 2), h of
 *          gru (S = 1). The nodes of `final` live until the tape is reset: copy them out, nn_input_real brings them back.
 * Errors   On the tape, BL_ESHAPE: a state of another shape.
 * Tested   tests/nn/test_recurrent.c.
 */
#ifndef BL_NN_RECURRENT_LAYER_H
#define BL_NN_RECURRENT_LAYER_H

#include "nn/layer.h"

extern const nn_layer_option nn_recurrent_options[];

bl_status nn_recurrent_layer_build(nn_layer *layer, bl_error *err);
nn_node  *nn_recurrent_layer_forward(nn_layer *layer, nn_tape *tape, nn_node *const *in);

/* lengths, state and final may be NULL. */
nn_node *nn_recurrent_layer_run(nn_layer *layer, nn_tape *tape, nn_node *x, nn_node *lengths, nn_node *const *state,
                                nn_node **final);

#endif
