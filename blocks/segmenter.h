/* The segmenter: one song into instrument tracks.
 *
 *     song -> mono at 22,050 Hz -> regions and their latents (blocks/regions.h) -> clusters -> masks -> STFT of the song, masked
 *     -> ISTFT -> tracks -> names
 *
 * Number    Were the latents perfect, they would point in as many directions as there are instruments, at right angles: the matrix
 *           sum w v v' / sum w would have as many eigenvalues above 0. So as many tracks are made as it has eigenvalues of
 *           least_direction or more, which is learned from mixtures of known stems; or `k`, when it is given.
 * Clusters  n_sample regions, drawn by their weight. kmeans: k-means++, n_init starts. hierarchical: at most HIERARCHICAL_MOST of
 *           them joined by linkage until k are left. Clusters with less than min_share of the weight are given up.
 * Masks     exp(-sharpness d^2) of a region's distance d to each centroid, over their sum; bins between 11 kHz and the top go
 *           with the highest band. They sum to 1: the tracks add up to the song, sample by sample, within float rounding.
 * Names     With a tone detector: what it calls the track, probability beside it; instruments of the family whose mean latent
 *           is nearest to the centroid count four times. Without: that family ("percussion", "guitars"), or "track 2".
 * Shapes    Song of any rate from 8 kHz, any channels (latents are found on the mono sum, masks apply to every channel). Tracks
 *           have the song's shape.
 * Errors    BL_EARG: empty, silent or too short (a quarter of a second), more tracks asked for than there can be; BL_ENAN; BL_ENOMEM.
 * Memory    4 k + 2 kB a frame (23 ms) beside the tracks; the STFT goes in pieces of 40 s. blocks_segments_free releases the
 *           tracks; blocks_segmenter_free the model.
 * Threads   One run at a time (the model holds a tape). The same bits at any thread count.
 * Tested    tests/blocks/test_segmenter.c
 */
#ifndef BL_BLOCKS_SEGMENTER_H
#define BL_BLOCKS_SEGMENTER_H

#include "audio/clip.h"
#include "blocks/regions.h"
#include "blocks/tone_detector.h"
#include "nn/models/hierarchical.h"

typedef enum blocks_segmenter_method { BLOCKS_SEGMENTER_KMEANS, BLOCKS_SEGMENTER_HIERARCHICAL } blocks_segmenter_method;

enum { BLOCKS_SEGMENTER_MAX_TRACKS = 16 };

/* Section [segmenter] of a config. */
typedef struct blocks_segmenter_options {
    blocks_segmenter_method method;
    nn_linkage linkage;
    int        k;               /* 0: found                                                    */
    int        k_min, k_max;    /* when it is found                                            */
    int        n_sample, n_init;
    double     sharpness, min_share;
} blocks_segmenter_options;

bl_status blocks_segmenter_configure(blocks_segmenter_options *o, const bl_config *config, bl_error *err);

typedef struct blocks_segmenter {
    blocks_segmenter_options options;
    blocks_regions *regions;
    double  least_direction;
    int     n_families;
    float  *family;             /* [n_families, D] mean latents of known instruments            */
    char    name[BLOCKS_SEGMENTER_MAX_TRACKS][48]; /* of the families                           */
} blocks_segmenter;

/* Takes regions. */
blocks_segmenter *blocks_segmenter_new(blocks_regions *regions, bl_error *err);
void              blocks_segmenter_free(blocks_segmenter *s);
/* Without the attributes "step" and "seed". */
bl_status         blocks_segmenter_put(const blocks_segmenter *s, nn_checkpoint *c, bl_error *err);
blocks_segmenter *blocks_segmenter_load(const char *path, bl_error *err);

typedef struct blocks_segment {
    audio_clip audio;
    char       name[64];     /* unique within the song                                 */
    int        instrument;   /* id, -1 when there was no detector                      */
    double     probability;  /* of the name; 0 without a detector                      */
    double     share;        /* of the song's power                                    */
    int        cluster;
} blocks_segment;

typedef struct blocks_segments {
    blocks_segment tracks[BLOCKS_SEGMENTER_MAX_TRACKS]; /* by share, largest first */
    int            n;
} blocks_segments;

/* detector: NULL for none. */
bl_status blocks_segmenter_run(blocks_segmenter *s, const audio_clip *song, const blocks_tone_detector *detector,
                               blocks_segments *out, bl_error *err);
void      blocks_segments_free(blocks_segments *segments);

/* ---- pieces, also used in training (blocks/segmenter_clusters.c) ---- */

/* Eigenvalues, descending, of sum w v v' / sum w; latents [n, dim], weight [n], out [dim]. Silence gives zeros. */
void      blocks_segmenter_directions(const float *latents, const float *weight, int64_t n, int dim, double *out);
/* How many of them are least or more. */
int       blocks_segmenter_count(const double *directions, int dim, double least);

/* Centroids [*k, dim] of latents [n, dim]; *k as the options say. */
bl_status blocks_segmenter_cluster(const blocks_segmenter *s, const float *latents, const float *weight, int64_t n,
                                   float *centroids, int *k, bl_error *err);
/* Masks [k, n] of latents [n, dim]. */
void      blocks_segmenter_masks(const blocks_segmenter *s, const float *latents, int64_t n, const float *centroids, int k,
                                 float *masks);

#endif
