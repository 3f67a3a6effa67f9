/* configs/harmony.ini: what each genre likes. */
#include "base/config.h"
#include "music/harmony_private.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char decoder[] = "decoder";
static const music_key modes[2] = { { 0, 0 }, { 9, 1 } }; /* whose do is C */

static int line_of(const bl_config *c, const char *section, const char *key)
{
    for (int i = 0; i < bl_config_count(c); i++) {
        const bl_config_entry *e = bl_config_at(c, i);
        if (!strcmp(e->section, section) && !strcmp(e->key, key))
            return e->line;
    }
    return 0;
}

static bl_status bad(const bl_config *c, const char *section, const char *key, bl_error *err, const char *what)
{
    return bl_fail(err, BL_EFORMAT, "%s line %d: [%s] %s: %s", bl_config_name(c), line_of(c, section, key), section, key, what);
}

/* Next blank-separated word of *text into word; 0 at the end. */
static int next_word(const char **text, char *word, size_t size)
{
    const char *p = *text + strspn(*text, " \t\n");
    const size_t n = strcspn(p, " \t\n");
    if (n == 0)
        return 0;
    snprintf(word, size, "%.*s", n < size ? (int)n : (int)size - 1, p); /* cut, and so unknown to whoever compares it */
    *text = p + n;
    return 1;
}

/* "bVII" of a mode; -1: not a numeral. */
static int read_degree(const char *word, int minor)
{
    music_chord chord;
    return music_roman_parse(word, modes[minor], &chord) ? music_chord_degree(chord, 0) : -1;
}

/* A factor above 0, as its logarithm. */
static bl_status read_factor(const bl_config *c, const char *section, const char *key, const char *word, const char *number, double *out,
                             bl_error *err)
{
    char what[128], *end;
    const double factor = strtod(number, &end);
    if (end == number || *end || !(factor > 0) || !isfinite(factor)) {
        snprintf(what, sizeof what, "\"%.40s\" needs a factor above 0, got \"%.40s\"", word, number);
        return bad(c, section, key, err, what);
    }
    *out = log(factor);
    return BL_OK;
}

/* "bVII 2.5 iii 0.6", and with moves "V>I 2". */
static bl_status read_likes(const bl_config *c, const char *section, const char *key, int minor, harmony_genre *g, bl_error *err)
{
    const char *text = bl_config_str(c, section, key, "");
    const int   is_move = !strncmp(key, "moves", 5);
    char word[40], number[40], what[128];
    while (next_word(&text, word, sizeof word)) {
        char *second = strchr(word, '>');
        double factor = 0;
        number[0] = '\0';
        next_word(&text, number, sizeof number);
        if (read_factor(c, section, key, word, number, &factor, err) != BL_OK)
            return err->code;
        if (second)
            *second++ = '\0';
        const int i = read_degree(word, minor), j = second ? read_degree(second, minor) : -1;
        if (i < 0 || (is_move ? j < 0 : second != NULL)) {
            snprintf(what, sizeof what, "expected %s, got \"%.30s%s%.30s\"", is_move ? "moves like \"V>I 2\"" : "chords like \"bVII 2\"", word,
                     second ? ">" : "", second ? second : "");
            return bad(c, section, key, err, what);
        }
        *(is_move ? &g->moves[minor][i][j] : &g->prefer[minor][i]) = factor;
    }
    return BL_OK;
}

/* "ii:ii9,ii7 V:V7" */
static bl_status read_spellings(const bl_config *c, const char *section, const char *key, int minor, harmony_genre *g, bl_error *err)
{
    const char *text = bl_config_str(c, section, key, "");
    char word[80], what[160];
    while (next_word(&text, word, sizeof word)) {
        char *as = strchr(word, ':');
        if (as)
            *as++ = '\0';
        const int i = read_degree(word, minor);
        if (!as || i < 0) {
            snprintf(what, sizeof what, "expected words like \"ii:ii9,ii7\", got \"%.60s\"", word);
            return bad(c, section, key, err, what);
        }
        g->n_spell[minor][i] = 0;
        for (char *next; as; as = next) {
            music_chord *chord = &g->spell[minor][i][g->n_spell[minor][i]];
            if ((next = strchr(as, ',')))
                *next++ = '\0';
            if (g->n_spell[minor][i] == HARMONY_SPELLINGS || !music_roman_parse(as, modes[minor], chord)) {
                snprintf(what, sizeof what, "\"%.40s\" is %s", as,
                         g->n_spell[minor][i] == HARMONY_SPELLINGS ? "one spelling too many (of four)" : "no chord");
                return bad(c, section, key, err, what);
            }
            g->n_spell[minor][i]++;
        }
    }
    return BL_OK;
}

