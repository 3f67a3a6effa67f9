/* nn/ops/conv_transpose1d.c - the adjoint of conv1d in x, as torch.nn.ConvTranspose1d: fractional stride.
 *
 *     y[b, o, u stride + k dilation - pad_left] += sum over i of weight[i,o,k] x[b,i,u],   plus bias[o]
 *
 * in       x [B, I, U], weight [I, O/groups, K], bias [O] (optional)
 * out      [B, O, length]; length 0 means (U - 1) stride + dilation (K - 1) + 1 - pad_left - pad_right
 * cost     2 B I (O/groups) K U flops
 *
 * Blocks of output time are independent: each multiplies the stretch of x that reaches it, and adds only what falls
 * inside.
 */
#include "nn/conv.h"
#include "nn/gemm.h"

#include <omp.h>

static bl_status shape(nn_node *y, bl_error *err)
{
    const nn_shape *x = &y->in[0]->shape, *w = &y->in[1]->shape;
    const nn_conv1d_opt *o = y->attr;
    char a[96], b[96];
    if (x->rank != 3 || w->rank != 3)
        return bl_fail(err, BL_ESHAPE, "conv_transpose1d: expected x [B, C, T] and weight [I, O, K], got %s and %s",
                       nn_shape_str(x, a), nn_shape_str(w, b));
    if (o->stride < 1 || o->dilation < 1 || o->groups < 1 || o->pad_left < 0 || o->pad_right < 0 || o->length < 0)
        return bl_fail(err, BL_EARG, "conv_transpose1d: stride, dilation and groups must be positive, pads not negative");
    if (x->dim[1] != w->dim[0] || w->dim[0] % o->groups)
        return bl_fail(err, BL_ESHAPE, "conv_transpose1d: x has %lld channels, weight %s wants %lld",
                       (long long)x->dim[1], nn_shape_str(w, b), (long long)w->dim[0]);
    const int64_t channels = w->dim[1] * o->groups;
    if (y->n_in > 2 && nn_count(&y->in[2]->shape) != channels)
        return bl_fail(err, BL_ESHAPE, "conv_transpose1d: bias %s for %lld channels",
                       nn_shape_str(&y->in[2]->shape, a), (long long)channels);
    const int64_t full = (x->dim[2] - 1) * o->stride + o->dilation * (w->dim[2] - 1) + 1 - o->pad_left - o->pad_right;
    const int64_t length = o->length ? o->length : full;
    if (length < 1 && x->dim[2] > 0)
        return bl_fail(err, BL_ESHAPE, "conv_transpose1d: nothing is left of %s after the pads %d and %d",
                       nn_shape_str(x, a), o->pad_left, o->pad_right);
    y->shape = (nn_shape){ 3, { x->dim[0], channels, length < 0 ? 0 : length } };
    return BL_OK;
}

/* Adds columns [Og*K, n] of inputs u0.. to y [Og, T], only where t0 <= time < t1. */
static void add_columns(const nn_conv_size *s, const real *columns, int64_t u0, int64_t n, int64_t t0, int64_t t1, real *y)
{
    for (int64_t o = 0; o < s->Ig; o++)
        for (int64_t k = 0; k < s->K; k++) {
            const real *from = columns + (o * s->K + k) * n;
            real *row = y + o * s->T;
            const int64_t start = u0 * s->stride + k * s->dilation - s->pad_left;
            int64_t j0 = t0 - start <= 0 ? 0 : (t0 - start + s->stride - 1) / s->stride;
            int64_t j1 = t1 - 1 - start < 0 ? 0 : (t1 - 1 - start) / s->stride + 1;
            if (j1 > n)
                j1 = n;
            if (s->stride == 1)
                for (int64_t j = j0; j < j1; j++)
                    row[start + j] += from[j];
            else
                for (int64_t j = j0; j < j1; j++)
                    row[start + j * s->stride] += from[j];
        }
}

