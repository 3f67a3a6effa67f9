/* nn/ops/wavenet_layer.c - one layer of WaveNet in one pass: dilated convolution, gate, residual and skip products.
 *
 *     z = weight * x + bias (+ up(condition_weight c))          [2C, T], a convolution with dilation
 *     g = tanh(z[first half]) sigmoid(z[second])                [C, T]
 *     r, s = out_weight g + out_bias                            [C, T], [S, T], r first
 *     y = scale (x + r), sum + s
 *
 * The state that goes from layer to layer is x with the sum of the skips below it, one tensor. Done op by op, each of the
 * six steps would read and write a tensor that is far larger than the caches. Here a stretch of TILE samples goes through
 * all of them in cache: x is read, y is written, and, in training, the two halves of the gate.
 *
 * in       state [B, C, T] (the first layer: no sum yet) or [B, C + S, T], weight [2C, C, K], bias [2C],
 *          out_weight [C + S, C, 1], out_bias [C + S]; optional: condition [B, D, T], condition_weight [2C, D, 1]
 * out      [B, C + S, T];  with `last` there is no r: out_weight [S, C, 1], out [B, S, T]
 *          stretched: condition [B, D, F], F = T / stretch, and response [1, 1, stretch + 2 h]:
 *          up(u)[t] = sum over f of u[f] response[t - f stretch + h]; else up(u) = u. The product with the condition's weight
 *          comes before, at the lower rate.
 * options  tap k reads x[t + k dilation - pad_left]; scale of the residual path (1, or sqrt(1/2) for a constant variance)
 * errors   BL_ESHAPE: shapes that do not fit; BL_EARG: dilation below 1, pad_left below 0
 * cost     2 B T (2 C (C K + D) + C (C + S)) flops; in training 2C values per sample are kept on the tape until the reset
 *
 * Gradients are four kernels (below) while they are not to be differentiated again. Else, and where no gates were kept, the
 * rule builds the layer from single ops and differentiates that: exact to any order, and rarely needed.
 *
 * source   van den Oord et al., "WaveNet: A Generative Model for Raw Audio", 2016
 */
#include "nn/conv.h"
#include "nn/fastmath.h"
#include "nn/kernel/kernel.h"

#include <stdio.h>
#include <string.h>

enum { STATE, WEIGHT, BIAS, OUT_WEIGHT, OUT_BIAS, CONDITION, CONDITION_WEIGHT, RESPONSE };
enum { TILE = 96, DEPTH = 512 };

typedef struct attr {
    nn_wavenet_layer_opt opt;
    real *gates;               /* [B, 2C, T] tanh and sigmoid, on the tape; NULL: not kept */
    int64_t C, S, K;           /* for the gradients' kernels                               */
} attr;

typedef struct size {
    int64_t B, T, C, S, K, D, R, N; /* R: rows of r, C or 0; N: rows of the state, C or C + S */
} size;

static size size_of(nn_node *const *in, int n_in, int last)
{
    const nn_shape *state = &in[STATE]->shape, *w = &in[WEIGHT]->shape;
    const int64_t C = w->dim[1], R = last ? 0 : C;
    return (size){ .B = state->dim[0], .T = state->dim[2], .C = C, .S = in[OUT_WEIGHT]->shape.dim[0] - R, .K = w->dim[2],
                   .D = n_in > CONDITION ? in[CONDITION]->shape.dim[1] : 0, .R = R, .N = state->dim[1] };
}

static int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }

/* ---- a condition at a lower rate ---- */

/* Values of the condition that reach samples t0 .. t0+n-1: `count` from `first` on, which may lie outside. */
typedef struct reach { int64_t first, count; } reach;

static int64_t floor_div(int64_t a, int64_t b)
{
    return a >= 0 ? a / b : -((b - 1 - a) / b);
}

static reach reach_of(int64_t stretch, int64_t length, int64_t t0, int64_t n)
{
    const int64_t h = (length - stretch) / 2, first = floor_div(t0 - h, stretch);
    return (reach){ first, floor_div(t0 + n - 1 + h, stretch) - first + 1 };
}

/* Most values that reach a tile; 0: the condition has the rate of the samples. */
static int64_t most_values(nn_node *const *in, int n_in, const nn_wavenet_layer_opt *opt)
{
    if (n_in <= RESPONSE)
        return 0;
    const int64_t length = nn_count(&in[RESPONSE]->shape);
    return (TILE + length - opt->stretch) / opt->stretch + 2;
}

static int64_t rows_in_cache(const size *s, int64_t n_values)
{
    return s->C * s->K + s->D + 3 * s->C + (n_values ? 2 * s->C + n_values : 0);
}

/* ---- products of a tile: c [m, n] = a [m, k] b [k, n] + bias + from, b with rows of TILE in cache ---- */

