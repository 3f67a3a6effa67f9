/* The tone generator: plays a track's notes with the synthesizer (blocks/synthesizer.h) into a stem.
 *
 *     infer_tone_generator *g = infer_tone_generator_load("models/wavegan.h5", &err);
 *     infer_tone_generator_run(g, &(infer_tones){ .track = track, .genre = "rock", .seed = 1 }, stem, n_samples, &err);
 *
 * Tones     Notes that sound alike share a tone: same voice, pitch, velocity class (VELOCITY_STEP wide, the rest is gain),
 *           length class (DURATION_RATIO apart) and take. Repeated notes alternate between takes, which differ in their
 *           latent noise, so that no two neighbours are copies. The takes of a bar's notes follow from that bar alone, so an
 *           edit elsewhere does not change them. The distinct tones are made in parallel, or come from the cache.
 * Length    A tone is made for the longest note of its class. For a shorter one the held part is cut at the note-off and
 *           the release follows, a whole number of periods earlier and at the level that is reached there, so
 *           every note has its exact length and the model's own release.
 * Attack    A voice that speaks late is started earlier, by the median delay of the attacks of a few of its tones
 *           (infer_tone_latency), which are the same for every song, so that what is heard lies on the note.
 * Ends      A note is faded when the same pitch sounds again; any note of an instrument that plays one note at a time;
 *           an open hi-hat when it is closed; a guitar's released strings at the next stroke.
 * Shapes    stem [n_samples], mono, at infer_tone_generator_rate; it is added to.
 * Genre     A genre that the synthesizer has not learned sounds as the learned one that its file names
 *           (infer_tone_generator_genre); where that is none either, tones have no genre.
 * Errors    load: as nn_checkpoint_open. run: BL_EARG: no voice for the track's instrument; BL_ESTOP: interrupted; BL_ENOMEM.
 * Memory    _load returns; release with _free (NULL allowed).
 * Threads   One at a time; parallel inside. The same bytes at any thread count.
 * Tested    tests/infer/test_tone_generator.c
 */
#ifndef BL_INFER_TONE_GENERATOR_H
#define BL_INFER_TONE_GENERATOR_H

#include "blocks/synthesizer.h"
#include "infer/cache.h"
#include "music/score.h"

typedef struct infer_tone_generator infer_tone_generator;

typedef struct infer_tones {
    const music_track *track;
    const char        *genre;
    const float       *context;   /* [n_context] or NULL                     */
    uint64_t           seed;
    int                quiet;     /* no progress line                        */
    const double      *bars_s;    /* [n_bars] rising; NULL: bars of 2 s      */
    int                n_bars;
    infer_cache       *cache;     /* NULL: none                              */
} infer_tones;

typedef struct infer_tone_figures {
    int    n_notes, n_tones;      /* played, and distinct tones made for them */
    double tone_seconds;          /* sound made                               */
    double latency_s;             /* compensated                              */
} infer_tone_figures;

infer_tone_generator *infer_tone_generator_load(const char *path, bl_error *err);
void                  infer_tone_generator_free(infer_tone_generator *g);
int                   infer_tone_generator_rate(const infer_tone_generator *g);
int                   infer_tone_generator_context(const infer_tone_generator *g); /* n_context */
const blocks_synthesizer *infer_tone_generator_synthesizer(const infer_tone_generator *g);

/* What its tones depend on, beside what it is given. */
infer_key             infer_tone_generator_key(const infer_tone_generator *g);

/* The genre whose sounds are used for a genre ("rock" for "blues"), "" when the synthesizer knows none of the kind. */
bl_status infer_tone_generator_genre(const infer_tone_generator *g, const char *genre, char sounds[64], bl_error *err);

/* figures may be NULL. */
bl_status infer_tone_generator_run(infer_tone_generator *g, const infer_tones *tones, float *stem, int64_t n_samples,
                                   infer_tone_figures *figures, bl_error *err);

/* Seconds from the start of x [n_samples] to its attack: where the envelope first reaches 0.15 of its largest value
 * within the first 0.3 s. 0 for silence. */
double infer_tone_latency(const float *x, int64_t n_samples, int sample_rate);

/* Cuts a tone made for duration_s to wanted_s (not longer): out [*n_out] malloc'ed. period_s: 0 for sounds without
 * pitch. */
bl_status infer_tone_cut(const float *x, int64_t n_samples, int sample_rate, double duration_s, double wanted_s,
                         double period_s, float **out, int64_t *n_out, bl_error *err);

#endif
