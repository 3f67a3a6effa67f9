/* Networks from .ini sections: lines become items. Every mistake has its sentence. */
#include "nn/network_parse.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bl_status parse_section(nn_builder *b);

/* ---- items, names, groups ---- */

/* Makes room for one more element; 0 without memory. */
static int grow(const nn_builder *b, void **list, int n, int *capacity, size_t size)
{
    if (n < *capacity)
        return 1;
    const int wanted = *capacity ? 2 * *capacity : 32;
    void *longer = realloc(*list, (size_t)wanted * size);
    if (!longer) {
        nn_parse_no_memory(b);
        return 0;
    }
    *list = longer;
    *capacity = wanted;
    return 1;
}

/* A name with the scope's prefix: "up/conv". */
static void full_key(const nn_builder *b, const char *key, char out[NN_NETWORK_KEY])
{
    snprintf(out, NN_NETWORK_KEY, "%.47s%.48s", b->scope->prefix, key);
}

static bl_status check_key(const nn_builder *b, const char *key)
{
    if (strlen(key) > NN_NETWORK_KEY / 2 - 5) /* room for "/123" */
        return nn_parse_fail(b, "a name has at most %d characters", NN_NETWORK_KEY / 2 - 5);
    for (const char *c = key; *c; c++)
        if (!isalnum((unsigned char)*c) && *c != '_')
            return nn_parse_fail(b, "a name consists of letters, digits and _");
    const int taken = nn_parse_name(b, key);
    if (taken >= 0)
        return nn_parse_fail(b, "the name \"%s\" is taken already (line %d)", key, b->net->names[taken].line);
    return BL_OK;
}

static bl_status add_name(nn_builder *b, const char *key, int item)
{
    nn_network *net = b->net;
    if (!grow(b, (void **)&net->names, net->n_names, &net->name_capacity, sizeof *net->names))
        return b->err->code;
    nn_network_name *name = &net->names[net->n_names];
    memset(name, 0, sizeof *name);
    full_key(b, key, name->key);
    name->item = item;
    name->line = b->scope->entry->line;
    b->scope->above = net->n_names++;
    return BL_OK;
}

static nn_network_item *add_item(nn_builder *b, const char *key)
{
    nn_network *net = b->net;
    if (!grow(b, (void **)&net->items, net->n, &net->capacity, sizeof *net->items))
        return NULL;
    nn_network_item *it = &net->items[net->n++];
    memset(it, 0, sizeof *it);
    full_key(b, key, it->key);
    it->line = b->scope->entry->line;
    it->last_use = -1;
    return it;
}

/* ---- inputs ---- */

/* A part's input: the value that its user gives it, under a name of the part's own. */
static bl_status bind_input(nn_builder *b, const nn_shape *wanted, const char *letters, int item)
{
    const nn_shape *given = &b->net->items[item].shape;
    const char *key = b->scope->entry->key + strlen("input.");
    char text[96];
    int fits = given->rank == wanted->rank;
    for (int d = 0; d < given->rank && fits; d++) {
        int64_t *letter = &b->scope->letter[(unsigned char)letters[d]];
        const int64_t size = letters[d] ? *letter : wanted->dim[d];
        fits = size <= 0 || given->dim[d] < 0 || size == given->dim[d];
        if (letters[d] && (size <= 0 || given->dim[d] > 0))
            *letter = given->dim[d];
    }
    if (!fits)
        return nn_parse_fail(b, "expects a value of [%s], got %s", b->scope->entry->value, nn_network_shape_str(given, text));
    return add_name(b, key, item);
}

