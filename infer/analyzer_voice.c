#include "infer/analyzer_private.h"

#include "audio/f0.h"
#include "audio/resample.h"
#include "audio/separation.h"
#include "base/file.h"
#include "blocks/separator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LISTEN_RATE = 22050 };

int infer_listen_rate(int sample_rate)
{
    return sample_rate < LISTEN_RATE ? sample_rate : LISTEN_RATE;
}

static float *mono_for_listening(const audio_clip *clip, int64_t *n, bl_error *err)
{
    const int rate = infer_listen_rate(clip->sample_rate);
    float *full = malloc((size_t)clip->n_samples * sizeof *full), *out = NULL;
    *n = audio_resample_length(clip->n_samples, clip->sample_rate, rate);
    if (full && (out = malloc((size_t)*n * sizeof *out))) {
        audio_clip_mono(clip, full);
        if (audio_resample_buffer(full, clip->n_samples, clip->sample_rate, rate, AUDIO_RESAMPLE_FAST, out, err) != BL_OK) {
            free(out);
            out = NULL;
        }
    } else
        bl_fail(err, BL_ENOMEM, "no memory for %.0f s of audio", (double)clip->n_samples / clip->sample_rate);
    free(full);
    return out;
}

bl_status infer_judge_input(const audio_clip *clip, infer_plan *plan, bl_error *err)
{
    audio_input_evidence e;
    if (audio_judge_input(clip, &e, err) != BL_OK)
        return err->code;
    snprintf(plan->input, sizeof plan->input, "%s", audio_input_kind_name(e.kind));
    plan->confidence.input = (double)e.confidence;
    plan->has |= INFER_HAS_INPUT;
    return BL_OK;
}

static bl_status separate(infer_song *song, const char *model_dir, audio_clip *lead, bl_error *err)
{
    char path[BL_PATH_MAX];
    bl_status status = infer_model_path(path, model_dir, "separator.h5", err);
    blocks_separator *separator = status == BL_OK ? blocks_separator_load(path, err) : NULL;
    if (separator)
        status = blocks_separator_hear(separator, &song->input, &song->voice, &song->rest, lead, err);
    else if (status == BL_OK)
        status = err->code;
    blocks_separator_free(separator);
    return status;
}

bl_status infer_analyzer_part(infer_song *song, infer_plan *plan, const char *model_dir, bl_error *err)
{
    if (!(plan->has & INFER_HAS_INPUT) && infer_judge_input(&song->input, plan, err) != BL_OK)
        return err->code;
    if (!strcmp(plan->input, "silent"))
        return bl_fail(err, BL_EFORMAT, "%s: no sound in it", plan->path);
    audio_clip lead = { 0 };
    if (!strcmp(plan->input, "song") && separate(song, model_dir, &lead, err) != BL_OK)
        return err->code;
    if (!strcmp(plan->input, "instrumental") && audio_separate_melody(&song->input, &song->voice, &song->rest, err) != BL_OK)
        return err->code;
    song->lead_rate = infer_listen_rate(song->input.sample_rate);
    song->lead = mono_for_listening(lead.samples ? &lead : song->voice.samples ? &song->voice : &song->input, &song->n_lead, err);
    audio_clip_free(&lead);
    if (!song->lead)
        return err->code;
    song->mono = song->lead;
    if (song->voice.samples && !(song->mono = mono_for_listening(&song->input, &song->n_lead, err)))
        return err->code;
    if (!strcmp(plan->input, "instrumental")) {
        /* The predominant melody served to listen; in the mix the recording stays whole. */
        audio_clip_free(&song->voice);
        audio_clip_free(&song->rest);
    }
    return BL_OK;
}

/* ---- melody ---- */

bl_status infer_hear_melody(infer_song *song, const infer_plan *plan, bl_error *err)
{
    if (plan->has & INFER_HAS_MELODY)
        return BL_OK;
    bl_status status = audio_f0_run(song->lead, song->n_lead, song->lead_rate, (audio_f0_config){ 0 }, &song->f0, err);
    if (status == BL_OK)
        status = audio_notes_run(&song->f0, song->lead, song->n_lead, song->lead_rate, (audio_notes_config){ 0 }, &song->sung, err);
    return status;
}

/* Claps, drums and noise leave scraps of pitch here and there; those are no melody. */
static int is_scraps(const audio_sung_notes *sung, double duration_s)
{
    static const double SCRAP_S = 0.25, LEAST_SHARE = 0.1;
    double sum = 0, longest = 0;
    for (int i = 0; i < sung->n_notes; i++) {
        const double length = sung->notes[i].offset_s - sung->notes[i].onset_s;
        sum += length;
        longest = length > longest ? length : longest;
    }
    return longest < SCRAP_S && sum < LEAST_SHARE * duration_s;
}

bl_status infer_take_melody(infer_song *song, infer_plan *plan, bl_error *err)
{
    audio_sung_notes *sung = &song->sung;
    if (is_scraps(sung, plan->duration_s))
        sung->n_notes = 0;
    if (!(plan->melody = calloc((size_t)sung->n_notes + 1, sizeof *plan->melody)))
        return bl_fail(err, BL_ENOMEM, "no memory for the melody");
    for (int i = 0; i < sung->n_notes; i++) {
        const audio_sung_note *s = &sung->notes[i];
        const int pitch = audio_sung_pitch(s, sung->tuning_cents);
        plan->melody[i] = (music_note){ s->onset_s, s->offset_s, pitch < 0 ? 0 : pitch > 127 ? 127 : pitch, s->velocity };
    }
    plan->n_melody = sung->n_notes;
    plan->tuning_cents = (double)sung->tuning_cents;
    plan->has |= INFER_HAS_MELODY;
    return BL_OK;
}

/* The plan's melody for the listening functions. */
bl_status infer_melody_of(const infer_plan *plan, audio_sung_notes *sung, bl_error *err)
{
    if (!(sung->notes = calloc((size_t)plan->n_melody + 1, sizeof *sung->notes)))
        return bl_fail(err, BL_ENOMEM, "no memory for the melody");
    for (int i = 0; i < plan->n_melody; i++) {
        const music_note *m = &plan->melody[i];
        sung->notes[i] = (audio_sung_note){ m->onset_s, m->offset_s, (float)m->pitch, m->velocity };
    }
    sung->n_notes = plan->n_melody;
    return BL_OK;
}