typedef struct factor { const real *at; int64_t row; } factor;

/* A chunk of DEPTH rows of b stays in the first-level cache while all rows of a pass over it. */
static void product(int64_t m, int64_t n, int64_t k, factor a, const real *b, const real *bias, factor from, real *c,
                    int64_t c_row)
{
    const nn_kernel *kernel = nn_kernel_get();
    const int64_t lanes = kernel->lanes, width = lanes * kernel->vectors, tiles = (m + kernel->rows - 1) / kernel->rows;
    int32_t step[DEPTH][2];
    for (int64_t i = 0; i < min64(k, DEPTH); i++) {
        step[i][0] = (int32_t)i;
        step[i][1] = (int32_t)(i * TILE);
    }
    for (int64_t j = 0; j < n; j += width)
        for (int64_t k0 = 0; k0 < k; k0 += DEPTH)
            for (int64_t i = 0; i < tiles; i++) {
                const int64_t r0 = i * m / tiles, r1 = (i + 1) * m / tiles;
                nn_tile t = { .a = a.at + r0 * a.row + k0, .a_row = a.row, .step = &step[0][0], .k = min64(DEPTH, k - k0),
                              .alpha = 1, .bias = k0 || !bias ? NULL : bias + r0, .from_row = k0 ? c_row : from.row,
                              .c_row = c_row };
                int vectors = 0;
                for (int64_t l = j; l < j + width && l < n; l += lanes, vectors++) {
                    t.b[vectors] = b + k0 * TILE + l;
                    t.c[vectors] = c + r0 * c_row + l;
                    t.from[vectors] = k0 ? t.c[vectors] : from.at ? from.at + r0 * from.row + l : NULL;
                    t.width[vectors] = (int)min64(lanes, n - l);
                }
                nn_tile_run(kernel, &t, (int)(r1 - r0), vectors);
            }
}

/* n samples of each of `rows` rows, from `start` on, zeros outside; to: rows of TILE. */
static void take(const real *x, int64_t rows, int64_t T, int64_t start, int64_t n, int64_t to_step, real *to)
{
    const int64_t before = min64(n, start < 0 ? -start : 0), end = start + n > T ? (T > start ? T - start : 0) : n;
    for (int64_t i = 0; i < rows; i++, to += to_step, x += T) {
        for (int64_t j = 0; j < before; j++)
            to[j] = 0;
        for (int64_t j = before; j < end; j++)
            to[j] = x[start + j];
        for (int64_t j = before > end ? before : end; j < n; j++)
            to[j] = 0;
    }
}

/* Asks for what the next tile will read or write: rows of a tensor are too short here, and too far apart, for the processor
 * to see the pattern. */
static void fetch(const real *x, int64_t rows, int64_t T, int64_t start, int for_write)
{
    enum { LINE = 64 / sizeof(real) };
    const int64_t from = start < 0 ? 0 : start, end = min64(start + TILE, T);
    for (int64_t i = 0; i < rows; i++, x += T)
        for (int64_t j = from; j < end; j += LINE) {
            if (for_write)
                __builtin_prefetch(x + j, 1, 2);
            else
                __builtin_prefetch(x + j, 0, 2);
        }
}

/* ---- forward ---- */

static void gate(const size *s, const real *z, int64_t n, real *g, real *kept)
{
    for (int64_t i = 0; i < s->C; i++, z += TILE, g += TILE) {
        const real *a = z, *b = z + s->C * TILE;
        real *tanhs = kept + i * s->T, *sigmoids = tanhs + s->C * s->T;
        if (!kept)
#pragma omp simd
            for (int64_t j = 0; j < n; j++)
                g[j] = nn_fast_gate(a[j], b[j]);
        else
#pragma omp simd
            for (int64_t j = 0; j < n; j++)
                g[j] = nn_fast_gate_parts(a[j], b[j], &tanhs[j], &sigmoids[j]);
    }
}

static void scale_rows(real *y, int64_t rows, int64_t T, int64_t n, real scale)
{
    for (int64_t i = 0; i < rows; i++, y += T)
#pragma omp simd
        for (int64_t j = 0; j < n; j++)
            y[j] *= scale;
}

static void fetch_next(const nn_node *y, const size *s, int64_t b, int64_t t0)
{
    const attr *a = y->attr;
    const real *state = y->in[STATE]->x + b * s->N * s->T;
    for (int64_t k = 0; k < s->K; k++)
        fetch(state, s->C, s->T, t0 + k * a->opt.dilation - a->opt.pad_left, 0);
    fetch(state + s->C * s->T, s->N - s->C, s->T, t0, 0);
    if (s->D)
        fetch(y->in[CONDITION]->x + b * s->D * s->T, s->D, s->T, t0, 0);
    fetch(y->x + b * (s->R + s->S) * s->T, s->R + s->S, s->T, t0, 1);
    if (a->gates)
        fetch(a->gates + b * 2 * s->C * s->T, 2 * s->C, s->T, t0, 1);
}

