/* Running a network: inputs checked, layers in order; without recording every value goes after its last use. */
#include "nn/network_private.h"

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

/* Gives back what neither a later layer nor a gradient needs: what layer i made on its way, and the values that it was the
 * last to read. What was there before the run is the caller's. */
static void release_dead(nn_network *net, nn_tape *t, const nn_node *before, nn_node *mark, int i)
{
    nn_network_item *it = &net->items[i];
    nn_scope_end(t, mark, it->value);
    for (int k = 0; k < it->n_in; k++) {
        nn_network_item *source = &net->items[it->in[k]];
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

nn_node *nn_network_run(nn_network *net, nn_tape *t, nn_node *const *inputs, nn_node **outputs)
{
    char want[96], got[96];
    int next_input = 0;
    for (int i = 0; i < net->n; i++)
        net->items[i].value = NULL;
    for (int i = 0; outputs && i < net->n_outputs; i++)
        outputs[i] = NULL;
    nn_node *before = nn_scope_begin(t);
    for (int i = 0; i < net->n && !t->err.code; i++) {
        nn_network_item *it = &net->items[i];
        nn_node *in[NN_MAX_IN], *mark = nn_scope_begin(t);
        if (!it->layer) {
            it->value = inputs[next_input++];
            if (it->value && !input_fits(&it->shape, it->value)) {
                nn_shape_str(&it->value->shape, got);
                bl_fail(&t->err, BL_ESHAPE, "%s: input \"%s\" expects a batch of %s, got %s", net->section, it->key,
                        nn_network_shape_str(&it->shape, want), got);
            }
            continue;
        }
        for (int k = 0; k < it->n_in; k++)
            in[k] = net->items[it->in[k]].value;
        if (it->layer->type->takes_once && is_last_use(net, before, &net->items[it->in[0]], i))
            nn_last_use(in[0]);
        it->value = it->layer->type->forward(it->layer, t, in);
        if (t->err.code)
            bl_error_prefix(&t->err, "%s (%s)", it->layer->path, it->layer->type->name);
        else
            release_dead(net, t, before, mark, i);
    }
    if (t->err.code)
        return NULL;
    for (int i = 0; outputs && i < net->n_outputs; i++)
        outputs[i] = net->items[net->output[i]].value;
    return net->items[net->output[0]].value;
}
