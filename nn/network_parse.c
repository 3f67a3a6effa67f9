/* Networks from .ini sections: parsing and wiring. Every mistake has its sentence. */
#include "nn/network_private.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LIST = 64, MAX_WORDS = 40 };

typedef struct parser {
    const bl_config       *config;
    const bl_config_entry *entry;
    nn_network            *net;
    bl_error              *err;
} parser;

static bl_status fail(const parser *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bl_status fail(const parser *p, const char *format, ...)
{
    char text[360], line[32] = "";
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    if (p->entry->line)
        snprintf(line, sizeof line, " line %d", p->entry->line);
    return bl_fail(p->err, BL_EARG, "%s%s: [%s] %s: %s", bl_config_name(p->config), line, p->entry->section,
                   p->entry->key, text);
}

static const char *did_you_mean(const char *word, const char *const *names, int n, char out[80])
{
    const char *near = bl_nearest(word, names, n);
    out[0] = '\0';
    if (near)
        snprintf(out, 80, "; did you mean \"%.50s\"?", near);
    return out;
}

static nn_network_item *add_item(parser *p, const char *key)
{
    nn_network *net = p->net;
    if (strlen(key) >= sizeof net->items->key) {
        fail(p, "a name has at most %zu characters", sizeof net->items->key - 1);
        return NULL;
    }
    for (const char *c = key; *c; c++)
        if (!isalnum((unsigned char)*c) && *c != '_' && *c != '/') {
            fail(p, "a name consists of letters, digits and _");
            return NULL;
        }
    for (int i = 0; i < net->n; i++)
        if (!strcmp(net->items[i].key, key)) {
            fail(p, "the name \"%s\" is taken already (line %d)", key, net->items[i].line);
            return NULL;
        }
    if (net->n == net->capacity) {
        const int capacity = net->capacity ? 2 * net->capacity : 32;
        nn_network_item *items = realloc(net->items, (size_t)capacity * sizeof *items);
        if (!items) {
            bl_fail(p->err, BL_ENOMEM, "no memory for the network [%s]", net->section);
            return NULL;
        }
        net->items = items;
        net->capacity = capacity;
    }
    nn_network_item *it = &net->items[net->n++];
    memset(it, 0, sizeof *it);
    snprintf(it->key, sizeof it->key, "%s", key);
    it->line = p->entry->line;
    it->last_use = -1;
    return it;
}

/* Splits text at blanks in place. */
static int split_words(parser *p, char *text, char *words[MAX_WORDS])
{
    int n = 0;
    for (char *c = text + strspn(text, " \t\r\n"); *c; c += strspn(c, " \t\r\n")) {
        if (n == MAX_WORDS) {
            fail(p, "more than %d words", MAX_WORDS);
            return -1;
        }
        words[n++] = c;
        c += strcspn(c, " \t\r\n");
        if (*c)
            *c++ = '\0';
    }
    return n;
}

/* Takes the next element of a comma list, blanks around it removed; 0 at the end. */
static int next_of_list(const char **list, char out[64])
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

static bl_status parse_input(parser *p)
{
    const char *list = p->entry->value;
    char word[64], *end;
    nn_network_item *it = add_item(p, p->entry->key + strlen("input."));
    if (!it)
        return p->err->code;
    while (next_of_list(&list, word)) {
        if (it->shape.rank == NN_MAX_RANK - 1)
            return fail(p, "an input has at most %d dimensions", NN_MAX_RANK - 1);
        const long long n = strtoll(word, &end, 10);
        int64_t dim = n;
        if (end == word && isalpha((unsigned char)word[0]) && strlen(word) == 1)
            dim = -1;
        else if (end == word || *end || n < 1 || n > INT32_MAX)
            return fail(p, "expected sizes such as \"64, T\" (T: any length), got \"%s\"", p->entry->value);
        if (it->shape.rank > 0 && it->shape.dim[it->shape.rank - 1] < 0)
            return fail(p, "only the last dimension may be free");
        it->shape.dim[it->shape.rank++] = dim;
    }
    if (it->shape.rank == 0 || (it->shape.rank == 1 && it->shape.dim[0] < 0))
        return fail(p, "expected sizes such as \"64, T\" or \"100\", got \"%s\"", p->entry->value);
    p->net->n_inputs++;
    return BL_OK;
}

static int choice_index(const char *choices, const char *word)
{
    const size_t length = strlen(word);
    int index = 0;
    for (const char *c = choices; c; c = strchr(c, '|'), c = c ? c + 1 : NULL, index++)
        if (strcspn(c, "|") == length && !strncmp(c, word, length))
            return index;
    return -1;
}

static bl_status parse_value(parser *p, const nn_layer_option *o, const char *word, double *out)
{
    static const char *const yes_no[] = { "false", "true", "no", "yes", "off", "on", "0", "1" };
    char *end;
    if (o->kind == NN_OPTION_BOOL) {
        for (int i = 0; i < 8; i++)
            if (!strcmp(word, yes_no[i])) {
                *out = i % 2;
                return BL_OK;
            }
        return fail(p, "%s=%s: expected true or false", o->name, word);
    }
    const int choice = o->choices ? choice_index(o->choices, word) : -1;
    if (o->kind == NN_OPTION_CHOICE) {
        *out = choice;
        return choice >= 0 ? BL_OK : fail(p, "%s=%s: expected one of %s", o->name, word, o->choices);
    }
    if (choice >= 0) {
        *out = -1 - choice;
        return BL_OK;
    }
    *out = strtod(word, &end);
    if (end == word || *end || !isfinite(*out))
        return o->choices ? fail(p, "%s=%s: expected a number or one of %s", o->name, word, o->choices)
                          : fail(p, "%s=%s: expected a number", o->name, word);
    if (o->kind == NN_OPTION_INT && *out != floor(*out))
        return fail(p, "%s=%s: expected a whole number", o->name, word);
    if (*out < o->min || *out > o->max)
        return fail(p, "%s=%s: expected %g to %g", o->name, word, o->min, o->max);
    return BL_OK;
}

/* "3", "1,2,4" or "1..512", which doubles. */
static bl_status parse_list(parser *p, const nn_layer_option *o, const char *text, double values[MAX_LIST], int *n)
{
    const char *dots = strstr(text, "..");
    char word[64];
    *n = 0;
    if (dots) {
        double first, last;
        snprintf(word, sizeof word, "%.*s", (int)(dots - text), text);
        if (parse_value(p, o, word, &first) != BL_OK || parse_value(p, o, dots + 2, &last) != BL_OK)
            return p->err->code;
        for (double v = first; *n < MAX_LIST && first > 0 && v <= last; v *= 2)
            values[(*n)++] = v;
        if (*n == 0 || values[*n - 1] != last)
            return fail(p, "%s=%s: a range doubles from its first to its last value, such as 1..512", o->name, text);
        return BL_OK;
    }
    while (next_of_list(&text, word)) {
        if (*n == MAX_LIST)
            return fail(p, "%s: more than %d values", o->name, MAX_LIST);
        if (parse_value(p, o, word, &values[(*n)++]) != BL_OK)
            return p->err->code;
    }
    return *n ? BL_OK : fail(p, "%s=: a value is missing", o->name);
}

/* One .ini line of a layer, before it becomes layers. */
typedef struct layer_line {
    const nn_layer_type *type;
    double (*values)[MAX_LIST];  /* [NN_LAYER_OPTIONS] */
    int    n_values[NN_LAYER_OPTIONS];
    int    in[NN_MAX_IN], n_in;
    int    repeat, length;       /* times, and layers each time */
} layer_line;

static bl_status parse_from(parser *p, const char *list, layer_line *line)
{
    char word[64], hint[80];
    while (next_of_list(&list, word)) {
        const int index = nn_network_find(p->net, word);
        if (index < 0) {
            const char *names[256];
            int n = 0;
            for (; n < p->net->n && n < 256; n++)
                names[n] = p->net->items[n].key;
            return fail(p, "from=%s: no layer or input above has this name%s", word, did_you_mean(word, names, n, hint));
        }
        if (line->n_in == NN_MAX_IN)
            return fail(p, "from=: at most %d inputs", NN_MAX_IN);
        line->in[line->n_in++] = index;
    }
    return line->n_in ? BL_OK : fail(p, "from=: a name is missing");
}

static bl_status parse_option(parser *p, const char *word, layer_line *line)
{
    static const nn_layer_option repeat = { "repeat", NN_OPTION_INT, 1, 1, 1000, "", NULL };
    const char *equals = strchr(word, '=');
    const char *names[NN_LAYER_OPTIONS + 2] = { "from", "repeat" };
    char name[64], hint[80];
    double value;
    int n = 2;
    if (!equals || equals == word)
        return fail(p, "expected option=value without blanks, got \"%s\"", word);
    snprintf(name, sizeof name, "%.*s", (int)(equals - word < 63 ? equals - word : 63), word);
    if (!strcmp(name, "from"))
        return parse_from(p, equals + 1, line);
    if (!strcmp(name, "repeat")) {
        if (parse_value(p, &repeat, equals + 1, &value) != BL_OK)
            return p->err->code;
        line->repeat = (int)value;
        return BL_OK;
    }
    for (const nn_layer_option *o = line->type->options; o && o->name; o++) {
        if (!strcmp(name, o->name))
            return parse_list(p, o, equals + 1, line->values[n - 2], &line->n_values[n - 2]);
        names[n++] = o->name;
    }
    return fail(p, "%s has no option \"%s\"%s", line->type->name, name, did_you_mean(name, names, n, hint));
}

static const nn_layer_type *find_type(parser *p, const char *name)
{
    const char *names[256];
    char hint[80];
    int n = 0;
    for (const nn_layer_type *const *type = nn_layer_types; *type; type++) {
        if (!strcmp((*type)->name, name))
            return *type;
        if (n < 256)
            names[n++] = (*type)->name;
    }
    fail(p, "there is no layer type \"%s\"%s", name, did_you_mean(name, names, n, hint));
    return NULL;
}

/* One layer of a line: options, inputs, build. */
static bl_status add_layer(parser *p, const layer_line *line, int index)
{
    nn_network *net = p->net;
    char key[64];
    if (line->repeat * line->length > 1)
        snprintf(key, sizeof key, "%.50s/%d", p->entry->key, index);
    else
        snprintf(key, sizeof key, "%s", p->entry->key);
    nn_layer *l = calloc(1, sizeof *l);
    nn_network_item *it = l ? add_item(p, key) : NULL;
    if (!it) {
        free(l);
        return bl_fail(p->err, BL_ENOMEM, "no memory for the network [%s]", net->section);
    }
    it->layer = l;
    l->type = line->type;
    l->params = net->params;
    if (snprintf(l->path, sizeof l->path, "%s/%s", net->section, key) >= (int)sizeof l->path)
        return fail(p, "the path %s/%s is too long", net->section, key);
    for (int i = 0; l->type->options && l->type->options[i].name; i++) {
        const nn_layer_option *o = &l->type->options[i];
        if (!line->n_values[i] && isnan(o->fallback))
            return fail(p, "%s needs %s= (%s)", l->type->name, o->name, o->help);
        l->option[i] = line->n_values[i] ? line->values[i][index % line->length % line->n_values[i]] : o->fallback;
    }
    it->n_in = l->n_in = line->n_in;
    for (int i = 0; i < line->n_in; i++) {
        it->in[i] = i == 0 && index > 0 ? net->n - 2 : line->in[i];
        l->in_shape[i] = net->items[it->in[i]].shape;
    }
    bl_error problem = { BL_OK, "" };
    if (l->type->build(l, &problem) != BL_OK)
        return fail(p, "%s: %s", l->type->name, problem.msg);
    it->shape = l->out_shape;
    for (int d = 0; d < it->shape.rank; d++)
        if (it->shape.dim[d] == 0)
            return fail(p, "%s: the input is too short, nothing comes out", l->type->name);
    return BL_OK;
}

static bl_status parse_layer(parser *p)
{
    char *words[MAX_WORDS];
    layer_line line = { .repeat = 1, .length = 1 };
    bl_status status = BL_ENOMEM;
    const size_t size = strlen(p->entry->value) + 1;
    char *text = malloc(size);
    line.values = calloc(NN_LAYER_OPTIONS, sizeof *line.values);
    if (!text || !line.values) {
        bl_fail(p->err, BL_ENOMEM, "no memory for the network [%s]", p->net->section);
        goto done;
    }
    memcpy(text, p->entry->value, size);
    const int n_words = split_words(p, text, words);
    if (n_words <= 0) {
        status = n_words < 0 ? p->err->code : fail(p, "expected a layer type, such as conv1d");
        goto done;
    }
    line.type = find_type(p, words[0]);
    status = line.type ? BL_OK : p->err->code;
    for (int i = 1; i < n_words && status == BL_OK; i++)
        status = parse_option(p, words[i], &line);
    if (status != BL_OK)
        goto done;
    for (int i = 0; i < NN_LAYER_OPTIONS; i++)
        if (line.n_values[i] > 1) {
            if (line.length > 1 && line.n_values[i] != line.length) {
                status = fail(p, "lists of %d and %d values", line.length, line.n_values[i]);
                goto done;
            }
            line.length = line.n_values[i];
        }
    if (!line.n_in && p->net->n > 0)
        line.in[line.n_in++] = p->net->n - 1;
    if (line.n_in < line.type->min_in || line.n_in > line.type->max_in) {
        char range[40];
        if (line.type->min_in == line.type->max_in)
            snprintf(range, sizeof range, "%d", line.type->min_in);
        else
            snprintf(range, sizeof range, "%d to %d", line.type->min_in, line.type->max_in);
        status = fail(p, "%s takes %s inputs (from=a,b), got %d", line.type->name, range, line.n_in);
        goto done;
    }
    for (int i = 0; i < line.repeat * line.length && status == BL_OK; i++)
        status = add_layer(p, &line, i);
done:
    free(text);
    free(line.values);
    return status;
}

static bl_status parse_output(parser *p)
{
    const char *list = p->entry->value;
    char word[64], hint[80];
    while (next_of_list(&list, word)) {
        const int index = nn_network_find(p->net, word);
        if (index < 0) {
            const char *names[256];
            int n = 0;
            for (; n < p->net->n && n < 256; n++)
                names[n] = p->net->items[n].key;
            return fail(p, "no layer has the name \"%s\"%s", word, did_you_mean(word, names, n, hint));
        }
        if (p->net->n_outputs == NN_NETWORK_OUTPUTS)
            return fail(p, "at most %d outputs", NN_NETWORK_OUTPUTS);
        p->net->output[p->net->n_outputs++] = index;
    }
    return p->net->n_outputs ? BL_OK : fail(p, "a name is missing");
}

/* When a value is read for the last time; what nobody reads is a mistake in the file. */
static bl_status find_last_uses(parser *p)
{
    nn_network *net = p->net;
    for (int i = 0; i < net->n; i++)
        for (int k = 0; k < net->items[i].n_in; k++)
            net->items[net->items[i].in[k]].last_use = i;
    for (int i = 0; i < net->n_outputs; i++)
        net->items[net->output[i]].last_use = net->n;
    for (int i = 0; i < net->n; i++) {
        const nn_network_item *it = &net->items[i];
        if (it->last_use < 0)
            return bl_fail(p->err, BL_EARG, "%s line %d: [%s] %s%s: nothing uses it; name it in from= or in output =",
                           bl_config_name(p->config), it->line, net->section, it->layer ? "" : "input.", it->key);
    }
    return BL_OK;
}

nn_network *nn_network_build(const bl_config *config, const char *section, nn_params *params, bl_error *err)
{
    bl_error local = { BL_OK, "" };
    nn_network *net = calloc(1, sizeof *net);
    parser p = { config, NULL, net, &local };
    const bl_config_entry *output = NULL;
    if (!net) {
        bl_fail(err, BL_ENOMEM, "no memory for the network [%s]", section);
        return NULL;
    }
    net->params = params;
    if (snprintf(net->section, sizeof net->section, "%s", section) >= (int)sizeof net->section)
        bl_fail(&local, BL_EARG, "%s: the section name [%.60s] is longer than %zu characters", bl_config_name(config),
                section, sizeof net->section - 1);
    for (int i = 0; i < bl_config_count(config) && !local.code; i++) {
        p.entry = bl_config_at(config, i);
        if (strcmp(p.entry->section, section))
            continue;
        bl_config_mark_used(config, i);
        if (!strncmp(p.entry->key, "input.", 6))
            parse_input(&p);
        else if (!strcmp(p.entry->key, "output"))
            output = p.entry;
        else if (net->n == 0)
            fail(&p, "a network starts with its inputs, such as input.x = 1, T");
        else
            parse_layer(&p);
    }
    if (!local.code && net->n == net->n_inputs)
        bl_fail(&local, BL_EARG, "%s: the network [%s] has no layers", bl_config_name(config), section);
    if (!local.code && output) {
        p.entry = output;
        parse_output(&p);
    } else if (!local.code) {
        net->output[net->n_outputs++] = net->n - 1;
    }
    if (!local.code)
        find_last_uses(&p);
    if (!local.code)
        return net;
    bl_fail(err, local.code, "%s", local.msg);
    nn_network_free(net);
    return NULL;
}
