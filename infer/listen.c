/* The analysis alone: what infer hears in a song before it arranges anything. The report can be edited and given to
 * infer --plan. */
#include "base/cli.h"
#include "base/file.h"
#include "infer/analyzer.h"
#include "infer/arranger.h"
#include "infer/listen_picture.h"
#include "infer/overrides.h"
#include "infer/pipeline.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const bl_cli_program program = {
    .name = "listen",
    .usage = "[options] SONG",
    .summary = "Finds the melody, tempo, beats, bars, key, chords, sections, genre and instruments of a song; a mixed song\n"
               "is separated first. What is given by an option is not looked for.",
    .examples = "  listen vocal.wav\n"
                "  listen song.mp3 --report song.json --picture song.png\n"
                "  listen song.mp3 --tempo double\n"
                "  listen vocal.wav --report plan.json        then edit it, and: infer vocal.wav -o out.wav --plan plan.json\n",
    .min_positional = 1, .max_positional = 1
};

typedef struct arguments {
    const char     *song, *report, *picture, *model;
    infer_overrides overrides;
    int             quiet;
} arguments;

typedef struct run {
    infer_song song;
    infer_plan plan;
    char       model_dir[BL_PATH_MAX];
    double     stage_s;
} run;

static bl_status stage(run *r, const char *name, bl_status status)
{
    const double now = bl_seconds();
    if (status == BL_OK && r->plan.n_stages < INFER_MAX_STAGES) {
        infer_stage *s = &r->plan.stages[r->plan.n_stages++];
        snprintf(s->name, sizeof s->name, "%s", name);
        s->seconds = now - r->stage_s;
    }
    r->stage_s = now;
    return status;
}

/* What the picture is drawn from, when it was not made while reading. */
static bl_status make_sketch(infer_song *song, bl_error *err)
{
    if (!(song->sketch = audio_sketch_new(song->lead_rate, err)) ||
        audio_sketch_push(song->sketch, song->mono, song->n_lead, err) != BL_OK)
        return err->code;
    return audio_sketch_finish(song->sketch, err);
}

/* All of it, or, of a recording that was heard in pieces, the decisions. */
static bl_status decide(run *r, const arguments *a, bl_error *err)
{
    infer_song *song = &r->song;
    infer_plan *plan = &r->plan;
    bl_status status = BL_OK;
    if (!song->is_long)
        status = stage(r, "separate", infer_analyzer_part(song, plan, r->model_dir, err));
    audio_clip_free(&song->input); /* from here on one channel is listened to */
    audio_clip_free(&song->voice);
    audio_clip_free(&song->rest);
    if (status == BL_OK)
        status = stage(r, "genre", infer_analyzer_genre(song, plan, r->model_dir, err));
    if (status == BL_OK)
        status = stage(r, "harmony", infer_analyzer_harmony(song, plan, r->model_dir, err));
    if (status == BL_OK)
        status = stage(r, "beats", infer_analyzer_beats(song, plan, r->model_dir, err));
    if (status == BL_OK)
        status = stage(r, "listen", infer_analyzer_listen(song, plan, err));
    if (status == BL_OK)
        status = stage(r, "chords", infer_analyzer_chords(song, plan, r->model_dir, err));
    if (status == BL_OK && a->picture && !song->sketch)
        status = stage(r, "sketch", make_sketch(song, err));
    return status;
}

static bl_status hear(run *r, const arguments *a, bl_error *err)
{
    const double start_s = r->stage_s = bl_seconds();
    bl_status status = infer_overrides_apply(&a->overrides, &r->plan, err);
    if (status == BL_OK && a->model)
        status = snprintf(r->model_dir, sizeof r->model_dir, "%s", a->model) < (int)sizeof r->model_dir
                     ? BL_OK : bl_fail(err, BL_EARG, "--model: path too long");
    else if (status == BL_OK)
        status = infer_default_models(r->model_dir, err);
    r->song.tempo_factor = infer_overrides_tempo_factor(&a->overrides);
    if (status == BL_OK)
        status = stage(r, "read", infer_analyzer_read_any(a->song, r->model_dir, a->picture != NULL, &r->song, &r->plan, err));
    if (status == BL_OK && strcmp(r->plan.input, "silent") != 0)
        status = decide(r, a, err);
    r->plan.seconds = bl_seconds() - start_s;
    r->plan.peak_rss_mb = bl_peak_rss_mb();
    return status;
}

/* ---- the screen ---- */

/* " (fairly sure)"; nothing for what was given. */
static const char *sureness(double confidence)
{
    if (isnan(confidence))
        return " (given)";
    return confidence >= 0.8 ? " (sure)" : confidence >= 0.5 ? " (fairly sure)" : confidence >= 0.25 ? " (not sure)" : " (a guess)";
}

static void clock_text(double s, char out[16])
{
    snprintf(out, 16, "%d:%02d", (int)s / 60, (int)s % 60);
}

static void print_rhythm(const infer_plan *p)
{
    printf("tempo    %.1f bpm%s", p->tempo_bpm, sureness(p->confidence.tempo));
    if (p->confidence.other_bpm > 0)
        printf(", perhaps %s: %.1f", p->confidence.other_bpm < p->tempo_bpm ? "half of it" : "twice that", p->confidence.other_bpm);
    printf("; %d beats a bar, %d beats, %d bars\n", p->beats_per_bar, p->n_beats, p->n_downbeats);
}

