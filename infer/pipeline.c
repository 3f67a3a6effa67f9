#include "infer/pipeline.h"

#include "audio/soundfile.h"
#include "base/config.h"
#include "base/file.h"
#include "base/progress.h"
#include "base/rng.h"
#include "blocks/feature_extractor.h"
#include "data/instruments.h"
#include "infer/analyzer.h"
#include "infer/arranger.h"
#include "infer/from_midi.h"
#include "infer/mixer.h"
#include "infer/outputs.h"
#include "infer/stem.h"
#include "infer/roll_picture.h"
#include "infer/temporal_analyzer.h"
#include "infer/tone_generator.h"
#include "infer/validator.h"
#include "music/midi.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double TAIL_S = 2; /* behind the last note of a MIDI file */

/* Everything a run owns. */
typedef struct run {
    const infer_options *o;
    char        model_dir[BL_PATH_MAX];
    infer_song  song;
    infer_plan *plan;
    bl_config  *config;
    infer_tone_generator    *generator;
    infer_temporal_analyzer *temporal;
    infer_mixer *mixer;
    infer_cache *cache;
    infer_outputs outputs;
    audio_clip  mix;
    music_score arrangement;  /* of a MIDI file */
    float      *context;
    double      start_s, stage_s;
} run;

bl_status infer_default_models(char *out, bl_error *err)
{
    bl_error own = { 0 };
    if (bl_find_shipped(out, "models", &own) == BL_OK)
        return BL_OK;
    return bl_fail(err, BL_EIO, "%s (say where the models are with --model)", own.msg);
}

/* ---- intervals ---- */

/* "75.5" or "1:15.5"; end: where the number stops. */
static int parse_time(const char *text, double *out, const char **end)
{
    char *stop;
    double minutes = 0, value;
    if (!strchr("0123456789.", *text) || !*text)
        return 0;
    value = strtod(text, &stop);
    if (*stop == ':') {
        minutes = value;
        if (!strchr("0123456789.", stop[1]) || !stop[1])
            return 0;
        value = strtod(stop + 1, &stop);
    }
    *out = 60 * minutes + value;
    *end = stop;
    return isfinite(*out);
}

bl_status infer_parse_interval(const char *text, music_interval *out, bl_error *err)
{
    const char *at = text;
    int good = 1;
    *out = (music_interval){ 0, HUGE_VAL };
    if (*at != '-')
        good = parse_time(at, &out->start_s, &at);
    good = good && *at == '-';
    if (good && at[1])
        good = parse_time(at + 1, &out->end_s, &at) && !*at;
    if (!good || (!isfinite(out->end_s) && !strcmp(text, "-")))
        return bl_fail(err, BL_EARG, "--interval: expected START-END in seconds (\"10-20.5\", \"1:05-1:20\"), got \"%s\"", text);
    if (out->end_s <= out->start_s)
        return bl_fail(err, BL_EARG, "--interval %s: the end does not come after the start", text);
    return BL_OK;
}

static int compare_interval(const void *a, const void *b)
{
    const double x = ((const music_interval *)a)->start_s, y = ((const music_interval *)b)->start_s;
    return (x > y) - (x < y);
}

/* Into the plan, sorted, touching ones joined. */
static bl_status take_intervals(run *r, bl_error *err)
{
    infer_plan *p = r->plan;
    if (r->o->n_intervals) {
        if (r->o->n_intervals > INFER_MAX_INTERVALS)
            return bl_fail(err, BL_EARG, "--interval: more than %d", INFER_MAX_INTERVALS);
        for (int i = 0; i < r->o->n_intervals; i++)
            if (infer_parse_interval(r->o->intervals[i], &p->intervals[i], err) != BL_OK)
                return err->code;
        p->n_intervals = r->o->n_intervals;
        p->has |= INFER_HAS_INTERVALS;
        infer_plan_edited(p, INFER_HAS_INTERVALS);
    }
    for (int i = 0; i < p->n_intervals; i++) {
        music_interval *v = &p->intervals[i];
        if (v->start_s >= p->duration_s || (isfinite(v->end_s) && v->end_s > p->duration_s + 0.5))
            return bl_fail(err, BL_EARG, "the interval %g-%g s lies outside the song, which is %.2f s long", v->start_s,
                           isfinite(v->end_s) ? v->end_s : p->duration_s, p->duration_s);
        if (v->end_s > p->duration_s)
            v->end_s = p->duration_s;
    }
    qsort(p->intervals, (size_t)p->n_intervals, sizeof *p->intervals, compare_interval);
    int n = p->n_intervals > 0;
    for (int i = 1; i < p->n_intervals; i++) {
        if (p->intervals[i].start_s <= p->intervals[n - 1].end_s)
            p->intervals[n - 1].end_s = fmax(p->intervals[n - 1].end_s, p->intervals[i].end_s);
        else
            p->intervals[n++] = p->intervals[i];
    }
    p->n_intervals = n;
    return BL_OK;
}

