/* Training of the classifier. Songs are few, so most windows are mixed anew: stems of a song left out at random and
 * with gains of their own, single stems, and mixes of stems from different songs, which have instruments but no genre.
 *
 * Data     Songs: those with a mixture or several stems. Recordings of one instrument (single notes, one stem) only lend
 *          their sound to the mixes across songs, unless the dataset has nothing else. Labels of instruments: the stems
 *          that sound in the window, or the metadata; where neither is known, the window teaches the genre alone.
 * Figures  On held-out songs, windows of the untouched mixture: accuracy of the genre and F1 over all (song, instrument)
 *          pairs at probability 1/2; beside the majority and the nearest training songs by MFCC (mean and deviation,
 *          standardised, k = 3).
 * Errors   _collect: BL_EFORMAT when no song could be read; BL_ESTOP. _step: BL_ENAN as the loop expects.
 * Memory   _collect fills a zeroed struct, _table_free releases; _trainer_new borrows both; release with _free.
 */
#ifndef BL_BLOCKS_CLASSIFIER_TRAIN_H
#define BL_BLOCKS_CLASSIFIER_TRAIN_H

#include "blocks/classifier.h"
#include "data/dataset.h"
#include "nn/optimizer.h"
#include "nn/plan.h"
#include "nn/schedule.h"

typedef enum blocks_window_kind { BLOCKS_WINDOW_SONG, BLOCKS_WINDOW_REMIX, BLOCKS_WINDOW_CROSS } blocks_window_kind;

typedef struct blocks_window_table {
    int64_t n, capacity;
    int     n_features, n_genres, n_instruments;
    float  *rows;            /* [n, n_features], as measured                                   */
    float  *labels;          /* [n, n_instruments] 1 present, 0 absent, -1 not known           */
    int    *genre;           /* [n] -1 not known                                               */
    int    *song;            /* [n] index into the dataset, -1 of a mix across songs           */
    int    *kind;            /* [n] blocks_window_kind                                         */
    unsigned char *held_out; /* [n]                                                            */
    const char **genres, **instruments; /* borrowed from the dataset and the instrument table  */
} blocks_window_table;

bl_status blocks_windows_collect(blocks_feature_extractor *fx, data_dataset *dataset, const bl_config *config, uint64_t seed,
                                 int quiet, blocks_window_table *table, bl_error *err);
void      blocks_window_table_free(blocks_window_table *table);
/* For tests and other sources: one row, copied. labels [n_instruments]. */
bl_status blocks_window_table_add(blocks_window_table *table, const float *row, const float *labels, int genre, int song,
                                  blocks_window_kind kind, int held_out, bl_error *err);

typedef struct blocks_classifier_score {
    double genre, genre_majority, genre_knn;                /* accuracy over songs; -1: no song with a genre     */
    double instruments, instruments_majority, instruments_knn; /* F1 over songs and instruments; -1: none known  */
    double loss;                                            /* of the held-out windows                           */
    int    n_songs;
} blocks_classifier_score;

typedef struct blocks_classifier_trainer blocks_classifier_trainer;
/* Looks at the keys that training reads, so that unknown keys can be found before the dataset is read. */
bl_status blocks_classifier_settings_read(const blocks_classifier *c, bl_error *err);
/* Sets c->mean and c->scale from the training rows. */
blocks_classifier_trainer *blocks_classifier_trainer_new(blocks_classifier *c, const blocks_window_table *table, uint64_t seed,
                                                         bl_error *err);
void      blocks_classifier_trainer_free(blocks_classifier_trainer *t);
/* losses[2]: genre, instruments. */
/* What training takes, before it begins. */
void      blocks_classifier_trainer_plan(blocks_classifier_trainer *t, nn_plan *plan);
bl_status blocks_classifier_trainer_step(blocks_classifier_trainer *t, double losses[2], double *gradient_norm, bl_error *err);
/* Without held-out songs the training songs are measured. */
bl_status blocks_classifier_trainer_validate(blocks_classifier_trainer *t, blocks_classifier_score *score, bl_error *err);
bl_status blocks_classifier_trainer_put(const blocks_classifier_trainer *t, int with_optimizer, nn_checkpoint *k, bl_error *err);
bl_status blocks_classifier_trainer_get(blocks_classifier_trainer *t, const nn_checkpoint *k, bl_error *err);

#endif
