#include "nn/models/wavenet.h"

#include "nn/fastmath.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- mu-law ---- */

static const double MU = NN_WAVENET_LEVELS - 1;

int nn_mu_law_encode(float x)
{
    const double v = x < -1 ? -1 : x > 1 ? 1 : (double)x;
    const double y = copysign(log1p(MU * fabs(v)) / log1p(MU), v);
    return (int)floor((y + 1) / 2 * MU + 0.5);
}

float nn_mu_law_decode(int level)
{
    const double y = 2 * level / MU - 1;
    return (float)copysign(expm1(fabs(y) * log1p(MU)) / MU, y);
}

/* ---- reading the section ---- */

enum { MOST_HEADS = 16, NAME = 64 };

typedef struct plan {
    char condition[2][NAME];   /* which inputs the body's condition is made of, in order; "" none */
    char head[MOST_HEADS][NAME];
    int  n_heads;
} plan;

typedef struct wavenet_private {
    nn_wavenet public;
    char       section[NAME];
    plan       plan;
} wavenet_private;

/* The names behind from= of a layer, at most two; returns how many. */
static int sources(const char *value, char out[2][NAME])
{
    const char *p = strstr(value, "from=");
    int n = 0;
    for (p = p ? p + strlen("from=") : NULL; p && n < 2; n++) {
        const size_t length = strcspn(p, ", \t");
        snprintf(out[n], NAME, "%.*s", (int)(length < NAME ? length : NAME - 1), p);
        p = p[length] == ',' ? p + length + 1 : NULL;
    }
    return n;
}

static bl_status is_wrong(const bl_config *c, const char *section, const char *key, const char *what, bl_error *err)
{
    return bl_fail(err, BL_EARG, "%s: [%s] %s: %s", bl_config_name(c), section, key, what);
}

static bl_status read_plan(const bl_config *c, const char *section, plan *p, bl_error *err)
{
    static const char *const needed[] = { "input.audio", "embed", "body" };
    char from[2][NAME] = { "", "" };
    int behind_body = 0;
    memset(p, 0, sizeof *p);
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
        if (!bl_config_str(c, section, needed[i], NULL))
            return is_wrong(c, section, needed[i], "is missing", err);
    const int n = sources(bl_config_str(c, section, "body", ""), from);
    if (n < 1 || strcmp(from[0], "embed"))
        return is_wrong(c, section, "body", "expected from=embed or from=embed,CONDITION", err);
    if (n == 2) {
        const char *made = bl_config_str(c, section, from[1], NULL);
        if (made && !strncmp(made, "concat", 6))
            sources(made, p->condition);
        else
            snprintf(p->condition[0], NAME, "%s", from[1]);
        for (int i = 0; i < 2; i++)
            if (*p->condition[i] && strcmp(p->condition[i], "local") && strcmp(p->condition[i], "global"))
                return is_wrong(c, section, "body", "the condition must be local, global or a concat of the two", err);
    }
    for (int i = 0; i < bl_config_count(c); i++) {
        const bl_config_entry *e = bl_config_at(c, i);
        if (strcmp(e->section, section))
            continue;
        if (behind_body) {
            if ((strncmp(e->value, "relu", 4) && strncmp(e->value, "conv1d", 6)) || strstr(e->value, "from="))
                return is_wrong(c, section, e->key, "behind body, expected relu or conv1d kernel_size=1 without from=", err);
            if (p->n_heads == MOST_HEADS)
                return is_wrong(c, section, e->key, "too many layers behind body", err);
            snprintf(p->head[p->n_heads++], NAME, "%s", e->key);
        }
        behind_body |= !strcmp(e->key, "body");
    }
    return p->n_heads ? BL_OK : is_wrong(c, section, "body", "expected layers behind it, the last giving 256 channels", err);
}

