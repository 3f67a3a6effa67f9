#include "music/style_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const bl_config_entry *entry(const style_loader *l, const char *section, const char *key)
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

static bl_status no_pattern(const style_loader *l, const bl_config_entry *e, const char *name)
{
    char detail[2 * STYLE_NAME + 32];
    const music_style *s = l->style;
    const char **names = calloc((size_t)s->n_patterns + 1, sizeof *names);
    for (int i = 0; names && i < s->n_patterns; i++)
        names[i] = s->patterns[i].name;
    const char *near = names ? bl_nearest(name, names, s->n_patterns) : NULL;
    snprintf(detail, sizeof detail, "%s%s%s%s", name, near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    free(names);
    return style_bad(l, e, "there is no pattern ", detail);
}

/* May a part with this role play a pattern of that kind? Chord players may play riffs, which are written like bass lines. */
static int fits(style_kind role, style_kind kind)
{
    return role == kind || (role == STYLE_CHORDS && kind == STYLE_BASS);
}

/* "a b c" or "-": names of patterns that fit a role. */
static bl_status read_choice(const style_loader *l, const char *section, const char *key, style_kind role, int needed, style_choice *out)
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
        int i = style_find_pattern(l->style, name);
        if (i < 0)
            return no_pattern(l, e, name);
        if (!fits(role, l->style->patterns[i].kind))
            return style_bad(l, e, "another kind of pattern is ", name);
        if (out->n == STYLE_CHOICES)
            return style_bad(l, e, "at most twelve patterns; one too many is ", name);
        out->pattern[out->n++] = i;
    }
    return BL_OK;
}

static bl_status read_pair(const style_loader *l, const char *section, const char *key, int min, int max, int *low, int *high)
{
    const bl_config_entry *e = entry(l, section, key);
    char rest, detail[64];
    int a, b;
    if (!e)
        return BL_OK;
    snprintf(detail, sizeof detail, "%d..%d", min, max);
    if (sscanf(e->value, "%d %d %c", &a, &b, &rest) != 2 || a > b || a < min || b > max)
        return style_bad(l, e, "expected two rising numbers within ", detail);
    *low = a;
    *high = b;
    return BL_OK;
}

/* What a part plays, and when. */
static bl_status read_playing(const style_loader *l, const char *section, style_part *p)
{
    int n = 0;
    bl_status st = BL_OK;
    for (int i = 0; i < STYLE_LEVELS && st == BL_OK; i++) {
        char key[24];
        snprintf(key, sizeof key, "level %d", i + 1);
        st = read_choice(l, section, key, p->role, 1, &p->level[i]);
        n += p->level[i].n;
    }
    if (st == BL_OK)
        st = read_choice(l, section, "alone", p->role, 0, &p->alone);
    if (st == BL_OK)
        st = read_choice(l, section, "turns", p->role, 0, &p->turns);
    if (st == BL_OK)
        st = read_choice(l, section, "fills", p->role == STYLE_DRUMS ? STYLE_DRUMS : STYLE_LINE, 0, &p->fills);
    if (st == BL_OK && n == 0)
        st = bl_fail(l->err, BL_EFORMAT, "%s: [%s] plays at no level", bl_config_name(l->config), section);
    return st;
}

/* Where it plays. */
static bl_status read_registers(const style_loader *l, const char *section, style_part *p)
{
    const music_instrument *in = p->instrument;
    bl_status st = read_pair(l, section, "register", in->lowest, in->highest, &p->lowest, &p->highest);
    if (st == BL_OK)
        st = read_pair(l, section, "left", in->lowest, in->highest, &p->left_low, &p->left_high);
    if (st == BL_OK)
        st = read_pair(l, section, "velocity", 30, 127, &p->velocity_low, &p->velocity_high);
    if (st == BL_OK && p->role != STYLE_DRUMS && p->highest - p->lowest < 12)
        st = bl_fail(l->err, BL_EFORMAT, "%s: [%s] register: expected an octave or more", bl_config_name(l->config), section);
    if (st == BL_OK && p->left_high && p->left_high - p->left_low < 11)
        st = bl_fail(l->err, BL_EFORMAT, "%s: [%s] left: expected twelve notes or more", bl_config_name(l->config), section);
    return st;
}

