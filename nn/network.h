/* Networks described in an .ini: a section per network, a key per layer, in order.
 *
 *     [generator]
 *     d = 64                         ; a variable
 *     input.z = 100                  ; [100]    a vector
 *     input.c = 8, T                 ; [8, T]   channels and a free length
 *     dense   = linear out_features=256*d from=z
 *     up      = block channels=8*d,4*d,2*d from=dense   ; another section as a layer, three times
 *     both    = concat from=up,c
 *     ...
 *
 * `from=` names earlier keys (or inputs); without it a layer takes the line above. The last key is the output;
 * further outputs with `output = a, b`. in_channels follow from the input. Repetition, parts, shared parameters,
 * defaults and variables: docs/networks.md. Mistakes are errors that name file, line, key.
 *
 * Memory   nn_network_build borrows params, adds the network's parameters to it under "section/key/..." (call
 *          nn_params_finish afterwards) and returns a network; release with nn_network_free.
 */
#ifndef BL_NN_NETWORK_H
#define BL_NN_NETWORK_H

#include "base/config.h"
#include "nn/layer.h"

#include <stdio.h>

typedef struct nn_network nn_network;

nn_network *nn_network_build(const bl_config *config, const char *section, nn_params *params, bl_error *err);
void        nn_network_free(nn_network *net);

int         nn_network_n_inputs(const nn_network *net);
const char *nn_network_input_name(const nn_network *net, int i);
/* Shape without batch; -1 for a free size. */
nn_shape    nn_network_input_shape(const nn_network *net, int i);
/* How many classes input i may name when an embedding reads it (whole numbers 0 .. n - 1); 0: it takes any numbers. */
int         nn_network_reads_index(const nn_network *net, int i);
int         nn_network_n_outputs(const nn_network *net);
nn_shape    nn_network_output_shape(const nn_network *net, int i);

/* inputs[i] is [B, ...input shape]. Fills outputs[n_outputs]; returns outputs[0]. Every intermediate value is released after
 * its last use; while recording, those stay that a gradient rule will read. */
nn_node *nn_network_run(nn_network *net, nn_tape *tape, nn_node *const *inputs, nn_node **outputs);

/* The output of a layer by key, of the last run, for those that nn_network_keep has named (feature matching); other values
 * are released after their last use. NULL when there is none. */
void     nn_network_keep(nn_network *net, const char *key);
nn_node *nn_network_value(const nn_network *net, const char *key);

/* The layer of a key (its parameters, its options); NULL when there is none. Of a repeated layer "key/0", "key/1"...,
 * the last one by "key" alone. */
nn_layer *nn_network_layer(const nn_network *net, const char *key);

/* Layers in the order in which they run, those of parts among them. */
int         nn_network_n_layers(const nn_network *net);
nn_layer   *nn_network_layer_at(const nn_network *net, int i);
const char *nn_network_layer_key(const nn_network *net, int i); /* "up/conv" */

/* Fixes free sizes: T is `length`, T/4 a quarter of it; works out every layer's shapes and operations anew, so that the
 * table shows them. 0 sets them free again. */
bl_status nn_network_set_length(nn_network *net, int64_t length, bl_error *err);

/* The k-th section of a file that is a network by itself: it has inputs and no other section uses it as a part. NULL
 * behind the last. */
const char *nn_network_section(const bl_config *config, int k);

/* Table: layer, output shape, parameters, MFLOP per example where the length is fixed. */
void nn_network_print(const nn_network *net, FILE *out);

/* All layer types and their options (what --help layers prints); one of them: 0 when there is none of this name. */
void nn_layers_print(FILE *out);
int  nn_layer_print(const char *name, FILE *out);

/* `topic` and `topics` of a command line (base/cli.h): --help layers, --help conv1d. */
#define NN_LAYERS_HELP "layers: all layer types of network files; conv1d: this one"
int nn_layers_help(const char *topic, const char **near);

#endif
