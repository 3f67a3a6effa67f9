#include "base/config.h"
#include "base/file.h"
#include "music/style_private.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct { const char *name; int key; } drums[] = {
    { "kick", 36 }, { "stick", 37 }, { "snare", 38 }, { "hat", 42 }, { "pedal", 44 }, { "open", 46 }, { "ride", 51 },
    { "bell", 53 }, { "crash", 49 }, { "crash2", 57 }, { "tom1", 50 }, { "tom2", 47 }, { "tom3", 43 }, { "tambourine", 54 },
    { "clap", 39 }, { "brush", 40 }, { "triangle", 81 },
};

static const char *const kinds[] = { "drums", "bass", "chords", "line", NULL };
/* What may stand in a cell, by kind. */
static const char *const symbols[] = { ".123456789", "._R358awr", "._DUCBHPpT123456", "._GudUDr" };

typedef struct loader {
    const bl_config *config;
    music_style     *style;
    bl_error        *err;
} loader;

static bl_status bad(const loader *l, const bl_config_entry *e, const char *what, const char *detail)
{
    return bl_fail(l->err, BL_EFORMAT, "%s line %d: [%s] %s: %s%s", bl_config_name(l->config), e->line, e->section, e->key,
                   what, detail);
}

static const bl_config_entry *entry(const loader *l, const char *section, const char *key)
{
    for (int i = 0; i < bl_config_count(l->config); i++) {
        const bl_config_entry *e = bl_config_at(l->config, i);
        if (!strcmp(e->section, section) && !strcmp(e->key, key)) {
            bl_config_mark_used(l->config, i);
            return e;
        }
    }
    return NULL;
}

static int find_pattern(const music_style *s, const char *name)
{
    for (int i = 0; i < s->n_patterns; i++)
        if (!strcmp(s->patterns[i].name, name))
            return i;
    return -1;
}

static int find_drum(const char *name)
{
    for (size_t i = 0; i < sizeof drums / sizeof *drums; i++)
        if (!strcmp(drums[i].name, name))
            return drums[i].key;
    return -1;
}

/* Cells without blanks and bar lines. */
static bl_status read_cells(const loader *l, const bl_config_entry *e, const char *allowed, char *out, int *n)
{
    int k = 0;
    for (const char *p = e->value; *p; p++) {
        if (isspace((unsigned char)*p) || *p == '|')
            continue;
        if (!strchr(allowed, *p))
            return bad(l, e, "a cell is not one of ", allowed);
        if (k == STYLE_MAX_STEPS)
            return bad(l, e, "too many cells", "");
        out[k++] = *p;
    }
    out[k] = '\0';
    *n = k;
    return k ? BL_OK : bad(l, e, "no cells", "");
}

static bl_status read_rows(const loader *l, const char *section, style_pattern *p)
{
    static const char *const settings[] = { "kind", "steps", "beats", "ring", "tie", "gate" };
    int n = 0, total = 0;
    for (int i = 0; i < bl_config_count(l->config); i++) {
        const bl_config_entry *e = bl_config_at(l->config, i);
        int setting = strcmp(e->section, section) != 0;
        for (size_t k = 0; k < sizeof settings / sizeof *settings; k++)
            setting |= !strcmp(e->key, settings[k]);
        if (setting)
            continue;
        bl_config_mark_used(l->config, i);
        int accent = !strcmp(e->key, "accent") && p->kind != STYLE_DRUMS;
        if (!accent && p->n_rows == STYLE_MAX_ROWS)
            return bad(l, e, "too many rows", "");
        style_row *row = accent ? &p->accent : &p->rows[p->n_rows];
        if (p->kind == STYLE_DRUMS && (row->drum = find_drum(e->key)) < 0)
            return bad(l, e, "not a drum; there are kick snare stick hat pedal open ride bell crash tom1 tom2 tom3 tambourine ...", "");
        if (p->kind != STYLE_DRUMS && !accent && strcmp(e->key, "play"))
            return bad(l, e, "expected kind, steps, beats, gate, ring, tie, play or accent", "");
        bl_status s = read_cells(l, e, accent ? ".123456789" : symbols[p->kind], row->cells, &n);
        if (s != BL_OK)
            return s;
        if (n % (p->steps * p->beats) || (total && n != total)) {
            char detail[80];
            snprintf(detail, sizeof detail, "%d, expected %s%d of them", n, total ? "" : "a multiple of ",
                     total ? total : p->steps * p->beats);
            return bad(l, e, "the number of cells is ", detail);
        }
        total = n;
        p->n_rows += !accent;
    }
    if (p->n_rows == 0)
        return bl_fail(l->err, BL_EFORMAT, "%s: [%s] has no rows", bl_config_name(l->config), section);
    p->bars = total / (p->steps * p->beats);
    return BL_OK;
}