/* ---- stages ---- */

/* Ends a stage: its name and time go into the plan and onto the terminal. */
static bl_status stage(run *r, const char *name, bl_status status, bl_error *err)
{
    const double now = bl_seconds();
    if (status != BL_OK)
        return status;
    if (r->plan->n_stages < INFER_MAX_STAGES) {
        infer_stage *s = &r->plan->stages[r->plan->n_stages++];
        snprintf(s->name, sizeof s->name, "%s", name);
        s->seconds = now - r->stage_s;
    }
    if (!r->o->quiet)
        fprintf(stderr, "%-12s %6.2f s\n", name, now - r->stage_s);
    r->stage_s = now;
    return bl_interrupted() ? bl_fail(err, BL_ESTOP, "interrupted") : BL_OK;
}

static void add_seconds(run *r, const char *name, double seconds)
{
    for (int i = 0; i < r->plan->n_stages; i++)
        if (!strcmp(r->plan->stages[i].name, name)) {
            r->plan->stages[i].seconds += seconds;
            return;
        }
    if (r->plan->n_stages < INFER_MAX_STAGES) {
        infer_stage *s = &r->plan->stages[r->plan->n_stages++];
        snprintf(s->name, sizeof s->name, "%s", name);
        s->seconds = seconds;
    }
}

/* What can be known to be wrong before any work is done. */
static bl_status check_options(const infer_options *o, bl_error *err)
{
    const struct { const char *option, *path; } files[] = {
        { "-o", o->out }, { "--midi", o->midi }, { "--report", o->report }, { "--picture", o->picture },
        { "--write-chords", o->write_chords } };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        if (files[i].path && infer_outputs_check(files[i].path, err) != BL_OK)
            return err->code;
        if (files[i].path && ((o->song && infer_outputs_same(files[i].path, o->song)) ||
                              (o->from_midi && infer_outputs_same(files[i].path, o->from_midi))))
            return bl_fail(err, BL_EARG, "%s: %s would overwrite the song that is read", files[i].path, files[i].option);
        for (size_t k = 0; k < i; k++)
            if (files[i].path && files[k].path && infer_outputs_same(files[i].path, files[k].path))
                return bl_fail(err, BL_EARG, "%s: given for both %s and %s", files[i].path, files[k].option, files[i].option);
    }
    if (o->out && !audio_is_sound_name(o->out))
        return bl_fail(err, BL_EARG, "%s: the extension says no sound format; use .wav, .flac, .ogg, .mp3 or another", o->out);
    if (o->stems && bl_is_file(o->stems))
        return bl_fail(err, BL_EIO, "%s: --stems expects a folder, this is a file", o->stems);
    return o->instruments ? infer_check_instruments(o->instruments, err) : BL_OK;
}

/* A section that neither infer nor any shipped config knows is a slip of the pen. */
static bl_status check_config(const bl_config *c, bl_error *err)
{
    char folder[BL_PATH_MAX], path[BL_PATH_MAX], **names = NULL;
    int n = 0;
    bl_status status = bl_find_shipped(folder, "configs", err);
    if (status == BL_OK)
        status = bl_list_folder(folder, &names, &n, err);
    for (int k = 0; k < bl_config_count(c) && status == BL_OK; k++) {
        const bl_config_entry *e = bl_config_at(c, k);
        int known = !strcmp(e->section, "mix") || !strncmp(e->section, "mix ", 4);
        for (int i = 0; i < n && !known; i++) {
            if (strcmp(bl_path_extension(names[i]), "ini") != 0 || !strcmp(names[i], "mix.ini") ||
                bl_path_join(path, folder, names[i], err) != BL_OK)
                continue;
            bl_config *other = bl_config_load(path, NULL);
            known = other && bl_config_has_section(other, e->section);
            bl_config_free(other);
        }
        if (!known)
            status = bl_fail(err, BL_EARG, "%s line %d: unknown section [%s]; infer reads [mix] and [mix INSTRUMENT]",
                             bl_config_name(c), e->line, e->section);
    }
    bl_names_free(names, n);
    return status;
}

