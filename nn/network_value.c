/* Values in a network's section: variables, expressions, lists, sizes. */
#include "nn/network_parse.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bl_status nn_parse_fail(const nn_builder *b, const char *format, ...)
{
    char text[320], line[32] = "", used[160] = "";
    const nn_scope *s = b->scope, *user = s->outer;
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    if (s->entry->line)
        snprintf(line, sizeof line, " line %d", s->entry->line);
    if (user)
        snprintf(used, sizeof used, " (used by [%s] %s, line %d)", user->section, user->entry->key, user->entry->line);
    return bl_fail(b->err, BL_EARG, "%s%s: [%s] %s: %s%s", bl_config_name(b->config), line, s->entry->section,
                   s->entry->key, text, used);
}

bl_status nn_parse_no_memory(const nn_builder *b)
{
    return bl_fail(b->err, BL_ENOMEM, "no memory for the network [%s]", b->net->section);
}

const char *nn_parse_hint(const char *word, const char *const *names, int n, char out[80])
{
    const char *near = bl_nearest(word, names, n);
    out[0] = '\0';
    if (near)
        snprintf(out, 80, "; did you mean \"%.50s\"?", near);
    return out;
}

int nn_parse_next(const char **list, char out[64])
{
    const char *c = *list + strspn(*list, " \t");
    if (!*c)
        return 0;
    const size_t whole = strcspn(c, ",");
    size_t n = whole;
    while (n > 0 && (c[n - 1] == ' ' || c[n - 1] == '\t'))
        n--;
    snprintf(out, 64, "%.*s", (int)(n < 63 ? n : 63), c);
    *list = c + whole + (c[whole] == ',');
    return 1;
}

/* ---- variables ---- */

static int is_truth(const char *w)
{
    static const char *const words[] = { "false", "true", "no", "yes", "off", "on" };
    for (int i = 0; i < 6; i++)
        if (!strcmp(w, words[i]))
            return 1;
    return 0;
}

static int is_identifier(const char *w)
{
    if (!isalpha((unsigned char)*w) && *w != '_')
        return 0;
    for (; *w; w++)
        if (!isalnum((unsigned char)*w) && *w != '_' && *w != '.')
            return 0;
    return 1;
}

static const bl_config_entry *find_entry(const nn_builder *b, const char *section, const char *key, int *index)
{
    for (int i = 0; i < bl_config_count(b->config); i++) {
        const bl_config_entry *e = bl_config_at(b->config, i);
        if (!strcmp(e->section, section) && !strcmp(e->key, key)) {
            *index = i;
            return e;
        }
    }
    return NULL;
}

/* Is w the letter of a size of an input of this section ("C" of input.x = C, T)? */
static int is_size_letter(const nn_builder *b, const char *section, const char *w)
{
    if (!isalpha((unsigned char)w[0]) || w[1])
        return 0;
    for (int i = 0; i < bl_config_count(b->config); i++) {
        const bl_config_entry *e = bl_config_at(b->config, i);
        if (strcmp(e->section, section) || strncmp(e->key, "input.", 6))
            continue;
        const char *list = e->value;
        char word[64];
        while (nn_parse_next(&list, word))
            if (!strcmp(word, w))
                return 1;
    }
    return 0;
}

static int is_variable(const nn_builder *b, const bl_config_entry *e, int depth)
{
    const char *v = e->value;
    int index;
    if (!*v || strpbrk(v, " \t\n=,") || !strcmp(e->key, "output") || !strcmp(e->key, "checkpoint")
        || strchr(e->key, '.') || depth > NN_PARSE_DEPTH)
        return 0;
    if (!is_identifier(v) || strchr(v, '.') || is_truth(v) || !strcmp(v, "required"))
        return 1;
    for (const nn_layer_type *const *type = nn_layer_types; *type; type++)
        if (!strcmp((*type)->name, v))
            return 0;
    if (is_size_letter(b, e->section, v))
        return 1;
    const bl_config_entry *other = find_entry(b, e->section, v, &index);
    return other && is_variable(b, other, depth + 1);
}

