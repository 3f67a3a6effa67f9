#include "nn/weight.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

nn_weight_kind nn_weight_kind_of(const nn_layer *l)
{
    return nn_layer_get(l, "spectral_norm") != 0 ? NN_WEIGHT_SPECTRAL
           : nn_layer_get(l, "weight_norm") != 0 ? NN_WEIGHT_NORM : NN_WEIGHT_PLAIN;
}

bl_status nn_weight_check(const nn_layer *l, bl_error *err)
{
    if (nn_layer_get(l, "spectral_norm") != 0 && nn_layer_get(l, "weight_norm") != 0)
        return bl_fail(err, BL_EARG, "weight_norm and spectral_norm exclude each other");
    return BL_OK;
}

/* A buffer that starts as a random direction. */
static int direction(nn_layer *l, const char *name, int64_t n, bl_error *err)
{
    const int slot = nn_layer_buffer(l, name, (nn_shape){ 1, { n } }, NN_INIT_NORMAL, err);
    if (slot >= 0)
        l->params->param[l->param[slot]].scale = 1 / sqrt((double)n);
    return slot;
}

int nn_weight_params(nn_layer *l, const char *prefix, const nn_shape *weight, nn_weight_kind kind, int dim, bl_error *err)
{
    char name[64];
    const int64_t fan_in = nn_count(weight) / weight->dim[0];
    const double bound = nn_kaiming_bound(fan_in);
    int slot;
    if (kind == NN_WEIGHT_NORM) {
        /* |v| of a fresh kernel is bound * sqrt(fan_in / 3) but for a few percent: the layer starts as a plain one. */
        const nn_shape gain = { weight->rank, { weight->dim[0], 1, 1, 1 } };
        snprintf(name, sizeof name, "%sweight_g", prefix);
        slot = nn_layer_param(l, name, gain, NN_INIT_CONSTANT, bound * sqrt((double)fan_in / 3), err);
        snprintf(name, sizeof name, "%sweight_v", prefix);
        return slot < 0 || nn_layer_param(l, name, *weight, NN_INIT_UNIFORM, bound, err) < 0 ? -1 : slot;
    }
    snprintf(name, sizeof name, kind == NN_WEIGHT_SPECTRAL ? "%sweight_orig" : "%sweight", prefix);
    slot = nn_layer_param(l, name, *weight, NN_INIT_UNIFORM, bound, err);
    if (slot < 0 || kind == NN_WEIGHT_PLAIN)
        return slot;
    snprintf(name, sizeof name, "%sweight_u", prefix);
    if (direction(l, name, weight->dim[dim], err) < 0)
        return -1;
    snprintf(name, sizeof name, "%sweight_v", prefix);
    return direction(l, name, nn_count(weight) / weight->dim[dim], err) < 0 ? -1 : slot;
}

nn_node *nn_weight_norm(nn_tape *t, nn_node *g, nn_node *v)
{
    if (t->err.code)
        return NULL;
    unsigned rest = 0;
    for (int d = 1; d < v->shape.rank; d++)
        rest |= 1u << d;
    return nn_mul(t, v, nn_div(t, g, nn_sqrt(t, nn_sum_dims(t, nn_square(t, v), rest))));
}

/* ---- spectral norm ---- */

static real *values(const nn_layer *l, int slot)
{
    return l->params->value + l->params->param[l->param[slot]].offset;
}

/* x / max(|x|, 1e-12), torch's normalize. */
static nn_node *unit(nn_tape *t, nn_node *x)
{
    nn_node *length = nn_sqrt(t, nn_sum_dims(t, nn_square(t, x), 3u));
    return nn_div(t, x, nn_clamp(t, length, 1e-12, INFINITY));
}

/* The singular vectors' next estimates, as constants; the buffers keep them. */
static void iterate(nn_layer *l, nn_tape *t, int slot, nn_node *matrix, nn_node *uv[2])
{
    const int was = nn_tape_record(t, 0);
    for (int i = 0; i < 2; i++)
        if ((uv[i] = nn_layer_node(l, t, slot + 1 + i)))
            uv[i] = unit(t, nn_reshape(t, uv[i], (nn_shape){ 2, { nn_count(&uv[i]->shape), 1 } }));
    for (int k = 0; t->training && k < (int)nn_layer_get(l, "n_power_iterations"); k++) {
        uv[1] = unit(t, nn_matmul(t, matrix, uv[0], 1, 0));
        uv[0] = unit(t, nn_matmul(t, matrix, uv[1], 0, 0));
    }
    nn_tape_record(t, was);
    for (int i = 0; i < 2 && t->training && !t->err.code && !t->dry; i++)
        memcpy(values(l, slot + 1 + i), uv[i]->x, (size_t)nn_count(&uv[i]->shape) * sizeof(real));
}

static nn_node *spectral_norm(nn_layer *l, nn_tape *t, int slot, int dim)
{
    nn_node *weight = nn_layer_node(l, t, slot), *uv[2];
    if (t->err.code)
        return NULL;
    nn_node *matrix = dim ? nn_transpose(t, weight, 0, dim) : weight;
    matrix = nn_reshape(t, matrix, (nn_shape){ 2, { weight->shape.dim[dim], -1 } });
    iterate(l, t, slot, matrix, uv);
    nn_node *sigma = nn_sum(t, nn_mul(t, uv[0], nn_matmul(t, matrix, uv[1], 0, 0)));
    return nn_div(t, weight, sigma);
}

nn_node *nn_weight_node(nn_layer *l, nn_tape *t, int *slot, nn_weight_kind kind, int dim)
{
    const int first = *slot;
    *slot += kind == NN_WEIGHT_SPECTRAL ? 3 : kind == NN_WEIGHT_NORM ? 2 : 1;
    if (kind == NN_WEIGHT_SPECTRAL)
        return spectral_norm(l, t, first, dim);
    nn_node *weight = nn_layer_node(l, t, first);
    return kind == NN_WEIGHT_NORM ? nn_weight_norm(t, weight, nn_layer_node(l, t, first + 1)) : weight;
}
