/* nn/ops/softmax.c - y = exp(x - m) / sum of exp(x - m) over the last dimension, m its maximum (nothing overflows).
 *
 *     dx = y (dy - sum(dy y))
 */
#include "nn/fastmath.h"
#include "nn/ops.h"

static bl_status shape(nn_node *y, bl_error *err)
{
    y->shape = y->in[0]->shape;
    return y->shape.rank ? BL_OK : bl_fail(err, BL_ESHAPE, "softmax: a scalar has no last dimension");
}

static void forward(nn_tape *tape, nn_node *y)
{
    const int64_t width = y->shape.dim[y->shape.rank - 1], rows = width ? nn_count(&y->shape) / width : 0;
    (void)tape;
#pragma omp parallel for schedule(static) if (rows * width > NN_PARALLEL_MIN)
    for (int64_t r = 0; r < rows; r++) {
        const real *x = y->in[0]->x + r * width;
        real *out = y->x + r * width;
        real top = x[0];
        double sum = 0;
        for (int64_t c = 1; c < width; c++)
            top = x[c] > top ? x[c] : top;
        for (int64_t c = 0; c < width; c++)
            out[c] = nn_fast_exp(x[c] - top);
        for (int64_t c = 0; c < width; c++)
            sum += (double)out[c];
        const real scale = (real)(1 / sum);
        for (int64_t c = 0; c < width; c++)
            out[c] *= scale;
    }
}

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    const unsigned last = 1u << (y->shape.rank - 1);
    din[0] = nn_mul(t, y, nn_sub(t, dy, nn_sum_dims(t, nn_mul(t, dy, y), last)));
}

const nn_op nn_op_softmax = {
    .name = "softmax",
    .summary = "exp(x) / sum exp(x) over the last dimension",
    .min_in = 1,
    .max_in = 1,
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_IN(0),
    .examples = (const char *const[]){ "[3,4]:-2..2", "[2,3,5]", "[2,1]", NULL },
};

nn_node *nn_softmax(nn_tape *t, nn_node *x)
{
    return nn_apply(t, &nn_op_softmax, NULL, 1, &x);
}
