/* The parameters of a model: all weights in one block, all gradients in a second, so that optimisers, clipping,
 * averaging and checkpoints are single loops that know no graph. A table beside them holds names and shapes.
 *
 * Names    torch state_dict keys with '/' for '.': "generator/3/weight".
 * Use      1. add every parameter (builders do), 2. nn_params_finish allocates, 3. initialise, 4. train.
 *          A *buffer* (running mean of batch norm) is stored and saved like a parameter and has no gradient.
 * Memory   nn_params_new returns; release with nn_params_free. Blocks are 64-byte aligned, as every parameter in them.
 * Errors   nn_params_add: -1 and BL_EARG (name taken, empty or too long; already finished), BL_ESHAPE, BL_ENOMEM.
 * Tested   tests/nn/test_params.c
 */
#ifndef BL_NN_PARAMS_H
#define BL_NN_PARAMS_H

#include "nn/checkpoint.h"
#include "nn/tape.h"

/* How `real` stands in a checkpoint. */
#ifdef BL_F64
#define NN_REAL NN_F64
#else
#define NN_REAL NN_F32
#endif

typedef enum nn_init { NN_INIT_ZERO, NN_INIT_ONE, NN_INIT_UNIFORM, NN_INIT_NORMAL, NN_INIT_CONSTANT } nn_init;

typedef struct nn_param {
    char     name[112];
    nn_shape shape;
    int64_t  offset;     /* in elements, into value / grad; a multiple of 16 */
    nn_init  init;
    double   scale;      /* UNIFORM: bound, NORMAL: standard deviation       */
    int      is_buffer;
    int      frozen;     /* takes part in the graph without a gradient       */
    int64_t  zero_row;   /* of the first dim, starts as zeros; -1: none      */
} nn_param;

typedef struct nn_params {
    nn_param *param;
    int       n, capacity;
    int64_t   n_elements;   /* of the blocks, padding included */
    real     *value, *grad; /* NULL until nn_params_finish     */
} nn_params;

nn_params *nn_params_new(bl_error *err);
void       nn_params_free(nn_params *p);
/* Index of the new parameter, -1 and err when the name exists or there is no memory. */
int        nn_params_add(nn_params *p, const char *name, nn_shape shape, nn_init init, double scale, bl_error *err);
int        nn_params_add_buffer(nn_params *p, const char *name, nn_shape shape, nn_init init, bl_error *err);
bl_status  nn_params_finish(nn_params *p, bl_error *err);
/* Seeded, each parameter from a stream of its own name: adding a layer does not change the others. */
void       nn_params_init(nn_params *p, uint64_t seed);
void       nn_params_zero_grad(nn_params *p);
int        nn_params_find(const nn_params *p, const char *name);  /* -1 when absent */
int64_t    nn_params_count(const nn_params *p, const char *prefix); /* elements under prefix ("" = all), buffers left out */
/* Name of the first parameter that holds a value (*is_gradient 0) or else a gradient (1) that is not finite; NULL: none. */
const char *nn_params_first_bad(const nn_params *p, int *is_gradient);
/* All parameters whose name starts with prefix: train or freeze. */
void       nn_params_freeze(nn_params *p, const char *prefix, int frozen);

/* Values of parameters and buffers of the same name; both have been finished and agree in shape. What only one has stays. */
void       nn_params_copy(nn_params *to, const nn_params *from);

/* Leaf node of parameter i on this tape; value and gradient stay in the blocks. */
nn_node   *nn_param_node(nn_tape *tape, nn_params *p, int i);

/* Every parameter as dataset prefix + name (float32; float64 in BUILD=f64). Loading takes either type and checks
 * names, shapes and that every value is finite: one sentence says what is missing, what is too much, what differs.
 * Too much is what belongs to a network of p (same first part of the name) and is not in p; other networks in the
 * file are left alone. Nothing is changed unless all agree. */
bl_status  nn_params_save(const nn_params *p, nn_checkpoint *c, const char *prefix, bl_error *err);
bl_status  nn_params_load(nn_params *p, const nn_checkpoint *c, const char *prefix, bl_error *err);

#endif
