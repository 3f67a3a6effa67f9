/* The tone detector: which instrument a tone or a track is, and its role, with a calibrated probability.
 *
 * A support vector machine (nn/models/svm.h: C-SVC, one against one, C, kernel and kernel width found by
 * cross-validation over recordings, Platt's probabilities) on the ranks (blocks/tone_ranks.h) of the features of blocks/tone_features.h, each column weighed by how
 * much better it tells instruments apart than recordings of one instrument, and learned, if asked for, also from varied copies
 * of the tones (blocks/tone_augment.h). A second one
 * tells the kinds of drum hits apart when the training tones have them. A track's probabilities are the mean of
 * those of its tones; its role follows from blocks/track_role.h.
 *
 *     blocks_tone_detector *d = blocks_tone_detector_load("models/tone_detector.h5", &err);
 *     blocks_tone_guess g;
 *     blocks_tone_detector_tone(d, x, n_samples, sample_rate, &g, &err);   // g.instrument, g.probability
 *     blocks_track_guess t;
 *     blocks_tone_detector_track(d, x, n_samples, sample_rate, notes, &t, &err);   // t.name: "lead guitar"
 *     blocks_tone_detector_free(d);
 *
 * Shapes   x [n_samples], one channel, any rate from 4 kHz.
 * Errors   Of what is called; a silent track is BL_EARG. Training: BL_EFORMAT when fewer than two
 *          instruments have enough tones; BL_ESTOP interrupted.
 * Memory   Load and train return a detector; release with _free (NULL allowed).
 * Threads  A detector is read only once made.
 * Tested   tests/blocks/test_tone_detector.c
 */
#ifndef BL_BLOCKS_TONE_DETECTOR_H
#define BL_BLOCKS_TONE_DETECTOR_H

#include "base/config.h"
#include "blocks/tone_ranks.h"
#include "blocks/tone_table.h"
#include "blocks/track_role.h"
#include "nn/models/svm.h"

typedef enum blocks_drum_kind {
    BLOCKS_KICK, BLOCKS_SNARE, BLOCKS_TOM, BLOCKS_HIHAT_CLOSED, BLOCKS_HIHAT_OPEN, BLOCKS_CYMBAL, BLOCKS_N_DRUM_KINDS
} blocks_drum_kind;
extern const char *const blocks_drum_kind_names[]; /* "kick", "snare", "tom", "closed hi-hat", "open hi-hat", "cymbal" */
blocks_drum_kind blocks_drum_kind_of(int gm_key);  /* -1 for other percussion */

typedef struct blocks_tone_detector {
    nn_svm *svm;
    blocks_tone_ranks ranks;                 /* of what svm learned from, as is what svm sees    */
    int     n_classes;
    int     instrument[NN_SVM_MAX_CLASSES];  /* class -> id of data/instruments.h, -1 for a name this version lacks */
    char    name[NN_SVM_MAX_CLASSES][48];
    nn_svm *drum_svm;                        /* NULL: the training tones did not tell kinds apart */
    blocks_tone_ranks drum_ranks;
    int     n_drum_classes;
    blocks_drum_kind drum_kind[BLOCKS_N_DRUM_KINDS];
} blocks_tone_detector;

void blocks_tone_detector_free(blocks_tone_detector *d);

/* ---- guessing ---- */

typedef struct blocks_tone_guess {
    int    instrument;                       /* id, the most probable                          */
    double probability;
    double of_class[NN_SVM_MAX_CLASSES];     /* [n_classes]                                    */
    int    drum_kind;                        /* blocks_drum_kind, -1: no drum or not known     */
    double drum_probability;
} blocks_tone_guess;

/* Class of an instrument, -1 for none. */
int  blocks_tone_detector_class(const blocks_tone_detector *d, int instrument);
/* row [BLOCKS_TONE_FEATURES] of blocks/tone_features.h. */
void blocks_tone_detector_row(const blocks_tone_detector *d, const float *row, blocks_tone_guess *guess);

bl_status blocks_tone_detector_tone(const blocks_tone_detector *d, const float *x, int64_t n_samples, int sample_rate,
                                    blocks_tone_guess *guess, bl_error *err);

