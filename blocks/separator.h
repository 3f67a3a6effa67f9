/* The separator: what of a song is the voice. A bidirectional LSTM draws a mask over the bands of the mixture's spectrogram.
 *
 *     mean of the channels -> STFT -> bands -> log, standardised -> [separator]: fully connected, batch norm, tanh,
 *     bidirectional LSTMs, beside what went into them, fully connected ... sigmoid -> a mask per band and frame, 0..1
 *     -> between bands: interpolated -> every channel's STFT times the mask -> voice; the rest is what is left
 *
 * Below 5 kHz the mask is the geometric mean of the network's and that of audio_melody_mask (what does not repeat and moves like a
 * melody), weighted by [separation] melody_share: they err in different places.
 *
 * The form of Open-Unmix, made small: bands instead of single bins (below linear_hz a band is a bin), no copy of the mixture's
 * bins in front and behind. The song's level does not matter.
 *
 *     blocks_separator *s = blocks_separator_load("models/separator.h5", &err);
 *     audio_clip voice = { 0 }, rest = { 0 };
 *     blocks_separator_run(s, &song, &voice, &rest, &err);
 *
 * Shapes   clips of any channels and rate; outputs have the input's shape
 * Units    voice + rest = mix in float arithmetic, bit for bit, as audio_take_away (audio/separation.h) says.
 * Errors   BL_EARG: an empty clip, a rate under 4000 Hz; BL_ENAN: a sample is not finite; BL_ENOMEM. _load: as
 *          nn_checkpoint_open ("... expected a separator checkpoint").
 * Memory   Outputs are new clips; release with audio_clip_free. Works through 20 s at a time with 2 s before and behind, so
 *          scratch memory does not grow with the song.
 * Threads  One model per thread; the same bits at any thread count.
 * Source   Stoter et al., "Open-Unmix - a reference implementation for music source separation", JOSS 2019.
 * Tested   tests/blocks/test_separator.c
 */
#ifndef BL_BLOCKS_SEPARATOR_H
#define BL_BLOCKS_SEPARATOR_H

#include "audio/clip.h"
#include "base/config.h"
#include "nn/network.h"

typedef struct blocks_separator {
    bl_config  *config;
    nn_params  *params;
    nn_network *net;
    nn_tape    *tape;
    int         sample_rate, n_fft, hop_length, n_bands;
    double      melody_share;    /* the melody's mask counts with this power */
    double     *centre_hz;       /* [n_bands] */
    float      *mean, *scale;    /* [n_bands]: network input = (relative band - mean) scale */
    int64_t     step;
} blocks_separator;

blocks_separator *blocks_separator_load(const char *path, bl_error *err);
void              blocks_separator_free(blocks_separator *s);
bl_status         blocks_separator_run(blocks_separator *s, const audio_clip *mix, audio_clip *voice, audio_clip *rest,
                                       bl_error *err);
/* The same, and the lead: one channel for the analysis to hear the singer's notes in, with less of everything else and holes that
 * nobody would want to listen to. Where both the network and the melody's mask hear the singer. */
bl_status         blocks_separator_hear(blocks_separator *s, const audio_clip *mix, audio_clip *voice, audio_clip *rest,
                                        audio_clip *lead, bl_error *err);

/* ---- for training ---- */

/* What is missing in config comes from configs/separator.ini. */
blocks_separator *blocks_separator_new(const bl_config *config, uint64_t seed, bl_error *err);
blocks_separator *blocks_separator_get(const nn_checkpoint *c, bl_error *err);
bl_status         blocks_separator_put(const blocks_separator *s, nn_checkpoint *c, bl_error *err);

/* Bins to bands: bin f belongs to band[f] with 1 - share[f] and to the next with share[f]. */
typedef struct blocks_separator_map {
    int    n_fft, hop_length, n_bins; /* of this sample rate */
    int   *band;                      /* [n_bins] */
    float *share;                     /* [n_bins] */
} blocks_separator_map;
bl_status blocks_separator_map_new(const blocks_separator *s, int sample_rate, blocks_separator_map *map, bl_error *err);
void      blocks_separator_map_free(blocks_separator_map *map);

/* A band's power (of samples in full scale, window and length taken out) as the network reads it, before mean and scale:
 * half the logarithm, relative to the song's level; what is 80 dB under it is silence. */
float     blocks_separator_relative(float power, float level);
/* Root mean square of the mean of the channels over the 50 ms that are within 30 dB of the loudest; 0: silence. */
double    blocks_separator_level(const float *const *channels, int n_channels, int64_t n_samples, int sample_rate);
/* A factor on squared magnitudes: a band then has the power of the samples in it. */
double    blocks_separator_unit(int n_fft);
/* Periodic Hann window [n_fft]. */
void      blocks_separator_window(int n_fft, float *out);

#endif
