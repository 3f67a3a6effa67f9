/* What a network consists of: inputs, outputs, layers by name. */
#include "nn/network_private.h"

#include <stdlib.h>
#include <string.h>

extern const nn_layer_type nn_layer_embedding; /* nn/layers/embedding.c */

void nn_network_free(nn_network *net)
{
    if (!net)
        return;
    for (int i = 0; i < net->n; i++)
        free(net->items[i].layer);
    free(net->items);
    free(net->names);
    free(net->groups);
    free(net->segments);
    free(net);
}

int nn_network_find(const nn_network *net, const char *key)
{
    for (int i = net->n_names - 1; i >= 0; i--)
        if (!strcmp(net->names[i].key, key))
            return net->names[i].item;
    return -1;
}

int nn_network_n_inputs(const nn_network *net)
{
    return net->n_inputs;
}

/* Inputs may stand between layers; the i-th one in file order. */
static const nn_network_item *input_item(const nn_network *net, int i)
{
    for (int k = 0; k < net->n; k++)
        if (!net->items[k].layer && i-- == 0)
            return &net->items[k];
    BL_ASSERT(!"no such input");
    return NULL;
}

const char *nn_network_input_name(const nn_network *net, int i)
{
    return input_item(net, i)->key;
}

nn_shape nn_network_input_shape(const nn_network *net, int i)
{
    return input_item(net, i)->shape;
}

int nn_network_reads_index(const nn_network *net, int i)
{
    const int input = (int)(input_item(net, i) - net->items);
    for (int k = 0; k < net->n; k++)
        for (int j = 0; j < net->items[k].n_in; j++)
            if (net->items[k].in[j] == input && net->items[k].layer->type == &nn_layer_embedding)
                return (int)nn_layer_int(net->items[k].layer, "num_embeddings");
    return 0;
}

int nn_network_n_outputs(const nn_network *net)
{
    return net->n_outputs;
}

nn_shape nn_network_output_shape(const nn_network *net, int i)
{
    BL_ASSERT(i >= 0 && i < net->n_outputs);
    return net->items[net->output[i]].shape;
}

void nn_network_keep(nn_network *net, const char *key)
{
    const int i = nn_network_find(net, key);
    if (i < 0)
        return;
    net->items[i].last_use = net->n;
    nn_network_cut(net);
}

nn_node *nn_network_value(const nn_network *net, const char *key)
{
    const int i = nn_network_find(net, key);
    return i < 0 ? NULL : net->items[i].value;
}

nn_layer *nn_network_layer(const nn_network *net, const char *key)
{
    const int i = nn_network_find(net, key);
    return i < 0 ? NULL : net->items[i].layer;
}

static nn_network_item *layer_item(const nn_network *net, int i)
{
    for (int k = 0; k < net->n; k++)
        if (net->items[k].layer && i-- == 0)
            return &net->items[k];
    BL_ASSERT(!"no such layer");
    return NULL;
}

int nn_network_n_layers(const nn_network *net)
{
    return net->n - net->n_inputs;
}

nn_layer *nn_network_layer_at(const nn_network *net, int i)
{
    return layer_item(net, i)->layer;
}

const char *nn_network_layer_key(const nn_network *net, int i)
{
    return layer_item(net, i)->key;
}

/* A layer's shapes anew; its parameters are there already. */
static bl_status rebuild(nn_layer *l, bl_error *err)
{
    const int was_shared = l->is_shared;
    bl_error problem = { BL_OK, "" };
    l->is_shared = 1;
    l->n_params = 0;
    l->macs = 0;
    l->type->build(l, &problem);
    l->is_shared = was_shared;
    for (int d = 0; d < l->out_shape.rank && !problem.code; d++)
        if (l->out_shape.dim[d] == 0)
            bl_fail(&problem, BL_ESHAPE, "the input is too short, nothing comes out");
    return problem.code ? bl_fail(err, problem.code, "%s (%s): %s", l->path, l->type->name, problem.msg) : BL_OK;
}

bl_status nn_network_set_length(nn_network *net, int64_t length, bl_error *err)
{
    for (int i = 0; i < net->n; i++) {
        nn_network_item *it = &net->items[i];
        for (int d = 0; !it->layer && d < it->shape.rank; d++) {
            if (!it->divisor[d])
                continue;
            if (length > 0 && length % it->divisor[d])
                return bl_fail(err, BL_EARG, "%s: input \"%s\" is T/%d: a length of %lld does not divide", net->section, it->key,
                               it->divisor[d], (long long)length);
            it->shape.dim[d] = length > 0 ? length / it->divisor[d] : -1;
        }
        if (!it->layer)
            continue;
        for (int k = 0; k < it->n_in; k++)
            it->layer->in_shape[k] = net->items[it->in[k]].shape;
        if (rebuild(it->layer, err) != BL_OK)
            return err ? err->code : BL_ESHAPE;
        it->shape = it->layer->out_shape;
    }
    return BL_OK;
}

/* Does a line of another section that has inputs name this one as its type? */
static int is_part(const bl_config *config, const char *section)
{
    const size_t n = strlen(section);
    for (const nn_layer_type *const *type = nn_layer_types; *type; type++)
        if (!strcmp((*type)->name, section))
            return 0; /* layer types come first */
    for (int i = 0; i < bl_config_count(config); i++) {
        const bl_config_entry *e = bl_config_at(config, i);
        const char *value = e->value + strspn(e->value, " \t\r\n");
        if (strcmp(e->section, section) && !strncmp(value, section, n) && strchr(" \t\r\n", value[n]))
            for (int k = 0; k < bl_config_count(config); k++)
                if (!strcmp(bl_config_at(config, k)->section, e->section) && !strncmp(bl_config_at(config, k)->key, "input.", 6))
                    return 1;
    }
    return 0;
}

const char *nn_network_section(const bl_config *config, int k)
{
    const char *last = "";
    for (int i = 0; i < bl_config_count(config); i++) {
        const bl_config_entry *e = bl_config_at(config, i);
        if (strncmp(e->key, "input.", 6) || !strcmp(e->section, last) || is_part(config, e->section))
            continue;
        last = e->section;
        if (k-- == 0)
            return last;
    }
    return NULL;
}
