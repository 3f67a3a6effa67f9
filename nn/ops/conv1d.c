/* nn/ops/conv1d.c - 1-D cross-correlation with stride, dilation, groups and uneven padding, as torch.nn.Conv1d.
 *
 *     y[b,o,u] = bias[o] + sum over i, k of weight[o,i,k] x[b, i + Ig group(o), u stride + k dilation - pad_left]
 *
 * in       x [B, I, T], weight [O, Ig, K], bias [O] (optional);  Ig = I / groups
 * out      [B, O, U],  U = (T + pad_left + pad_right - dilation (K - 1) - 1) / stride + 1
 * cost     2 B O Ig K U flops
 * source   Waibel et al. 1989; dilation as in van den Oord et al., WaveNet, arXiv:1609.03499, 2016
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
        return bl_fail(err, BL_ESHAPE, "conv1d: expected x [B, C, T] and weight [O, I, K], got %s and %s",
                       nn_shape_str(x, a), nn_shape_str(w, b));
    if (o->stride < 1 || o->dilation < 1 || o->groups < 1 || o->pad_left < 0 || o->pad_right < 0)
        return bl_fail(err, BL_EARG, "conv1d: stride, dilation and groups must be positive, pads not negative");
    if (x->dim[1] != w->dim[1] * o->groups || w->dim[0] % o->groups)
        return bl_fail(err, BL_ESHAPE, "conv1d: x has %lld channels, weight %s with %d groups wants %lld",
                       (long long)x->dim[1], nn_shape_str(w, b), o->groups, (long long)(w->dim[1] * o->groups));
    if (y->n_in > 2 && nn_count(&y->in[2]->shape) != w->dim[0])
        return bl_fail(err, BL_ESHAPE, "conv1d: bias %s for %lld channels", nn_shape_str(&y->in[2]->shape, a),
                       (long long)w->dim[0]);
    const int64_t U = nn_conv1d_length(x->dim[2], w->dim[2], o);
    if (U < 0 || x->dim[2] < 1)
        return bl_fail(err, BL_ESHAPE, "conv1d: x %s is shorter than the kernel %s", nn_shape_str(x, a), nn_shape_str(w, b));
    y->shape = (nn_shape){ 3, { x->dim[0], w->dim[0], U } };
    return BL_OK;
}

static void forward(nn_tape *t, nn_node *y)
{
    const nn_shape *x = &y->in[0]->shape, *w = &y->in[1]->shape;
    const nn_conv1d_opt *o = y->attr;
    const nn_conv_size s = { .B = x->dim[0], .I = x->dim[1], .T = x->dim[2], .O = w->dim[0], .U = y->shape.dim[2],
                             .K = w->dim[2], .groups = o->groups, .Ig = w->dim[1], .Og = w->dim[0] / o->groups,
                             .stride = o->stride, .dilation = o->dilation, .pad_left = o->pad_left };
    const int64_t rows = s.Ig * s.K, blocks = (s.U + NN_CONV_BLOCK - 1) / NN_CONV_BLOCK, tasks = s.B * s.groups * blocks;
    /* A 1x1 convolution multiplies x as it lies in memory. */
    const int direct = s.K == 1 && s.stride == 1 && s.pad_left == 0 && s.T == s.U;
    const int64_t per_thread = direct ? 0 : rows * NN_CONV_BLOCK;
    real *scratch = per_thread ? nn_scratch(t, omp_get_max_threads() * per_thread) : NULL;
    if (t->err.code)
        return;
    nn_conv_fill_bias(y->x, y->n_in > 2 ? y->in[2]->x : NULL, s.B, s.O, s.U);

#pragma omp parallel for schedule(static) if (tasks > 1)
    for (int64_t task = 0; task < tasks; task++) {
        const int64_t block = task % blocks, g = task / blocks % s.groups, b = task / blocks / s.groups;
        const int64_t u0 = block * NN_CONV_BLOCK, n = s.U - u0 < NN_CONV_BLOCK ? s.U - u0 : NN_CONV_BLOCK;
        const real *xg = y->in[0]->x + (b * s.I + g * s.Ig) * s.T, *columns = xg + u0;
        int64_t ld = s.T;
        if (!direct) {
            real *mine = scratch + omp_get_thread_num() * per_thread;
            nn_conv_columns(&s, xg, u0, n, mine);
            columns = mine;
            ld = n;
        }
        nn_gemm(0, 0, s.Og, n, rows, 1, y->in[1]->x + g * s.Og * rows, rows, columns, ld, 1,
                y->x + (b * s.O + g * s.Og) * s.U + u0, s.U);
    }
    nn_scratch_release(t, scratch);
}

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    nn_conv1d_opt o = *(const nn_conv1d_opt *)y->attr;
    if (nn_wants_grad(t, y->in[0])) {
        o.length = y->in[0]->shape.dim[2];
        din[0] = nn_conv_transpose1d(t, dy, y->in[1], NULL, o);
    }
    if (nn_wants_grad(t, y->in[1])) {
        o.length = y->in[1]->shape.dim[2];
        din[1] = nn_conv1d_weight_grad(t, y->in[0], dy, o);
    }
    if (y->n_in > 2 && nn_wants_grad(t, y->in[2]))
        din[2] = nn_conv_bias_grad(t, dy);
}

const nn_op nn_op_conv1d = {
    .name = "conv1d",
    .summary = "1-D convolution: stride, dilation, groups, uneven padding",
    .min_in = 2,
    .max_in = 3,
    .attr_size = sizeof(nn_conv1d_opt),
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_IN(2) | NN_READ_OUT,
    .product = 1,
    .parse = nn_conv1d_parse,
    .examples = (const char *const[]){ "[2,3,11] [4,3,3] [4]; 1 1 1 1 1 0", "[2,4,13] [6,2,3]; 2 2 2 3 1 0",
                                       "[1,2,9] [3,2,1] [3]; 1 1 1 0 0 0", "[2,1,16] [2,1,5]; 4 1 1 1 2 0", NULL },
};

nn_node *nn_conv1d(nn_tape *t, nn_node *x, nn_node *weight, nn_node *bias, nn_conv1d_opt opt)
{
    opt = nn_conv1d_opt_filled(opt);
    opt.length = 0;
    return nn_apply(t, &nn_op_conv1d, &opt, bias ? 3 : 2, (nn_node *const[]){ x, weight, bias });
}