static bl_status expect_layers(const wavenet_private *w, const bl_config *c, bl_error *err)
{
    const nn_network *net = w->public.net;
    const nn_layer *embed = nn_network_layer(net, "embed"), *body = nn_network_layer(net, "body");
    if (!embed || strcmp(embed->type->name, "embedding") || nn_layer_int(embed, "num_embeddings") != NN_WAVENET_LEVELS)
        return is_wrong(c, w->section, "embed", "expected embedding num_embeddings=256", err);
    if (!body || strcmp(body->type->name, "wavenet_block") || nn_layer_get(body, "causal") == 0)
        return is_wrong(c, w->section, "body", "expected wavenet_block causal=1", err);
    for (int i = 0; i < w->plan.n_heads; i++) {
        const nn_layer *l = nn_network_layer(net, w->plan.head[i]);
        if (l && !strcmp(l->type->name, "conv1d") &&
            (nn_layer_int(l, "kernel_size") != 1 || nn_layer_int(l, "stride") != 1 || nn_layer_int(l, "groups") != 1 ||
             nn_layer_get(l, "weight_norm") != 0 || nn_layer_get(l, "padding") > 0))
            return is_wrong(c, w->section, w->plan.head[i], "expected a plain conv1d with kernel_size=1", err);
    }
    const nn_shape out = nn_network_output_shape(net, 0);
    if (nn_network_n_outputs(net) != 1 || out.rank != 2 || out.dim[0] != NN_WAVENET_LEVELS)
        return is_wrong(c, w->section, w->plan.head[w->plan.n_heads - 1], "expected 256 channels", err);
    return BL_OK;
}

/* ---- the network ---- */

nn_wavenet *nn_wavenet_build(const bl_config *config, const char *section, nn_params *params, bl_error *err)
{
    bl_error local = { 0 };
    bl_error *e = err ? err : &local;
    wavenet_private *w = calloc(1, sizeof *w);
    if (!w) {
        bl_fail(e, BL_ENOMEM, "no memory for a WaveNet");
        return NULL;
    }
    w->public.params = params;
    snprintf(w->section, sizeof w->section, "%s", section);
    if (read_plan(config, section, &w->plan, e) != BL_OK ||
        !(w->public.net = nn_network_build(config, section, params, e)) || expect_layers(w, config, e) != BL_OK) {
        nn_wavenet_free(&w->public);
        return NULL;
    }
    for (int i = 0; i < nn_network_n_inputs(w->public.net); i++) {
        const nn_shape s = nn_network_input_shape(w->public.net, i);
        if (!strcmp(nn_network_input_name(w->public.net, i), "local"))
            w->public.n_local = (int)s.dim[0];
        if (!strcmp(nn_network_input_name(w->public.net, i), "global"))
            w->public.n_global = (int)s.dim[0];
    }
    const nn_layer *body = nn_network_layer(w->public.net, "body");
    int64_t dilation = 1;
    for (int64_t k = 0; k < nn_layer_int(body, "layers"); k++, dilation *= nn_layer_int(body, "dilation_base"))
        w->public.receptive_field += dilation * (nn_layer_int(body, "kernel_size") - 1) * nn_layer_int(body, "stacks");
    w->public.receptive_field += 1;
    return &w->public;
}

void nn_wavenet_free(nn_wavenet *w)
{
    if (!w)
        return;
    nn_network_free(w->net);
    free(w); /* the first member of a wavenet_private */
}

nn_node *nn_wavenet_logits(nn_wavenet *w, nn_tape *t, nn_node *classes, nn_node *local, nn_node *global)
{
    nn_node *in[3] = { NULL, NULL, NULL };
    if (t->err.code)
        return NULL;
    const int64_t B = classes->shape.dim[0], T = classes->shape.dim[1];
    nn_node *before[2] = { nn_full(t, (nn_shape){ 2, { B, 1 } }, nn_mu_law_encode(0)), nn_slice(t, classes, 1, 0, T - 1) };
    nn_node *audio = nn_reshape(t, T > 1 ? nn_concat(t, 1, 2, before) : before[0], (nn_shape){ 3, { B, 1, T } });
    for (int i = 0; i < nn_network_n_inputs(w->net) && i < 3; i++) {
        const char *name = nn_network_input_name(w->net, i);
        in[i] = !strcmp(name, "audio") ? audio : !strcmp(name, "local") ? local : global;
    }
    return nn_network_run(w->net, t, in, NULL);
}

