/* One line of a network's section: its type or part, its options, its inputs. */
#include "nn/network_parse.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_WORDS = 40 };

/* Index of a name of the scope (without its prefix), -1. */
int nn_parse_name(const nn_builder *b, const char *key)
{
    char full[2 * NN_NETWORK_KEY];
    snprintf(full, sizeof full, "%s%s", b->scope->prefix, key);
    for (int i = b->net->n_names - 1; i >= b->scope->first_name; i--)
        if (!strcmp(b->net->names[i].key, full))
            return i;
    return -1;
}

bl_status nn_parse_unknown(const nn_builder *b, const char *format, const char *word)
{
    const char *names[NN_PARSE_NAMES];
    char hint[80];
    int n = 0;
    for (int i = b->scope->first_name; i < b->net->n_names && n < NN_PARSE_NAMES; i++)
        names[n++] = b->net->names[i].key + strlen(b->scope->prefix);
    return nn_parse_fail(b, format, word, nn_parse_hint(word, names, n, hint));
}

static int count_inputs(const nn_builder *b, const char *section)
{
    int n = 0;
    for (int i = 0; i < bl_config_count(b->config); i++) {
        const bl_config_entry *e = bl_config_at(b->config, i);
        n += !strcmp(e->section, section) && !strncmp(e->key, "input.", 6);
    }
    return n;
}

/* Splits text at blanks in place. */
static int split_words(const nn_builder *b, char *text, char *words[MAX_WORDS])
{
    int n = 0;
    for (char *c = text + strspn(text, " \t\r\n"); *c; c += strspn(c, " \t\r\n")) {
        if (n == MAX_WORDS) {
            nn_parse_fail(b, "more than %d words", MAX_WORDS);
            return -1;
        }
        words[n++] = c;
        c += strcspn(c, " \t\r\n");
        if (*c)
            *c++ = '\0';
    }
    return n;
}

/* The type or part of a name, with the options that it takes. */
static bl_status find_type(nn_builder *b, const char *name, nn_line *line)
{
    const char *names[NN_PARSE_NAMES];
    char hint[80];
    int n = 0;
    static const char *const own[NN_LINE_OWN] = { "from", "repeat", "share" };
    memcpy(line->option, own, sizeof own);
    line->n_options = NN_LINE_OWN;
    for (const nn_layer_type *const *type = nn_layer_types; *type; type++) {
        if (!strcmp((*type)->name, name)) {
            line->type = *type;
            for (const nn_layer_option *o = (*type)->options; o && o->name; o++)
                line->option[line->n_options++] = o->name;
            return BL_OK;
        }
        if (n < NN_PARSE_NAMES)
            names[n++] = (*type)->name;
    }
    for (int i = 0; i < bl_config_count(b->config); i++) {
        const bl_config_entry *e = bl_config_at(b->config, i);
        if (strncmp(e->key, "input.", 6))
            continue;
        if (!strcmp(e->section, name)) {
            line->part = e->section;
            line->n_options += nn_parse_variables(b, name, line->option + NN_LINE_OWN, NN_LAYER_OPTIONS);
            return BL_OK;
        }
        if (n < NN_PARSE_NAMES)
            names[n++] = e->section;
    }
    return nn_parse_fail(b, "there is no layer type \"%s\"%s", name, nn_parse_hint(name, names, n, hint));
}

static bl_status parse_from(nn_builder *b, const char *list, nn_line *line)
{
    char word[64];
    line->n_in = 0;
    while (nn_parse_next(&list, word)) {
        const int name = nn_parse_name(b, word);
        if (name < 0)
            return nn_parse_unknown(b, "from=%s: no layer or input above has this name%s", word);
        if (line->n_in == NN_MAX_IN)
            return nn_parse_fail(b, "from=: at most %d inputs", NN_MAX_IN);
        b->net->names[name].used = 1;
        line->in[line->n_in++] = b->net->names[name].item;
    }
    return line->n_in ? BL_OK : nn_parse_fail(b, "from=: a name is missing");
}

/* One option=value; `own`: from=, repeat= and share= are allowed. */
static bl_status parse_option(nn_builder *b, const char *word, int own, nn_line *line)
{
    static const nn_layer_option repeat = { "repeat", NN_OPTION_INT, 1, 1, 1000, "", NULL };
    const char *equals = strchr(word, '='), *type = line->type ? line->type->name : line->part;
    char name[64], hint[80];
    double value;
    if (!equals || equals == word)
        return nn_parse_fail(b, "expected option=value without blanks, got \"%s\"", word);
    snprintf(name, sizeof name, "%.*s", (int)(equals - word < 63 ? equals - word : 63), word);
    if (own && !strcmp(name, "from"))
        return parse_from(b, equals + 1, line);
    if (own && !strcmp(name, "repeat")) {
        if (nn_parse_value(b, &repeat, equals + 1, &value) != BL_OK)
            return b->err->code;
        line->repeat = (int)value;
        return BL_OK;
    }
    if (own && !strcmp(name, "share")) {
        if (nn_parse_name(b, equals + 1) < 0)
            return nn_parse_unknown(b, "share=%s: no layer above has this name%s", equals + 1);
        snprintf(line->share, sizeof line->share, "%s", equals + 1);
        return BL_OK;
    }
    for (int i = NN_LINE_OWN; i < line->n_options; i++) {
        const int k = i - NN_LINE_OWN;
        if (strcmp(name, line->option[i]))
            continue;
        if (nn_parse_list(b, name, equals + 1, line->text[k], &line->n_values[k]) != BL_OK)
            return b->err->code;
        for (int v = 0; v < line->n_values[k]; v++) {
            char set[40];
            if (line->type ? nn_parse_value(b, &line->type->options[k], line->text[k][v], &value) != BL_OK
                           : nn_parse_setting(b, line->part, name, line->text[k][v], set) != BL_OK)
                return b->err->code;
            if (!line->type)
                snprintf(line->text[k][v], sizeof line->text[k][v], "%s", set);
        }
        return BL_OK;
    }
    const int skip = own ? 0 : NN_LINE_OWN;
    return nn_parse_fail(b, "%s has no option \"%s\"%s", type, name,
                         nn_parse_hint(name, line->option + skip, line->n_options - skip, hint));
}

