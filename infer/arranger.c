#include "infer/arranger.h"

#include "base/file.h"
#include "blocks/drummer.h"
#include "infer/analyzer.h"
#include "infer/genre.h"
#include "music/chord.h"
#include "music/instrument.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static music_style *load_style(const char *genre, bl_error *err)
{
    char style[INFER_GENRE_NAME], path[BL_PATH_MAX];
    return infer_genre_style(genre, path, style, err) == BL_OK ? music_style_load(path, err) : NULL;
}

static bl_status check_times(const infer_plan *p, bl_error *err)
{
    const double end = p->duration_s;
    for (int t = 0; t < p->score.n_tracks; t++)
        for (int i = 0; i < p->score.tracks[t].n_notes; i++)
            if (p->score.tracks[t].notes[i].onset_s >= end)
                return bl_fail(err, BL_EARG, "the plan has a note of \"%s\" at %g s, beyond the song's end at %.2f s",
                               p->score.tracks[t].name, p->score.tracks[t].notes[i].onset_s, end);
    if (p->n_beats && p->beats_s[0] >= end)
        return bl_fail(err, BL_EARG, "the plan's first beat at %g s lies beyond the song's end at %.2f s", p->beats_s[0], end);
    return BL_OK;
}

/* The plan's sections, labels as numbers; NULL: no memory. */
static music_form_part *form_of(const infer_plan *p)
{
    music_form_part *form = calloc((size_t)p->n_sections + 1, sizeof *form);
    int labels = 0;
    for (int i = 0; form && i < p->n_sections; i++) {
        form[i] = (music_form_part){ p->sections[i].start_s, labels };
        for (int k = 0; k < i; k++)
            if (!strcmp(p->sections[k].label, p->sections[i].label))
                form[i].label = form[k].label;
        labels += form[i].label == labels;
    }
    return form;
}

/* How the arranger took the sections; a name in the plan stays. */
static void name_sections(infer_plan *p)
{
    for (int i = 0; i < p->n_sections; i++)
        for (int k = 0; k < p->score.n_markers && !p->sections[i].name[0]; k++) {
            const double at = p->score.markers[k].time_s, next = k + 1 < p->score.n_markers ? p->score.markers[k + 1].time_s : HUGE_VAL;
            const double middle = 0.5 * (p->sections[i].start_s + p->sections[i].end_s);
            if (at <= middle && middle < next)
                snprintf(p->sections[i].name, sizeof p->sections[i].name, "%.31s", p->score.markers[k].text);
        }
}

/* The drummer, where somebody has to play drums; *out stays NULL elsewhere. */
static bl_status load_drummer(const char *const *arranged, int n, const char *model_dir, blocks_drummer **out, bl_error *err)
{
    char path[BL_PATH_MAX];
    int drums = 0;
    for (int i = 0; i < n; i++)
        drums |= !strcmp(arranged[i], "drums");
    if (!drums)
        return BL_OK;
    if (infer_ear_path(path, model_dir, "drummer.h5", err) != BL_OK)
        return err->code;
    *out = blocks_drummer_load(path, err);
    return *out ? BL_OK : err->code;
}

/* The plan's notes of an instrument take the place of those that were arranged for it, but for the bars that are out of date. */
static bl_status obey_notes(infer_plan *plan, const char *instrument, music_score *score, bl_error *err)
{
    const music_track *obeyed = infer_plan_track(plan, instrument);
    const music_instrument *known = music_instrument_find(instrument);
    music_track *track = NULL;
    for (int k = 0; k < score->n_tracks; k++)
        if (!strcmp(score->tracks[k].name, instrument))
            track = &score->tracks[k];
    if (!track && obeyed && !(track = music_score_add_track(score, instrument, obeyed->program, obeyed->is_drums, err)))
        return BL_ENOMEM;
    return track ? infer_plan_merge(plan, instrument, known && known->polyphony == 1, track, err) : BL_OK;
}

bl_status infer_arranger_run(infer_plan *plan, const char *model_dir, bl_error *err)
{
    const char *band[INFER_MAX_INSTRUMENTS], *arranged[INFER_MAX_INSTRUMENTS];
    int n_band = 0, n_arranged = 0;
    music_score score = { 0 };
    music_style *style = NULL;
    music_form_part *form = NULL;
    blocks_drummer *drummer = NULL;
    music_arrange_input in = { .duration_s = plan->duration_s, .beats_s = plan->beats_s, .n_beats = plan->n_beats,
                               .downbeats_s = plan->n_downbeats ? plan->downbeats_s : NULL,
                               .n_downbeats = plan->n_downbeats, .beats_per_bar = plan->beats_per_bar,
                               .chords = plan->chords, .n_chords = plan->n_chords, .melody = plan->melody,
                               .n_melody = plan->n_melody, .instruments = arranged, .intervals = plan->intervals,
                               .n_intervals = plan->n_intervals, .seed = (uint64_t)plan->seed };

    if (check_times(plan, err) != BL_OK)
        return err->code;
    for (int i = 0; i < plan->n_instruments; i++) {
        const char *name = infer_plan_plays(plan, i);
        if (!name)
            continue;
        band[n_band++] = name;
        if (music_instrument_find(name))
            arranged[n_arranged++] = name;
    }
    in.n_instruments = n_arranged;
    music_key_parse(plan->key, &in.key);
    if (!(style = load_style(plan->genre, err)))
        return err->code;
    in.style = style;
    in.sections = form = form_of(plan);
    in.n_sections = plan->n_sections;
    bl_status status = form ? load_drummer(arranged, n_arranged, model_dir, &drummer, err)
                            : bl_fail(err, BL_ENOMEM, "no memory for the sections");
    const music_drummer hook = blocks_drummer_hook(drummer);
    in.drummer = drummer ? &hook : NULL;
    if (status == BL_OK)
        status = music_arrange(&in, &score, err);
    for (int i = 0; i < n_band && status == BL_OK; i++)
        status = obey_notes(plan, band[i], &score, err);
    if (status == BL_OK) {
        music_score_free(&plan->score);
        infer_origin_free(&plan->origin);
        plan->score = score;
        plan->has |= INFER_HAS_NOTES;
        name_sections(plan);
        infer_plan_round(plan);
    } else
        music_score_free(&score);
    free(form);
    blocks_drummer_free(drummer);
    music_style_free(style);
    return status;
}
