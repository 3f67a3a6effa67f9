/* nn/ops/conv1d_weight_grad.c - the adjoint of conv1d in its weight.
 *
 *     w[o,i,k] = sum over b, u of dy[b,o,u] x[b, i + Ig group(o), u stride + k dilation - pad_left]
 *
 * in       x [B, I, T], dy [B, O, U]
 * out      [O, I/groups, K], K = opt.length
 * cost     2 B O Ig K U flops; nn/conv_weight.c says how
 */
#include "nn/conv.h"

static nn_conv_op this_op(const void *attr)
{
    return (nn_conv_op){ "conv1d_weight_grad", NN_CONV_WEIGHT, 1, nn_conv1d_widened(attr) };
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

const nn_op nn_op_conv1d_weight_grad = {
    .name = "conv1d_weight_grad",
    .summary = "adjoint of conv1d in its weight",
    .min_in = 2,
    .max_in = 2,
    .attr_size = sizeof(nn_conv1d_opt),
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .product = 1,
    .unread = NN_READ_OUT,
    .scratch = scratch,
    .parse = nn_conv1d_parse,
    .examples = (const char *const[]){ "[2,3,11] [2,4,11]; 1 1 1 1 1 3",
                                       "[2,4,13] [2,6,7]; 2 2 2 3 1 3",
                                       "[2,1,16] [2,2,4]; 4 1 1 1 2 5",
                                       "[1,17,12] [1,3,8]; 1 2 1 0 0 3",
                                       "[2,2,9] [2,2,3]; 3 1 1 0 0 2",
                                       NULL },
};

nn_node *nn_conv1d_weight_grad(nn_tape *t, nn_node *x, nn_node *dy, nn_conv1d_opt opt)
{
    opt.stride += !opt.stride;
    opt.dilation += !opt.dilation;
    opt.groups += !opt.groups;
    return nn_apply(t, &nn_op_conv1d_weight_grad, &opt, 2, (nn_node *const[]){ x, dy });
}