nn_node *nn_wavenet_loss(nn_wavenet *w, nn_tape *t, nn_node *classes, nn_node *local, nn_node *global)
{
    nn_node *logits = nn_wavenet_logits(w, t, classes, local, global);
    if (t->err.code)
        return NULL;
    const int64_t n = nn_count(&classes->shape);
    nn_node *rows = nn_reshape(t, nn_permute(t, logits, (const int[]){ 0, 2, 1 }), (nn_shape){ 2, { n, NN_WAVENET_LEVELS } });
    return nn_cross_entropy(t, rows, nn_reshape(t, classes, (nn_shape){ 1, { n } }));
}

/* ---- sample by sample ---- */

/* y = bias + matrix x, matrix stored [n_in, n_out]: the inner loop runs over outputs, which vectorises. */
typedef struct dense {
    int64_t n_in, n_out;
    real   *matrix, *bias;
} dense;

typedef struct block_layer {
    dense   gate;      /* [kernel_size channels + n_local, 2 channels]; bias holds the global condition too */
    dense   res_skip;  /* [channels, channels + skip]                                                      */
    int64_t dilation, length, at; /* ring of `length` inputs, `at` the newest                              */
    real   *queue;     /* [length, channels]                                                               */
} block_layer;

struct nn_wavenet_generator {
    int64_t      channels, skip, kernel_size, n_layers, n_local, width; /* width: of the widest vector */
    real        *embedding;  /* [256, n_embed] */
    int64_t      n_embed;
    dense        start;      /* n_in 0: the embedding goes straight in */
    block_layer *layers;
    dense        heads[MOST_HEADS]; /* n_in 0: relu */
    int          n_heads;
    real        *x, *input, *gate, *sum, *a, *b;
    int          previous;
};

static void apply(const dense *d, const real *restrict x, real *restrict y)
{
    memcpy(y, d->bias, (size_t)d->n_out * sizeof *y);
    for (int64_t i = 0; i < d->n_in; i++) {
        const real v = x[i], *restrict row = d->matrix + i * d->n_out;
        for (int64_t o = 0; o < d->n_out; o++)
            y[o] += v * row[o];
    }
}

static int make_dense(dense *d, int64_t n_in, int64_t n_out)
{
    d->n_in = n_in;
    d->n_out = n_out;
    d->matrix = calloc((size_t)(n_in * n_out), sizeof *d->matrix);
    d->bias = calloc((size_t)n_out, sizeof *d->bias);
    return d->matrix && d->bias;
}

static void free_dense(dense *d)
{
    free(d->matrix);
    free(d->bias);
}

/* Value of "path/name", NULL when the layer has no such parameter (no bias). */
static const real *value_of(const nn_wavenet *w, const char *path, const char *name)
{
    char full[200];
    snprintf(full, sizeof full, "%s/%s", path, name);
    const int i = nn_params_find(w->params, full);
    return i < 0 ? NULL : w->params->value + w->params->param[i].offset;
}

/* weight [n_out, n_in, n_taps] of a convolution: tap `tap` into rows first_row ... of d. */
static void fill(dense *d, const real *weight, int64_t n_in, int64_t n_taps, int64_t tap, int64_t first_row)
{
    for (int64_t o = 0; o < d->n_out; o++)
        for (int64_t i = 0; i < n_in; i++)
            d->matrix[(first_row + i) * d->n_out + o] = weight[(o * n_in + i) * n_taps + tap];
}

