/* The convolution ops: conv, its adjoint in x and its adjoint in the weight are one map with three arguments, so shapes, forward
 * and gradients are written once for all three, and for one and two dimensions. */
#include "nn/conv.h"

#include <stdio.h>

/* A shape [B, C, T] or [B, C, H, W]. */
static int64_t height_of(const nn_shape *s) { return s->rank == 3 ? 1 : s->dim[2]; }
static int64_t width_of(const nn_shape *s) { return s->dim[s->rank - 1]; }

/* Which of x, weight and y of a product stand where: in[], or the result. */
static void roles(const nn_conv_op *op, const nn_node *n, const nn_shape **x, const nn_shape **w, const nn_shape **y)
{
    *x = op->kind == NN_CONV_ADJOINT ? &n->shape : &n->in[0]->shape;
    *w = op->kind == NN_CONV_WEIGHT ? &n->shape : &n->in[1]->shape;
    *y = op->kind == NN_CONV_PRODUCT ? &n->shape : &n->in[op->kind == NN_CONV_WEIGHT]->shape;
}

static nn_conv_size size_of(const nn_conv_op *op, const nn_node *n)
{
    const nn_shape *x, *w, *y;
    const nn_conv2d_opt *o = &op->opt;
    roles(op, n, &x, &w, &y);
    return (nn_conv_size){
        .batch = x->dim[0],
        .groups = o->groups,
        .in_channels = w->dim[1],
        .out_channels = w->dim[0] / o->groups,
        .h = { height_of(x), height_of(y), height_of(w), o->stride_h, o->dilation_h, o->pad_top },
        .w = { width_of(x), width_of(y), width_of(w), o->stride_w, o->dilation_w, o->pad_left },
    };
}

/* Length of the output: what was asked for, or what the pads leave; negative when nothing is left. */
static int64_t length_of(nn_conv_kind kind, int64_t in, int64_t kernel, int stride, int dilation, int before, int behind,
                         int64_t wanted)
{
    const int64_t reach = (int64_t)dilation * (kernel - 1) + 1;
    if (wanted)
        return wanted;
    if (kind == NN_CONV_ADJOINT)
        return in < 1 ? 0 : (in - 1) * stride + reach - before - behind;
    return in + before + behind < reach ? -1 : (in + before + behind - reach) / stride + 1;
}

static bl_status check_options(const nn_conv_op *op, bl_error *err)
{
    const nn_conv2d_opt *o = &op->opt;
    if (o->stride_h < 1 || o->stride_w < 1 || o->dilation_h < 1 || o->dilation_w < 1 || o->groups < 1 || o->pad_top < 0 ||
        o->pad_bottom < 0 || o->pad_left < 0 || o->pad_right < 0 || o->height < 0 || o->width < 0)
        return bl_fail(err, BL_EARG, "%s: stride, dilation and groups must be positive, pads not negative", op->name);
    return BL_OK;
}

static bl_status weight_shape(const nn_conv_op *op, nn_node *n, bl_error *err)
{
    const nn_shape *x = &n->in[0]->shape, *y = &n->in[1]->shape;
    const nn_conv2d_opt *o = &op->opt;
    const int rank = op->dimensions + 2;
    char a[96], b[96];
    if (x->rank != rank || y->rank != rank || x->dim[0] != y->dim[0] || x->dim[1] % o->groups || y->dim[1] % o->groups ||
        o->width < 1 || o->height < 1 || width_of(x) < 1 || height_of(x) < 1)
        return bl_fail(err, BL_ESHAPE, "%s: x %s and dy %s do not go together", op->name, nn_shape_str(x, a),
                       nn_shape_str(y, b));
    n->shape = (nn_shape){ rank, { y->dim[1], x->dim[1] / o->groups, o->height, o->width } };
    if (rank == 3)
        n->shape.dim[2] = o->width;
    return BL_OK;
}

