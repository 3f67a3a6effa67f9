/* What the files nn/network*.c share. Nobody else includes it.
 *
 * A network is a flat list of items, inputs and layers, in the order in which they run: what a part of another section
 * contributes stands in the list like any other layer, under its key ("up/conv"). Names and groups only say how the
 * list was written.
 */
#ifndef BL_NN_NETWORK_PRIVATE_H
#define BL_NN_NETWORK_PRIVATE_H

#include "nn/network.h"

enum { NN_NETWORK_OUTPUTS = 16, NN_NETWORK_KEY = 96 };

/* An input or one layer. */
typedef struct nn_network_item {
    char      key[NN_NETWORK_KEY];
    nn_layer *layer;                 /* NULL: an input                                      */
    int       in[NN_MAX_IN], n_in;
    int       last_use;              /* the last item that reads this value; n for outputs  */
    int       line;
    int       is_offered;            /* a further output of a part: need not be used        */
    nn_shape  shape;                 /* without batch                                       */
    int       divisor[NN_MAX_RANK];  /* of an input's free sizes: 4 of T/4; 0: not free      */
    nn_node  *value;                 /* of the last run                                     */
    int       segment;               /* that starts with this item, -1                      */
} nn_network_item;

/* Items first .. last that run again in backward instead of keeping their values. */
typedef struct nn_network_segment {
    struct nn_network *net;
    int                first, last;
    int                in[NN_MAX_IN - 1], n_in; /* items before it that it reads              */
} nn_network_segment;

/* What from= can say: an input, a layer, a part (its first output), in a part the value that it is given. */
typedef struct nn_network_name {
    char key[NN_NETWORK_KEY];
    int  item, line, used;
} nn_network_name;

/* A variable with a value, as text: "64" or "same". */
typedef struct nn_network_setting {
    char name[32], text[40];
} nn_network_setting;

/* A part in use: its items are first .. first + n - 1. */
typedef struct nn_network_group {
    char key[NN_NETWORK_KEY], part[48], path[96];
    int  first, n, output, depth;
    int  is_shared;                  /* its parameters belong to another                    */
    int  recompute;                  /* checkpoint = yes in its section                     */
    nn_network_setting setting[NN_LAYER_OPTIONS];
    int  n_settings;
} nn_network_group;

struct nn_network {
    char              section[48];
    nn_network_item  *items;
    int               n, capacity, n_inputs;
    int               output[NN_NETWORK_OUTPUTS], n_outputs;
    nn_network_name  *names;
    int               n_names, name_capacity;
    nn_network_group *groups;
    int               n_groups, group_capacity;
    nn_params        *params;
    int               recompute;     /* checkpoint = yes                                    */
    nn_network_segment *segments;
    int               n_segments;
};

/* Index of a name; a layer that was repeated goes by its own name for its last copy. -1: there is none. */
int nn_network_find(const nn_network *net, const char *key);

/* Cuts the network into segments where `checkpoint = yes` asks for it; again whenever a last use has changed. */
void nn_network_cut(nn_network *net);

/* "[64, T]": as nn_shape_str, with T for a free length (H, W for two). */
const char *nn_network_shape_str(const nn_shape *shape, char out[96]);

#endif
