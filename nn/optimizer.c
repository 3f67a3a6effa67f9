/* Optimisers as loops over fixed chunks of the parameter block. A chunk is one unit of work for a thread and one partial
 * sum of the gradient norm, so neither depends on how many threads there are. An update is two passes: the norm reads the
 * gradients, then each chunk reads and writes its values, gradients (zeroed) and moments once; both run at the speed of
 * memory, which the Makefile helps by -fno-math-errno for this file (a square root that may set errno is no vector code).
 */
#include "nn/plan.h"

#include "nn/op.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 4096, LANES = 8, STATES = 3, NAME = 240 };

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
    real               *state[STATES];  /* FIRST, SECOND, THIRD: [n] each, NULL when the kind has no need */
    int64_t             steps;
};

/* The states: Adam's two moments and the largest second one (amsgrad); SGD's momentum; RMSprop's momentum, mean square and
 * mean (centered). */
enum { FIRST, SECOND, THIRD };

static const char *const kinds[] = { "sgd", "adam", "adamw", "rmsprop", "radam", NULL };

static int is_adam(nn_optimizer_kind kind)
{
    return kind == NN_ADAM || kind == NN_ADAMW || kind == NN_RADAM;
}

/* Dataset names of the states. */
static const char *state_name(nn_optimizer_kind kind, int i)
{
    if (is_adam(kind))
        return i == FIRST ? "m" : i == SECOND ? "v" : "largest_v";
    return i == FIRST ? "momentum" : i == SECOND ? "v" : "mean";
}

static int has_state(const nn_optimizer_config *c, int i)
{
    switch (c->kind) {
    case NN_SGD:
        return i == FIRST && c->momentum != 0;
    case NN_RMSPROP:
        return i == SECOND || (i == FIRST && c->momentum != 0) || (i == THIRD && c->centered);
    default:
        return i != THIRD || (c->amsgrad && c->kind != NN_RADAM);
    }
}

nn_optimizer_config nn_optimizer_defaults(nn_optimizer_kind kind)
{
    nn_optimizer_config c = { .kind = kind, .lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .alpha = 0.99, .accumulate = 1 };
    if (kind == NN_ADAMW)
        c.weight_decay = 1e-2;
    if (kind == NN_RMSPROP)
        c.lr = 1e-2;
    return c;
}

