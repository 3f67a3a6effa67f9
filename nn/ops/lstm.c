/* nn/ops/lstm.c - long short-term memory, one layer in one direction; gate order i, f, g, o as in torch.nn.LSTM.
 *
 *     z_t = weight_ih x_t + weight_hh h_{t-1} + bias
 *     i, f, o = sigmoid(z_t's quarters 1, 2, 4),   g = tanh(quarter 3)
 *     c_t = f c_{t-1} + i g,   h_t = o tanh(c_t)
 *
 * in       x [B, T, I], weight_ih [4H, I], weight_hh [4H, H], bias [4H];  h_0 = c_0 = 0
 * out      h [B, T, H];  reverse: t runs from T-1 down to 0
 * errors   BL_ESHAPE: a weight or bias that does not fit
 * cost     8 B T H (I + H) flops forward, twice that backward. The input's part is one matrix product over all steps;
 *          of the recurrent part each thread takes some examples through all steps, so that no step waits for threads.
 * source   Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000
 *
 * The gradient is an op of its own, lstm_grad, which returns all four gradients in one vector [dx, d weight_ih,
 * d weight_hh, d bias]. Its gradient (second order) builds the LSTM again from single products on the tape and
 * differentiates that twice: slow, exact, and needed only where a gradient penalty goes through an LSTM.
 */
#include "nn/fastmath.h"
#include "nn/gemm.h"
#include "nn/ops.h"

#include <stdio.h>
#include <string.h>

typedef struct attr {
    int   reverse;
    int   skip_dx;  /* lstm_grad: nobody asks for dx                                     */
    real *saved;    /* [B T 6H]: gates after their functions, c, h; NULL: computed again */
} attr;

typedef struct lstm_size {
    int64_t B, T, I, H;
    int     reverse;
} lstm_size;

static lstm_size size_of(const nn_node *y)
{
    const nn_shape *x = &y->in[0]->shape;
    return (lstm_size){ x->dim[0], x->dim[1], x->dim[2], y->in[2]->shape.dim[1], ((const attr *)y->attr)->reverse };
}

static int64_t saved_count(const lstm_size *s)
{
    return s->B * s->T * 6 * s->H;
}

/* ---- products with the recurrent weights, a few rows at a time ----
 *
 * BLAS would pack the weights again at every step. Here they are packed once: strips of STRIP outputs, for each input
 * the STRIP weights side by side. The sum over inputs stays in registers, one product per output and input. */

enum { STRIP = 32, ROWS = 4 };

static int64_t packed_count(int64_t n_out, int64_t n_in)
{
    return (n_out + STRIP - 1) / STRIP * STRIP * n_in;
}

/* weight(out j, in k) = w[j * step_out + k * step_in]. */
static void pack(const real *w, int64_t n_out, int64_t step_out, int64_t n_in, int64_t step_in, real *packed)
{
    const int64_t strips = (n_out + STRIP - 1) / STRIP;
#pragma omp parallel for schedule(static) if (n_out * n_in > NN_PARALLEL_MIN)
    for (int64_t s = 0; s < strips; s++)
        for (int64_t k = 0; k < n_in; k++)
            for (int64_t j = 0; j < STRIP; j++)
                packed[(s * n_in + k) * STRIP + j] = s * STRIP + j < n_out ? w[(s * STRIP + j) * step_out + k * step_in] : 0;
}

/* Rows of a (n_in values, lda apart) times one strip, added to n columns of y (ldy apart). */
#define STRIP_PRODUCT(NAME, N_ROWS)                                                                            \
    static void NAME(const real *restrict a, int64_t lda, const real *restrict packed, int64_t n_in, real *y,  \
                     int64_t ldy, int64_t n)                                                                   \
    {                                                                                                          \
        real sum[N_ROWS][STRIP] = { { 0 } };                                                                   \
        for (int64_t k = 0; k < n_in; k++)                                                                     \
            for (int r = 0; r < N_ROWS; r++)                                                                   \
                for (int j = 0; j < STRIP; j++)                                                                \
                    sum[r][j] += a[r * lda + k] * packed[k * STRIP + j];                                       \
        for (int r = 0; r < N_ROWS; r++)                                                                       \
            for (int64_t j = 0; j < n; j++)                                                                    \
                y[r * ldy + j] += sum[r][j];                                                                   \
    }
STRIP_PRODUCT(strip_of_1, 1)
STRIP_PRODUCT(strip_of_4, ROWS)