/* z += up(condition_weight c) for samples t0 .. t0+n-1: the few values that reach them, a product, and a product with the
 * response. */
static void stretched_condition(const nn_node *y, const size *s, int64_t b, int64_t t0, int64_t n, real *c, real *u, real *z)
{
    const nn_wavenet_layer_opt *opt = &((const attr *)y->attr)->opt;
    const nn_node *condition = y->in[CONDITION];
    const int64_t length = nn_count(&y->in[RESPONSE]->shape), h = (length - opt->stretch) / 2, F = condition->shape.dim[2];
    const int64_t lanes = NN_TILE_LANES, padded = (n + lanes - 1) / lanes * lanes;
    const reach r = reach_of(opt->stretch, length, t0, n);
    const real *response = y->in[RESPONSE]->x;
    real *spread = u + 2 * s->C * TILE;
    take(condition->x + b * s->D * F, s->D, F, r.first, r.count, TILE, c);
    product(2 * s->C, (r.count + lanes - 1) / lanes * lanes, s->D, (factor){ y->in[CONDITION_WEIGHT]->x, s->D }, c, NULL,
            (factor){ NULL, 0 }, u, TILE);
    for (int64_t f = 0; f < r.count; f++)
        for (int64_t j = 0; j < padded; j++) {
            const int64_t k = t0 + j - (r.first + f) * opt->stretch + h;
            spread[f * TILE + j] = k >= 0 && k < length ? response[k] : 0;
        }
    product(2 * s->C, padded, r.count, (factor){ u, TILE }, spread, NULL, (factor){ z, TILE }, z, TILE);
}

/* Samples t0 .. t0+n-1 of example b. */
static void run_tile(const nn_node *y, const size *s, int64_t b, int64_t t0, int64_t n)
{
    const attr *a = y->attr;
    const int64_t T = s->T, KC = s->C * s->K, padded = (n + NN_TILE_LANES - 1) / NN_TILE_LANES * NN_TILE_LANES;
    real *patch = nn_workspace(), *z = patch + (KC + s->D) * TILE, *g = z + 2 * s->C * TILE;
    const real *state = y->in[STATE]->x + b * s->N * T;
    real *out = y->x + b * (s->R + s->S) * T + t0;
    fetch_next(y, s, b, t0 + TILE);
    for (int64_t k = 0; k < s->K; k++)
        take(state, s->C, T, t0 + k * a->opt.dilation - a->opt.pad_left, n, s->K * TILE, patch + k * TILE);
    product(2 * s->C, padded, KC, (factor){ y->in[WEIGHT]->x, KC }, patch, y->in[BIAS]->x, (factor){ NULL, 0 }, z, TILE);
    if (y->n_in > RESPONSE) {
        stretched_condition(y, s, b, t0, n, patch + KC * TILE, g + s->C * TILE, z);
    } else if (s->D) {
        real *c = patch + KC * TILE;
        take(y->in[CONDITION]->x + b * s->D * T, s->D, T, t0, n, TILE, c);
        product(2 * s->C, padded, s->D, (factor){ y->in[CONDITION_WEIGHT]->x, s->D }, c, NULL, (factor){ z, TILE }, z, TILE);
    }
    gate(s, z, n, g, a->gates ? a->gates + b * 2 * s->C * T + t0 : NULL);
    const real *w = y->in[OUT_WEIGHT]->x, *bias = y->in[OUT_BIAS]->x;
    if (s->R)
        product(s->R, n, s->C, (factor){ w, s->C }, g, bias, (factor){ state + t0, T }, out, T);
    if (s->R && a->opt.scale != 1)
        scale_rows(out, s->R, T, n, (real)a->opt.scale);
    product(s->S, n, s->C, (factor){ w + s->R * s->C, s->C }, g, bias + s->R,
            s->N > s->C ? (factor){ state + s->C * T + t0, T } : (factor){ NULL, 0 }, out + s->R * T, T);
}

/* Tiles of the same page go to the same thread: 1024 samples at a time. */
static void forward(nn_tape *tape, nn_node *y)
{
    const size s = size_of(y->in, y->n_in, ((const attr *)y->attr)->opt.last);
    const int64_t tiles = (s.T + TILE - 1) / TILE;
    (void)tape;
#pragma omp parallel for schedule(dynamic, 8) if (parallel : s.B * tiles > 1)
    for (int64_t i = 0; i < s.B * tiles; i++)
        run_tile(y, &s, i / tiles, i % tiles * TILE, min64(TILE, s.T - i % tiles * TILE));
}

