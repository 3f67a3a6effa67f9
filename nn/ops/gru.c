/* nn/ops/gru.c - gated recurrent unit, one layer in one or both directions; gate order r, z, n as in torch.nn.GRU.
 *
 *     r, z = sigmoid(weight_ih x_t + weight_hh h_{t-1} + bias, thirds 1 and 2)
 *     n = tanh(weight_in x_t + bias_in + r (weight_hn h_{t-1} + bias_hn)),   the third thirds
 *     h_t = (1 - z) n + z h_{t-1}
 *
 * in       x [B, T, I], weight_ih [D 3H, I], weight_hh [D 3H, H], bias [D 4H]: of r, of z, of n's input, of n's state;
 *          lengths [B], optional; state [B, 1, D H] (h_0), optional; D 1 or 2: nn/recurrent.h
 * out      h [B, T, D H]; with_final: one more row in time, h_n
 * errors   BL_ESHAPE: a weight, bias, state or lengths that does not fit
 * cost     6 B T D H (I + H) flops forward, twice that backward
 * source   Cho et al. 2014; the reset gate acts on the product, as in cuDNN and torch.
 *
 * The gradient is an op of its own, gru_grad; its own gradient (second order) is in nn/recurrent.h.
 */

#include "nn/fastmath.h"
#include "nn/recurrent.h"

enum { LANES = NN_RECURRENT_LANES };

static inline void forward_n(const nn_cell_step *s, const real *restrict product, const int64_t n)
{
    const int64_t H = s->H;
    real h[LANES] = { 0 }, next[LANES], z[4][LANES] = { { 0 } }; /* r, z, n, state's part of n */
    for (int g = 0; g < 2; g++)
        for (int64_t j = 0; j < n; j++)
            z[g][j] = s->z[g * H + j] + product[g * LANES + j] + s->bias[g * H + j];
    for (int64_t j = 0; j < n; j++) {
        z[2][j] = s->z[2 * H + j] + s->bias[2 * H + j];
        z[3][j] = product[2 * LANES + j] + s->bias[3 * H + j];
        h[j] = s->h[j];
    }
#pragma omp simd
    for (int j = 0; j < LANES; j++) {
        const real r = nn_fast_sigmoid(z[0][j]), keep = nn_fast_sigmoid(z[1][j]), new = nn_fast_tanh(z[2][j] + r * z[3][j]);
        z[0][j] = r;
        z[1][j] = keep;
        z[2][j] = new;
        next[j] = new + keep * (h[j] - new);
    }
    for (int64_t j = 0; j < n; j++)
        s->h_next[j] = next[j];
    if (!s->extra) /* nobody will come back */
        return;
    for (int g = 0; g < 3; g++)
        for (int64_t j = 0; j < n; j++)
            s->z[g * H + j] = z[g][j];
    for (int64_t j = 0; j < n; j++)
        s->extra[j] = z[3][j];
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
    real *restrict dz = s->dz, *restrict da = s->da, *restrict carry = s->carry;
#pragma omp simd
    for (int64_t j = 0; j < n; j++) {
        const real r = s->z[j], keep = s->z[H + j], new = s->z[2 * H + j];
        const real dn = dh[j] * (1 - keep) * (1 - new * new), dk = dh[j] * (s->h[j] - new) * keep * (1 - keep);
        const real dr = dn * s->extra[j] * r * (1 - r);
        dz[j] = da[j] = dr;
        dz[H + j] = da[H + j] = dk;
        da[2 * H + j] = dn;
        dz[2 * H + j] = da[3 * H + j] = dn * r;
        carry[j] = dh[j] * keep;
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
    (void)c;
    nn_node *state = nn_matmul(t, h, weight_hh, 0, 1), *gate[2];
    const int64_t H = t->err.code ? 0 : h->shape.dim[1];
    nn_node *both = nn_add(t, nn_add(t, nn_slice(t, z, 1, 0, 2 * H), nn_slice(t, state, 1, 0, 2 * H)), nn_slice(t, bias, 0, 0, 2 * H));
    for (int i = 0; i < 2; i++)
        gate[i] = nn_sigmoid(t, nn_slice(t, both, 1, i * H, (i + 1) * H));
    nn_node *of_x = nn_add(t, nn_slice(t, z, 1, 2 * H, 3 * H), nn_slice(t, bias, 0, 2 * H, 3 * H));
    nn_node *of_h = nn_add(t, nn_slice(t, state, 1, 2 * H, 3 * H), nn_slice(t, bias, 0, 3 * H, 4 * H));
    nn_node *new = nn_tanh(t, nn_add(t, of_x, nn_mul(t, gate[0], of_h)));
    return nn_add(t, new, nn_mul(t, gate[1], nn_sub(t, h, new)));
}

static const nn_cell cell = { "gru", 3, 1, cell_forward, cell_backward, cell_composed };

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
    .name = "gru_grad",
    .summary = "all gradients of gru in one vector",
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

const nn_op nn_op_gru = {
    .name = "gru",
    .summary = "gated recurrent unit, one layer, one or both directions",
    .min_in = 4,
    .max_in = 6,
    .attr_size = sizeof(nn_recurrent_attr),
    .no_grad = 1u << 4,
    .shape = shape,
    .scratch = scratch,
    .forward = forward,
    .backward = backward,
    .parse = nn_recurrent_parse,
    .examples = (const char *const[]){ "[2,5,3] [6,3] [6,2] [8]", "[2,4,3] [12,3] [12,2] [16]", "[1,1,2] [9,2] [9,3] [12]",
                                       "[3,5,1] [6,1] [6,2] [8] [3]:1..6", "[2,3,2] [12,2] [12,2] [16] [2]:0..4 [2,1,4]; with_final",
                                       NULL },
};

nn_node *nn_gru(nn_tape *t, nn_node *x, nn_node *weight_ih, nn_node *weight_hh, nn_node *bias, nn_node *lengths, nn_node *state,
                 int with_final)
{
    return nn_recurrent_apply(&cell, &nn_op_gru, t, x, weight_ih, weight_hh, bias, lengths, state, with_final);
}