static void forward(nn_tape *t, nn_node *y)
{
    const nn_shape *x = &y->in[0]->shape, *w = &y->in[1]->shape;
    const nn_conv1d_opt *o = y->attr;
    /* Letters as conv1d has them: its x is our y. */
    const nn_conv_size s = { .B = x->dim[0], .I = y->shape.dim[1], .T = y->shape.dim[2], .O = x->dim[1], .U = x->dim[2],
                             .K = w->dim[2], .groups = o->groups, .Ig = w->dim[1], .Og = x->dim[1] / o->groups,
                             .stride = o->stride, .dilation = o->dilation, .pad_left = o->pad_left };
    const int64_t rows = s.Ig * s.K, block_t = NN_CONV_BLOCK * s.stride, blocks = (s.T + block_t - 1) / block_t;
    const int64_t tasks = s.B * s.groups * blocks, reach = s.dilation * (s.K - 1);
    const int64_t max_n = NN_CONV_BLOCK + reach / s.stride + 2, per_thread = rows * max_n;
    real *scratch = nn_scratch(t, omp_get_max_threads() * per_thread);
    if (t->err.code)
        return;
    nn_conv_fill_bias(y->x, y->n_in > 2 ? y->in[2]->x : NULL, s.B, s.I, s.T);

#pragma omp parallel for schedule(static) if (tasks > 1)
    for (int64_t task = 0; task < tasks; task++) {
        const int64_t block = task % blocks, g = task / blocks % s.groups, b = task / blocks / s.groups;
        const int64_t t0 = block * block_t, t1 = t0 + block_t < s.T ? t0 + block_t : s.T;
        /* inputs u with u stride + k dilation - pad_left in t0 .. t1-1 for some k */
        int64_t u0 = t0 + s.pad_left - reach, u1 = (t1 - 1 + s.pad_left) / s.stride + 1;
        u0 = u0 <= 0 ? 0 : (u0 + s.stride - 1) / s.stride;
        if (u1 > s.U)
            u1 = s.U;
        if (u1 <= u0)
            continue;
        real *columns = scratch + omp_get_thread_num() * per_thread;
        nn_gemm(1, 0, rows, u1 - u0, s.Og, 1, y->in[1]->x + g * s.Og * rows, rows,
                y->in[0]->x + (b * s.O + g * s.Og) * s.U + u0, s.U, 0, columns, u1 - u0);
        add_columns(&s, columns, u0, u1 - u0, t0, t1, y->x + (b * s.I + g * s.Ig) * s.T);
    }
    nn_scratch_release(t, scratch);
}

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    nn_conv1d_opt o = *(const nn_conv1d_opt *)y->attr;
    const int64_t T = y->shape.dim[2], U = y->in[0]->shape.dim[2], K = y->in[1]->shape.dim[2];
    /* The conv1d that leads back must give exactly U outputs: choose its right pad so. A length shorter than the
     * reach of the last inputs needs a larger pad, a longer one needs none of its tail. */
    int64_t right = (U - 1) * o.stride + o.dilation * (K - 1) + 1 - o.pad_left - T;
    nn_conv1d_opt back = o;
    nn_node *dyc = dy;
    if (right < 0) {
        dyc = -right >= o.stride ? nn_slice(t, dy, 2, 0, T + right) : dy;
        right = 0;
    }
    back.pad_right = (int)right;
    if (nn_wants_grad(t, y->in[0]))
        din[0] = nn_conv1d(t, dyc, y->in[1], NULL, back);
    if (nn_wants_grad(t, y->in[1])) {
        back.length = K;
        din[1] = nn_conv1d_weight_grad(t, dyc, y->in[0], back);
    }
    if (y->n_in > 2 && nn_wants_grad(t, y->in[2]))
        din[2] = nn_conv_bias_grad(t, dy);
}

const nn_op nn_op_conv_transpose1d = {
    .name = "conv_transpose1d",
    .summary = "transposed 1-D convolution (fractional stride)",
    .min_in = 2,
    .max_in = 3,
    .attr_size = sizeof(nn_conv1d_opt),
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_IN(2) | NN_READ_OUT,
    .product = 1,
    .parse = nn_conv1d_parse,
    .examples = (const char *const[]){ "[2,3,5] [3,4,6] [4]; 2 1 1 2 2 0", "[2,4,5] [4,3,3]; 3 2 2 1 0 17",
                                       "[1,2,7] [2,3,3] [3]; 1 1 1 1 1 0", "[2,2,4] [2,1,5]; 4 1 1 1 0 16",
                                       "[1,2,3] [2,2,2]; 2 1 1 0 0 9", NULL },
};

nn_node *nn_conv_transpose1d(nn_tape *t, nn_node *x, nn_node *weight, nn_node *bias, nn_conv1d_opt opt)
{
    opt = nn_conv1d_opt_filled(opt);
    return nn_apply(t, &nn_op_conv_transpose1d, &opt, bias ? 3 : 2, (nn_node *const[]){ x, weight, bias });
}
