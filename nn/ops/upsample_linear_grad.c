/* nn/ops/upsample_linear_grad.c - the adjoint of upsample_linear: each sample goes back to the two frames it came from.
 *
 * in       dy [B, C, T factor]
 * out      [B, C, T]
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
    if (x->rank != 3 || factor < 1 || x->dim[2] % factor)
        return bl_fail(err, x->rank != 3 ? BL_ESHAPE : BL_EARG,
                       "upsample_linear_grad: expected dy [B, C, T factor], got %s and %d", nn_shape_str(x, text), factor);
    y->shape = *x;
    y->shape.dim[2] /= factor;
    return BL_OK;
}

static void collect(const real *restrict dy, real *restrict out, int64_t n, int64_t factor)
{
    const int64_t lead = factor / 2;
    memset(out, 0, (size_t)n * sizeof *out);
    for (int64_t i = 0; i < lead; i++)
        out[0] += dy[i];
    for (int64_t t = 0; t + 1 < n; t++) {
        const real *from = dy + t * factor + lead;
        real before = 0, after = 0;
        for (int64_t j = 0; j < factor; j++) {
            const real w = (real)(2 * (lead + j) + 1 - factor) / (real)(2 * factor);
            before += (1 - w) * from[j];
            after += w * from[j];
        }
        out[t] += before;
        out[t + 1] += after;
    }
    for (int64_t i = (n - 1) * factor + lead; i < n * factor; i++)
        out[n - 1] += dy[i];
}

static void forward(nn_tape *tape, nn_node *y)
{
    const int64_t n = y->shape.dim[2], rows = n ? y->shape.dim[0] * y->shape.dim[1] : 0, factor = *(const int *)y->attr;
    (void)tape;
#pragma omp parallel for schedule(static) if (rows * n * factor > NN_PARALLEL_MIN)
    for (int64_t r = 0; r < rows; r++)
        collect(y->in[0]->x + r * n * factor, y->x + r * n, n, factor);
}

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    din[0] = nn_upsample_linear(t, dy, *(const int *)y->attr);
}

const nn_op nn_op_upsample_linear_grad = {
    .name = "upsample_linear_grad",
    .summary = "samples back to frames, weighted as by linear interpolation",
    .min_in = 1,
    .max_in = 1,
    .attr_size = sizeof(int),
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_ANY,
    .parse = parse,
    .examples = (const char *const[]){ "[2,3,12]; 3", "[1,2,20]; 4", NULL },
};

nn_node *nn_upsample_linear_grad(nn_tape *t, nn_node *dy, int factor)
{
    return nn_apply(t, &nn_op_upsample_linear_grad, &factor, 1, &dy);
}