/* Options that would do nothing, or nothing sensible, with the chosen kind. */
static bl_status check(const nn_optimizer_config *c, const char *name, const char *section, bl_error *err)
{
    if (c->nesterov && (c->momentum <= 0 || c->dampening != 0 || c->kind != NN_SGD))
        return bl_fail(err, BL_EARG, "%s: [%s] nesterov needs sgd with a momentum and without dampening", name, section);
    if (c->amsgrad && c->kind != NN_ADAM && c->kind != NN_ADAMW)
        return bl_fail(err, BL_EARG, "%s: [%s] amsgrad belongs to adam and adamw, not to %s", name, section, kinds[c->kind]);
    if (c->centered && c->kind != NN_RMSPROP)
        return bl_fail(err, BL_EARG, "%s: [%s] centered belongs to rmsprop, not to %s", name, section, kinds[c->kind]);
    if (c->dampening != 0 && c->kind != NN_SGD)
        return bl_fail(err, BL_EARG, "%s: [%s] dampening belongs to sgd, not to %s", name, section, kinds[c->kind]);
    return BL_OK;
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
    c.clip_value = bl_config_real(config, section, "clip_value", c.clip_value, 0, 1e30, &local);
    c.dampening = bl_config_real(config, section, "dampening", c.dampening, 0, 1, &local);
    c.nesterov = bl_config_bool(config, section, "nesterov", c.nesterov, &local);
    c.amsgrad = bl_config_bool(config, section, "amsgrad", c.amsgrad, &local);
    c.centered = bl_config_bool(config, section, "centered", c.centered, &local);
    if (!local.code)
        check(&c, bl_config_name(config), section, &local);
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
        o->config.accumulate = config->accumulate > 0 ? config->accumulate : 1;
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

size_t nn_optimizer_bytes(const nn_optimizer *o)
{
    size_t n = 0;
    for (int i = 0; o && i < STATES; i++)
        n += o->state[i] ? (size_t)o->n * sizeof(real) : 0;
    return n;
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
    real scale, limit;      /* of the gradient: from clipping its norm and from accumulation, then of each element */
    real lr, decay, shrink; /* decay: weight decay in the gradient; shrink: AdamW's, of the value itself */
    real momentum, pull;    /* pull: 1 - dampening */
    real beta1, one_minus_beta1, beta2, one_minus_beta2, eps;
    real step_size, per_root; /* of Adam's first moment; of the root of the second */
    int  first, nesterov, rectified;
} factors;

/* RAdam: the second moment is trusted once it has seen enough (Liu et al., section 4); then step_size holds the
 * rectification and the roots of the bias. */
static void rectify(factors *f, const nn_optimizer_config *c, double t)
{
    const double power = pow(c->beta2, t), rho = 2 / (1 - c->beta2) - 1, r = rho - 2 * t * power / (1 - power);
    f->rectified = r > 5;
    if (f->rectified)
        f->step_size *= (real)sqrt((1 - power) * (r - 4) * (r - 2) * rho / ((rho - 4) * (rho - 2) * r));
}

static factors prepare(const nn_optimizer *o, double scale)
{
    const nn_optimizer_config *c = &o->config;
    const double t = (double)(o->steps + 1), mean = is_adam(c->kind) ? c->beta2 : c->alpha;
    factors f = { 0 };
    f.scale = (real)scale;
    f.limit = (real)(c->clip_value > 0 ? c->clip_value : HUGE_VAL);
    f.lr = (real)c->lr;
    f.decay = (real)(c->kind == NN_ADAMW ? 0 : c->weight_decay);
    f.shrink = (real)(c->kind == NN_ADAMW ? 1 - c->lr * c->weight_decay : 1);
    f.momentum = (real)c->momentum;
    f.pull = (real)(1 - c->dampening);
    f.beta1 = (real)c->beta1;
    f.one_minus_beta1 = (real)(1 - c->beta1);
    f.beta2 = (real)mean;
    f.one_minus_beta2 = (real)(1 - mean);
    f.eps = (real)c->eps;
    f.step_size = (real)(c->lr / (1 - pow(c->beta1, t)));
    f.per_root = (real)(1 / sqrt(1 - pow(c->beta2, t)));
    f.first = o->steps == 0;
    f.nesterov = c->nesterov;
    if (c->kind == NN_RADAM)
        rectify(&f, c, t);
    return f;
}

#ifdef BL_F64
#define root sqrt
#else
#define root sqrtf
#endif

static inline real clipped(const factors *f, real g)
{
    const real d = g * f->scale, low = d < -f->limit ? -f->limit : d;
    return low > f->limit ? f->limit : low;
}

static void sgd(const factors *f, real *restrict x, const real *restrict g, int n)
{
    for (int i = 0; i < n; i++)
        x[i] -= f->lr * (clipped(f, g[i]) + f->decay * x[i]);
}

static void sgd_with_momentum(const factors *f, real *restrict x, const real *restrict g, real *restrict m, int n)
{
    const real keep = f->first ? 0 : f->momentum, pull = f->first ? 1 : f->pull; /* the buffer starts as the gradient */
    const real ahead = f->nesterov ? f->momentum : 1, now = f->nesterov ? 1 : 0;
    for (int i = 0; i < n; i++) {
        const real d = clipped(f, g[i]) + f->decay * x[i];
        m[i] = keep * m[i] + pull * d;
        x[i] -= f->lr * (now * d + ahead * m[i]);
    }
}

/* Adam and AdamW; largest NULL: not amsgrad. */
static void adam(const factors *f, real *restrict x, const real *restrict g, real *restrict m, real *restrict v,
                 real *restrict largest, int n)
{
    if (largest) {
        for (int i = 0; i < n; i++) {
            const real y = x[i] * f->shrink, d = clipped(f, g[i]) + f->decay * y;
            m[i] = f->beta1 * m[i] + f->one_minus_beta1 * d;
            v[i] = f->beta2 * v[i] + f->one_minus_beta2 * d * d;
            largest[i] = v[i] > largest[i] ? v[i] : largest[i];
            x[i] = y - f->step_size * m[i] / (root(largest[i]) * f->per_root + f->eps);
        }
        return;
    }
    for (int i = 0; i < n; i++) {
        const real y = x[i] * f->shrink, d = clipped(f, g[i]) + f->decay * y;
        m[i] = f->beta1 * m[i] + f->one_minus_beta1 * d;
        v[i] = f->beta2 * v[i] + f->one_minus_beta2 * d * d;
        x[i] = y - f->step_size * m[i] / (root(v[i]) * f->per_root + f->eps);
    }
}

static void radam(const factors *f, real *restrict x, const real *restrict g, real *restrict m, real *restrict v, int n)
{
    const real of_root = f->rectified ? 1 : 0, of_one = f->rectified ? 0 : 1; /* what the first moment is divided by */
    for (int i = 0; i < n; i++) {
        const real d = clipped(f, g[i]) + f->decay * x[i];
        m[i] = f->beta1 * m[i] + f->one_minus_beta1 * d;
        v[i] = f->beta2 * v[i] + f->one_minus_beta2 * d * d;
        x[i] -= f->step_size * m[i] / (of_root * (root(v[i]) + f->eps) + of_one);
    }
}

/* with_m: momentum; with_mean: centered. Constants where it is called, so that each of the four is a loop without branches. */
static inline void rmsprop_loop(const factors *f, real *restrict x, const real *restrict g, real *restrict m, real *restrict v,
                                real *restrict mean, int n, int with_m, int with_mean)
{
    for (int i = 0; i < n; i++) {
        const real d = clipped(f, g[i]) + f->decay * x[i];
        real spread = v[i] = f->beta2 * v[i] + f->one_minus_beta2 * d * d;
        if (with_mean) {
            mean[i] = f->beta2 * mean[i] + f->one_minus_beta2 * d;
            spread -= mean[i] * mean[i];
            spread = spread > 0 ? spread : 0; /* a variance, below zero only by rounding */
        }
        real step = d / (root(spread) + f->eps);
        if (with_m)
            step = m[i] = f->momentum * m[i] + step;
        x[i] -= f->lr * step;
    }
}

static void rmsprop(const factors *f, real *x, const real *g, real *m, real *v, real *mean, int n)
{
    if (m && mean)
        rmsprop_loop(f, x, g, m, v, mean, n, 1, 1);
    else if (m)
        rmsprop_loop(f, x, g, m, v, NULL, n, 1, 0);
    else if (mean)
        rmsprop_loop(f, x, g, NULL, v, mean, n, 0, 1);
    else
        rmsprop_loop(f, x, g, NULL, v, NULL, n, 0, 0);
}

static void update_chunk(const nn_optimizer *o, const factors *f, const chunk *c)
{
    real *x = o->params->value + c->offset, *g = o->params->grad + c->offset, *s[STATES];
    for (int i = 0; i < STATES; i++)
        s[i] = o->state[i] ? o->state[i] + c->state : NULL;
    if (!o->params->param[c->param].frozen)
        switch (o->config.kind) {
        case NN_SGD:
            if (s[FIRST])
                sgd_with_momentum(f, x, g, s[FIRST], c->n);
            else
                sgd(f, x, g, c->n);
            break;
        case NN_ADAM:
        case NN_ADAMW:
            adam(f, x, g, s[FIRST], s[SECOND], s[THIRD], c->n);
            break;
        case NN_RMSPROP:
            rmsprop(f, x, g, s[FIRST], s[SECOND], s[THIRD], c->n);
            break;
        case NN_RADAM:
            radam(f, x, g, s[FIRST], s[SECOND], c->n);
            break;
        }
    memset(g, 0, (size_t)c->n * sizeof *g);
}

double nn_optimizer_step(nn_optimizer *o)
{
    const double part = 1.0 / o->config.accumulate, norm = gradient_norm(o) * part, limit = o->config.clip_norm;
    if (!isfinite(norm))
        return norm;
    /* 1e-6 as torch.nn.utils.clip_grad_norm_ */
    const factors f = prepare(o, limit > 0 && norm + 1e-6 > limit ? part * limit / (norm + 1e-6) : part);
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
    real *fresh[STATES] = { NULL };
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