/* y [rows, n_out] += a [rows, n_in] times packed weights; rows is at most ROWS. */
static void add_product(int64_t rows, const real *a, int64_t lda, const real *packed, int64_t n_out, int64_t n_in, real *y,
                        int64_t ldy)
{
    for (int64_t first = 0; first < n_out; first += STRIP, packed += n_in * STRIP) {
        const int64_t n = n_out - first < STRIP ? n_out - first : STRIP;
        if (rows == ROWS)
            strip_of_4(a, lda, packed, n_in, y + first, ldy, n);
        else
            for (int64_t r = 0; r < rows; r++)
                strip_of_1(a + r * lda, lda, packed, n_in, y + r * ldy + first, ldy, n);
    }
}

/* ---- forward ---- */

static void gates(real *restrict z, const real *restrict c_before, real *restrict c, real *restrict h, int64_t H)
{
#pragma omp simd
    for (int64_t j = 0; j < 3 * H; j++) {
        const real u = z[j];
        z[j] = j < 2 * H ? nn_fast_sigmoid(u) : nn_fast_tanh(u);
    }
#pragma omp simd
    for (int64_t j = 0; j < H; j++) {
        const real o = nn_fast_sigmoid(z[3 * H + j]), now = z[H + j] * c_before[j] + z[j] * z[2 * H + j];
        z[3 * H + j] = o;
        c[j] = now;
        h[j] = o * nn_fast_tanh(now);
    }
}

/* Fills z [B, T, 4H] (gates), c [B, T, H], h [B, T, H]; zero [H] holds zeros, packed is scratch. */
static void run_forward(const lstm_size *s, const real *x, const real *weight_ih, const real *weight_hh, const real *bias,
                        real *z, real *c, real *h, const real *zero, real *packed)
{
    const int64_t B = s->B, T = s->T, H = s->H;
#pragma omp parallel for schedule(static) if (B * T * H > NN_PARALLEL_MIN)
    for (int64_t r = 0; r < B * T; r++)
        memcpy(z + r * 4 * H, bias, (size_t)(4 * H) * sizeof *z);
    nn_gemm(0, 1, B * T, 4 * H, s->I, 1, x, s->I, weight_ih, s->I, 1, z, 4 * H);
    pack(weight_hh, 4 * H, H, H, 1, packed);
#pragma omp parallel for schedule(static) if (B > ROWS && B * T * H > NN_PARALLEL_MIN)
    for (int64_t b0 = 0; b0 < B; b0 += ROWS) {
        const int64_t rows = B - b0 < ROWS ? B - b0 : ROWS;
        for (int64_t k = 0; k < T; k++) {
            const int64_t t = s->reverse ? T - 1 - k : k, before = s->reverse ? t + 1 : t - 1;
            if (k > 0)
                add_product(rows, h + (b0 * T + before) * H, T * H, packed, 4 * H, H, z + (b0 * T + t) * 4 * H, T * 4 * H);
            for (int64_t b = b0; b < b0 + rows; b++) {
                const int64_t row = b * T + t;
                gates(z + row * 4 * H, k > 0 ? c + (b * T + before) * H : zero, c + row * H, h + row * H, H);
            }
        }
    }
}

/* ---- gradient ---- */

/* One step of one example: dz from dh and dc; dc becomes the gradient of the cell before. */
static void gates_grad(const real *restrict z, const real *restrict c_before, const real *restrict c,
                       const real *restrict dh, real *restrict dc, real *restrict dz, int64_t H)
{
#pragma omp simd
    for (int64_t j = 0; j < H; j++) {
        const real i = z[j], f = z[H + j], g = z[2 * H + j], o = z[3 * H + j], th = nn_fast_tanh(c[j]);
        const real d = dc[j] + dh[j] * o * (1 - th * th);
        dz[j] = d * g * i * (1 - i);
        dz[H + j] = d * c_before[j] * f * (1 - f);
        dz[2 * H + j] = d * i * (1 - g * g);
        dz[3 * H + j] = dh[j] * th * o * (1 - o);
        dc[j] = d * f;
    }
}

static void column_sums(const real *dz, int64_t rows, int64_t width, real *out)
{
    #pragma omp parallel for schedule(static) if (rows * width > NN_PARALLEL_MIN)
    for (int64_t first = 0; first < width; first += STRIP) {
        const int64_t n = width - first < STRIP ? width - first : STRIP;
        double sum[STRIP] = { 0 };
        for (int64_t r = 0; r < rows; r++)
            for (int64_t j = 0; j < n; j++)
                sum[j] += (double)dz[r * width + first + j];
        for (int64_t j = 0; j < n; j++)
            out[first + j] = (real)sum[j];
    }
}

