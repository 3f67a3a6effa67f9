/* nn/ops/conv2d.c - 2-D cross-correlation, as torch.nn.Conv2d, with uneven padding.
 *
 *     y[b,o,u,v] = bias[o] + sum over i, k, l of weight[o,i,k,l]
 *                  x[b, i + Ig group(o), u stride_h + k dilation_h - pad_top, v stride_w + l dilation_w - pad_left]
 *
 * in       x [B, I, H, W], weight [O, Ig, kernel_h, kernel_w], bias [O] (optional);  Ig = I / groups
 * out      [B, O, U, V],  U = (H + pad_top + pad_bottom - dilation_h (kernel_h - 1) - 1) / stride_h + 1, V alike, or height and
 *          width where they are given: x is zero wherever an output looks beyond its edges
 * cost     2 B O Ig kernel_h kernel_w U V flops; nn/conv.h says how
 * source   LeCun et al., "Gradient-Based Learning Applied to Document Recognition", 1998
 */
#include "nn/conv.h"

static nn_conv_op this_op(const void *attr)
{
    return (nn_conv_op){ "conv2d", NN_CONV_PRODUCT, 2, *(const nn_conv2d_opt *)attr };
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

const nn_op nn_op_conv2d = {
    .name = "conv2d",
    .summary = "2-D convolution: stride, dilation, groups, uneven padding",
    .min_in = 2,
    .max_in = 3,
    .attr_size = sizeof(nn_conv2d_opt),
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .product = 1,
    .unread = NN_READ_IN(2) | NN_READ_OUT,
    .parse = nn_conv2d_parse,
    .examples = (const char *const[]){ "[2,3,5,6] [4,3,3,3] [4]; 1 1 1 1 1 1 1 1 1 0 0",
                                       "[2,4,7,6] [2,2,3,2]; 2 1 1 2 2 1 0 2 1 0 0",
                                       "[1,2,3,4] [3,2,1,1] [3]; 1 1 1 1 1 0 0 0 0 0 0",
                                       "[2,1,8,8] [3,1,4,4]; 2 2 1 1 1 1 1 1 1 0 0",
                                       "[1,2,6,7] [2,2,2,3]; 3 2 2 1 1 1 1 0 2 2 3",
                                       NULL },
};

nn_node *nn_conv2d(nn_tape *t, nn_node *x, nn_node *weight, nn_node *bias, nn_conv2d_opt opt)
{
    opt.stride_h += !opt.stride_h;
    opt.stride_w += !opt.stride_w;
    opt.dilation_h += !opt.dilation_h;
    opt.dilation_w += !opt.dilation_w;
    opt.groups += !opt.groups;
    return nn_apply(t, &nn_op_conv2d, &opt, bias ? 3 : 2, (nn_node *const[]){ x, weight, bias });
}