typedef struct blocks_track_guess {
    int    instrument;
    double probability;
    double of_class[NN_SVM_MAX_CLASSES];
    int    n_tones;                          /* it was judged by                               */
    blocks_track_measures measures;
    char   role[16], name[64];               /* "lead", "lead guitar"                          */
    double role_probability;                 /* that instrument and role are both right        */
} blocks_track_guess;

/* notes NULL: tones are found by their onsets. only [n_only] ids: instruments that come into question
 * (the others' probability is set to 0 and the rest scaled up); NULL: all. */
bl_status blocks_tone_detector_track(const blocks_tone_detector *d, const float *x, int64_t n_samples, int sample_rate,
                                     const music_track *notes, const int *only, int n_only, blocks_track_guess *guess,
                                     bl_error *err);

/* ---- training ---- */

typedef struct blocks_tone_detector_options {
    int    max_per_instrument;      /* tones; 0 means 1200                                       */
    int    min_per_instrument;      /* instruments with fewer are left out; 0 means 8            */
    int    n_folds;                 /* of the search; 0 means 4                                  */
    int    copies;                  /* varied copies of every tone (blocks/tone_augment.h)       */
    int    leave_out;               /* judge every source by a machine that never heard it       */
    int    kernel;                  /* -1 both, the better one is kept; else nn_svm_kernel       */
    int    balanced;
    double C[16], gamma_scale[16];  /* gamma = gamma_scale / number of features                  */
    int    n_C, n_gamma;
    uint64_t seed;
    int    quiet;
} blocks_tone_detector_options;

/* Section [tone_detector] of a config; keys as the fields, lists separated by blanks. */
bl_status blocks_tone_detector_configure(blocks_tone_detector_options *o, const bl_config *config, bl_error *err);

/* What held-out tones say; filled by blocks_tone_detector_evaluate. */
typedef struct blocks_tone_figures {
    int64_t n, n_recordings;       /* tones tested                                                  */
    double  accuracy, recall;      /* recall: mean over the instruments                             */
    double  majority;              /* the best constant answer: the share of the most frequent one   */
    double  nearest_mean;          /* nearest class mean of the MFCCs, standardised                 */
    double  nearest_mean_recall;
    double  calibration;           /* expected calibration error, ten bins                          */
    double  drum_accuracy;         /* kinds of drum hits; -1: none tested                           */
    int64_t confusion[NN_SVM_MAX_CLASSES][NN_SVM_MAX_CLASSES]; /* [true][guessed]                   */
    int64_t n_train;
} blocks_tone_figures;

/* The search's table, kept so that an interrupted search goes on where it was. */
typedef struct blocks_tone_search {
    double  scores[2][16 * 16];    /* by kernel, then [n_C, n_gamma]; below 0: not done             */
    int     started;               /* 0: fill with -1 first                                         */
    int     best_kernel;
    double  best_C, best_gamma;
} blocks_tone_search;

/* Learns from the rows not held out. */
blocks_tone_detector *blocks_tone_detector_train(const blocks_tone_table *table, const blocks_tone_detector_options *options,
                                                 blocks_tone_search *search, bl_error *err);
bl_status blocks_tone_detector_evaluate(const blocks_tone_detector *d, const blocks_tone_table *table,
                                        blocks_tone_figures *figures, bl_error *err);

/* Judges every row by a machine that learned from the other folds, with d's classes and settings. fold [table->n],
 * 0 .. n_folds-1, others are only learned from. probability [table->n, d->n_classes]: NaN for rows not judged. */
bl_status blocks_tone_detector_cross_validate(const blocks_tone_detector *d, const blocks_tone_table *table, const int *fold, int n_folds,
                                              const blocks_tone_detector_options *options, double *probability, bl_error *err);

/* config: text kept with the model, may be "". */
bl_status             blocks_tone_detector_save(const blocks_tone_detector *d, const char *path, const char *config,
                                                int64_t seed, bl_error *err);
blocks_tone_detector *blocks_tone_detector_load(const char *path, bl_error *err);

#endif
