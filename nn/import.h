/* Weights of other programs: Keras files and PyTorch state dicts (as HDF5) into parameters of ours, and ours out again.
 *
 * Which dataset goes to which parameter stands in the section [import] of an .ini, a line per layer:
 *
 *     [import]
 *     root         = lstm_arranger/lstm_arranger         ; every name below starts so
 *     net/pitch    = embedding input_layer/pitch_embedding
 *     net/lstm     = lstm lstm/lstm_4/lstm_cell_3        ; one cell per layer and direction
 *     net/out      = dense dense
 *     ignore       = optimizer_weights                   ; datasets that start so are of no interest
 *
 * The key is the path of a layer's parameters, the first word a rule (docs/import.md lists them), then come the names. Without
 * such lines names are PyTorch's: parameter S/a/b of network [S] is the dataset S.a.b, or a.b when the file has but one
 * network; '/' stands for '.' where the file has groups.
 *
 * Errors   nn_import: one sentence, nothing changed: a dataset that is missing (with the nearest name), has another shape, holds
 *          a value that is not finite; a parameter that no line fills, or two; a dataset that no line reads.
 *          num_batches_tracked is the one dataset that may be left over.
 * Tested   tests/nn/test_import.c
 */
#ifndef BL_NN_IMPORT_H
#define BL_NN_IMPORT_H

#include "base/config.h"
#include "nn/params.h"

/* Fills all of p (finished) from a file opened with nn_checkpoint_open_foreign or nn_checkpoint_open. */
bl_status nn_import(nn_params *p, const bl_config *config, const nn_checkpoint *file, bl_error *err);

/* Writes the datasets of a checkpoint whose names start with prefix to an HDF5 file as a state dict: "generator/up/0/weight"
 * with the prefix "generator/" becomes "up.0.weight". Optimiser, averages and the training loop's own are left out. */
bl_status nn_export_state_dict(const nn_checkpoint *from, const char *prefix, const char *path, bl_error *err);

#endif
