/* What the files nn/network*.c share: the list of inputs and layers that parsing makes and running walks. Nobody else includes it. */
#ifndef BL_NN_NETWORK_PRIVATE_H
#define BL_NN_NETWORK_PRIVATE_H

#include "nn/network.h"

enum { NN_NETWORK_OUTPUTS = 16 };

/* An input or one layer. */
typedef struct nn_network_item {
    char      key[64];
    nn_layer *layer;            /* NULL: an input                                      */
    int       in[NN_MAX_IN], n_in;
    int       last_use;         /* the last item that reads this value; n for outputs  */
    int       line;
    nn_shape  shape;            /* without batch                                       */
    nn_node  *value;            /* of the last run                                     */
} nn_network_item;

struct nn_network {
    char             section[48];
    nn_network_item *items;
    int              n, capacity, n_inputs;
    int              output[NN_NETWORK_OUTPUTS], n_outputs;
    nn_params       *params;
};

/* Index of a name; a layer that was repeated goes by its own name for its last copy. -1: there is none. */
int nn_network_find(const nn_network *net, const char *key);

/* "[64, T]": as nn_shape_str, with T for a free length. */
const char *nn_network_shape_str(const nn_shape *shape, char out[96]);

#endif
