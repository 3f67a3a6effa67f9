/* The autoregressive WaveNet: the probability of each sample given all before it and the conditions.
 *
 *     p(x[t] | x[..t-1], local[t], global) = softmax(logits[t]),  x quantised to 256 levels by mu-law companding
 *     q = floor((sign(x) ln(1 + mu |x|) / ln(1 + mu) + 1) / 2 mu + 1/2),   mu = 255
 *
 * The network is a section of an .ini (configs/networks/wavenet.ini) with the inputs audio (class of the sample before),
 * local [C, T] and global [G] (either may be missing) and the layers embed (embedding), body (wavenet_block, causal),
 * then any number of relu and conv1d kernel_size=1, the last giving 256 channels. Training runs it on the tape for all
 * samples at once. Generation runs sample by sample with a queue per layer: every layer looks up what it saw `dilation`
 * samples ago instead of computing it again, so a sample costs the same at any length and the tape is not involved.
 *
 * Shapes   classes [B, T] whole numbers 0..255; local [B, C, T]; global [B, G]; logits [B, 256, T].
 * Errors   _build: BL_EARG naming the section and what is missing or of another kind. _generate: BL_ENOMEM.
 * Memory   _build borrows config and params (call nn_params_finish afterwards); release with _free. A generator borrows the
 *          network, copies its weights, and is released with nn_wavenet_generator_free.
 * Threads  The tape's for training; a generator belongs to one thread, and spreads several streams over the others itself.
 * Cost     2 flops per weight and sample, whatever came before it. One stream reads all weights for each sample: its speed is
 *          that of the cache they fit in. 30 layers of 64 channels, 3 MB, AVX-512 at 3.7 GHz: see docs/wavenet.md.
 * Source   van den Oord et al., "WaveNet: A Generative Model for Raw Audio", 2016; the queues: Le Paine et al., "Fast
 *          Wavenet Generation Algorithm", 2016; mu-law: ITU-T G.711.
 * Tested   tests/nn/test_wavenet.c: equals the teacher-forced pass, learns a tone, is deterministic.
 */
#ifndef BL_NN_MODELS_WAVENET_H
#define BL_NN_MODELS_WAVENET_H

#include "nn/network.h"

enum { NN_WAVENET_LEVELS = 256 };

int   nn_mu_law_encode(float x);      /* -1..1 (clipped) -> 0..255; silence is 128 */
float nn_mu_law_decode(int level);

typedef struct nn_wavenet {
    nn_network *net;
    nn_params  *params;
    int         n_local, n_global;    /* C and G, 0: no such input */
    int64_t     receptive_field;      /* samples before t that p(x[t]) depends on */
} nn_wavenet;

nn_wavenet *nn_wavenet_build(const bl_config *config, const char *section, nn_params *params, bl_error *err);
void        nn_wavenet_free(nn_wavenet *w);

/* Logits of every sample at once, from the true samples before it (teacher forcing). classes [B, T]: those to predict;
 * shifted inside, silence comes first. local, global NULL when the network has none. */
nn_node *nn_wavenet_logits(nn_wavenet *w, nn_tape *tape, nn_node *classes, nn_node *local, nn_node *global);
/* Mean negative log likelihood, nats per sample: ln 256 = 5.545 when nothing is known. */
nn_node *nn_wavenet_loss(nn_wavenet *w, nn_tape *tape, nn_node *classes, nn_node *local, nn_node *global);

typedef struct nn_wavenet_generator nn_wavenet_generator;

/* global [G] or NULL. Starts in silence. A batch generates n_streams samples at a time, which differ in what was drawn before
 * and in their local condition: each weight is read once for several streams. A stream's samples do not depend on the others. */
nn_wavenet_generator *nn_wavenet_generator_new(const nn_wavenet *w, const float *global, bl_error *err);
nn_wavenet_generator *nn_wavenet_generator_new_batch(const nn_wavenet *w, int n_streams, const float *global, bl_error *err);
void                  nn_wavenet_generator_free(nn_wavenet_generator *g);
void                  nn_wavenet_generator_reset(nn_wavenet_generator *g);
/* One step of all streams: the class of the sample before (silence at the start: nn_mu_law_encode(0)) and local [C] of this
 * sample -> log probabilities [256] of this sample; each [n_streams, ...]. Allocates nothing. */
void nn_wavenet_generator_push(nn_wavenet_generator *g, const int *previous, const float *local, float *log_probability);
/* n samples drawn from the model: local [n_streams, C, n] or NULL, rng [n_streams], out [n_streams, n] in -1..1. temperature
 * 1: as learned, 0: the likeliest. The same rng, the same samples, at any number of streams and threads (a thread takes
 * some of the streams through all n samples). */
void nn_wavenet_generator_run(nn_wavenet_generator *g, const float *local, int64_t n, double temperature, bl_rng *rng,
                              float *out);

#endif
