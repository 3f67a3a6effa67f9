/* Where a step's time goes: seconds and calls by op and shape. Off unless asked for; on, it costs two looks at the clock
 * for each op.
 *
 *     nn_profile_start(tape, &err);
 *     for (...) one step
 *     nn_profile_print(tape, n_steps, 20, stdout);
 *
 * Units    Times are of the wall clock, of the op's forward alone: gradients are ops of their own. What is outside ops
 *          (the tape, sums of gradients, the optimizer, the caller) is printed as the rest of the time since the start.
 * Memory   The table belongs to the tape and goes with it. It grows with the number of different rows, not of calls.
 * Errors   nn_profile_start: BL_ENOMEM. A row that finds no memory is left out.
 */
#ifndef BL_NN_PROFILE_H
#define BL_NN_PROFILE_H

#include "nn/op.h"

#include <stdio.h>

/* From now on, from zero. */
bl_status nn_profile_start(nn_tape *tape, bl_error *err);
/* Milliseconds, calls and share of each op, all divided by n_steps, then the n_rows (op, output shape) that took longest. */
void nn_profile_print(const nn_tape *tape, int n_steps, int n_rows, FILE *out);

/* What nn_apply and nn_tape_free call. */
void nn_profile_add(nn_tape *tape, const nn_node *y, double seconds);
void nn_profile_free(nn_tape *tape);

#endif
