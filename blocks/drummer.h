/* The drummer: how hard and how early or late each stroke of a drum part is played, as people play it. A bidirectional LSTM over
 * strokes reads the whole part and gives for every hit a mixture of three Gaussians of its velocity and of its offset; the
 * seed draws from them.
 *
 *     blocks_drummer *d = blocks_drummer_load("models/drummer.h5", &err);
 *     const music_drummer drummer = blocks_drummer_hook(d);
 *     input.drummer = &drummer;                                     // music/arrange.h
 *     music_arrange(&input, &score, &err);
 *
 * What it hears  which drums are hit together, where in the bar and beat, the grid's swing, tempo, time to the neighbours; the manner
 *          (a name of drummer.styles, or "any"); how loud the part is around; of each hit whether the part asks for a ghost
 *          note, an accent or neither (beside what is around it).
 * Chance   [drummer] spread scales the drawn deviations from the mixture's mean (0: always the mean); `together` of their
 *          square is common to all hits of a stroke. Same part, manner and seed: the same bits, at any thread count.
 * Errors   _load: as nn_checkpoint_open; BL_ESHAPE, BL_EFORMAT: not a network of this form. play: BL_EARG: a manner that
 *          the checkpoint does not know (the message lists them); BL_ESHAPE: a network that does not give a value for every
 *          stroke; BL_ENOMEM.
 * Memory   _new, _get and _load return a block; release with _free (NULL allowed). The hook borrows it.
 * Threads  One block per thread.
 * Source   Gillick, Roberts, Engel, Eck & Bamman, "Learning to groove with inverse sequence transformations", ICML 2019
 *          (humanisation by a sequence model); Bishop, "Mixture density networks", 1994.
 * Tested   tests/blocks/test_drummer.c
 */
#ifndef BL_BLOCKS_DRUMMER_H
#define BL_BLOCKS_DRUMMER_H

#include "base/config.h"
#include "blocks/drummer_strokes.h"
#include "nn/network.h"

enum { BLOCKS_DRUMMER_MIXTURE = 3, BLOCKS_DRUMMER_TARGETS = 2 * MUSIC_DRUM_CLASSES, BLOCKS_DRUMMER_STYLES = 64 };

typedef struct blocks_drummer {
    bl_config  *config;  /* filled with what it left out */
    nn_params  *params;
    nn_network *net;
    nn_tape    *tape;    /* for playing                  */
    int64_t     step;
    double      spread, together;
    char       *styles[BLOCKS_DRUMMER_STYLES]; /* names; style i is number i + 1 of the embedding, 0 is any */
    int         n_styles;
} blocks_drummer;

blocks_drummer *blocks_drummer_load(const char *path, bl_error *err);
void            blocks_drummer_free(blocks_drummer *d);

music_drummer   blocks_drummer_hook(blocks_drummer *d);

/* ---- for training ---- */

/* Untrained. What is missing in config comes from configs/drummer.ini. */
blocks_drummer *blocks_drummer_new(const bl_config *config, uint64_t seed, bl_error *err);
blocks_drummer *blocks_drummer_get(const nn_checkpoint *c, bl_error *err);
bl_status       blocks_drummer_put(const blocks_drummer *d, nn_checkpoint *c, bl_error *err);

/* Number of a style's name: "rock" or the part of "rock/halftime" before the slash; 0 for "any", -1 for none of them. */
int             blocks_drummer_style(const blocks_drummer *d, const char *name);

/* x [B, BLOCKS_STROKE_FEATURES, T], style [B, 1], length [B, 1] -> the mixture's logits, means and log deviations, each
 * [B, BLOCKS_DRUMMER_MIXTURE, BLOCKS_DRUMMER_TARGETS, T]; targets: velocity of each drum (0..1), then offset (sixteenths). */
void            blocks_drummer_forward(blocks_drummer *d, nn_tape *tape, nn_node *const in[3], nn_node *out[3]);

/* Plays n strokes: draws velocity and offset of every hit (spread 0: the means) into `played`, [n] copies of strokes. */
bl_status       blocks_drummer_play(blocks_drummer *d, const blocks_stroke *strokes, int n, int style, int with_accents, double spread,
                                    uint64_t seed, blocks_stroke *played, bl_error *err);

#endif
