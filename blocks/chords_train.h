/* Training of the chord network on songs whose chords and key are known.
 *
 * Data     Songs of a dataset folder with a truth.json beside their mixture, as tools/render_dataset and
 *          tools/render_arrangements.py write it: "chords": [[start, end, "C:maj7"], ...], "key": "A:min". Spectra are kept
 *          (10 kB a second), stretches drawn from them are moved by whole semitones, chords and key with them, and their
 *          colour is bent at random.
 * Figures  On held-out songs, share of the time that the most probable class is right as major, minor or no chord (where the
 *          truth is one of them), beside the most common chord of the song; share of songs whose most probable key is right.
 *          Single frames, nothing smoothed.
 * Errors   _collect: BL_EFORMAT when no song has a truth; BL_ESTOP. _step: BL_ENAN as the loop expects.
 * Memory   _collect fills a zeroed struct, _free releases; _trainer_new borrows both; release with _free.
 * Tested   tests/blocks/test_chords.c
 */
#ifndef BL_BLOCKS_CHORDS_TRAIN_H
#define BL_BLOCKS_CHORDS_TRAIN_H

#include "audio/tonal.h"
#include "blocks/chords.h"
#include "data/dataset.h"
#include "nn/plan.h"

typedef struct blocks_chord_song {
    audio_tonal  tonal;
    signed char *chord; /* [n_frames] heard class; -1: not known                          */
    signed char *bass;  /* [n_frames] pitch class; -1: not known, or none                 */
    int          key;   /* 12 minor + tonic, -1: not known                                */
    int          held_out;
} blocks_chord_song;

typedef struct blocks_chord_songs {
    blocks_chord_song *songs;
    int                n, capacity;
    double             seconds;
} blocks_chord_songs;

bl_status blocks_chord_songs_collect(data_dataset *dataset, int quiet, blocks_chord_songs *songs, bl_error *err);
/* One song from its sound and the text of its truth.json. name: for messages. */
bl_status blocks_chord_songs_add(blocks_chord_songs *songs, const char *name, const float *x, int64_t n_samples, int sample_rate,
                                 const char *truth, int held_out, bl_error *err);
void      blocks_chord_songs_free(blocks_chord_songs *songs);

typedef struct blocks_chords_score {
    double majmin, commonest, key, loss;
    int    n_songs;
} blocks_chords_score;

typedef struct blocks_chords_trainer blocks_chords_trainer;

/* Looks at the keys that training reads, so that unknown keys can be found before the dataset is read. */
bl_status blocks_chords_settings_read(const blocks_chords *c, bl_error *err);
blocks_chords_trainer *blocks_chords_trainer_new(blocks_chords *c, const blocks_chord_songs *songs, uint64_t seed, bl_error *err);
void      blocks_chords_trainer_free(blocks_chords_trainer *t);
void      blocks_chords_trainer_plan(blocks_chords_trainer *t, nn_plan *plan);
/* losses[3]: chord, bass, key. */
bl_status blocks_chords_trainer_step(blocks_chords_trainer *t, double losses[3], double *gradient_norm, bl_error *err);
/* Without held-out songs the training songs are measured. */
bl_status blocks_chords_trainer_validate(blocks_chords_trainer *t, blocks_chords_score *score, bl_error *err);
bl_status blocks_chords_trainer_put(const blocks_chords_trainer *t, int with_optimizer, nn_checkpoint *c, bl_error *err);
bl_status blocks_chords_trainer_get(blocks_chords_trainer *t, const nn_checkpoint *c, bl_error *err);

#endif