/* Options of a line's words from the first on. */
static bl_status parse_options(nn_builder *b, const char *text, int first, int own, nn_line *line)
{
    char *words[MAX_WORDS], *copy = malloc(strlen(text) + 1);
    bl_status status = BL_OK;
    if (!copy)
        return nn_parse_no_memory(b);
    strcpy(copy, text);
    const int n = split_words(b, copy, words);
    for (int i = first; i < n && status == BL_OK; i++)
        status = parse_option(b, words[i], own, line);
    free(copy);
    return n < 0 ? b->err->code : status;
}

/* The options that "defaults.TYPE" lines above give to this type. */
static bl_status apply_defaults(nn_builder *b, nn_line *line)
{
    nn_scope *s = b->scope;
    const bl_config_entry *here = s->entry;
    for (int i = 0; i < s->n_defaults; i++) {
        const bl_config_entry *e = bl_config_at(b->config, s->defaults[i]);
        if (strcmp(e->key + strlen("defaults."), line->type ? line->type->name : line->part))
            continue;
        s->default_used[i] = 1;
        s->entry = e;
        if (parse_options(b, e->value, 0, 0, line) != BL_OK)
            return b->err->code;
        s->entry = here;
    }
    return BL_OK;
}

static bl_status allocate(nn_builder *b, nn_line *line)
{
    line->text = calloc(NN_LAYER_OPTIONS, sizeof *line->text);
    return line->text ? BL_OK : nn_parse_no_memory(b);
}

bl_status nn_line_defaults(nn_builder *b, int entry)
{
    nn_line line = { .repeat = 1, .length = 1 };
    nn_scope *s = b->scope;
    if (s->n_defaults == NN_PARSE_DEFAULTS)
        return nn_parse_fail(b, "at most %d lines of defaults in a section", NN_PARSE_DEFAULTS);
    if (allocate(b, &line) == BL_OK && find_type(b, s->entry->key + strlen("defaults."), &line) == BL_OK
        && parse_options(b, s->entry->value, 0, 0, &line) == BL_OK) {
        s->default_used[s->n_defaults] = 0;
        s->defaults[s->n_defaults++] = entry;
    }
    free(line.text);
    return b->err->code;
}

/* What a line counts: copies, inputs. */
static bl_status check_line(nn_builder *b, nn_line *line)
{
    for (int i = 0; i < NN_LAYER_OPTIONS; i++)
        if (line->n_values[i] > 1) {
            if (line->length > 1 && line->n_values[i] != line->length)
                return nn_parse_fail(b, "lists of %d and %d values", line->length, line->n_values[i]);
            line->length = line->n_values[i];
        }
    if (!line->n_in && b->scope->above >= 0) {
        b->net->names[b->scope->above].used = 1;
        line->in[line->n_in++] = b->net->names[b->scope->above].item;
    }
    const int n_part = line->part ? count_inputs(b, line->part) : 0;
    const int min = line->part ? n_part : line->type->min_in, max = line->part ? n_part : line->type->max_in;
    if (line->n_in >= min && line->n_in <= max)
        return BL_OK;
    char range[40];
    if (min == max)
        snprintf(range, sizeof range, "%d", min);
    else
        snprintf(range, sizeof range, "%d to %d", min, max);
    return nn_parse_fail(b, "%s takes %s inputs (from=a,b), got %d", line->part ? line->part : line->type->name, range,
                         line->n_in);
}

bl_status nn_line_parse(nn_builder *b, nn_line *line)
{
    const char *text = b->scope->entry->value;
    char first[64];
    *line = (nn_line){ .repeat = 1, .length = 1 };
    text += strspn(text, " \t\r\n");
    snprintf(first, sizeof first, "%.*s", (int)strcspn(text, " \t\r\n") < 63 ? (int)strcspn(text, " \t\r\n") : 63, text);
    if (!isalpha((unsigned char)first[0]))
        return nn_parse_fail(b, "expected a layer type, such as conv1d, or a number without blanks");
    if (allocate(b, line) != BL_OK || find_type(b, first, line) != BL_OK || apply_defaults(b, line) != BL_OK
        || parse_options(b, text, 1, 1, line) != BL_OK)
        return b->err->code;
    return check_line(b, line);
}

void nn_line_free(nn_line *line)
{
    free(line->text);
}

/* The value of option k for copy `index` of a line; NULL when the line does not give it. */
const char *nn_line_value(const nn_line *line, int k, int index)
{
    return line->n_values[k] ? line->text[k][index % line->length % line->n_values[k]] : NULL;
}
