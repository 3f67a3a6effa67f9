#include "music/chord_sheet.h"

#include "base/config.h"
#include "music/chord.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX_SLOTS_A_BAR = 32, MAX_TIMES = 64, MAX_LINE = 4096 };

void music_chord_sheet_free(music_chord_sheet *s)
{
    free(s->slots);
    free(s->bars);
    free(s->sections);
    memset(s, 0, sizeof *s);
}

typedef struct parser {
    music_chord_sheet *sheet;
    const char *name;
    bl_error   *err;
    int  slot_capacity, bar_capacity, section_capacity;
    int  line, column;          /* of the word that is read                             */
    int  line_bar, repeat_bar;  /* the first bar of this line, and after its last |:    */
    char open[MAX_SLOTS_A_BAR][16];
    int  n_open, whole;         /* whole: this bar was a %                              */
    int  in_section, section_line, section_bar, section_times;
    char section[32];
} parser;

static bl_status fault(const parser *p, const char *what, const char *word)
{
    return bl_fail(p->err, BL_EFORMAT, "%s line %d column %d: %s%s%.40s%s", p->name, p->line, p->column, what, word ? "\"" : "",
                   word ? word : "", word ? "\"" : "");
}

static void *grown(void *list, int n, int *capacity, size_t item)
{
    if (n < *capacity)
        return list;
    void *bigger = realloc(list, (size_t)(2 * *capacity + 64) * item);
    if (bigger)
        *capacity = 2 * *capacity + 64;
    return bigger;
}

/* ---- bars ---- */

static bl_status add_bar(parser *p, const char (*slots)[16], int n)
{
    music_chord_sheet *s = p->sheet;
    void *list;
    if (s->n_bars == MUSIC_SHEET_MAX_BARS)
        return bl_fail(p->err, BL_EFORMAT, "%s line %d: more than %d bars", p->name, p->line, MUSIC_SHEET_MAX_BARS);
    if (!(list = grown(s->bars, s->n_bars, &p->bar_capacity, sizeof *s->bars)))
        return bl_fail(p->err, BL_ENOMEM, "no memory for the chord sheet");
    s->bars = list;
    s->bars[s->n_bars++] = (music_sheet_bar){ s->n_slots, n };
    for (int i = 0; i < n; i++) {
        if (!(list = grown(s->slots, s->n_slots, &p->slot_capacity, sizeof *s->slots)))
            return bl_fail(p->err, BL_ENOMEM, "no memory for the chord sheet");
        s->slots = list;
        memcpy(s->slots[s->n_slots++], slots[i], sizeof *slots);
    }
    return BL_OK;
}

/* Bars first .. last - 1 once more, behind the last. */
static bl_status copy_bars(parser *p, int first, int last)
{
    for (int i = first; i < last; i++) {
        char slots[MAX_SLOTS_A_BAR][16];
        const music_sheet_bar bar = p->sheet->bars[i];
        memcpy(slots, p->sheet->slots[bar.first], (size_t)bar.n * sizeof *slots);
        if (add_bar(p, (const char (*)[16])slots, bar.n) != BL_OK)
            return p->err->code;
    }
    return BL_OK;
}

static bl_status close_bar(parser *p)
{
    const int n = p->n_open;
    p->n_open = p->whole = 0;
    return n ? add_bar(p, (const char (*)[16])p->open, n) : BL_OK;
}

static bl_status repeat(parser *p, int first, int times)
{
    const int last = p->sheet->n_bars;
    if (first == last)
        return fault(p, "there are no bars here to repeat", NULL);
    for (int i = 1; i < times; i++)
        if (copy_bars(p, first, last) != BL_OK)
            return p->err->code;
    return BL_OK;
}

/* ---- sections ---- */

static bl_status add_section(parser *p, int first_bar, const char *name)
{
    music_chord_sheet *s = p->sheet;
    void *list = grown(s->sections, s->n_sections, &p->section_capacity, sizeof *s->sections);
    if (!list)
        return bl_fail(p->err, BL_ENOMEM, "no memory for the chord sheet");
    s->sections = list;
    s->sections[s->n_sections].first_bar = first_bar;
    snprintf(s->sections[s->n_sections++].name, sizeof s->sections->name, "%s", name);
    return BL_OK;
}

/* Ends the section that is open: one without bars has those of its namesake; then its repeats. */
static bl_status close_section(parser *p)
{
    music_chord_sheet *s = p->sheet;
    if (!p->in_section)
        return BL_OK;
    if (s->n_bars == p->section_bar) {
        for (int i = 0; i < s->n_sections && s->n_bars == p->section_bar; i++)
            if (!strcmp(s->sections[i].name, p->section) &&
                copy_bars(p, s->sections[i].first_bar, i + 1 < s->n_sections ? s->sections[i + 1].first_bar : s->n_bars) != BL_OK)
                return p->err->code;
        if (s->n_bars == p->section_bar)
            return bl_fail(p->err, BL_EFORMAT, "%s line %d: the section [%s] has no bars, and no section of that name comes before it",
                           p->name, p->section_line, p->section);
    }
    const int end = s->n_bars;
    if (add_section(p, p->section_bar, p->section) != BL_OK)
        return p->err->code;
    for (int i = 1; i < p->section_times; i++) {
        const int at = s->n_bars;
        if (copy_bars(p, p->section_bar, end) != BL_OK || add_section(p, at, p->section) != BL_OK)
            return p->err->code;
    }
    return BL_OK;
}