bl_status nn_conv_shape(const nn_conv_op *op, nn_node *n, bl_error *err)
{
    const nn_shape *x = &n->in[0]->shape, *w = &n->in[1]->shape;
    const nn_conv2d_opt *o = &op->opt;
    const int rank = op->dimensions + 2, adjoint = op->kind == NN_CONV_ADJOINT;
    char a[96], b[96];
    if (check_options(op, err) != BL_OK)
        return err->code;
    if (op->kind == NN_CONV_WEIGHT)
        return weight_shape(op, n, err);
    if (x->rank != rank || w->rank != rank)
        return bl_fail(err, BL_ESHAPE, "%s: expected x %s and a weight of %d dimensions, got %s and %s", op->name,
                       rank == 3 ? "[B, C, T]" : "[B, C, H, W]", rank, nn_shape_str(x, a), nn_shape_str(w, b));
    const int64_t wanted = adjoint ? w->dim[0] : w->dim[1] * o->groups, channels = adjoint ? w->dim[1] * o->groups : w->dim[0];
    if (x->dim[1] != wanted || w->dim[0] % o->groups)
        return bl_fail(err, BL_ESHAPE, "%s: x has %lld channels, weight %s with %d groups wants %lld", op->name,
                       (long long)x->dim[1], nn_shape_str(w, b), o->groups, (long long)wanted);
    if (n->n_in > 2 && nn_count(&n->in[2]->shape) != channels)
        return bl_fail(err, BL_ESHAPE, "%s: bias %s for %lld channels", op->name, nn_shape_str(&n->in[2]->shape, a),
                       (long long)channels);
    const int64_t height = length_of(op->kind, height_of(x), height_of(w), o->stride_h, o->dilation_h, o->pad_top,
                                     o->pad_bottom, o->height);
    const int64_t width = length_of(op->kind, width_of(x), width_of(w), o->stride_w, o->dilation_w, o->pad_left,
                                    o->pad_right, o->width);
    const int empty = width_of(x) < 1 || height_of(x) < 1;
    if (adjoint && !empty && (height < 1 || width < 1))
        return bl_fail(err, BL_ESHAPE, "%s: nothing is left of %s after the pads", op->name, nn_shape_str(x, a));
    if (!adjoint && (empty || height < 0 || width < 0))
        return bl_fail(err, BL_ESHAPE, "%s: x %s is shorter than the kernel %s", op->name, nn_shape_str(x, a),
                       nn_shape_str(w, b));
    n->shape = (nn_shape){ rank, { x->dim[0], channels, height, width } };
    if (rank == 3)
        n->shape.dim[2] = width;
    return BL_OK;
}

void nn_conv_forward(const nn_conv_op *op, nn_node *n)
{
    const nn_conv_size s = size_of(op, n);
    const real *bias = n->n_in > 2 ? n->in[2]->x : NULL;
    if (nn_conv_is_scale(&s) && op->kind == NN_CONV_WEIGHT)
        nn_conv_scale_weight(&s, n->in[0]->x, n->in[1]->x, n->x);
    else if (nn_conv_is_scale(&s))
        nn_conv_scale(&s, n->in[0]->x, n->in[1]->x, bias, n->x);
    else if (op->kind == NN_CONV_PRODUCT)
        nn_conv_product(&s, n->in[0]->x, n->in[1]->x, bias, n->x);
    else if (op->kind == NN_CONV_ADJOINT)
        nn_conv_adjoint(&s, n->in[0]->x, n->in[1]->x, bias, n->x);
    else
        nn_conv_weight(&s, n->in[0]->x, n->in[1]->x, n->scratch, n->x);
}

int64_t nn_conv_scratch(const nn_conv_op *op, const nn_node *n)
{
    const nn_conv_size s = size_of(op, n);
    return op->kind == NN_CONV_WEIGHT && !nn_conv_is_scale(&s) ? nn_conv_weight_scratch(&s) : 0;
}

