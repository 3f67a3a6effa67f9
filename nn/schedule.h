/* How the learning rate goes: a factor for every step, of which several optimisers may make their own rate.
 *
 *     schedule     factor after n steps (n counts from the end of the warm-up, N = lr_steps - warmup_steps)
 *     constant     1
 *     linear       1 + (end_factor - 1) min(n/N, 1)
 *     step         gamma^(n div step_size)
 *     multi_step   gamma^(how many of `milestones` are <= n)
 *     exponential  gamma^n, or without gamma: 2^(-n/lr_half_life)
 *     cosine       end_factor + (1 - end_factor) (1 + cos(pi min(n/N, 1))) / 2
 *     one_cycle    cosine from 1/div_factor up to 1 in the first pct_start of N, then down to 1/(div_factor final_div_factor)
 *     plateau      1, times `factor` whenever the watched figure has not improved for more than `patience` looks
 *
 * In front of each: warmup_steps w, a straight line from start_factor to 1 in w steps.
 *
 *     nn_schedule s;
 *     nn_schedule_read(config, "train", n_steps, 0, &s, &err);
 *     nn_optimizer_set_lr(o, lr * nn_schedule_factor(&s, steps_made));
 *     nn_schedule_watch(&s, held_out_loss);              // after each validation: plateau looks, the others do not
 *
 * Names and defaults are those of torch.optim.lr_scheduler (LinearLR, StepLR, MultiStepLR, ExponentialLR, CosineAnnealingLR,
 * OneCycleLR with cycle_momentum=False, ReduceLROnPlateau with mode="min"), min_lr and eta_min being end_factor and min_factor
 * here: parts of lr. A factor is computed from n alone, not from the factor before it, so it does not depend on where a run
 * was interrupted; plateau, which has a memory, is kept in the checkpoint.
 *
 * Errors   BL_EARG: a value out of range, a key that the chosen schedule does not read (as every unknown key).
 * Memory   A plain value.
 * Source   cosine: Loshchilov & Hutter, SGDR, 2017; one_cycle: Smith & Topin 2017; warm-up: Goyal et al. 2017.
 * Tested   tests/nn/test_schedule.c against PyTorch
 */
#ifndef BL_NN_SCHEDULE_H
#define BL_NN_SCHEDULE_H

#include "base/config.h"
#include "nn/checkpoint.h"

typedef enum nn_schedule_kind {
    NN_SCHEDULE_CONSTANT, NN_SCHEDULE_LINEAR, NN_SCHEDULE_STEP, NN_SCHEDULE_MULTI_STEP, NN_SCHEDULE_EXPONENTIAL,
    NN_SCHEDULE_COSINE, NN_SCHEDULE_ONE_CYCLE, NN_SCHEDULE_PLATEAU
} nn_schedule_kind;

enum { NN_MILESTONES = 32 };

typedef struct nn_schedule {
    nn_schedule_kind kind;
    int64_t warmup_steps, n_steps, step_size, milestone[NN_MILESTONES];
    int     n_milestones;
    double  start_factor, end_factor, gamma, half_life;
    double  pct_start, div_factor, final_div_factor;
    double  factor, threshold, min_factor;      /* plateau */
    int64_t patience, cooldown;
    /* what plateau remembers */
    double  scale, best;
    int64_t n_bad, n_cooling;
} nn_schedule;

/* Reads `schedule` and its keys. n_steps: of the whole training, the default of lr_steps. half_life: the default of
 * lr_half_life; where it is not 0 and nothing else is said, the schedule is exponential with it, else constant. */
bl_status nn_schedule_read(const bl_config *config, const char *section, int64_t n_steps, double half_life, nn_schedule *out,
                           bl_error *err);
/* For the step after `steps` steps. */
double    nn_schedule_factor(const nn_schedule *s, int64_t steps);
/* The newest figure, lower being better; one that is not finite counts as no improvement. */
void      nn_schedule_watch(nn_schedule *s, double figure);
/* What plateau remembers, as "optimizer/schedule"; nothing for the others. A checkpoint without it starts afresh. */
bl_status nn_schedule_save(const nn_schedule *s, nn_checkpoint *c, bl_error *err);
bl_status nn_schedule_load(nn_schedule *s, const nn_checkpoint *c, bl_error *err);

#endif
