/* The table of a network and the catalogue of layer types. */
#include "nn/network_private.h"

#include <math.h>
#include <string.h>

const char *nn_network_shape_str(const nn_shape *s, char out[96])
{
    int n_free = 0, k = 0, n = snprintf(out, 96, "[");
    for (int d = 0; d < s->rank; d++)
        n_free += s->dim[d] < 0;
    const char *letter = n_free > 1 ? "HW?" : "T";
    for (int d = 0; d < s->rank; d++)
        n += s->dim[d] < 0 ? snprintf(out + n, (size_t)(96 - n), "%s%c", d ? ", " : "", letter[k++])
                           : snprintf(out + n, (size_t)(96 - n), "%s%lld", d ? ", " : "", (long long)s->dim[d]);
    snprintf(out + n, (size_t)(96 - n), "]");
    return out;
}

/* ---- the table of a network ---- */

/* Parameters of items first .. last - 1; those that share another's count nothing. */
static int64_t count_params(const nn_network *net, int first, int last)
{
    int64_t count = 0;
    for (int i = first; i < last; i++) {
        const nn_layer *l = net->items[i].layer;
        for (int k = 0; l && !l->is_shared && k < l->n_params; k++) {
            const nn_param *param = &net->params->param[l->param[k]];
            count += param->is_buffer ? 0 : nn_count(&param->shape);
        }
    }
    return count;
}

static double count_macs(const nn_network *net, int first, int last)
{
    double macs = 0;
    for (int i = first; i < last; i++)
        macs += net->items[i].layer ? net->items[i].layer->macs : 0;
    return macs;
}

static void print_row(FILE *out, int depth, const char *key, const char *type, const nn_shape *shape)
{
    char text[96];
    fprintf(out, "%*s%-*s %-18s %-16s", 2 * depth, "", 22 - 2 * depth, key, type, shape ? nn_network_shape_str(shape, text) : "");
}

/* `owner`: the path whose parameters are used, NULL for own ones. */
static void print_cost(FILE *out, int64_t params, double macs, const char *owner)
{
    if (owner)
        fprintf(out, " %12s", "shared");
    else
        fprintf(out, " %12lld", (long long)params);
    fprintf(out, " %10.2f", 2e-6 * macs);
    if (owner)
        fprintf(out, "  with %s", owner);
    fputc('\n', out);
}

static const nn_network_group *group_at(const nn_network *net, int first, int depth)
{
    for (int g = 0; g < net->n_groups; g++)
        if (net->groups[g].first == first && net->groups[g].depth == depth)
            return &net->groups[g];
    return NULL;
}

/* Do two parts look the same in the table? */
static int same_part(const nn_network *net, const nn_network_group *a, const nn_network_group *b)
{
    int same = !strcmp(a->part, b->part) && a->n == b->n && a->is_shared == b->is_shared;
    for (int i = 0; i < a->n && same; i++) {
        const nn_network_item *x = &net->items[a->first + i], *y = &net->items[b->first + i];
        same = x->layer->type == y->layer->type && nn_same_shape(&x->shape, &y->shape)
               && count_params(net, a->first + i, a->first + i + 1) == count_params(net, b->first + i, b->first + i + 1);
    }
    return same;
}

static void print_range(const nn_network *net, FILE *out, int first, int last, int depth, size_t skip);

/* A part, its layers indented; copies that follow and look the same as one line. Returns the item behind. */
static int print_part(const nn_network *net, FILE *out, const nn_network_group *g, size_t skip)
{
    const nn_shape *shape = &net->items[g->output].shape;
    int end = g->first + g->n, n_same = 0;
    print_row(out, g->depth, g->key + skip, g->part, shape);
    print_cost(out, count_params(net, g->first, end), count_macs(net, g->first, end), g->is_shared ? g->path : NULL);
    if (!g->is_shared)
        print_range(net, out, g->first, end, g->depth + 1, strlen(g->key) + 1);
    const nn_network_group *first = NULL, *last = NULL;
    for (const nn_network_group *next; (next = group_at(net, end, g->depth)) != NULL && same_part(net, g, next); n_same++) {
        first = first ? first : next;
        last = next;
        end = next->first + next->n;
    }
    if (!n_same)
        return end;
    char key[2 * NN_NETWORK_KEY];
    const char *number = strrchr(last->key, '/'), *until = number ? number + 1 : last->key + skip;
    snprintf(key, sizeof key, n_same > 1 ? "%s .. %s" : "%s", first->key + skip, until);
    print_row(out, g->depth, key, "the same", &net->items[last->output].shape);
    print_cost(out, count_params(net, first->first, end), count_macs(net, first->first, end), last->is_shared ? last->path : NULL);
    return end;
}

