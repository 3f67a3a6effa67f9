/* Exponential moving average of all parameters: what is saved for inference.
 *
 *     average = d average + (1 - d) parameter,   d = min(decay, (1 + n)/(10 + n)) in the n-th update
 *
 * The start is soon forgotten; buffers are copied.
 *
 * Memory   nn_ema_new borrows params (must outlive it) and owns the averages; release with nn_ema_free.
 * Errors   BL_EARG: a decay outside 0 .. below 1, parameters not finished; BL_ENOMEM; those of checkpoints.
 * Tested   tests/nn/test_optimizer.c
 */
#ifndef BL_NN_EMA_H
#define BL_NN_EMA_H

#include "nn/params.h"

typedef struct nn_ema nn_ema;
nn_ema   *nn_ema_new(nn_params *params, double decay, bl_error *err);
void      nn_ema_free(nn_ema *e);
void      nn_ema_update(nn_ema *e);
void      nn_ema_swap(nn_ema *e);   /* exchanges parameters and averages; call twice to go back */
/* Averages as prefix + name; the number of updates under "optimizer/averages/". */
bl_status nn_ema_save(const nn_ema *e, nn_checkpoint *c, const char *prefix, bl_error *err);
bl_status nn_ema_load(nn_ema *e, const nn_checkpoint *c, const char *prefix, bl_error *err);

#endif
