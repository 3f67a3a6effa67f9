/* The classifier: genre and instruments of a song.
 *
 *     window of ~8 s -> log-mel frames, 46 ms apart, brought to one level (blocks/band_powers.h)
 *     -> the extractor's latents of these frames  -> [classifier] (layers of the .ini) -> genre logits, instrument logits
 *     song: genre = softmax(mean of the windows' log probabilities / temperature)
 *           instrument = mean of the higher half of the windows' probabilities, its log odds shifted
 *
 * Trained with softmax cross-entropy on the genre and binary cross-entropy on each instrument; on bare voices and noise
 * the genre's target is "any of them", so that what says nothing about a genre gets no confident answer. Temperature and
 * shift are fitted on held-out songs. A copy of the feature extractor lies in the same checkpoint, so one file is all it takes.
 *
 *     blocks_classifier *c = blocks_classifier_load("models/classifier.h5", &err);
 *     blocks_classifier_run(c, mono, n_samples, sample_rate, genre_probability, instrument_probability, &err);
 *
 * Shapes   genre_probability [n_genres], sums to 1; instrument_probability [n_instruments], each 0..1. Either may be NULL.
 * Edges    A sound shorter than a window is repeated; of long ones 60 windows count, evenly spread. Silence gives equal
 *          genres and no instrument. Learned from a dataset without genres (or without instruments), the one name there
 *          is "unknown".
 * Errors   BL_EARG: no sample, a rate outside 1000..768000 Hz; BL_ENAN: a sample is not finite; BL_ENOMEM.
 *          _load: as nn_checkpoint_open ("... expected a classifier checkpoint").
 * Memory   _load returns; release with _free (NULL allowed). _run needs the memory of one window, whatever the length.
 * Threads  One classifier per thread; the same bits at any thread count.
 * Cost     see docs/classifier.md.
 * Source   outliers with an even target: Hendrycks et al., "Deep Anomaly Detection with Outlier Exposure", ICLR 2019;
 *          temperature: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.
 * Tested   tests/blocks/test_classifier.c
 */
#ifndef BL_BLOCKS_CLASSIFIER_H
#define BL_BLOCKS_CLASSIFIER_H

#include "blocks/feature_extractor.h"

typedef struct blocks_classifier {
    bl_config  *config;
    nn_params  *params;
    nn_network *net;
    nn_tape    *tape;
    blocks_feature_extractor *fx;   /* owned                                                  */
    char      **genres;             /* names, n_genres                                        */
    int         n_genres;
    char      **instruments;        /* names of data/instruments.h, n_instruments             */
    int         n_instruments;
    int         with_latents;       /* the network has a second input                         */
    double      window_s;
    int64_t     window_frames;      /* of two hops of fx                                      */
    double      level;              /* mean band power of a window, after it was brought to it */
    double      temperature;        /* of the genre                                           */
    double      shift;              /* added to the instruments' log odds                     */
    int64_t     step;
} blocks_classifier;

blocks_classifier *blocks_classifier_load(const char *path, bl_error *err);
void               blocks_classifier_free(blocks_classifier *c);

bl_status blocks_classifier_run(blocks_classifier *c, const float *mono, int64_t n_samples, int sample_rate,
                                float *genre_probability, float *instrument_probability, bl_error *err);

/* ---- for training ---- */

/* Takes fx (also on failure). What is missing in config comes from configs/classifier.ini. */
blocks_classifier *blocks_classifier_new(const bl_config *config, blocks_feature_extractor *fx, const char *const *genres,
                                         int n_genres, const char *const *instruments, int n_instruments, uint64_t seed,
                                         bl_error *err);
bl_status blocks_classifier_put(const blocks_classifier *c, nn_checkpoint *checkpoint, bl_error *err);

/* What the network reads: band powers [n, window_frames, n_mels] -> mel [n, n_mels, window_frames] brought to one level, in
 * decibels, standardised as fx does; and, unless latent is NULL, latent [n, D, window_frames]. */
bl_status blocks_classifier_inputs(blocks_classifier *c, const float *power, int64_t n, float *mel, float *latent, bl_error *err);
/* mel and latent (NULL unless with_latents) as above -> logits [n, n_genres] and [n, n_instruments]. */
void      blocks_classifier_forward(blocks_classifier *c, nn_tape *tape, nn_node *mel, nn_node *latent, nn_node **genre,
                                    nn_node **instrument);
/* power of n windows -> their log probabilities genre [n, n_genres] (at temperature 1) and probabilities instrument
 * [n, n_instruments]. */
bl_status blocks_classifier_windows(blocks_classifier *c, const float *power, int64_t n, float *genre, float *instrument,
                                    bl_error *err);
/* Verdict on a song from its n >= 1 windows as above; either output may be NULL. instrument is sorted in place. */
void      blocks_classifier_verdict(const blocks_classifier *c, const float *genre, float *instrument, int64_t n,
                                    float *genre_probability, float *instrument_probability);
/* 1: below -80 dBFS, so that there is nothing to judge. */
int       blocks_classifier_is_silent(const float *x, int64_t n_samples);

#endif
