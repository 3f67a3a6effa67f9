/* The temporal model: repairs the transitions of a whole phrase that was put together tone by tone, by looking at its
 * amplitude spectrogram forward and backward in time.
 *
 *     magnitudes [F, T] -> bands -> log, standardised -> [bilstm]: fully connected, batch norm, tanh, bidirectional LSTM,
 *     beside what went into it, fully connected ... -> a gain per band and frame, 0..4 -> between bands: interpolated
 *     magnitude' = gain magnitude
 *
 *     gain = 4 sigmoid(y - ln 3), 1 at y = 0; before training y is close to 0, so an untrained model changes nothing.
 *
 * Conditioned on the instrument; a name it never heard is allowed and counts as "any". The phrase's level does not
 * matter: gains are worked out for the phrase at a standard level.
 *
 *     blocks_temporal *t = blocks_temporal_load("models/bilstm.h5", &err);
 *     STFT with t->n_fft, t->hop_length of a phrase at t->sample_rate; |X| as [F, T], T contiguous
 *     blocks_temporal_run(t, "electric guitar", magnitude, F, T, sample_rate, &err);
 *
 * Shapes   magnitude [F, T], in place; F = n_fft/2 + 1. Window: periodic Hann of n_fft, centred (audio/stft.h).
 * Units    hop_length samples from frame to frame at t->sample_rate; at another rate choose hop and n_fft of equal
 *          duration (F then differs and is allowed).
 * Errors   BL_EARG: T < 1, F < 2, a rate < 1; BL_ENAN: a magnitude is not finite or negative; BL_ENOMEM. Nothing is
 *          changed then. _load: as nn_checkpoint_open ("... expected a bilstm checkpoint").
 * Memory   The network works through 20 s at a time with 2 s of overlap on each side, whatever T is; beside it two values
 *          per band and frame.
 * Threads  One model per thread; the same bits at any thread count.
 * Source   Stoter et al., "Open-Unmix - a reference implementation for music source separation", JOSS 2019 (form of
 *          the network); Graves & Schmidhuber 2005 (bidirectional LSTM).
 * Tested   tests/blocks/test_temporal.c
 */
#ifndef BL_BLOCKS_TEMPORAL_H
#define BL_BLOCKS_TEMPORAL_H

#include "base/config.h"
#include "nn/network.h"

typedef struct blocks_temporal {
    bl_config  *config;
    nn_params  *params;
    nn_network *net;
    nn_tape    *tape;
    int         sample_rate, n_fft, hop_length, n_bands;
    char      **instruments;     /* names of data/instruments.h, n_instruments              */
    int         n_instruments;
    float      *mean, *scale;    /* [n_bands]: network input = (relative band - mean) scale */
    int64_t     step;
} blocks_temporal;

blocks_temporal *blocks_temporal_load(const char *path, bl_error *err);
void             blocks_temporal_free(blocks_temporal *t);

bl_status blocks_temporal_run(blocks_temporal *t, const char *instrument_name, float *magnitude, int64_t n_bins,
                              int64_t n_frames, int sample_rate, bl_error *err);
/* The same for a piece of a phrase whose level is known (blocks_temporal_level of the whole). */
bl_status blocks_temporal_run_at(blocks_temporal *t, const char *instrument_name, double level, float *magnitude, int64_t n_bins,
                                 int64_t n_frames, int sample_rate, bl_error *err);

/* ---- for training ---- */

/* Magnitudes below this (of full scale, window sum 1) count as silence in logs. */
#define BLOCKS_TEMPORAL_FLOOR 1e-4

/* What is missing in config comes from configs/bilstm.ini. */
blocks_temporal *blocks_temporal_new(const bl_config *config, const char *const *instruments, int n_instruments, uint64_t seed,
                                     bl_error *err);
blocks_temporal *blocks_temporal_get(const nn_checkpoint *c, bl_error *err);
bl_status        blocks_temporal_put(const blocks_temporal *t, nn_checkpoint *c, bl_error *err);
int              blocks_temporal_instrument(const blocks_temporal *t, const char *name); /* -1: any */

/* Root mean square magnitude of each band as a log, at the phrase's own level: magnitude [F, T] -> out [n_bands, T]. */
bl_status blocks_temporal_bands(const blocks_temporal *t, const float *magnitude, int64_t n_bins, int64_t n_frames,
                                int sample_rate, float *out, bl_error *err);
/* Gains [n_bands, T] onto magnitude [F, T], in place. */
bl_status blocks_temporal_apply(const blocks_temporal *t, const float *gain, float *magnitude, int64_t n_bins, int64_t n_frames,
                                int sample_rate, bl_error *err);
/* Level of a phrase: half the log of the mean power of its sounding frames (not below 40 dB under the loudest), so that
 * a phrase twice as loud is ln 2 higher. bands [n_bands, T]. */
double    blocks_temporal_level(const blocks_temporal *t, const float *bands, int64_t n_frames);
/* A band value as the network reads it, before mean and scale: relative to the phrase's level, silence 60 dB under it. */
double    blocks_temporal_relative(double band, double level);
/* bands [B, n_bands, T] standardised, condition [B, n_instruments] one-hot -> log gain [B, n_bands, T]. */
nn_node  *blocks_temporal_forward(blocks_temporal *t, nn_tape *tape, nn_node *bands, nn_node *condition);

#endif
