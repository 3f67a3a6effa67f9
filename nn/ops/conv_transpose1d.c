/* nn/ops/conv_transpose1d.c - the adjoint of conv1d in x, as torch.nn.ConvTranspose1d: fractional stride.
 *
 *     y[b, o, u stride + k dilation - pad_left] += sum over i of weight[i,o,k] x[b,i,u],   plus bias[o]
 *
 * in       x [B, I, U], weight [I, O/groups, K], bias [O] (optional)
 * out      [B, O, length]; length 0 means (U - 1) stride + dilation (K - 1) + 1 - pad_left - pad_right
 * cost     2 B I (O/groups) K U flops; nn/conv.h says how
 */
#include "nn/conv.h"

static nn_conv_op this_op(const void *attr)
{
    return (nn_conv_op){ "conv_transpose1d", NN_CONV_ADJOINT, 1, nn_conv1d_widened(attr) };
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

const nn_op nn_op_conv_transpose1d = {
    .name = "conv_transpose1d",
    .summary = "transposed 1-D convolution (fractional stride)",
    .min_in = 2,
    .max_in = 3,
    .attr_size = sizeof(nn_conv1d_opt),
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .product = 1,
    .unread = NN_READ_IN(2) | NN_READ_OUT,
    .parse = nn_conv1d_parse,
    .examples = (const char *const[]){ "[2,3,5] [3,4,6] [4]; 2 1 1 2 2 0",
                                       "[2,4,5] [4,3,3]; 3 2 2 1 0 17",
                                       "[1,2,7] [2,3,3] [3]; 1 1 1 1 1 0",
                                       "[2,2,4] [2,1,5]; 4 1 1 1 0 16",
                                       "[1,2,3] [2,2,2]; 2 1 1 0 0 9",
                                       "[1,2,4] [2,1,2]; 20 1 1 3 0 0",
                                       "[2,1,6] [1,2,4]; 4 6 1 5 0 0",
                                       NULL },
};

nn_node *nn_conv_transpose1d(nn_tape *t, nn_node *x, nn_node *weight, nn_node *bias, nn_conv1d_opt opt)
{
    opt.stride += !opt.stride;
    opt.dilation += !opt.dilation;
    opt.groups += !opt.groups;
    return nn_apply(t, &nn_op_conv_transpose1d, &opt, bias ? 3 : 2, (nn_node *const[]){ x, weight, bias });
}