static void add_bias(dense *d, const real *bias)
{
    for (int64_t o = 0; bias && o < d->n_out; o++)
        d->bias[o] += bias[o];
}

/* Whether the body's condition takes this input. */
static int uses(const wavenet_private *w, const char *input)
{
    return !strcmp(w->plan.condition[0], input) || !strcmp(w->plan.condition[1], input);
}

/* The condition's convolution: local channels become inputs of the gate, global ones part of its bias. */
static void fill_condition(block_layer *l, const wavenet_private *w, const real *weight, const float *global, int64_t first_row)
{
    const int64_t n = uses(w, "local") ? w->public.n_local : 0, g = uses(w, "global") ? w->public.n_global : 0;
    const int64_t local_at = !strcmp(w->plan.condition[0], "local") ? 0 : g, global_at = local_at == 0 ? n : 0;
    for (int64_t o = 0; weight && o < l->gate.n_out; o++) {
        for (int64_t i = 0; i < n; i++)
            l->gate.matrix[(first_row + i) * l->gate.n_out + o] = weight[o * (n + g) + local_at + i];
        for (int64_t i = 0; i < g && global; i++)
            l->gate.bias[o] += weight[o * (n + g) + global_at + i] * (real)global[i];
    }
}

static int make_layer(nn_wavenet_generator *g, const wavenet_private *w, const nn_layer *body, int64_t k, const float *global)
{
    block_layer *l = &g->layers[k];
    const int64_t C = g->channels, K = g->kernel_size, S = g->skip;
    const int is_last = k == g->n_layers - 1;
    char path[160];
    l->dilation = 1;
    for (int64_t i = k % nn_layer_int(body, "layers"); i > 0; i--)
        l->dilation *= nn_layer_int(body, "dilation_base");
    l->length = (K - 1) * l->dilation + 1;
    l->queue = calloc((size_t)(l->length * C), sizeof *l->queue);
    if (!l->queue || !make_dense(&l->gate, K * C + g->n_local, 2 * C) || !make_dense(&l->res_skip, C, is_last ? S : C + S))
        return 0;
    snprintf(path, sizeof path, "%s/%lld", body->path, (long long)k);
    for (int64_t j = 0; j < K; j++)
        fill(&l->gate, value_of(&w->public, path, "dilated/weight"), C, K, j, j * C);
    add_bias(&l->gate, value_of(&w->public, path, "dilated/bias"));
    fill_condition(l, w, value_of(&w->public, path, "condition/weight"), global, K * C);
    fill(&l->res_skip, value_of(&w->public, path, "res_skip/weight"), C, 1, 0, 0);
    add_bias(&l->res_skip, value_of(&w->public, path, "res_skip/bias"));
    return 1;
}

static int make_heads(nn_wavenet_generator *g, const wavenet_private *w)
{
    int64_t n = g->skip;
    for (int i = 0; i < w->plan.n_heads; i++) {
        const nn_layer *l = nn_network_layer(w->public.net, w->plan.head[i]);
        g->n_heads = i + 1;
        if (strcmp(l->type->name, "conv1d"))
            continue;
        if (!make_dense(&g->heads[i], n, nn_layer_int(l, "out_channels")))
            return 0;
        fill(&g->heads[i], value_of(&w->public, l->path, "weight"), n, 1, 0, 0);
        add_bias(&g->heads[i], value_of(&w->public, l->path, "bias"));
        n = g->heads[i].n_out;
        g->width = n > g->width ? n : g->width;
    }
    return 1;
}

