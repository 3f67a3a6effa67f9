/* The analysis alone: what infer hears in a song before it arranges anything. The report can be edited and given to
 * infer --plan. */
#include "audio/f0.h"
#include "audio/picture.h"
#include "base/cli.h"
#include "base/file.h"
#include "infer/analyzer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const bl_cli_program program = {
    .name = "listen",
    .usage = "[options] SONG",
    .summary = "Finds the melody, tempo, beats, bars, key and chords of a song; a mixed song is separated first.",
    .examples = "  listen vocal.wav\n"
                "  listen song.mp3 --report song.json --picture song.png\n"
                "  listen vocal.wav --report plan.json        then edit it, and: infer vocal.wav -o out.wav --plan plan.json\n",
    .min_positional = 1, .max_positional = 1
};

/* Chords are guessed by the habits of a genre; without one, these. */
static const char chord_habits[] = "pop";

typedef bl_status stage_function(infer_song *song, infer_plan *plan, bl_error *err);

static bl_status listen(infer_song *song, infer_plan *plan, bl_error *err) { return infer_analyzer_listen(song, plan, err); }
static bl_status chords(infer_song *song, infer_plan *plan, bl_error *err)
{
    return infer_analyzer_chords(song, plan, chord_habits, err);
}

static bl_status timed(const char *name, stage_function *stage, infer_song *song, infer_plan *plan, bl_error *err)
{
    const double start_s = bl_seconds();
    bl_status    status = stage(song, plan, err);
    if (status == BL_OK && plan->n_stages < INFER_MAX_STAGES) {
        infer_stage *s = &plan->stages[plan->n_stages++];
        snprintf(s->name, sizeof s->name, "%s", name);
        s->seconds = bl_seconds() - start_s;
    }
    return status;
}

/* The spectrogram with the sung pitch over it and the downbeats as marks. */
static bl_status draw(const char *path, const infer_song *song, const infer_plan *plan, bl_error *err)
{
    audio_f0_track f0 = { 0 };
    bl_status      status = audio_f0_run(song->lead, song->n_lead, song->lead_rate, (audio_f0_config){ 0 }, &f0, err);
    double        *time_s = NULL, *hz = NULL;
    if (status != BL_OK)
        return status;
    time_s = malloc(sizeof(double) * (size_t)f0.n_frames);
    hz = malloc(sizeof(double) * (size_t)f0.n_frames);
    if (!time_s || !hz) {
        status = bl_fail(err, BL_ENOMEM, "no memory for the picture");
        goto done;
    }
    for (int64_t t = 0; t < f0.n_frames; t++) {
        time_s[t] = (double)t * f0.hop_s;
        hz[t] = (double)f0.f0_hz[t];
    }
    char title[160];
    snprintf(title, sizeof title, "%.1f bpm, %d beats a bar, %s", plan->tempo_bpm, plan->beats_per_bar, plan->key);
    const audio_panel panel = { .clip = &song->input, .title = title, .line_s = time_s, .line_hz = hz, .n_line = f0.n_frames,
                                .mark_s = plan->downbeats_s, .n_marks = plan->n_downbeats };
    status = audio_picture_spectrograms(path, &panel, 1, NULL, err);
done:
    free(time_s);
    free(hz);
    audio_f0_free(&f0);
    return status;
}

static void print_summary(const infer_plan *p, const char *report, const char *picture)
{
    static const char *const names[12] = { "C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B" };
    int low = 127, high = 0;
    for (int i = 0; i < p->n_melody; i++) {
        low = p->melody[i].pitch < low ? p->melody[i].pitch : low;
        high = p->melody[i].pitch > high ? p->melody[i].pitch : high;
    }
    printf("input    %s (confidence %.2f), %.1f s, %d Hz, %d channel%s\n", p->input, p->input_confidence, p->duration_s,
           p->sample_rate, p->n_channels, p->n_channels == 1 ? "" : "s");
    printf("tempo    %.2f bpm, %d beats a bar, %d beats, %d bars\n", p->tempo_bpm, p->beats_per_bar, p->n_beats, p->n_downbeats);
    printf("key      %s, tuning %+.0f cents\n", p->key, p->tuning_cents);
    if (p->n_melody)
        printf("melody   %d notes from %s%d to %s%d\n", p->n_melody, names[low % 12], low / 12 - 1, names[high % 12], high / 12 - 1);
    else
        printf("melody   none\n");
    printf("chords   ");
    for (int i = 0; i < p->n_chords && i < 16; i++)
        printf("%s%s", i ? " " : "", p->chords[i].name);
    printf("%s\n", p->n_chords > 16 ? " ..." : "");
    if (report)
        printf("report   %s\n", report);
    if (picture)
        printf("picture  %s\n", picture);
}

int main(int argc, char **argv)
{
    const char *song_path = NULL, *report = NULL, *picture = NULL;
    double      bpm = 0;
    int         n = 0, quiet = 0;
    const bl_cli_option options[] = {
        { "report", 0, BL_CLI_TEXT, &report, "FILE.json", "everything that was heard; infer --plan obeys it" },
        { "picture", 0, BL_CLI_TEXT, &picture, "FILE.png", "spectrogram with the sung pitch and the bars" },
        { "bpm", 0, BL_CLI_REAL, &bpm, "X", "the tempo, where it is known: only its phase is looked for" },
        { "quiet", 'q', BL_CLI_FLAG, &quiet, NULL, "print nothing" },
        { NULL }
    };
    const int exit_status = bl_cli_parse(&program, options, argc, argv, &song_path, &n);
    if (exit_status >= 0)
        return exit_status;

    infer_song   song = { 0 };
    infer_plan   plan = { 0 };
    bl_error     err = { 0 };
    const double start_s = bl_seconds();
    if (bpm != 0 && !(bpm >= 20 && bpm <= 400))
        bl_fail(&err, BL_EARG, "--bpm: expected 20 to 400, got %g", bpm);
    if (err.code == BL_OK && infer_analyzer_read(song_path, &song, &plan, &err) == BL_OK) {
        if (bpm != 0) {
            plan.tempo_bpm = bpm;
            plan.has |= INFER_HAS_TEMPO;
        }
        if (timed("separate", infer_analyzer_part, &song, &plan, &err) == BL_OK &&
            timed("listen", listen, &song, &plan, &err) == BL_OK)
            timed("chords", chords, &song, &plan, &err);
    }
    plan.seconds = bl_seconds() - start_s;
    plan.peak_rss_mb = bl_peak_rss_mb();
    if (err.code == BL_OK && report)
        infer_plan_write(report, &plan, &err);
    if (err.code == BL_OK && picture)
        draw(picture, &song, &plan, &err);
    if (err.code == BL_OK && !quiet)
        print_summary(&plan, report, picture);
    infer_song_free(&song);
    infer_plan_free(&plan);
    return err.code == BL_OK ? 0 : bl_cli_fail(&program, &err);
}
