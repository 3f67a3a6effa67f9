/* The table of a network and the catalogue of layer types. */
#include "nn/network_private.h"

#include <math.h>
#include <string.h>

const char *nn_network_shape_str(const nn_shape *s, char out[96])
{
    int n = snprintf(out, 96, "[");
    for (int d = 0; d < s->rank; d++)
        n += s->dim[d] < 0 ? snprintf(out + n, (size_t)(96 - n), "%sT", d ? ", " : "")
                           : snprintf(out + n, (size_t)(96 - n), "%s%lld", d ? ", " : "", (long long)s->dim[d]);
    snprintf(out + n, (size_t)(96 - n), "]");
    return out;
}

void nn_network_print(const nn_network *net, FILE *out)
{
    char shape[96];
    int64_t total = 0;
    double macs = 0;
    fprintf(out, "%-20s %-18s %-16s %12s %10s\n", net->section, "type", "output", "parameters", "MFLOP");
    for (int i = 0; i < net->n; i++) {
        const nn_network_item *it = &net->items[i];
        int64_t count = 0;
        for (int k = 0; it->layer && k < it->layer->n_params; k++) {
            const nn_param *param = &net->params->param[it->layer->param[k]];
            count += param->is_buffer ? 0 : nn_count(&param->shape);
        }
        fprintf(out, "%-20s %-18s %-16s", it->key, it->layer ? it->layer->type->name : "input",
                nn_network_shape_str(&it->shape, shape));
        if (it->layer)
            fprintf(out, " %12lld %10.2f", (long long)count, 2e-6 * it->layer->macs);
        fputc('\n', out);
        total += count;
        macs += it->layer ? it->layer->macs : 0;
    }
    fprintf(out, "%-20s %-18s %-16s %12lld %10.2f\n", "total", "", "", (long long)total, 2e-6 * macs);
}

void nn_layers_print(FILE *out)
{
    for (const nn_layer_type *const *type = nn_layer_types; *type; type++) {
        fprintf(out, "%s\n    %s\n", (*type)->name, (*type)->summary);
        for (const nn_layer_option *o = (*type)->options; o && o->name; o++) {
            char fallback[48] = "required";
            const double value = o->fallback;
            if (!isnan(value)) {
                const char *word = o->choices;
                int skip = o->kind == NN_OPTION_CHOICE ? (int)value : value < 0 && o->choices ? -1 - (int)value : -1;
                while (skip > 0 && word && (word = strchr(word, '|')) != NULL) {
                    word++;
                    skip--;
                }
                if (skip == 0 && word)
                    snprintf(fallback, sizeof fallback, "%.*s", (int)strcspn(word, "|"), word);
                else if (o->kind == NN_OPTION_BOOL)
                    snprintf(fallback, sizeof fallback, "%s", value != 0 ? "true" : "false");
                else
                    snprintf(fallback, sizeof fallback, "%g", value);
            }
            fprintf(out, "    %-16s %-10s %s", o->name, fallback, o->help);
            if (o->choices)
                fprintf(out, o->kind == NN_OPTION_INT ? " (or %s)" : " (%s)", o->choices);
            fputc('\n', out);
        }
        fputc('\n', out);
    }
}
