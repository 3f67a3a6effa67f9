#include "music/style_private.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static const struct { const char *name; int key; } drums[] = {
    { "kick", 36 }, { "stick", 37 }, { "snare", 38 }, { "hat", 42 }, { "pedal", 44 }, { "open", 46 }, { "ride", 51 },
    { "bell", 53 }, { "crash", 49 }, { "crash2", 57 }, { "tom1", 50 }, { "tom2", 47 }, { "tom3", 43 }, { "tambourine", 54 },
    { "clap", 39 }, { "brush", 40 }, { "triangle", 81 },
};

const char *const style_kinds[] = { "drums", "bass", "chords", "line", NULL };
/* What may stand in a cell, by kind. */
#define BASS_SYMBOLS "._R35678bacwrg"
static const char *const symbols[] = { ".123456789", BASS_SYMBOLS, "._DUCBHPpTrxbqsv123456", "._GudUDrcha8" };

bl_status style_bad(const style_loader *l, const bl_config_entry *e, const char *what, const char *detail)
{
    return bl_fail(l->err, BL_EFORMAT, "%s line %d: [%s] %s: %s%s", bl_config_name(l->config), e->line, e->section, e->key,
                   what, detail);
}

int style_find_pattern(const music_style *s, const char *name)
{
    for (int i = 0; i < s->n_patterns; i++)
        if (!strcmp(s->patterns[i].name, name))
            return i;
    return -1;
}

int style_find_drum(const char *name)
{
    for (size_t i = 0; i < sizeof drums / sizeof *drums; i++)
        if (!strcmp(drums[i].name, name))
            return drums[i].key;
    return -1;
}

/* "snare, kick, ..." for messages, with the nearest to what was written in front. */
static bl_status unknown_row(const style_loader *l, const bl_config_entry *e, style_kind kind)
{
    static const char *const own[] = { "kind", "steps", "beats", "gate", "ring", "tie", "play", "accent", "left" };
    const char *names[sizeof drums / sizeof *drums];
    char detail[160];
    const int n = kind == STYLE_DRUMS ? (int)(sizeof drums / sizeof *drums) : (int)(sizeof own / sizeof *own);
    for (int i = 0; i < n; i++)
        names[i] = kind == STYLE_DRUMS ? drums[i].name : own[i];
    const char *near = bl_nearest(e->key, names, n);
    snprintf(detail, sizeof detail, "%s%s%s", near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    return style_bad(l, e, kind == STYLE_DRUMS ? "not a drum; there are kick snare stick hat pedal open ride bell crash tom1 tom2 tom3 tambourine ..."
                                               : "expected kind, steps, beats, gate, ring, tie, play, accent or left", detail);
}

/* Cells without blanks and bar lines. */
static bl_status read_cells(const style_loader *l, const bl_config_entry *e, const char *allowed, char *out, int *n)
{
    int k = 0;
    for (const char *p = e->value; *p; p++) {
        if (isspace((unsigned char)*p) || *p == '|')
            continue;
        if (!strchr(allowed, *p))
            return style_bad(l, e, "a cell is not one of ", allowed);
        if (k == STYLE_MAX_STEPS)
            return style_bad(l, e, "too many cells", "");
        out[k++] = *p;
    }
    out[k] = '\0';
    *n = k;
    return k ? BL_OK : style_bad(l, e, "no cells", "");
}

/* The row that an entry fills in; NULL: a wrong name, or one row too many. */
static style_row *row_of(const style_loader *l, const bl_config_entry *e, style_pattern *p, const char **allowed)
{
    *allowed = symbols[p->kind];
    if (p->kind != STYLE_DRUMS && !strcmp(e->key, "accent")) {
        *allowed = ".123456789";
        return &p->accent;
    }
    if (p->kind == STYLE_CHORDS && !strcmp(e->key, "left")) {
        *allowed = BASS_SYMBOLS;
        return &p->left;
    }
    if (p->kind != STYLE_DRUMS && strcmp(e->key, "play") != 0) {
        unknown_row(l, e, p->kind);
        return NULL;
    }
    if (p->n_rows == STYLE_MAX_ROWS) {
        style_bad(l, e, "too many rows", "");
        return NULL;
    }
    style_row *row = &p->rows[p->n_rows++];
    if (p->kind == STYLE_DRUMS && (row->drum = style_find_drum(e->key)) < 0) {
        unknown_row(l, e, p->kind);
        return NULL;
    }
    return row;
}

static bl_status read_rows(const style_loader *l, const char *section, style_pattern *p)
{
    static const char *const settings[] = { "kind", "steps", "beats", "ring", "tie", "gate", "bar", "every 2", "every 4", "every 8" };
    int n = 0, total = 0;
    for (int i = 0; i < bl_config_count(l->config); i++) {
        const bl_config_entry *e = bl_config_at(l->config, i);
        const char *allowed;
        int setting = strcmp(e->section, section) != 0;
        for (size_t k = 0; k < sizeof settings / sizeof *settings; k++)
            setting |= !strcmp(e->key, settings[k]);
        if (setting)
            continue;
        bl_config_mark_used(l->config, i);
        style_row *row = row_of(l, e, p, &allowed);
        if (!row)
            return l->err->code;
        bl_status s = read_cells(l, e, allowed, row->cells, &n);
        if (s != BL_OK)
            return s;
        if (n % (p->steps * p->beats) || (total && n != total)) {
            char detail[80];
            snprintf(detail, sizeof detail, "%d, expected %s%d of them", n, total ? "" : "a multiple of ",
                     total ? total : p->steps * p->beats);
            return style_bad(l, e, "the number of cells is ", detail);
        }
        total = n;
    }
    if (p->n_rows == 0)
        return bl_fail(l->err, BL_EFORMAT, "%s: [%s] has no rows", bl_config_name(l->config), section);
    p->bars = total / (p->steps * p->beats);
    return BL_OK;
}

bl_status style_read_pattern(const style_loader *l, const char *section)
{
    music_style *s = l->style;
    const char *name = section + strlen("pattern ");
    style_pattern *p = &s->patterns[s->n_patterns];
    if (strlen(name) >= STYLE_NAME || !*name || style_find_pattern(s, name) >= 0)
        return bl_fail(l->err, BL_EFORMAT, "%s: [%s]: its name is empty, too long, or given twice", bl_config_name(l->config), section);
    strcpy(p->name, name);
    p->kind = (style_kind)bl_config_choice(l->config, section, "kind", style_kinds, -1, l->err);
    p->steps = (int)bl_config_int(l->config, section, "steps", 4, 1, 4, l->err);
    p->beats = (int)bl_config_int(l->config, section, "beats", 4, 1, 12, l->err);
    p->ring = bl_config_bool(l->config, section, "ring", 0, l->err);
    p->tie = bl_config_bool(l->config, section, "tie", 0, l->err);
    p->gate = bl_config_real(l->config, section, "gate", 0.92, 0.1, 1, l->err);
    if (p->kind == STYLE_DRUMS)
        p->meter = (int)bl_config_int(l->config, section, "bar", 0, 1, 12, l->err);
    if (l->err->code)
        return l->err->code;
    if ((int)p->kind < 0)
        return bl_fail(l->err, BL_EFORMAT, "%s: [%s] has no kind (drums, bass, chords or line)", bl_config_name(l->config), section);
    s->n_patterns++;
    return read_rows(l, section, p);
}
