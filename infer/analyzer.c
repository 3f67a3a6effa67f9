#include "infer/analyzer_private.h"

#include "audio/mix.h"
#include "audio/soundfile.h"
#include "base/file.h"
#include "base/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void infer_song_free(infer_song *song)
{
    audio_clip_free(&song->input);
    audio_clip_free(&song->voice);
    audio_clip_free(&song->rest);
    if (song->mono != song->lead)
        free(song->mono);
    free(song->lead);
    blocks_harmony_free(&song->harmony);
    audio_f0_free(&song->f0);
    audio_notes_free(&song->sung);
    audio_beat_activity_free(&song->beats);
    blocks_beat_tracker_free(song->tracker);
    free(song->form.rows);
    audio_sketch_free(song->sketch);
    for (int i = 0; i < song->n_kept; i++)
        audio_clip_free(&song->kept[i].audio);
    memset(song, 0, sizeof *song);
}

bl_status infer_model_path(char *out, const char *model_dir, const char *name, bl_error *err)
{
    static const struct { const char *file, *program; } makers[] = {
        { "autoencoder.h5", "train_autoencoder" }, { "segmenter.h5", "train_segmenter" },
        { "tone_detector.h5", "train_tone_detector" }, { "classifier.h5", "train_classifier" },
        { "wavegan.h5", "train_wavegan" }, { "bilstm.h5", "train_bilstm" },
        { "chords.h5", "train_chords" }, { "arranger.h5", "train_arranger" }, { "separator.h5", "train_separator" },
    };
    const char *program = "train_wavegan";
    if (bl_path_join(out, model_dir, name, err) != BL_OK)
        return BL_EARG;
    if (bl_is_file(out))
        return BL_OK;
    for (size_t i = 0; i < sizeof makers / sizeof *makers; i++)
        if (!strcmp(makers[i].file, name))
            program = makers[i].program;
    if (!bl_is_folder(model_dir))
        return bl_fail(err, BL_EIO, "%s: no such folder of models (--model)", model_dir);
    return bl_fail(err, BL_EIO, "%s: not there; make it with %s --config configs/rock.ini DATASET_DIR --out %s", out,
                   program, model_dir);
}

bl_status infer_ear_path(char *out, const char *model_dir, const char *name, bl_error *err)
{
    char shipped[BL_PATH_MAX];
    if (bl_path_join(out, model_dir, name, err) != BL_OK)
        return err->code;
    if (bl_is_file(out))
        return BL_OK;
    return bl_path_join(shipped, "models", name, err) == BL_OK ? bl_find_shipped(out, shipped, err) : err->code;
}

/* ---- reading ---- */

float infer_peak(const audio_clip *x)
{
    float peak = 0;
    for (int64_t i = 0; i < x->n_samples * x->n_channels; i++)
        peak = fabsf(x->samples[i]) > peak ? fabsf(x->samples[i]) : peak;
    return peak;
}

bl_status infer_take_format(const char *path, const audio_clip *x, infer_plan *plan, bl_error *err)
{
    plan->duration_s = (double)x->n_samples / x->sample_rate;
    plan->sample_rate = x->sample_rate;
    plan->n_channels = x->n_channels;
    free(plan->path);
    plan->path = malloc(strlen(path) + 1);
    if (!plan->path)
        return bl_fail(err, BL_ENOMEM, "no memory");
    strcpy(plan->path, path);
    if (x->sample_rate < 8000)
        return bl_fail(err, BL_EFORMAT, "%s: sample rate of %d Hz; at least 8000 Hz are needed", path, x->sample_rate);
    return BL_OK;
}

static bl_status lengthen(audio_clip *x, double seconds, bl_error *err)
{
    audio_clip longer;
    const int64_t n = (int64_t)ceil(seconds * x->sample_rate);
    if (n <= x->n_samples)
        return BL_OK;
    if (audio_clip_new(&longer, x->n_channels, n, x->sample_rate, err) != BL_OK)
        return err->code;
    for (int c = 0; c < x->n_channels; c++)
        memcpy(longer.samples + c * n, x->samples + c * x->n_samples, (size_t)x->n_samples * sizeof *x->samples);
    audio_clip_free(x);
    *x = longer;
    return BL_OK;
}

bl_status infer_analyzer_read(const char *path, infer_song *song, infer_plan *plan, bl_error *err)
{
    audio_clip *x = &song->input;
    if (audio_read(path, INFER_MAX_SECONDS, x, err) != BL_OK || lengthen(x, song->least_s, err) != BL_OK ||
        infer_take_format(path, x, plan, err) != BL_OK)
        return err->code;
    if (plan->duration_s < INFER_MIN_SECONDS)
        return bl_fail(err, BL_EFORMAT, "%s: too short to accompany: %.2f s, and at least %d s are needed", path,
                       plan->duration_s, INFER_MIN_SECONDS);
    const float peak = infer_peak(x);
    if (peak == 0)
        return bl_fail(err, BL_EFORMAT, "%s: no sound in it (every sample is zero)", path);
    if (peak < INFER_SILENCE)
        return bl_fail(err, BL_EFORMAT, "%s: no sound in it (the loudest sample is at %.0f dBFS)", path,
                       audio_gain_to_db((double)peak));
    song->hash = bl_hash(0, x->samples, (size_t)(x->n_samples * x->n_channels) * sizeof *x->samples);
    return BL_OK;
}

/* ---- listening, in the order in which one thing helps the next ---- */

bl_status infer_analyzer_listen(infer_song *song, infer_plan *plan, bl_error *err)
{
    audio_sung_notes given = { 0 };
    bl_status status = BL_OK;
    if (!song->is_long)
        status = infer_hear_melody(song, plan, err);
    if (status == BL_OK)
        status = plan->has & INFER_HAS_MELODY ? infer_melody_of(plan, &given, err) : infer_take_melody(song, plan, err);
    const audio_sung_notes *sung = given.notes ? &given : &song->sung;
    if (status == BL_OK)
        status = infer_find_beats(song, plan, sung, err);
    if (status == BL_OK)
        status = infer_plan_lay_sheet(plan, err);
    if (status == BL_OK && !(plan->has & INFER_HAS_KEY))
        status = infer_find_key(song, plan, sung, err);
    if (status == BL_OK && !song->is_long)
        status = infer_hear_form(song, plan, err);
    if (status == BL_OK)
        status = infer_find_structure(song, plan, sung, err);
    audio_notes_free(&given);
    infer_plan_round(plan);
    return status;
}
