/* Networks described in an .ini: a section per network, a key per layer, in order.
 *
 *     [generator]
 *     input.z       = 100            ; [100]      a vector
 *     input.context = 64, T          ; [64, T]    channels and a free length
 *     dense   = linear out_features=16384 from=z
 *     shape   = reshape channels=1024
 *     act     = relu
 *     up1     = conv_transpose1d out_channels=512 kernel_size=25 stride=4 padding=11 output_padding=1
 *     both    = concat from=up1,context
 *     ...
 *
 * `from=` names earlier keys (or inputs); without it a layer takes the line above. The last key is the output;
 * further outputs with `output = a, b`. in_channels follow from the input. `repeat=N` (and `dilation=1..512` style
 * lists) are described in docs/networks.md. Mistakes are errors that name file, line, key.
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
/* Shape without batch; -1 for a free length. */
nn_shape    nn_network_input_shape(const nn_network *net, int i);
/* 1 when an embedding reads input i: it takes whole numbers. */
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

/* Table: layer, output shape, parameters, MFLOP. */
void nn_network_print(const nn_network *net, FILE *out);

/* All layer types and their options (what --help layers prints). */
void nn_layers_print(FILE *out);

#endif
