/* Parameters, options and the shared building blocks of layers. */
#include "nn/layer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* The parameter of a layer that shares another's: it must exist with this shape. */
static int find_shared(const nn_layer *l, const char *full, const char *name, nn_shape shape, bl_error *err)
{
    char there[96], here[96];
    const int index = nn_params_find(l->params, full);
    if (index < 0)
        bl_fail(err, BL_EARG, "share=: %s has no %s", l->path, name);
    else if (!nn_same_shape(&l->params->param[index].shape, &shape)) {
        bl_fail(err, BL_ESHAPE, "share=: %s is %s, and %s is wanted here", full,
                nn_shape_str(&l->params->param[index].shape, there), nn_shape_str(&shape, here));
        return -1;
    }
    return index;
}

static int add_param(nn_layer *l, const char *name, nn_shape shape, nn_init init, double scale, int is_buffer, bl_error *err)
{
    char full[112];
    int index;
    if (l->n_params == NN_LAYER_PARAMS) {
        bl_fail(err, BL_EARG, "more than %d parameters in one layer", NN_LAYER_PARAMS);
        return -1;
    }
    if (snprintf(full, sizeof full, "%s/%s", l->path, name) >= (int)sizeof full) {
        bl_fail(err, BL_EARG, "the parameter name %s/%s is longer than 111 characters", l->path, name);
        return -1;
    }
    if (l->is_shared)
        index = find_shared(l, full, name, shape, err);
    else
        index = is_buffer ? nn_params_add_buffer(l->params, full, shape, init, err)
                          : nn_params_add(l->params, full, shape, init, scale, err);
    if (index < 0)
        return -1;
    l->param[l->n_params] = index;
    return l->n_params++;
}

int nn_layer_param(nn_layer *l, const char *name, nn_shape shape, nn_init init, double scale, bl_error *err)
{
    return add_param(l, name, shape, init, scale, 0, err);
}

int nn_layer_buffer(nn_layer *l, const char *name, nn_shape shape, nn_init init, bl_error *err)
{
    return add_param(l, name, shape, init, 0, 1, err);
}

nn_node *nn_layer_node(nn_layer *l, nn_tape *t, int slot)
{
    BL_ASSERT(slot >= 0 && slot < l->n_params);
    return nn_param_node(t, l->params, l->param[slot]);
}

double nn_layer_get(const nn_layer *l, const char *option)
{
    int i = 0;
    while (l->type->options[i].name && strcmp(l->type->options[i].name, option))
        i++;
    BL_ASSERT(l->type->options[i].name);
    return l->option[i];
}

int64_t nn_layer_int(const nn_layer *l, const char *option)
{
    return (int64_t)nn_layer_get(l, option);
}

double nn_kaiming_bound(int64_t fan_in)
{
    return fan_in > 0 ? 1 / sqrt((double)fan_in) : 0;
}

nn_node *nn_as_sequence(nn_tape *t, nn_node *x)
{
    if (t->err.code || x->shape.rank != 2)
        return t->err.code ? NULL : x;
    return nn_reshape(t, x, (nn_shape){ 3, { x->shape.dim[0], x->shape.dim[1], 1 } });
}

void nn_release_but(nn_tape *t, nn_node *mark, int n, nn_node *const *live)
{
    int held = 0; /* bit i: live[i] was marked here */
    BL_ASSERT(n < 31);
    if (t->err.code)
        return;
    for (int i = 0; i < n; i++)
        if (live[i] && !(live[i]->keep & 1)) {
            live[i]->keep |= 1;
            held |= 1 << i;
        }
    nn_scope_end(t, mark, NULL);
    for (int i = 0; i < n; i++)
        if (held & 1 << i)
            live[i]->keep &= ~1;
}

bl_status nn_expect_sequence(const nn_layer *l, int i, bl_error *err)
{
    char text[96];
    if (l->in_shape[i].rank == 2)
        return BL_OK;
    return bl_fail(err, BL_ESHAPE, "expects an input of [channels, T], got %s", nn_shape_str(&l->in_shape[i], text));
}

bl_status nn_build_same(nn_layer *l, bl_error *err)
{
    (void)err;
    l->out_shape = l->in_shape[0];
    return BL_OK;
}

bl_status nn_build_broadcast(nn_layer *l, bl_error *err)
{
    char a[96], b[96];
    nn_shape out = l->in_shape[0];
    for (int i = 1; i < l->n_in; i++)
        if (l->in_shape[i].rank > out.rank)
            out.rank = l->in_shape[i].rank;
    for (int d = l->in_shape[0].rank; d < out.rank; d++)
        out.dim[d] = 1;
    for (int i = 1; i < l->n_in; i++)
        for (int d = 0; d < out.rank; d++) {
            const int64_t n = d < l->in_shape[i].rank ? l->in_shape[i].dim[d] : 1;
            if (n != out.dim[d] && n != 1 && out.dim[d] != 1)
                return bl_fail(err, BL_ESHAPE, "shapes %s and %s do not fit together (-1: any length)",
                               nn_shape_str(&l->in_shape[0], a), nn_shape_str(&l->in_shape[i], b));
            if (out.dim[d] == 1)
                out.dim[d] = n;
        }
    l->out_shape = out;
    return BL_OK;
}