static bl_status shape(nn_node *y, bl_error *err)
{
    const attr *a = y->attr;
    const nn_shape *x = &y->in[STATE]->shape, *w = &y->in[WEIGHT]->shape, *o = &y->in[OUT_WEIGHT]->shape;
    char sx[96], sw[96], so[96];
    if (a->opt.dilation < 1 || a->opt.pad_left < 0)
        return bl_fail(err, BL_EARG, "wavenet_layer: dilation must be positive, pad_left not negative");
    if (x->rank != 3 || w->rank != 3 || o->rank != 3 || w->dim[0] != 2 * w->dim[1] || o->dim[1] != w->dim[1] || o->dim[2] != 1)
        return bl_fail(err, BL_ESHAPE, "wavenet_layer: state %s, weight %s and out_weight %s, expected [B, C + S, T], [2C, C, K] and "
                                       "[C + S, C, 1]", nn_shape_str(x, sx), nn_shape_str(w, sw), nn_shape_str(o, so));
    const size s = size_of(y->in, y->n_in, a->opt.last);
    if (s.S < 1 || s.K < 1 || s.C < 1 || (s.N != s.C && s.N != s.C + s.S))
        return bl_fail(err, BL_ESHAPE, "wavenet_layer: state %s has neither C rows nor C + S for the weight %s and out_weight %s",
                       nn_shape_str(x, sx), nn_shape_str(w, sw), nn_shape_str(o, so));
    if (nn_count(&y->in[BIAS]->shape) != 2 * s.C || nn_count(&y->in[OUT_BIAS]->shape) != o->dim[0])
        return bl_fail(err, BL_ESHAPE, "wavenet_layer: biases of %lld and %lld, expected %lld and %lld",
                       (long long)nn_count(&y->in[BIAS]->shape), (long long)nn_count(&y->in[OUT_BIAS]->shape), (long long)(2 * s.C),
                       (long long)o->dim[0]);
    if (y->n_in > CONDITION) {
        const nn_shape *c = &y->in[CONDITION]->shape, *cw = &y->in[CONDITION_WEIGHT]->shape;
        const int64_t stretch = y->n_in > RESPONSE ? a->opt.stretch : 1;
        if (y->n_in == CONDITION_WEIGHT || c->rank != 3 || cw->rank != 3 || c->dim[0] != s.B || stretch < 1 || c->dim[2] * stretch != s.T || cw->dim[0] != 2 * s.C || cw->dim[1] != c->dim[1] ||
            cw->dim[2] != 1)
            return bl_fail(err, BL_ESHAPE, "wavenet_layer: condition %s and its weight %s for a state %s", nn_shape_str(c, sx),
                           nn_shape_str(cw, sw), nn_shape_str(x, so));
    }
    if (y->n_in > RESPONSE && (nn_count(&y->in[RESPONSE]->shape) < a->opt.stretch || (nn_count(&y->in[RESPONSE]->shape) - a->opt.stretch) % 2))
        return bl_fail(err, BL_ESHAPE, "wavenet_layer: a response of %lld for a stretch of %d, expected stretch + 2 h",
                       (long long)nn_count(&y->in[RESPONSE]->shape), a->opt.stretch);
    const int64_t n_values = most_values(y->in, y->n_in, &a->opt);
    if (rows_in_cache(&s, n_values) * TILE > NN_WORKSPACE || n_values > TILE)
        return bl_fail(err, BL_ESHAPE, "wavenet_layer: %lld channels are too many", (long long)s.C);
    y->shape = (nn_shape){ 3, { s.B, s.R + s.S, s.T } };
    return BL_OK;
}

/* ---- the layer op by op ---- */

/* up(u): a transposed convolution of each channel by itself. */
static nn_node *stretched(nn_tape *t, nn_node *u, nn_node *response, int stretch)
{
    if (t->err.code)
        return NULL;
    const nn_shape s = u->shape;
    const int h = (int)(nn_count(&response->shape) - stretch) / 2;
    nn_node *y = nn_conv_transpose1d(t, nn_reshape(t, u, (nn_shape){ 3, { s.dim[0] * s.dim[1], 1, s.dim[2] } }), response, NULL,
                                     (nn_conv1d_opt){ .stride = stretch, .pad_left = h, .pad_right = h, .length = s.dim[2] * stretch });
    return nn_reshape(t, y, (nn_shape){ 3, { s.dim[0], s.dim[1], s.dim[2] * stretch } });
}

