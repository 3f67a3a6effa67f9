/* What training will take, before it begins: weights with their gradients, the optimizer's moments and averages, and one
 * step as a dry tape counts it (nn_tape_dry).
 *
 * Tested   tests/nn/test_memory.c holds a plan against the memory of the process.
 */
#ifndef BL_NN_PLAN_H
#define BL_NN_PLAN_H

#include "nn/optimizer.h"

typedef struct nn_plan {
    size_t weights, moments, step; /* bytes */
} nn_plan;

/* Values and gradients of all parameters. */
size_t      nn_params_bytes(const nn_params *p);
/* Moments; averages. NULL: 0. */
size_t      nn_optimizer_bytes(const nn_optimizer *o);
size_t      nn_ema_bytes(const nn_ema *e);
/* "memory: 412 MB planned (weights 73.2, moments 73.2, step 266)". */
const char *nn_plan_str(const nn_plan *plan, char out[120]);

#endif
