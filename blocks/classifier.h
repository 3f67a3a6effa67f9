/* The classifier: genre and instruments of a song.
 *
 *     window of ~10 s -> measured values (blocks/song_features.h) + mean, deviation and mean change of the latents
 *     -> standardised -> [classifier] (layers of the .ini) -> genre logits, instrument logits
 *     song: genre = mean of the windows' log probabilities; instrument = mean of the higher half of its probabilities
 *
 * Trained with softmax cross-entropy on the genre and binary cross-entropy on each instrument. Needs the feature
 * extractor whose latents it learned from: a copy of it lies in the same checkpoint, so one file is all it takes.
 *
 *     blocks_classifier *c = blocks_classifier_load("models/classifier.h5", &err);
 *     blocks_classifier_run(c, mono, n_samples, sample_rate, genre_probability, instrument_probability, &err);
 *
 * Shapes   genre_probability [n_genres], sums to 1; instrument_probability [n_instruments], each 0..1. Either may be NULL.
 * Edges    A sound shorter than a window is repeated. Silence gives equal genres and no instrument. Learned from a dataset
 *          without genres (or without instruments), the one name there is "unknown".
 * Errors   BL_EARG: no sample, a rate outside 1000..768000 Hz; BL_ENAN: a sample is not finite; BL_ENOMEM.
 *          _load: as nn_checkpoint_open ("... expected a classifier checkpoint").
 * Memory   _load returns; release with _free (NULL allowed).
 * Threads  One classifier per thread; the same bits at any thread count.
 * Tested   tests/blocks/test_classifier.c
 */
#ifndef BL_BLOCKS_CLASSIFIER_H
#define BL_BLOCKS_CLASSIFIER_H

#include "blocks/feature_extractor.h"
#include "blocks/song_features.h"

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
    int         n_features;         /* BLOCKS_SONG_FEATURES + 3 D                             */
    float      *mean, *scale;       /* [n_features]: network input = clamp((row - mean) scale, -5, 5) */
    double      window_s, hop_s;    /* of the windows over a song                             */
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
/* Row of one window, not standardised: out [n_features]. x is at fx->sample_rate. */
bl_status blocks_classifier_row(blocks_feature_extractor *fx, const float *x, int64_t n_samples, float *out, bl_error *err);
/* rows [B, n_features], standardised -> logits [B, n_genres] and [B, n_instruments]. */
void      blocks_classifier_forward(blocks_classifier *c, nn_tape *tape, nn_node *rows, nn_node **genre, nn_node **instrument);
/* Standardises n rows in place. */
void      blocks_classifier_scale(const blocks_classifier *c, float *rows, int64_t n);
/* Verdict on a song from the standardised rows of its n >= 1 windows. */
bl_status blocks_classifier_judge(blocks_classifier *c, const float *rows, int64_t n, float *genre, float *instrument,
                                  bl_error *err);
/* 1: below -80 dBFS, so that there is nothing to judge. */
int       blocks_classifier_is_silent(const float *x, int64_t n_samples);

#endif