static nn_node *composed(nn_tape *t, nn_node *const *in, int n_in, const nn_wavenet_layer_opt *opt)
{
    const size s = size_of(in, n_in, opt->last);
    const int pad_right = (int)(opt->dilation * (s.K - 1) - opt->pad_left);
    nn_node *x = s.N > s.C ? nn_slice(t, in[STATE], 1, 0, s.C) : in[STATE];
    nn_node *z = nn_conv1d(t, x, in[WEIGHT], in[BIAS], (nn_conv1d_opt){ .dilation = opt->dilation, .pad_left = opt->pad_left,
                                                                         .pad_right = pad_right > 0 ? pad_right : 0 });
    if (!t->err.code && z->shape.dim[2] != s.T)
        z = nn_slice(t, z, 2, 0, s.T);
    if (n_in > CONDITION) {
        nn_node *u = nn_conv1d(t, in[CONDITION], in[CONDITION_WEIGHT], NULL, (nn_conv1d_opt){ 0 });
        z = nn_add(t, z, n_in > RESPONSE ? stretched(t, u, in[RESPONSE], opt->stretch) : u);
    }
    nn_node *out = nn_conv1d(t, nn_gated_tanh(t, z), in[OUT_WEIGHT], in[OUT_BIAS], (nn_conv1d_opt){ 0 });
    nn_node *sum = s.R ? nn_slice(t, out, 1, s.R, s.R + s.S) : out;
    if (s.N > s.C)
        sum = nn_add(t, sum, nn_slice(t, in[STATE], 1, s.C, s.N));
    if (!s.R)
        return sum;
    x = nn_affine(t, nn_add(t, x, nn_slice(t, out, 1, 0, s.R)), opt->scale, 0);
    return nn_concat(t, 1, 2, (nn_node *const[]){ x, sum });
}

/* ---- kernels of the gradient ---- */

/* dy and out_weight -> dz [B, 2C, T]. */
static bl_status gate_grad_shape(nn_node *y, bl_error *err)
{
    const attr *a = y->attr;
    (void)err;
    y->shape = (nn_shape){ 3, { y->in[0]->shape.dim[0], 2 * a->C, y->in[0]->shape.dim[2] } };
    return BL_OK;
}

static int64_t gate_grad_scratch(const nn_node *y)
{
    return nn_count(&y->in[1]->shape);
}

static void gate_grad_tile(const nn_node *y, int64_t b, int64_t t0, int64_t n)
{
    const attr *a = y->attr;
    const int64_t T = y->shape.dim[2], C = a->C, rows = y->in[0]->shape.dim[1], R = a->opt.last ? 0 : C;
    const int64_t padded = (n + NN_TILE_LANES - 1) / NN_TILE_LANES * NN_TILE_LANES;
    real *patch = nn_workspace(), *dg = patch + rows * TILE;
    fetch(y->in[0]->x + b * rows * T, rows, T, t0 + TILE, 0);
    fetch(a->gates + b * 2 * C * T, 2 * C, T, t0 + TILE, 0);
    fetch(y->x + b * 2 * C * T, 2 * C, T, t0 + TILE, 1);
    take(y->in[0]->x + b * rows * T, rows, T, t0, n, TILE, patch);
    if (a->opt.scale != 1)
        scale_rows(patch, R, TILE, n, (real)a->opt.scale);
    product(C, padded, rows, (factor){ y->scratch, rows }, patch, NULL, (factor){ NULL, 0 }, dg, TILE);
    for (int64_t i = 0; i < C; i++, dg += TILE) {
        const real *u = a->gates + (b * 2 * C + i) * T + t0, *v = u + C * T;
        real *da = y->x + (b * 2 * C + i) * T + t0, *db = da + C * T;
#pragma omp simd
        for (int64_t j = 0; j < n; j++) {
            const real w = dg[j] * v[j];
            da[j] = w * (1 - u[j] * u[j]);
            db[j] = w * u[j] * (1 - v[j]);
        }
    }
}

static void gate_grad(nn_tape *tape, nn_node *y)
{
    const int64_t B = y->shape.dim[0], T = y->shape.dim[2], tiles = (T + TILE - 1) / TILE;
    const int64_t rows = y->in[1]->shape.dim[0], C = y->in[1]->shape.dim[1];
    (void)tape;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < C; i++)
            y->scratch[i * rows + r] = y->in[1]->x[r * C + i];
#pragma omp parallel for schedule(dynamic, 8) if (parallel : B * tiles > 1)
    for (int64_t i = 0; i < B * tiles; i++)
        gate_grad_tile(y, i / tiles, i % tiles * TILE, min64(TILE, T - i % tiles * TILE));
}

static nn_conv_size convolution(int64_t B, int64_t C, int64_t O, int64_t K, int64_t T, const nn_wavenet_layer_opt *opt)
{
    return (nn_conv_size){ .batch = B, .groups = 1, .in_channels = C, .out_channels = O, .h = { 1, 1, 1, 1, 1, 0 },
                           .w = { T, T, K, 1, opt ? opt->dilation : 1, opt ? opt->pad_left : 0 } };
}

