#include "infer/analyzer_private.h"

#include "audio/features.h"
#include "audio/structure.h"

#include <stdlib.h>
#include <string.h>

enum { N_FFT = 4096, HOP = 1024, N_MELS = 40 };

static bl_status find_phrases(infer_plan *plan, const audio_sung_notes *sung, bl_error *err)
{
    audio_phrases found = { 0 };
    if (audio_phrases_find(sung->notes, sung->n_notes, 0, &found, err) != BL_OK)
        return err->code;
    if (!(plan->phrases = calloc((size_t)found.n + 1, sizeof *plan->phrases))) {
        audio_phrases_free(&found);
        return bl_fail(err, BL_ENOMEM, "no memory for the phrases");
    }
    for (int i = 0; i < found.n; i++)
        plan->phrases[i] = (music_interval){ found.phrases[i].start_s, found.phrases[i].end_s };
    plan->n_phrases = found.n;
    plan->has |= INFER_HAS_PHRASES;
    audio_phrases_free(&found);
    return BL_OK;
}

static bl_status take_sections(infer_plan *plan, const audio_sections *found, bl_error *err)
{
    if (!(plan->sections = calloc((size_t)found->n, sizeof *plan->sections)))
        return bl_fail(err, BL_ENOMEM, "no memory for the sections");
    for (int i = 0; i < found->n; i++) {
        infer_section *s = &plan->sections[i];
        s->start_s = found->sections[i].start_s;
        s->end_s = found->sections[i].end_s;
        audio_section_letter(found->sections[i].label, s->label);
    }
    plan->n_sections = found->n;
    plan->has |= INFER_HAS_SECTIONS;
    return BL_OK;
}

bl_status infer_hear_form(infer_song *song, const infer_plan *plan, bl_error *err)
{
    const audio_feature_config config = { .sample_rate = song->lead_rate, .n_fft = N_FFT, .hop_length = HOP, .n_mels = N_MELS,
                                          .n_mfcc = INFER_FORM_MFCC, .which = AUDIO_FEATURE_CHROMA | AUDIO_FEATURE_MFCC };
    if (plan->has & INFER_HAS_SECTIONS)
        return BL_OK;
    audio_feature_plan *p = audio_feature_plan_new(&config, err);
    audio_features f = { 0 };
    bl_status status = p ? audio_feature_plan_run(p, song->mono, song->n_lead, &f, err) : err->code;
    if (status == BL_OK && !(song->form.rows = malloc((size_t)f.n_frames * INFER_FORM_WIDTH * sizeof(float))))
        status = bl_fail(err, BL_ENOMEM, "no memory for the sections");
    for (int64_t t = 0; t < f.n_frames && status == BL_OK; t++) {
        float *row = song->form.rows + t * INFER_FORM_WIDTH;
        for (int k = 0; k < INFER_FORM_CHROMA; k++)
            row[k] = f.chroma[k * f.n_frames + t];
        for (int k = 0; k < INFER_FORM_MFCC; k++)
            row[INFER_FORM_CHROMA + k] = f.mfcc[k * f.n_frames + t];
    }
    song->form.n_frames = f.n_frames;
    song->form.hop_s = (double)HOP / song->lead_rate;
    audio_features_free(&f);
    audio_feature_plan_free(p);
    return status;
}

static bl_status find_sections(const infer_song *song, infer_plan *plan, const audio_sung_notes *sung, bl_error *err)
{
    audio_sections found = { 0 };
    const audio_structure_input in = {
        .chroma = song->form.rows, .mfcc = song->form.rows + INFER_FORM_CHROMA, .stride = INFER_FORM_WIDTH,
        .n_frames = song->form.n_frames, .n_mfcc = INFER_FORM_MFCC, .hop_s = song->form.hop_s, .downbeats_s = plan->downbeats_s,
        .n_downbeats = plan->n_downbeats, .notes = sung->notes, .n_notes = sung->n_notes, .duration_s = plan->duration_s };
    bl_status status = audio_sections_find(&in, &found, err);
    if (status == BL_OK)
        status = take_sections(plan, &found, err);
    audio_sections_free(&found);
    return status;
}

bl_status infer_find_structure(const infer_song *song, infer_plan *plan, const audio_sung_notes *sung, bl_error *err)
{
    bl_status status = BL_OK;
    if (!(plan->has & INFER_HAS_PHRASES))
        status = find_phrases(plan, sung, err);
    if (status == BL_OK && !(plan->has & INFER_HAS_SECTIONS))
        status = find_sections(song, plan, sung, err);
    return status;
}
