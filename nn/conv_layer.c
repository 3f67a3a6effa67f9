/* Convolutions as layers, and inside other layers (nn_conv_params, nn_conv_run). */
#include "nn/conv_layer.h"

#include <stdio.h>
#include <string.h>

/* ---- parameters ---- */

/* Weight and n_bias biases, torch's names and start values; the first slot, or -1. A transposed convolution's "fan in" is
 * torch's: of a weight [in, out/groups, ..] everything behind the first dimension. */
static int add_params(nn_layer *l, const char *name, const nn_shape *weight, int64_t n_bias, nn_weight_kind kind, int dim,
                      bl_error *err)
{
    char full[64];
    const double bound = nn_kaiming_bound(nn_count(weight) / weight->dim[0]);
    const int slot = nn_weight_params(l, name, weight, kind, dim, err);
    snprintf(full, sizeof full, "%sbias", name);
    if (slot >= 0 && n_bias && nn_layer_param(l, full, (nn_shape){ 1, { n_bias } }, NN_INIT_UNIFORM, bound, err) < 0)
        return -1;
    return slot;
}

static bl_status check_groups(int64_t in, int64_t out, int64_t groups, bl_error *err)
{
    if (in % groups || out % groups)
        return bl_fail(err, BL_EARG, "groups=%lld divides not both the %lld input and %lld output channels",
                       (long long)groups, (long long)in, (long long)out);
    return BL_OK;
}

/* ---- one-dimensional convolutions inside other layers ---- */

int nn_conv_slots(const nn_conv_spec *s)
{
    return 1 + (s->weight_norm != 0) + (s->bias != 0);
}

int nn_conv_params(nn_layer *l, const char *name, const nn_conv_spec *s, bl_error *err)
{
    if (check_groups(s->in_channels, s->out_channels, s->groups, err) != BL_OK)
        return -1;
    const nn_shape weight = { 3, { s->out_channels, s->in_channels / s->groups, s->kernel_size } };
    const nn_weight_kind kind = s->weight_norm ? NN_WEIGHT_NORM : NN_WEIGHT_PLAIN;
    return add_params(l, name, &weight, s->bias ? s->out_channels : 0, kind, 0, err);
}

void nn_conv_pads(const nn_conv_spec *s, int64_t n, int64_t *left, int64_t *right)
{
    const int64_t reach = s->dilation * (s->kernel_size - 1);
    if (s->padding == NN_PADDING_CAUSAL) {
        *left = reach;
        *right = 0;
    } else if (s->padding == NN_PADDING_SAME) {
        const int64_t n_out = (n + s->stride - 1) / s->stride;
        const int64_t needed = (n_out - 1) * s->stride + reach + 1 - n, total = needed > 0 ? needed : 0;
        *left = total / 2;
        *right = total - total / 2;
    } else {
        *left = *right = s->padding;
    }
}

int64_t nn_conv_length(const nn_conv_spec *s, int64_t n)
{
    int64_t left, right;
    if (n < 0)
        return -1;
    nn_conv_pads(s, n, &left, &right);
    const int64_t room = n + left + right - s->dilation * (s->kernel_size - 1) - 1;
    return room < 0 ? 0 : room / s->stride + 1;
}

nn_node *nn_conv_run(nn_layer *l, nn_tape *t, int slot, const nn_conv_spec *s, nn_node *x)
{
    int64_t left, right;
    if (t->err.code)
        return NULL;
    nn_node *weight = nn_weight_node(l, t, &slot, s->weight_norm ? NN_WEIGHT_NORM : NN_WEIGHT_PLAIN, 0);
    nn_node *bias = s->bias ? nn_layer_node(l, t, slot) : NULL;
    nn_conv_pads(s, x->shape.dim[2], &left, &right);
    return nn_conv1d(t, x, weight, bias, (nn_conv1d_opt){ .stride = (int)s->stride, .dilation = (int)s->dilation,
                     .groups = (int)s->groups, .pad_left = (int)left, .pad_right = (int)right });
}

/* ---- the four layers ---- */

/* The options of one direction. */
typedef struct direction {
    int64_t kernel, stride, dilation, padding, output_padding;
} direction;

/* `name`, unless its own value for this direction says otherwise. */
static int64_t option(const nn_layer *l, const char *common, const char *name, const char *suffix)
{
    char full[48];
    if (suffix) {
        snprintf(full, sizeof full, "%s_%s", name, suffix);
        const int64_t own = nn_layer_int(l, full);
        if (own != 0 && own != NN_PADDING_COMMON)
            return own;
        if (own == 0 && !strcmp(name, "padding"))
            return 0;
    }
    return nn_layer_int(l, common);
}

static direction direction_of(const nn_layer *l, const char *suffix, int transposed)
{
    return (direction){
        .kernel = option(l, "kernel_size", "kernel", suffix),
        .stride = option(l, "stride", "stride", suffix),
        .dilation = option(l, "dilation", "dilation", suffix),
        .padding = option(l, "padding", "padding", suffix),
        .output_padding = transposed ? option(l, "output_padding", "output_padding", suffix) : 0,
    };
}

