/* First-order optimisers over the parameters whose name starts with a prefix. PyTorch's update rules and defaults.
 *
 * Memory   nn_optimizer_new borrows params (must outlive it) and owns its moments; release with nn_optimizer_free.
 * Source   Adam: Kingma & Ba 2015; AdamW: Loshchilov & Hutter 2019; RMSprop: Tieleman & Hinton 2012.
 * Tested   tests/nn/test_optimizer.c against torch.optim.
 */
#ifndef BL_NN_OPTIMIZER_H
#define BL_NN_OPTIMIZER_H

#include "base/config.h"
#include "nn/params.h"

typedef enum nn_optimizer_kind { NN_SGD, NN_ADAM, NN_ADAMW, NN_RMSPROP } nn_optimizer_kind;

typedef struct nn_optimizer_config {
    nn_optimizer_kind kind;
    double lr, beta1, beta2, eps, momentum, alpha, weight_decay;
    double clip_norm;       /* global gradient norm; 0 = off */
} nn_optimizer_config;

typedef struct nn_optimizer nn_optimizer;

/* PyTorch's defaults for a kind. */
nn_optimizer_config nn_optimizer_defaults(nn_optimizer_kind kind);
/* Reads optimizer, lr, beta1, beta2, eps, momentum, alpha, weight_decay, clip_norm of a section. */
bl_status nn_optimizer_read(const bl_config *config, const char *section, nn_optimizer_config *out, bl_error *err);

nn_optimizer *nn_optimizer_new(nn_params *params, const char *prefix, const nn_optimizer_config *config, bl_error *err);
void          nn_optimizer_free(nn_optimizer *o);
void          nn_optimizer_set_lr(nn_optimizer *o, double lr);
/* Clips, updates, zeroes the gradients of its parameters. Frozen ones stay as they are and do not count for the norm.
 * Returns the gradient norm before clipping; NaN or infinity: nothing was updated, and the gradients are still there
 * to look at. */
double        nn_optimizer_step(nn_optimizer *o);
int64_t       nn_optimizer_steps(const nn_optimizer *o);
/* Moments as "optimizer/" + parameter + "/m", "/v" or "/momentum", and "optimizer/" + prefix + "/steps". The learning
 * rate is not kept: it follows from the config and the step. */
bl_status     nn_optimizer_save(const nn_optimizer *o, nn_checkpoint *c, bl_error *err);
bl_status     nn_optimizer_load(nn_optimizer *o, const nn_checkpoint *c, bl_error *err);

/* Exponential moving average of all parameters: what is saved for inference. The n-th update uses
 * min(decay, (1 + n)/(10 + n)), so that the start is soon forgotten; buffers are copied. */
typedef struct nn_ema nn_ema;
nn_ema   *nn_ema_new(nn_params *params, double decay, bl_error *err);
void      nn_ema_free(nn_ema *e);
void      nn_ema_update(nn_ema *e);
void      nn_ema_swap(nn_ema *e);   /* exchanges parameters and averages; call twice to go back */
/* Averages as prefix + name; the number of updates under "optimizer/averages/". */
bl_status nn_ema_save(const nn_ema *e, nn_checkpoint *c, const char *prefix, bl_error *err);
bl_status nn_ema_load(nn_ema *e, const nn_checkpoint *c, const char *prefix, bl_error *err);

#endif
