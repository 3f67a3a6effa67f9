/* Generation sample by sample. Weights lie in one block in the order in which a sample reads them, as panels of 64 outputs
 * (nn/recurrent_product.h): a panel is read once for up to six streams. A layer is two products: the gates from all its
 * taps and the local condition, then residual and skip together; what is elementwise follows while it is in the cache. */

#include "nn/models/wavenet_private.h"

#include "base/arena.h"
#include "nn/fastmath.h"
#include "nn/kernel/kernel.h"
#include "nn/recurrent_product.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PANEL = 64, HALF = PANEL / 2, TILE = NN_PRODUCT_ROWS };

/* y = bias + weights x, in panels; n_out counts the columns of all panels. */
typedef struct dense {
    int64_t n_in, n_out;
    real   *weights, *bias;
} dense;

typedef struct block_layer {
    dense   gate;              /* kernel_size channels + n_local -> [tanh of 32 channels, sigmoid of the same] per panel */
    dense   res_skip;          /* channels -> channels + skip; the last layer: skip                                      */
    int64_t dilation, length;  /* ring of the `length` inputs before this sample                                         */
    real   *queue;             /* [n_streams, length, channels]                                                          */
} block_layer;

struct nn_wavenet_generator {
    bl_arena     arena;
    int64_t      n_streams, channels, skip, kernel_size, n_layers, n_local, n_embed;
    real        *embedding;    /* [256, n_embed]                            */
    dense        start;        /* n_in 0: the embedding goes straight in    */
    block_layer *layers;
    dense        heads[MOST_HEADS]; /* n_in 0: relu                         */
    int          n_heads;
    int64_t      n_input, n_gate, width; /* sizes of a stream's rows below  */
    real        *input, *gate, *sum, *a, *b; /* [n_streams, ...]; input: the taps, the last is x, then the local condition */
    int64_t     *time;         /* [n_streams]: samples so far               */
    int         *previous;     /* [n_streams]                               */
};

/* ---- packing ---- */

/* Memory that the generator keeps; sticky: after a failure NULL. */
static real *take(nn_wavenet_generator *g, int64_t n, int *ok)
{
    const size_t size = (size_t)(n > 0 ? n : 1) * sizeof(real);
    real *p = *ok ? bl_arena_alloc(&g->arena, size) : NULL;
    *ok = p != NULL;
    if (p)
        memset(p, 0, size);
    return p;
}

static int64_t in_panels(int64_t n, int64_t width)
{
    return (n + width - 1) / width * PANEL;
}

/* A matrix [n_in, n_out] under construction, before it is packed. */
typedef struct draft {
    int64_t n_in, n_out;
    real   *matrix, *bias;
} draft;

static draft draft_new(int64_t n_in, int64_t n_out)
{
    return (draft){ n_in, n_out, calloc((size_t)(n_in * n_out), sizeof(real)), calloc((size_t)n_out, sizeof(real)) };
}

static void finish(nn_wavenet_generator *g, dense *d, draft *from, int *ok)
{
    d->n_in = from->n_in;
    d->n_out = from->n_out;
    *ok = *ok && from->matrix && from->bias;
    d->weights = take(g, nn_recurrent_packed_plain_count(d->n_in, d->n_out), ok);
    d->bias = take(g, d->n_out, ok);
    if (*ok) {
        nn_recurrent_pack_plain(from->matrix, d->n_in, d->n_out, d->n_out, 1, d->weights);
        memcpy(d->bias, from->bias, (size_t)d->n_out * sizeof(real));
    }
    free(from->matrix);
    free(from->bias);
}

/* Column of output o: gates pair the tanh and the sigmoid of the same channels in a panel. */
static int64_t column_of(int64_t o, int64_t channels, int is_gate)
{
    const int64_t c = o % channels;
    return is_gate ? c / HALF * PANEL + o / channels * HALF + c % HALF : o;
}

/* Value of "path/name", NULL when the layer has no such parameter (no bias). */
static const real *value_of(const nn_wavenet *w, const char *path, const char *name)
{
    char full[200];
    snprintf(full, sizeof full, "%s/%s", path, name);
    const int i = nn_params_find(w->params, full);
    return i < 0 ? NULL : w->params->value + w->params->param[i].offset;
}

