/* nn/ops/conv1d.c - 1-D cross-correlation with stride, dilation, groups and uneven padding, as torch.nn.Conv1d.
 *
 *     y[b,o,u] = bias[o] + sum over i, k of weight[o,i,k] x[b, i + Ig group(o), u stride + k dilation - pad_left]
 *
 * in       x [B, I, T], weight [O, Ig, K], bias [O] (optional);  Ig = I / groups
 * out      [B, O, U],  U = (T + pad_left + pad_right - dilation (K - 1) - 1) / stride + 1, or `length` where one is given:
 *          x is zero wherever an output looks beyond its ends
 * cost     2 B O Ig K U flops; nn/conv.h says how
 * source   Waibel et al. 1989; dilation as in van den Oord et al., WaveNet, arXiv:1609.03499, 2016
 */
#include "nn/conv.h"

static nn_conv_op this_op(const void *attr)
{
    return (nn_conv_op){ "conv1d", NN_CONV_PRODUCT, 1, nn_conv1d_widened(attr) };
}

static bl_status shape(nn_node *y, bl_error *err)
{
    const nn_conv_op op = this_op(y->attr);
    return nn_conv_shape(&op, y, err);
}

static void forward(nn_tape *t, nn_node *y)
{
    const nn_conv_op op = this_op(y->attr);
    (void)t;
    nn_conv_forward(&op, y);
}

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    const nn_conv_op op = this_op(y->attr);
    nn_conv_backward(&op, t, y, dy, din);
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
    .product = 1,
    .unread = NN_READ_IN(2) | NN_READ_OUT,
    .parse = nn_conv1d_parse,
    .examples = (const char *const[]){ "[2,3,11] [4,3,3] [4]; 1 1 1 1 1 0",
                                       "[2,4,13] [6,2,3]; 2 2 2 3 1 0",
                                       "[1,2,9] [3,2,1] [3]; 1 1 1 0 0 0",
                                       "[2,1,16] [2,1,5]; 4 1 1 1 2 0",
                                       "[3,2,7] [2,2,3] [2]; 3 1 1 0 0 1",
                                       "[2,3,20] [3,1,2]; 1 16 3 16 0 0",
                                       "[1,1,40] [17,1,2]; 1 1 1 0 0 0",
                                       "[2,3,18] [3,1,1] [3]; 1 1 3 0 0 0", /* a scale */
                                       NULL },
};

nn_node *nn_conv1d(nn_tape *t, nn_node *x, nn_node *weight, nn_node *bias, nn_conv1d_opt opt)
{
    opt.stride += !opt.stride;
    opt.dilation += !opt.dilation;
    opt.groups += !opt.groups;
    return nn_apply(t, &nn_op_conv1d, &opt, bias ? 3 : 2, (nn_node *const[]){ x, weight, bias });
}