int nn_parse_is_variable(const nn_builder *b, const bl_config_entry *e)
{
    return is_variable(b, e, 0);
}

int nn_parse_variables(const nn_builder *b, const char *section, const char **names, int capacity)
{
    int n = 0;
    for (int i = 0; i < bl_config_count(b->config) && n < capacity; i++) {
        const bl_config_entry *e = bl_config_at(b->config, i);
        if (!strcmp(e->section, section) && nn_parse_is_variable(b, e))
            names[n++] = e->key;
    }
    return n;
}

/* The text of a variable: what the user of the part has set, else the section's line; NULL when there is none. */
static const char *text_of(nn_builder *b, const nn_scope *scope, const char *section, const char *name)
{
    int index;
    const bl_config_entry *e = find_entry(b, section, name, &index);
    if (!e || !nn_parse_is_variable(b, e))
        return NULL;
    b->variable_used[index] = 1;
    bl_config_mark_used(b->config, index);
    for (int i = 0; scope && i < scope->n_settings; i++)
        if (!strcmp(scope->setting[i].name, name))
            return scope->setting[i].text;
    return e->value;
}

const char *nn_parse_word(nn_builder *b, const char *w, char out[64])
{
    for (int depth = 0; depth < NN_PARSE_DEPTH && is_identifier(w); depth++) {
        const char *text = text_of(b, b->scope, b->scope->section, w);
        if (!text)
            break;
        w = text;
    }
    const size_t n = strlen(w);
    if (n >= 2 && w[0] == '"' && w[n - 1] == '"')
        snprintf(out, 64, "%.*s", (int)(n - 2 < 63 ? n - 2 : 63), w + 1);
    else
        snprintf(out, 64, "%s", w);
    return out;
}

/* ---- expressions ---- */

/* Recursive descent; `section` and `scope` say whose variables are meant (scope NULL: another section's). */
typedef struct expression {
    nn_builder     *b;
    const nn_scope *scope;
    const char     *section, *c;
    int             depth;
    char           *why;
} expression;

static int sum(expression *e, double *out);

static int wrong(expression *e, const char *format, const char *a, const char *hint)
{
    if (!*e->why)
        snprintf(e->why, 200, format, a, hint);
    return 0;
}

static int unknown_name(expression *e, const char *name)
{
    const char *names[NN_PARSE_NAMES];
    char hint[80];
    const int n = nn_parse_variables(e->b, e->section, names, NN_PARSE_NAMES);
    return wrong(e, "there is no variable \"%.40s\"%s", name, nn_parse_hint(name, names, n, hint));
}

static int variable(expression *e, double *out)
{
    char name[64], section[64];
    size_t n = 0;
    while (isalnum((unsigned char)e->c[n]) || e->c[n] == '_' || e->c[n] == '.')
        n++;
    snprintf(name, sizeof name, "%.*s", (int)(n < 63 ? n : 63), e->c);
    e->c += n;
    expression inner = *e;
    const char *dot = strrchr(name, '.'), *key = name;
    if (dot) { /* another section's */
        snprintf(section, sizeof section, "%.*s", (int)(dot - name), name);
        key = dot + 1;
        inner.section = section;
        inner.scope = NULL;
    }
    const char *text = text_of(e->b, inner.scope, inner.section, key);
    if (!text) {
        const int64_t size = inner.scope && !key[1] ? inner.scope->letter[(unsigned char)key[0] & 127] : 0;
        if (size < 0)
            return wrong(e, "%s is free here: no number can be worked out from it%s", key, "");
        *out = (double)size;
        return size > 0 || unknown_name(&inner, key);
    }
    if (!strcmp(text, "required"))
        return wrong(e, "%s is required: give it a value%s", name, "");
    if (++inner.depth > NN_PARSE_DEPTH)
        return wrong(e, "%s is defined by itself%s", name, "");
    inner.c = text;
    if (!sum(&inner, out))
        return 0;
    return !*inner.c || wrong(e, "%s = %.60s is not a number", name, text);
}

