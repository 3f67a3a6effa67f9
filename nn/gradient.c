/* Gradients.
 *
 * A sweep walks from y towards the leaves. Each node's waiting gradient stands in an array of the sweep, so that a
 * rule may run a sweep of its own (fused ops do, for their second order). Gradient nodes are released as soon as their
 * last holder has used them (and, when the gradient itself is to be differentiated, no rule will read them); `keep` counts
 * holders in steps of two, above the flag that nn_keep sets. */
#include "nn/gradient.h"
#include "nn/ops.h"

#include "base/heap.h"

#include <string.h>

int nn_wants_grad(const nn_tape *t, const nn_node *in)
{
    return in->needs_grad && (!t->sweep.wanted || in->index >= t->sweep.n_wanted || t->sweep.wanted[in->index]);
}

static void drop(nn_tape *t, nn_node *g)
{
    g->keep -= 2;
    nn_release(t, g);
}

static void add_in_place(real *sum, const real *x, int64_t n)
{
#pragma omp parallel for simd schedule(static) if (parallel : n > NN_PARALLEL_MIN)
    for (int64_t i = 0; i < n; i++)
        sum[i] += x[i];
}

/* The gradient so far plus g. A sum that nobody else holds is updated in place. */
static nn_node *accumulate(nn_tape *t, nn_node *old, nn_node *g, int held)
{
    if (!old)
        return g;
    if (held && old->keep == 2 && old->buffer && old->buffer->n_users == 1 && nn_same_shape(&old->shape, &g->shape)) {
        if (!t->dry)
            add_in_place(old->x, g->x, nn_count(&g->shape));
        return old;
    }
    return nn_add(t, old, g);
}

/* wanted[i]: y depends on node i, and node i on one of the n xs (n = 0: on any leaf that needs a gradient). */
static unsigned char *mark_wanted(nn_tape *t, nn_node *y, int n, nn_node *const *xs)
{
    const size_t count = (size_t)y->index + 1;
    unsigned char *wanted = nn_tape_alloc(t, count);
    nn_node **node = nn_tape_alloc(t, count * sizeof *node);
    if (!wanted || !node)
        return NULL;
    memset(wanted, 0, count);
    for (nn_node *m = t->last; m; m = m->previous)
        if (m->index <= y->index)
            node[m->index] = m;
    wanted[y->index] = 1;
    for (int64_t i = y->index; i >= 0; i--)
        for (int k = 0; wanted[i] && k < node[i]->n_in; k++)
            if (node[i]->in[k]->needs_grad && !(node[i]->op->no_grad >> k & 1))
                wanted[node[i]->in[k]->index] = 1;
    if (n == 0)
        return wanted;
    for (int64_t i = 0; i <= y->index; i++) {
        int depends = 0;
        for (int k = 0; k < n; k++)
            depends |= node[i] == xs[k];
        for (int k = 0; k < node[i]->n_in && !depends; k++)
            depends = wanted[node[i]->in[k]->index] & 2 && !(node[i]->op->no_grad >> k & 1);
        wanted[i] = (unsigned char)(wanted[i] && depends ? 3 : depends ? 2 : 0);
    }
    for (int64_t i = 0; i <= y->index; i++)
        wanted[i] = wanted[i] == 3;
    return wanted;
}

/* Values that n's rule will read and that were left to be computed again. */
static void bring_what_is_read(nn_tape *t, nn_node *n)
{
    const nn_op *op = n->op;
    if (!(op->unread & NN_READ_OUT))
        nn_come_again(t, n);
    for (int i = 0; i < n->n_in; i++)
        if (!(op->unread & NN_READ_IN(i)) && !(op->product && i < 2 && !nn_wants_grad(t, n->in[1 - i])))
            nn_come_again(t, n->in[i]);
}