static bl_status parse_input(nn_builder *b, int given)
{
    const char *list = b->scope->entry->value, *key = b->scope->entry->key + strlen("input.");
    char word[64], letters[NN_MAX_RANK] = { 0 };
    int divisor[NN_MAX_RANK] = { 0 };
    nn_shape shape = { 0, { 0 } };
    if (check_key(b, key) != BL_OK)
        return b->err->code;
    while (nn_parse_next(&list, word)) {
        if (shape.rank == NN_MAX_RANK - 1)
            return nn_parse_fail(b, "an input has at most %d dimensions", NN_MAX_RANK - 1);
        const int d = shape.rank++;
        if (nn_parse_size(b, word, &shape.dim[d], &divisor[d]) != BL_OK)
            return b->err->code;
        if (shape.dim[d] < 0)
            letters[d] = (char)(word[0] & 127);
        else if (given < 0 && d > 0 && shape.dim[d - 1] < 0)
            return nn_parse_fail(b, "only the last dimension may be free, or all but the first");
    }
    if (shape.rank == 0 || (given < 0 && shape.dim[0] < 0))
        return shape.rank > 1 ? nn_parse_fail(b, "only the last dimension may be free, or all but the first")
                              : nn_parse_fail(b, "expected sizes such as \"64, T\" or \"100\", got \"%s\"",
                                              b->scope->entry->value);
    if (given >= 0)
        return bind_input(b, &shape, letters, given);
    nn_network_item *it = add_item(b, key);
    if (!it)
        return b->err->code;
    it->shape = shape;
    for (int d = 0; d < shape.rank; d++)
        it->divisor[d] = shape.dim[d] < 0 ? divisor[d] : 0;
    b->net->n_inputs++;
    return add_name(b, key, b->net->n - 1);
}

/* ---- a line becomes items ---- */

/* The last part of this name, or of this name and a number. */
static const nn_network_group *find_group(const nn_network *net, const char *key)
{
    const size_t n = strlen(key);
    for (int i = net->n_groups - 1; i >= 0; i--) {
        const char *rest = net->groups[i].key + n;
        if (!strncmp(net->groups[i].key, key, n) && (!*rest || (*rest == '/' && strspn(rest + 1, "0123456789") == strlen(rest + 1))))
            return &net->groups[i];
    }
    return NULL;
}

/* Who has the parameters of `share=KEY`: copy `index` of a chain if this is a chain too, else the one of that name. */
static bl_status find_shared(const nn_builder *b, const nn_line *line, int index, const nn_layer **layer,
                             const nn_network_group **group)
{
    char base[NN_NETWORK_KEY], key[NN_NETWORK_KEY + 16];
    full_key(b, line->share, base);
    for (int whole = line->repeat * line->length == 1; whole < 2; whole++) {
        snprintf(key, sizeof key, whole ? "%s" : "%s/%d", base, index);
        const int item = line->part ? -1 : nn_network_find(b->net, key);
        *layer = item < 0 ? NULL : b->net->items[item].layer;
        *group = line->part ? find_group(b->net, key) : NULL;
        if (*layer || *group)
            return BL_OK;
    }
    return nn_parse_fail(b, "share=%s: this is no %s", line->share, line->part ? "part" : "layer");
}

/* Names the copy: "up", or "up/0", "up/1" ... of several. */
static void copy_key(const nn_builder *b, const nn_line *line, int index, char out[NN_NETWORK_KEY])
{
    if (line->repeat * line->length > 1)
        snprintf(out, NN_NETWORK_KEY, "%.43s/%d", b->scope->entry->key, index);
    else
        snprintf(out, NN_NETWORK_KEY, "%.48s", b->scope->entry->key);
}

static bl_status set_path(const nn_builder *b, const char *key, char path[96])
{
    if (snprintf(path, 96, "%s/%s", b->scope->path, key) >= 96)
        return nn_parse_fail(b, "the path %s/%s is too long", b->scope->path, key);
    return BL_OK;
}

static bl_status set_options(nn_builder *b, const nn_line *line, int index, nn_layer *l, const nn_layer *shared)
{
    for (int i = 0; l->type->options && l->type->options[i].name; i++) {
        const nn_layer_option *o = &l->type->options[i];
        const char *text = nn_line_value(line, i, index);
        if (text) {
            if (nn_parse_value(b, o, text, &l->option[i]) != BL_OK)
                return b->err->code;
        } else if (shared && shared->type == l->type) {
            l->option[i] = shared->option[i];
        } else if (isnan(o->fallback)) {
            return nn_parse_fail(b, "%s needs %s= (%s)", l->type->name, o->name, o->help);
        } else {
            l->option[i] = o->fallback;
        }
    }
    return BL_OK;
}