/* Convolution weight [n_out, n_in, n_taps], its tap `tap`, into rows first_row ..; channels: of gates, 0 of others. */
static void fill(draft *d, const real *weight, int64_t n_out, int64_t n_in, int64_t n_taps, int64_t tap, int64_t first_row,
                 int64_t channels)
{
    for (int64_t o = 0; d->matrix && o < n_out; o++)
        for (int64_t i = 0; i < n_in; i++)
            d->matrix[(first_row + i) * d->n_out + column_of(o, channels ? channels : n_out, channels > 0)] =
                weight[(o * n_in + i) * n_taps + tap];
}

static void add_bias(draft *d, const real *bias, int64_t n_out, int64_t channels)
{
    for (int64_t o = 0; bias && d->bias && o < n_out; o++)
        d->bias[column_of(o, channels ? channels : n_out, channels > 0)] += bias[o];
}

/* Whether the body's condition takes this input. */
static int uses(const wavenet_private *w, const char *input)
{
    return !strcmp(w->plan.condition[0], input) || !strcmp(w->plan.condition[1], input);
}

/* The condition's convolution [2 channels, n + g]: local channels become inputs of the gate, global ones part of its bias. */
static void fill_condition(draft *d, const wavenet_private *w, const real *weight, const float *global, int64_t first_row,
                           int64_t channels)
{
    const int64_t n = uses(w, "local") ? w->public.n_local : 0, g = uses(w, "global") ? w->public.n_global : 0;
    const int64_t local_at = !strcmp(w->plan.condition[0], "local") ? 0 : g, global_at = local_at == 0 ? n : 0;
    for (int64_t o = 0; weight && d->matrix && d->bias && o < 2 * channels; o++) {
        const int64_t column = column_of(o, channels, 1);
        for (int64_t i = 0; i < n; i++)
            d->matrix[(first_row + i) * d->n_out + column] = weight[o * (n + g) + local_at + i];
        for (int64_t i = 0; i < g && global; i++)
            d->bias[column] += weight[o * (n + g) + global_at + i] * (real)global[i];
    }
}

static void make_layer(nn_wavenet_generator *g, const wavenet_private *w, const nn_layer *body, int64_t k, const float *global,
                       int *ok)
{
    block_layer *l = &g->layers[k];
    const int64_t C = g->channels, K = g->kernel_size, n_out = (k == g->n_layers - 1 ? 0 : C) + g->skip;
    char path[160];
    l->dilation = 1;
    for (int64_t i = k % nn_layer_int(body, "layers"); i > 0; i--)
        l->dilation *= nn_layer_int(body, "dilation_base");
    l->length = (K - 1) * l->dilation;
    snprintf(path, sizeof path, "%s/%lld", body->path, (long long)k);
    draft gate = draft_new(K * C + g->n_local, in_panels(C, HALF)), both = draft_new(C, in_panels(n_out, PANEL));
    for (int64_t j = 0; j < K; j++)
        fill(&gate, value_of(&w->public, path, "dilated/weight"), 2 * C, C, K, j, j * C, C);
    add_bias(&gate, value_of(&w->public, path, "dilated/bias"), 2 * C, C);
    fill_condition(&gate, w, value_of(&w->public, path, "condition/weight"), global, K * C, C);
    fill(&both, value_of(&w->public, path, "res_skip/weight"), n_out, C, 1, 0, 0, 0);
    add_bias(&both, value_of(&w->public, path, "res_skip/bias"), n_out, 0);
    finish(g, &l->gate, &gate, ok);
    finish(g, &l->res_skip, &both, ok);
}

static void make_plain(nn_wavenet_generator *g, dense *d, const wavenet_private *w, const char *path, const char *prefix,
                       int64_t n_in, int64_t n_out, int *ok)
{
    char name[32];
    draft made = draft_new(n_in, in_panels(n_out, PANEL));
    snprintf(name, sizeof name, "%sweight", prefix);
    fill(&made, value_of(&w->public, path, name), n_out, n_in, 1, 0, 0, 0);
    snprintf(name, sizeof name, "%sbias", prefix);
    add_bias(&made, value_of(&w->public, path, name), n_out, 0);
    finish(g, d, &made, ok);
    g->width = d->n_out > g->width ? d->n_out : g->width;
}