/* dz [B, T, 4H] from dy [B, T, H]. dh, dc: scratch [B, H] each. */
static void run_backward(const lstm_size *s, const real *weight_hh, const real *saved, const real *dy, real *dz, real *dh,
                         real *dc, const real *zero, real *packed)
{
    const int64_t B = s->B, T = s->T, H = s->H;
    const real *z = saved, *c = saved + B * T * 4 * H;
    memset(dc, 0, (size_t)(B * H) * sizeof *dc);
    pack(weight_hh, H, 1, 4 * H, H, packed);
#pragma omp parallel for schedule(static) if (B > ROWS && B * T * H > NN_PARALLEL_MIN)
    for (int64_t b0 = 0; b0 < B; b0 += ROWS) {
        const int64_t rows = B - b0 < ROWS ? B - b0 : ROWS;
        for (int64_t k = T - 1; k >= 0; k--) {
            const int64_t t = s->reverse ? T - 1 - k : k, before = s->reverse ? t + 1 : t - 1;
            const int64_t after = s->reverse ? t - 1 : t + 1;
            for (int64_t b = b0; b < b0 + rows; b++)
                memcpy(dh + b * H, dy + (b * T + t) * H, (size_t)H * sizeof *dh);
            if (k < T - 1)
                add_product(rows, dz + (b0 * T + after) * 4 * H, T * 4 * H, packed, H, 4 * H, dh + b0 * H, H);
            for (int64_t b = b0; b < b0 + rows; b++) {
                const int64_t row = b * T + t;
                gates_grad(z + row * 4 * H, k > 0 ? c + (b * T + before) * H : zero, c + row * H, dh + b * H, dc + b * H,
                           dz + row * 4 * H, H);
            }
        }
    }
}

static bl_status check(const nn_node *y, const char *name, bl_error *err)
{
    const nn_shape *x = &y->in[0]->shape, *wi = &y->in[1]->shape, *wh = &y->in[2]->shape, *bias = &y->in[3]->shape;
    char a[96], b[96], c[96], d[96];
    if (x->rank != 3 || wi->rank != 2 || wh->rank != 2 || bias->rank != 1 || wi->dim[1] != x->dim[2]
        || wi->dim[0] != 4 * wh->dim[1] || wh->dim[0] != 4 * wh->dim[1] || bias->dim[0] != 4 * wh->dim[1])
        return bl_fail(err, BL_ESHAPE, "%s: x %s, weight_ih %s, weight_hh %s, bias %s; expected [B, T, I], [4H, I], [4H, H], [4H]",
                       name, nn_shape_str(x, a), nn_shape_str(wi, b), nn_shape_str(wh, c), nn_shape_str(bias, d));
    return BL_OK;
}

static bl_status grad_shape(nn_node *y, bl_error *err)
{
    if (check(y, "lstm_grad", err) != BL_OK)
        return err->code;
    const lstm_size s = size_of(y);
    const nn_shape *dy = &y->in[4]->shape;
    char text[96];
    if (dy->rank != 3 || dy->dim[0] != s.B || dy->dim[1] != s.T || dy->dim[2] != s.H)
        return bl_fail(err, BL_ESHAPE, "lstm_grad: dy is %s", nn_shape_str(dy, text));
    y->shape = (nn_shape){ 1, { s.B * s.T * s.I + 4 * s.H * (s.I + s.H + 1) } };
    return BL_OK;
}

