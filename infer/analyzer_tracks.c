#include "infer/analyzer_private.h"

#include "base/file.h"
#include "blocks/segmenter.h"
#include "blocks/tone_detector.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void keep(infer_song *song, const char *name, audio_clip *audio)
{
    infer_kept *k = &song->kept[song->n_kept++];
    snprintf(k->name, sizeof k->name, "%s", name);
    k->audio = *audio;
    *audio = (audio_clip){ 0 };
}

/* ---- tracks that were parted before: their number, and each with its name in front, a letter a sample ---- */

enum { NAME_LENGTH = 64 };

static infer_key track_key(infer_key key, int i)
{
    infer_key_add(&key, &i, sizeof i);
    return key;
}

static int find_tracks(infer_song *song, infer_key key, const audio_clip *shape)
{
    const int64_t n_samples = shape->n_samples * shape->n_channels;
    const int before = song->n_kept;
    float *x = NULL;
    int64_t n = 0;
    int count = -1;
    if (infer_cache_get(song->cache, key, &x, &n) && n == 1 && x[0] >= 0 && x[0] <= (float)(INFER_MAX_KEPT - before))
        count = (int)x[0];
    free(x);
    for (int i = 0; i < count; i++) {
        audio_clip audio = { .n_channels = shape->n_channels, .n_samples = shape->n_samples, .sample_rate = shape->sample_rate };
        char name[NAME_LENGTH] = "";
        x = NULL;
        if (!infer_cache_get(song->cache, track_key(key, i), &x, &n) || n != NAME_LENGTH + n_samples) {
            free(x);
            while (song->n_kept > before)
                audio_clip_free(&song->kept[--song->n_kept].audio);
            return 0;
        }
        for (int k = 0; k + 1 < NAME_LENGTH; k++)
            name[k] = (char)x[k];
        memmove(x, x + NAME_LENGTH, (size_t)n_samples * sizeof *x);
        audio.samples = x;
        keep(song, name, &audio);
    }
    return count >= 0;
}

static void remember_tracks(const infer_song *song, infer_key key, int first)
{
    const float count = (float)(song->n_kept - first);
    for (int i = first; i < song->n_kept && song->cache; i++) {
        const infer_kept *k = &song->kept[i];
        const int64_t n = k->audio.n_samples * k->audio.n_channels;
        float *x = calloc((size_t)(NAME_LENGTH + n), sizeof *x);
        if (!x)
            return;
        for (int c = 0; k->name[c] && c + 1 < NAME_LENGTH; c++)
            x[c] = (float)k->name[c];
        memcpy(x + NAME_LENGTH, k->audio.samples, (size_t)n * sizeof *x);
        infer_cache_put(song->cache, track_key(key, i - first), x, NAME_LENGTH + n);
        free(x);
    }
    infer_cache_put(song->cache, key, &count, 1);
}

/* Existing instruments must not share a stem's name with added ones. */
static bl_status part_tracks(infer_song *song, audio_clip *rest, const char *segmenter_path, const char *detector_path, bl_error *err)
{
    blocks_segments *tracks = calloc(1, sizeof *tracks);
    blocks_segmenter *segmenter = tracks ? blocks_segmenter_load(segmenter_path, err) : NULL;
    blocks_tone_detector *detector = segmenter ? blocks_tone_detector_load(detector_path, err) : NULL;
    bl_status status = detector ? BL_OK : tracks ? err->code : bl_fail(err, BL_ENOMEM, "no memory for the tracks");
    char name[NAME_LENGTH];
    if (status == BL_OK)
        status = blocks_segmenter_run(segmenter, rest, detector, tracks, err);
    for (int i = 0; status == BL_OK && i < tracks->n && song->n_kept < INFER_MAX_KEPT; i++) {
        snprintf(name, sizeof name, "existing %.50s", tracks->tracks[i].name);
        keep(song, name, &tracks->tracks[i].audio);
    }
    if (tracks)
        blocks_segments_free(tracks);
    free(tracks);
    blocks_segmenter_free(segmenter);
    blocks_tone_detector_free(detector);
    return status;
}

static bl_status keep_tracks(infer_song *song, audio_clip *rest, const char *model_dir, bl_error *err)
{
    char segmenter[BL_PATH_MAX], detector[BL_PATH_MAX];
    const int64_t words[3] = { rest->n_channels, rest->n_samples, rest->sample_rate };
    const int first = song->n_kept;
    infer_key key = infer_key_of("tracks");
    if (infer_model_path(segmenter, model_dir, "segmenter.h5", err) != BL_OK ||
        infer_model_path(detector, model_dir, "tone_detector.h5", err) != BL_OK || infer_key_file(&key, segmenter, err) != BL_OK ||
        infer_key_file(&key, detector, err) != BL_OK)
        return err->code;
    infer_key_add(&key, words, sizeof words);
    infer_key_add(&key, rest->samples, (size_t)(rest->n_samples * rest->n_channels) * sizeof *rest->samples);
    if (!find_tracks(song, key, rest)) {
        if (part_tracks(song, rest, segmenter, detector, err) != BL_OK)
            return err->code;
        remember_tracks(song, key, first);
    }
    audio_clip_free(rest);
    return BL_OK;
}

bl_status infer_analyzer_tracks(infer_song *song, const infer_plan *plan, const char *model_dir, bl_error *err)
{
    if (!strcmp(plan->input, "vocal"))
        keep(song, "vocal", &song->input);
    else if (!strcmp(plan->input, "instrumental")) {
        if (!plan->keep_existing)
            return bl_fail(err, BL_EARG, "%s: nobody sings in it, so with --existing drop nothing would be left to play to",
                           plan->path);
        return keep_tracks(song, &song->input, model_dir, err);
    } else {
        keep(song, "vocal", &song->voice);
        if (plan->keep_existing)
            return keep_tracks(song, &song->rest, model_dir, err);
    }
    return BL_OK;
}