/* "x2" -> 2, anything else -> 0. */
static int times_of(const char *word)
{
    char *end;
    if ((*word != 'x' && *word != 'X') || !isdigit((unsigned char)word[1]))
        return 0;
    const long n = strtol(word + 1, &end, 10);
    return *end ? 0 : n >= 1 && n <= MAX_TIMES ? (int)n : -1;
}

static const char *read_header(parser *p, const char *at)
{
    const char *end = strchr(at, ']');
    size_t n = end ? (size_t)(end - at - 1) : 0;
    const char *name = at + 1;
    if (!end) {
        fault(p, "a section's name ends with ]", NULL);
        return NULL;
    }
    while (n && isspace((unsigned char)*name))
        name++, n--;
    while (n && isspace((unsigned char)name[n - 1]))
        n--;
    if (!n || n >= sizeof p->section) {
        fault(p, "expected a section's name of 1 to 31 letters, as [verse]", NULL);
        return NULL;
    }
    if (close_section(p) != BL_OK)
        return NULL;
    if (!p->in_section && p->sheet->n_bars && add_section(p, 0, "intro") != BL_OK) /* bars before the first name */
        return NULL;
    p->in_section = p->section_times = 1;
    p->section_line = p->line;
    p->section_bar = p->line_bar = p->repeat_bar = p->sheet->n_bars;
    snprintf(p->section, sizeof p->section, "%.*s", (int)n, name);
    for (int i = 0; i < p->sheet->n_sections; i++) /* namesakes are spelled alike */
        if (!strcasecmp(p->sheet->sections[i].name, p->section))
            strcpy(p->section, p->sheet->sections[i].name);
    return end + 1;
}

/* ---- words ---- */

/* The signs of UTF-8 for flat and sharp as b and #. */
static void plain_accidentals(const char *word, char *out, size_t size)
{
    size_t n = 0;
    while (*word && n + 1 < size) {
        const int is_sign = !strncmp(word, "\xe2\x99\xad", 3) || !strncmp(word, "\xe2\x99\xaf", 3);
        out[n++] = is_sign ? word[2] == '\xad' ? 'b' : '#' : *word;
        word += is_sign ? 3 : 1;
    }
    out[n] = '\0';
}

static bl_status no_chord(const parser *p, const char *word)
{
    static char names[MUSIC_N_QUALITIES][2][16];
    const char *near[2 * MUSIC_N_QUALITIES];
    char root[3] = { (char)toupper((unsigned char)*word), *word && (word[1] == '#' || word[1] == 'b') ? word[1] : '\0', '\0' };
    music_chord chord;
    int n = 0;
    if (strchr(word, ':') || strlen(word) > 9)
        return bl_fail(p->err, BL_EFORMAT, "%s line %d column %d: \"%.40s\" is no chord; the name of a section stands in brackets: [verse]",
                       p->name, p->line, p->column, word);
    if (*word && music_chord_parse(root, &chord))
        for (int q = 0; q < MUSIC_N_QUALITIES; q++)
            for (int flats = 0; flats < 2; flats++) {
                chord.quality = (music_quality)q;
                music_chord_format(chord, flats, names[q][flats]);
                near[n++] = names[q][flats];
            }
    const char *nearest = n ? bl_nearest(word, near, n) : NULL;
    return bl_fail(p->err, BL_EFORMAT, "%s line %d column %d: \"%.40s\" is no chord; %s%s%s", p->name, p->line, p->column, word,
                   nearest ? "did you mean \"" : "expected one such as \"Am\", \"G7\", \"C/E\" or \"N.C.\"", nearest ? nearest : "",
                   nearest ? "\"?" : "");
}

static bl_status add_slot(parser *p, const char *word)
{
    char name[32];
    music_chord chord;
    if (p->n_open == MAX_SLOTS_A_BAR)
        return fault(p, "more than 32 chords in a bar", NULL);
    if (!strcmp(word, "/") || !strcmp(word, ".") || !strcmp(word, "-")) {
        if (!p->n_open && !p->sheet->n_bars)
            return fault(p, "there is no chord before this to hold", NULL);
        p->open[p->n_open++][0] = '\0';
        return BL_OK;
    }
    plain_accidentals(word, name, sizeof name);
    if (strlen(word) >= sizeof name || strlen(name) >= sizeof *p->open || !music_chord_parse(name, &chord))
        return no_chord(p, word);
    strcpy(p->open[p->n_open++], chord.root < 0 ? "N" : name);
    return BL_OK;
}

