#include "infer/analyzer.h"

#include "audio/features.h"
#include "audio/key.h"
#include "audio/loudness.h"
#include "audio/mix.h"
#include "audio/resample.h"
#include "audio/rhythm.h"
#include "audio/separation.h"
#include "audio/soundfile.h"
#include "base/config.h"
#include "base/file.h"
#include "base/rng.h"
#include "blocks/classifier.h"
#include "blocks/segmenter.h"
#include "data/instruments.h"
#include "music/harmony.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LISTEN_RATE = 22050 };

/* A recording whose loudest sample is below this (-66 dBFS) holds nothing to accompany. */
static const float SILENCE = 0.0005f;

void infer_song_free(infer_song *song)
{
    audio_clip_free(&song->input);
    audio_clip_free(&song->voice);
    audio_clip_free(&song->rest);
    if (song->mono != song->lead)
        free(song->mono);
    free(song->lead);
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

/* ---- reading ---- */

bl_status infer_analyzer_read(const char *path, infer_song *song, infer_plan *plan, bl_error *err)
{
    float peak = 0;
    audio_clip *x = &song->input;
    if (audio_read(path, INFER_MAX_SECONDS, x, err) != BL_OK)
        return err->code;
    const int64_t n = x->n_samples * x->n_channels;
    plan->duration_s = (double)x->n_samples / x->sample_rate;
    plan->sample_rate = x->sample_rate;
    plan->n_channels = x->n_channels;
    free(plan->path);
    plan->path = malloc(strlen(path) + 1);
    if (!plan->path)
        return bl_fail(err, BL_ENOMEM, "no memory");
    strcpy(plan->path, path);
    if (plan->duration_s < INFER_MIN_SECONDS)
        return bl_fail(err, BL_EFORMAT, "%s: too short to accompany: %.2f s, and at least %d s are needed", path,
                       plan->duration_s, INFER_MIN_SECONDS);
    if (x->sample_rate < 8000)
        return bl_fail(err, BL_EFORMAT, "%s: sample rate of %d Hz; at least 8000 Hz are needed", path, x->sample_rate);
    for (int64_t i = 0; i < n; i++)
        peak = fabsf(x->samples[i]) > peak ? fabsf(x->samples[i]) : peak;
    if (peak < SILENCE) {
        if (peak == 0)
            return bl_fail(err, BL_EFORMAT, "%s: no sound in it (every sample is zero)", path);
        return bl_fail(err, BL_EFORMAT, "%s: no sound in it (the loudest sample is at %.0f dBFS)", path,
                       audio_gain_to_db((double)peak));
    }
    song->hash = bl_hash(0, x->samples, (size_t)n * sizeof *x->samples);
    return BL_OK;
}

/* ---- voice and accompaniment ---- */

static float *mono_for_listening(const audio_clip *clip, int64_t *n, bl_error *err)
{
    const int rate = clip->sample_rate < LISTEN_RATE ? clip->sample_rate : LISTEN_RATE;
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

bl_status infer_analyzer_part(infer_song *song, infer_plan *plan, bl_error *err)
{
    if (!(plan->has & INFER_HAS_INPUT)) {
        audio_input_evidence e;
        if (audio_judge_input(&song->input, &e, err) != BL_OK)
            return err->code;
        if (e.kind == AUDIO_INPUT_SILENT)
            return bl_fail(err, BL_EFORMAT, "%s: no sound in it", plan->path);
        snprintf(plan->input, sizeof plan->input, "%s", audio_input_kind_name(e.kind));
        plan->input_confidence = (double)e.confidence;
        plan->has |= INFER_HAS_INPUT;
    }
    if (strcmp(plan->input, "vocal") != 0 && audio_separate(&song->input, &song->voice, &song->rest, err) != BL_OK)
        return err->code;
    song->lead_rate = song->input.sample_rate < LISTEN_RATE ? song->input.sample_rate : LISTEN_RATE;
    if (!(song->lead = mono_for_listening(song->voice.samples ? &song->voice : &song->input, &song->n_lead, err)))
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

/* ---- melody, beats, key ---- */

static bl_status find_melody(const infer_song *song, infer_plan *plan, audio_sung_notes *sung, bl_error *err)
{
    audio_f0_track f0 = { 0 };
    bl_status status = audio_f0_run(song->lead, song->n_lead, song->lead_rate, (audio_f0_config){ 0 }, &f0, err);
    if (status == BL_OK)
        status = audio_notes_run(&f0, song->lead, song->n_lead, song->lead_rate, (audio_notes_config){ 0 }, sung, err);
    audio_f0_free(&f0);
    if (status != BL_OK)
        return status;
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
static bl_status melody_of(const infer_plan *plan, audio_sung_notes *sung, bl_error *err)
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

static int compare_real(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_bpm(const double *beats, int n, bl_error *err)
{
    double *gap = malloc((size_t)n * sizeof *gap), bpm = 0;
    if (!gap) {
        bl_fail(err, BL_ENOMEM, "no memory for the beats");
        return 0;
    }
    for (int i = 1; i < n; i++)
        gap[i - 1] = beats[i] - beats[i - 1];
    qsort(gap, (size_t)n - 1, sizeof *gap, compare_real);
    bpm = 60 / gap[(n - 1) / 2];
    free(gap);
    return bpm;
}

static int nearest_beat(const infer_plan *plan, double time_s)
{
    int best = 0;
    for (int i = 1; i < plan->n_beats; i++)
        if (fabs(plan->beats_s[i] - time_s) < fabs(plan->beats_s[best] - time_s))
            best = i;
    return best;
}

/* Downbeats on the plan's beats: the phase for which most of the heard downbeats vote. */
static bl_status lay_downbeats(infer_plan *plan, const audio_rhythm *heard, bl_error *err)
{
    int votes[16] = { 0 }, phase = 0;
    const int per_bar = plan->beats_per_bar;
    for (int i = 0; i < heard->n_downbeats; i++)
        votes[nearest_beat(plan, heard->downbeats_s[i]) % per_bar]++;
    for (int i = 1; i < per_bar; i++)
        if (votes[i] > votes[phase])
            phase = i;
    if (!(plan->downbeats_s = malloc(((size_t)plan->n_beats + 1) * sizeof *plan->downbeats_s)))
        return bl_fail(err, BL_ENOMEM, "no memory for the bars");
    for (int i = phase; i < plan->n_beats; i += per_bar)
        plan->downbeats_s[plan->n_downbeats++] = plan->beats_s[i];
    plan->has |= INFER_HAS_DOWNBEATS;
    return BL_OK;
}

/* A song shorter than two beats still gets a grid: the arranger needs one. */
static bl_status take_beats(infer_plan *plan, const audio_rhythm *r, bl_error *err)
{
    const double period_s = 60 / r->bpm;
    if (!(plan->beats_s = malloc(((size_t)r->n_beats + 2) * sizeof *plan->beats_s)))
        return bl_fail(err, BL_ENOMEM, "no memory for the beats");
    for (int i = 0; i < r->n_beats; i++)
        plan->beats_s[i] = r->beats_s[i];
    plan->n_beats = r->n_beats;
    while (plan->n_beats < 2) {
        plan->beats_s[plan->n_beats] = plan->n_beats ? plan->beats_s[plan->n_beats - 1] + period_s : 0;
        plan->n_beats++;
    }
    plan->has |= INFER_HAS_BEATS;
    return BL_OK;
}

/* The slowest beat of the plan's genre by configs/genres.ini; 0: none is named, or the genre is not known yet. */
static bl_status slowest_beat(const infer_plan *plan, double *bpm, bl_error *err)
{
    char path[BL_PATH_MAX];
    bl_error own = { 0 };
    *bpm = 0;
    if (!(plan->has & INFER_HAS_GENRE))
        return BL_OK;
    if (bl_find_shipped(path, "configs/genres.ini", err) != BL_OK)
        return err->code;
    bl_config *c = bl_config_load(path, &own);
    if (c)
        *bpm = bl_config_real(c, "slowest", plan->genre, 0, 20, 200, &own);
    bl_config_free(c);
    return own.code ? bl_fail(err, own.code, "%s", own.msg) : BL_OK;
}

/* Every beat becomes two, every bar two bars; the grid's own unsteadiness stays. */
static bl_status double_beats(audio_rhythm *r, bl_error *err)
{
    double *beats = malloc(2 * (size_t)r->n_beats * sizeof *beats), *bars = malloc(2 * (size_t)r->n_beats * sizeof *bars);
    int n = 0, n_bars = 0;
    if (!beats || !bars) {
        free(beats);
        free(bars);
        return bl_fail(err, BL_ENOMEM, "no memory for the beats");
    }
    for (int i = 0; i < r->n_beats; i++) {
        beats[n++] = r->beats_s[i];
        if (i + 1 < r->n_beats)
            beats[n++] = 0.5 * (r->beats_s[i] + r->beats_s[i + 1]);
    }
    const int phase = 2 * r->first_downbeat % r->beats_per_bar;
    for (int i = phase; i < n; i += r->beats_per_bar)
        bars[n_bars++] = beats[i];
    free(r->beats_s);
    free(r->downbeats_s);
    r->beats_s = beats;
    r->n_beats = n;
    r->downbeats_s = bars;
    r->n_downbeats = n_bars;
    r->first_downbeat = phase;
    r->bpm *= 2;
    return BL_OK;
}

static bl_status find_beats(const infer_song *song, infer_plan *plan, const audio_sung_notes *sung, bl_error *err)
{
    const unsigned all = INFER_HAS_TEMPO | INFER_HAS_BEATS | INFER_HAS_METER | INFER_HAS_DOWNBEATS;
    audio_rhythm r = { 0 };
    bl_status status = BL_OK;

    if (plan->has & INFER_HAS_BEATS && !(plan->has & INFER_HAS_TEMPO)) {
        plan->tempo_bpm = median_bpm(plan->beats_s, plan->n_beats, err);
        if (err->code)
            return err->code;
        plan->has |= INFER_HAS_TEMPO;
    }
    if ((plan->has & all) == all)
        return BL_OK;
    const double bpm = plan->has & INFER_HAS_TEMPO && plan->tempo_bpm >= 20 && plan->tempo_bpm <= 400 ? plan->tempo_bpm : 0;
    status = audio_rhythm_analyze(song->mono, song->n_lead, song->lead_rate,
                                  (audio_rhythm_config){ .bpm = bpm, .notes = sung->notes, .n_notes = sung->n_notes,
                                                         .beats_per_bar = plan->has & INFER_HAS_METER ? plan->beats_per_bar : 0,
                                                         .note_weight = strcmp(plan->input, "vocal") ? 0.2 : 0 },
                                  &r, err);
    double slowest = 0;
    if (status == BL_OK && !(plan->has & (INFER_HAS_TEMPO | INFER_HAS_BEATS)))
        status = slowest_beat(plan, &slowest, err);
    if (status == BL_OK && r.bpm < slowest)
        status = double_beats(&r, err);
    if (status != BL_OK) {
        audio_rhythm_free(&r);
        return status;
    }
    if (!(plan->has & INFER_HAS_METER))
        plan->beats_per_bar = r.beats_per_bar;
    if (!(plan->has & INFER_HAS_TEMPO))
        plan->tempo_bpm = r.bpm;
    if (!(plan->has & INFER_HAS_BEATS))
        status = take_beats(plan, &r, err);
    if (status == BL_OK && !(plan->has & INFER_HAS_DOWNBEATS))
        status = lay_downbeats(plan, &r, err);
    plan->has |= INFER_HAS_METER | INFER_HAS_TEMPO;
    audio_rhythm_free(&r);
    return status;
}

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

static bl_status find_key(const infer_song *song, infer_plan *plan, const audio_sung_notes *sung, bl_error *err)
{
    audio_rhythm r = { .bpm = plan->tempo_bpm, .beats_s = plan->beats_s, .n_beats = plan->n_beats,
                       .downbeats_s = plan->downbeats_s, .n_downbeats = plan->n_downbeats,
                       .beats_per_bar = plan->beats_per_bar,
                       .first_downbeat = plan->n_downbeats ? nearest_beat(plan, plan->downbeats_s[0]) : 0 };
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
    plan->has |= INFER_HAS_KEY;
    return BL_OK;
}

bl_status infer_analyzer_listen(const infer_song *song, infer_plan *plan, bl_error *err)
{
    audio_sung_notes sung = { 0 };
    bl_status status = plan->has & INFER_HAS_MELODY ? melody_of(plan, &sung, err) : find_melody(song, plan, &sung, err);
    if (status == BL_OK)
        status = find_beats(song, plan, &sung, err);
    if (status == BL_OK && !(plan->has & INFER_HAS_KEY))
        status = find_key(song, plan, &sung, err);
    audio_notes_free(&sung);
    infer_plan_round(plan);
    return status;
}

/* ---- genre and instruments ---- */

static void take_heard(infer_song *song, const blocks_classifier *c, const float *probability)
{
    for (int i = 0; i < c->n_instruments && song->n_heard < INFER_MAX_INSTRUMENTS; i++) {
        const int id = data_instrument_find(c->instruments[i]);
        if (id < 0 || probability[i] < 0.5f || data_instrument_at(id)->family == DATA_VOICES)
            continue;
        song->heard[song->n_heard] = id;
        song->heard_probability[song->n_heard++] = (double)probability[i];
    }
}

bl_status infer_analyzer_genre(infer_song *song, infer_plan *plan, const char *model_dir, bl_error *err)
{
    const int mixed = strcmp(plan->input, "vocal") != 0;
    char path[BL_PATH_MAX];
    if (plan->has & INFER_HAS_GENRE && (!mixed || plan->has & INFER_HAS_INSTRUMENTS))
        return BL_OK;
    if (infer_model_path(path, model_dir, "classifier.h5", err) != BL_OK)
        return err->code;
    blocks_classifier *c = blocks_classifier_load(path, err);
    float *genre = c ? calloc((size_t)c->n_genres + 1, sizeof *genre) : NULL;
    float *instrument = c ? calloc((size_t)c->n_instruments + 1, sizeof *instrument) : NULL;
    bl_status status = BL_OK;
    if (!c)
        status = err->code;
    else if (!genre || !instrument)
        status = bl_fail(err, BL_ENOMEM, "no memory for the classifier");
    else
        status = blocks_classifier_run(c, song->mono, song->n_lead, song->lead_rate, genre, instrument, err);
    if (status == BL_OK) {
        if (!(plan->has & INFER_HAS_GENRE)) {
            int best = 0;
            for (int i = 1; i < c->n_genres; i++)
                if (genre[i] > genre[best])
                    best = i;
            data_genre_normalise(c->genres[best], plan->genre, sizeof plan->genre);
            plan->genre_probability = (double)genre[best];
            plan->has |= INFER_HAS_GENRE;
        }
        if (mixed)
            take_heard(song, c, instrument);
    }
    free(genre);
    free(instrument);
    blocks_classifier_free(c);
    return status;
}

/* ---- what stays ---- */

static void keep(infer_song *song, const char *name, audio_clip *audio)
{
    infer_kept *k = &song->kept[song->n_kept++];
    snprintf(k->name, sizeof k->name, "%s", name);
    k->audio = *audio;
    *audio = (audio_clip){ 0 };
}

/* The segmenter's view of the feature extractor. */
static bl_status encode(void *user, const float *x, int64_t n_samples, int sample_rate, float **latents, int64_t *n_frames,
                        double *hop_s, bl_error *err)
{
    blocks_feature_extractor *fx = user;
    int dim;
    *hop_s = fx->hop_s;
    return blocks_feature_extractor_run(fx, x, n_samples, sample_rate, latents, n_frames, &dim, err);
}

/* Existing instruments must not share a stem's name with added ones. */
static bl_status keep_tracks(infer_song *song, audio_clip *rest, const char *model_dir, bl_error *err)
{
    char path[BL_PATH_MAX], name[64];
    blocks_segments *tracks = calloc(1, sizeof *tracks);
    blocks_segmenter *segmenter = NULL;
    blocks_tone_detector *detector = NULL;
    blocks_feature_extractor *fx = NULL;
    bl_status status = tracks ? BL_OK : bl_fail(err, BL_ENOMEM, "no memory for the tracks");

    if (status == BL_OK && (status = infer_model_path(path, model_dir, "segmenter.h5", err)) == BL_OK)
        status = (segmenter = blocks_segmenter_load(path, err)) ? BL_OK : err->code;
    if (status == BL_OK && (status = infer_model_path(path, model_dir, "tone_detector.h5", err)) == BL_OK)
        status = (detector = blocks_tone_detector_load(path, err)) ? BL_OK : err->code;
    const int with_latents = segmenter && segmenter->dim_in > BLOCKS_PART_FEATURES;
    if (status == BL_OK && with_latents && (status = infer_model_path(path, model_dir, "autoencoder.h5", err)) == BL_OK)
        status = (fx = blocks_feature_extractor_load(path, err)) ? BL_OK : err->code;
    if (status == BL_OK) {
        const blocks_latent_encoder encoder = { fx ? fx->dim : 0, fx, encode };
        status = blocks_segmenter_run(segmenter, rest, fx ? &encoder : NULL, detector, tracks, err);
    }
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
    blocks_feature_extractor_free(fx);
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
            is_downbeat[nearest_beat(plan, plan->downbeats_s[i])] = 1;
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
