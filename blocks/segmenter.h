/* The segmenter: one song into instrument tracks.
 *
 *     song -> STFT -> parts (blocks/sound_parts.h) -> a row of numbers per part: timbre and shape over time, and,
 *     with an encoder, the autoencoder's latents of the frames in which the part dominates
 *     -> scaled as learned over a dataset -> clusters -> soft masks on the STFT -> ISTFT -> tracks -> names
 *
 * Clusters  k-means: every part goes to the nearest of the centroids learned over the dataset, which then move with
 *           the song's own parts for `refine` of Lloyd's iterations. hierarchical: the song's parts are joined
 *           by linkage until as many clusters are left as centroids have parts near them; each takes the name of the
 *           centroid nearest to its mean.
 * Sum       The tracks add up to the song, sample by sample, within float rounding.
 * Names     With a tone detector: what it calls the track, probability beside it; instruments of the centroid's family
 *           count four times. Without: the instrument
 *           family of the centroid ("percussion", "guitars"), or "track 2".
 * Shapes    Song of any rate from 8 kHz, any channels (parts are found on the mono sum, masks apply to every
 *           channel). Tracks have the song's shape.
 * Errors    BL_EARG: empty, silent or too short (a quarter of a second); BL_ENAN; BL_ENOMEM; BL_ESHAPE: a model that was
 *           trained with latents is run without an encoder of the same size, or the other way round.
 * Memory    Works in pieces of 40 s. blocks_segments_free releases the tracks; blocks_segmenter_free the model.
 * Threads   A model is read only once made. The same bits at any thread count.
 * Tested    tests/blocks/test_segmenter.c
 */
#ifndef BL_BLOCKS_SEGMENTER_H
#define BL_BLOCKS_SEGMENTER_H

#include "audio/clip.h"
#include "base/config.h"
#include "blocks/sound_parts.h"
#include "blocks/tone_detector.h"
#include "nn/models/hierarchical.h"
#include "nn/models/kmeans.h"

typedef enum blocks_segmenter_method { BLOCKS_SEGMENTER_KMEANS, BLOCKS_SEGMENTER_HIERARCHICAL } blocks_segmenter_method;

/* Latents per frame of a mono signal x [n_samples]: *latents [*n_frames, dim], malloc'ed, frame t centred at t * *hop_s. */
typedef struct blocks_latent_encoder {
    int   dim;
    void *user;
    bl_status (*encode)(void *user, const float *x, int64_t n_samples, int sample_rate, float **latents,
                        int64_t *n_frames, double *hop_s, bl_error *err);
} blocks_latent_encoder;

enum { BLOCKS_SEGMENTER_MAX_TRACKS = 16 };

typedef struct blocks_segmenter {
    blocks_segmenter_method method;
    nn_linkage linkage;
    int        refine;          /* Lloyd's iterations on the song's own parts                  */
    double     min_share;       /* clusters with less of the song's power are joined to others */
    blocks_parts_options parts;
    int        dim_in;          /* BLOCKS_PART_FEATURES + dim of the latents                   */
    int        dim;
    float     *mean, *projection; /* [dim_in], [dim, dim_in]: z = projection (row - mean)      */
    nn_kmeans  clusters;        /* [k, dim]                                                    */
    char       name[BLOCKS_SEGMENTER_MAX_TRACKS][48];
} blocks_segmenter;

void              blocks_segmenter_free(blocks_segmenter *s);
bl_status         blocks_segmenter_save(const blocks_segmenter *s, const char *path, const char *config, int64_t seed,
                                        bl_error *err);
blocks_segmenter *blocks_segmenter_load(const char *path, bl_error *err);

typedef struct blocks_segment {
    audio_clip audio;
    char       name[64];     /* unique within the song                                 */
    int        instrument;   /* id, -1 when there was no detector                       */
    double     probability;  /* of the name; 0 without a detector                      */
    double     share;        /* of the song's power                                    */
    int        cluster;      /* centroid of the model                                  */
} blocks_segment;

typedef struct blocks_segments {
    blocks_segment tracks[BLOCKS_SEGMENTER_MAX_TRACKS]; /* by share, largest first */
    int            n;
} blocks_segments;

/* encoder, detector: NULL for none. */
bl_status blocks_segmenter_run(const blocks_segmenter *s, const audio_clip *song, const blocks_latent_encoder *encoder,
                               const blocks_tone_detector *detector, blocks_segments *out, bl_error *err);
void      blocks_segments_free(blocks_segments *segments);

/* ---- pieces, also used in training ---- */

/* Rows of parts with latents behind the features; out [n_parts, dim_in], energy [n_parts]. x: what p was made of. */
bl_status blocks_segmenter_rows(const blocks_parts *p, const float *x, int64_t n_samples, const blocks_latent_encoder *encoder,
                                float *out, double *energy, bl_error *err);

/* Cluster of every row; rows [n, dim_in], energy [n], label [n] a centroid of the model. */
bl_status blocks_segmenter_assign(const blocks_segmenter *s, const float *rows, const double *energy, int64_t n, int *label,
                                  bl_error *err);

#endif
