/* Training of the classifier. Songs are few, so every example is mixed anew, from band powers of stems: powers of sounds
 * that know nothing of each other add up, so leaving out stems, their levels, rooms, desks and noise cost next to nothing.
 *
 * Examples are of five kinds: a song as it is; its stems with some left out and at other levels; stems of different songs
 * (they have instruments, but no genre); a voice alone and noise (their genre is "any of them").
 * Data     Songs: those with a mixture or several stems. Recordings of one instrument (single notes, one stem) only lend
 *          their sound to mixes across songs (voices: also alone), unless the dataset has nothing else. Labels of
 *          instruments: the stems that sound in the window (not 40 dB below it), or the metadata; where neither is known,
 *          the window teaches the genre alone.
 * Figures  On held-out songs, untouched: accuracy of the genre and F1 over all (song, instrument) pairs at probability
 *          1/2; beside the majority and the nearest training songs by MFCC (mean and deviation, standardised, k = 3).
 * Errors   _collect: BL_EFORMAT when no song could be read; BL_ESTOP. _step: BL_ENAN as the loop expects.
 * Memory   _collect fills a zeroed struct, _sounds_free releases; _trainer_new borrows both; release with _free. A minute
 *          of a stem takes 83 kB; of longer songs the middle song_s seconds are kept.
 */
#ifndef BL_BLOCKS_CLASSIFIER_TRAIN_H
#define BL_BLOCKS_CLASSIFIER_TRAIN_H

#include "blocks/classifier.h"
#include "data/dataset.h"
#include "nn/optimizer.h"
#include "nn/plan.h"
#include "nn/schedule.h"

/* A stem or a mixture: band powers in steps of half a decibel. */
typedef struct blocks_sound {
    unsigned char *code;     /* [n_frames, n_mels]; 0 silence, else power = 10^((code / 2 - 70) / 10) */
    int64_t        n_frames;
    double         mean_db;              /* of the mean power                                         */
    int            instrument, is_voice; /* place in the list of instruments, -1 not known            */
} blocks_sound;

typedef struct blocks_song_sounds {
    int           song, genre, held_out; /* index into the dataset; genre -1 not known                */
    int           lends;                 /* one instrument alone, no song                             */
    blocks_sound  mixture;               /* code NULL: lends                                          */
    blocks_sound *stems;
    int           n_stems;
    float        *listed;                /* [n_instruments] 1, 0, -1 of the metadata                  */
} blocks_song_sounds;

typedef struct blocks_sounds {
    blocks_song_sounds *songs;
    int          n_songs, n_mels, n_genres, n_instruments;
    const char **genres, **instruments;  /* borrowed from the dataset and the instrument table        */
} blocks_sounds;

bl_status blocks_sounds_collect(blocks_feature_extractor *fx, data_dataset *dataset, const bl_config *config, int quiet,
                                blocks_sounds *sounds, bl_error *err);
void      blocks_sounds_free(blocks_sounds *sounds);

typedef struct blocks_classifier_score {
    double genre, genre_majority, genre_knn;                /* accuracy over songs; -1: no song with a genre     */
    double instruments, instruments_majority, instruments_knn; /* F1 over songs and instruments; -1: none known  */
    double loss;                                            /* of the genre of held-out songs, calibrated        */
    double temperature;
    int    n_songs;
} blocks_classifier_score;

typedef struct blocks_classifier_trainer blocks_classifier_trainer;
/* Looks at the keys that training reads, so that unknown keys can be found before the dataset is read. */
bl_status blocks_classifier_settings_read(const blocks_classifier *c, bl_error *err);
blocks_classifier_trainer *blocks_classifier_trainer_new(blocks_classifier *c, const blocks_sounds *sounds, uint64_t seed,
                                                         bl_error *err);
void      blocks_classifier_trainer_free(blocks_classifier_trainer *t);
/* What training takes, before it begins. */
void      blocks_classifier_trainer_plan(blocks_classifier_trainer *t, nn_plan *plan);
/* losses[2]: genre, instruments. */
bl_status blocks_classifier_trainer_step(blocks_classifier_trainer *t, double losses[2], double *gradient_norm, bl_error *err);
/* Without held-out songs the training songs are measured. Also fits c->temperature, on remixes of the same songs. */
bl_status blocks_classifier_trainer_validate(blocks_classifier_trainer *t, blocks_classifier_score *score, bl_error *err);
bl_status blocks_classifier_trainer_put(const blocks_classifier_trainer *t, int with_optimizer, nn_checkpoint *k, bl_error *err);
bl_status blocks_classifier_trainer_get(blocks_classifier_trainer *t, const nn_checkpoint *k, bl_error *err);

#endif
