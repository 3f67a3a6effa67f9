/* Learning the segmenter: scaling, number of clusters, centroids, from the songs of a dataset; and what it is worth.
 *
 * Scaling   Where the stems of songs are known, every part belongs to the family of the stem that has most of its power, and
 *           the projection is Fisher's linear discriminant: within-family scatter becomes a unit ball (shrunk towards
 *           its diagonal), and the directions that part the families best are kept. Without stems: every column to
 *           mean 0 and deviation 1.
 * Clusters  k-means on the projected parts of all training songs. Known stems seed it: one centroid per family, at the
 *           mean of its parts, then Lloyd's iterations over all parts. Without stems: k-means++ with restarts,
 *           and the k with the greatest silhouette unless one is given.
 * Figures   On songs held out (the dataset's validation side) with stems: scale-invariant signal-to-distortion ratio of the
 *           tracks against the stems minus that of the mixture. Tracks go to stems one to one, so that
 *           the sum is greatest; a stem without a track counts 0. Beside it, by the same rule: the two tracks of
 *           harmonic/percussive separation; parts given to the right stem (the ceiling of the clustering); ideal
 *           ratio masks of the true stems (the ceiling of masking).
 * Source    Fisher 1936; Basu, Banerjee & Mooney, "Semi-supervised clustering by seeding", ICML 2002; Le Roux et al.,
 *           "SDR - half-baked or well done?", ICASSP 2019.
 * Tested    tests/blocks/test_segmenter.c
 */
#ifndef BL_BLOCKS_SEGMENTER_TRAIN_H
#define BL_BLOCKS_SEGMENTER_TRAIN_H

#include "blocks/segmenter.h"
#include "data/dataset.h"

enum { BLOCKS_SEGMENTER_RATE = 22050 };

typedef struct blocks_segmenter_options {
    blocks_segmenter_method method;
    nn_linkage linkage;
    int      k;                  /* 0: from the stems, else by silhouette   */
    int      k_min, k_max;       /* of the silhouette                       */
    int      use_stems;          /* 0: as if no stems were known            */
    int      refine;
    double   min_share, seconds; /* seconds of each song that are looked at */
    double   shrink;             /* of the within-family scatter, 0..1      */
    int      n_harmonic, n_percussive, iterations;
    int64_t  max_songs;          /* -1: all */
    uint64_t seed;
    int      quiet;
} blocks_segmenter_options;

/* Section [segmenter] of a config. */
bl_status blocks_segmenter_configure(blocks_segmenter_options *o, const bl_config *config, bl_error *err);

/* Parts of all training songs. Release with blocks_segmenter_table_free. */
typedef struct blocks_segmenter_table {
    float   *rows;       /* [n, dim_in] */
    int     *family;     /* [n] data_family, -1 not known */
    int     *song;       /* [n] */
    int64_t  n, capacity;
    int      dim_in, n_songs;
} blocks_segmenter_table;

void blocks_segmenter_table_free(blocks_segmenter_table *t);

/* Adds the parts of one song. BL_ESTOP after an interrupt. */
bl_status blocks_segmenter_table_add(blocks_segmenter_table *t, data_dataset *dataset, int song,
                                     const blocks_segmenter_options *o, const blocks_latent_encoder *encoder, bl_error *err);

/* silhouettes [k_max - k_min + 1] or NULL: filled when they decide, else NaN. */
blocks_segmenter *blocks_segmenter_learn(const blocks_segmenter_table *t, const blocks_segmenter_options *o,
                                         double *silhouettes, bl_error *err);

typedef struct blocks_segmenter_figures {
    int    n_stems, n_tracks;
    double tracks_db, hpss_db, oracle_parts_db, oracle_masks_db; /* mean improvement over the stems */
} blocks_segmenter_figures;

/* One song with at least two stems; n_stems 0 when it has fewer. */
bl_status blocks_segmenter_evaluate(const blocks_segmenter *s, data_dataset *dataset, int song, double seconds,
                                    const blocks_latent_encoder *encoder, blocks_segmenter_figures *f, bl_error *err);

/* 10 log10(|a s|^2 / |y - a s|^2), a s the projection of y on s; s, y [n]. -100 at least, 100 at most. */
double blocks_si_sdr(const float *reference, const float *estimate, int64_t n);

#endif
