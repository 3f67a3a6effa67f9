/* nn/ops/lstm.c - long short-term memory, one layer in one or both directions; gate order i, f, g, o as in torch.nn.LSTM.
 *
 *     z_t = weight_ih x_t + weight_hh h_{t-1} + bias
 *     i, f, o = sigmoid(z_t's quarters 1, 2, 4),   g = tanh(quarter 3)
 *     c_t = f c_{t-1} + i g,   h_t = o tanh(c_t)
 *
 * in       x [B, T, I], weight_ih [D 4H, I], weight_hh [D 4H, H], bias [D 4H]; lengths [B], optional; state [B, 2, D H]
 *          (h_0, c_0), optional; D 1 or 2: nn/recurrent.h
 * out      h [B, T, D H]; with_final: two more rows in time, h_n and c_n
 * errors   BL_ESHAPE: a weight, bias, state or lengths that does not fit
 * cost     8 B T D H (I + H) flops forward, twice that backward
 * source   Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000; both directions: Graves & Schmidhuber 2005
 *
 * The gradient is an op of its own, lstm_grad, which returns all gradients in one vector; its own gradient (second order)
 * is in nn/recurrent.h.
 */

#include "nn/fastmath.h"
#include "nn/recurrent.h"

enum { LANES = NN_RECURRENT_LANES };

static inline void forward_n(const nn_cell_step *s, const real *restrict product, const int64_t n)
{
    const int64_t H = s->H;
    real c[LANES], h[LANES], z[4][LANES] = { { 0 } };
    for (int g = 0; g < 4; g++)
        for (int64_t j = 0; j < n; j++)
            z[g][j] = s->z[g * H + j] + product[g * LANES + j] + s->bias[g * H + j];
    for (int64_t j = 0; j < n; j++)
        c[j] = s->c[j];
    for (int64_t j = n; j < LANES; j++)
        c[j] = 0;
#pragma omp simd
    for (int j = 0; j < LANES; j++) {
        const real i = nn_fast_sigmoid(z[0][j]), f = nn_fast_sigmoid(z[1][j]), g = nn_fast_tanh(z[2][j]);
        const real o = nn_fast_sigmoid(z[3][j]), now = f * c[j] + i * g;
        z[0][j] = i;
        z[1][j] = f;
        z[2][j] = g;
        z[3][j] = o;
        c[j] = now;
        h[j] = o * nn_fast_tanh(now);
    }
    for (int64_t j = 0; j < n; j++) {
        s->c[j] = c[j];
        s->h_next[j] = h[j];
    }
    if (!s->extra) /* nobody will come back */
        return;
    for (int g = 0; g < 4; g++)
        for (int64_t j = 0; j < n; j++)
            s->z[g * H + j] = z[g][j];
    for (int64_t j = 0; j < n; j++)
        s->extra[j] = c[j];
}

static void cell_forward(const nn_cell_step *s, const real *product)
{
    if (s->n == LANES) /* known to the compiler */
        forward_n(s, product, LANES);
    else
        forward_n(s, product, s->n);
}

static inline void backward_n(const nn_cell_step *s, const real *restrict dh, const int64_t n)
{
    const int64_t H = s->H;
    real *restrict dz = s->dz, *restrict da = s->da, *restrict dc = s->c, *restrict carry = s->carry;
#pragma omp simd
    for (int64_t j = 0; j < n; j++) {
        const real i = s->z[j], f = s->z[H + j], g = s->z[2 * H + j], o = s->z[3 * H + j], th = nn_fast_tanh(s->extra[j]);
        const real d = dc[j] + dh[j] * o * (1 - th * th);
        const real di = d * g * i * (1 - i), df = d * s->c_before[j] * f * (1 - f), dg = d * i * (1 - g * g);
        const real d_o = dh[j] * th * o * (1 - o);
        dz[j] = da[j] = di;
        dz[H + j] = da[H + j] = df;
        dz[2 * H + j] = da[2 * H + j] = dg;
        dz[3 * H + j] = da[3 * H + j] = d_o;
        dc[j] = d * f;
        carry[j] = 0;
    }
}

