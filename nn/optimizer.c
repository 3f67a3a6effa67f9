/* Optimisers and moving averages as loops over fixed chunks of the parameter block. A chunk is one unit of work for
 * a thread and one partial sum of the gradient norm, so neither depends on how many threads there are.
 */
#include "nn/optimizer.h"

#include "nn/op.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 4096, LANES = 8, STATES = 2, NAME = 240 };

typedef struct chunk {
    int64_t offset; /* into the parameter block  */
    int64_t state;  /* into the moments          */
    int     n;
    int     param;
} chunk;

struct nn_optimizer {
    nn_params          *params;
    nn_optimizer_config config;
    char               *prefix;
    chunk              *chunks;
    double             *partial;        /* [n_chunks] sums of squares               */
    int64_t             n_chunks, n;    /* n: elements under the prefix             */
    real               *state[STATES];  /* [n] each, NULL when the kind has no need */
    int64_t             steps;
};

static const char *const kinds[] = { "sgd", "adam", "adamw", "rmsprop", NULL };

/* Dataset names of the states: Adam's moments, the momentum buffer, RMSprop's mean square. */
static const char *state_name(nn_optimizer_kind kind, int i)
{
    if (kind == NN_ADAM || kind == NN_ADAMW)
        return i ? "v" : "m";
    return i ? "v" : "momentum";
}

static int has_state(const nn_optimizer_config *c, int i)
{
    switch (c->kind) {
    case NN_SGD:
        return i == 0 && c->momentum != 0;
    case NN_RMSPROP:
        return i == 1 || c->momentum != 0;
    default:
        return 1;
    }
}

nn_optimizer_config nn_optimizer_defaults(nn_optimizer_kind kind)
{
    nn_optimizer_config c = { .kind = kind, .lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .alpha = 0.99 };
    if (kind == NN_ADAMW)
        c.weight_decay = 1e-2;
    if (kind == NN_RMSPROP)
        c.lr = 1e-2;
    return c;
}

bl_status nn_optimizer_read(const bl_config *config, const char *section, nn_optimizer_config *out, bl_error *err)
{
    bl_error local = { 0 };
    const nn_optimizer_kind kind = (nn_optimizer_kind)bl_config_choice(config, section, "optimizer", kinds, NN_ADAM, &local);
    nn_optimizer_config c = nn_optimizer_defaults(kind);
    c.lr = bl_config_real(config, section, "lr", c.lr, 0, 1000, &local);
    c.beta1 = bl_config_real(config, section, "beta1", c.beta1, 0, 1 - DBL_EPSILON, &local);
    c.beta2 = bl_config_real(config, section, "beta2", c.beta2, 0, 1 - DBL_EPSILON, &local);
    c.eps = bl_config_real(config, section, "eps", c.eps, 0, 1, &local);
    c.momentum = bl_config_real(config, section, "momentum", c.momentum, 0, 1, &local);
    c.alpha = bl_config_real(config, section, "alpha", c.alpha, 0, 1, &local);
    c.weight_decay = bl_config_real(config, section, "weight_decay", c.weight_decay, 0, 1000, &local);
    c.clip_norm = bl_config_real(config, section, "clip_norm", c.clip_norm, 0, 1e30, &local);
    *out = c;
    return local.code ? bl_fail(err, local.code, "%s", local.msg) : BL_OK;
}

static int starts_with(const char *name, const char *prefix)
{
    return !strncmp(name, prefix, strlen(prefix));
}

static int is_trained_here(const nn_optimizer *o, int i)
{
    return !o->params->param[i].is_buffer && starts_with(o->params->param[i].name, o->prefix);
}

static void cut_into_chunks(nn_optimizer *o)
{
    int64_t k = 0, state = 0;
    for (int i = 0; i < o->params->n; i++) {
        const nn_param *q = &o->params->param[i];
        const int64_t n = nn_count(&q->shape);
        for (int64_t start = 0; is_trained_here(o, i) && start < n; start += CHUNK) {
            const int part = (int)(n - start < CHUNK ? n - start : CHUNK);
            o->chunks[k++] = (chunk){ q->offset + start, state, part, i };
            state += part;
        }
    }
}

static int allocate(nn_optimizer *o, const char *prefix)
{
    o->prefix = malloc(strlen(prefix) + 1);
    if (!o->prefix)
        return 0;
    strcpy(o->prefix, prefix);
    for (int i = 0; i < o->params->n; i++)
        if (is_trained_here(o, i)) {
            const int64_t n = nn_count(&o->params->param[i].shape);
            o->n += n;
            o->n_chunks += (n + CHUNK - 1) / CHUNK;
        }
    o->chunks = calloc((size_t)o->n_chunks + 1, sizeof *o->chunks);
    o->partial = calloc((size_t)o->n_chunks + 1, sizeof *o->partial);
    for (int i = 0; i < STATES; i++)
        if (has_state(&o->config, i) && !(o->state[i] = calloc((size_t)o->n + 1, sizeof(real))))
            return 0;
    return o->chunks && o->partial;
}