static void grad_forward(nn_tape *t, nn_node *y)
{
    const lstm_size s = size_of(y);
    const attr *a = y->attr;
    const int64_t B = s.B, T = s.T, I = s.I, H = s.H;
    const real *x = y->in[0]->x, *weight_ih = y->in[1]->x, *weight_hh = y->in[2]->x, *bias = y->in[3]->x, *dy = y->in[4]->x;
    real *dz = nn_scratch(t, B * T * 4 * H), *small = nn_scratch(t, (2 * B + 1) * H);
    real *own = a->saved ? NULL : nn_scratch(t, saved_count(&s)), *saved = a->saved ? a->saved : own;
    const int64_t n_forward = packed_count(4 * H, H), n_backward = packed_count(H, 4 * H);
    real *packed = nn_scratch(t, n_forward > n_backward ? n_forward : n_backward);
    if (t->err.code)
        return;
    real *dh = small, *dc = small + B * H, *zero = small + 2 * B * H;
    memset(zero, 0, (size_t)H * sizeof *zero);
    const real *h = saved + B * T * 5 * H;
    if (own)
        run_forward(&s, x, weight_ih, weight_hh, bias, own, own + B * T * 4 * H, own + B * T * 5 * H, zero, packed);
    run_backward(&s, weight_hh, saved, dy, dz, dh, dc, zero, packed);

    real *dx = y->x, *dw_ih = dx + B * T * I, *dw_hh = dw_ih + 4 * H * I, *dbias = dw_hh + 4 * H * H;
    if (a->skip_dx)
        memset(dx, 0, (size_t)(B * T * I) * sizeof *dx);
    else
        nn_gemm(0, 0, B * T, I, 4 * H, 1, dz, 4 * H, weight_ih, I, 0, dx, I);
    nn_gemm(1, 0, 4 * H, I, B * T, 1, dz, 4 * H, x, I, 0, dw_ih, I);
    memset(dw_hh, 0, (size_t)(4 * H * H) * sizeof *dw_hh);
    for (int64_t b = 0; b < B && T > 1; b++) { /* dz of each step with h of the step before it */
        const int64_t later = b * T + (s.reverse ? 0 : 1), earlier = b * T + (s.reverse ? 1 : 0);
        nn_gemm(1, 0, 4 * H, H, T - 1, 1, dz + later * 4 * H, 4 * H, h + earlier * H, H, 1, dw_hh, H);
    }
    column_sums(dz, B * T, 4 * H, dbias);
    nn_scratch_release(t, dz);
    nn_scratch_release(t, small);
    nn_scratch_release(t, packed);
    nn_scratch_release(t, own);
}

/* Cuts one of the four gradients out of lstm_grad's vector. */
static nn_node *part(nn_tape *t, nn_node *all, int64_t *offset, nn_shape shape)
{
    const int64_t start = *offset;
    *offset += nn_count(&shape);
    return nn_reshape(t, nn_slice(t, all, 0, start, *offset), shape);
}

/* Joins n nodes along dimension 1, at most NN_MAX_IN at a time; overwrites the list. */
static nn_node *join(nn_tape *t, int64_t n, nn_node **list)
{
    while (n > 1) {
        int64_t n_out = 0;
        for (int64_t i = 0; i < n; i += NN_MAX_IN) {
            const int64_t count = n - i < NN_MAX_IN ? n - i : NN_MAX_IN;
            list[n_out++] = count > 1 ? nn_concat(t, 1, (int)count, list + i) : list[i];
        }
        n = n_out;
    }
    return list[0];
}

/* The same LSTM from primitive ops. */
static nn_node *composed(nn_tape *t, const lstm_size *s, nn_node *x, nn_node *weight_ih, nn_node *weight_hh, nn_node *bias)
{
    const int64_t H = s->H;
    nn_node **out = (nn_node **)(void *)nn_scratch(t, s->T * (int64_t)(sizeof *out / sizeof(real)) + 2);
    nn_node *all = nn_linear(t, x, weight_ih, bias), *h = NULL, *c = NULL;
    for (int64_t k = 0; k < s->T && !t->err.code; k++) {
        const int64_t step = s->reverse ? s->T - 1 - k : k;
        nn_node *z = nn_reshape(t, nn_slice(t, all, 1, step, step + 1), (nn_shape){ 2, { s->B, 4 * H } });
        if (h)
            z = nn_add(t, z, nn_matmul(t, h, weight_hh, 0, 1));
        nn_node *i = nn_sigmoid(t, nn_slice(t, z, 1, 0, H)), *f = nn_sigmoid(t, nn_slice(t, z, 1, H, 2 * H));
        nn_node *g = nn_tanh(t, nn_slice(t, z, 1, 2 * H, 3 * H)), *o = nn_sigmoid(t, nn_slice(t, z, 1, 3 * H, 4 * H));
        c = c ? nn_add(t, nn_mul(t, f, c), nn_mul(t, i, g)) : nn_mul(t, i, g);
        h = nn_mul(t, o, nn_tanh(t, c));
        out[step] = t->err.code ? NULL : nn_reshape(t, h, (nn_shape){ 3, { s->B, 1, H } });
    }
    return t->err.code ? NULL : join(t, s->T, out);
}