static int make_generator(nn_wavenet_generator *g, const wavenet_private *w, const float *global)
{
    const nn_layer *body = nn_network_layer(w->public.net, "body"), *embed = nn_network_layer(w->public.net, "embed");
    const int64_t N = g->n_streams;
    int ok = 1;
    g->channels = nn_layer_int(body, "channels");
    g->skip = nn_layer_int(body, "skip_channels");
    g->kernel_size = nn_layer_int(body, "kernel_size");
    g->n_layers = nn_layer_int(body, "stacks") * nn_layer_int(body, "layers");
    g->n_local = uses(w, "local") ? w->public.n_local : 0;
    g->n_embed = nn_layer_int(embed, "embedding_dim");
    g->n_input = g->kernel_size * g->channels + g->n_local;
    g->n_gate = in_panels(g->channels, HALF);
    g->width = in_panels(g->channels + g->skip, PANEL);
    g->width = g->n_gate > g->width ? g->n_gate : g->width;
    g->embedding = take(g, NN_WAVENET_LEVELS * g->n_embed, &ok);
    g->layers = bl_arena_alloc(&g->arena, (size_t)g->n_layers * sizeof *g->layers);
    g->time = bl_arena_alloc(&g->arena, (size_t)N * sizeof *g->time);
    g->previous = bl_arena_alloc(&g->arena, (size_t)N * sizeof *g->previous);
    if (!ok || !g->layers || !g->time || !g->previous)
        return 0;
    memcpy(g->embedding, value_of(&w->public, embed->path, "weight"), (size_t)(NN_WAVENET_LEVELS * g->n_embed) * sizeof(real));
    if (g->n_embed != g->channels)
        make_plain(g, &g->start, w, body->path, "start/", g->n_embed, g->channels, &ok);
    for (int64_t k = 0; k < g->n_layers; k++)
        make_layer(g, w, body, k, global, &ok);
    int64_t n = g->skip;
    for (int i = 0; i < w->plan.n_heads; i++) {
        const nn_layer *l = nn_network_layer(w->public.net, w->plan.head[i]);
        g->n_heads = i + 1;
        if (strcmp(l->type->name, "conv1d"))
            continue;
        make_plain(g, &g->heads[i], w, l->path, "", n, nn_layer_int(l, "out_channels"), &ok);
        n = nn_layer_int(l, "out_channels");
    }
    for (int64_t k = 0; k < g->n_layers; k++)
        g->layers[k].queue = take(g, N * g->layers[k].length * g->channels, &ok);
    g->input = take(g, N * g->n_input, &ok);
    g->gate = take(g, N * g->n_gate / 2, &ok);
    g->sum = take(g, N * g->skip, &ok);
    g->a = take(g, N * g->width, &ok);
    g->b = take(g, N * g->width, &ok);
    return ok;
}

nn_wavenet_generator *nn_wavenet_generator_new_batch(const nn_wavenet *w, int n_streams, const float *global, bl_error *err)
{
    nn_wavenet_generator *g = calloc(1, sizeof *g);
    if (g)
        g->n_streams = n_streams;
    if (!g || n_streams < 1 || !make_generator(g, (const wavenet_private *)w, global)) {
        if (n_streams < 1)
            bl_fail(err, BL_EARG, "a WaveNet generates 1 stream or more, not %d", n_streams);
        else
            bl_fail(err, BL_ENOMEM, "no memory for a WaveNet's generator");
        nn_wavenet_generator_free(g);
        return NULL;
    }
    nn_wavenet_generator_reset(g);
    return g;
}

nn_wavenet_generator *nn_wavenet_generator_new(const nn_wavenet *w, const float *global, bl_error *err)
{
    return nn_wavenet_generator_new_batch(w, 1, global, err);
}

void nn_wavenet_generator_free(nn_wavenet_generator *g)
{
    if (!g)
        return;
    bl_arena_free(&g->arena);
    free(g);
}

void nn_wavenet_generator_reset(nn_wavenet_generator *g)
{
    for (int64_t k = 0; k < g->n_layers; k++)
        memset(g->layers[k].queue, 0, (size_t)(g->n_streams * g->layers[k].length * g->channels) * sizeof *g->layers[k].queue);
    for (int64_t s = 0; s < g->n_streams; s++) {
        g->time[s] = 0;
        g->previous[s] = nn_mu_law_encode(0);
    }
}

/* ---- one sample of up to TILE streams ---- */

/* Panel p of `rows` rows: y [rows, 64], bias not added. */
static void product(const dense *d, int64_t p, int64_t rows, const real *x, int64_t ldx, real *y)
{
    nn_recurrent_product(4, rows, x, ldx, d->weights + p * d->n_in * PANEL, d->n_in, y);
}

