/* What every training by steps keeps from step to step (tape, optimizer, averages, schedule, random state), and what is
 * the same in all of them: reading its keys, ending a step, counting a plan, going into a checkpoint and coming back.
 *
 *     static bl_status learn(void *user, double *losses, bl_error *err)
 *     {
 *         model *m = user;
 *         ... draw a batch from m->run.rng, nn_tape_reset, forward, nn_backward; losses[0] = nn_scalar(loss) ...
 *     }
 *     nn_trainer_read(config, "chords_training", 6000, 1500, 0.995, &set, &err);
 *     nn_trainer_start(&m->run, m->params, &set, seed, &err);
 *     while (m->step < set.n_steps)
 *         nn_trainer_step(&m->run, learn, m, losses, 1, &m->step, &norm, &err);
 *
 * Learning draws, when run.tape->dry is 0, one batch; adds its gradients to the parameters'; writes its losses. Batches of
 *          one step are numbered by run.batch, 0 .. accumulate - 1.
 * Averages What is validated and shipped: nn_trainer_swap() puts them in the parameters' place, and back. Without
 *          averages it does nothing.
 * Memory   Starts from a zeroed struct; borrows params; release with nn_trainer_free, which accepts a zeroed struct.
 * Errors   _read BL_EARG; _start BL_ENOMEM; _step what learn says, BL_ENAN when the gradient is not finite, and then no
 *          parameter has moved; _load BL_EFORMAT, BL_ESHAPE, with the file's name.
 * Tested   tests/nn/test_trainer.c
 */
#ifndef BL_NN_TRAINER_H
#define BL_NN_TRAINER_H

#include "base/rng.h"
#include "nn/ema.h"
#include "nn/optimizer.h"
#include "nn/ops.h"
#include "nn/plan.h"
#include "nn/schedule.h"

typedef struct nn_trainer_config {
    nn_optimizer_config optimizer;
    nn_schedule         schedule;
    int64_t             n_steps;
    double              average; /* decay; below 0: no averages */
} nn_trainer_config;

typedef struct nn_trainer {
    nn_params    *params;
    nn_tape      *tape;
    nn_optimizer *optimizer;
    nn_ema       *average;  /* NULL: none                             */
    nn_schedule   schedule;
    double        lr;
    bl_rng        rng;      /* of what is drawn; the tape has its own */
    int           accumulate, batch;
} nn_trainer;

typedef bl_status (*nn_learn)(void *user, double *losses, bl_error *err);

/* The section's steps, accumulate, average (unless below 0 here), optimizer, schedule and all keys of these. n_steps,
 * half_life, average: defaults. */
bl_status nn_trainer_read(const bl_config *config, const char *section, int64_t n_steps, double half_life, double average,
                          nn_trainer_config *out, bl_error *err);
bl_status nn_trainer_start(nn_trainer *t, nn_params *params, const nn_trainer_config *config, uint64_t seed, bl_error *err);
void      nn_trainer_free(nn_trainer *t);

/* One step: `accumulate` batches, their mean losses into losses [n_losses], at most NN_TRAINER_LOSSES; *step goes up by one. */
enum { NN_TRAINER_LOSSES = 8 };
bl_status nn_trainer_step(nn_trainer *t, nn_learn learn, void *user, double *losses, int n_losses, int64_t *step,
                          double *gradient_norm, bl_error *err);
/* What a step will take, from a dry run of learn. */
void      nn_trainer_plan(nn_trainer *t, nn_learn learn, void *user, nn_plan *plan);
void      nn_trainer_swap(const nn_trainer *t);

/* Moments, averages ("average/"), schedule and random states; parameters and step are the model's to write. */
bl_status nn_trainer_save(const nn_trainer *t, nn_checkpoint *c, bl_error *err);
/* The same, and the parameters and the step too. section: where keep_optimizer stands, for the message. */
bl_status nn_trainer_load(nn_trainer *t, const nn_checkpoint *c, const char *section, int64_t *step, bl_error *err);

/* What stands before the names of the parameters to use: a checkpoint to go on training from holds the weights of the last step, and their
 * averages, which are better; one that is finished holds only what is to be used. */
const char *nn_trainer_prefix(const nn_checkpoint *c);

#endif
