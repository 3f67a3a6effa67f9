/* What a song with instruments sounds like, in harmony: for every tenth of a second how probable each chord and each lowest
 * note is, and for the song how probable each key is. A network (configs/chords.ini) on the spectrum of audio/tonal.h; which
 * chords are reported, and when they change, is decided by music/chord_path.h.
 *
 *     blocks_chords *c = blocks_chords_load("models/chords.h5", &err);
 *     blocks_harmony heard;
 *     blocks_chords_run(c, mono, n_samples, sample_rate, &heard, &err);
 *     ... heard.chord[t * MUSIC_HEARD_CLASSES + k] ...
 *     blocks_harmony_free(&heard);
 *
 * Shapes   x [n_samples] mono. chord [n_frames, MUSIC_HEARD_CLASSES], bass [n_frames, 12]: log-probabilities, each row sums
 *          to 1. key [24]: log-probabilities, 12 minor + tonic.
 * Units    frame t is centred at t * hop_s seconds.
 * Errors   _load: what nn_checkpoint_open says; BL_EFORMAT, BL_ESHAPE: not a network of this form. _run: BL_EARG as
 *          audio_tonal_run; BL_ENAN: a sample is not finite; BL_ENOMEM.
 * Memory   _new, _get and _load return a block; release with _free (NULL allowed). The network sees CHUNK frames at a time, so its
 *          memory does not grow with the song; spectrum and results take 15 kB a second.
 * Threads  One block per thread; the same values at any thread count.
 * Source   Korzeniowski & Widmer, "A fully convolutional deep auditory model for musical chord recognition", MLSP 2016; root, bass
 *          and quality: McFee & Bello, "Structured training for large-vocabulary chord recognition", ISMIR 2017.
 * Tested   tests/blocks/test_chords.c
 */
#ifndef BL_BLOCKS_CHORDS_H
#define BL_BLOCKS_CHORDS_H

#include "audio/tonal.h"
#include "base/config.h"
#include "music/heard_chord.h"
#include "nn/network.h"

typedef struct blocks_chords {
    bl_config  *config;  /* filled with what it left out            */
    nn_params  *params;
    nn_network *net;
    nn_tape    *tape;    /* for inference                           */
    int64_t     step;    /* how far it is trained                   */
} blocks_chords;

typedef struct blocks_harmony {
    int64_t n_frames;
    double  hop_s, tuning_cents;
    float  *chord, *bass;
    double  key[24];
} blocks_harmony;

/* Untrained. config: [chords]; what is missing is taken from configs/chords.ini. */
blocks_chords *blocks_chords_new(const bl_config *config, uint64_t seed, bl_error *err);
blocks_chords *blocks_chords_load(const char *path, bl_error *err);
blocks_chords *blocks_chords_get(const nn_checkpoint *c, bl_error *err);
bl_status      blocks_chords_put(const blocks_chords *c, nn_checkpoint *out, bl_error *err);
void           blocks_chords_free(blocks_chords *c);

bl_status      blocks_chords_run(blocks_chords *c, const float *x, int64_t n_samples, int sample_rate, blocks_harmony *out,
                                 bl_error *err);
/* The same from a spectrum. */
bl_status      blocks_chords_hear(blocks_chords *c, const audio_tonal *tonal, blocks_harmony *out, bl_error *err);
void           blocks_harmony_free(blocks_harmony *harmony);

/* Spectra [B, 1, AUDIO_TONAL_BINS, T] to logits chord [B, MUSIC_HEARD_CLASSES, T], bass [B, 12, T], key [B, 24, T]. */
void           blocks_chords_forward(blocks_chords *c, nn_tape *tape, nn_node *spectrum, nn_node *out[3]);

#endif