static bl_status read_pattern(const loader *l, const char *section)
{
    music_style *s = l->style;
    const char *name = section + strlen("pattern ");
    style_pattern *p = &s->patterns[s->n_patterns];
    if (strlen(name) >= STYLE_NAME || !*name || find_pattern(s, name) >= 0)
        return bl_fail(l->err, BL_EFORMAT, "%s: [%s]: its name is empty, too long, or given twice", bl_config_name(l->config), section);
    strcpy(p->name, name);
    p->kind = (style_kind)bl_config_choice(l->config, section, "kind", kinds, -1, l->err);
    p->steps = (int)bl_config_int(l->config, section, "steps", 4, 1, 4, l->err);
    p->beats = (int)bl_config_int(l->config, section, "beats", 4, 1, 12, l->err);
    p->ring = bl_config_bool(l->config, section, "ring", 0, l->err);
    p->tie = bl_config_bool(l->config, section, "tie", 0, l->err);
    p->gate = bl_config_real(l->config, section, "gate", 0.92, 0.1, 1, l->err);
    if (l->err->code)
        return l->err->code;
    if ((int)p->kind < 0)
        return bl_fail(l->err, BL_EFORMAT, "%s: [%s] has no kind (drums, bass, chords or line)", bl_config_name(l->config), section);
    s->n_patterns++;
    return read_rows(l, section, p);
}

/* "a b c" or "-": pattern names of a kind. */
static bl_status read_choice(const loader *l, const char *section, const char *key, style_kind kind, int needed, style_choice *out)
{
    const bl_config_entry *e = entry(l, section, key);
    if (!e)
        return needed ? bl_fail(l->err, BL_EFORMAT, "%s: [%s] has no \"%s\"", bl_config_name(l->config), section, key) : BL_OK;
    const char *p = e->value;
    if (!strcmp(p, "-"))
        return BL_OK;
    while (*(p += strspn(p, " \t"))) {
        char name[STYLE_NAME];
        size_t n = strcspn(p, " \t");
        snprintf(name, sizeof name, "%.*s", (int)(n < sizeof name ? n : sizeof name - 1), p);
        p += n;
        int i = find_pattern(l->style, name);
        if (i < 0)
            return bad(l, e, "there is no pattern ", name);
        if (l->style->patterns[i].kind != kind)
            return bad(l, e, "another kind of pattern is ", name);
        if (out->n == STYLE_CHOICES)
            return bad(l, e, "at most four patterns; one too many is ", name);
        out->pattern[out->n++] = i;
    }
    return BL_OK;
}

static bl_status read_pair(const loader *l, const char *section, const char *key, int min, int max, int *low, int *high)
{
    const bl_config_entry *e = entry(l, section, key);
    char rest, detail[64];
    int a, b;
    if (!e)
        return BL_OK;
    snprintf(detail, sizeof detail, "%d..%d", min, max);
    if (sscanf(e->value, "%d %d %c", &a, &b, &rest) != 2 || a > b || a < min || b > max)
        return bad(l, e, "expected two rising numbers within ", detail);
    *low = a;
    *high = b;
    return BL_OK;
}

static bl_status read_part(const loader *l, const char *section)
{
    const char *name = section + strlen("instrument ");
    const music_instrument *in = music_instrument_find(name);
    music_style *s = l->style;
    if (!in || style_find_part(s, in))
        return bl_fail(l->err, BL_EFORMAT, "%s: [%s]: %s", bl_config_name(l->config), section, in ? "given twice" : "no such instrument");
    style_part *p = &s->parts[s->n_parts];
    *p = (style_part){ .instrument = in, .lowest = in->lowest, .highest = in->highest, .velocity_low = 50, .velocity_high = 105 };
    p->role = (style_kind)bl_config_choice(l->config, section, "role", kinds, -1, l->err);
    p->voices = (int)bl_config_int(l->config, section, "voices", 4, 1, 6, l->err);
    p->kit = (int)bl_config_int(l->config, section, "kit", 0, 0, 127, l->err);
    p->program = (int)bl_config_int(l->config, section, "program", p->instrument->program, 0, 127, l->err);
    p->rootless = bl_config_bool(l->config, section, "rootless", 0, l->err);
    p->delay_ms = bl_config_real(l->config, section, "delay_ms", 0, -15, 15, l->err);
    p->strum_ms = bl_config_real(l->config, section, "strum_ms", 6, 0, 8, l->err);
    if (l->err->code)
        return l->err->code;
    if ((int)p->role < 0 || (p->role == STYLE_DRUMS) != (in->family == MUSIC_DRUMS))
        return bl_fail(l->err, BL_EFORMAT, "%s: [%s] needs a role that fits it (drums, bass, chords or line)", bl_config_name(l->config), section);
    bl_status st = read_pair(l, section, "register", in->lowest, in->highest, &p->lowest, &p->highest);
    if (st == BL_OK)
        st = read_pair(l, section, "velocity", 30, 127, &p->velocity_low, &p->velocity_high);
    if (st == BL_OK && p->role != STYLE_DRUMS && p->highest - p->lowest < 12)
        st = bl_fail(l->err, BL_EFORMAT, "%s: [%s] register: expected an octave or more", bl_config_name(l->config), section);
    int n = 0;
    for (int i = 0; i < STYLE_LEVELS && st == BL_OK; i++) {
        char key[24];
        snprintf(key, sizeof key, "level %d", i + 1);
        st = read_choice(l, section, key, p->role, 1, &p->level[i]);
        n += p->level[i].n;
    }
    if (st == BL_OK)
        st = read_choice(l, section, "fills", p->role == STYLE_DRUMS ? STYLE_DRUMS : STYLE_LINE, 0, &p->fills);
    if (st == BL_OK && n == 0)
        st = bl_fail(l->err, BL_EFORMAT, "%s: [%s] plays at no level", bl_config_name(l->config), section);
    if (st == BL_OK)
        s->n_parts++;
    return st;
}

