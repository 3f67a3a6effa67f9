/* What lstm and gru share: the way through time, forward and backward, with the cell's formulas plugged in.
 *
 *     forward    z = weight_ih x for all steps, one matrix product; then step by step
 *                h_t = cell(z_t, weight_hh h_{t-1}, state)
 *     backward   step by step from the last: dh_t = dy_t + carry + weight_hh^T dz_{t+1}, dz_t = cell's rule;
 *                then d weight_ih, d weight_hh and dx as one matrix product each
 *
 * Shapes   x [B, T, I], weight_ih [D G H, I], weight_hh [D G H, H], bias [D 4 H]; G gates; D = 1, or 2: the second half
 *          of weights, states and outputs belongs to the direction that runs from the end.
 *          lengths [B] (whole numbers, clipped to 0..T), optional: steps from lengths[b] on are padding: their output is 0
 *          and neither direction sees them, as with torch's pack_padded_sequence.
 *          state [B, S, D H], optional (then lengths must be given): what each direction starts from; S = 2 (h, c) or 1 (h).
 *          y [B, T, D H], or with_final [B, T + S, D H]: the last S rows are the final states, in the form of `state`.
 * Threads  The unit of work is one direction of some examples through all steps, so no step waits for a thread. A product
 *          sums over its inputs in order whatever the unit's size is: units may follow the thread count, bits do not.
 * Cost     Weights are packed once per call into panels of NN_RECURRENT_LANES units, all gates side by side; a tile of up
 *          to NN_RECURRENT_TILE examples stays in registers while it runs through a panel, and the cell's functions
 *          follow at once. Every other step takes the panels in opposite order, so that those just read are still in
 *          the cache of a core when all of them hardly fit.
 * Tested   tests/nn/test_recurrent.c, tests/nn/test_ops.c.
 */
#ifndef BL_NN_RECURRENT_H
#define BL_NN_RECURRENT_H

#include "nn/kernel/kernel.h"
#include "nn/ops.h"

enum {
    NN_RECURRENT_LANES = 16,             /* units in a panel                          */
    NN_RECURRENT_TILE = NN_PRODUCT_ROWS, /* examples that share one pass over a panel */
    NN_RECURRENT_ROWS = 16,              /* most examples that go through time together */
};

/* One example at one step, as a cell sees it: pointers to the first of n units; gate g stands at z[g * H]. */
typedef struct nn_cell_step {
    int64_t     n, H;
    real       *z;         /* forward: weight_ih x in, gates after their functions out. backward: those gates */
    real       *extra;     /* one more value per unit that backward needs (c of lstm); NULL: not kept         */
    const real *bias;
    const real *h;         /* h_{t-1}                                                          */
    real       *c;         /* forward: c_{t-1} in, c_t out. backward: dc_t in, dc_{t-1} out    */
    real       *h_next;    /* forward only                                                     */
    const real *c_before;  /* backward only: c_{t-1}                                           */
    real       *carry;     /* backward only: what of dh_t goes straight to dh_{t-1} out        */
    real       *dz;        /* backward only, G gates: gradient of weight_hh h_{t-1} out        */
    real       *da;        /* backward only, 4: gradient of bias, which holds that of z, out   */
} nn_cell_step;

typedef struct nn_cell {
    const char *name;
    int         n_gates, n_states;
    /* product [G][LANES] is weight_hh h_{t-1} of these units. */
    void      (*forward)(const nn_cell_step *s, const real *product);
    void      (*backward)(const nn_cell_step *s, const real *dh);
    /* The same step from primitive ops, for the second order: z [B, G H] (bias not added), bias [4 H], state h and c. */
    nn_node  *(*composed)(nn_tape *t, nn_node *z, nn_node *weight_hh, nn_node *bias, nn_node *h, nn_node **c);
} nn_cell;

/* Attribute of both ops and of their gradients. */
typedef struct nn_recurrent_attr {
    int   with_final;
    int   skip_dx;      /* gradient: nobody asks for dx                                             */
    real *saved;        /* [B T D (G + 1) H]: gates, then extra; NULL: backward computes them again */
} nn_recurrent_attr;

/* The op's inputs: x, weight_ih, weight_hh, bias, then lengths, then state. */
bl_status nn_recurrent_shape(const nn_cell *cell, nn_node *y, bl_error *err);
int64_t   nn_recurrent_scratch(const nn_cell *cell, const nn_node *y);
void      nn_recurrent_forward(const nn_cell *cell, nn_node *y);
void      nn_recurrent_backward(const nn_cell *cell, const nn_op *grad, nn_tape *t, nn_node *y, nn_node *dy, nn_node **din);

/* The gradient op's inputs: dy, y, then the op's own; its value is all gradients in one vector [dx, d weight_ih,
 * d weight_hh, d bias, d state]. Its gradient builds the layer again from primitive ops and differentiates that twice:
 * slow, exact, and needed only where a gradient penalty goes through a recurrent layer. */
bl_status nn_recurrent_grad_shape(const nn_cell *cell, nn_node *y, bl_error *err);
int64_t   nn_recurrent_grad_scratch(const nn_cell *cell, const nn_node *y);
void      nn_recurrent_grad_forward(const nn_cell *cell, nn_node *y);
void      nn_recurrent_grad_backward(const nn_cell *cell, nn_tape *t, nn_node *y, nn_node *ddy, nn_node **din);

int nn_recurrent_parse(const char *text, void *attr); /* "with_final" */

/* The typed call behind nn_lstm and nn_gru. */
nn_node *nn_recurrent_apply(const nn_cell *cell, const nn_op *op, nn_tape *t, nn_node *x, nn_node *weight_ih, nn_node *weight_hh,
                            nn_node *bias, nn_node *lengths, nn_node *state, int with_final);

#endif
