/* The engine's heart: nodes on a define-by-run tape.
 *
 * Every op runs when it is called and is recorded, so a debugger stops on the line that made it and
 * lengths may change from step to step. Gradient rules emit nodes on the same tape: a gradient can be
 * differentiated again (WGAN-GP). Row-major, contiguous; [B, C, T] as in PyTorch.
 *
 *     nn_tape *tape = nn_tape_new(&err);
 *     for (;;) {
 *         nn_tape_reset(tape);
 *         nn_node *x = nn_input(tape, nn_shape_of(3, 8, 1, 16384), samples);
 *         nn_node *loss = nn_mean(tape, nn_square(tape, nn_network_run(net, tape, x)));
 *         nn_backward(tape, loss);                      // adds to the gradients of all parameters
 *         if (tape->err.code) break;
 *         nn_optimizer_step(optimizer);
 *     }
 *
 * Errors   Sticky: the first failure is kept in tape->err; from then on every nn_* call returns NULL and does
 *          nothing, so model code needs no checks. NULL inputs are accepted once err is set.
 * Memory   Nodes and buffers belong to the tape and die at nn_tape_reset, which keeps the memory: a steady
 *          step allocates nothing from the heap. A scope (nn_scope_begin/_end) releases the values made in it but
 *          its result; while recording, those stay that a gradient rule will read, until nn_backward has read them, or they
 *          are computed again then (op.h: cheap).
 * Threads  One tape per thread; kernels run parallel inside. Results do not depend on the thread count.
 */
#ifndef BL_NN_TAPE_H
#define BL_NN_TAPE_H

#include "base/error.h"
#include "base/real.h"
#include "base/rng.h"

#include <stddef.h>
#include <stdint.h>

enum { NN_MAX_RANK = 4, NN_MAX_IN = 8 };

typedef struct nn_shape {
    int     rank;               /* 0: a scalar */
    int64_t dim[NN_MAX_RANK];
} nn_shape;

typedef struct nn_op nn_op;
typedef struct nn_tape nn_tape;
struct bl_block; /* base/heap.h */

typedef struct nn_node {
    real            *x;          /* value; NULL once it is released, and on a dry tape                */
    nn_shape         shape;
    const nn_op     *op;         /* NULL for inputs and parameters                                    */
    const void      *attr;       /* the op's own settings, on the tape                                */
    struct nn_node  *in[NN_MAX_IN];
    int              n_in;
    int              keep;       /* not 0: the value survives nn_backward and scopes                  */
    unsigned char    needs_grad;
    unsigned char    needed;     /* a gradient rule will read the value (op.h: unread)                */
    unsigned char    last_use;   /* the next op that takes it is the last (nn_last_use)               */
    unsigned char    released;   /* the value is gone: reading it is a mistake                        */
    unsigned char    again;      /* released, but a rule that reads it gets it computed again         */
    int64_t          index;      /* place on the tape                                                 */
    real            *grad_sink;  /* parameters: where nn_backward adds the gradient                   */
    real            *scratch;    /* working memory of forward, while it runs (op.h)                    */
    struct bl_block *buffer;     /* NULL when x is borrowed                                           */
    struct nn_node  *previous;   /* the node made before this one                                     */
} nn_node;

/* The gradients that are being computed: which nodes need one and what has come in so far, by node index. */
typedef struct nn_sweep_state {
    const unsigned char *wanted;
    int64_t              n_wanted;
    nn_node            **grad;
    int                  mode;
} nn_sweep_state;

struct nn_tape {
    bl_error err;
    bl_rng   rng;               /* for dropout, noise, phase shuffle; seed it, save it        */
    int      training;          /* layers that behave differently look here                   */
    int      dry;               /* read only: values are not computed (nn_tape_dry)           */
    int      recomputing;       /* read only: this has run before (nn_recompute): statistics
                                   of batches are not to be updated again                     */
    /* the rest is the tape's own business */
    int      recording;
    nn_node *last;
    int64_t  n_nodes;
    struct nn_tape_memory *memory;
    struct nn_profile *profile;  /* NULL: off (nn/profile.h) */
    nn_sweep_state sweep;
};