/* y [rows, ldy] = bias + weights x. */
static void apply(const dense *d, int64_t rows, const real *x, int64_t ldx, real *restrict y, int64_t ldy)
{
    real out[TILE * PANEL];
    for (int64_t first = 0; first < d->n_out; first += PANEL) {
        product(d, first / PANEL, rows, x, ldx, out);
        for (int64_t r = 0; r < rows; r++)
            for (int64_t j = 0; j < PANEL; j++)
                y[r * ldy + first + j] = out[r * PANEL + j] + d->bias[first + j];
    }
}

static void gates(const real *restrict y, const real *restrict bias, real *restrict out)
{
#pragma omp simd
    for (int j = 0; j < HALF; j++)
        out[j] = nn_fast_gate(y[j] + bias[j], y[HALF + j] + bias[HALF + j]);
}

/* Where stream s finds what layer l saw `taps` dilations ago. */
static real *seen(const nn_wavenet_generator *g, const block_layer *l, int64_t s, int64_t taps)
{
    return l->queue + (s * l->length + (g->time[s] + l->length - taps * l->dilation) % l->length) * g->channels;
}

static void fetch(const nn_wavenet_generator *g, const block_layer *l, int64_t first, int64_t n)
{
    for (int64_t s = first; s < first + n; s++)
        for (int64_t taps = 1; taps < g->kernel_size; taps++)
            for (int64_t c = 0; c < g->channels; c += 64 / (int64_t)sizeof(real))
                __builtin_prefetch(seen(g, l, s, taps) + c);
}

/* One layer: looks up its inputs of `dilation` and more samples ago, remembers this one in the oldest one's place, adds to x
 * and to the sum of skips. */
static void run_layer(nn_wavenet_generator *g, const block_layer *l, int64_t first, int64_t n, int is_last)
{
    const int64_t C = g->channels, K = g->kernel_size, n_gate = g->n_gate / 2, from = is_last ? 0 : C;
    real *input = g->input + first * g->n_input, *gate = g->gate + first * n_gate, *both = g->a + first * g->width;
    real out[TILE * PANEL];
    for (int64_t s = first; s < first + n; s++) {
        real *row = g->input + s * g->n_input;
        for (int64_t j = 0; j < K - 1; j++)
            memcpy(row + j * C, seen(g, l, s, K - 1 - j), (size_t)C * sizeof *row);
        if (K > 1)
            memcpy(seen(g, l, s, K - 1), row + (K - 1) * C, (size_t)C * sizeof *row);
    }
    for (int64_t p = 0; p < l->gate.n_out / PANEL; p++) {
        product(&l->gate, p, n, input, g->n_input, out);
        for (int64_t r = 0; r < n; r++)
            gates(out + r * PANEL, l->gate.bias + p * PANEL, gate + r * n_gate + p * HALF);
    }
    apply(&l->res_skip, n, gate, n_gate, both, g->width);
    for (int64_t r = 0; r < n; r++) {
        real *restrict x = input + r * g->n_input + (K - 1) * C, *restrict sum = g->sum + (first + r) * g->skip;
        const real *restrict y = both + r * g->width;
        for (int64_t c = 0; c < from; c++)
            x[c] += y[c];
        for (int64_t c = 0; c < g->skip; c++)
            sum[c] += y[from + c];
    }
}

/* The logits of streams first .. : rows of `width`. */
static const real *run_sample(nn_wavenet_generator *g, int64_t first, int64_t n, const int *previous, const float *local,
                              int64_t local_stream, int64_t local_channel)
{
    const int64_t C = g->channels, width = g->width;
    real *now = g->a + first * width, *next = g->b + first * width;
    for (int64_t s = first; s < first + n; s++) {
        const real *from = g->embedding + previous[s] * g->n_embed;
        real *x = g->input + s * g->n_input + (g->kernel_size - 1) * C;
        BL_ASSERT(previous[s] >= 0 && previous[s] < NN_WAVENET_LEVELS);
        if (g->start.n_in) {
            apply(&g->start, 1, from, g->n_embed, now, width);
            from = now;
        }
        memcpy(x, from, (size_t)C * sizeof *from);
        memset(g->sum + s * g->skip, 0, (size_t)g->skip * sizeof *g->sum);
        for (int64_t i = 0; i < g->n_local; i++)
            x[C + i] = (real)local[s * local_stream + i * local_channel];
    }
    for (int64_t k = 0; k < g->n_layers; k++) {
        if (k + 1 < g->n_layers)
            fetch(g, &g->layers[k + 1], first, n);
        run_layer(g, &g->layers[k], first, n, k == g->n_layers - 1);
    }
    for (int64_t r = 0; r < n; r++) {
        g->time[first + r]++;
        memcpy(now + r * width, g->sum + (first + r) * g->skip, (size_t)g->skip * sizeof *now);
    }
    int64_t wide = g->skip;
    for (int i = 0; i < g->n_heads; i++) {
        if (!g->heads[i].n_in) {
            for (int64_t r = 0; r < n; r++)
                for (int64_t c = 0; c < wide; c++)
                    now[r * width + c] = now[r * width + c] > 0 ? now[r * width + c] : 0;
            continue;
        }
        apply(&g->heads[i], n, now, width, next, width);
        wide = g->heads[i].n_out;
        real *swap = now;
        now = next;
        next = swap;
    }
    return now;
}