static bl_status read_head(const loader *l)
{
    music_style *s = l->style;
    const bl_config *c = l->config;
    const char *genre = bl_config_str(c, "style", "genre", NULL);
    if (!genre || !*genre || strlen(genre) >= sizeof s->genre)
        return bl_fail(l->err, BL_EFORMAT, "%s: [style] has no genre", bl_config_name(c));
    strcpy(s->genre, genre);
    bl_config_str(c, "style", "like", NULL); /* for infer/genre.c */
    s->swing = bl_config_real(c, "style", "swing", 0.5, 0.5, 0.67, l->err);
    s->humanize_ms = bl_config_real(c, "style", "humanize_ms", 5, 0, 15, l->err);
    s->section_bars = (int)bl_config_int(c, "style", "section_bars", 8, 2, 32, l->err);
    if (l->err->code)
        return l->err->code;
    const bl_config_entry *e = entry(l, "style", "crash");
    s->crash_drum = e ? (strcmp(e->value, "-") ? find_drum(e->value) : 0) : 49;
    if (s->crash_drum < 0)
        return bad(l, e, "not a drum: ", e->value);
    e = entry(l, "style", "ending");
    for (const char *p = e ? e->value : "crash kick"; *(p += strspn(p, " "));) {
        char name[STYLE_NAME];
        size_t n = strcspn(p, " ");
        snprintf(name, sizeof name, "%.*s", (int)(n < sizeof name ? n : sizeof name - 1), p);
        p += n;
        if (find_drum(name) < 0 || s->n_end_drums == 4)
            return bad(l, e, "not a drum, or one too many: ", name);
        s->end_drums[s->n_end_drums++] = find_drum(name);
    }
    return BL_OK;
}

/* Reads every section of the file that starts with a word, in order, once. */
static bl_status read_sections(const loader *l, const char *word, bl_status (*read)(const loader *, const char *))
{
    const char *last = "";
    for (int i = 0; i < bl_config_count(l->config); i++) {
        const char *section = bl_config_at(l->config, i)->section;
        if (strcmp(section, last) && !strncmp(section, word, strlen(word))) {
            bl_status s = read(l, section);
            if (s != BL_OK)
                return s;
        }
        last = section;
    }
    return BL_OK;
}

static music_style *build(const bl_config *config, bl_error *err)
{
    bl_error local = { 0 };
    int n = bl_config_count(config) + 1;
    music_style *s = calloc(1, sizeof *s);
    loader l = { config, s, &local };
    bl_status st = BL_ENOMEM;
    if (s) {
        s->patterns = calloc((size_t)n, sizeof *s->patterns);
        s->parts = calloc((size_t)n, sizeof *s->parts);
        st = s->patterns && s->parts ? BL_OK : BL_ENOMEM;
    }
    if (st != BL_OK)
        bl_fail(&local, BL_ENOMEM, "%s: no memory for the style", bl_config_name(config));
    if (st == BL_OK)
        st = read_head(&l);
    if (st == BL_OK)
        st = read_sections(&l, "pattern ", read_pattern);
    if (st == BL_OK)
        st = read_sections(&l, "instrument ", read_part);
    if (st == BL_OK && s->n_parts == 0)
        st = bl_fail(&local, BL_EFORMAT, "%s: no [instrument ...] section", bl_config_name(config));
    if (st == BL_OK)
        st = bl_config_check_unused(config, &local);
    if (st != BL_OK) {
        music_style_free(s);
        bl_fail(err, st, "%s", local.msg);
        return NULL;
    }
    return s;
}

music_style *music_style_load(const char *path, bl_error *err)
{
    bl_config *c = bl_config_load(path, err);
    music_style *s = c ? build(c, err) : NULL;
    bl_config_free(c);
    return s;
}

music_style *music_style_parse(const char *text, const char *name, bl_error *err)
{
    bl_config *c = bl_config_parse(text, name, err);
    music_style *s = c ? build(c, err) : NULL;
    bl_config_free(c);
    return s;
}

void music_style_free(music_style *style)
{
    if (!style)
        return;
    free(style->patterns);
    free(style->parts);
    free(style);
}

const char *music_style_genre(const music_style *style)
{
    return style->genre;
}

const style_part *style_find_part(const music_style *style, const music_instrument *instrument)
{
    for (int i = 0; i < style->n_parts; i++)
        if (style->parts[i].instrument == instrument)
            return &style->parts[i];
    return NULL;
}