/* Command line into the plan: it outranks what the plan says. */
static bl_status take_options(run *r, bl_error *err)
{
    const infer_options *o = r->o;
    infer_plan *p = r->plan;
    if (infer_overrides_apply(&o->overrides, p, err) != BL_OK)
        return err->code;
    r->song.tempo_factor = infer_overrides_tempo_factor(&o->overrides);
    if (o->genre) {
        char name[64];
        data_genre_normalise(o->genre, name, sizeof name);
        if (p->has & INFER_HAS_GENRE && strcmp(name, p->genre) != 0)
            infer_plan_edited(p, INFER_HAS_GENRE);
        snprintf(p->genre, sizeof p->genre, "%s", name);
        p->genre_given = 1;
        p->genre_probability = 1;
        p->has |= INFER_HAS_GENRE;
    }
    if (o->existing) {
        p->keep_existing = !strcmp(o->existing, "keep");
    } else if (!(p->has & INFER_HAS_EXISTING))
        p->keep_existing = 1;
    if (o->seed >= 0) {
        if (p->origin.made && p->has & INFER_HAS_SEED && p->seed != o->seed)
            infer_plan_edited(p, INFER_HAS_SEED);
        p->seed = o->seed;
    } else if (!(p->has & INFER_HAS_SEED))
        p->seed = 1;
    p->has |= INFER_HAS_EXISTING | INFER_HAS_SEED;
    return p->has & INFER_HAS_GENRE ? infer_check_genre(p, r->model_dir, err) : BL_OK;
}

/* A folder that was asked for must be usable; without the usual one everything is made anew. */
static bl_status open_cache(run *r, bl_error *err)
{
    bl_error own = { 0 };
    r->song.cache = r->cache = infer_cache_open(r->o->cache, &own);
    if (r->cache)
        return BL_OK;
    if (r->o->cache)
        return bl_fail(err, own.code, "%s", own.msg);
    if (!r->o->quiet)
        fprintf(stderr, "without a cache: %s\n", own.msg);
    return BL_OK;
}

static bl_status prepare(run *r, bl_error *err)
{
    const infer_options *o = r->o;
    char path[BL_PATH_MAX];
    bl_status status = check_options(o, err);
    if (status == BL_OK && o->model)
        status = strlen(o->model) < BL_PATH_MAX ? BL_OK : bl_fail(err, BL_EARG, "--model: path too long");
    if (status == BL_OK) {
        if (o->model)
            strcpy(r->model_dir, o->model);
        else
            status = infer_default_models(r->model_dir, err);
    }
    if (status == BL_OK && o->config) {
        r->config = bl_config_load(o->config, err);
        status = r->config ? check_config(r->config, err) : err->code;
    }
    if (status == BL_OK)
        status = take_options(r, err);
    if (status == BL_OK && o->out && !o->no_cache)
        status = open_cache(r, err);
    if (status == BL_OK && o->from_midi && (status = infer_from_midi_read(o->from_midi, &r->arrangement, err)) == BL_OK)
        r->plan->least_s = fmin(music_score_end_s(&r->arrangement) + TAIL_S, INFER_MAX_SECONDS);
    r->song.least_s = r->plan->least_s;
    if (status == BL_OK && !o->song)
        status = infer_from_midi_format(o->from_midi, r->song.least_s, r->plan, err);
    else if (status == BL_OK)
        status = infer_analyzer_read(o->song, &r->song, r->plan, err);
    if (status == BL_OK)
        status = take_intervals(r, err);
    if (status == BL_OK && (status = infer_model_path(path, r->model_dir, "wavegan.h5", err)) == BL_OK)
        status = (r->generator = infer_tone_generator_load(path, err)) ? BL_OK : err->code;
    if (status == BL_OK && o->out && (status = infer_model_path(path, r->model_dir, "bilstm.h5", err)) == BL_OK)
        status = (r->temporal = infer_temporal_analyzer_load(path, err)) ? BL_OK : err->code;
    if (status == BL_OK && o->from_midi)
        status = infer_from_midi(&r->arrangement, o->from_midi, r->generator, o->song != NULL, r->plan, err);
    return stage(r, "read", status, err);
}