static int make_generator(nn_wavenet_generator *g, const wavenet_private *w, const float *global)
{
    const nn_layer *body = nn_network_layer(w->public.net, "body"), *embed = nn_network_layer(w->public.net, "embed");
    g->channels = nn_layer_int(body, "channels");
    g->skip = nn_layer_int(body, "skip_channels");
    g->kernel_size = nn_layer_int(body, "kernel_size");
    g->n_layers = nn_layer_int(body, "stacks") * nn_layer_int(body, "layers");
    g->n_local = uses(w, "local") ? w->public.n_local : 0;
    g->n_embed = nn_layer_int(embed, "embedding_dim");
    g->width = g->channels + g->skip > g->n_embed ? g->channels + g->skip : g->n_embed;
    const size_t table = (size_t)(NN_WAVENET_LEVELS * g->n_embed);
    if (!(g->embedding = malloc(table * sizeof *g->embedding)) ||
        !(g->layers = calloc((size_t)g->n_layers, sizeof *g->layers)))
        return 0;
    memcpy(g->embedding, value_of(&w->public, embed->path, "weight"), table * sizeof *g->embedding);
    if (g->n_embed != g->channels) {
        if (!make_dense(&g->start, g->n_embed, g->channels))
            return 0;
        fill(&g->start, value_of(&w->public, body->path, "start/weight"), g->n_embed, 1, 0, 0);
        add_bias(&g->start, value_of(&w->public, body->path, "start/bias"));
    }
    for (int64_t k = 0; k < g->n_layers; k++)
        if (!make_layer(g, w, body, k, global))
            return 0;
    if (!make_heads(g, w))
        return 0;
    g->x = malloc((size_t)g->channels * sizeof *g->x);
    g->input = malloc((size_t)(g->kernel_size * g->channels + g->n_local) * sizeof *g->input);
    g->gate = malloc(2 * (size_t)g->channels * sizeof *g->gate);
    g->sum = malloc((size_t)g->skip * sizeof *g->sum);
    g->a = malloc((size_t)g->width * sizeof *g->a);
    g->b = malloc((size_t)g->width * sizeof *g->b);
    return g->x && g->input && g->gate && g->sum && g->a && g->b;
}

nn_wavenet_generator *nn_wavenet_generator_new(const nn_wavenet *w, const float *global, bl_error *err)
{
    nn_wavenet_generator *g = calloc(1, sizeof *g);
    if (!g || !make_generator(g, (const wavenet_private *)w, global)) {
        bl_fail(err, BL_ENOMEM, "no memory for a WaveNet's generator");
        nn_wavenet_generator_free(g);
        return NULL;
    }
    nn_wavenet_generator_reset(g);
    return g;
}

void nn_wavenet_generator_free(nn_wavenet_generator *g)
{
    if (!g)
        return;
    for (int64_t k = 0; g->layers && k < g->n_layers; k++) {
        free_dense(&g->layers[k].gate);
        free_dense(&g->layers[k].res_skip);
        free(g->layers[k].queue);
    }
    for (int i = 0; i < g->n_heads; i++)
        free_dense(&g->heads[i]);
    free_dense(&g->start);
    free(g->layers);
    free(g->embedding);
    free(g->x);
    free(g->input);
    free(g->gate);
    free(g->sum);
    free(g->a);
    free(g->b);
    free(g);
}

void nn_wavenet_generator_reset(nn_wavenet_generator *g)
{
    for (int64_t k = 0; k < g->n_layers; k++) {
        memset(g->layers[k].queue, 0, (size_t)(g->layers[k].length * g->channels) * sizeof *g->layers[k].queue);
        g->layers[k].at = 0;
    }
    g->previous = nn_mu_law_encode(0);
}

