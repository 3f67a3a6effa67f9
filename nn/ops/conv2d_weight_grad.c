/* nn/ops/conv2d_weight_grad.c - the adjoint of conv2d in its weight.
 *
 *     w[o,i,k,l] = sum over b, u, v of dy[b,o,u,v]
 *                  x[b, i + Ig group(o), u stride_h + k dilation_h - pad_top, v stride_w + l dilation_w - pad_left]
 *
 * in       x [B, I, H, W], dy [B, O, U, V]
 * out      [O, I/groups, height, width]
 * cost     2 B O Ig height width U V flops; nn/conv_weight.c says how
 */
#include "nn/conv.h"

static nn_conv_op this_op(const void *attr)
{
    return (nn_conv_op){ "conv2d_weight_grad", NN_CONV_WEIGHT, 2, *(const nn_conv2d_opt *)attr };
}

static bl_status shape(nn_node *y, bl_error *err)
{
    const nn_conv_op op = this_op(y->attr);
    return nn_conv_shape(&op, y, err);
}

static int64_t scratch(const nn_node *y)
{
    const nn_conv_op op = this_op(y->attr);
    return nn_conv_scratch(&op, y);
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

const nn_op nn_op_conv2d_weight_grad = {
    .name = "conv2d_weight_grad",
    .summary = "adjoint of conv2d in its weight",
    .min_in = 2,
    .max_in = 2,
    .attr_size = sizeof(nn_conv2d_opt),
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .product = 1,
    .unread = NN_READ_OUT,
    .scratch = scratch,
    .parse = nn_conv2d_parse,
    .examples = (const char *const[]){ "[2,3,5,6] [2,4,5,6]; 1 1 1 1 1 1 1 1 1 3 3",
                                       "[2,4,7,6] [2,2,3,6]; 2 1 1 2 2 1 0 2 1 3 2",
                                       "[2,1,8,8] [2,3,4,4]; 2 2 1 1 1 1 1 1 1 4 4",
                                       "[1,17,4,5] [1,2,2,3]; 2 1 1 2 1 0 0 0 0 2 2",
                                       NULL },
};

nn_node *nn_conv2d_weight_grad(nn_tape *t, nn_node *x, nn_node *dy, nn_conv2d_opt opt)
{
    opt.stride_h += !opt.stride_h;
    opt.stride_w += !opt.stride_w;
    opt.dilation_h += !opt.dilation_h;
    opt.dilation_w += !opt.dilation_w;
    opt.groups += !opt.groups;
    return nn_apply(t, &nn_op_conv2d_weight_grad, &opt, 2, (nn_node *const[]){ x, dy });
}
