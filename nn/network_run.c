/* Running a network: inputs checked, layers in order; every value goes after its last use, unless a gradient will read it. */
#include "nn/network_private.h"
#include "nn/recompute.h"

static int input_fits(const nn_shape *want, const nn_node *x)
{
    if (x->shape.rank != want->rank + 1)
        return 0;
    for (int d = 0; d < want->rank; d++)
        if (want->dim[d] >= 0 ? x->shape.dim[d + 1] != want->dim[d] : x->shape.dim[d + 1] < 1)
            return 0;
    return 1;
}

/* Nobody reads the value of `source` after item i: not the caller, who has what was there before, and no other item. */
static int is_last_use(const nn_network *net, const nn_node *before, const nn_network_item *source, int i)
{
    const nn_node *v = source->value;
    if (source->last_use > i || !v || (before && v->index <= before->index))
        return 0;
    for (int m = 0; m < i; m++) /* a layer may hand its input on as it is */
        if (&net->items[m] != source && net->items[m].value == v)
            return 0;
    return 1;
}

/* Gives back what neither a later layer nor a gradient needs: what was made since mark on the way to item i, and those of the
 * n_in items `in` that nobody reads after it. What was there before the run is the caller's. */
static void release_dead(nn_network *net, nn_tape *t, const nn_node *before, nn_node *mark, int i, const int *in, int n_in)
{
    nn_scope_end(t, mark, net->items[i].value);
    for (int k = 0; k < n_in; k++) {
        nn_network_item *source = &net->items[in[k]];
        nn_node *v = source->value;
        int lives = source->last_use > i || !v || (before && v->index <= before->index);
        if (source->last_use <= i)
            source->value = NULL;
        for (int m = 0; m <= i && !lives; m++) /* a layer may hand its input on as it is */
            lives = net->items[m].value == v;
        if (!lives)
            nn_release(t, v);
    }
}

static void run_layer(nn_network *net, nn_tape *t, const nn_node *before, int i)
{
    nn_network_item *it = &net->items[i];
    nn_node *in[NN_MAX_IN], *mark = nn_scope_begin(t);
    for (int k = 0; k < it->n_in; k++)
        in[k] = net->items[it->in[k]].value;
    if (it->layer->type->takes_once && is_last_use(net, before, &net->items[it->in[0]], i))
        nn_last_use(in[0]);
    it->value = it->layer->type->forward(it->layer, t, in);
    if (t->err.code)
        bl_error_prefix(&t->err, "%s (%s)", it->layer->path, it->layer->type->name);
    else
        release_dead(net, t, before, mark, i, it->in, it->n_in);
}

/* One segment, in the run or once more in backward: then the values of the run are those of others. */
static nn_node *run_segment(void *user, nn_tape *t, nn_node *const *in)
{
    const nn_network_segment *s = user;
    nn_network *net = s->net;
    nn_node *kept[NN_MAX_IN], *before = nn_scope_begin(t), *y;
    for (int k = 0; k < s->n_in; k++) {
        kept[k] = net->items[s->in[k]].value;
        net->items[s->in[k]].value = in[k];
    }
    nn_node *last = net->items[s->last].value;
    for (int i = s->first; i <= s->last && !t->err.code; i++)
        run_layer(net, t, before, i);
    y = net->items[s->last].value;
    net->items[s->last].value = last;
    for (int k = 0; k < s->n_in; k++)
        net->items[s->in[k]].value = kept[k];
    return t->err.code ? NULL : y;
}

static int has_trained_parameters(const nn_network_segment *s)
{
    for (int i = s->first; i <= s->last; i++) {
        const nn_layer *l = s->net->items[i].layer;
        for (int k = 0; k < l->n_params; k++)
            if (!l->params->param[l->param[k]].frozen && !l->params->param[l->param[k]].is_buffer)
                return 1;
    }
    return 0;
}

static void recompute_segment(nn_network *net, nn_tape *t, const nn_node *before, nn_network_segment *s)
{
    nn_node *in[NN_MAX_IN], *mark = nn_scope_begin(t);
    for (int k = 0; k < s->n_in; k++)
        in[k] = net->items[s->in[k]].value;
    net->items[s->last].value = nn_recompute(t, run_segment, s, has_trained_parameters(s), s->n_in, in);
    if (!t->err.code)
        release_dead(net, t, before, mark, s->last, s->in, s->n_in);
}

nn_node *nn_network_run(nn_network *net, nn_tape *t, nn_node *const *inputs, nn_node **outputs)
{
    char want[96], got[96];
    int next_input = 0;
    for (int i = 0; i < net->n; i++)
        net->items[i].value = NULL;
    for (int i = 0; outputs && i < net->n_outputs; i++)
        outputs[i] = NULL;
    const nn_node *before = nn_scope_begin(t);
    for (int i = 0; i < net->n && !t->err.code; i++) {
        nn_network_item *it = &net->items[i];
        if (it->layer && t->recording && it->segment >= 0) {
            recompute_segment(net, t, before, &net->segments[it->segment]);
            i = net->segments[it->segment].last;
        } else if (it->layer) {
            run_layer(net, t, before, i);
        } else {
            it->value = inputs[next_input++];
            if (it->value && !input_fits(&it->shape, it->value)) {
                nn_shape_str(&it->value->shape, got);
                bl_fail(&t->err, BL_ESHAPE, "%s: input \"%s\" expects a batch of %s, got %s", net->section, it->key,
                        nn_network_shape_str(&it->shape, want), got);
            }
        }
    }
    if (t->err.code)
        return NULL;
    for (int i = 0; outputs && i < net->n_outputs; i++)
        outputs[i] = net->items[net->output[i]].value;
    return net->items[net->output[0]].value;
}
