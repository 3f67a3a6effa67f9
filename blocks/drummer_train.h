/* Training of the drummer on performances of people, and what it is worth beside others.
 *
 * Dataset    a folder with an info.csv of the columns style, bpm, time_signature, midi_filename, split (train, validation, test) as
 *            the Groove MIDI Dataset has it, any others beside them, no quotes; meters other than n-4 are left out. What is
 *            not "train" is held out. A share `tune` of the training performances (by their names) serves for figures
 *            on the way.
 * Stretches  each step takes batch_size stretches of up to segment_strokes from anywhere in the training performances; in a share
 *            `accents` of them the network is told ghost notes and accents, in a share `any_style` not the style; the
 *            mean velocity it is told is off by 0.05 or so.
 * Loss       -log likelihood of velocity and offset under the mixtures, mean over hits, both added.
 * Errors     _songs_collect: BL_EFORMAT: no info.csv, a column missing ("info.csv line 7: ..."), nothing to train on; a file
 *            that cannot be read is skipped and reported. _step: BL_ENAN as the loop expects.
 * Memory     _trainer_new borrows drummer and songs; release with _free. Performances: release with _songs_free.
 * Tested     tests/blocks/test_drummer.c
 */
#ifndef BL_BLOCKS_DRUMMER_TRAIN_H
#define BL_BLOCKS_DRUMMER_TRAIN_H

#include "blocks/drummer.h"
#include "nn/plan.h"

typedef enum blocks_drum_part { BLOCKS_DRUM_TRAIN, BLOCKS_DRUM_TUNE, BLOCKS_DRUM_HELD_OUT } blocks_drum_part;

typedef struct blocks_drum_song {
    blocks_stroke   *strokes;
    int              n;
    int              style;  /* as blocks_drummer_style; a style without a name is "any" */
    blocks_drum_part part;
} blocks_drum_song;

typedef struct blocks_drum_songs {
    blocks_drum_song *songs;
    int               n, capacity, n_skipped;
} blocks_drum_songs;

bl_status blocks_drum_songs_collect(const char *folder, const blocks_drummer *d, double tune, void (*skipped)(void *, const char *, const char *),
                                    void *user, blocks_drum_songs *songs, bl_error *err);
/* Takes strokes, also on failure. */
bl_status blocks_drum_songs_add(blocks_drum_songs *songs, blocks_stroke *strokes, int n, int style, blocks_drum_part part, bl_error *err);
void      blocks_drum_songs_free(blocks_drum_songs *songs);

/* ---- figures ---- */

/* Who plays. Everybody is told which drums are hit when, and nothing of the performance but its swing. */
typedef enum blocks_drum_player {
    BLOCKS_DRUM_OURS,         /* told how loud it is around, ghost notes and accents                      */
    BLOCKS_DRUM_OURS_BLIND,   /* told how loud it is around                                               */
    BLOCKS_DRUM_QUANTISED,    /* each drum's mean velocity, on the grid                                   */
    BLOCKS_DRUM_POSITION,     /* mean of the same drum at the same place in the bar, in training          */
    BLOCKS_DRUM_OTHER,        /* any hit of the same drum of a training performance of the same style     */
    BLOCKS_DRUM_REPEAT,       /* mean of the same person's other bars of the same strokes, where there are such */
    BLOCKS_DRUM_PLAYERS
} blocks_drum_player;

/* Means: of velocity 0..127 and of milliseconds; r2: share of the variance. kl: nats from the people's histogram (16 bins of
 * velocity, 25 of -0.6 .. 0.6 sixteenths) to the player's, whose chance counts here (and only here). */
typedef struct blocks_drum_figures {
    double velocity_mae, velocity_r2, offset_mae_ms, offset_r2, velocity_kl, offset_kl;
} blocks_drum_figures;

typedef struct blocks_drum_score {
    double loss;                                         /* told everything, nats per hit               */
    int    n_songs;
    int64_t n_hits, n_repeated;
    blocks_drum_figures all[BLOCKS_DRUM_PLAYERS];        /* REPEAT: 0                                   */
    blocks_drum_figures repeated[BLOCKS_DRUM_PLAYERS];   /* on the hits of bars that occur again        */
    double halves_velocity_kl, halves_offset_kl;         /* of every second performance to the others   */
    double together;                                     /* part of the offsets' leftover variance that hits of one stroke share */
} blocks_drum_score;

extern const char *const blocks_drum_player_names[BLOCKS_DRUM_PLAYERS];

bl_status blocks_drum_score_run(blocks_drummer *d, const blocks_drum_songs *songs, blocks_drum_part part, uint64_t seed,
                                blocks_drum_score *score, bl_error *err);

/* ---- training ---- */

typedef struct blocks_drummer_trainer blocks_drummer_trainer;
/* Looks at the keys that training reads, so that unknown keys can be found before the dataset is read. tune may be NULL. */
bl_status blocks_drummer_settings_read(const blocks_drummer *d, double *tune, bl_error *err);
blocks_drummer_trainer *blocks_drummer_trainer_new(blocks_drummer *d, const blocks_drum_songs *songs, uint64_t seed, bl_error *err);
void      blocks_drummer_trainer_free(blocks_drummer_trainer *t);
void      blocks_drummer_trainer_plan(blocks_drummer_trainer *t, nn_plan *plan);
/* losses[2]: of velocity and of offset, nats per hit. */
bl_status blocks_drummer_trainer_step(blocks_drummer_trainer *t, double losses[2], double *gradient_norm, bl_error *err);
/* With the averaged weights. */
bl_status blocks_drummer_trainer_validate(blocks_drummer_trainer *t, blocks_drum_part part, blocks_drum_score *score, bl_error *err);
bl_status blocks_drummer_trainer_put(const blocks_drummer_trainer *t, int with_optimizer, nn_checkpoint *c, bl_error *err);
bl_status blocks_drummer_trainer_get(blocks_drummer_trainer *t, const nn_checkpoint *c, bl_error *err);

/* Sums over the hits of -log likelihood: of velocities, of offsets. y: blocks_drummer_forward; target, weight
 * [B, 1, BLOCKS_DRUMMER_TARGETS, T], weight 0 where there is no hit. */
void      blocks_drummer_loss(nn_tape *tape, nn_node *const y[3], nn_node *target, nn_node *weight, nn_node *sums[2]);

#endif
