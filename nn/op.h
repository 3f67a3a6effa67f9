/* What an op is. One file in nn/ops/ is one op; the build lists the folder, so nothing else needs editing.
 *
 * `shape` checks inputs and attributes and sets y->shape: the only step that may fail. `forward` fills y->x.
 * `backward` is given dy (same shape as y) and sets din[i] for each input that nn_wants_grad, by calling ops: so
 * gradients of gradients need no further code. A fused gradient kernel is an op of its own.
 * `alias` set: y shares in[0]'s buffer (reshape).
 * `scratch` says, from shapes and attributes alone, how many elements of working memory `forward` needs; it finds them in
 * y->scratch (64-byte aligned, not zeroed; NULL when it asked for 0). So memory is known before anything is computed.
 * `unread` names the values that `backward` (and the ops that it emits) will not read, shapes aside: they may be released
 * as soon as forward no longer needs them. 0, the default, keeps everything. `product` set: of in[0] and in[1], each is
 * read for the gradient of the other only, so that a constant factor (a dropout mask, a frozen weight) frees the other one.
 *
 * `cheap` set: y costs little more than reading its inputs. Where those are kept anyway, y is not: it is computed again when a
 * gradient rule reads it.
 * `in_place` set: y has the shape of in[0], and forward reads each element of it before it writes that of y and no other, so
 * that y may lie over in[0]. It does where nobody will read in[0] again (nn_last_use).
 *
 * `examples` are run by tests/nn/test_ops.c: gradient checks of first and second order in double. Syntax, one
 * string each: input shapes "[2,3,17] [3]", with an optional range per input "[2,3]:0.5..2" (default -1..1),
 * then "; " and the op's attribute text, parsed by `parse` (NULL when the op has none).
 */
#ifndef BL_NN_OP_H
#define BL_NN_OP_H

#include "nn/tape.h"

struct nn_op {
    const char *name;
    const char *summary;
    int         min_in, max_in;
    size_t      attr_size;                                   /* copied onto the tape by nn_apply      */
    bl_status (*shape)(nn_node *y, bl_error *err);
    void      (*forward)(nn_tape *tape, nn_node *y);
    void      (*backward)(nn_tape *tape, nn_node *y, nn_node *dy, nn_node **din);
    int         alias;
    int         first_order_only;  /* second order goes through another op; say why in the file */
    unsigned    no_grad;           /* bit i: input i has no gradient by design (an index, a pitch)    */
    unsigned    unread;            /* NN_READ_IN(i), NN_READ_OUT, NN_READ_ANY: values that backward never looks at */
    int         cheap;             /* y may be computed again                                         */
    int         in_place;          /* y may lie over in[0]                                            */
    int         product;           /* bilinear in in[0] and in[1]                                     */
    int64_t   (*scratch)(const nn_node *y);                  /* elements wanted in y->scratch during forward */
    int       (*parse)(const char *text, void *attr);        /* 1 when fine; for examples             */
    const char *const *examples;
    const nn_op *derivative;       /* elementwise ops (unary.h): u f'(v), an op of two inputs; NULL: f' is constant */
    int         by_output;         /* v is the output of f, not its input                   */
};

#define NN_READ_IN(i) (1u << (i))
#define NN_READ_OUT   (1u << NN_MAX_IN)
#define NN_READ_ANY   (~0u)

/* All ops, in name order, NULL at the end (generated). */
extern const nn_op *const nn_ops[];

/* Runs an op: shape, buffer, forward, record. attr NULL when the op has none. */
nn_node *nn_apply(nn_tape *tape, const nn_op *op, const void *attr, int n_in, nn_node *const *in);

/* For backward rules: is this the last time that they run for their node (nn_backward)? Then what forward left for them in
 * scratch can go. */
int nn_consumes(const nn_tape *tape);

/* Promises that one more op will take x, and nobody else: it may write over it (op.h: in_place). Holds for values made on
 * the tape that are neither kept nor read by a gradient rule; else nothing happens. Returns x. */
nn_node *nn_last_use(nn_node *x);

/* For backward rules: is the gradient of this input needed in the sweep under way? (Cheaper than needs_grad: a gradient
 * penalty asks for d score / d x only, and no weight gradient should be computed for it.) */
int nn_wants_grad(const nn_tape *tape, const nn_node *in);

/* Scratch on the tape until the reset (or given back with nn_scratch_release, last in first out not needed); for what lives
 * longer than one forward, whose own is `scratch` above. On a dry tape it is counted and must not be looked at. */
real *nn_scratch(nn_tape *tape, int64_t n);
void  nn_scratch_release(nn_tape *tape, real *p);
/* Plain memory until the reset, on a dry tape, too: lists of nodes and the like. */
void *nn_tape_alloc(nn_tape *tape, size_t n_bytes);

/* Parallel loops pay off above this many elements. */
enum { NN_PARALLEL_MIN = 16384 };

#endif