/* dz, dy and weight -> the state's gradient: of x by the adjoint convolution and the residual path, of the sum as it is. */
static bl_status state_grad_shape(nn_node *y, bl_error *err)
{
    const attr *a = y->attr;
    (void)err;
    y->shape = (nn_shape){ 3, { y->in[0]->shape.dim[0], a->C + a->S, y->in[0]->shape.dim[2] } }; /* S: 0 in the first layer */
    return BL_OK;
}

static void state_grad(nn_tape *tape, nn_node *y)
{
    const attr *a = y->attr;
    const int64_t T = y->shape.dim[2], C = a->C, N = y->shape.dim[1], rows = y->in[1]->shape.dim[1], R = a->opt.last ? 0 : C;
    const nn_conv_size conv = convolution(1, C, 2 * C, a->K, T, &a->opt);
    const real scale = (real)a->opt.scale;
    (void)tape;
    for (int64_t b = 0; b < y->shape.dim[0]; b++) {
        const real *dy = y->in[1]->x + b * rows * T;
        real *dx = y->x + b * N * T;
        nn_conv_adjoint(&conv, y->in[0]->x + b * 2 * C * T, y->in[2]->x, NULL, dx);
#pragma omp parallel for schedule(static) if (parallel : N * T > NN_PARALLEL_MIN)
        for (int64_t i = 0; i < N; i++) {
            real *to = dx + i * T;
            const real *from = dy + (i < C ? i : i - C + R) * T;
            if (i >= C)
                memcpy(to, from, (size_t)T * sizeof *to);
            else if (R)
#pragma omp simd
                for (int64_t j = 0; j < T; j++)
                    to[j] += scale * from[j];
        }
    }
}

/* state and dz -> the weight's gradient [2C, C, K]. */
static bl_status weight_grad_shape(nn_node *y, bl_error *err)
{
    const attr *a = y->attr;
    (void)err;
    y->shape = (nn_shape){ 3, { 2 * a->C, a->C, a->K } };
    return BL_OK;
}

static int64_t weight_grad_scratch(const nn_node *y)
{
    const attr *a = y->attr;
    const nn_conv_size conv = convolution(1, a->C, 2 * a->C, a->K, y->in[0]->shape.dim[2], &a->opt);
    return nn_count(&y->shape) + nn_conv_weight_scratch(&conv);
}

/* sum += x. */
static void add_to(real *sum, const real *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        sum[i] += x[i];
}

static void weight_grad(nn_tape *tape, nn_node *y)
{
    const attr *a = y->attr;
    const nn_shape *state = &y->in[0]->shape;
    const int64_t T = state->dim[2], n = nn_count(&y->shape);
    const nn_conv_size conv = convolution(1, a->C, 2 * a->C, a->K, T, &a->opt);
    (void)tape;
    for (int64_t b = 0; b < state->dim[0]; b++) {
        nn_conv_weight(&conv, y->in[0]->x + b * state->dim[1] * T, y->in[1]->x + b * 2 * a->C * T, y->scratch + n,
                       b ? y->scratch : y->x);
        if (b)
            add_to(y->x, y->scratch, n);
    }
}

/* dy and the gates -> the gradients of out_weight and, behind it, of out_bias. */
static bl_status out_grad_shape(nn_node *y, bl_error *err)
{
    const attr *a = y->attr;
    (void)err;
    y->shape = (nn_shape){ 1, { y->in[0]->shape.dim[1] * (a->C + 1) } };
    return BL_OK;
}

static int64_t out_grad_scratch(const nn_node *y)
{
    const attr *a = y->attr;
    const int64_t rows = y->in[0]->shape.dim[1], T = y->in[0]->shape.dim[2];
    const nn_conv_size conv = convolution(1, a->C, rows, 1, T, NULL);
    return rows * a->C + a->C * T + nn_conv_weight_scratch(&conv);
}

/* In 16 lanes, a fixed order that vectorises. */
static double sum_of(const real *x, int64_t n)
{
    double lane[16] = { 0 }, sum = 0;
    int64_t j = 0;
    for (; j + 16 <= n; j += 16)
        for (int k = 0; k < 16; k++)
            lane[k] += (double)x[j + k];
    for (; j < n; j++)
        lane[0] += (double)x[j];
    for (int k = 0; k < 16; k++)
        sum += lane[k];
    return sum;
}