/* One layer: remembers its input, looks up those of `dilation` and more samples ago, adds to x and to the sum of skips. */
static void run_layer(nn_wavenet_generator *g, block_layer *l, const float *local, int is_last)
{
    const int64_t C = g->channels, K = g->kernel_size;
    l->at = (l->at + 1) % l->length;
    memcpy(l->queue + l->at * C, g->x, (size_t)C * sizeof *g->x);
    for (int64_t j = 0; j < K; j++) {
        const int64_t ago = (K - 1 - j) * l->dilation, place = l->at >= ago ? l->at - ago : l->at - ago + l->length;
        memcpy(g->input + j * C, l->queue + place * C, (size_t)C * sizeof *g->x);
    }
    for (int64_t i = 0; i < g->n_local; i++)
        g->input[K * C + i] = (real)local[i];
    apply(&l->gate, g->input, g->gate);
    for (int64_t c = 0; c < C; c++)
        g->gate[c] = nn_fast_tanh(g->gate[c]) / (1 + nn_fast_exp(-g->gate[C + c]));
    apply(&l->res_skip, g->gate, g->a);
    const real *skip = is_last ? g->a : g->a + C;
    for (int64_t c = 0; c < C && !is_last; c++)
        g->x[c] += g->a[c];
    for (int64_t c = 0; c < g->skip; c++)
        g->sum[c] += skip[c];
}

void nn_wavenet_generator_push(nn_wavenet_generator *g, int previous, const float *local, float *log_probability)
{
    const int64_t C = g->channels;
    real *now = g->a, *next = g->b;
    BL_ASSERT(previous >= 0 && previous < NN_WAVENET_LEVELS);
    if (g->start.n_in)
        apply(&g->start, g->embedding + previous * g->n_embed, g->x);
    else
        memcpy(g->x, g->embedding + previous * g->n_embed, (size_t)C * sizeof *g->x);
    memset(g->sum, 0, (size_t)g->skip * sizeof *g->sum);
    for (int64_t k = 0; k < g->n_layers; k++)
        run_layer(g, &g->layers[k], local, k == g->n_layers - 1);

    int64_t n = g->skip;
    memcpy(now, g->sum, (size_t)n * sizeof *now);
    for (int i = 0; i < g->n_heads; i++) {
        if (!g->heads[i].n_in) {
            for (int64_t c = 0; c < n; c++)
                now[c] = now[c] > 0 ? now[c] : 0;
            continue;
        }
        apply(&g->heads[i], now, next);
        n = g->heads[i].n_out;
        real *swap = now;
        now = next;
        next = swap;
    }
    double largest = -HUGE_VAL, sum = 0;
    for (int c = 0; c < NN_WAVENET_LEVELS; c++)
        largest = (double)now[c] > largest ? (double)now[c] : largest;
    for (int c = 0; c < NN_WAVENET_LEVELS; c++)
        sum += exp((double)now[c] - largest);
    for (int c = 0; c < NN_WAVENET_LEVELS; c++)
        log_probability[c] = (float)((double)now[c] - largest - log(sum));
}

/* A class drawn from the distribution sharpened by 1/temperature. */
static int draw(const float *log_probability, double temperature, bl_rng *rng)
{
    int best = 0;
    double sum = 0;
    for (int c = 1; c < NN_WAVENET_LEVELS; c++)
        best = log_probability[c] > log_probability[best] ? c : best;
    if (temperature <= 0)
        return best;
    for (int c = 0; c < NN_WAVENET_LEVELS; c++)
        sum += exp(((double)log_probability[c] - (double)log_probability[best]) / temperature);
    double left = bl_rng_uniform(rng) * sum;
    for (int c = 0; c < NN_WAVENET_LEVELS; c++) {
        left -= exp(((double)log_probability[c] - (double)log_probability[best]) / temperature);
        if (left < 0)
            return c;
    }
    return best;
}

void nn_wavenet_generator_run(nn_wavenet_generator *g, const float *local, int64_t n, double temperature, bl_rng *rng, float *out)
{
    float log_probability[NN_WAVENET_LEVELS], now[1024];
    const int64_t n_local = g->n_local;
    BL_ASSERT(n_local <= (int64_t)(sizeof now / sizeof now[0]));
    for (int64_t t = 0; t < n; t++) {
        for (int64_t i = 0; i < n_local; i++)
            now[i] = local[i * n + t];
        nn_wavenet_generator_push(g, g->previous, now, log_probability);
        g->previous = draw(log_probability, temperature, rng);
        out[t] = nn_mu_law_decode(g->previous);
    }
}
