/* The feature extractor: the first feature set of a sound, learned and measured.
 *
 *     signal -> log-mel frames -> [encoder] -> latents, D per frame      [decoder] -> log-mel frames again
 *     signal -> plain measured values of the whole stretch: rhythm, beat, pitch, tone    (blocks_song_features)
 *
 * The autoencoder (networks [encoder] and [decoder] of the .ini, convolutions over time) is trained to reconstruct the
 * standardised log-mel spectrogram; what passes the bottleneck are the latents. They are standardised: mean 0,
 * deviation 1 over the training data. Their mean over a song is its context, which the synthesizer hears.
 *
 *     blocks_feature_extractor *fx = blocks_feature_extractor_load("models/autoencoder.h5", &err);
 *     blocks_feature_extractor_run(fx, mono, n_samples, sample_rate, &latents, &T, &D, &err);
 *     free(latents);
 *     blocks_feature_extractor_free(fx);
 *
 * Shapes   latents [T, D], frame t centred at t * fx->hop_s seconds; context [D]; mel [n_mels, T].
 * Errors   BL_EARG: no sample, a rate outside 1000..768000 Hz; BL_ENAN: a sample is not finite; BL_ENOMEM.
 *          _load: as nn_checkpoint_open ("... expected an autoencoder checkpoint").
 * Memory   _new, _get and _load return; release with _free (NULL allowed).
 * Threads  One extractor per thread; the same bits at any thread count.
 * Source   Hinton & Salakhutdinov, "Reducing the dimensionality of data with neural networks", Science 313, 2006;
 *          the noisy input: Vincent et al., "Extracting and composing robust features", ICML 2008.
 * Tested   tests/blocks/test_feature_extractor.c
 */
#ifndef BL_BLOCKS_FEATURE_EXTRACTOR_H
#define BL_BLOCKS_FEATURE_EXTRACTOR_H

#include "audio/features.h"
#include "base/config.h"
#include "nn/network.h"

typedef struct blocks_feature_extractor {
    bl_config   *config;
    nn_params   *params;
    nn_network  *encoder, *decoder;
    nn_tape     *tape;
    audio_feature_plan *plan;
    int          sample_rate, n_fft, hop_length, n_mels;
    int          dim;                          /* D                                              */
    double       hop_s;                        /* from one latent to the next                    */
    double       fmin_hz, fmax_hz, floor_db;
    float       *mel_mean, *mel_scale;         /* [n_mels]: network input = (dB - mean) scale    */
    float       *latent_mean, *latent_scale;   /* [D]: latent = (encoder output - mean) scale    */
    float       *context_mean, *context_scale; /* [D]: of the mean latents of songs              */
    int64_t      step;                         /* training steps behind the weights              */
} blocks_feature_extractor;

blocks_feature_extractor *blocks_feature_extractor_load(const char *path, bl_error *err);
void                      blocks_feature_extractor_free(blocks_feature_extractor *fx);

/* Latents of a mono signal: *latents is malloc'ed, release with free. T = samples at fx->sample_rate / hop_length + 1. */
bl_status blocks_feature_extractor_run(blocks_feature_extractor *fx, const float *mono, int64_t n_samples, int sample_rate,
                                       float **latents, int64_t *n_frames, int *dim, bl_error *err);

/* Mean latent of the sounding frames (not below 60 dB under the loudest), scaled to about unit range over songs and
 * kept within -3..3: out [fx->dim]. Silence gives zeros. */
bl_status blocks_feature_extractor_context(blocks_feature_extractor *fx, const float *mono, int64_t n_samples, int sample_rate,
                                           float *context, bl_error *err);

/* The standardised log-mel frames that the encoder reads: *mel [n_mels, T], malloc'ed. */
bl_status blocks_feature_extractor_mel(blocks_feature_extractor *fx, const float *mono, int64_t n_samples, int sample_rate,
                                       float **mel, int64_t *n_frames, bl_error *err);

/* ---- for training ---- */

/* From a config with [features], [encoder], [decoder]; what is missing there comes from configs/autoencoder.ini.
 * Weights are initialised from seed, scalings are identities. */
blocks_feature_extractor *blocks_feature_extractor_new(const bl_config *config, uint64_t seed, bl_error *err);
/* Scalings, weights, and the config as the attribute config_name ("config"; a checkpoint of another kind that carries a
 * feature extractor calls it "features_config"). The attribute "step" is read, not written. */
blocks_feature_extractor *blocks_feature_extractor_get(const nn_checkpoint *c, const char *config_name, bl_error *err);
bl_status blocks_feature_extractor_put(const blocks_feature_extractor *fx, const char *config_name, nn_checkpoint *c,
                                       bl_error *err);
/* Network input [B, n_mels, T] -> reconstruction [B, n_mels, T]; *code (may be NULL) gets the raw code [B, D, T]. */
nn_node  *blocks_feature_extractor_forward(blocks_feature_extractor *fx, nn_tape *tape, nn_node *mel, nn_node **code);

#endif