void nn_sweep(nn_tape *t, nn_node *y, nn_node *dy, nn_sweep_mode mode, int n_xs, nn_node *const *xs, nn_node **result)
{
    const size_t count = (size_t)y->index + 1;
    const int held = mode != NN_SWEEP_GRAPH;
    unsigned char *wanted = mark_wanted(t, y, mode == NN_SWEEP_CONSUME ? 0 : n_xs, xs);
    nn_node **grad = nn_tape_alloc(t, count * sizeof *grad);
    if (!wanted || !grad)
        return;
    memset(grad, 0, count * sizeof *grad);
    const nn_sweep_state outer = t->sweep;
    const int was_recording = nn_tape_record(t, !held);
    t->sweep = (nn_sweep_state){ wanted, y->index + 1, grad, mode };

    for (int k = 0; k < n_xs; k++) {
        if (result[k]) /* what others have added already; it is held */
            grad[xs[k]->index] = result[k];
        result[k] = NULL;
    }
    grad[y->index] = dy;
    dy->keep += 2;
    for (nn_node *n = y; n && !t->err.code; n = n->previous) {
        nn_node *din[NN_MAX_IN] = { NULL }, *g = grad[n->index], *mark = t->last;
        if (!wanted[n->index])
            continue;
        if (!g) { /* only read by gradients, as the sign of a ReLU is */
            if (mode == NN_SWEEP_CONSUME && n->op && n != y)
                nn_release(t, n);
            continue;
        }
        for (int k = 0; k < n_xs; k++)
            if (xs[k] == n) {
                result[k] = g;
                g->keep += 2; /* the caller's hold, given up without a release at the end */
            }
        if (!n->op) {
            if (mode == NN_SWEEP_CONSUME && n->grad_sink && !t->dry)
                add_in_place(n->grad_sink, g->x, nn_count(&n->shape));
        } else if (n->op->backward) {
            bring_what_is_read(t, n);
            if (!t->err.code)
                n->op->backward(t, n, g, din);
        }
        for (int i = 0; i < n->n_in && !t->err.code; i++) {
            nn_node *in = n->in[i];
            if (!din[i] || !nn_wants_grad(t, in))
                continue;
            BL_ASSERT(nn_count(&din[i]->shape) == nn_count(&in->shape));
            nn_node *old = grad[in->index], *sum = accumulate(t, old, din[i], held);
            if (!sum)
                break;
            if (sum != old) {
                sum->keep += 2;
                if (old && held)
                    drop(t, old);
                else if (old)
                    old->keep -= 2; /* part of a graph that may be differentiated */
            }
            grad[in->index] = sum;
        }
        nn_scope_end(t, mark, NULL);
        drop(t, g);
        if (mode == NN_SWEEP_CONSUME && n->op && n != y)
            nn_release(t, n);
    }
    for (int k = 0; k < n_xs; k++)
        if (result[k])
            result[k]->keep -= 2;
    t->sweep = outer;
    nn_tape_record(t, was_recording);
}

int nn_consumes(const nn_tape *t)
{
    return t->sweep.mode == NN_SWEEP_CONSUME;
}

void nn_backward(nn_tape *t, nn_node *loss)
{
    char text[96];
    if (t->err.code)
        return;
    if (nn_count(&loss->shape) != 1) {
        bl_fail(&t->err, BL_ESHAPE, "backward needs a loss of one element, got %s", nn_shape_str(&loss->shape, text));
        return;
    }
    nn_node *one = loss->needs_grad ? nn_full(t, loss->shape, 1) : NULL;
    if (one)
        nn_sweep(t, loss, one, NN_SWEEP_CONSUME, 0, NULL, NULL);
}

void nn_grad(nn_tape *t, nn_node *y, nn_node *dy, int n, nn_node *const *xs, nn_node **grads, int create_graph)
{
    for (int i = 0; i < n; i++)
        grads[i] = NULL;
    if (t->err.code || !y->needs_grad)
        return;
    nn_node *start = dy ? dy : nn_full(t, y->shape, 1);
    if (!start)
        return;
    start->keep += 2; /* the caller's: a sweep releases what nobody holds */
    nn_sweep(t, y, start, create_graph ? NN_SWEEP_GRAPH : NN_SWEEP_GRAD, n, xs, grads);
    start->keep -= 2;
}
