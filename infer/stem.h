/* One instrument of the band, from its notes to its place in the mix: tones, repair, room, level, sum. What was made before comes from
 * the cache.
 *
 *     infer_stems s = { .generator = g, .temporal = t, .mixer = m, .cache = c, .plan = plan, .song_hash = hash, .n_samples = n };
 *     infer_stems_begin(&s);
 *     for (...) if (!infer_stems_played_before(&s, i)) infer_stem_add(&s, &plan->score.tracks[i], &clip, &err);
 *     infer_mixer_finish(...)
 *
 * Levels    A stem goes to its level by the loudness that plan->levels has for its instrument, else by its own, which is then
 *           put there; the same with the level at which it is repaired. So an edit of a few notes leaves the rest of the stem
 *           as it was.
 * Players   Tracks of one name are as many players of one instrument: each phrases by itself, in a sound of its own; one stem.
 * Errors    What the blocks say. The clip is empty then.
 * Memory    Borrows everything. *stem is filled from zero; release with audio_clip_free.
 * Tested    tests/infer/test_pipeline.c
 */
#ifndef BL_INFER_STEM_H
#define BL_INFER_STEM_H

#include "infer/mixer.h"
#include "infer/plan.h"
#include "infer/temporal_analyzer.h"
#include "infer/tone_generator.h"

typedef struct infer_stems {
    infer_tone_generator    *generator;
    infer_temporal_analyzer *temporal;
    infer_mixer             *mixer;
    infer_cache             *cache;      /* NULL: none                              */
    infer_plan              *plan;
    const float             *context;    /* of the song, for the generator; or NULL */
    uint64_t                 song_hash;  /* seeds the latent noise                  */
    int64_t                  n_samples;  /* of the song                             */
    int                      quiet;
    double                   tones_s, mix_s; /* time spent, added to                */
    infer_chain_seconds      chain;
} infer_stems;

/* Levels of instruments that do not play any more go; the song's is believed for the same band only. */
void      infer_stems_begin(infer_stems *s);

/* Whether an earlier track is of the same instrument, which takes this one along. */
int       infer_stems_played_before(const infer_stems *s, int track);

bl_status infer_stem_add(infer_stems *s, const music_track *first, audio_clip *stem, bl_error *err);

#endif