/* The features of the song that the synthesizer hears with every tone. */
static bl_status song_context(run *r, bl_error *err)
{
    char path[BL_PATH_MAX];
    const int n = infer_tone_generator_context(r->generator);
    if (!n || !r->o->out) /* nothing will sound */
        return BL_OK;
    if (infer_model_path(path, r->model_dir, "autoencoder.h5", err) != BL_OK)
        return err->code;
    blocks_feature_extractor *fx = blocks_feature_extractor_load(path, err);
    if (!fx)
        return err->code;
    bl_status status = BL_OK;
    if (fx->dim != n)
        status = bl_fail(err, BL_ESHAPE, "%s has %d latents, and the synthesizer of %s was trained with %d; train them together",
                         path, fx->dim, r->model_dir, n);
    else if (!(r->context = calloc((size_t)n, sizeof *r->context)))
        status = bl_fail(err, BL_ENOMEM, "no memory");
    else
        status = blocks_feature_extractor_context(fx, r->song.mono, r->song.n_lead, r->song.lead_rate, r->context, err);
    blocks_feature_extractor_free(fx);
    return status;
}

/* Behind an arrangement that is given only the singer's melody is listened for, where somebody sings. */
static bl_status hear_singer(run *r, bl_error *err)
{
    infer_plan *p = r->plan;
    bl_status status = BL_OK;
    if (r->o->song) {
        if (stage(r, "separate", infer_analyzer_part(&r->song, p, r->model_dir, err), err) != BL_OK)
            return err->code;
        status = infer_analyzer_genre(&r->song, p, r->model_dir, err);
        if (status == BL_OK)
            status = infer_check_genre(p, r->model_dir, err);
        if (status == BL_OK)
            status = song_context(r, err);
        if (stage(r, "features", status, err) != BL_OK || stage(r, "listen", infer_analyzer_listen(&r->song, p, err), err) != BL_OK)
            return err->code;
    } else if (!p->genre[0])
        snprintf(p->genre, sizeof p->genre, "pop");
    status = infer_tone_generator_genre(r->generator, p->genre, p->genre_sounds, err);
    return status == BL_OK && r->o->song ? stage(r, "tracks", infer_analyzer_tracks(&r->song, p, r->model_dir, err), err) : status;
}

static bl_status hear(run *r, bl_error *err)
{
    infer_plan *p = r->plan;
    if (r->o->from_midi)
        return hear_singer(r, err);
    if (stage(r, "separate", infer_analyzer_part(&r->song, p, r->model_dir, err), err) != BL_OK)
        return err->code;
    bl_status status = infer_analyzer_genre(&r->song, p, r->model_dir, err);
    if (status == BL_OK)
        status = infer_check_genre(p, r->model_dir, err);
    if (status == BL_OK)
        status = song_context(r, err);
    if (stage(r, "features", status, err) != BL_OK ||
        stage(r, "harmony", infer_analyzer_harmony(&r->song, p, r->model_dir, err), err) != BL_OK ||
        stage(r, "beats", infer_analyzer_beats(&r->song, p, r->model_dir, err), err) != BL_OK ||
        stage(r, "listen", infer_analyzer_listen(&r->song, p, err), err) != BL_OK)
        return err->code;
    const infer_band_request request = { r->o->instruments, r->o->force, r->model_dir };
    if (stage(r, "validate", infer_validate(p, &r->song, &request, r->generator, err), err) != BL_OK)
        return err->code;
    status = infer_tone_generator_genre(r->generator, p->genre, p->genre_sounds, err);
    if (status == BL_OK)
        status = infer_analyzer_chords(&r->song, p, r->model_dir, err);
    if (status == BL_OK)
        status = infer_arranger_run(p, r->model_dir, err);
    if (stage(r, "arrange", status, err) != BL_OK)
        return err->code;
    return r->o->out ? stage(r, "tracks", infer_analyzer_tracks(&r->song, p, r->model_dir, err), err) : BL_OK;
}

/* One stem to its file, under DESIGN's name: blanks become '_'. */
static bl_status write_stem(run *r, const char *name, const audio_clip *stem, bl_error *err)
{
    char file[96], path[BL_PATH_MAX];
    if (!r->o->stems)
        return BL_OK;
    snprintf(file, sizeof file, "%.80s.wav", name);
    for (char *c = file; *c; c++)
        if (*c == ' ' || *c == '/')
            *c = '_';
    if (bl_path_join(path, r->o->stems, file, err) != BL_OK)
        return err->code;
    return infer_outputs_audio(&r->outputs, path, stem, err);
}