static int factor(expression *e, double *out)
{
    char *end;
    if (*e->c == '-') {
        e->c++;
        if (!factor(e, out))
            return 0;
        *out = -*out;
        return 1;
    }
    if (*e->c == '(') {
        e->c++;
        if (!sum(e, out))
            return 0;
        return *e->c == ')' ? (e->c++, 1) : wrong(e, "a closing bracket is missing%s%s", "", "");
    }
    if (isalpha((unsigned char)*e->c) || *e->c == '_')
        return variable(e, out);
    if (!isdigit((unsigned char)*e->c) && *e->c != '.')
        return wrong(e, "expected a number%s%s", "", "");
    *out = strtod(e->c, &end);
    if (end == e->c)
        return wrong(e, "expected a number%s%s", "", "");
    e->c = end;
    return 1;
}

static int product(expression *e, double *out)
{
    double right;
    if (!factor(e, out))
        return 0;
    while (*e->c == '*' || *e->c == '/') {
        const char op = *e->c++;
        if (!factor(e, &right))
            return 0;
        *out = op == '*' ? *out * right : *out / right;
    }
    return 1;
}

static int sum(expression *e, double *out)
{
    double right;
    if (!product(e, out))
        return 0;
    while (*e->c == '+' || *e->c == '-') {
        const char op = *e->c++;
        if (!product(e, &right))
            return 0;
        *out += op == '+' ? right : -right;
    }
    return 1;
}

bl_status nn_parse_expression(nn_builder *b, const char *text, double *out, char why[200])
{
    expression e = { b, b->scope, b->scope->section, text, 0, why };
    why[0] = '\0';
    if (!sum(&e, out))
        return BL_EARG;
    if (*e.c || !isfinite(*out)) {
        snprintf(why, 200, *e.c ? "expected a number" : "this is not a finite number");
        return BL_EARG;
    }
    return BL_OK;
}

/* ---- values of options ---- */

static int choice_index(const char *choices, const char *word)
{
    const size_t length = strlen(word);
    int index = 0;
    for (const char *c = choices; c; c = strchr(c, '|'), c = c ? c + 1 : NULL, index++)
        if (strcspn(c, "|") == length && !strncmp(c, word, length))
            return index;
    return -1;
}

static bl_status parse_number(nn_builder *b, const nn_layer_option *o, const char *word, double *out)
{
    char why[200];
    if (nn_parse_expression(b, word, out, why) != BL_OK) {
        if (!strcmp(why, "expected a number") || is_identifier(word))
            return nn_parse_fail(b, o->choices ? "%s=%s: expected a number or one of %s%s%s" : "%s=%s: expected a number%s%s%s",
                                 o->name, word, o->choices ? o->choices : "", is_identifier(word) ? "; " : "",
                                 is_identifier(word) ? why : "");
        return nn_parse_fail(b, "%s=%s: %s", o->name, word, why);
    }
    if (o->kind == NN_OPTION_INT && *out != floor(*out))
        return nn_parse_fail(b, "%s=%s: expected a whole number", o->name, word);
    if (*out < o->min || *out > o->max)
        return nn_parse_fail(b, "%s=%s: expected %g to %g", o->name, word, o->min, o->max);
    return BL_OK;
}

bl_status nn_parse_value(nn_builder *b, const nn_layer_option *o, const char *given, double *out)
{
    static const char *const yes_no[] = { "false", "true", "no", "yes", "off", "on", "0", "1" };
    char word[64];
    const int direct = o->choices ? choice_index(o->choices, given) : -1;
    nn_parse_word(b, given, word);
    if (o->kind == NN_OPTION_BOOL) {
        for (int i = 0; i < 8; i++)
            if (!strcmp(word, yes_no[i])) {
                *out = i % 2;
                return BL_OK;
            }
        return nn_parse_fail(b, "%s=%s: expected true or false", o->name, given);
    }
    const int choice = direct >= 0 ? direct : o->choices ? choice_index(o->choices, word) : -1;
    if (o->kind == NN_OPTION_CHOICE) {
        *out = choice;
        return choice >= 0 ? BL_OK : nn_parse_fail(b, "%s=%s: expected one of %s", o->name, given, o->choices);
    }
    if (choice >= 0) {
        *out = -1 - choice;
        return BL_OK;
    }
    return parse_number(b, o, given, out);
}