static void out_grad(nn_tape *tape, nn_node *y)
{
    const attr *a = y->attr;
    const nn_shape *dy = &y->in[0]->shape;
    const int64_t B = dy->dim[0], rows = dy->dim[1], T = dy->dim[2], C = a->C, R = a->opt.last ? 0 : C, n = rows * C;
    const nn_conv_size conv = convolution(1, C, rows, 1, T, NULL);
    real *part = y->scratch, *g = part + n;
    (void)tape;
    for (int64_t b = 0; b < B; b++) {
        const real *gates = a->gates + b * 2 * C * T;
#pragma omp parallel for schedule(static) if (parallel : C * T > NN_PARALLEL_MIN)
        for (int64_t i = 0; i < C; i++)
#pragma omp simd
            for (int64_t j = 0; j < T; j++)
                g[i * T + j] = gates[i * T + j] * gates[(C + i) * T + j];
        nn_conv_weight(&conv, g, y->in[0]->x + b * rows * T, g + C * T, b ? part : y->x);
        if (b)
            add_to(y->x, part, n);
    }
#pragma omp parallel for schedule(static) if (parallel : B * rows * T > NN_PARALLEL_MIN)
    for (int64_t r = 0; r < rows; r++) {
        double sum = 0;
        for (int64_t b = 0; b < B; b++)
            sum += sum_of(y->in[0]->x + (b * rows + r) * T, T);
        y->x[n + r] = (real)sum;
    }
    if (a->opt.scale != 1) {
        scale_rows(y->x, R, C, C, (real)a->opt.scale);
        scale_rows(y->x + n, R ? 1 : 0, 0, R, (real)a->opt.scale);
    }
}

static const nn_op gate_grad_op = { .name = "wavenet_gate_grad", .summary = "dz of wavenet_layer", .min_in = 2, .max_in = 2,
                                    .attr_size = sizeof(attr), .shape = gate_grad_shape, .scratch = gate_grad_scratch,
                                    .forward = gate_grad };
static const nn_op state_grad_op = { .name = "wavenet_state_grad", .summary = "d state of wavenet_layer", .min_in = 3, .max_in = 3,
                                     .attr_size = sizeof(attr), .shape = state_grad_shape, .forward = state_grad };
static const nn_op weight_grad_op = { .name = "wavenet_weight_grad", .summary = "d weight of wavenet_layer", .min_in = 2,
                                      .max_in = 2, .attr_size = sizeof(attr), .shape = weight_grad_shape,
                                      .scratch = weight_grad_scratch, .forward = weight_grad };
static const nn_op out_grad_op = { .name = "wavenet_out_grad", .summary = "d out_weight, d out_bias of wavenet_layer", .min_in = 1,
                                   .max_in = 1, .attr_size = sizeof(attr), .shape = out_grad_shape,
                                   .scratch = out_grad_scratch, .forward = out_grad };

/* ---- the rule ---- */

static void composed_backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    const attr *a = y->attr;
    const int differentiable = nn_tape_record(t, 1);
    nn_node *again = composed(t, y->in, y->n_in, &a->opt);
    if (again)
        nn_grad(t, again, dy, y->n_in, y->in, din, differentiable);
    nn_tape_record(t, differentiable);
}