nn_optimizer *nn_optimizer_new(nn_params *params, const char *prefix, const nn_optimizer_config *config, bl_error *err)
{
    if (!params->value) {
        bl_fail(err, BL_EARG, "optimizer: the parameters are not finished");
        return NULL;
    }
    nn_optimizer *o = calloc(1, sizeof *o);
    if (o) {
        o->params = params;
        o->config = *config;
    }
    if (!o || !allocate(o, prefix)) {
        bl_fail(err, BL_ENOMEM, "no memory for the optimizer");
        nn_optimizer_free(o);
        return NULL;
    }
    if (o->n == 0) {
        bl_fail(err, BL_EARG, "optimizer: there is no parameter under \"%s\"", prefix);
        nn_optimizer_free(o);
        return NULL;
    }
    cut_into_chunks(o);
    return o;
}

void nn_optimizer_free(nn_optimizer *o)
{
    if (!o)
        return;
    for (int i = 0; i < STATES; i++)
        free(o->state[i]);
    free(o->chunks);
    free(o->partial);
    free(o->prefix);
    free(o);
}

void nn_optimizer_set_lr(nn_optimizer *o, double lr)
{
    o->config.lr = lr;
}

int64_t nn_optimizer_steps(const nn_optimizer *o)
{
    return o->steps;
}

/* In eight lanes of double: a fixed order that vectorises. */
static double sum_of_squares(const real *g, int n)
{
    double lane[LANES] = { 0 }, sum = 0;
    int i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int k = 0; k < LANES; k++)
            lane[k] += (double)g[i + k] * (double)g[i + k];
    for (; i < n; i++)
        lane[0] += (double)g[i] * (double)g[i];
    for (int k = 0; k < LANES; k++)
        sum += lane[k];
    return sum;
}

static double gradient_norm(nn_optimizer *o)
{
    double sum = 0;
#pragma omp parallel for schedule(static) if (o->n >= NN_PARALLEL_MIN)
    for (int64_t k = 0; k < o->n_chunks; k++) {
        const chunk *c = &o->chunks[k];
        o->partial[k] = o->params->param[c->param].frozen ? 0 : sum_of_squares(o->params->grad + c->offset, c->n);
    }
    for (int64_t k = 0; k < o->n_chunks; k++)
        sum += o->partial[k];
    return sqrt(sum);
}

/* The numbers of one step, in the engine's scalar type. */
typedef struct factors {
    real scale;             /* of the gradient, from clipping */
    real lr, decay, momentum, beta1, one_minus_beta1, beta2, one_minus_beta2, eps, step_size, root_bias2, shrink;
    int  first;
} factors;

static factors prepare(const nn_optimizer *o, double scale)
{
    const nn_optimizer_config *c = &o->config;
    const double t = (double)(o->steps + 1);
    const int adam = c->kind == NN_ADAM || c->kind == NN_ADAMW;
    factors f = { 0 };
    f.scale = (real)scale;
    f.lr = (real)c->lr;
    f.momentum = (real)c->momentum;
    f.eps = (real)c->eps;
    f.beta1 = (real)c->beta1;
    f.one_minus_beta1 = (real)(1 - c->beta1);
    f.beta2 = (real)(adam ? c->beta2 : c->alpha);
    f.one_minus_beta2 = (real)(1 - (adam ? c->beta2 : c->alpha));
    f.step_size = (real)(c->lr / (1 - pow(c->beta1, t)));
    f.root_bias2 = (real)sqrt(1 - pow(c->beta2, t));
    f.shrink = (real)(c->kind == NN_ADAMW ? 1 - c->lr * c->weight_decay : 1);
    f.decay = (real)(c->kind == NN_ADAMW ? 0 : c->weight_decay);
    f.first = o->steps == 0;
    return f;
}

#ifdef BL_F64
#define root sqrt
#else
#define root sqrtf
#endif

static void sgd(const factors *f, real *restrict x, const real *restrict g, real *restrict m, int n)
{
    for (int i = 0; i < n; i++) {
        real d = g[i] * f->scale + f->decay * x[i];
        if (m)
            d = m[i] = f->first ? d : f->momentum * m[i] + d;
        x[i] -= f->lr * d;
    }
}

static void adam(const factors *f, real *restrict x, const real *restrict g, real *restrict m, real *restrict v, int n)
{
    for (int i = 0; i < n; i++) {
        const real y = x[i] * f->shrink, d = g[i] * f->scale + f->decay * y;
        m[i] = f->beta1 * m[i] + f->one_minus_beta1 * d;
        v[i] = f->beta2 * v[i] + f->one_minus_beta2 * d * d;
        x[i] = y - f->step_size * m[i] / (root(v[i]) / f->root_bias2 + f->eps);
    }
}

static void rmsprop(const factors *f, real *restrict x, const real *restrict g, real *restrict m, real *restrict v, int n)
{
    for (int i = 0; i < n; i++) {
        real d = g[i] * f->scale + f->decay * x[i];
        v[i] = f->beta2 * v[i] + f->one_minus_beta2 * d * d;
        d /= root(v[i]) + f->eps;
        if (m)
            d = m[i] = f->momentum * m[i] + d;
        x[i] -= f->lr * d;
    }
}