/* Zeros before and behind n inputs (transposed: outputs cut off before and behind), and the length that comes out:
 * -1 for -1, 0 when nothing does. */
static int64_t extent(const direction *d, int transposed, int64_t n, int64_t *before, int64_t *behind)
{
    const int64_t reach = d->dilation * (d->kernel - 1) + 1;
    *before = *behind = 0;
    if (n < 0)
        return -1;
    if (!transposed) {
        const nn_conv_spec spec = { .kernel_size = d->kernel, .stride = d->stride, .dilation = d->dilation,
                                    .padding = d->padding };
        nn_conv_pads(&spec, n, before, behind);
        return nn_conv_length(&spec, n);
    }
    int64_t length = n * d->stride;
    if (d->padding == NN_PADDING_SAME) {
        *before = reach > d->stride ? (reach - d->stride) / 2 : 0;
    } else if (d->padding != NN_PADDING_CAUSAL) {
        *before = d->padding;
        length = (n - 1) * d->stride - 2 * d->padding + reach + d->output_padding;
    }
    *behind = (n - 1) * d->stride + reach - *before - length; /* negative: zeros */
    if (*behind < 0)
        *behind = 0;
    return length > 0 ? length : 0;
}

static bl_status check_direction(const direction *d, bl_error *err)
{
    if (d->output_padding && d->output_padding >= d->stride && d->output_padding >= d->dilation)
        return bl_fail(err, BL_EARG, "output_padding=%lld must be smaller than stride=%lld or dilation=%lld",
                       (long long)d->output_padding, (long long)d->stride, (long long)d->dilation);
    return BL_OK;
}

bl_status nn_conv_layer_build(nn_layer *l, int dimensions, int transposed, bl_error *err)
{
    char text[96];
    const nn_shape *x = &l->in_shape[0];
    const int two = dimensions == 2;
    int64_t before, behind;
    if (x->rank != dimensions + 1)
        return bl_fail(err, BL_ESHAPE, "expects an input of %s, got %s", two ? "[channels, height, width]" : "[channels, T]",
                       nn_shape_str(x, text));
    const int64_t in = x->dim[0], out = nn_layer_int(l, "out_channels"), groups = nn_layer_int(l, "groups");
    const direction w = direction_of(l, two ? "width" : NULL, transposed);
    const direction h = two ? direction_of(l, "height", transposed) : (direction){ 1, 1, 1, 0, 0 };
    if (check_groups(in, out, groups, err) != BL_OK || check_direction(&w, err) != BL_OK || check_direction(&h, err) != BL_OK)
        return err->code;
    const int64_t height = extent(&h, transposed, two ? x->dim[1] : 1, &before, &behind);
    const int64_t width = extent(&w, transposed, x->dim[dimensions], &before, &behind);
    l->out_shape = (nn_shape){ x->rank, { out, two ? height : width, width } };
    if (width > 0 && height > 0) {
        const int64_t places = transposed ? nn_count(x) / in : height * width;
        l->macs = (double)places * (double)in * (double)(out / groups) * (double)(h.kernel * w.kernel);
    }
    nn_shape weight = { dimensions + 2, { transposed ? in : out, (transposed ? out : in) / groups, h.kernel, w.kernel } };
    if (!two)
        weight.dim[2] = w.kernel;
    if (nn_weight_check(l, err) != BL_OK)
        return err->code;
    return add_params(l, "", &weight, nn_layer_get(l, "bias") != 0 ? out : 0, nn_weight_kind_of(l), transposed, err) < 0
               ? err->code : BL_OK;
}

nn_node *nn_conv_layer_forward(nn_layer *l, nn_tape *t, nn_node *x, int dimensions, int transposed)
{
    const int two = dimensions == 2, groups = (int)nn_layer_int(l, "groups");
    int64_t left, right, top, bottom;
    int slot = 0;
    nn_node *weight = nn_weight_node(l, t, &slot, nn_weight_kind_of(l), transposed);
    nn_node *bias = nn_layer_get(l, "bias") != 0 ? nn_layer_node(l, t, slot) : NULL;
    if (t->err.code)
        return NULL;
    const direction w = direction_of(l, two ? "width" : NULL, transposed);
    const int64_t width = extent(&w, transposed, x->shape.dim[dimensions + 1], &left, &right);
    if (!two) {
        const nn_conv1d_opt o = { (int)w.stride, (int)w.dilation, groups, (int)left, (int)right, transposed ? width : 0 };
        return transposed ? nn_conv_transpose1d(t, x, weight, bias, o) : nn_conv1d(t, x, weight, bias, o);
    }
    const direction h = direction_of(l, "height", transposed);
    const int64_t height = extent(&h, transposed, x->shape.dim[2], &top, &bottom);
    const nn_conv2d_opt o = { (int)h.stride, (int)w.stride, (int)h.dilation, (int)w.dilation, groups, (int)top, (int)bottom,
                              (int)left, (int)right, transposed ? height : 0, transposed ? width : 0 };
    return transposed ? nn_conv_transpose2d(t, x, weight, bias, o) : nn_conv2d(t, x, weight, bias, o);
}