static bl_status add_layer(nn_builder *b, const nn_line *line, const char *key, int index)
{
    nn_network *net = b->net;
    const nn_layer *shared = NULL;
    const nn_network_group *none = NULL;
    if (line->share[0] && find_shared(b, line, index, &shared, &none) != BL_OK)
        return b->err->code;
    nn_layer *l = calloc(1, sizeof *l);
    nn_network_item *it = l ? add_item(b, key) : NULL;
    if (!it) {
        free(l);
        return nn_parse_no_memory(b);
    }
    it->layer = l;
    l->type = line->type;
    l->params = net->params;
    l->is_shared = b->scope->is_shared || shared;
    if (shared)
        snprintf(l->path, sizeof l->path, "%s", shared->path);
    else if (set_path(b, key, l->path) != BL_OK)
        return b->err->code;
    if (set_options(b, line, index, l, shared) != BL_OK)
        return b->err->code;
    it->n_in = l->n_in = line->n_in;
    for (int i = 0; i < line->n_in; i++) {
        it->in[i] = line->in[i];
        l->in_shape[i] = net->items[it->in[i]].shape;
    }
    bl_error problem = { BL_OK, "" };
    if (l->type->build(l, &problem) != BL_OK)
        return nn_parse_fail(b, "%s: %s", l->type->name, problem.msg);
    it->shape = l->out_shape;
    for (int d = 0; d < it->shape.rank; d++)
        if (it->shape.dim[d] == 0)
            return nn_parse_fail(b, "%s: the input is too short, nothing comes out", l->type->name);
    return add_name(b, key, net->n - 1);
}

/* What the part is told: the line's options, then what it shares, then the section's own values. */
static bl_status set_variables(nn_builder *b, const nn_line *line, int index, const nn_network_group *shared,
                               nn_network_group *group)
{
    for (int k = 0; k < line->n_options - NN_LINE_OWN; k++) {
        const char *name = line->option[NN_LINE_OWN + k], *text = nn_line_value(line, k, index);
        for (int i = 0; shared && !text && i < shared->n_settings; i++)
            if (!strcmp(shared->setting[i].name, name))
                text = shared->setting[i].text;
        for (int i = 0; !text && i < bl_config_count(b->config); i++) {
            const bl_config_entry *e = bl_config_at(b->config, i);
            if (!strcmp(e->section, line->part) && !strcmp(e->key, name) && !strcmp(e->value, "required"))
                return nn_parse_fail(b, "%s needs %s=", line->part, name);
        }
        if (!text)
            continue;
        nn_network_setting *set = &group->setting[group->n_settings++];
        snprintf(set->name, sizeof set->name, "%s", name);
        snprintf(set->text, sizeof set->text, "%s", text);
    }
    return BL_OK;
}

static bl_status add_part(nn_builder *b, const nn_line *line, const char *key, int index)
{
    nn_network *net = b->net;
    nn_network_group group = { .first = net->n, .depth = b->scope->depth };
    const nn_network_group *shared = NULL;
    const nn_layer *none = NULL;
    nn_scope *outer = b->scope, inner = { .outer = outer, .section = line->part, .depth = outer->depth + 1,
                                          .entry = outer->entry, .above = -1, .first_name = net->n_names };
    if (inner.depth > NN_PARSE_DEPTH)
        return nn_parse_fail(b, "parts are nested deeper than %d: does [%s] use itself?", NN_PARSE_DEPTH, line->part);
    if (line->share[0] && find_shared(b, line, index, &none, &shared) != BL_OK)
        return b->err->code;
    group.is_shared = inner.is_shared = outer->is_shared || shared;
    full_key(b, key, group.key);
    snprintf(group.part, sizeof group.part, "%.47s", line->part);
    if (shared)
        snprintf(group.path, sizeof group.path, "%s", shared->path);
    else if (set_path(b, key, group.path) != BL_OK)
        return b->err->code;
    if (set_variables(b, line, index, shared, &group) != BL_OK)
        return b->err->code;
    snprintf(inner.path, sizeof inner.path, "%s", group.path);
    if (snprintf(inner.prefix, sizeof inner.prefix, "%s%s/", outer->prefix, key) >= NN_NETWORK_KEY / 2)
        return nn_parse_fail(b, "the name %s%s is longer than %d characters", outer->prefix, key, NN_NETWORK_KEY / 2 - 2);
    inner.setting = group.setting;
    inner.n_settings = group.n_settings;
    if (!grow(b, (void **)&net->groups, net->n_groups, &net->group_capacity, sizeof *net->groups))
        return b->err->code;
    const int place = net->n_groups++;
    net->groups[place] = group;
    for (int i = 0; i < bl_config_count(b->config); i++)
        if (!strcmp(bl_config_at(b->config, i)->section, line->part))
            bl_config_mark_used(b->config, i);
    b->scope = &inner;
    b->part_in = line->in;
    const bl_status status = parse_section(b);
    b->scope = outer;
    if (status != BL_OK)
        return status;
    net->groups[place].n = net->n - group.first;
    net->groups[place].output = b->part_out;
    return add_name(b, key, b->part_out);
}