void nn_wavenet_generator_push(nn_wavenet_generator *g, const int *previous, const float *local, float *log_probability)
{
    for (int64_t first = 0; first < g->n_streams; first += TILE) {
        const int64_t n = g->n_streams - first < TILE ? g->n_streams - first : TILE;
        const real *logits = run_sample(g, first, n, previous, local, g->n_local, 1);
        for (int64_t r = 0; r < n; r++, logits += g->width) {
            float *out = log_probability + (first + r) * NN_WAVENET_LEVELS;
            double largest = -HUGE_VAL, sum = 0;
            for (int c = 0; c < NN_WAVENET_LEVELS; c++)
                largest = (double)logits[c] > largest ? (double)logits[c] : largest;
            for (int c = 0; c < NN_WAVENET_LEVELS; c++)
                sum += exp((double)logits[c] - largest);
            for (int c = 0; c < NN_WAVENET_LEVELS; c++)
                out[c] = (float)((double)logits[c] - largest - log(sum));
        }
    }
}

/* A class drawn from the distribution sharpened by 1/temperature. Classes are counted in 16 groups of every sixteenth one,
 * whose sums the compiler makes side by side. */
static int draw(const real *logits, double temperature, bl_rng *rng)
{
    enum { LANES = 16 };
    real weight[NN_WAVENET_LEVELS], largest[LANES], top = logits[0];
    double sums[LANES] = { 0 }, sum = 0;
    memcpy(largest, logits, sizeof largest);
    for (int c = LANES; c < NN_WAVENET_LEVELS; c += LANES)
        for (int j = 0; j < LANES; j++)
            largest[j] = logits[c + j] > largest[j] ? logits[c + j] : largest[j];
    for (int j = 0; j < LANES; j++)
        top = largest[j] > top ? largest[j] : top;
    int best = 0;
    while (best < NN_WAVENET_LEVELS - 1 && logits[best] < top)
        best++;
    if (temperature <= 0)
        return best;
    const real sharper = (real)(1 / temperature);
#pragma omp simd
    for (int c = 0; c < NN_WAVENET_LEVELS; c++)
        weight[c] = nn_fast_exp((logits[c] - top) * sharper);
    for (int c = 0; c < NN_WAVENET_LEVELS; c += LANES)
        for (int j = 0; j < LANES; j++)
            sums[j] += (double)weight[c + j];
    for (int j = 0; j < LANES; j++)
        sum += sums[j];
    double left = bl_rng_uniform(rng) * sum;
    int group = 0;
    while (group < LANES - 1 && left >= sums[group])
        left -= sums[group++];
    for (int c = group; c < NN_WAVENET_LEVELS; c += LANES)
        if ((left -= (double)weight[c]) < 0)
            return c;
    return best; /* rounding left nothing */
}

void nn_wavenet_generator_run(nn_wavenet_generator *g, const float *local, int64_t n, double temperature, bl_rng *rng, float *out)
{
    const int64_t N = g->n_streams, threads = omp_get_max_threads();
    int64_t groups = (N + TILE - 1) / TILE;
    groups = groups % threads && (groups / threads + 1) * threads <= N ? (groups / threads + 1) * threads : groups;
#pragma omp parallel for schedule(static) if (groups > 1 && n > 1)
    for (int64_t i = 0; i < groups; i++) {
        const int64_t first = i * N / groups, count = (i + 1) * N / groups - first;
        for (int64_t t = 0; t < n; t++) {
            const float *now = local ? local + t : NULL;
            const real *logits = run_sample(g, first, count, g->previous, now, g->n_local * n, n);
            for (int64_t s = first; s < first + count; s++, logits += g->width) {
                g->previous[s] = draw(logits, temperature, &rng[s]);
                out[s * n + t] = nn_mu_law_decode(g->previous[s]);
            }
        }
    }
}
