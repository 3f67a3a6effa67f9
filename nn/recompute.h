/* Checkpointing: a segment of a model that keeps its inputs and its result only, and runs again when its gradient is asked for.
 *
 *     static nn_node *run(void *user, nn_tape *tape, nn_node *const *in) { ... return y; }
 *     y = nn_recompute(tape, run, &my_layers, 1, n_in, in);
 *
 * The second run draws the same random numbers and does not update the statistics of batch norms (tape->recomputing), so
 * gradients equal those of a plain run to the last bit (gradients of gradients up to the order of their terms). Memory of a chain of n layers in segments of sqrt(n):
 * about 2 sqrt(n) values instead of n, for one more forward run.
 *
 * Memory   Borrows user until the tape is reset.
 * Errors   BL_EARG: more than NN_MAX_IN - 1 inputs; those of run.
 * Source   Chen et al., "Training Deep Nets with Sublinear Memory Cost", arXiv:1604.06174, 2016.
 * Tested   tests/nn/test_recompute.c
 */
#ifndef BL_NN_RECOMPUTE_H
#define BL_NN_RECOMPUTE_H

#include "nn/tape.h"

typedef nn_node *nn_segment(void *user, nn_tape *tape, nn_node *const *in);

/* trains: the segment has parameters that are not frozen. Without recording, just runs it. */
nn_node *nn_recompute(nn_tape *tape, nn_segment *run, void *user, int trains, int n_in, nn_node *const *in);

#endif