static void print_range(const nn_network *net, FILE *out, int first, int last, int depth, size_t skip)
{
    for (int i = first; i < last;) {
        const nn_network_item *it = &net->items[i];
        const nn_network_group *g = group_at(net, i, depth);
        if (g) {
            i = print_part(net, out, g, skip);
            continue;
        }
        print_row(out, depth, it->key + skip, it->layer ? it->layer->type->name : "input", &it->shape);
        if (it->layer)
            print_cost(out, count_params(net, i, i + 1), it->layer->macs, it->layer->is_shared ? it->layer->path : NULL);
        else
            fputc('\n', out);
        i++;
    }
}

void nn_network_print(const nn_network *net, FILE *out)
{
    fprintf(out, "%-22s %-18s %-16s %12s %10s\n", net->section, "type", "output", "parameters", "MFLOP");
    print_range(net, out, 0, net->n, 0, 0);
    print_row(out, 0, "total", "", NULL);
    print_cost(out, count_params(net, 0, net->n), count_macs(net, 0, net->n), NULL);
}

/* ---- the catalogue ---- */

/* The word with this number among "a|b|c". */
static void choice_word(const char *choices, int index, char *out, size_t size)
{
    for (; index > 0 && choices && (choices = strchr(choices, '|')) != NULL; index--)
        choices++;
    if (choices)
        snprintf(out, size, "%.*s", (int)strcspn(choices, "|"), choices);
}

static void print_option(const nn_layer_option *o, FILE *out)
{
    char fallback[48] = "required";
    const double value = o->fallback;
    const int index = isnan(value) ? -1 : o->kind == NN_OPTION_CHOICE ? (int)value : value < 0 && o->choices ? -1 - (int)value : -1;
    if (index >= 0)
        choice_word(o->choices, index, fallback, sizeof fallback);
    else if (o->kind == NN_OPTION_BOOL)
        snprintf(fallback, sizeof fallback, "%s", value != 0 ? "true" : "false");
    else if (!isnan(value))
        snprintf(fallback, sizeof fallback, "%g", value);
    fprintf(out, "    %-16s %-10s %s", o->name, fallback, o->help);
    if (o->choices)
        fprintf(out, o->kind == NN_OPTION_INT ? " (or %s)" : " (%s)", o->choices);
    fputc('\n', out);
}

int nn_layer_print(const char *name, FILE *out)
{
    for (const nn_layer_type *const *type = nn_layer_types; *type; type++)
        if (!strcmp((*type)->name, name)) {
            fprintf(out, "%s\n    %s\n", (*type)->name, (*type)->summary);
            for (const nn_layer_option *o = (*type)->options; o && o->name; o++)
                print_option(o, out);
            return 1;
        }
    return 0;
}

void nn_layers_print(FILE *out)
{
    for (const nn_layer_type *const *type = nn_layer_types; *type; type++) {
        nn_layer_print((*type)->name, out);
        fputc('\n', out);
    }
}

int nn_layers_help(const char *topic, const char **near)
{
    const char *names[256];
    int n = 0;
    if (!strcmp(topic, "layers")) {
        nn_layers_print(stdout);
        return 1;
    }
    if (nn_layer_print(topic, stdout))
        return 1;
    names[n++] = "layers";
    for (const nn_layer_type *const *type = nn_layer_types; *type && n < 256; type++)
        names[n++] = (*type)->name;
    *near = bl_nearest(topic, names, n);
    return 0;
}
