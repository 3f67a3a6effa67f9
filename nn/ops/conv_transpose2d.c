/* nn/ops/conv_transpose2d.c - the adjoint of conv2d in x, as torch.nn.ConvTranspose2d.
 *
 *     y[b, o, u stride_h + k dilation_h - pad_top, v stride_w + l dilation_w - pad_left] +=
 *         sum over i of weight[i,o,k,l] x[b,i,u,v],   plus bias[o]
 *
 * in       x [B, I, U, V], weight [I, O/groups, kernel_h, kernel_w], bias [O] (optional)
 * out      [B, O, height, width]; 0 means (U - 1) stride_h + dilation_h (kernel_h - 1) + 1 - pad_top - pad_bottom, width alike
 * cost     2 B I (O/groups) kernel_h kernel_w U V flops; nn/conv.h says how
 * source   Zeiler et al., "Deconvolutional Networks", 2010
 */
#include "nn/conv.h"

static nn_conv_op this_op(const void *attr)
{
    return (nn_conv_op){ "conv_transpose2d", NN_CONV_ADJOINT, 2, *(const nn_conv2d_opt *)attr };
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

const nn_op nn_op_conv_transpose2d = {
    .name = "conv_transpose2d",
    .summary = "transposed 2-D convolution (fractional stride)",
    .min_in = 2,
    .max_in = 3,
    .attr_size = sizeof(nn_conv2d_opt),
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .product = 1,
    .unread = NN_READ_IN(2) | NN_READ_OUT,
    .parse = nn_conv2d_parse,
    .examples = (const char *const[]){ "[2,3,3,4] [3,2,4,4] [2]; 2 2 1 1 1 1 1 1 1 0 0",
                                       "[1,4,3,2] [4,2,2,3]; 2 3 2 1 2 1 0 0 2 0 0",
                                       "[2,2,4,3] [2,3,3,3] [3]; 1 1 1 1 1 1 1 1 1 0 0",
                                       "[1,2,2,3] [2,1,2,1]; 3 2 1 1 1 0 0 0 0 6 6",
                                       NULL },
};

nn_node *nn_conv_transpose2d(nn_tape *t, nn_node *x, nn_node *weight, nn_node *bias, nn_conv2d_opt opt)
{
    opt.stride_h += !opt.stride_h;
    opt.stride_w += !opt.stride_w;
    opt.dilation_h += !opt.dilation_h;
    opt.dilation_w += !opt.dilation_w;
    opt.groups += !opt.groups;
    return nn_apply(t, &nn_op_conv_transpose2d, &opt, bias ? 3 : 2, (nn_node *const[]){ x, weight, bias });
}
