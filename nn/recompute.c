/* The segment's result is a node of its own: it shares the memory of what the first run computed, and its rule runs the
 * segment again, this time recorded, and sweeps through it. */
#include "nn/recompute.h"

#include "nn/gradient.h"
#include "nn/ops.h"

typedef struct attr {
    nn_segment *run;
    void       *user;
    bl_rng      rng;
    int         training;
} attr;

static bl_status shape(nn_node *y, bl_error *err)
{
    (void)err;
    y->shape = y->in[0]->shape;
    return BL_OK;
}

/* The second run: the same draws, recorded. */
static nn_node *run_again(nn_tape *t, const attr *a, nn_node *const *in)
{
    const bl_rng rng = t->rng;
    const int training = t->training, recording = nn_tape_record(t, 1), recomputing = t->recomputing;
    t->rng = a->rng;
    t->training = a->training;
    t->recomputing = 1;
    nn_node *y = a->run(a->user, t, in);
    t->recomputing = recomputing;
    t->training = training;
    t->rng = rng;
    nn_tape_record(t, recording);
    return y;
}

/* Inputs are in[1] and on. The second run has stand-ins for them, where its sweep ends: leaves, or, where the gradient's graph
 * is wanted, nodes that lead on. Gradients that the inputs have from elsewhere are handed in, so that sums are in the order of a
 * plain run. */
static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    const nn_sweep_state outer = t->sweep;
    nn_node *in[NN_MAX_IN], *xs[NN_MAX_IN], *result[NN_MAX_IN], *before[NN_MAX_IN];
    int place[NN_MAX_IN], n_xs = 0;
    for (int i = 1; i < y->n_in; i++) {
        nn_node *x = y->in[i];
        const int wanted = nn_wants_grad(t, x), graph = wanted && outer.mode == NN_SWEEP_GRAPH;
        nn_node *stand_in = graph ? nn_reshape(t, x, x->shape) : nn_detach(t, x);
        if (!stand_in)
            return;
        stand_in->needs_grad = (unsigned char)wanted;
        in[i - 1] = stand_in;
        if (!wanted)
            continue;
        before[n_xs] = result[n_xs] = outer.grad[x->index];
        outer.grad[x->index] = NULL;
        place[n_xs] = i;
        xs[n_xs++] = stand_in;
    }
    nn_node *again = run_again(t, y->attr, in);
    if (!again)
        return;
    const int swept = again->needs_grad;
    if (swept)
        nn_sweep(t, again, dy, (nn_sweep_mode)outer.mode, n_xs, xs, result);
    for (int k = 0; k < n_xs; k++) {
        nn_node **slot = &outer.grad[y->in[place[k]]->index];
        if (swept && result[k] && result[k] != before[k]) {
            din[place[k]] = result[k];
            continue;
        }
        if (before[k])
            *slot = before[k];
        if (swept && result[k]) /* the sweep has given its hold up */
            before[k]->keep += 2;
    }
}

static const nn_op segment_op = {
    .name = "segment",
    .summary = "computed again for its gradient",
    .min_in = 1,
    .max_in = NN_MAX_IN,
    .attr_size = sizeof(attr),
    .shape = shape,
    .backward = backward,
    .alias = 1,
    .unread = NN_READ_IN(0) | NN_READ_OUT,
};

nn_node *nn_recompute(nn_tape *t, nn_segment *run, void *user, int trains, int n_in, nn_node *const *in)
{
    nn_node *all[NN_MAX_IN];
    if (t->err.code || !t->recording)
        return t->err.code ? NULL : run(user, t, in);
    if (n_in > NN_MAX_IN - 1) {
        bl_fail(&t->err, BL_EARG, "recompute: a segment has at most %d inputs, got %d", NN_MAX_IN - 1, n_in);
        return NULL;
    }
    for (int i = 0; i < n_in; i++) {
        trains |= in[i]->needs_grad;
        all[i + 1] = in[i];
    }
    if (!trains)
        return run(user, t, in);
    const attr a = { run, user, t->rng, t->training };
    nn_node *mark = nn_scope_begin(t);
    nn_tape_record(t, 0);
    all[0] = run(user, t, in);
    nn_scope_end(t, mark, all[0]);
    nn_tape_record(t, 1);
    if (!all[0])
        return NULL;
    nn_node *y = nn_apply(t, &segment_op, &a, n_in + 1, all);
    if (!y)
        return NULL;
    y->needs_grad = 1; /* for the sake of its parameters */
    nn_mark_needed(y);
    if (!mark || all[0]->index > mark->index) /* not an input handed on as it is */
        nn_release(t, all[0]);
    return y;
}
