/* Training of the harmonizer: cross-entropy of the network on stretches of songs, and the habits of the corpus by counting.
 *
 * Examples Stretches of segment_units units. In some, the melody is as a listener might get it: wrong_key moves melody and chords together
 *          under an unmoved key (the key is out by a fifth, a semitone or a tone), wrong_mode says minor for major, lost and wrong leave
 *          notes out or move them by a semitone, late shifts onsets.
 * Habits   Shares, moves and lengths of the training songs' chords. What a mode has not seen often leans on both modes together, and
 *          that on what is even.
 * Figures  On held-out songs: loss per unit; share of the time that the chords of the path (genre "pop") have the human root, and are the
 *          human major or minor triad; the same for the tonic throughout; share of the melody that is a tone of the chord
 *          over it, ours and the humans'. Means over songs.
 * Errors   _trainer_new: BL_EARG for settings; BL_EFORMAT: nothing to train on; what loading configs/harmony.ini says. _step: BL_ENAN as
 *          the loop expects.
 * Memory   _trainer_new borrows harmonizer and songs; release with _free (NULL allowed).
 * Tested   tests/blocks/test_harmonizer.c
 */
#ifndef BL_BLOCKS_HARMONIZER_TRAIN_H
#define BL_BLOCKS_HARMONIZER_TRAIN_H

#include "blocks/harmonizer.h"
#include "blocks/harmonizer_songs.h"
#include "nn/plan.h"

typedef struct blocks_harmonizer_score {
    double loss, root, majmin, tonic_root, tonic_majmin, chord_tones, human_chord_tones;
    int    n_songs;
} blocks_harmonizer_score;

typedef struct blocks_harmonizer_trainer blocks_harmonizer_trainer;

/* Looks at the keys that training reads, so that unknown keys can be found before the songs are read. */
bl_status blocks_harmonizer_settings_read(const blocks_harmonizer *h, bl_error *err);
void      blocks_harmonizer_count(const blocks_melody_songs *songs, music_harmony_habits *habits);

blocks_harmonizer_trainer *blocks_harmonizer_trainer_new(blocks_harmonizer *h, const blocks_melody_songs *songs, uint64_t seed, bl_error *err);
void      blocks_harmonizer_trainer_free(blocks_harmonizer_trainer *t);
void      blocks_harmonizer_trainer_plan(blocks_harmonizer_trainer *t, nn_plan *plan);
/* losses[2]: degree, colour. */
bl_status blocks_harmonizer_trainer_step(blocks_harmonizer_trainer *t, double losses[2], double *gradient_norm, bl_error *err);
/* Without held-out songs the training songs are measured. */
bl_status blocks_harmonizer_trainer_validate(blocks_harmonizer_trainer *t, blocks_harmonizer_score *score, bl_error *err);
bl_status blocks_harmonizer_trainer_put(const blocks_harmonizer_trainer *t, int with_optimizer, nn_checkpoint *c, bl_error *err);
bl_status blocks_harmonizer_trainer_get(blocks_harmonizer_trainer *t, const nn_checkpoint *c, bl_error *err);

#endif
