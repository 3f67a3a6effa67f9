#include "nn/pool.h"

#include <stdio.h>
#include <string.h>

int64_t nn_pool_length(const nn_pool_opt *p, int axis, int64_t n)
{
    if (p->output[axis] > 0)
        return p->output[axis];
    const int64_t stride = p->stride[axis], reach = p->dilation[axis] * (int64_t)(p->kernel[axis] - 1) + 1;
    const int64_t room = n + 2 * p->padding[axis] - reach;
    if (room < 0)
        return 0;
    int64_t out = (room + (p->ceil_mode ? stride - 1 : 0)) / stride + 1;
    if (p->ceil_mode && (out - 1) * stride >= n + p->padding[axis]) /* the last window must begin on a value or before */
        out--;
    return out;
}

nn_pool_window nn_pool_window_of(const nn_pool_opt *p, int axis, int64_t n, int64_t o)
{
    if (p->output[axis] > 0) {
        const int64_t first = o * n / p->output[axis], end = ((o + 1) * n + p->output[axis] - 1) / p->output[axis];
        return (nn_pool_window){ first, end, 1, end - first };
    }
    const int64_t step = p->dilation[axis], start = o * p->stride[axis] - p->padding[axis];
    const int64_t end = start + step * (int64_t)(p->kernel[axis] - 1) + 1, padded = n + p->padding[axis];
    nn_pool_window w = { start, end < n ? end : n, step, (end < padded ? end : padded) - start };
    if (start < 0)
        w.first += (-start + step - 1) / step * step;
    return w;
}

int nn_pool_by_rows(const nn_pool_opt *p, int64_t n_outputs)
{
    return p->output[1] <= 0 && n_outputs >= 8 && p->kernel[1] <= 32;
}

int64_t nn_pool_tap(const nn_pool_opt *p, int64_t n, int k, int64_t j0, int64_t end, int64_t *first, int64_t *last)
{
    const int64_t stride = p->stride[1], offset = k * (int64_t)p->dilation[1] - p->padding[1];
    const int64_t low = offset < 0 ? (-offset + stride - 1) / stride : 0, high = offset < n ? (n - 1 - offset) / stride + 1 : 0;
    *first = low > j0 ? low : j0;
    *last = high < end ? high : end;
    return offset;
}

bl_status nn_pool_shape(const char *op, const nn_pool_opt *p, const nn_shape *x, nn_shape *y, bl_error *err)
{
    char text[96];
    if (x->rank != 4)
        return bl_fail(err, BL_ESHAPE, "%s: expected x [B, C, H, W], got %s", op, nn_shape_str(x, text));
    if (x->dim[2] > 0 && x->dim[3] > INT32_MAX / x->dim[2])
        return bl_fail(err, BL_ESHAPE, "%s: the planes of x %s have more than 2^31 values", op, nn_shape_str(x, text));
    *y = *x;
    for (int axis = 0; axis < 2; axis++) {
        if (p->output[axis] <= 0 && (p->kernel[axis] < 1 || p->stride[axis] < 1 || p->dilation[axis] < 1 || p->padding[axis] < 0 ||
                                     2 * p->padding[axis] > p->kernel[axis]))
            return bl_fail(err, BL_EARG, "%s: kernel %d, stride %d, dilation %d must be positive and padding %d at most half the kernel",
                           op, p->kernel[axis], p->stride[axis], p->dilation[axis], p->padding[axis]);
        y->dim[2 + axis] = nn_pool_length(p, axis, x->dim[2 + axis]);
        if (x->dim[2 + axis] < 1 || y->dim[2 + axis] < 1)
            return bl_fail(err, BL_ESHAPE, "%s: x %s is smaller than the window", op, nn_shape_str(x, text));
    }
    return BL_OK;
}

int nn_pool_parse(const char *text, nn_pool_opt *p)
{
    memset(p, 0, sizeof *p);
    if (sscanf(text, "adaptive %d %d", &p->output[0], &p->output[1]) == 2)
        return 1;
    return sscanf(text, "%d %d %d %d %d %d %d %d %d %d", &p->kernel[0], &p->kernel[1], &p->stride[0], &p->stride[1], &p->padding[0],
                  &p->padding[1], &p->dilation[0], &p->dilation[1], &p->ceil_mode, &p->count_include_pad) == 10;
}
