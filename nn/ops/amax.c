/* nn/ops/amax.c - the largest value over the dimensions of which y has one entry each; dy in equal shares to all that hold it.
 *
 * As torch.amax. NaN if one is among them. The smallest value is -amax(-x).
 */
#include "nn/nest.h"
#include "nn/ops.h"

#include <math.h>
#include <stdio.h>

typedef struct attr { unsigned mask; } attr;

static bl_status shape(nn_node *y, bl_error *err)
{
    char text[96];
    const unsigned mask = ((const attr *)y->attr)->mask;
    y->shape = y->in[0]->shape;
    if (mask >> y->shape.rank)
        return bl_fail(err, BL_ESHAPE, "amax: there is no dimension %d in %s", mask >> 3 ? 3 : mask >> 2 ? 2 : mask >> 1 ? 1 : 0,
                       nn_shape_str(&y->shape, text));
    for (int d = 0; d < y->shape.rank; d++)
        if (mask & 1u << d) {
            if (y->shape.dim[d] < 1)
                return bl_fail(err, BL_ESHAPE, "amax: dimension %d of %s is empty", d, nn_shape_str(&y->shape, text));
            y->shape.dim[d] = 1;
        }
    return BL_OK;
}

static void forward(nn_tape *tape, nn_node *y)
{
    const nn_shape *x = &y->in[0]->shape;
    const nn_shape *const out = &y->shape;
    const nn_nest l = nn_nest_of(x, 1, &out);
    const int64_t rows = l.n[0] * l.n[1] * l.n[2], n = l.n[3], count = nn_count(out);
    (void)tape;
    for (int64_t i = 0; i < count; i++)
        y->x[i] = -INFINITY;
    for (int64_t r = 0; r < rows; r++) { /* in one thread: rows share outputs */
        const real *from = y->in[0]->x + r * n;
        real *to = y->x + nn_nest_at(&l, 0, r);
        if (l.step[0][3]) {
            for (int64_t i = 0; i < n; i++)
                to[i] = from[i] > to[i] || from[i] != from[i] ? from[i] : to[i];
        } else {
            real top = *to;
            for (int64_t i = 0; i < n; i++)
                top = from[i] > top || from[i] != from[i] ? from[i] : top;
            *to = top;
        }
    }
}

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    nn_node *holds = nn_equal(t, y->in[0], y);
    nn_node *share = nn_div(t, dy, nn_sum_dims(t, holds, ((const attr *)y->attr)->mask));
    din[0] = nn_mul(t, holds, share);
}

static int parse(const char *text, void *out)
{
    return sscanf(text, "%u", &((attr *)out)->mask) == 1;
}

const nn_op nn_op_amax = {
    .name = "amax",
    .summary = "the largest value over some dimensions",
    .min_in = 1,
    .max_in = 1,
    .attr_size = sizeof(attr),
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .parse = parse,
    .examples = (const char *const[]){ "[2,3,5]; 4", "[2,3,5]; 2", "[2,3,2,2]; 13", "[4]; 1", NULL },
};

nn_node *nn_max_dims(nn_tape *t, nn_node *x, unsigned dims_mask)
{
    return nn_apply(t, &nn_op_amax, &(attr){ dims_mask }, 1, &x);
}

nn_node *nn_min_dims(nn_tape *t, nn_node *x, unsigned dims_mask)
{
    return nn_affine(t, nn_max_dims(t, nn_affine(t, x, -1, 0), dims_mask), -1, 0);
}
