/* Learning the segmenter's latents: an autoencoder of regions with the deep-clustering loss, on mixtures of known stems.
 *
 * Data      Songs with two stems or more. A mixture is min_stems to max_stems of a song's stems at random levels; powers of
 *           stems add up, so that a mixture costs no transform. A region belongs to the stem with most power in it.
 * Loss      affinity x nn_affinity_loss, weighted by the root of a region's power, over `stretches` of each song together, so that
 *           an instrument points the same way wherever it plays; + reconstruction x mean squared error of the levels.
 * Learned   behind the weights: least_direction, by mixtures of songs held out (of training songs when none are), so that the
 *           number of tracks is most often within one of the truth; the mean latents of instrument families.
 * Errors    _collect: BL_EFORMAT when no song has two stems. _step: BL_ENAN as the loop expects.
 * Memory    _collect fills a zeroed struct, _songs_free releases. _trainer_new borrows both; release with _free.
 * Tested    tests/blocks/test_segmenter.c
 */
#ifndef BL_BLOCKS_SEGMENTER_TRAIN_H
#define BL_BLOCKS_SEGMENTER_TRAIN_H

#include "blocks/segmenter.h"
#include "data/dataset.h"
#include "nn/plan.h"

enum { BLOCKS_REGION_STEMS = 12 };

typedef struct blocks_region_song {
    float  *power[BLOCKS_REGION_STEMS];      /* [n_bands, n_frames] */
    double  reference[BLOCKS_REGION_STEMS];  /* mean power of a frame */
    int     family[BLOCKS_REGION_STEMS];     /* data_family, -1 not known */
    int     n_stems, held_out;
    int64_t n_frames;
} blocks_region_song;

typedef struct blocks_region_songs {
    blocks_region_song *songs;
    int n, n_training;
} blocks_region_songs;

bl_status blocks_region_songs_collect(const blocks_regions *r, data_dataset *dataset, double seconds, double max_minutes, int quiet,
                                      blocks_region_songs *out, bl_error *err);
void      blocks_region_songs_free(blocks_region_songs *songs);
/* One song from its stems, stem[i] [n_samples] at BLOCKS_REGIONS_RATE; silent ones are left out. */
bl_status blocks_region_songs_add(const blocks_regions *r, blocks_region_songs *songs, const float *const *stem, const int *family,
                                  int n_stems, int64_t n_samples, int held_out, bl_error *err);

typedef struct blocks_segmenter_trainer blocks_segmenter_trainer;
/* Looks at the keys that _trainer_new will read, so that unknown keys can be found before the dataset is. */
bl_status blocks_segmenter_settings_read(const bl_config *config, bl_error *err);
blocks_segmenter_trainer *blocks_segmenter_trainer_new(blocks_segmenter *s, const blocks_region_songs *songs, uint64_t seed,
                                                       bl_error *err);
void      blocks_segmenter_trainer_free(blocks_segmenter_trainer *t);
void      blocks_segmenter_trainer_plan(blocks_segmenter_trainer *t, nn_plan *plan);
int64_t   blocks_segmenter_trainer_steps(const blocks_segmenter_trainer *t);
/* metrics: loss, affinity, reconstruction. */
bl_status blocks_segmenter_trainer_step(blocks_segmenter_trainer *t, double metrics[3], bl_error *err);
/* Mean affinity loss of songs held out, all stems together; training songs when there are none. */
bl_status blocks_segmenter_trainer_validate(blocks_segmenter_trainer *t, double *affinity, bl_error *err);
/* Learns least_direction and the families, too. */
bl_status blocks_segmenter_trainer_put(blocks_segmenter_trainer *t, int with_optimizer, nn_checkpoint *c, bl_error *err);
bl_status blocks_segmenter_trainer_get(blocks_segmenter_trainer *t, const nn_checkpoint *c, bl_error *err);

#endif