static void print_melody(const infer_plan *p)
{
    static const char *const names[12] = { "C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B" };
    int low = 127, high = 0;
    for (int i = 0; i < p->n_melody; i++) {
        low = p->melody[i].pitch < low ? p->melody[i].pitch : low;
        high = p->melody[i].pitch > high ? p->melody[i].pitch : high;
    }
    if (p->n_melody)
        printf("melody   %d notes from %s%d to %s%d in %d phrase%s, tuning %+.0f cents\n", p->n_melody, names[low % 12], low / 12 - 1,
               names[high % 12], high / 12 - 1, p->n_phrases, p->n_phrases == 1 ? "" : "s", p->tuning_cents);
    else
        printf("melody   none\n");
}

static void print_form(const infer_plan *p)
{
    char at[16];
    printf("chords   ");
    for (int i = 0; i < p->n_chords && i < 16; i++)
        printf("%s%s", i ? " " : "", p->chords[i].name);
    printf("%s\nform     ", p->n_chords > 16 ? " ..." : "");
    for (int i = 0; i < p->n_sections && i < 24; i++) {
        clock_text(p->sections[i].start_s, at);
        printf("%s%s %s", i ? ", " : "", p->sections[i].label, at);
    }
    printf("%s\n", p->n_sections > 24 ? " ..." : "");
}

static void print_summary(const infer_plan *p, const arguments *a)
{
    printf("input    %s%s, %.1f s, %d Hz, %d channel%s\n", p->input, sureness(p->confidence.input), p->duration_s, p->sample_rate,
           p->n_channels, p->n_channels == 1 ? "" : "s");
    if (!strcmp(p->input, "silent")) {
        printf("nothing to hear in it\n");
        return;
    }
    print_rhythm(p);
    printf("key      %s%s\n", p->key, sureness(p->confidence.key));
    print_melody(p);
    print_form(p);
    printf("genre    %s%s\n", p->genre, sureness(p->confidence.genre));
    for (int i = 0; i < p->n_heard; i++)
        printf("%s%s (%.2f)%s", i ? ", " : "heard    ", p->heard[i].name, p->heard[i].probability, i + 1 < p->n_heard ? "" : "\n");
    if (a->report)
        printf("report   %s\n", a->report);
    if (a->picture)
        printf("picture  %s\n", a->picture);
}

/* ---- the picture ---- */

static bl_status draw(const arguments *a, const run *r, bl_error *err)
{
    const infer_plan *p = &r->plan;
    char title[320];
    if (!strcmp(p->input, "silent"))
        snprintf(title, sizeof title, "%.80s: nothing to hear", bl_path_name(a->song));
    else
        snprintf(title, sizeof title, "%.80s: %s, %.1f bpm%s, %d beats a bar, %s%s, %s%s", bl_path_name(a->song), p->input,
                 p->tempo_bpm, sureness(p->confidence.tempo), p->beats_per_bar, p->key, sureness(p->confidence.key), p->genre,
                 sureness(p->confidence.genre));
    return infer_listen_picture(a->picture, &(infer_heard_song){ p, &r->song.f0, r->song.sketch, title }, err);
}

int main(int argc, char **argv)
{
    arguments a = { 0 };
    int       n = 0;
    const bl_cli_option options[] = {
        { "report", 0, BL_CLI_TEXT, &a.report, "FILE.json", "everything that was heard; infer --plan obeys it" },
        { "picture", 0, BL_CLI_TEXT, &a.picture, "FILE.png", "waveform, notes, beats, chords, sections, spectrogram" },
        { "model", 0, BL_CLI_TEXT, &a.model, "DIR", "trained models (default: models beside the program's folder)" },
        { "bpm", 0, BL_CLI_REAL, &a.overrides.bpm, "X", "a steady tempo: only where its beats lie is looked for" },
        { "tempo", 0, BL_CLI_TEXT, &a.overrides.tempo, "half|double", "half or twice the tempo that is heard" },
        { "beats", 0, BL_CLI_TEXT, &a.overrides.beats, "FILE", "the beats: a time a line, and its number in the bar if known" },
        { "meter", 0, BL_CLI_INT, &a.overrides.meter, "N", "beats in a bar" },
        { "key", 0, BL_CLI_TEXT, &a.overrides.key, "K", "\"A minor\", \"F#\", ..." },
        { "plan", 0, BL_CLI_TEXT, &a.overrides.plan, "FILE", "an earlier report: what is in it is obeyed" },
        { "quiet", 'q', BL_CLI_FLAG, &a.quiet, NULL, "print nothing" },
        { NULL }
    };
    const int exit_status = bl_cli_parse(&program, options, argc, argv, &a.song, &n);
    bl_error  err = { 0 };
    if (exit_status >= 0)
        return exit_status;
    if (infer_overrides_check(&a.overrides, &err) != BL_OK) {
        fprintf(stderr, "listen: %s; see listen --help\n", err.msg);
        return 2;
    }
    run *r = calloc(1, sizeof *r);
    if (!r) {
        bl_fail(&err, BL_ENOMEM, "no memory");
        return bl_cli_fail(&program, &err);
    }
    infer_plan_init(&r->plan);
    bl_status status = hear(r, &a, &err);
    if (status == BL_OK && a.report)
        status = infer_plan_write(a.report, &r->plan, &err);
    if (status == BL_OK && a.picture)
        status = draw(&a, r, &err);
    if (status == BL_OK && !a.quiet)
        print_summary(&r->plan, &a);
    infer_song_free(&r->song);
    infer_plan_free(&r->plan);
    free(r);
    return status == BL_OK ? 0 : bl_cli_fail(&program, &err);
}