/* "(Am)": what sounds before the first bar. */
static bl_status read_pickup(parser *p, const char *word)
{
    const size_t n = strlen(word);
    if (p->sheet->n_bars || p->n_open || p->sheet->pickup[0] || word[n - 1] != ')')
        return fault(p, "a chord in brackets sounds before the first bar, and stands there alone, as (Am); got ", word);
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)(n - 2), word + 1);
    if (!strcmp(name, "/") || add_slot(p, name) != BL_OK)
        return no_chord(p, name);
    strcpy(p->sheet->pickup, p->open[0]);
    p->n_open = 0;
    return BL_OK;
}

static bl_status read_word(parser *p, const char *word)
{
    const int times = times_of(word);
    if (*word == '(')
        return read_pickup(p, word);
    if (times < 0)
        return fault(p, "expected a repeat of x1 to x64, got ", word);
    if (!strcmp(word, "%")) {
        if (p->n_open || p->whole || !p->sheet->n_bars)
            return fault(p, p->sheet->n_bars ? "% stands alone in its bar" : "there is no bar before this for %", NULL);
        p->whole = 1;
        return copy_bars(p, p->sheet->n_bars - 1, p->sheet->n_bars);
    }
    if (!times)
        return p->whole ? fault(p, "% stands alone in its bar", NULL) : add_slot(p, word);
    if (p->in_section && p->section_line == p->line && !p->n_open && p->sheet->n_bars == p->section_bar) {
        p->section_times = times;
        return BL_OK;
    }
    return close_bar(p) == BL_OK ? repeat(p, p->repeat_bar, times) : p->err->code;
}

/* A | with what stands beside it; *empty: there was one before it with nothing between. */
static const char *read_bar_line(parser *p, const char *at, int *empty)
{
    const int ends = at[0] == ':';
    int starts = 0;
    if (close_bar(p) != BL_OK)
        return NULL;
    if (*empty && !ends && strncmp(at, "|:", 2) != 0) {
        fault(p, "a bar without a chord; write % for the bar before again, or N.C.", NULL);
        return NULL;
    }
    for (at += ends; *at == '|'; at++)
        starts = at[1] == ':';
    at += starts;
    if (ends) {
        const char *next = at + strspn(at, " \t"); /* "x3" says how often */
        if (*next != 'x' && *next != 'X') {
            if (repeat(p, p->repeat_bar, 2) != BL_OK)
                return NULL;
            p->repeat_bar = p->sheet->n_bars;
        }
    }
    if (starts)
        p->repeat_bar = p->sheet->n_bars;
    *empty = 1;
    return at;
}

static bl_status read_line(parser *p, const char *line)
{
    const char *at = line;
    int empty = 0, repeated = 0; /* empty: a | with nothing behind it yet, and bars before it */
    p->line_bar = p->repeat_bar = p->sheet->n_bars;
    while (*at) {
        char word[64];
        at += strspn(at, " \t\r");
        p->column = (int)(at - line) + 1;
        if (!*at || *at == '#')
            break;
        if (repeated)
            return fault(p, "a repeat ends its line; got more behind it", NULL);
        if (*at == '[') {
            if (!(at = read_header(p, at)))
                return p->err->code;
            continue;
        }
        if (*at == '|' || (*at == ':' && at[1] == '|')) {
            const int first = p->sheet->n_bars == p->line_bar && !p->n_open;
            if (first)
                empty = 0;
            if (!(at = read_bar_line(p, at, &empty)))
                return p->err->code;
            continue;
        }
        size_t n = strcspn(at, " \t\r|[");
        if (n > 1 && at[n] == '|' && at[n - 1] == ':')
            n--;
        snprintf(word, sizeof word, "%.*s", (int)(n < sizeof word ? n : sizeof word - 1), at);
        empty = 0;
        if (read_word(p, word) != BL_OK)
            return p->err->code;
        repeated = times_of(word) > 0 && !(p->in_section && p->section_line == p->line && p->sheet->n_bars == p->section_bar);
        at += n;
    }
    return close_bar(p);
}

bl_status music_chord_sheet_parse(const char *text, const char *name, music_chord_sheet *sheet, bl_error *err)
{
    bl_error own = { 0 };
    parser p = { .sheet = sheet, .name = name, .err = &own };
    memset(sheet, 0, sizeof *sheet);
    text += !strncmp(text, "\xef\xbb\xbf", 3) ? 3 : 0; /* some editors begin UTF-8 so */
    while (*text && own.code == BL_OK) {
        char line[MAX_LINE];
        const size_t n = strcspn(text, "\n");
        p.line++;
        if (n >= sizeof line)
            bl_fail(&own, BL_EFORMAT, "%s line %d: longer than %d letters", name, p.line, MAX_LINE - 1);
        snprintf(line, sizeof line, "%.*s", (int)(n < sizeof line ? n : sizeof line - 1), text);
        if (own.code == BL_OK)
            read_line(&p, line);
        text += n + (text[n] == '\n');
    }
    if (own.code == BL_OK)
        close_section(&p);
    if (own.code == BL_OK && !sheet->n_bars)
        bl_fail(&own, BL_EFORMAT, "%s: no chords in it; expected bars such as \"Am | F | C | G\"", name);
    if (own.code == BL_OK)
        return BL_OK;
    music_chord_sheet_free(sheet);
    return bl_fail(err, own.code, "%s", own.msg);
}
