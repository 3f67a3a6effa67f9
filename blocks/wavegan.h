/* The published WaveGAN: waves from noise alone, without conditions, for comparison with the literature.
 *
 *     z [n_latent], uniform in -1..1 --> generator --> wave [1, n_samples] --> discriminator --> score
 *
 * Chosen by `[synthesizer] kind = wavegan`. Both networks are sections of the .ini, which decides about lengths and sizes:
 * configs/wavegan_paper.ini is the network of the paper. A step is gan.critic_steps updates of the discriminator, each on
 * fresh slices and fresh noise, then one of the generator.
 *
 * Shapes   [generator] has one input of rank 1 and the output [1, n_samples]; [discriminator] one input [1, n_samples] and
 *          the output [1]. Samples are mono at synthesizer.sample_rate, full scale 1.
 * Phase shuffle draws a shift for every example (the paper's text; its published code draws one for the batch), and the
 *          same shift serves both orders of the gradient penalty.
 * Source   Donahue, McAuley, Puckette, "Adversarial Audio Synthesis", ICLR 2019; Gulrajani et al. 2017.
 * Memory   _new and _load return; release with _free (NULL allowed).
 * Threads  One object per thread; kernels run parallel inside, with the same bits at any thread count.
 * Tested   tests/blocks/test_wavegan.c
 */
#ifndef BL_BLOCKS_WAVEGAN_H
#define BL_BLOCKS_WAVEGAN_H

#include "base/config.h"
#include "data/dataset.h"
#include "nn/network.h"
#include "nn/optimizer.h"
#include "nn/plan.h"
#include "nn/schedule.h"

/* What a config trains with train_wavegan. */
typedef enum blocks_synthesizer_kind { BLOCKS_WAVENET_GAN, BLOCKS_WAVEGAN } blocks_synthesizer_kind;
blocks_synthesizer_kind blocks_synthesizer_kind_of(const bl_config *config, bl_error *err);

typedef struct blocks_wavegan {
    bl_config  *config;
    nn_params  *params;
    nn_network *generator, *discriminator; /* the latter NULL unless asked for */
    int         sample_rate;
    int64_t     n_samples, n_latent;
    int64_t     step;
} blocks_wavegan;

blocks_wavegan *blocks_wavegan_new(const bl_config *config, int with_discriminator, uint64_t seed, bl_error *err);
void            blocks_wavegan_free(blocks_wavegan *w);
/* A checkpoint of kind "wavegan_unconditional", as the trainer exports it: the generator alone. */
blocks_wavegan *blocks_wavegan_load(const char *path, bl_error *err);
/* n waves, one for each of n vectors z drawn from seed: out [n, w->n_samples]. */
bl_status       blocks_wavegan_run(blocks_wavegan *w, uint64_t seed, int n, float *out, bl_error *err);

/* ---- what it learns from ---- */

/* Slices of recordings, each n_samples long: every (1 - overlap) n_samples one, from the start on. */
typedef struct blocks_slices {
    float  *samples;      /* [n, length] */
    int64_t n, capacity, length;
} blocks_slices;

typedef struct blocks_slice_options {
    double overlap;       /* share of a slice that the next one repeats, 0 .. 0.99 */
    int    first_only;    /* one slice of a recording: its beginning                */
    int    pad_end;       /* zeros complete the last slice; else it is left out     */
    int    normalize;     /* recordings are scaled to a peak of 1                   */
} blocks_slice_options;

bl_status blocks_slices_add(blocks_slices *s, const float *x, int64_t n_samples, const blocks_slice_options *o, bl_error *err);
void      blocks_slices_free(blocks_slices *s);

/* All songs of a dataset at w->sample_rate, as [train] overlap, first_slice, pad_end, normalize and max_memory_mb of the
 * config say; validation songs into held_out. Broken files go to dataset->skipped. BL_EFORMAT: nothing is long enough.
 * *n_left_out gets the songs that max_memory_mb has no room for. */
bl_status blocks_wavegan_collect(const blocks_wavegan *w, data_dataset *dataset, int quiet, blocks_slices *training,
                                 blocks_slices *held_out, int *n_left_out, bl_error *err);

/* ---- training ---- */

typedef struct blocks_wavegan_losses {
    double generator, critic;   /* what each minimises (nn/gan.h), the penalty included                        */
    double margin;              /* mean score of real minus mean score of generated: wgan_gp's Wasserstein estimate */
    double slope, penalty;      /* mean |gradient| of the critic between real and generated; wgan_gp only      */
    double generator_norm, critic_norm; /* of the gradients, before clipping                                   */
} blocks_wavegan_losses;        /* of the critic: means over the step's updates                                */

typedef struct blocks_wavegan_trainer blocks_wavegan_trainer;

/* Looks at every setting of [train] and [gan] without training: mistakes show before the dataset is read. */
bl_status blocks_wavegan_trainer_settings(const blocks_wavegan *w, bl_error *err);

/* Borrows w, training (at least one slice) and held_out (may be NULL). Reads [train] and [gan]. */
blocks_wavegan_trainer *blocks_wavegan_trainer_new(blocks_wavegan *w, const blocks_slices *training,
                                                   const blocks_slices *held_out, uint64_t seed, bl_error *err);
void      blocks_wavegan_trainer_free(blocks_wavegan_trainer *t);
/* One step. BL_ENAN: a loss or gradient is not finite. */
/* What training takes, before it begins. */
void      blocks_wavegan_trainer_plan(blocks_wavegan_trainer *t, nn_plan *plan);
bl_status blocks_wavegan_trainer_step(blocks_wavegan_trainer *t, blocks_wavegan_losses *losses, bl_error *err);
/* The margin without phase shuffle, on training slices and on held-out ones (0 when there are none): a critic that has
 * learned the training slices by heart tells the two apart. */
bl_status blocks_wavegan_trainer_validate(blocks_wavegan_trainer *t, double *training, double *held_out, bl_error *err);
/* The same n z at every call: waves [n, n_samples], malloc'ed; n is [train] preview. Averaged weights. */
bl_status blocks_wavegan_trainer_preview(blocks_wavegan_trainer *t, float **waves, int *n, bl_error *err);
/* Everything a resumed run needs; and what blocks_wavegan_load needs. */
bl_status blocks_wavegan_trainer_put(const blocks_wavegan_trainer *t, nn_checkpoint *c, bl_error *err);
bl_status blocks_wavegan_trainer_get(blocks_wavegan_trainer *t, const nn_checkpoint *c, bl_error *err);
bl_status blocks_wavegan_trainer_export(blocks_wavegan_trainer *t, const char *path, int64_t seed, bl_error *err);

#endif
