/* Training of the separator on mixtures that are made on the way: a voice of the dataset, a rest of the dataset, each changed.
 *
 * Sources  Voices are stems of a singing voice (vocals.flac, vocals_lead.flac ...), rests the other stems of a song; choirs are
 *          neither. Voices and rests need not be of one song, nor of songs that have both. Kept in memory, mono, 16 bit.
 *          The folders that songs lie in are groups (real/, rendered/, sung/ ...): each is drawn from as often as the others,
 *          so that a few songs of one kind count as much as many of another.
 * Mixtures Per stretch: some stems of a song, each at a gain of its own, now and then a stem of another song and noise;
 *          a voice at a random level against them, played faster or slower (pitch and formants move), now and then doubled, with
 *          a second singer, in a room; both through random equalisers. [separation_training] has the shares. Stretches wait in
 *          a pool, as spectra, and each is used a few times, with other partners, levels and equalisers.
 * Loss     mean over stretches of ln(e / |V|^2), e the energy of mask X - V, V the voice, X the mixture, both as STFT in bands
 *          (so it is the distortion in logarithms, what SDR measures), plus mask_weight times the mean of
 *          |X|^0.6 |mask - best mask|, in which quiet bands count as well.
 * Figures  On held-out material: the signal-to-distortion ratio 20 log10 |v| / |v - v'| of the whole voice in the time domain,
 *          mean over mixtures: of the mixture itself, of the separator, of the best mask of this form. With the averaged weights.
 * Errors   _collect: BL_EFORMAT when there is no voice or no rest; BL_ESTOP. _step: BL_ENAN as the loop expects.
 * Memory   _collect fills a zeroed struct, _free releases; _trainer_new borrows both; release with _free.
 * Tested   tests/blocks/test_separator.c
 */
#ifndef BL_BLOCKS_SEPARATOR_TRAIN_H
#define BL_BLOCKS_SEPARATOR_TRAIN_H

#include "blocks/separator.h"
#include "data/dataset.h"
#include "nn/optimizer.h"
#include "nn/plan.h"
#include "nn/schedule.h"

#include <stdint.h>

enum { BLOCKS_SOURCE_GROUPS = 64 };

typedef struct blocks_source {
    int16_t *samples;       /* at the model's rate                     */
    int64_t  n_samples;
    float    unit;          /* a sample of 1 was so much of full scale */
    double   level;         /* blocks_separator_level, in units        */
    int      song;          /* stems of one song agree                 */
    int      group;         /* 0 .. BLOCKS_SOURCE_GROUPS - 1           */
    int      is_voice, held_out;
} blocks_source;

typedef struct blocks_sources {
    blocks_source *sources;
    int     n, capacity;
    int64_t n_samples;
} blocks_sources;

/* max_minutes of the model's config hold; what is beyond is left out, evenly over the songs. */
bl_status blocks_sources_collect(const blocks_separator *s, data_dataset *dataset, int quiet, blocks_sources *sources,
                                 bl_error *err);
/* One wave [n_samples] at the model's rate, copied; of `what`, song, group, is_voice and held_out count. */
bl_status blocks_sources_add(blocks_sources *sources, const float *x, int64_t n_samples, int sample_rate, const blocks_source *what,
                             bl_error *err);
void      blocks_sources_free(blocks_sources *sources);

/* A held-out song: the voices of number k and the other stems of their song at their own levels; or, where the song has no other
 * stems, those of another number, the voice 5 dB softer. From its middle, at most `most` samples. */
typedef struct blocks_held_out {
    float  *voice, *rest; /* malloc'ed [n]          */
    int64_t n;            /* 0: there are no more   */
} blocks_held_out;
bl_status blocks_held_out_get(const blocks_sources *sources, int k, int64_t most, blocks_held_out *out, bl_error *err);

/* How mixtures are made: [separation_training]. */
typedef struct blocks_mixing {
    double voice_db_low, voice_db_high, no_voice, voice_alone, semitones, rest_semitones, second_voice, doubled, reverb, equalised,
           second_rest, narrow, noise;
} blocks_mixing;
bl_status blocks_mixing_read(const bl_config *config, blocks_mixing *mixing, bl_error *err);
/* A stretch of voice or of rest into out [n_samples], at a level of 1, drawn from rng; scratch [2 n_samples]. */
bl_status blocks_stretch(const blocks_sources *sources, const blocks_mixing *mixing, int is_voice, int sample_rate, int64_t n_samples,
                         bl_rng *rng, float *out, float *scratch, bl_error *err);

typedef struct blocks_separator_score {
    double mixture, separated, ceiling; /* SDR of the voice, dB */
    int    n;
} blocks_separator_score;

typedef struct blocks_separator_trainer blocks_separator_trainer;
/* Looks at the keys that training reads, so that unknown keys can be found before the dataset is read. */
bl_status blocks_separator_settings_read(const blocks_separator *s, bl_error *err);
/* Sets s->mean and s->scale from mixtures. */
blocks_separator_trainer *blocks_separator_trainer_new(blocks_separator *s, const blocks_sources *sources, uint64_t seed,
                                                       bl_error *err);
void      blocks_separator_trainer_free(blocks_separator_trainer *t);
/* What training takes, before it begins. */
void      blocks_separator_trainer_plan(blocks_separator_trainer *t, nn_plan *plan);
/* figures: the batch's mean SDR in dB, the mean distance of masks, the loss. */
bl_status blocks_separator_trainer_step(blocks_separator_trainer *t, double figures[3], double *gradient_norm, bl_error *err);
bl_status blocks_separator_trainer_validate(blocks_separator_trainer *t, blocks_separator_score *score, bl_error *err);
bl_status blocks_separator_trainer_put(const blocks_separator_trainer *t, int with_optimizer, nn_checkpoint *c, bl_error *err);
bl_status blocks_separator_trainer_get(blocks_separator_trainer *t, const nn_checkpoint *c, bl_error *err);

#endif
