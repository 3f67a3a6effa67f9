/* nn/ops/upsample_linear.c - linear interpolation from frames to samples.
 *
 *     y[i] = x at (i + 1/2) / factor - 1/2, straight lines between frames, the ends held
 *
 * As torch.nn.functional.interpolate(mode="linear", align_corners=False). Its gradient is upsample_linear_grad.
 *
 * in       x [B, C, T]
 * out      [B, C, T factor]
 */
#include "nn/ops.h"

#include <stdio.h>
#include <string.h>

static int parse(const char *text, void *out)
{
    return sscanf(text, "%d", (int *)out) == 1;
}

static bl_status shape(nn_node *y, bl_error *err)
{
    const int factor = *(const int *)y->attr;
    const nn_shape *x = &y->in[0]->shape;
    char text[96];
    if (x->rank != 3 || factor < 1)
        return bl_fail(err, x->rank != 3 ? BL_ESHAPE : BL_EARG,
                       "upsample_linear: expected x [B, C, T] and a factor of at least 1, got %s and %d",
                       nn_shape_str(x, text), factor);
    y->shape = *x;
    y->shape.dim[2] *= factor;
    return BL_OK;
}

static void interpolate(const real *restrict x, real *restrict out, int64_t n, int64_t factor)
{
    const int64_t lead = factor / 2; /* samples before the first frame's centre */
    for (int64_t i = 0; i < lead; i++)
        out[i] = x[0];
    for (int64_t t = 0; t + 1 < n; t++) {
        real *to = out + t * factor + lead;
        for (int64_t j = 0; j < factor; j++) {
            const real w = (real)(2 * (lead + j) + 1 - factor) / (real)(2 * factor);
            to[j] = (1 - w) * x[t] + w * x[t + 1];
        }
    }
    for (int64_t i = (n - 1) * factor + lead; i < n * factor; i++)
        out[i] = x[n - 1];
}

static void forward(nn_tape *tape, nn_node *y)
{
    const int64_t n = y->in[0]->shape.dim[2], rows = n ? y->shape.dim[0] * y->shape.dim[1] : 0;
    const int64_t factor = *(const int *)y->attr;
    (void)tape;
#pragma omp parallel for schedule(static) if (rows * n * factor > NN_PARALLEL_MIN)
    for (int64_t r = 0; r < rows; r++)
        interpolate(y->in[0]->x + r * n, y->x + r * n * factor, n, factor);
}

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    din[0] = nn_upsample_linear_grad(t, dy, *(const int *)y->attr);
}

const nn_op nn_op_upsample_linear = {
    .name = "upsample_linear",
    .summary = "linear interpolation from frames to samples",
    .min_in = 1,
    .max_in = 1,
    .attr_size = sizeof(int),
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_ANY,
    .cheap = 1,
    .parse = parse,
    .examples = (const char *const[]){ "[2,3,4]; 3", "[1,2,5]; 4", "[1,1,1]; 2", "[1,2,3]; 1", NULL },
};

nn_node *nn_upsample_linear(nn_tape *t, nn_node *x, int factor)
{
    return nn_apply(t, &nn_op_upsample_linear, &factor, 1, &x);
}
