/* What the files that train the classifier share. */
#ifndef BL_BLOCKS_CLASSIFIER_PRIVATE_H
#define BL_BLOCKS_CLASSIFIER_PRIVATE_H

#include "blocks/classifier_train.h"
#include "nn/trainer.h"

typedef struct blocks_classifier_settings {
    int    batch_size;
    double remixes, cross_mixes, voices, noises;      /* shares of the examples; the rest are songs as they are */
    double stem_dropout, voice_dropout, stem_gain_db; /* of remixes                                             */
    double recolour;                                  /* share of stems that sound like other instruments of their kind */
    double eq_db, lowpass, reverb, noise, compress, shift, mask; /* how often, or how far, a mix is changed      */
    double instrument_weight, label_smoothing;
    nn_trainer_config run;
} blocks_classifier_settings;

/* A window to learn from, or to judge. */
typedef struct blocks_example {
    float *power;   /* [window_frames, n_mels]                      */
    float *genre;   /* [n_genres] target, sums to 1; all 0: unknown */
    float *labels;  /* [n_instruments] 1, 0, -1 not known           */
} blocks_example;

/* A sound's powers from frame `first` on, times gain, with decibels `contrast` times as far from their mean, added to power [n, n_mels] (NULL: nowhere); a sound shorter than n
 * is repeated. Returns the sum of what was added. */
double blocks_sound_add(const blocks_sound *s, int n_mels, int64_t first, int64_t n, double gain, double contrast,
                        float *power);

/* classifier_mix.c: draws examples of any kind, songs of one genre as often as of another. */
typedef struct blocks_mixer {
    const blocks_sounds *sounds;
    const blocks_classifier_settings *set;
    int64_t  window;      /* frames                                                            */
    int     *order;       /* indices of training songs: by genre, then those without a genre   */
    int     *first;       /* [n_genres + 2] where each begins in order                         */
    int     *lenders;     /* [2 n_lent] song and stem of everything that may be mixed across   */
    int      n_lent;
    int     *voices, *recorded_voices; /* [2 n_voices] of songs, [2 n_recorded_voices] by themselves */
    int      n_voices, n_recorded_voices;
} blocks_mixer;

bl_status blocks_mixer_new(blocks_mixer *m, const blocks_sounds *sounds, const blocks_classifier_settings *set, int64_t window,
                           bl_error *err);
void      blocks_mixer_free(blocks_mixer *m);
/* scratch [window, n_mels]. */
void      blocks_mixer_draw(const blocks_mixer *m, bl_rng *rng, float *scratch, blocks_example *e);
/* A window of the song from frame `first` on; changed: as another recording of it might sound. */
void      blocks_mixer_song(const blocks_mixer *m, bl_rng *rng, int song, int64_t first, int changed, blocks_example *e);

/* classifier_score.c */
bl_status blocks_classifier_score_songs(blocks_classifier *c, const blocks_mixer *m, blocks_classifier_score *score, bl_error *err);

#endif
