/* The loop of every train_* program that goes step by step: progress, log, loss curve, checkpoints, Ctrl-C, --resume.
 *
 *     static bl_status step(void *user, int64_t number, double *metrics, bl_error *err) { ... }
 *     const train_loop loop = {
 *         .program = "train_wavegan", .kind = "wavegan", .checkpoint_path = path, .n_steps = n,
 *         .save_every = 500, .preview_every = 500, .validate_every = 500,
 *         .n_metrics = 2, .metric_names = { "stft", "adversarial" },
 *         .params = params, .user = &model, .step = step, .save = save, .load = load,
 *     };
 *     return train_loop_exit(&loop, train_loop_run(&loop, &opt, &err), &err);
 *
 * Steps    Numbered from 1. step() makes one and writes a value per metric. save() puts everything that later steps depend
 *          on: parameters, moments, averages, random states, and the attributes "config", "step", "seed"; load() takes it
 *          back. What the loop needs itself it keeps under "train/". validate() and preview() must leave the model and its
 *          random state as they are (a plateau schedule may take a figure in: save() comes after). Then a resumed run equals an uninterrupted one to the last bit of its checkpoint.
 * Files    Beside checkpoint_path, with its name: .csv, the log (or opt->log_path), a row a step: step, seconds, metrics,
 *          figures; with --resume it goes on behind the last step of the checkpoint. _loss.png, the curves.
 * Errors   BL_ESTOP: interrupted, the checkpoint is written, err says how to go on. BL_ENAN: a metric is not finite (or
 *          step() said so); err names the step, the first parameter that went bad and the last good checkpoint, which is
 *          kept. BL_EIO, BL_EFORMAT, BL_ENOMEM: files and memory. Errors of the callbacks come through with the step in front.
 * Memory   Borrows everything for the call.
 * Tested   tests/train/test_loop.c
 */
#ifndef BL_TRAIN_LOOP_H
#define BL_TRAIN_LOOP_H

#include "nn/checkpoint.h"
#include "nn/plan.h"
#include "train/options.h"

enum { TRAIN_METRICS = 8 };

typedef struct train_loop {
    const char *program;            /* "train_wavegan": in messages and in the command to go on                    */
    const char *kind;               /* of the checkpoint                                                           */
    const char *checkpoint_path;
    int64_t     n_steps;            /* in all, those before --resume included                                      */
    int64_t     save_every, preview_every, validate_every; /* steps; 0: only at the end                            */
    int         n_metrics, n_figures;
    const char *metric_names[TRAIN_METRICS]; /* what step() measures: "loss"                                       */
    const char *figure_names[TRAIN_METRICS]; /* what validate() measures: "held-out loss"                          */
    nn_params  *params;             /* for the plan and for naming what went bad; may be NULL                      */
    void       *user;
    void      (*plan)(void *user, nn_plan *plan); /* memory of a step, said before the first one; may be NULL      */
    bl_status (*step)(void *user, int64_t number, double *metrics, bl_error *err);
    bl_status (*save)(void *user, nn_checkpoint *c, bl_error *err);
    bl_status (*load)(void *user, const nn_checkpoint *c, bl_error *err);
    bl_status (*validate)(void *user, int64_t number, double *figures, bl_error *err); /* may be NULL             */
    bl_status (*preview)(void *user, int64_t number, bl_error *err);                   /* may be NULL: WAV files... */
} train_loop;

bl_status train_loop_run(const train_loop *loop, const train_options *opt, bl_error *err);

/* What main returns: 0 when done or interrupted by the user (and says how to go on), else 1 with the message on stderr. */
int train_loop_exit(const train_loop *loop, bl_status status, const bl_error *err);

#endif
