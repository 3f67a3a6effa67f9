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

/* Existing instruments must not share a stem's name with added ones. */
static bl_status keep_tracks(infer_song *song, audio_clip *rest, const char *model_dir, bl_error *err)
{
    char path[BL_PATH_MAX], name[64];
    blocks_segments *tracks = calloc(1, sizeof *tracks);
    blocks_segmenter *segmenter = NULL;
    blocks_tone_detector *detector = NULL;
    bl_status status = tracks ? BL_OK : bl_fail(err, BL_ENOMEM, "no memory for the tracks");

    if (status == BL_OK && (status = infer_model_path(path, model_dir, "segmenter.h5", err)) == BL_OK)
        status = (segmenter = blocks_segmenter_load(path, err)) ? BL_OK : err->code;
    if (status == BL_OK && (status = infer_model_path(path, model_dir, "tone_detector.h5", err)) == BL_OK)
        status = (detector = blocks_tone_detector_load(path, err)) ? BL_OK : err->code;
    if (status == BL_OK)
        status = blocks_segmenter_run(segmenter, rest, detector, tracks, err);
    if (status == BL_OK) {
        for (int i = 0; i < tracks->n && song->n_kept < INFER_MAX_KEPT; i++) {
            snprintf(name, sizeof name, "existing %.50s", tracks->tracks[i].name);
            keep(song, name, &tracks->tracks[i].audio);
        }
        audio_clip_free(rest);
    }
    if (tracks)
        blocks_segments_free(tracks);
    free(tracks);
    blocks_segmenter_free(segmenter);
    blocks_tone_detector_free(detector);
    return status;
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
