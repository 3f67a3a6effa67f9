/* The input analyzer: a recording becomes a voice, what was played beside it, and the first half of the plan.
 *
 *     infer_analyzer_read     the file
 *     infer_analyzer_part     vocal, song or instrumental? A song is separated; the lead is the voice, in an
 *                             instrumental the whole
 *     infer_analyzer_genre    genre and the instruments in the recording (blocks/classifier.h)
 *     infer_analyzer_harmony  what an accompaniment sounds like, chord by chord (blocks/chords.h)
 *     infer_analyzer_listen   sung notes, tempo, beats, bars, key, sections, phrases; a beat slower than the genre's slowest
 *                             is taken as two
 *     infer_analyzer_tracks   the kept accompaniment as instrument tracks (blocks/segmenter.h, tone_detector.h)
 *     infer_analyzer_chords   chords for a bare melody (music/harmony.h), or those heard in the accompaniment (music/chord_path.h)
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
#include "blocks/chords.h"
#include "audio/f0.h"
#include "infer/plan.h"

enum { INFER_MIN_SECONDS = 1, INFER_MAX_SECONDS = 20 * 60, INFER_MAX_KEPT = 16 };

/* A part of the recording that stays in the mix. */
typedef struct infer_kept {
    char       name[64];  /* of the stem: "vocal", "existing drums" */
    audio_clip audio;
} infer_kept;

typedef struct infer_song {
    audio_clip input;       /* as read                                                            */
    audio_clip voice;       /* of a song; empty when the input itself is the lead                 */
    audio_clip rest;        /* of a song: input - voice                                           */
    float     *lead;        /* [n_lead] mono at lead_rate: what is listened to for the melody     */
    float     *mono;        /* [n_lead] mono of the whole input; lead itself for a bare vocal     */
    int64_t    n_lead;
    int        lead_rate;
    audio_f0_track f0;      /* of the lead, when the melody was looked for                        */
    infer_kept kept[INFER_MAX_KEPT]; /* filled by infer_analyzer_tracks: the lead first           */
    int        n_kept;
    int        heard[INFER_MAX_INSTRUMENTS]; /* ids of instruments in the recording                */
    double     heard_probability[INFER_MAX_INSTRUMENTS];
    int        n_heard;
    blocks_harmony harmony; /* of an accompaniment: filled by infer_analyzer_harmony              */
    double     tempo_factor; /* 0.5, 2: somebody wants half or double of what is heard; 0, 1: as it is */
    uint64_t   hash;        /* of the samples: seeds the latent noise                             */
} infer_song;

void      infer_song_free(infer_song *song);

bl_status infer_analyzer_read(const char *path, infer_song *song, infer_plan *plan, bl_error *err);
bl_status infer_analyzer_part(infer_song *song, infer_plan *plan, bl_error *err);
bl_status infer_analyzer_listen(infer_song *song, infer_plan *plan, bl_error *err);

/* Loads the classifier of model_dir only when the genre is not given or the recording has instruments of its own. */
bl_status infer_analyzer_genre(infer_song *song, infer_plan *plan, const char *model_dir, bl_error *err);

/* Loads the chord network of model_dir only when the recording has an accompaniment whose chords or key are not given. */
bl_status infer_analyzer_harmony(infer_song *song, const infer_plan *plan, const char *model_dir, bl_error *err);

/* Without accompaniment, or when it is dropped, no model is needed. */
bl_status infer_analyzer_tracks(infer_song *song, const infer_plan *plan, const char *model_dir, bl_error *err);

bl_status infer_analyzer_chords(const infer_song *song, infer_plan *plan, const char *harmony_genre, bl_error *err);

/* model_dir/name, or BL_EIO that says which program makes it. */
bl_status infer_model_path(char *out, const char *model_dir, const char *name, bl_error *err);

#endif
