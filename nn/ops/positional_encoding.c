/* nn/ops/positional_encoding.c - adds sinusoids that say where a position is.
 *
 *     y[b,c,t] = x[b,c,t] + sin(t w[c/2])   c even
 *                x[b,c,t] + cos(t w[c/2])   c odd,      w[i] = 10000^(-2 i / C)
 *
 * in       x [B, C, T]
 * out      y [B, C, T]
 * cost     four multiplications per channel and position: the phase is turned on by complex multiplication in double, and set
 *          anew every 64 positions, so that no error builds up
 * source   Vaswani et al., "Attention Is All You Need", 2017, section 3.5
 */
#include "nn/ops.h"

#include <math.h>

enum { STRETCH = 64 };

static bl_status shape(nn_node *y, bl_error *err)
{
    char text[96];
    y->shape = y->in[0]->shape;
    return y->shape.rank == 3 ? BL_OK : bl_fail(err, BL_ESHAPE, "positional_encoding: expected [B, C, T], got %s",
                                                nn_shape_str(&y->shape, text));
}

static void forward(nn_tape *t, nn_node *y)
{
    const int64_t B = y->shape.dim[0], C = y->shape.dim[1], T = y->shape.dim[2];
    (void)t;
#pragma omp parallel for schedule(static) if (B * C * T > NN_PARALLEL_MIN)
    for (int64_t c = 0; c < C; c++) {
        const double w = pow(10000, -(double)(c / 2 * 2) / (double)C), turn_re = cos(w), turn_im = sin(w);
        for (int64_t t0 = 0; t0 < T; t0 += STRETCH) {
            double re = cos((double)t0 * w), im = sin((double)t0 * w);
            for (int64_t i = t0; i < T && i < t0 + STRETCH; i++) {
                const double next = re * turn_re - im * turn_im;
                const real value = (real)(c % 2 ? re : im);
                for (int64_t b = 0; b < B; b++)
                    y->x[(b * C + c) * T + i] = y->in[0]->x[(b * C + c) * T + i] + value;
                im = re * turn_im + im * turn_re;
                re = next;
            }
        }
    }
}

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    (void)t;
    (void)y;
    din[0] = dy;
}

const nn_op nn_op_positional_encoding = {
    .name = "positional_encoding",
    .summary = "x plus sinusoids of the position",
    .min_in = 1,
    .max_in = 1,
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_IN(0) | NN_READ_OUT,
    .examples = (const char *const[]){ "[2,3,5]", "[1,4,70]", NULL },
};

nn_node *nn_positional_encoding(nn_tape *t, nn_node *x)
{
    return nn_apply(t, &nn_op_positional_encoding, NULL, 1, &x);
}
