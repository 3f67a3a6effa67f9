/* Chords for a melody: for every unit of a song (a half bar; a whole one in odd meters) how probable each chord is, by a network
 * (configs/arranger.ini) that has read the whole melody from both ends, and from that a path of chords in the habits of a genre
 * (music/harmony.h, configs/harmony.ini). Everything is seen from the key: a melody sung higher gets the same chords, higher.
 *
 *     blocks_harmonizer *h = blocks_harmonizer_load("models/arranger.h5", &err);
 *     blocks_harmonizer_run(h, table, &input, &spans, &n_spans, &err);
 *     blocks_harmonizer_free(h);
 *
 * Features of a unit, BLOCKS_HARMONIZER_FEATURES, pitch classes counted from do (music/harmony.h):
 *     0..11 and 12..23   share of its first and second half that each class is sung; 24..35 the class that sounds as it begins;
 *     36..47             share of the song's singing on each class, in quarters; 48 height against the singer's mean, octaves; 49 notes
 *     that begin, in fours; 50 share of it that is sung; 51 mid-bar; 52 minor key; 53 before the first note; 54 behind the last; 55..58 bar
 *     modulo four, counted from the first sung one; 59 the first unit
 *
 * Shapes   features [BLOCKS_HARMONIZER_FEATURES, n_units]; log_degree [n_units, MUSIC_DEGREES], log_colour [n_units, MUSIC_COLOURS]
 *          log-probabilities: each row sums to 1.
 * Errors   _load: what nn_checkpoint_open says; BL_EFORMAT, BL_ESHAPE: not a network of this form. _run: as
 *          music/harmony.h. _listen: BL_ESHAPE: a network that does not give a value for every unit.
 * Memory   _new, _get and _load return a block; release with _free (NULL allowed). *spans is malloc'ed; release with free.
 * Threads  One block per thread; the same values at any thread count.
 * Source   Lim, Rhyu & Lee, "Chord generation from symbolic melody using BLSTM networks", ISMIR 2017; measures: Yeh et al., "Automatic
 *          melody harmonization with triad chords: a comparative study", JNMR 2021.
 * Tested   tests/blocks/test_harmonizer.c
 */
#ifndef BL_BLOCKS_HARMONIZER_H
#define BL_BLOCKS_HARMONIZER_H

#include "base/config.h"
#include "music/harmony.h"
#include "nn/network.h"

enum { BLOCKS_HARMONIZER_FEATURES = 60 };

typedef struct blocks_harmonizer {
    bl_config  *config;  /* filled with what it left out            */
    nn_params  *params;
    nn_network *net;
    nn_tape    *tape;    /* for inference                           */
    int64_t     step;    /* how far it is trained                   */
    music_harmony_habits habits;
} blocks_harmonizer;

/* Untrained, without habits: all chords and moves as likely. config: [arranger]; what is missing is taken from configs/arranger.ini. */
blocks_harmonizer *blocks_harmonizer_new(const bl_config *config, uint64_t seed, bl_error *err);
blocks_harmonizer *blocks_harmonizer_load(const char *path, bl_error *err);
blocks_harmonizer *blocks_harmonizer_get(const nn_checkpoint *c, bl_error *err);
bl_status          blocks_harmonizer_put(const blocks_harmonizer *h, nn_checkpoint *out, bl_error *err);
void               blocks_harmonizer_free(blocks_harmonizer *h);

bl_status blocks_harmonizer_run(blocks_harmonizer *h, const music_harmony_table *table, const music_harmony_input *input,
                                music_chord_span **spans, int *n_spans, bl_error *err);

/* The parts of it. */
void      blocks_harmonizer_features(const music_harmony_unit *units, int n_units, const music_note *melody, int n_melody,
                                     music_key key, float *features);
bl_status blocks_harmonizer_listen(blocks_harmonizer *h, const float *features, int n_units, float *log_degree, float *log_colour,
                                   bl_error *err);
/* [B, BLOCKS_HARMONIZER_FEATURES, T] to logits [B, MUSIC_DEGREES, T] and [B, MUSIC_COLOURS, T]. */
void      blocks_harmonizer_forward(blocks_harmonizer *h, nn_tape *tape, nn_node *features, nn_node *out[2]);

#endif
