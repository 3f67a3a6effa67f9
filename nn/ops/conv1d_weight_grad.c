/* nn/ops/conv1d_weight_grad.c - the adjoint of conv1d in its weight.
 *
 *     w[o,i,k] = sum over b, u of dy[b,o,u] x[b, i + Ig group(o), u stride + k dilation - pad_left]
 *
 * in       x [B, I, T], dy [B, O, U]
 * out      [O, I/groups, K], K = opt.length
 *
 * The sum over batch and time is cut into a fixed number of parts, added up in order: the same bits at any number of
 * threads.
 */
#include "nn/conv.h"
#include "nn/gemm.h"

#include <string.h>

static bl_status shape(nn_node *y, bl_error *err)
{
    const nn_shape *x = &y->in[0]->shape, *dy = &y->in[1]->shape;
    const nn_conv1d_opt *o = y->attr;
    char a[96], b[96];
    if (x->rank != 3 || dy->rank != 3 || x->dim[0] != dy->dim[0] || o->groups < 1 || x->dim[1] % o->groups ||
        dy->dim[1] % o->groups || o->length < 1 || x->dim[2] < 1)
        return bl_fail(err, BL_ESHAPE, "conv1d_weight_grad: x %s and dy %s do not go together", nn_shape_str(x, a),
                       nn_shape_str(dy, b));
    y->shape = (nn_shape){ 3, { dy->dim[1], x->dim[1] / o->groups, o->length } };
    return BL_OK;
}

enum { PARTS = 8 };

static void forward(nn_tape *t, nn_node *y)
{
    const nn_shape *x = &y->in[0]->shape, *d = &y->in[1]->shape;
    const nn_conv1d_opt *o = y->attr;
    const nn_conv_size s = { .B = x->dim[0], .I = x->dim[1], .T = x->dim[2], .O = d->dim[1], .U = d->dim[2],
                             .K = o->length, .groups = o->groups, .Ig = x->dim[1] / o->groups, .Og = d->dim[1] / o->groups,
                             .stride = o->stride, .dilation = o->dilation, .pad_left = o->pad_left };
    const int64_t rows = s.Ig * s.K, blocks = (s.U + NN_CONV_BLOCK - 1) / NN_CONV_BLOCK, tasks = s.B * blocks;
    const int64_t parts = tasks < PARTS ? tasks : PARTS, n_weight = s.O * rows;
    const int64_t per_part = n_weight + rows * NN_CONV_BLOCK;
    real *scratch = parts ? nn_scratch(t, parts * per_part) : NULL;
    if (t->err.code)
        return;

#pragma omp parallel for schedule(static) if (parts > 1)
    for (int64_t p = 0; p < parts; p++) {
        real *sum = scratch + p * per_part, *columns = sum + n_weight;
        memset(sum, 0, (size_t)n_weight * sizeof(real));
        for (int64_t task = p * tasks / parts; task < (p + 1) * tasks / parts; task++) {
            const int64_t b = task / blocks, u0 = task % blocks * NN_CONV_BLOCK;
            const int64_t n = s.U - u0 < NN_CONV_BLOCK ? s.U - u0 : NN_CONV_BLOCK;
            for (int64_t g = 0; g < s.groups; g++) {
                nn_conv_columns(&s, y->in[0]->x + (b * s.I + g * s.Ig) * s.T, u0, n, columns);
                nn_gemm(0, 1, s.Og, rows, n, 1, y->in[1]->x + (b * s.O + g * s.Og) * s.U + u0, s.U, columns, n, 1,
                        sum + g * s.Og * rows, rows);
            }
        }
    }
    memset(y->x, 0, (size_t)n_weight * sizeof(real));
    for (int64_t p = 0; p < parts; p++)
        for (int64_t i = 0; i < n_weight; i++)
            y->x[i] += scratch[p * per_part + i];
    nn_scratch_release(t, scratch);
}

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    nn_conv1d_opt o = *(const nn_conv1d_opt *)y->attr;
    nn_node *x = y->in[0], *d = y->in[1];
    if (nn_wants_grad(t, x)) {
        o.length = x->shape.dim[2];
        din[0] = nn_conv_transpose1d(t, d, dy, NULL, o);
    }
    if (nn_wants_grad(t, d)) {
        /* the right pad that gives exactly U outputs; a longer x has samples that no output reaches */
        const int64_t U = d->shape.dim[2], T = x->shape.dim[2];
        int64_t right = (U - 1) * o.stride + o.dilation * (y->shape.dim[2] - 1) + 1 - o.pad_left - T;
        nn_node *xc = right < 0 && -right >= o.stride ? nn_slice(t, x, 2, 0, T + right) : x;
        o.pad_right = (int)(right < 0 ? 0 : right);
        din[1] = nn_conv1d(t, xc, dy, NULL, o);
    }
}

const nn_op nn_op_conv1d_weight_grad = {
    .name = "conv1d_weight_grad",
    .summary = "adjoint of conv1d in its weight",
    .min_in = 2,
    .max_in = 2,
    .attr_size = sizeof(nn_conv1d_opt),
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_OUT,
    .product = 1,
    .parse = nn_conv1d_parse,
    .examples = (const char *const[]){ "[2,3,11] [2,4,11]; 1 1 1 1 1 3", "[2,4,13] [2,6,7]; 2 2 2 3 1 3",
                                       "[2,1,16] [2,2,4]; 4 1 1 1 2 5", NULL },
};

nn_node *nn_conv1d_weight_grad(nn_tape *t, nn_node *x, nn_node *dy, nn_conv1d_opt opt)
{
    opt = nn_conv1d_opt_filled(opt);
    return nn_apply(t, &nn_op_conv1d_weight_grad, &opt, 2, (nn_node *const[]){ x, dy });
}
