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
    free(net);
}

int nn_network_find(const nn_network *net, const char *key)
{
    const size_t length = strlen(key);
    for (int i = net->n - 1; i >= 0; i--)
        if (!strncmp(net->items[i].key, key, length)
            && (!net->items[i].key[length] || net->items[i].key[length] == '/'))
            return i;
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
                return 1;
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
    if (i >= 0)
        net->items[i].last_use = net->n;
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