static void cell_backward(const nn_cell_step *s, const real *dh)
{
    if (s->n == LANES)
        backward_n(s, dh, LANES);
    else
        backward_n(s, dh, s->n);
}

static nn_node *cell_composed(nn_tape *t, nn_node *z, nn_node *weight_hh, nn_node *bias, nn_node *h, nn_node **c)
{
    nn_node *sum = nn_add(t, nn_add(t, z, nn_matmul(t, h, weight_hh, 0, 1)), bias), *gate[4];
    const int64_t H = t->err.code ? 0 : h->shape.dim[1];
    for (int i = 0; i < 4; i++)
        gate[i] = i == 2 ? nn_tanh(t, nn_slice(t, sum, 1, i * H, (i + 1) * H)) : nn_sigmoid(t, nn_slice(t, sum, 1, i * H, (i + 1) * H));
    *c = nn_add(t, nn_mul(t, gate[1], *c), nn_mul(t, gate[0], gate[2]));
    return nn_mul(t, gate[3], nn_tanh(t, *c));
}

static const nn_cell cell = { "lstm", 4, 2, cell_forward, cell_backward, cell_composed };

static bl_status grad_shape(nn_node *y, bl_error *err)
{
    return nn_recurrent_grad_shape(&cell, y, err);
}

static int64_t grad_scratch(const nn_node *y)
{
    return nn_recurrent_grad_scratch(&cell, y);
}

static void grad_forward(nn_tape *t, nn_node *y)
{
    (void)t;
    nn_recurrent_grad_forward(&cell, y);
}

static void grad_backward(nn_tape *t, nn_node *y, nn_node *ddy, nn_node **din)
{
    nn_recurrent_grad_backward(&cell, t, y, ddy, din);
}

static const nn_op grad_op = {
    .name = "lstm_grad",
    .summary = "all gradients of lstm in one vector",
    .min_in = 6,
    .max_in = 8,
    .attr_size = sizeof(nn_recurrent_attr),
    .shape = grad_shape,
    .scratch = grad_scratch,
    .forward = grad_forward,
    .backward = grad_backward,
};

static bl_status shape(nn_node *y, bl_error *err)
{
    return nn_recurrent_shape(&cell, y, err);
}

static int64_t scratch(const nn_node *y)
{
    return nn_recurrent_scratch(&cell, y);
}

static void forward(nn_tape *t, nn_node *y)
{
    (void)t;
    nn_recurrent_forward(&cell, y);
}

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    nn_recurrent_backward(&cell, &grad_op, t, y, dy, din);
}

const nn_op nn_op_lstm = {
    .name = "lstm",
    .summary = "long short-term memory, one layer, one or both directions",
    .min_in = 4,
    .max_in = 6,
    .attr_size = sizeof(nn_recurrent_attr),
    .no_grad = 1u << 4,
    .shape = shape,
    .scratch = scratch,
    .forward = forward,
    .backward = backward,
    .parse = nn_recurrent_parse,
    .examples = (const char *const[]){ "[2,5,3] [8,3] [8,2] [8]", "[2,4,3] [16,3] [16,2] [16]", "[1,1,2] [12,2] [12,3] [12]",
                                       "[3,5,1] [8,1] [8,1] [8] [3]:1..6", "[2,3,2] [16,2] [16,2] [16] [2]:0..4 [2,2,4]; with_final",
                                       NULL },
};

nn_node *nn_lstm(nn_tape *t, nn_node *x, nn_node *weight_ih, nn_node *weight_hh, nn_node *bias, nn_node *lengths, nn_node *state,
                 int with_final)
{
    return nn_recurrent_apply(&cell, &nn_op_lstm, t, x, weight_ih, weight_hh, bias, lengths, state, with_final);
}
