/* The course of a training for its picture, in bounded memory: means of the metrics over stretches of steps that double
 * when there are too many of them, and the figures of every validation. Kept in the checkpoint under "train/", so that the
 * curve of a resumed run begins at step 1.
 *
 * Errors   _start BL_ENOMEM; _load BL_EFORMAT, BL_ESHAPE when the checkpoint has other metrics; _draw as audio_plot_lines.
 * Memory   _start allocates; release with _free, which accepts a zeroed struct.
 */
#ifndef BL_TRAIN_HISTORY_H
#define BL_TRAIN_HISTORY_H

#include "nn/checkpoint.h"

typedef struct train_history {
    int     n_metrics, n_figures;
    int64_t n_steps;    /* added so far                                                    */
    int64_t width;      /* steps in a stretch                                              */
    double *sums;       /* [stretch, n_metrics]; the last stretch may not be full yet      */
    double *figures;    /* [n_points, 1 + n_figures]: step, figures                        */
    int64_t n_points, capacity;
} train_history;

bl_status train_history_start(train_history *h, int n_metrics, int n_figures, bl_error *err);
void      train_history_free(train_history *h);
void      train_history_add(train_history *h, const double *metrics);
bl_status train_history_add_figures(train_history *h, int64_t step, const double *figures, bl_error *err);
bl_status train_history_save(const train_history *h, nn_checkpoint *c, bl_error *err);
bl_status train_history_load(train_history *h, const nn_checkpoint *c, int64_t n_steps, bl_error *err);

/* A picture of all curves; logarithmic when nothing is zero or below. */
bl_status train_history_draw(const train_history *h, const char *path, const char *title, const char *const *metric_names,
                             const char *const *figure_names, bl_error *err);

#endif
