#include "infer/stem.h"

#include "base/file.h"
#include "base/rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double rounded(double x)
{
    return round(x * 1e4) / 1e4;
}

int infer_stems_played_before(const infer_stems *s, int track)
{
    const music_score *score = &s->plan->score;
    for (int i = 0; i < track; i++)
        if (score->tracks[i].n_notes && !strcmp(score->tracks[i].name, score->tracks[track].name))
            return 1;
    return 0;
}

void infer_stems_begin(infer_stems *s)
{
    infer_plan *p = s->plan;
    int n = 0, playing = 0;
    for (int i = 0; i < p->score.n_tracks; i++)
        playing += p->score.tracks[i].n_notes && !infer_stems_played_before(s, i);
    for (int i = 0; i < p->n_levels; i++) {
        const music_track *t = infer_plan_track(p, p->levels[i].instrument);
        if (t && t->n_notes)
            p->levels[n++] = p->levels[i];
    }
    if (n != p->n_levels || n != playing)
        p->sum_lufs = p->sum_dbtp = (double)NAN;
    p->n_levels = n;
    p->has |= INFER_HAS_LEVELS;
}

/* The next player of the instrument, from t on; NULL: none. */
static const music_track *player(const infer_stems *s, const music_track *t, const char *name)
{
    const music_score *score = &s->plan->score;
    for (; t < score->tracks + score->n_tracks; t++)
        if (!strcmp(t->name, name))
            return t;
    return NULL;
}

/* The notes of player i and what they are played with. */
static infer_tones tones_of(const infer_stems *s, const music_track *track, int i)
{
    const uint64_t words[3] = { s->song_hash, (uint64_t)s->plan->seed, (uint64_t)i };
    return (infer_tones){ .track = track, .genre = s->plan->genre, .context = s->context, .quiet = s->quiet, .cache = s->cache,
                          .seed = bl_hash(0, words, (i ? 3 : 2) * sizeof *words), .bars_s = s->plan->downbeats_s,
                          .n_bars = s->plan->n_downbeats };
}

/* All that a placed stem depends on but the level at which it is repaired. */
static bl_status key_of(const infer_stems *s, const music_track *first, infer_key *key, bl_error *err)
{
    const infer_plan *p = s->plan;
    const infer_key models[2] = { infer_tone_generator_key(s->generator), infer_temporal_analyzer_key(s->temporal) };
    int n = 0;
    *key = infer_key_of("stem");
    infer_key_add(key, models, sizeof models);
    infer_key_text(key, p->genre);
    infer_key_text(key, p->genre_sounds);
    infer_key_add(key, p->downbeats_s, (size_t)p->n_downbeats * sizeof *p->downbeats_s);
    if (s->context)
        infer_key_add(key, s->context, (size_t)infer_tone_generator_context(s->generator) * sizeof *s->context);
    for (const music_track *t = first; t; t = player(s, t + 1, first->name)) {
        const infer_tones in = tones_of(s, t, n++);
        infer_key_text(key, t->name);
        infer_key_add(key, &(int64_t[3]){ t->program, t->is_drums, (int64_t)in.seed }, 3 * sizeof(int64_t));
        for (int i = 0; i < t->n_notes; i++) {
            infer_key_add(key, &(double[2]){ t->notes[i].onset_s, t->notes[i].offset_s }, 2 * sizeof(double));
            infer_key_add(key, &(int[2]){ t->notes[i].pitch, t->notes[i].velocity }, 2 * sizeof(int));
        }
    }
    return infer_mixer_key(s->mixer, first->name, key, err);
}