static bl_status read_change(const bl_config *c, const char *section, harmony_genre *g, bl_error *err)
{
    const char *text = bl_config_str(c, section, "change", NULL);
    char word[40];
    int  n = 0;
    if (!text)
        return BL_OK;
    while (next_word(&text, word, sizeof word)) {
        double factor = 0;
        if (read_factor(c, section, "change", "change", word, &factor, err) != BL_OK)
            return err->code;
        if (n < 2)
            g->change[n] = factor;
        n++;
    }
    return n == 2 ? BL_OK : bad(c, section, "change", err, "expected two numbers: at a bar line, in the middle of a bar");
}

/* The numbers of a section; what it leaves out stays as it is. */
static bl_status read_numbers(const bl_config *c, const char *section, harmony_genre *g, bl_error *err)
{
    bl_error local = { 0 };
    g->evidence = bl_config_real(c, section, "evidence", g->evidence, 0, 100, &local);
    g->prior = bl_config_real(c, section, "prior", g->prior, 0, 1, &local);
    g->tension = bl_config_real(c, section, "tension", g->tension, -100, 100, &local);
    g->grammar = bl_config_real(c, section, "grammar", g->grammar, 0, 100, &local);
    g->duration = bl_config_real(c, section, "duration", g->duration, 0, 100, &local);
    g->cadence = bl_config_real(c, section, "cadence", g->cadence, -100, 100, &local);
    g->repeat = bl_config_real(c, section, "repeat", g->repeat, 0, 1, &local);
    g->rich = bl_config_real(c, section, "rich", g->rich, 0, 1, &local);
    g->sus = bl_config_real(c, section, "sus", g->sus, 0, 1, &local);
    return local.code ? bl_fail(err, local.code, "%s", local.msg) : read_change(c, section, g, err);
}

static bl_status read_genre(const bl_config *c, const char *section, const harmony_genre *common, music_harmony_table *t, bl_error *err)
{
    if (t->n_genres == HARMONY_GENRES || strlen(section) >= sizeof t->genre->name)
        return bl_fail(err, BL_EFORMAT, "%s: genre [%s] is one too many or too long a name", bl_config_name(c), section);
    harmony_genre *g = &t->genre[t->n_genres++];
    *g = *common;
    snprintf(g->name, sizeof g->name, "%s", section);
    bl_status s = read_numbers(c, section, g, err);
    for (int minor = 0; minor < 2 && s == BL_OK; minor++) {
        s = read_likes(c, section, minor ? "prefer minor" : "prefer major", minor, g, err);
        if (s == BL_OK)
            s = read_likes(c, section, minor ? "moves minor" : "moves major", minor, g, err);
        if (s == BL_OK)
            s = read_spellings(c, section, minor ? "spell minor" : "spell major", minor, g, err);
    }
    return s;
}

static music_harmony_table *take(bl_config *c, bl_error *err)
{
    music_harmony_table *t = calloc(1, sizeof *t);
    harmony_genre common = { .evidence = 1, .grammar = 1, .duration = 1, .rich = 1, .sus = 1 };
    bl_status s = t ? read_numbers(c, decoder, &common, err) : bl_fail(err, BL_ENOMEM, "%s: no memory for the genres", bl_config_name(c));
    const char *last = "";
    for (int i = 0; s == BL_OK && i < bl_config_count(c); i++) {
        const char *section = bl_config_at(c, i)->section;
        if (strcmp(section, last) && strcmp(section, decoder))
            s = read_genre(c, section, &common, t, err);
        last = section;
    }
    if (s == BL_OK && t->n_genres == 0)
        s = bl_fail(err, BL_EFORMAT, "%s: no section for a genre", bl_config_name(c));
    if (s == BL_OK)
        s = bl_config_check_unused(c, err);
    bl_config_free(c);
    if (s == BL_OK)
        return t;
    free(t);
    return NULL;
}

music_harmony_table *music_harmony_table_load(const char *path, bl_error *err)
{
    bl_error local = { 0 };
    bl_config *c = bl_config_load(path, err ? err : &local);
    return c ? take(c, err ? err : &local) : NULL;
}

music_harmony_table *music_harmony_table_parse(const char *text, const char *name, bl_error *err)
{
    bl_error local = { 0 };
    bl_config *c = bl_config_parse(text, name, err ? err : &local);
    return c ? take(c, err ? err : &local) : NULL;
}

void music_harmony_table_free(music_harmony_table *table)
{
    free(table);
}

const char *music_harmony_genre(const music_harmony_table *table, int i)
{
    return i >= 0 && i < table->n_genres ? table->genre[i].name : NULL;
}

const harmony_genre *harmony_find_genre(const music_harmony_table *table, const char *name, bl_error *err)
{
    char known[700] = "";
    for (int i = 0; i < table->n_genres; i++) {
        if (!strcmp(table->genre[i].name, name))
            return &table->genre[i];
        const size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", table->genre[i].name);
    }
    bl_fail(err, BL_EARG, "no harmony for genre \"%s\"; there are %s", name, known);
    return NULL;
}