static bl_status read_part(const style_loader *l, const char *section)
{
    static const char *const voicings[] = { "full", "close", "open", "triad", "shell", NULL };
    const char *name = section + strlen("instrument ");
    const music_instrument *in = music_instrument_find(name);
    const bl_config *c = l->config;
    music_style *s = l->style;
    if (!in || style_find_part(s, in))
        return bl_fail(l->err, BL_EFORMAT, "%s: [%s]: %s", bl_config_name(c), section, in ? "given twice" : "no such instrument");
    style_part *p = &s->parts[s->n_parts];
    *p = (style_part){ .instrument = in, .lowest = in->lowest, .highest = in->highest, .velocity_low = 50, .velocity_high = 105 };
    p->role = (style_kind)bl_config_choice(c, section, "role", style_kinds, -1, l->err);
    p->voices = (int)bl_config_int(c, section, "voices", 4, 1, 6, l->err);
    p->voicing = (style_voicing)bl_config_choice(c, section, "voicing", voicings, STYLE_FULL, l->err);
    p->kit = (int)bl_config_int(c, section, "kit", 0, 0, 127, l->err);
    p->program = (int)bl_config_int(c, section, "program", in->program, 0, 127, l->err);
    p->enters = (int)bl_config_int(c, section, "enters", 0, 0, 2, l->err);
    p->varies = (int)bl_config_int(c, section, "varies", 0, 0, 32, l->err);
    p->rootless = bl_config_bool(c, section, "rootless", 0, l->err);
    p->delay_ms = bl_config_real(c, section, "delay_ms", 0, -15, 15, l->err);
    p->strum_ms = bl_config_real(c, section, "strum_ms", 6, 0, 8, l->err);
    snprintf(p->group, sizeof p->group, "%.31s", bl_config_str(c, section, "group", in->name));
    if (l->err->code)
        return l->err->code;
    if ((int)p->role < 0 || (p->role == STYLE_DRUMS) != (in->family == MUSIC_DRUMS))
        return bl_fail(l->err, BL_EFORMAT, "%s: [%s] needs a role that fits it (drums, bass, chords or line)", bl_config_name(c), section);
    bl_status st = read_registers(l, section, p);
    if (st == BL_OK)
        st = read_playing(l, section, p);
    if (st == BL_OK)
        s->n_parts++;
    return st;
}

/* "crash kick": drums that are struck together. */
static bl_status read_drums(const style_loader *l, const char *key, const char *fallback, int drums[4], int *n_drums)
{
    const bl_config_entry *e = entry(l, "style", key);
    for (const char *p = e ? e->value : fallback; *(p += strspn(p, " "));) {
        char name[STYLE_NAME];
        size_t n = strcspn(p, " ");
        snprintf(name, sizeof name, "%.*s", (int)(n < sizeof name ? n : sizeof name - 1), p);
        p += n;
        if (style_find_drum(name) < 0 || *n_drums == 4)
            return style_bad(l, e, "not a drum, or one too many: ", name);
        drums[(*n_drums)++] = style_find_drum(name);
    }
    return BL_OK;
}

/* What stands for a drum pattern in every second, fourth, eighth bar, once all patterns are known. */
static bl_status read_variations(const style_loader *l, const char *section)
{
    style_pattern *p = &l->style->patterns[style_find_pattern(l->style, section + strlen("pattern "))];
    for (int k = 0; k < STYLE_EVERY && p->kind == STYLE_DRUMS; k++) {
        char key[16];
        snprintf(key, sizeof key, "every %d", 2 << k);
        bl_status s = read_choice(l, section, key, STYLE_DRUMS, 0, &p->every[k]);
        for (int v = 0; v < p->every[k].n && s == BL_OK; v++)
            if (l->style->patterns[p->every[k].pattern[v]].beats != p->beats)
                s = style_bad(l, entry(l, section, key), "bars of another length has ", l->style->patterns[p->every[k].pattern[v]].name);
        if (s != BL_OK)
            return s;
    }
    return BL_OK;
}