static void grad_backward(nn_tape *t, nn_node *y, nn_node *ddy, nn_node **din)
{
    const lstm_size s = size_of(y);
    nn_node *leaf[5], *first[4], *second[5], *sum = NULL;
    int64_t offset = 0;
    if (s.T == 0)
        return;
    const int recording = nn_tape_record(t, 1);
    for (int i = 0; i < 5; i++)
        leaf[i] = nn_leaf(t, y->in[i]->shape, y->in[i]->x);
    nn_node *h = composed(t, &s, leaf[0], leaf[1], leaf[2], leaf[3]);
    if (h)
        nn_grad(t, h, leaf[4], 4, leaf, first, 1);
    for (int i = 0; i < 4 && !t->err.code; i++) {
        nn_node *weight = part(t, ddy, &offset, y->in[i]->shape);
        nn_node *term = first[i] ? nn_sum(t, nn_mul(t, first[i], weight)) : NULL;
        sum = sum && term ? nn_add(t, sum, term) : term ? term : sum;
    }
    if (sum && !t->err.code)
        nn_grad(t, sum, NULL, 5, leaf, second, 0);
    nn_tape_record(t, recording);
    for (int i = 0; i < 5 && sum && !t->err.code; i++)
        if (nn_wants_grad(t, y->in[i]))
            din[i] = second[i];
}

static const nn_op grad_op = {
    .name = "lstm_grad",
    .summary = "all gradients of lstm in one vector",
    .min_in = 5,
    .max_in = 5,
    .attr_size = sizeof(attr),
    .shape = grad_shape,
    .forward = grad_forward,
    .backward = grad_backward,
};

/* ---- the op ---- */

static bl_status shape(nn_node *y, bl_error *err)
{
    if (check(y, "lstm", err) != BL_OK)
        return err->code;
    const lstm_size s = size_of(y);
    y->shape = (nn_shape){ 3, { s.B, s.T, s.H } };
    return BL_OK;
}

static void forward(nn_tape *t, nn_node *y)
{
    const lstm_size s = size_of(y);
    const attr *a = y->attr;
    const int64_t rows = s.B * s.T;
    real *own = a->saved ? NULL : nn_scratch(t, rows * 5 * s.H), *z = a->saved ? a->saved : own;
    real *zero = nn_scratch(t, s.H), *packed = nn_scratch(t, packed_count(4 * s.H, s.H));
    if (t->err.code)
        return;
    memset(zero, 0, (size_t)s.H * sizeof *zero);
    run_forward(&s, y->in[0]->x, y->in[1]->x, y->in[2]->x, y->in[3]->x, z, z + rows * 4 * s.H, y->x, zero,
                packed);
    if (a->saved && rows)
        memcpy(a->saved + rows * 5 * s.H, y->x, (size_t)(rows * s.H) * sizeof(real));
    nn_scratch_release(t, zero);
    nn_scratch_release(t, packed);
    nn_scratch_release(t, own);
}

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    attr a = *(const attr *)y->attr;
    a.skip_dx = !nn_wants_grad(t, y->in[0]);
    nn_node *all = nn_apply(t, &grad_op, &a, 5, (nn_node *const[]){ y->in[0], y->in[1], y->in[2], y->in[3], dy });
    int64_t offset = 0;
    for (int i = 0; i < 4 && !t->err.code; i++) {
        if (nn_wants_grad(t, y->in[i]))
            din[i] = part(t, all, &offset, y->in[i]->shape);
        else
            offset += nn_count(&y->in[i]->shape);
    }
}

static int parse(const char *text, void *out)
{
    attr *a = out;
    *a = (attr){ 0, 0, NULL };
    return sscanf(text, "%d", &a->reverse) == 1;
}

const nn_op nn_op_lstm = {
    .name = "lstm",
    .summary = "long short-term memory, one layer, one direction",
    .min_in = 4,
    .max_in = 4,
    .attr_size = sizeof(attr),
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .parse = parse,
    .examples = (const char *const[]){ "[2,5,3] [8,3] [8,2] [8]; 0", "[2,4,3] [8,3] [8,2] [8]; 1", "[1,1,2] [12,2] [12,3] [12]; 0",
                                       "[1,11,1] [4,1] [4,1] [4]; 1", NULL },
};

nn_node *nn_lstm(nn_tape *t, nn_node *x, nn_node *weight_ih, nn_node *weight_hh, nn_node *bias, int reverse)
{
    attr a = { reverse != 0, 0, NULL };
    if (t->err.code)
        return NULL;
    const int wanted = x->needs_grad || weight_ih->needs_grad || weight_hh->needs_grad || bias->needs_grad;
    if (t->recording && wanted && x->shape.rank == 3 && weight_hh->shape.rank == 2)
        a.saved = nn_scratch(t, x->shape.dim[0] * x->shape.dim[1] * 6 * weight_hh->shape.dim[1]);
    return nn_apply(t, &nn_op_lstm, &a, 4, (nn_node *const[]){ x, weight_ih, weight_hh, bias });
}