static bl_status keep_stems(run *r, bl_error *err)
{
    bl_status status = BL_OK;
    if (r->o->stems)
        status = infer_outputs_folder(&r->outputs, r->o->stems, err);
    for (int i = 0; i < r->song.n_kept && status == BL_OK; i++) {
        status = infer_mixer_keep(r->mixer, &r->song.kept[i].audio, err);
        if (status == BL_OK)
            status = write_stem(r, r->song.kept[i].name, &r->song.kept[i].audio, err);
        audio_clip_free(&r->song.kept[i].audio);
    }
    return status;
}

static bl_status sound(run *r, bl_error *err)
{
    infer_plan *p = r->plan;
    const int64_t n = r->song.n_kept ? r->song.kept[0].audio.n_samples : llround(p->duration_s * p->sample_rate);
    infer_stems stems = { .generator = r->generator, .temporal = r->temporal, .cache = r->cache, .plan = p, .context = r->context,
                          .song_hash = r->song.hash, .n_samples = n, .quiet = r->o->quiet };
    double at = bl_seconds(), lead_lufs;
    const infer_mixer_options mixing = { p->n_channels, p->sample_rate, n, p->genre, r->config, r->o->dry, p->intervals, p->n_intervals };
    audio_loudness loud = { 0 };
    bl_status status = (stems.mixer = r->mixer = infer_mixer_new(&mixing, err)) ? keep_stems(r, err) : err->code;
    infer_stems_begin(&stems);
    stems.mix_s += bl_seconds() - at;
    for (int i = 0; i < p->score.n_tracks && status == BL_OK; i++) {
        audio_clip stem = { 0 };
        if (!p->score.tracks[i].n_notes && !r->o->quiet)
            fprintf(stderr, "%s has nothing to play here\n", p->score.tracks[i].name);
        if (!p->score.tracks[i].n_notes || infer_stems_played_before(&stems, i))
            continue;
        status = infer_stem_add(&stems, &p->score.tracks[i], &stem, err);
        if (status == BL_OK)
            status = write_stem(r, p->score.tracks[i].name, &stem, err);
        audio_clip_free(&stem);
        if (status == BL_OK && bl_interrupted())
            status = bl_fail(err, BL_ESTOP, "interrupted");
    }
    at = bl_seconds();
    if (status == BL_OK) {
        infer_mixer_believe_sum(r->mixer, p->sum_lufs, p->sum_dbtp);
        status = infer_mixer_finish(r->mixer, &r->mix, NULL, &loud, &lead_lufs, err);
        infer_mixer_sum_used(r->mixer, &p->sum_lufs, &p->sum_dbtp);
    }
    stems.mix_s += bl_seconds() - at;
    if (status != BL_OK)
        return status;
    p->vocal_lufs = r->o->song ? lead_lufs : (double)NAN;
    p->mix_lufs = loud.integrated_lufs;
    p->true_peak_dbtp = loud.true_peak_dbtp;
    add_seconds(r, "tones", stems.tones_s);
    add_seconds(r, "spectrogram", stems.chain.spectrogram);
    add_seconds(r, "temporal", stems.chain.temporal);
    add_seconds(r, "audio", stems.chain.audio);
    add_seconds(r, "mix", stems.mix_s);
    if (!r->o->quiet)
        fprintf(stderr, "%-12s %6.2f s\n%-12s %6.2f s\n%-12s %6.2f s\n", "tones", stems.tones_s, "temporal",
                stems.chain.spectrogram + stems.chain.temporal + stems.chain.audio, "mix", stems.mix_s);
    r->stage_s = bl_seconds();
    return BL_OK;
}

static bl_status draw(run *r, bl_error *err)
{
    const char *temporary = infer_outputs_add(&r->outputs, r->o->picture, err);
    bl_error own = { 0 };
    if (!temporary)
        return err->code;
    if (infer_roll_picture(temporary, bl_path_name(r->o->out ? r->o->out : r->o->song ? r->o->song : r->o->from_midi), r->plan, &own) == BL_OK)
        return BL_OK;
    return bl_fail(err, own.code, "%s: cannot draw it: %s", r->o->picture, own.msg);
}