nn_tape *nn_tape_new(bl_error *err);
void     nn_tape_free(nn_tape *tape);
void     nn_tape_reset(nn_tape *tape);
/* Returns the old setting. Off: nodes keep no history and need no gradient (inference). */
int      nn_tape_record(nn_tape *tape, int on);
/* The most memory that a step has taken so far: values, scratch and nodes, gaps between them included. */
size_t   nn_tape_peak_bytes(const nn_tape *tape);

/* How much memory will a step take? On a dry tape the same code runs (networks, losses, nn_backward, nn_grad), shapes are
 * checked and memory is counted, but nothing is computed and no memory is touched: x is NULL in every node, so code that
 * looks at values (loss->x[0], data of an nn_borrow) leaves that out when tape->dry. Gradients of parameters stay as they
 * are; optimizers must not step. Switching resets the tape and starts its peak at 0.
 *
 *     nn_tape_dry(tape, 1);
 *     make_step(model, tape);                                  // forward, loss, backward
 *     const size_t planned = nn_tape_peak_bytes(tape);
 *     nn_tape_dry(tape, 0);
 */
void     nn_tape_dry(nn_tape *tape, int on);
/* The value of a node of one element; 0 on a dry tape and after its release. */
double   nn_scalar(const nn_node *x);

/* Shapes. nn_shape_of(3, 8, 1, 16384) is [8, 1, 16384]. */
nn_shape    nn_shape_of(int rank, ...);
int64_t     nn_count(const nn_shape *shape);
int         nn_same_shape(const nn_shape *a, const nn_shape *b);
const char *nn_shape_str(const nn_shape *shape, char out[96]);

/* Leaves. nn_input copies; nn_borrow does not (data must live until the reset). nn_leaf is an input whose
 * gradient can be asked for with nn_grad. nn_zeros/nn_full/nn_randn fill. */
nn_node *nn_input(nn_tape *tape, nn_shape shape, const float *data);
nn_node *nn_input_real(nn_tape *tape, nn_shape shape, const real *data);
nn_node *nn_borrow(nn_tape *tape, nn_shape shape, real *data);
nn_node *nn_leaf(nn_tape *tape, nn_shape shape, const real *data);
nn_node *nn_full(nn_tape *tape, nn_shape shape, double value);
nn_node *nn_randn(nn_tape *tape, nn_shape shape);  /* from tape->rng */
nn_node *nn_rand(nn_tape *tape, nn_shape shape, double low, double high);
/* Same value, no history. Shares the buffer. */
nn_node *nn_detach(nn_tape *tape, nn_node *x);
/* The value survives nn_backward and scopes. Returns x. */
nn_node *nn_keep(nn_node *x);
/* x, when it has this shape; else NULL and BL_ESHAPE on the tape, "what: expected [1, 2, 100], got [1, 2, 50]". For whoever is going
 * to read x->x of a network that somebody else wrote. */
nn_node *nn_expect(nn_tape *tape, nn_node *x, nn_shape shape, const char *what);

/* Adds d loss / d parameter to every parameter's gradient sink. loss has one element. Consumes the graph below
 * loss: values that are neither kept nor leaves are released. */
void nn_backward(nn_tape *tape, nn_node *loss);

/* grads[i] = d sum(y * dy) / d xs[i] as nodes, NULL where y does not depend on xs[i]. dy NULL: ones.
 * With create_graph the result can be differentiated again. The graph is left as it was; sinks are not touched. */
void nn_grad(nn_tape *tape, nn_node *y, nn_node *dy, int n, nn_node *const *xs, nn_node **grads, int create_graph);

/* Releases the values of all nodes made since begin, except `result`, kept ones and, while recording, those that a
 * gradient rule will read. Nobody may use them in an op afterwards. */
nn_node *nn_scope_begin(nn_tape *tape);
void     nn_scope_end(nn_tape *tape, nn_node *mark, nn_node *result);
/* The same for one node. */
void     nn_release(nn_tape *tape, nn_node *x);

#endif
