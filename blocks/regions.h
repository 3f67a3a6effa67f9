/* Time-frequency regions of a recording, and what an autoencoder hears in them: the latents that the segmenter clusters.
 *
 *     signal -> STFT -> powers of n_bands bands in every frame -> levels -> [region_encoder] -> D numbers per region
 *                                                                            [region_decoder] -> levels again
 *
 * A region is a band of frequencies in one frame. The length of its latent is free to tell the decoder its level; its
 * direction tells what it belongs to: trained with the affinity loss (nn_affinity_loss), regions of one instrument point one
 * way, those of two instruments stand at right angles. The encoder sees 1.5 s on both sides.
 *
 *     blocks_regions_power(r, x, n_samples, &power, &T, &err);
 *     const double reference = blocks_regions_reference(r, power, T);
 *     blocks_regions_latents(r, power, T, reference, &latents, &err);
 *
 * Shapes   x [n_samples] at BLOCKS_REGIONS_RATE; power [n_bands, T]; latents [n_bands, T, D], directions of length 1. Frame t is
 *          centred at sample t * BLOCKS_REGIONS_HOP.
 * Units    power: |STFT|^2 summed over the band's bins. Bands are one bin wide up to 170 Hz, then equal steps of pitch; the last
 *          ends at half the rate. reference: the mean over frames of all bands' power. level = (dB of power over
 *          reference + 30) / 15, not below 70 dB under the reference.
 * Errors   BL_EARG, BL_ESHAPE: a config whose networks do not fit; BL_ENOMEM; _get: as nn_checkpoint_get.
 * Memory   _new, _get return; release with _free (NULL allowed). power and latents are malloc'ed.
 * Threads  One per thread (it holds a tape); the same bits at any thread count.
 * Source   Hershey et al., "Deep clustering: discriminative embeddings for segmentation and separation", ICASSP 2016; the
 *          dilated convolutions in the place of its LSTM: Luo & Mesgarani, "Conv-TasNet", 2019.
 * Tested   tests/blocks/test_segmenter.c
 */
#ifndef BL_BLOCKS_REGIONS_H
#define BL_BLOCKS_REGIONS_H

#include "base/config.h"
#include "nn/network.h"

enum { BLOCKS_REGIONS_RATE = 22050, BLOCKS_REGIONS_FFT = 2048, BLOCKS_REGIONS_HOP = 512 };

typedef struct blocks_regions {
    bl_config  *config;
    nn_params  *params;
    nn_network *encoder, *decoder;
    nn_tape    *tape;
    int         n_bands, dim;
    int        *first_bin;   /* [n_bands + 1] */
} blocks_regions;

/* From a config with [regions], [region_encoder], [region_decoder]; what is missing comes from configs/segmenter.ini. */
blocks_regions *blocks_regions_new(const bl_config *config, uint64_t seed, bl_error *err);
void            blocks_regions_free(blocks_regions *r);
bl_status       blocks_regions_put(const blocks_regions *r, nn_checkpoint *c, bl_error *err);
blocks_regions *blocks_regions_get(const nn_checkpoint *c, bl_error *err);

bl_status blocks_regions_power(const blocks_regions *r, const float *x, int64_t n_samples, float **power, int64_t *n_frames,
                               bl_error *err);
double    blocks_regions_reference(const blocks_regions *r, const float *power, int64_t n_frames);
bl_status blocks_regions_latents(blocks_regions *r, const float *power, int64_t n_frames, double reference, float **latents,
                                 bl_error *err);

/* Weight of a region among others, the root of its power over the reference; 0 more than 50 dB below it. */
float blocks_regions_weight(float power, double reference);
/* The band that holds a frequency; the last one for all above. */
int   blocks_regions_band(const blocks_regions *r, double hz);

/* ---- for training ---- */

/* n powers to levels. */
void     blocks_regions_levels(const float *power, int64_t n, double reference, float *level);
/* Levels [B, n_bands, T] -> directions [B, D, n_bands T]; *level_again (may be NULL) [B, n_bands, T]. */
nn_node *blocks_regions_forward(blocks_regions *r, nn_tape *tape, nn_node *level, nn_node **level_again);

#endif
