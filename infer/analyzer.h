/* The input analyzer: a recording becomes a voice, what was played beside it, and the first half of the plan.
 *
 *     infer_analyzer_read     the file
 *     infer_analyzer_part     vocal, song or instrumental? A song is separated; the lead is the voice, in an
 *                             instrumental the whole
 *     infer_analyzer_genre    genre and the instruments in the recording (blocks/classifier.h)
 *     infer_analyzer_harmony  what an accompaniment sounds like, chord by chord (blocks/chords.h)
 *     infer_analyzer_beats    what sounds like a beat and like a downbeat (blocks/beat_tracker.h)
 *     infer_analyzer_listen   sung notes, tempo, beats, bars (audio/rhythm.h), key, sections, phrases
 *     infer_analyzer_tracks   the kept accompaniment as instrument tracks (blocks/segmenter.h, tone_detector.h)
 *     infer_analyzer_chords   chords for a bare melody (blocks/harmonizer.h), or those heard in the accompaniment (music/chord_path.h)
 *
 * What the plan already holds (plan->has) is obeyed and not looked for; what it lacks is filled in.
 *
 * Units    seconds, hertz. Listening works on one channel at LISTEN_RATE, so its cost does not grow with the input's rate.
 * Errors   BL_EFORMAT and friends of audio_read; BL_EFORMAT: longer than INFER_MAX_SECONDS, shorter than
 *          INFER_MIN_SECONDS, no sound in it. BL_EARG: a plan that does not fit the song. BL_ENOMEM. What the blocks say.
 * Memory   Fills zeroed structs; release with infer_song_free (zeroed struct allowed).
 * Tested   tests/infer/test_pipeline.c
 */
#ifndef BL_INFER_ANALYZER_H
#define BL_INFER_ANALYZER_H

#include "audio/clip.h"
#include "audio/notes.h"
#include "audio/rhythm.h"
#include "audio/sketch.h"
#include "blocks/beat_levels.h"
#include "blocks/chords.h"
#include "infer/cache.h"
#include "infer/plan.h"

enum { INFER_MIN_SECONDS = 1, INFER_MAX_SECONDS = 20 * 60, INFER_MAX_KEPT = 16, INFER_MAX_GENRES = 48, INFER_MAX_HEARD = 64 };

/* Chroma and MFCC, frame by frame: what the song's form is found by. */
enum { INFER_FORM_CHROMA = 12, INFER_FORM_MFCC = 13, INFER_FORM_WIDTH = INFER_FORM_CHROMA + INFER_FORM_MFCC };
typedef struct infer_form {
    float  *rows;           /* [n_frames, INFER_FORM_WIDTH] */
    int64_t n_frames;
    double  hop_s;
} infer_form;

/* What the classifier said about all that was heard so far, each second counting alike. */
typedef struct infer_genre_evidence {
    double seconds;
    int    n_genres, n_instruments;
    struct { char name[64]; double log_p; } genre[INFER_MAX_GENRES]; /* sums over seconds */
    struct { char name[64]; double p; } instrument[INFER_MAX_HEARD];
} infer_genre_evidence;

/* A part of the recording that stays in the mix. */
typedef struct infer_kept {
    char       name[64];  /* of the stem: "vocal", "existing drums" */
    audio_clip audio;
} infer_kept;

typedef struct infer_song {
    double     least_s;     /* set before reading: what is shorter gets silence behind it         */
    audio_clip input;       /* as read                                                            */
    audio_clip voice;       /* of a song; empty when the input itself is the lead                 */
    audio_clip rest;        /* of a song: input - voice                                           */
    float     *lead;        /* [n_lead] mono at lead_rate: what is listened to for the melody     */
    float     *mono;        /* [n_lead] mono of the whole input; lead itself for a bare vocal     */
    int64_t    n_lead;
    int        lead_rate;
    int        is_long;     /* heard piece by piece: no audio is here, only what was heard        */
    audio_f0_track f0;      /* of the lead                                                        */
    audio_sung_notes sung;  /* in it                                                              */
    infer_form form;
    infer_genre_evidence genre;
    audio_sketch *sketch;   /* for a picture; NULL when nobody wants one                          */
    infer_kept kept[INFER_MAX_KEPT]; /* filled by infer_analyzer_tracks: the lead first           */
    int        n_kept;
    int        heard[INFER_MAX_INSTRUMENTS]; /* ids of instruments in the recording                */
    int        n_heard;
    blocks_beat_tracker *tracker; /* set by infer_analyzer_beats                                  */
    audio_beat_activity beats; /* filled by it                                                    */
    blocks_harmony harmony; /* of an accompaniment: filled by infer_analyzer_harmony              */
    double     tempo_factor; /* 0.5, 2: somebody wants half or double of what is heard; 0, 1: as it is */
    uint64_t   hash;        /* of the samples: seeds the latent noise                             */
    infer_cache *cache;     /* borrowed: tracks that were parted before; NULL: none               */
} infer_song;

void      infer_song_free(infer_song *song);

bl_status infer_analyzer_read(const char *path, infer_song *song, infer_plan *plan, bl_error *err);

/* For who only listens: silence is no error (plan->input becomes "silent", and there is nothing more to do), nor is a short
 * recording; one of any length is heard in pieces with bounded memory (song->is_long), after which the functions below only
 * decide. plan->has says what need not be heard. */
bl_status infer_analyzer_read_any(const char *path, const char *model_dir, int with_sketch, infer_song *song, infer_plan *plan,
                                  bl_error *err);

/* Loads the separator of model_dir only for a song. */
bl_status infer_analyzer_part(infer_song *song, infer_plan *plan, const char *model_dir, bl_error *err);
bl_status infer_analyzer_listen(infer_song *song, infer_plan *plan, bl_error *err);

/* Loads beats.h5, for a voice alone beats_voice.h5, of model_dir or else the one that ships, only when the plan lacks tempo, beats or bars. */
bl_status infer_analyzer_beats(infer_song *song, const infer_plan *plan, const char *model_dir, bl_error *err);

/* Loads the classifier of model_dir only when the genre is not given or the recording has instruments of its own. A genre
 * that it gives less than 0.35 is not acted on: it is pop then, at the probability of pop. */
bl_status infer_analyzer_genre(infer_song *song, infer_plan *plan, const char *model_dir, bl_error *err);

/* Loads the chord network of model_dir only when the recording has an accompaniment whose chords or key are not given. */
bl_status infer_analyzer_harmony(infer_song *song, const infer_plan *plan, const char *model_dir, bl_error *err);

/* Without accompaniment, or when it is dropped, no model is needed. */
bl_status infer_analyzer_tracks(infer_song *song, const infer_plan *plan, const char *model_dir, bl_error *err);

/* Heard in the accompaniment, or worked out for the melody by the genre's habits (sets plan->genre_chords). */
bl_status infer_analyzer_chords(const infer_song *song, infer_plan *plan, const char *model_dir, bl_error *err);

/* model_dir/name, or BL_EIO that says which program makes it. */
bl_status infer_model_path(char *out, const char *model_dir, const char *name, bl_error *err);
/* Of a model that knows nothing of a band and that training one does not make: model_dir/name where it is there, else the one
 * that ships with the program. */
bl_status infer_ear_path(char *out, const char *model_dir, const char *name, bl_error *err);

#endif