static bl_status parse_range(nn_builder *b, const char *option, const char *text, const char *dots, char (*values)[40], int *n)
{
    char word[64], why[200];
    double first, last, v;
    snprintf(word, sizeof word, "%.*s", (int)(dots - text < 63 ? dots - text : 63), text);
    if (nn_parse_expression(b, word, &first, why) != BL_OK || nn_parse_expression(b, dots + 2, &last, why) != BL_OK)
        return nn_parse_fail(b, "%s=%s: %s", option, text, why);
    for (v = first; *n < NN_PARSE_LIST && first > 0 && v <= last; v *= 2)
        snprintf(values[(*n)++], sizeof *values, "%.17g", v);
    if (*n == 0 || v != 2 * last)
        return nn_parse_fail(b, "%s=%s: a range doubles from its first to its last value, such as 1..512", option, text);
    return BL_OK;
}

bl_status nn_parse_list(nn_builder *b, const char *option, const char *text, char (*values)[40], int *n)
{
    const char *dots = strstr(text, "..");
    char word[64];
    *n = 0;
    if (dots)
        return parse_range(b, option, text, dots, values, n);
    while (nn_parse_next(&text, word)) {
        if (*n == NN_PARSE_LIST)
            return nn_parse_fail(b, "%s: more than %d values", option, NN_PARSE_LIST);
        if (snprintf(values[(*n)++], sizeof *values, "%s", word) >= (int)sizeof *values)
            return nn_parse_fail(b, "%s: a value is longer than %zu characters: %s", option, sizeof *values - 1, word);
    }
    return *n ? BL_OK : nn_parse_fail(b, "%s=: a value is missing", option);
}

bl_status nn_parse_setting(nn_builder *b, const char *part, const char *name, const char *given, char out[40])
{
    char word[64], why[200];
    double number;
    int index = 0;
    const bl_config_entry *e = find_entry(b, part, name, &index);
    const int takes_word = e && (e->value[0] == '"' || is_truth(e->value)), takes_both = e && !strcmp(e->value, "required");
    nn_parse_word(b, given, word);
    if (takes_word || (takes_both && (is_truth(word) || given[0] == '"'))) {
        snprintf(out, 40, e->value[0] == '"' ? "\"%.36s\"" : "%.38s", word);
        return BL_OK;
    }
    if (nn_parse_expression(b, given, &number, why) != BL_OK)
        return nn_parse_fail(b, "%s=%s: %s", name, given, why);
    snprintf(out, 40, "%.17g", number);
    return BL_OK;
}

bl_status nn_parse_size(nn_builder *b, const char *word, int64_t *size, int *divisor)
{
    char why[200], *end;
    double value;
    int index;
    *divisor = 1;
    if (isalpha((unsigned char)word[0]) && (!word[1] || word[1] == '/')) {
        const char letter[2] = { word[0], '\0' };
        const bl_config_entry *e = find_entry(b, b->scope->section, letter, &index);
        const long by = word[1] ? strtol(word + 2, &end, 10) : 1;
        if (!(e && nn_parse_is_variable(b, e)) && by > 0 && by < 1 << 24 && (!word[1] || (end > word + 2 && !*end))) {
            *size = -1;
            *divisor = (int)by;
            return BL_OK;
        }
    }
    if (nn_parse_expression(b, word, &value, why) != BL_OK) {
        if (is_identifier(word) && !strchr(word, '.'))
            return nn_parse_fail(b, "expected sizes such as \"64, T\" (T: any length), got \"%s\"", b->scope->entry->value);
        return nn_parse_fail(b, "%s: %s", word, why);
    }
    if (value != floor(value) || value < 1 || value > INT32_MAX)
        return nn_parse_fail(b, "expected sizes such as \"64, T\" (T: any length), got \"%s\"", b->scope->entry->value);
    *size = (int64_t)value;
    return BL_OK;
}