/* With title, volumes and pans, so that a sequencer plays it as it was mixed. */
static bl_status write_midi(run *r, bl_error *err)
{
    infer_plan *p = r->plan;
    const char *temporary = infer_outputs_add(&r->outputs, r->o->midi, err), *name = bl_path_name(r->o->song ? r->o->song : r->o->from_midi);
    const infer_mixer_options mixing = { p->n_channels, p->sample_rate, 1, p->genre, r->config, r->o->dry, NULL, 0 };
    bl_error own = { 0 };
    if (!temporary || (!r->mixer && !(r->mixer = infer_mixer_new(&mixing, err))))
        return err->code;
    const char *dot = strrchr(name, '.');
    if (!p->score.title[0])
        snprintf(p->score.title, sizeof p->score.title, "%.*s", dot && dot - name < 63 ? (int)(dot - name) : 63, name);
    if (infer_mixer_controls(r->mixer, &p->score, &own) == BL_OK && music_midi_write(temporary, &p->score, &own) == BL_OK)
        return BL_OK;
    return bl_fail(err, own.code, "%s: cannot write it: %s", r->o->midi, own.msg);
}

static bl_status write_chords(run *r, bl_error *err)
{
    const char *temporary = infer_outputs_add(&r->outputs, r->o->write_chords, err);
    char *text = temporary ? infer_plan_sheet_text(r->plan, err) : NULL;
    bl_error own = { 0 };
    if (!text)
        return err->code;
    if (bl_write_file(temporary, text, strlen(text), &own) != BL_OK)
        bl_fail(err, own.code, "%s: cannot write it: %s", r->o->write_chords, own.msg);
    free(text);
    return err->code;
}

static bl_status write_report(run *r, bl_error *err)
{
    const char *temporary = infer_outputs_add(&r->outputs, r->o->report, err);
    bl_error own = { 0 };
    if (!temporary)
        return err->code;
    if (infer_plan_write(temporary, r->plan, &own) == BL_OK)
        return BL_OK;
    return bl_fail(err, own.code, "%s: cannot write it: %s", r->o->report, own.msg);
}

static bl_status put_out(run *r, bl_error *err)
{
    const infer_options *o = r->o;
    bl_status status = o->out ? infer_outputs_audio(&r->outputs, o->out, &r->mix, err) : BL_OK;
    if (status == BL_OK && o->midi)
        status = write_midi(r, err);
    if (status == BL_OK && o->write_chords)
        status = write_chords(r, err);
    if (status == BL_OK && o->picture)
        status = draw(r, err);
    if ((status = stage(r, "write", status, err)) != BL_OK)
        return status;
    r->plan->seconds = bl_seconds() - r->start_s;
    r->plan->peak_rss_mb = bl_peak_rss_mb();
    if (o->report)
        status = write_report(r, err);
    return status == BL_OK ? infer_outputs_commit(&r->outputs, err) : status;
}

bl_status infer_pipeline_run(const infer_options *options, infer_plan *plan, bl_error *err)
{
    run *r = calloc(1, sizeof *r);
    infer_plan *p = plan ? plan : calloc(1, sizeof *p);
    bl_error own = { 0 };
    bl_status status = r && p ? BL_OK : bl_fail(&own, BL_ENOMEM, "no memory");

    if (p)
        infer_plan_init(p);
    if (status == BL_OK) {
        r->o = options;
        r->plan = p;
        r->start_s = r->stage_s = bl_seconds();
        if (options->threads > 0)
            omp_set_num_threads(options->threads);
        status = prepare(r, &own);
        if (status == BL_OK)
            status = hear(r, &own);
        if (status == BL_OK && options->out)
            status = sound(r, &own);
        if (status == BL_OK)
            status = put_out(r, &own);
        if (status == BL_ESTOP)
            snprintf(own.msg, sizeof own.msg, "interrupted; nothing was written");
        infer_outputs_abort(&r->outputs);
        infer_song_free(&r->song);
        infer_tone_generator_free(r->generator);
        infer_temporal_analyzer_free(r->temporal);
        infer_mixer_free(r->mixer);
        infer_cache_close(r->cache);
        bl_config_free(r->config);
        audio_clip_free(&r->mix);
        music_score_free(&r->arrangement);
        free(r->context);
    }
    free(r);
    if (status != BL_OK && p)
        infer_plan_free(p);
    if (!plan && p) {
        infer_plan_free(p);
        free(p);
    }
    return status == BL_OK ? BL_OK : bl_fail(err, own.code, "%s", own.msg);
}
