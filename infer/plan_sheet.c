#include "infer/plan.h"

#include "base/file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BYTES = 1 << 20 };

bl_status infer_plan_read_sheet(infer_plan *p, const char *path, bl_error *err)
{
    char *text = NULL;
    size_t n = 0;
    bl_status status = bl_read_file(path, MAX_BYTES, &text, &n, err);
    music_chord_sheet_free(&p->sheet);
    if (status == BL_OK && strlen(text) != n)
        status = bl_fail(err, BL_EFORMAT, "%s: not a text file of chords", path);
    if (status == BL_OK)
        status = music_chord_sheet_parse(text, path, &p->sheet, err);
    free(text);
    return status;
}

static music_sheet_grid grid_of(const infer_plan *p)
{
    return (music_sheet_grid){ p->beats_s, p->downbeats_s, p->n_beats, p->n_downbeats, p->beats_per_bar, p->duration_s };
}

static bl_status take_sections(infer_plan *p, const music_laid_sheet *laid, bl_error *err)
{
    infer_section *sections = calloc((size_t)laid->n_sections + 1, sizeof *sections);
    if (!sections)
        return bl_fail(err, BL_ENOMEM, "no memory for the sections");
    infer_plan_forget(p, INFER_HAS_SECTIONS);
    for (int i = 0; i < laid->n_sections; i++) {
        sections[i].start_s = laid->sections[i].start_s;
        sections[i].end_s = laid->sections[i].end_s;
        strcpy(sections[i].label, laid->sections[i].name);
    }
    p->sections = sections;
    p->n_sections = laid->n_sections;
    p->has |= INFER_HAS_SECTIONS;
    infer_plan_round(p);
    return BL_OK;
}

static int same_sections(const infer_plan *p, const music_laid_sheet *laid)
{
    if (!(p->has & INFER_HAS_SECTIONS) || p->n_sections != laid->n_sections)
        return 0;
    for (int i = 0; i < p->n_sections; i++)
        if (strcmp(p->sections[i].label, laid->sections[i].name) != 0 ||
            p->sections[i].start_s != round(laid->sections[i].start_s * 1e5) / 1e5)
            return 0;
    return 1;
}

bl_status infer_plan_lay_sheet(infer_plan *p, bl_error *err)
{
    const music_sheet_grid grid = grid_of(p);
    music_laid_sheet laid;
    if (!p->sheet.n_bars)
        return BL_OK;
    if (music_chord_sheet_lay(&p->sheet, &grid, &laid, err) != BL_OK)
        return err->code;
    bl_status status = BL_OK;
    infer_plan_forget(p, INFER_HAS_CHORDS);
    p->chords = laid.chords;
    p->n_chords = laid.n_chords;
    p->has |= INFER_HAS_CHORDS;
    p->n_sheet_bars = p->sheet.n_bars;
    p->n_song_bars = laid.n_song_bars;
    laid.chords = NULL;
    if (p->origin.made && !p->origin.known) /* else the bars whose chords differ are found when the notes are made */
        infer_plan_edited(p, INFER_HAS_CHORDS);
    if (laid.n_sections && !same_sections(p, &laid)) {
        status = take_sections(p, &laid, err);
        if (status == BL_OK)
            infer_plan_edited(p, INFER_HAS_SECTIONS);
    }
    music_laid_sheet_free(&laid);
    infer_plan_round(p);
    return status;
}

char *infer_plan_sheet_text(const infer_plan *p, bl_error *err)
{
    const music_sheet_grid grid = grid_of(p);
    char comment[160];
    music_sheet_part *parts = calloc((size_t)p->n_sections + 1, sizeof *parts);
    if (!parts) {
        bl_fail(err, BL_ENOMEM, "no memory for the chord sheet");
        return NULL;
    }
    for (int i = 0; i < p->n_sections; i++) {
        parts[i].start_s = p->sections[i].start_s;
        parts[i].end_s = p->sections[i].end_s;
        strcpy(parts[i].name, p->sections[i].label);
    }
    snprintf(comment, sizeof comment, "%s, %d beats a bar, %.1f bpm; bar 1 begins at %.2f s", p->key, p->beats_per_bar, p->tempo_bpm,
             p->n_downbeats ? p->downbeats_s[0] : p->n_beats ? p->beats_s[0] : 0);
    char *text = music_chord_sheet_write(&grid, p->chords, p->n_chords, parts, p->n_sections, comment, err);
    free(parts);
    return text;
}
