/* First-order optimisers over the parameters whose name starts with a prefix. PyTorch's update rules, names and defaults.
 *
 *     sgd      lr, momentum, dampening, nesterov, weight_decay
 *     adam     lr, beta1, beta2, eps, weight_decay, amsgrad      adamw: the same, weight decay apart from the gradient
 *     radam    lr, beta1, beta2, eps, weight_decay               rectified Adam: careful while its second moment is young
 *     rmsprop  lr, alpha, eps, momentum, centered, weight_decay
 *
 * All: clip_norm (global norm), then clip_value (each element to -clip_value..clip_value); 0 is off.
 *
 * Memory   nn_optimizer_new borrows params (must outlive it) and owns its moments; release with nn_optimizer_free. A step
 *          takes nothing from the heap.
 * Threads  Parallel inside; the same bits at any number of threads.
 * Cost     Memory traffic alone: Adam reads and writes 4 numbers per parameter, and reads the gradient once more for the norm.
 * Source   Nesterov's momentum: Sutskever et al. 2013; Adam: Kingma & Ba 2015; amsgrad: Reddi et al. 2018; AdamW: Loshchilov
 *          & Hutter 2019; RAdam: Liu et al. 2020; RMSprop: Tieleman & Hinton 2012, centered: Graves 2013.
 * Tested   tests/nn/test_optimizer.c against torch.optim.
 */
#ifndef BL_NN_OPTIMIZER_H
#define BL_NN_OPTIMIZER_H

#include "base/config.h"
#include "nn/ema.h"
#include "nn/params.h"

typedef enum nn_optimizer_kind { NN_SGD, NN_ADAM, NN_ADAMW, NN_RMSPROP, NN_RADAM } nn_optimizer_kind;

typedef struct nn_optimizer_config {
    nn_optimizer_kind kind;
    double lr, beta1, beta2, eps, momentum, dampening, alpha, weight_decay;
    double clip_norm, clip_value; /* 0: off */
    int    nesterov, amsgrad, centered;
    int    accumulate;  /* gradients that are added up before each step, which takes their mean; 0: 1 */
} nn_optimizer_config;

typedef struct nn_optimizer nn_optimizer;

/* PyTorch's defaults for a kind. */
nn_optimizer_config nn_optimizer_defaults(nn_optimizer_kind kind);
/* Reads `optimizer` and its options of a section. BL_EARG also for an option that does not belong to the kind. */
bl_status nn_optimizer_read(const bl_config *config, const char *section, nn_optimizer_config *out, bl_error *err);

nn_optimizer *nn_optimizer_new(nn_params *params, const char *prefix, const nn_optimizer_config *config, bl_error *err);
void          nn_optimizer_free(nn_optimizer *o);
void          nn_optimizer_set_lr(nn_optimizer *o, double lr);
/* Averages, clips, updates, zeroes the gradients of its parameters. Frozen ones stay as they are and do not count for the
 * norm. Returns the norm before clipping; NaN or infinity: nothing was updated, and the gradients are still there
 * to look at. */
double        nn_optimizer_step(nn_optimizer *o);
int64_t       nn_optimizer_steps(const nn_optimizer *o);
/* Moments as "optimizer/" + parameter + "/m", "/v", "/momentum"..., and "optimizer/" + prefix + "/steps". The learning
 * rate is not kept: it follows from the schedule (nn/schedule.h) and the step. */
bl_status     nn_optimizer_save(const nn_optimizer *o, nn_checkpoint *c, bl_error *err);
bl_status     nn_optimizer_load(nn_optimizer *o, const nn_checkpoint *c, bl_error *err);

#endif
