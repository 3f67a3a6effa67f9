#include "nn/pool_layer.h"

#include <string.h>

/* The option's value, -1 when the layer has none of the name. */
static int option(const nn_layer *l, const char *name)
{
    for (const nn_layer_option *o = l->type->options; o->name; o++)
        if (!strcmp(o->name, name))
            return (int)nn_layer_get(l, name);
    return -1;
}

static nn_pool_opt options_of(const nn_layer *l, int dims)
{
    static const char *const kernel[] = { "kernel_height", "kernel_width" }, *const stride[] = { "stride_height", "stride_width" };
    static const char *const padding[] = { "padding_height", "padding_width" }, *const output[] = { "output_height", "output_width" };
    nn_pool_opt p = { { 1, 1 }, { 1, 1 }, { 0, 0 }, { 1, 1 }, option(l, "ceil_mode") > 0, option(l, "count_include_pad") > 0, { 0, 0 } };
    for (int axis = 2 - dims; axis < 2; axis++) {
        const int own_kernel = option(l, kernel[axis]), own_stride = option(l, stride[axis]), own_padding = option(l, padding[axis]);
        const int own_output = option(l, output[axis]), size = option(l, "output_size"), dilation = option(l, "dilation");
        p.kernel[axis] = own_kernel > 0 ? own_kernel : option(l, "kernel_size");
        p.stride[axis] = own_stride > 0 ? own_stride : option(l, "stride") > 0 ? option(l, "stride") : p.kernel[axis];
        p.padding[axis] = own_padding >= 0 ? own_padding : option(l, "padding");
        p.dilation[axis] = dilation > 0 ? dilation : 1;
        p.output[axis] = own_output > 0 ? own_output : size > 0 ? size : 0;
    }
    if (dims == 1 && p.output[1] > 0)
        p.output[0] = 1;
    return p;
}

bl_status nn_pool_build(nn_layer *l, int dims, bl_error *err)
{
    const nn_shape *in = &l->in_shape[0];
    const nn_pool_opt p = options_of(l, dims);
    char text[96];
    if (in->rank != dims + 1)
        return bl_fail(err, BL_ESHAPE, "expects %s, got %s", dims == 1 ? "[C, T]" : "[C, H, W]", nn_shape_str(in, text));
    l->out_shape = *in;
    for (int axis = 2 - dims; axis < 2; axis++) {
        const int d = axis + dims - 1;
        if (p.output[axis] <= 0 && p.kernel[axis] < 1)
            return bl_fail(err, BL_EARG, "needs %s, or the height and the width of it",
                           option(l, "output_size") >= 0 ? "output_size=" : "kernel_size=");
        if (p.output[axis] <= 0 && 2 * p.padding[axis] > p.kernel[axis])
            return bl_fail(err, BL_EARG, "padding=%d is more than half of a window of %d", p.padding[axis], p.kernel[axis]);
        if (p.output[axis] > 0)
            l->out_shape.dim[d] = p.output[axis];
        else if (in->dim[d] >= 0)
            l->out_shape.dim[d] = nn_pool_length(&p, axis, in->dim[d]);
    }
    return BL_OK;
}

nn_node *nn_pool_forward(nn_layer *l, nn_tape *t, nn_node *x, int dims, int is_max)
{
    const nn_pool_opt p = options_of(l, dims);
    if (t->err.code)
        return NULL;
    if (dims == 2)
        return is_max ? nn_max_pool(t, x, p) : nn_avg_pool(t, x, p);
    const nn_shape s = x->shape;
    nn_node *flat = nn_reshape(t, x, (nn_shape){ 4, { s.dim[0], s.dim[1], 1, s.dim[2] } });
    nn_node *y = is_max ? nn_max_pool(t, flat, p) : nn_avg_pool(t, flat, p);
    return y ? nn_reshape(t, y, (nn_shape){ 3, { s.dim[0], s.dim[1], y->shape.dim[3] } }) : NULL;
}

bl_status nn_global_pool_build(nn_layer *l, bl_error *err)
{
    char text[96];
    if (l->in_shape[0].rank < 2)
        return bl_fail(err, BL_ESHAPE, "expects an input of [channels, T] or [C, H, W], got %s", nn_shape_str(&l->in_shape[0], text));
    l->out_shape = (nn_shape){ 1, { l->in_shape[0].dim[0] } };
    return BL_OK;
}