/* Tones, repair and room; *phrase is measured when it is NAN. */
static bl_status make(infer_stems *s, const music_track *first, double *phrase, audio_clip *stem, bl_error *err)
{
    const int rate = infer_tone_generator_rate(s->generator);
    const int64_t n = (int64_t)ceil(s->plan->duration_s * rate);
    double at = bl_seconds();
    float *mono = calloc((size_t)n, sizeof *mono);
    int players = 0;
    bl_status status = mono ? BL_OK : bl_fail(err, BL_ENOMEM, "no memory for the stem of %s", first->name);
    for (const music_track *t = first; t && status == BL_OK; t = player(s, t + 1, first->name)) {
        const infer_tones in = tones_of(s, t, players++);
        status = infer_tone_generator_run(s->generator, &in, mono, n, NULL, err);
    }
    s->tones_s += bl_seconds() - at;
    at = bl_seconds();
    if (status == BL_OK && isnan(*phrase)) {
        status = infer_temporal_analyzer_level(s->temporal, mono, n, rate, phrase, err);
        *phrase = rounded(*phrase);
    }
    s->chain.spectrogram += bl_seconds() - at;
    if (status == BL_OK)
        status = infer_temporal_analyzer_chain(s->temporal, first->name, *phrase, mono, n, rate, s->cache, &s->chain, err);
    at = bl_seconds();
    if (status == BL_OK)
        status = infer_mixer_place(s->mixer, first->name, mono, n, rate, stem, err);
    s->mix_s += bl_seconds() - at;
    free(mono);
    return status;
}

static int find(const infer_stems *s, infer_key key, audio_clip *stem)
{
    float *x = NULL;
    int64_t n = 0;
    if (!infer_cache_get(s->cache, key, &x, &n))
        return 0;
    if (n == s->n_samples * s->plan->n_channels) {
        *stem = (audio_clip){ .samples = x, .n_channels = s->plan->n_channels, .n_samples = s->n_samples, .sample_rate = s->plan->sample_rate };
        return 1;
    }
    free(x);
    return 0;
}

/* Levels that were measured for these notes before. */
static void find_levels(const infer_stems *s, infer_key key, infer_level *level)
{
    float *x = NULL;
    int64_t n = 0;
    if (infer_cache_get(s->cache, key, &x, &n) && n == 2) {
        level->loudness_lufs = rounded((double)x[0]);
        level->phrase = rounded((double)x[1]);
    }
    free(x);
}

static infer_key at_level(infer_key key, double phrase)
{
    infer_key_add(&key, &phrase, sizeof phrase);
    return key;
}

bl_status infer_stem_add(infer_stems *s, const music_track *first, audio_clip *stem, bl_error *err)
{
    infer_plan *p = s->plan;
    const infer_level *known = infer_plan_level(p, first->name);
    infer_level level = { .loudness_lufs = (double)NAN, .phrase = (double)NAN };
    infer_key key, levels_key;
    double at = bl_seconds();
    bl_status status = key_of(s, first, &key, err);
    *stem = (audio_clip){ 0 };
    if (status != BL_OK)
        return status;
    levels_key = key;
    infer_key_text(&levels_key, "levels");
    if (known)
        level = *known;
    else
        find_levels(s, levels_key, &level);
    const int found = !isnan(level.phrase) && find(s, at_level(key, level.phrase), stem);
    s->mix_s += bl_seconds() - at;
    if (!found)
        status = make(s, first, &level.phrase, stem, err);
    at = bl_seconds();
    if (!found && status == BL_OK)
        infer_cache_put(s->cache, at_level(key, level.phrase), stem->samples, stem->n_samples * stem->n_channels);
    if (status == BL_OK)
        status = infer_mixer_join(s->mixer, first->name, &level.loudness_lufs, stem, err);
    if (status == BL_OK && !known && isfinite(level.loudness_lufs)) {
        snprintf(level.instrument, sizeof level.instrument, "%s", first->name);
        infer_cache_put(s->cache, levels_key, (const float[2]){ (float)level.loudness_lufs, (float)level.phrase }, 2);
        if (p->n_levels < INFER_MAX_INSTRUMENTS)
            p->levels[p->n_levels++] = level;
    }
    s->mix_s += bl_seconds() - at;
    if (status != BL_OK)
        audio_clip_free(stem);
    return status;
}
