/* The synthesizer: WaveNet + GAN generator, a tone for (voice, genre, pitch, velocity, duration, context, noise).
 *
 *     conditions [C, J + 1] --> wavenet --> features --> generator (transposed convolutions) --+
 *     latent z   [Z, J + 1] ------^  |                      ^                                 v
 *                                    +--> harmonic, noise --+--> excitation ----------------> + --> wave [J hop]
 *
 * The WaveNet (dilated causal convolutions, gated, at frame rate) reads the conditions and says how loud each harmonic
 * and each noise band is at every moment; an oscillator bank at the note's pitch and a bank of noise bands sound the
 * excitation, so the pitch is right by construction. The generator takes the WaveNet's features, the latent noise and
 * the excitation as sub-bands, rises to the sample rate by transposed convolutions and a PQMF, and adds what an
 * excitation lacks. All three networks are sections of the .ini: [wavenet], [generator], [discriminator].
 *
 * Voices   A voice is an instrument in one of its sounds: "electric guitar/30" is General MIDI program 30 of the
 *          electric guitar (distorted). Which voice a genre uses is counted from the training tones.
 * Units    frames are hop_length samples; conditions of frame j hold at time j hop_length / sample_rate after onset.
 * Source   van den Oord et al., WaveNet, 2016; Donahue et al., WaveGAN, 2019; Wang et al., neural source-filter
 *          model, 2019; Engel et al., DDSP, 2020; Yang et al., Multi-band MelGAN, 2021.
 * Memory   _new and _load return; release with blocks_synthesizer_free (NULL allowed).
 * Threads  One synthesizer per thread; kernels run parallel inside.
 */
#ifndef BL_BLOCKS_SYNTHESIZER_H
#define BL_BLOCKS_SYNTHESIZER_H

#include "base/config.h"
#include "nn/network.h"
#include "nn/pqmf.h"

typedef struct blocks_voice {
    char name[80];          /* "electric guitar/30"                              */
    char instrument[64];    /* "electric guitar"                                 */
    int  program;           /* General MIDI; of drums the kit (0 standard, ...)  */
    int  is_drums;
    int  lowest, highest;   /* pitches heard in training                         */
} blocks_voice;

typedef struct blocks_synthesizer {
    bl_config   *config;                              /* with the inputs' channels filled in                    */
    char        *config_text;                         /* as it was given: what a checkpoint stores              */
    nn_params   *params;
    nn_network  *wavenet, *generator, *discriminator; /* the last NULL unless asked for */
    nn_pqmf      pqmf;
    real        *noise_bank;                          /* [n_noise_bands, noise_length]  */
    blocks_voice *voices;
    int          n_voices;
    char       **genres;
    int          n_genres;
    float       *voice_genre;                         /* [n_voices, n_genres + 1] tones in training, last: unknown */
    int          sample_rate, hop_length, n_harmonics, n_noise_bands, n_latent, n_context, n_bands, warm_up;
    int          n_conditions;
    int64_t      step;                                /* training steps behind the weights */
} blocks_synthesizer;

enum { BLOCKS_NOISE_LENGTH = 1 << 16 };

/* One tone to make. */
typedef struct blocks_tone {
    int          voice;
    int          genre;          /* -1 unknown                                           */
    int          pitch, velocity;
    double       duration_s;     /* note-on to note-off                                  */
    double       beat_position;  /* 0..1 within the beat, -1 unknown                     */
    const float *context;        /* [n_context] features of the song, NULL: none         */
    uint64_t     seed;           /* of the latent noise                                  */
} blocks_tone;

/* Builds the networks from a config, for these voices and genres; parameters initialised from seed. */
blocks_synthesizer *blocks_synthesizer_new(const bl_config *config, const blocks_voice *voices, int n_voices,
                                           char *const *genres, int n_genres, int with_discriminator, uint64_t seed,
                                           bl_error *err);
void                blocks_synthesizer_free(blocks_synthesizer *s);

/* A checkpoint of kind "wavegan". Loading for inference takes the averaged weights. */
bl_status           blocks_synthesizer_put(const blocks_synthesizer *s, nn_checkpoint *c, bl_error *err);
blocks_synthesizer *blocks_synthesizer_load(const char *path, bl_error *err);
/* Networks, voices and genres of an open checkpoint; parameters are not loaded yet. _with: to go on training with another
 * config (NULL: the checkpoint's own). */
blocks_synthesizer *blocks_synthesizer_get(const nn_checkpoint *c, int with_discriminator, bl_error *err);
blocks_synthesizer *blocks_synthesizer_get_with(const nn_checkpoint *c, const bl_config *new_config, int with_discriminator,
                                                bl_error *err);

int blocks_synthesizer_genre(const blocks_synthesizer *s, const char *name);   /* -1 unknown */
/* The voice of an instrument that this genre uses most; program -1: any, else that program if there is one.
 * -1 when the instrument was never trained. */
int blocks_synthesizer_voice(const blocks_synthesizer *s, const char *instrument, int genre, int program);

/* Conditions of frames first .. first + n - 1 (0 is the onset; before it all gates are closed): out [n_conditions, n]. */
void blocks_synthesizer_conditions(const blocks_synthesizer *s, const blocks_tone *tone, int64_t first, int64_t n, float *out);
/* Frequency of the excitation in hertz: the pitch; a fixed low comb for drums. */
double blocks_synthesizer_f0(const blocks_synthesizer *s, const blocks_tone *tone);

/* The networks on a batch. conditions [B, C, W + J + 1] and z [B, Z, W + J + 1] with W = warm_up frames in front,
 * f0_hz [B, J], noise_offset [B] -> wave [B, J hop_length]. J is a multiple of 4. excitation (may be NULL) gets the
 * part that comes from the WaveNet alone. */
nn_node *blocks_synthesizer_forward(blocks_synthesizer *s, nn_tape *tape, nn_node *conditions, nn_node *z, nn_node *f0_hz,
                                    nn_node *noise_offset, nn_node **excitation);

/* Makes one tone: malloc'ed samples at s->sample_rate, the release included and faded out; release with free. The same
 * tone gives the same bytes. */
bl_status blocks_synthesizer_run(blocks_synthesizer *s, const blocks_tone *tone, float **samples, int64_t *n_samples,
                                 bl_error *err);

#endif