static nn_node *apply(const nn_conv_op *op, nn_tape *t, nn_conv_kind kind, nn_node *a, nn_node *b, const nn_shape *size)
{
    const nn_conv2d_opt *o = &op->opt;
    if (nn_count(size) == 0) /* a length of 0 would ask for what the pads say */
        return nn_full(t, *size, 0);
    if (op->dimensions == 1) {
        const nn_conv1d_opt narrow = { o->stride_w, o->dilation_w, o->groups, o->pad_left, o->pad_right, width_of(size) };
        return kind == NN_CONV_PRODUCT ? nn_conv1d(t, a, b, NULL, narrow)
               : kind == NN_CONV_ADJOINT ? nn_conv_transpose1d(t, a, b, NULL, narrow)
                                         : nn_conv1d_weight_grad(t, a, b, narrow);
    }
    nn_conv2d_opt wide = *o;
    wide.height = height_of(size);
    wide.width = width_of(size);
    return kind == NN_CONV_PRODUCT ? nn_conv2d(t, a, b, NULL, wide)
           : kind == NN_CONV_ADJOINT ? nn_conv_transpose2d(t, a, b, NULL, wide)
                                     : nn_conv2d_weight_grad(t, a, b, wide);
}

static nn_node *bias_grad(nn_tape *t, nn_node *dy)
{
    nn_node *s = nn_sum_dims(t, dy, dy->shape.rank == 3 ? 1u | 4u : 1u | 4u | 8u);
    return nn_reshape(t, s, (nn_shape){ 1, { -1 } });
}

/* x, weight and y of a product: the gradient of each one's map in another is the map that gives the other. */
void nn_conv_backward(const nn_conv_op *op, nn_tape *t, nn_node *n, nn_node *dn, nn_node **din)
{
    nn_node *a = n->in[0], *b = n->in[1];
    const int wants_a = nn_wants_grad(t, a), wants_b = nn_wants_grad(t, b);
    if (op->kind == NN_CONV_PRODUCT) { /* a x, b weight, dn y */
        din[0] = wants_a ? apply(op, t, NN_CONV_ADJOINT, dn, b, &a->shape) : NULL;
        din[1] = wants_b ? apply(op, t, NN_CONV_WEIGHT, a, dn, &b->shape) : NULL;
    } else if (op->kind == NN_CONV_ADJOINT) { /* a y, b weight, dn x */
        din[0] = wants_a ? apply(op, t, NN_CONV_PRODUCT, dn, b, &a->shape) : NULL;
        din[1] = wants_b ? apply(op, t, NN_CONV_WEIGHT, dn, a, &b->shape) : NULL;
    } else { /* a x, b y, dn weight */
        din[0] = wants_a ? apply(op, t, NN_CONV_ADJOINT, b, dn, &a->shape) : NULL;
        din[1] = wants_b ? apply(op, t, NN_CONV_PRODUCT, a, dn, &b->shape) : NULL;
    }
    if (n->n_in > 2 && nn_wants_grad(t, n->in[2]))
        din[2] = bias_grad(t, dn);
}

nn_conv2d_opt nn_conv1d_widened(const nn_conv1d_opt *o)
{
    return (nn_conv2d_opt){ .stride_h = 1, .stride_w = o->stride, .dilation_h = 1, .dilation_w = o->dilation,
                            .groups = o->groups, .pad_left = o->pad_left, .pad_right = o->pad_right, .height = 1,
                            .width = o->length };
}

int nn_conv1d_parse(const char *text, void *attr)
{
    nn_conv1d_opt *o = attr;
    long long length = 0;
    const int n = sscanf(text, "%d %d %d %d %d %lld", &o->stride, &o->dilation, &o->groups, &o->pad_left,
                         &o->pad_right, &length);
    o->length = length;
    return n == 6;
}

int nn_conv2d_parse(const char *text, void *attr)
{
    nn_conv2d_opt *o = attr;
    long long height = 0, width = 0;
    const int n = sscanf(text, "%d %d %d %d %d %d %d %d %d %lld %lld", &o->stride_h, &o->stride_w, &o->dilation_h,
                         &o->dilation_w, &o->groups, &o->pad_top, &o->pad_bottom, &o->pad_left, &o->pad_right, &height,
                         &width);
    o->height = height;
    o->width = width;
    return n == 11;
}
