/* What tape.c (values), gradient.c (sweeps) and recompute.c (segments) share. Nobody else includes it. */
#ifndef BL_NN_GRADIENT_H
#define BL_NN_GRADIENT_H

#include "nn/op.h"

/* CONSUME: gradients go to the parameters and used values are released. GRAD: gradients of given nodes. GRAPH: the same, and
 * they can be differentiated again. */
typedef enum nn_sweep_mode { NN_SWEEP_CONSUME, NN_SWEEP_GRAD, NN_SWEEP_GRAPH } nn_sweep_mode;

/* From y with gradient dy towards the leaves; result[k] becomes the gradient of xs[k] (NULL: none). A result that is not NULL
 * before counts as a gradient from elsewhere that one holder holds: it is added to, and passes to the sweep. */
void nn_sweep(nn_tape *tape, nn_node *y, nn_node *dy, nn_sweep_mode mode, int n_xs, nn_node *const *xs, nn_node **result);

/* Marks the values that y's rule will read one day. */
void nn_mark_needed(nn_node *y);
/* Computes a value again that was released for it. */
void nn_come_again(nn_tape *tape, nn_node *x);

#endif
