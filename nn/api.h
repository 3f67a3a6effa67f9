/* The engine for other languages: a network from an .ini, its weights, and numbers through it. Plain C types only, so that a
 * binding is a page of declarations (python/backline.py); what exists here keeps its meaning within a soname.
 *
 *     nn_model *m = nn_model_load("arranger.ini", "net", error, sizeof error);
 *     nn_model_read_weights(m, "arranger.h5", "");
 *     nn_model_set_input(m, 0, 3, dims, samples);
 *     if (nn_model_run(m) != 0)
 *         puts(nn_model_error(m));
 *     nn_model_get_output(m, 0, out);
 *
 * Shapes   With the batch in front, row-major, at most NN_MODEL_RANK dimensions: [B, C, T]. Inputs and outputs are numbered in
 *          the order of the file.
 * Errors   Calls return 0 or an error's code (BL_EARG, BL_ESHAPE, ... in base/error.h); nn_model_error says in one sentence
 *          what the last failure was. nn_model_load and _parse return NULL and write the sentence to `error` (NULL allowed).
 * Memory   nn_model_load and _parse return a model; release with nn_model_free (NULL allowed). set_input copies; outputs
 *          belong to the model until its next run. After the first run of a shape nothing is allocated.
 * Threads  One model per thread; parallel inside.
 * Tested   tests/nn/test_api.c, tests/install (a program outside the tree), tests/python
 */
#ifndef BL_NN_API_H
#define BL_NN_API_H

#include <stddef.h>
#include <stdint.h>

enum { NN_MODEL_RANK = 4 };

typedef struct nn_model nn_model;

/* Weights are drawn from seed 0 until others are read. */
nn_model *nn_model_load(const char *ini_path, const char *section, char *error, size_t error_size);
nn_model *nn_model_parse(const char *ini_text, const char *section, char *error, size_t error_size);
void      nn_model_free(nn_model *m);
const char *nn_model_error(const nn_model *m);
/* "0.1.0". */
const char *nn_model_version(void);

void nn_model_draw_weights(nn_model *m, uint64_t seed);
/* From a checkpoint of backline; prefix "" or, for the averaged weights of some trainers, "average/". */
int  nn_model_read_weights(nn_model *m, const char *h5_path, const char *prefix);
/* From a state dict of PyTorch or a Keras file, in HDF5 (nn/import.h: [import] of the model's .ini says what goes where). */
int  nn_model_import_weights(nn_model *m, const char *h5_path);

/* Parameters by number; values may be read and written in place: float, in the order of the shape. */
int         nn_model_n_parameters(const nn_model *m);
const char *nn_model_parameter_name(const nn_model *m, int i);
int         nn_model_parameter_shape(const nn_model *m, int i, int64_t dims[NN_MODEL_RANK]); /* returns the rank */
float      *nn_model_parameter(nn_model *m, int i);

int         nn_model_n_inputs(const nn_model *m);
int         nn_model_n_outputs(const nn_model *m);
const char *nn_model_input_name(const nn_model *m, int i);
/* Without batch; -1 for a free length. Returns the rank. */
int         nn_model_input_shape(const nn_model *m, int i, int64_t dims[NN_MODEL_RANK]);

int nn_model_set_input(nn_model *m, int i, int rank, const int64_t *dims, const float *data);
/* Inference on the inputs that are set. */
int nn_model_run(nn_model *m);
/* Of the last run, with batch. Returns the rank, -1 when there is none. */
int nn_model_output_shape(const nn_model *m, int i, int64_t dims[NN_MODEL_RANK]);
/* Copies to `out`, which has room for the shape. */
int nn_model_get_output(nn_model *m, int i, float *out);

#endif