/* Gradients of the condition and what belongs to it, at its own rate. */
static void condition_backward(nn_tape *t, nn_node *y, nn_node *dz, nn_node **din)
{
    nn_node *condition = y->in[CONDITION], *weight = y->in[CONDITION_WEIGHT];
    if (y->n_in > RESPONSE && !t->err.code) {
        const nn_shape s = dz->shape;
        const int stretch = ((const attr *)y->attr)->opt.stretch;
        const int64_t length = nn_count(&y->in[RESPONSE]->shape), F = s.dim[2] / stretch;
        const int h = (int)(length - stretch) / 2;
        const nn_conv1d_opt opt = { .stride = stretch, .pad_left = h, .pad_right = h, .length = length };
        nn_node *rows = nn_reshape(t, dz, (nn_shape){ 3, { s.dim[0] * s.dim[1], 1, s.dim[2] } });
        if (nn_wants_grad(t, y->in[RESPONSE])) {
            nn_node *u = nn_conv1d(t, condition, weight, NULL, (nn_conv1d_opt){ 0 });
            din[RESPONSE] = nn_conv1d_weight_grad(t, rows, nn_reshape(t, u, (nn_shape){ 3, { s.dim[0] * s.dim[1], 1, F } }), opt);
        }
        dz = nn_reshape(t, nn_conv1d(t, rows, y->in[RESPONSE], NULL, (nn_conv1d_opt){ .stride = stretch, .pad_left = h, .pad_right = h }),
                        (nn_shape){ 3, { s.dim[0], s.dim[1], F } });
    }
    if (nn_wants_grad(t, condition))
        din[CONDITION] = nn_conv_transpose1d(t, dz, weight, NULL, (nn_conv1d_opt){ .length = condition->shape.dim[2] });
    if (nn_wants_grad(t, weight))
        din[CONDITION_WEIGHT] = nn_conv1d_weight_grad(t, condition, dz, (nn_conv1d_opt){ .length = 1 });
}

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    const size s = size_of(y->in, y->n_in, ((const attr *)y->attr)->opt.last);
    attr a = *(const attr *)y->attr;
    if (t->recording || !a.gates) {
        composed_backward(t, y, dy, din);
        return;
    }
    a.C = s.C;
    a.K = s.K;
    a.S = s.N - s.C;
    nn_node *dz = nn_apply(t, &gate_grad_op, &a, 2, (nn_node *const[]){ dy, y->in[OUT_WEIGHT] });
    if (nn_wants_grad(t, y->in[STATE]))
        din[STATE] = nn_apply(t, &state_grad_op, &a, 3, (nn_node *const[]){ dz, dy, y->in[WEIGHT] });
    if (nn_wants_grad(t, y->in[WEIGHT]))
        din[WEIGHT] = nn_apply(t, &weight_grad_op, &a, 2, (nn_node *const[]){ y->in[STATE], dz });
    if (nn_wants_grad(t, y->in[BIAS]))
        din[BIAS] = nn_reshape(t, nn_sum_dims(t, dz, 5), (nn_shape){ 1, { -1 } });
    if (nn_wants_grad(t, y->in[OUT_WEIGHT]) || nn_wants_grad(t, y->in[OUT_BIAS])) {
        const int64_t rows = s.R + s.S, n = rows * s.C;
        nn_node *out = nn_apply(t, &out_grad_op, &a, 1, &dy);
        din[OUT_WEIGHT] = nn_reshape(t, nn_slice(t, out, 0, 0, n), (nn_shape){ 3, { rows, s.C, 1 } });
        din[OUT_BIAS] = nn_slice(t, out, 0, n, n + rows);
    }
    if (s.D)
        condition_backward(t, y, dz, din);
}

static int parse(const char *text, void *out)
{
    attr *a = out;
    *a = (attr){ .gates = NULL };
    a->opt.stretch = 1;
    return sscanf(text, "%d %d %d %lf %d", &a->opt.dilation, &a->opt.pad_left, &a->opt.last, &a->opt.scale, &a->opt.stretch) >= 4;
}

const nn_op nn_op_wavenet_layer = {
    .name = "wavenet_layer",
    .summary = "a layer of WaveNet: dilated convolution, gate, residual and skip",
    .min_in = 5,
    .max_in = 8,
    .attr_size = sizeof(attr),
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_OUT,
    .parse = parse,
    .examples = (const char *const[]){ "[2,3,9] [6,3,2] [6] [5,3,1] [5]; 2 2 0 1",
                                       "[1,5,9] [6,3,3] [6] [5,3,1] [5] [1,2,9] [6,2,1]; 1 1 0 0.7",
                                       "[2,5,9] [6,3,2] [6] [2,3,1] [2] [2,2,9] [6,2,1]; 4 4 1 1",
                                       "[2,5,12] [6,3,2] [6] [5,3,1] [5] [2,2,4] [6,2,1] [1,1,7]; 2 2 0 0.7 3", NULL },
};

nn_node *nn_wavenet_layer(nn_tape *t, nn_node *state, nn_node *weight, nn_node *bias, nn_node *out_weight, nn_node *out_bias,
                          nn_node *condition, nn_node *condition_weight, nn_node *response, nn_wavenet_layer_opt opt)
{
    nn_node *const in[] = { state, weight, bias, out_weight, out_bias, condition, condition_weight, response };
    const int n_in = !condition ? 5 : response ? 8 : 7;
    if (t->err.code)
        return NULL;
    opt.scale = opt.scale != 0 ? opt.scale : 1;
    attr a = { .opt = opt };
    int needs_grad = 0;
    for (int i = 0; i < n_in; i++)
        needs_grad |= in[i]->needs_grad;
    const int fits = state->shape.rank == 3 && weight->shape.rank == 3 && out_weight->shape.rank == 3;
    if (fits) {
        const size s = size_of(in, n_in, opt.last);
        const int64_t n_values = opt.stretch > 0 ? most_values(in, n_in, &opt) : 0;
        if (n_values > TILE || rows_in_cache(&s, n_values) * TILE > NN_WORKSPACE || (s.R + s.S + s.C) * TILE > NN_WORKSPACE)
            return composed(t, in, n_in, &opt);
        if (t->recording && needs_grad && s.C > 0 && !(a.gates = nn_scratch(t, s.B * 2 * s.C * s.T)))
            return NULL;
    }
    return nn_apply(t, &nn_op_wavenet_layer, &a, n_in, in);
}
