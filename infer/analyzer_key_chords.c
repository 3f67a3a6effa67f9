#include "infer/analyzer_private.h"

#include "audio/features.h"
#include "audio/key.h"
#include "base/file.h"
#include "music/harmony.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Chroma [12, T] of the whole recording, NULL on failure. */
static bl_status chroma_of(const infer_song *song, audio_features *out, bl_error *err)
{
    const audio_feature_config config = { .sample_rate = song->lead_rate, .n_fft = 4096, .hop_length = 1024,
                                          .which = AUDIO_FEATURE_CHROMA };
    audio_feature_plan *p = audio_feature_plan_new(&config, err);
    const bl_status status = p ? audio_feature_plan_run(p, song->mono, song->n_lead, out, err) : err->code;
    audio_feature_plan_free(p);
    return status;
}

bl_status infer_find_key(const infer_song *song, infer_plan *plan, const audio_sung_notes *sung, bl_error *err)
{
    audio_rhythm r = { .bpm = plan->tempo_bpm, .beats_s = plan->beats_s, .n_beats = plan->n_beats,
                       .downbeats_s = plan->downbeats_s, .n_downbeats = plan->n_downbeats,
                       .beats_per_bar = plan->beats_per_bar,
                       .first_downbeat = plan->n_downbeats ? infer_nearest_beat(plan, plan->downbeats_s[0]) : 0 };
    audio_key key;
    if (!strcmp(plan->input, "vocal"))
        key = audio_key_from_notes(sung->notes, sung->n_notes, sung->tuning_cents, &r);
    else {
        audio_features f = { 0 };
        if (chroma_of(song, &f, err) != BL_OK)
            return err->code;
        key = audio_key_combine(sung->notes, sung->n_notes, sung->tuning_cents, &r, f.chroma, f.n_frames, 0.6);
        audio_features_free(&f);
    }
    snprintf(plan->key, sizeof plan->key, "%s", key.name);
    plan->confidence.key = (double)key.confidence;
    plan->has |= INFER_HAS_KEY;
    return BL_OK;
}

/* ---- chords ---- */

/* What an accompaniment plays, as notes for the harmoniser: in every beat the pitch classes that stand out, each as
 * long as its share of the beat's strongest. */
static music_note *notes_of_chroma(const infer_plan *plan, const audio_features *f, double frame_s, int *n)
{
    music_note *out = malloc(((size_t)plan->n_beats + (size_t)plan->n_melody + 1) * 12 * sizeof *out);
    *n = 0;
    for (int b = 0; out && b + 1 < plan->n_beats; b++) {
        const int64_t first = (int64_t)ceil(plan->beats_s[b] / frame_s), last = (int64_t)(plan->beats_s[b + 1] / frame_s);
        double mean[12] = { 0 }, top = 0;
        for (int64_t t = first < 0 ? 0 : first; t < last && t < f->n_frames; t++)
            for (int p = 0; p < 12; p++)
                mean[p] += (double)f->chroma[p * f->n_frames + t];
        for (int p = 0; p < 12; p++)
            top = mean[p] > top ? mean[p] : top;
        for (int p = 0; p < 12 && top > 0; p++) {
            const double share = (mean[p] / top - 0.5) * 2, length_s = plan->beats_s[b + 1] - plan->beats_s[b];
            if (share > 0)
                out[(*n)++] = (music_note){ plan->beats_s[b], plan->beats_s[b] + share * length_s, 60 + p, 80 };
        }
    }
    return out;
}

bl_status infer_analyzer_chords(const infer_song *song, infer_plan *plan, const char *harmony_genre, bl_error *err)
{
    char path[BL_PATH_MAX];
    music_note *notes = NULL;
    int *is_downbeat = NULL, n_notes = 0;
    music_harmony_table *table = NULL;
    audio_features f = { 0 };
    bl_status status;

    if (plan->has & INFER_HAS_CHORDS)
        return BL_OK;
    if ((status = bl_find_shipped(path, "configs/harmony.ini", err)) != BL_OK)
        return status;
    if (!(table = music_harmony_table_load(path, err)))
        return err->code;
    if (strcmp(plan->input, "vocal") != 0) {
        status = chroma_of(song, &f, err);
        if (status == BL_OK && !(notes = notes_of_chroma(plan, &f, 1024.0 / song->lead_rate, &n_notes)))
            status = bl_fail(err, BL_ENOMEM, "no memory for the chords");
    } else if (!(notes = malloc(((size_t)plan->n_melody + 1) * sizeof *notes)))
        status = bl_fail(err, BL_ENOMEM, "no memory for the chords");
    if (status == BL_OK && !(is_downbeat = calloc((size_t)plan->n_beats + 1, sizeof *is_downbeat)))
        status = bl_fail(err, BL_ENOMEM, "no memory for the chords");
    if (status == BL_OK) {
        music_harmony_input in = { .beats_s = plan->beats_s, .n_beats = plan->n_beats, .is_downbeat = is_downbeat,
                                   .beats_per_bar = plan->beats_per_bar, .melody = notes, .genre = harmony_genre,
                                   .start_s = 0, .end_s = plan->duration_s };
        memcpy(notes + n_notes, plan->melody, (size_t)plan->n_melody * sizeof *notes);
        in.n_melody = n_notes + plan->n_melody;
        for (int i = 0; i < plan->n_downbeats; i++)
            is_downbeat[infer_nearest_beat(plan, plan->downbeats_s[i])] = 1;
        music_key_parse(plan->key, &in.key);
        status = music_harmonize(table, &in, &plan->chords, &plan->n_chords, err);
    }
    if (status == BL_OK)
        plan->has |= INFER_HAS_CHORDS;
    free(notes);
    free(is_downbeat);
    audio_features_free(&f);
    music_harmony_table_free(table);
    infer_plan_round(plan);
    return status;
}