static void update_chunk(const nn_optimizer *o, const factors *f, const chunk *c)
{
    real *x = o->params->value + c->offset, *g = o->params->grad + c->offset;
    real *m = o->state[0] ? o->state[0] + c->state : NULL, *v = o->state[1] ? o->state[1] + c->state : NULL;
    if (!o->params->param[c->param].frozen)
        switch (o->config.kind) {
        case NN_SGD:
            sgd(f, x, g, m, c->n);
            break;
        case NN_ADAM:
        case NN_ADAMW:
            adam(f, x, g, m, v, c->n);
            break;
        case NN_RMSPROP:
            rmsprop(f, x, g, m, v, c->n);
            break;
        }
    memset(g, 0, (size_t)c->n * sizeof *g);
}

double nn_optimizer_step(nn_optimizer *o)
{
    const double norm = gradient_norm(o), limit = o->config.clip_norm;
    if (!isfinite(norm))
        return norm;
    /* 1e-6 as torch.nn.utils.clip_grad_norm_ */
    const factors f = prepare(o, limit > 0 && norm + 1e-6 > limit ? limit / (norm + 1e-6) : 1);
#pragma omp parallel for schedule(static) if (o->n >= NN_PARALLEL_MIN)
    for (int64_t k = 0; k < o->n_chunks; k++)
        update_chunk(o, &f, &o->chunks[k]);
    o->steps++;
    return norm;
}

/* ---- checkpoints ---- */

static bl_status state_path(char out[NAME], const nn_optimizer *o, int i, int k, bl_error *err)
{
    const char *name = o->params->param[i].name;
    snprintf(out, NAME, "optimizer/%s/%s", name, state_name(o->config.kind, k));
    return strlen(name) < NAME - 32 ? BL_OK : bl_fail(err, BL_EARG, "parameter %s: the name is too long", name);
}

static bl_status steps_path(char out[NAME], const nn_optimizer *o, bl_error *err)
{
    const size_t n = strlen(o->prefix);
    if (snprintf(out, NAME, "optimizer/%s%ssteps", o->prefix, n && o->prefix[n - 1] != '/' ? "/" : "") >= NAME)
        return bl_fail(err, BL_EARG, "optimizer: prefix \"%.60s...\" is too long", o->prefix);
    return BL_OK;
}

bl_status nn_optimizer_save(const nn_optimizer *o, nn_checkpoint *c, bl_error *err)
{
    char path[NAME];
    bl_status status = steps_path(path, o, err);
    if (!status)
        status = nn_checkpoint_put(c, path, NN_I64, 0, NULL, &o->steps, err);
    for (int k = 0; k < STATES; k++)
        for (int64_t i = 0, at = 0; o->state[k] && i < o->params->n && !status; i++) {
            const nn_shape *shape = &o->params->param[i].shape;
            if (!is_trained_here(o, (int)i))
                continue;
            status = state_path(path, o, (int)i, k, err);
            if (!status)
                status = nn_checkpoint_put(c, path, NN_REAL, shape->rank, shape->dim, o->state[k] + at, err);
            at += nn_count(shape);
        }
    return status;
}

static bl_status read_state(const nn_optimizer *o, int k, const nn_checkpoint *c, real *out, bl_error *err)
{
    char path[NAME];
    for (int i = 0; i < o->params->n; i++) {
        const nn_shape *shape = &o->params->param[i].shape;
        if (!is_trained_here(o, i))
            continue;
        bl_error local = { 0 };
        real *data = NULL;
        if (state_path(path, o, i, k, &local) == BL_OK)
            data = nn_checkpoint_get(c, path, NN_REAL, shape->rank, shape->dim, NULL, &local);
        if (!data)
            return bl_fail(err, local.code, "%s", local.msg);
        memcpy(out, data, (size_t)nn_count(shape) * sizeof *out);
        out += nn_count(shape);
        free(data);
    }
    return BL_OK;
}

bl_status nn_optimizer_load(nn_optimizer *o, const nn_checkpoint *c, bl_error *err)
{
    char path[NAME];
    real *fresh[STATES] = { NULL, NULL };
    int64_t *steps = NULL;
    bl_status status = steps_path(path, o, err);

    if (status)
        return status;
    steps = nn_checkpoint_get(c, path, NN_I64, 0, NULL, NULL, err);
    if (!steps || *steps < 0)
        status = bl_fail(err, BL_EFORMAT, "%s: \"%s\" is not a number of steps", nn_checkpoint_path(c), path);
    for (int k = 0; k < STATES && !status; k++) {
        if (!o->state[k])
            continue;
        fresh[k] = malloc((size_t)o->n * sizeof(real));
        status = fresh[k] ? read_state(o, k, c, fresh[k], err)
                          : bl_fail(err, BL_ENOMEM, "%s: no memory for the optimizer", nn_checkpoint_path(c));
    }
    if (!status)
        o->steps = *steps;
    for (int k = 0; k < STATES; k++) {
        if (!status && fresh[k])
            memcpy(o->state[k], fresh[k], (size_t)o->n * sizeof(real));
        free(fresh[k]);
    }
    free(steps);
    return status;
}

/* ---- moving averages ---- */

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