static bl_status parse_layer(nn_builder *b)
{
    char key[NN_NETWORK_KEY];
    nn_line line = { 0 };
    if (check_key(b, b->scope->entry->key) == BL_OK && nn_line_parse(b, &line) == BL_OK) {
        const int n_copies = line.repeat * line.length;
        for (int i = 0; i < n_copies && !b->err->code; i++) {
            copy_key(b, &line, i, key);
            if (line.part)
                add_part(b, &line, key, i);
            else
                add_layer(b, &line, key, i);
            if (!b->err->code)
                line.in[0] = b->net->names[b->net->n_names - 1].item; /* the first input runs through the chain */
        }
        if (n_copies > 1 && !b->err->code) /* the chain's own name is its last copy's */
            add_name(b, b->scope->entry->key, line.in[0]);
    }
    nn_line_free(&line);
    return b->err->code;
}

/* ---- sections ---- */

/* Items that `output = a, b` names; without it the line above. */
static int parse_outputs(nn_builder *b, const bl_config_entry *entry, int output[NN_NETWORK_OUTPUTS])
{
    char word[64];
    int n = 0;
    if (!entry) {
        b->net->names[b->scope->above].used = 1;
        output[0] = b->net->names[b->scope->above].item;
        return 1;
    }
    b->scope->entry = entry;
    const char *list = entry->value;
    while (nn_parse_next(&list, word) && !b->err->code) {
        const int name = nn_parse_name(b, word);
        if (name < 0)
            nn_parse_unknown(b, "no layer has the name \"%s\"%s", word);
        else if (n == NN_NETWORK_OUTPUTS)
            nn_parse_fail(b, "at most %d outputs", NN_NETWORK_OUTPUTS);
        if (b->err->code)
            return 0;
        b->net->names[name].used = 1;
        output[n++] = b->net->names[name].item;
    }
    if (!n)
        nn_parse_fail(b, "a name is missing");
    return n;
}

/* Inputs of a part, variables and defaults that nothing uses are mistakes in the file. */
static bl_status find_unused(nn_builder *b)
{
    const nn_scope *s = b->scope;
    for (int i = 0; i < bl_config_count(b->config); i++) {
        const bl_config_entry *e = bl_config_at(b->config, i);
        if (strcmp(e->section, s->section))
            continue;
        b->scope->entry = e;
        if (nn_parse_is_variable(b, e) && !b->variable_used[i])
            return nn_parse_fail(b, "nothing uses this variable");
        if (s->outer && !strncmp(e->key, "input.", 6) && !b->net->names[nn_parse_name(b, e->key + 6)].used)
            return nn_parse_fail(b, "nothing uses it; name it in from= or in output =");
        for (int k = 0; k < s->n_defaults; k++)
            if (s->defaults[k] == i && !s->default_used[k])
                return nn_parse_fail(b, "no %s stands below it", e->key + strlen("defaults."));
    }
    return BL_OK;
}

/* checkpoint = yes: of the network, or of the part under way. */
static bl_status parse_checkpoint(nn_builder *b)
{
    static const nn_layer_option option = { "checkpoint", NN_OPTION_BOOL, 0, 0, 1, "", NULL };
    double value;
    if (nn_parse_value(b, &option, b->scope->entry->value, &value) != BL_OK)
        return b->err->code;
    if (!b->scope->outer) {
        b->net->recompute = value != 0;
        return BL_OK;
    }
    for (int g = b->net->n_groups - 1; g >= 0; g--)
        if (b->net->groups[g].depth == b->scope->depth - 1) {
            b->net->groups[g].recompute = value != 0;
            break;
        }
    return BL_OK;
}

static bl_status parse_entry(nn_builder *b, int i, int *n_bound)
{
    const char *key = b->scope->entry->key;
    if (!strncmp(key, "input.", 6))
        return parse_input(b, b->scope->outer ? b->part_in[(*n_bound)++] : -1);
    if (!strncmp(key, "defaults.", 9))
        return nn_line_defaults(b, i);
    if (!strcmp(key, "checkpoint"))
        return parse_checkpoint(b);
    if (nn_parse_is_variable(b, b->scope->entry))
        return BL_OK; /* looked up where it is used */
    if (b->scope->above < 0)
        return nn_parse_fail(b, "a network starts with its inputs, such as input.x = 1, T");
    return parse_layer(b);
}