static bl_status read_head(const style_loader *l)
{
    static const char *const swung[] = { "eighths", "sixteenths", NULL }, *const passing[] = { "none", "diatonic", "chromatic", NULL };
    static const char *const scales[] = { "key", "blues", NULL }, *const ends[] = { "held", "short", NULL };
    music_style *s = l->style;
    const bl_config *c = l->config;
    const char *genre = bl_config_str(c, "style", "genre", NULL);
    if (!genre || !*genre || strlen(genre) >= sizeof s->genre)
        return bl_fail(l->err, BL_EFORMAT, "%s: [style] has no genre", bl_config_name(c));
    strcpy(s->genre, genre);
    bl_config_str(c, "style", "like", NULL); /* for infer/genre.c */
    s->swing = bl_config_real(c, "style", "swing", 0.5, 0.5, 0.67, l->err);
    s->humanize_ms = bl_config_real(c, "style", "humanize_ms", 5, 0, 15, l->err);
    s->feel = bl_config_real(c, "style", "feel", 1, 0, 1, l->err);
    snprintf(s->drummer, sizeof s->drummer, "%s", bl_config_str(c, "style", "drummer", "any"));
    s->swing_sixteenths = bl_config_choice(c, "style", "swing_of", swung, 0, l->err);
    s->stroke_gap_s = 0.001 * bl_config_real(c, "style", "stroke_gap_ms", 104, 60, 200, l->err);
    s->passing = (style_passing)bl_config_choice(c, "style", "passing", passing, STYLE_DIATONIC, l->err);
    s->blues = bl_config_choice(c, "style", "scale", scales, 0, l->err);
    s->short_end = bl_config_choice(c, "style", "last_chord", ends, 0, l->err);
    s->stop_before_last = bl_config_bool(c, "style", "stop_before_last_chorus", 0, l->err);
    s->section_bars = (int)bl_config_int(c, "style", "section_bars", 8, 2, 32, l->err);
    if (l->err->code)
        return l->err->code;
    const bl_config_entry *e = entry(l, "style", "crash");
    s->crash_drum = e ? (strcmp(e->value, "-") ? style_find_drum(e->value) : 0) : 49;
    if (s->crash_drum < 0)
        return style_bad(l, e, "not a drum: ", e->value);
    bl_status st = read_drums(l, "ending", "crash kick", s->end_drums, &s->n_end_drums);
    return st == BL_OK ? read_drums(l, "hold", "", s->hold_drums, &s->n_hold_drums) : st;
}

/* Reads every section of the file that starts with a word, in order, once. */
static bl_status read_sections(const style_loader *l, const char *word, bl_status (*read)(const style_loader *, const char *))
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
    style_loader l = { config, s, &local };
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
        st = read_sections(&l, "pattern ", style_read_pattern);
    if (st == BL_OK)
        st = read_sections(&l, "pattern ", read_variations);
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

/* Where a fraction of a unit lies when its second half begins at s. */
static double swung(double fraction, double s)
{
    return fraction < 0.5 ? fraction * 2 * s : s + (fraction - 0.5) * 2 * (1 - s);
}

double music_style_swing(const music_style *style, double bpm, int step, int steps)
{
    const double fast = bpm > 300 ? 1 : bpm > 160 ? (bpm - 160) / 140 : 0, s = 0.5 + (style->swing - 0.5) * (1 - 0.6 * fast);
    const double fraction = (double)step / steps, half = 2 * step >= steps;
    if (steps == 3)
        return fraction;
    return style->swing_sixteenths ? 0.5 * (half + swung(2 * fraction - half, s)) : swung(fraction, s);
}

const style_part *style_find_part(const music_style *style, const music_instrument *instrument)
{
    for (int i = 0; i < style->n_parts; i++)
        if (style->parts[i].instrument == instrument)
            return &style->parts[i];
    return NULL;
}
