/* Moving averages: one loop over the parameter block, parameter by parameter. */
#include "nn/plan.h"

#include "nn/op.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME = 240 };

struct nn_ema {
    nn_params *params;
    real      *average;     /* [params->n_elements] */
    double     decay;
    int64_t    n_updates;
};

nn_ema *nn_ema_new(nn_params *params, double decay, bl_error *err)
{
    if (!(decay >= 0 && decay < 1) || !params->value) {
        bl_fail(err, BL_EARG, "moving average: expected finished parameters and a decay of 0 to below 1, got %g", decay);
        return NULL;
    }
    nn_ema *e = calloc(1, sizeof *e);
    const size_t n_bytes = (size_t)params->n_elements * sizeof *e->average;
    if (!e || !(e->average = malloc(n_bytes + 1))) {
        free(e);
        bl_fail(err, BL_ENOMEM, "no memory for the moving average of %lld parameters", (long long)params->n_elements);
        return NULL;
    }
    e->params = params;
    e->decay = decay;
    memcpy(e->average, params->value, n_bytes);
    return e;
}

void nn_ema_free(nn_ema *e)
{
    if (!e)
        return;
    free(e->average);
    free(e);
}

size_t nn_ema_bytes(const nn_ema *e)
{
    return e ? (size_t)e->params->n_elements * sizeof *e->average : 0;
}

void nn_ema_update(nn_ema *e)
{
    const double n = (double)++e->n_updates, warm = (1 + n) / (10 + n);
    const real keep = (real)(warm < e->decay ? warm : e->decay), take = 1 - keep;
    for (int i = 0; i < e->params->n; i++) {
        const nn_param *q = &e->params->param[i];
        const int64_t count = nn_count(&q->shape);
        const real *x = e->params->value + q->offset;
        real *y = e->average + q->offset;
        if (q->is_buffer) {
            memcpy(y, x, (size_t)count * sizeof *y);
            continue;
        }
#pragma omp parallel for schedule(static) if (count >= NN_PARALLEL_MIN)
        for (int64_t j = 0; j < count; j++)
            y[j] = keep * y[j] + take * x[j];
    }
}

void nn_ema_swap(nn_ema *e)
{
    for (int64_t i = 0; i < e->params->n_elements; i++) {
        const real x = e->params->value[i];
        e->params->value[i] = e->average[i];
        e->average[i] = x;
    }
}

/* The averages as if they were the parameters. */
static nn_params as_params(const nn_ema *e)
{
    nn_params p = *e->params;
    p.value = e->average;
    return p;
}

static bl_status updates_path(char out[NAME], const char *prefix, bl_error *err)
{
    if (snprintf(out, NAME, "optimizer/averages/%supdates", prefix) >= NAME)
        return bl_fail(err, BL_EARG, "moving average: prefix \"%.60s...\" is too long", prefix);
    return BL_OK;
}

bl_status nn_ema_save(const nn_ema *e, nn_checkpoint *c, const char *prefix, bl_error *err)
{
    const nn_params averages = as_params(e);
    char path[NAME];
    bl_status status = updates_path(path, prefix, err);
    if (!status)
        status = nn_checkpoint_put(c, path, NN_I64, 0, NULL, &e->n_updates, err);
    return status ? status : nn_params_save(&averages, c, prefix, err);
}

bl_status nn_ema_load(nn_ema *e, const nn_checkpoint *c, const char *prefix, bl_error *err)
{
    nn_params averages = as_params(e);
    char path[NAME];
    bl_status status = updates_path(path, prefix, err);
    if (status)
        return status;
    bl_error local = { 0 };
    int64_t *n = nn_checkpoint_get(c, path, NN_I64, 0, NULL, NULL, &local);
    if (!n)
        return bl_fail(err, local.code, "%s", local.msg);
    status = nn_params_load(&averages, c, prefix, err);
    if (!status)
        e->n_updates = *n;
    free(n);
    return status;
}