/* All lines of the scope's section. A part's result is in b->part_out. */
static bl_status parse_section(nn_builder *b)
{
    nn_scope *s = b->scope;
    nn_network *net = b->net;
    const bl_config_entry *output = NULL;
    const int first = net->n, *part_in = b->part_in;
    int n_bound = 0, list[NN_NETWORK_OUTPUTS];
    for (int i = 0; i < bl_config_count(b->config) && !b->err->code; i++) {
        const bl_config_entry *e = bl_config_at(b->config, i);
        if (strcmp(e->section, s->section))
            continue;
        bl_config_mark_used(b->config, i);
        s->entry = e;
        b->part_in = part_in; /* parts inside this one have set it */
        if (!strcmp(e->key, "output"))
            output = e;
        else
            parse_entry(b, i, &n_bound);
    }
    if (!b->err->code && net->n - first == (s->outer ? 0 : net->n_inputs))
        bl_fail(b->err, BL_EARG, "%s: the %s [%s] has no layers", bl_config_name(b->config), s->outer ? "part" : "network",
                s->section);
    if (b->err->code)
        return b->err->code;
    const int n = parse_outputs(b, output, list);
    if (b->err->code)
        return b->err->code;
    b->part_out = list[0];
    for (int i = 1; i < n && s->outer; i++)
        net->items[list[i]].is_offered = 1;
    if (!s->outer) {
        memcpy(net->output, list, sizeof list);
        net->n_outputs = n;
    }
    return find_unused(b);
}

/* The section in which item i stands: that of the innermost part around it. */
static const char *section_of(const nn_network *net, int i)
{
    const char *section = net->section;
    for (int g = 0; g < net->n_groups; g++) /* outer ones come first */
        if (i >= net->groups[g].first && i < net->groups[g].first + net->groups[g].n)
            section = net->groups[g].part;
    return section;
}

/* When a value is read for the last time; what nobody reads is a mistake in the file. */
static bl_status find_last_uses(nn_builder *b)
{
    nn_network *net = b->net;
    for (int i = 0; i < net->n; i++)
        for (int k = 0; k < net->items[i].n_in; k++)
            net->items[net->items[i].in[k]].last_use = i;
    for (int i = 0; i < net->n_outputs; i++)
        net->items[net->output[i]].last_use = net->n;
    for (int i = 0; i < net->n; i++) {
        nn_network_item *it = &net->items[i];
        if (it->last_use < 0 && !it->is_offered)
            return bl_fail(b->err, BL_EARG, "%s line %d: [%s] %s%s: nothing uses it; name it in from= or in output =",
                           bl_config_name(b->config), it->line, section_of(net, i), it->layer ? "" : "input.", it->key);
        if (it->last_use < 0)
            it->last_use = i;
    }
    return BL_OK;
}

nn_network *nn_network_build(const bl_config *config, const char *section, nn_params *params, bl_error *err)
{
    bl_error local = { BL_OK, "" };
    nn_network *net = calloc(1, sizeof *net);
    nn_scope scope = { .section = section, .above = -1 };
    nn_builder b = { .config = config, .net = net, .scope = &scope, .err = &local };
    b.variable_used = calloc((size_t)bl_config_count(config) + 1, 1);
    if (!net || !b.variable_used) {
        free(net);
        free(b.variable_used);
        bl_fail(err, BL_ENOMEM, "no memory for the network [%s]", section);
        return NULL;
    }
    net->params = params;
    snprintf(scope.path, sizeof scope.path, "%.90s", section);
    if (snprintf(net->section, sizeof net->section, "%s", section) >= (int)sizeof net->section)
        bl_fail(&local, BL_EARG, "%s: the section name [%.60s] is longer than %zu characters", bl_config_name(config),
                section, sizeof net->section - 1);
    if (!local.code && parse_section(&b) == BL_OK && find_last_uses(&b) == BL_OK) {
        net->segments = calloc((size_t)net->n, sizeof *net->segments);
        if (!net->segments)
            nn_parse_no_memory(&b);
    }
    if (!local.code) {
        nn_network_cut(net);
        free(b.variable_used);
        return net;
    }
    free(b.variable_used);
    bl_fail(err, local.code, "%s", local.msg);
    nn_network_free(net);
    return NULL;
}
