/* nn/ops/max_pool.c - the largest value of each window; dx = dy where it stands, the first of equal ones.
 *
 *     max_pool_scatter(dy, x)   its adjoint: dy to the place of the maximum of x
 *     max_pool_pick(v, x)       the adjoint of that: v at the place of the maximum of x
 *
 * Both are linear in their first input and constant in x almost everywhere, and each is the other's gradient. The places are
 * found again from x: nothing but x is kept.
 *
 * in       x [B, C, H, W]
 * out      [B, C, H', W'], sizes as torch.nn.MaxPool2d
 * errors   BL_EARG: an option out of range. BL_ESHAPE: x is smaller than the window
 *
 * A NaN is the largest of all, as in torch. Padding is -inf, and comes out where a dilated window has nothing else.
 */
#include "nn/pool.h"

#include <math.h>
#include <string.h>

/* What is done with the place of a maximum; `from` and `to` are planes. */
typedef enum action { TAKE, PICK, SCATTER } action;

/* Place of the maximum in a window; -1 when all taps of a dilated one lie in the padding. */
static inline int64_t place(const real *x, int64_t width, const nn_pool_window *h, const nn_pool_window *w)
{
    if (h->first >= h->end || w->first >= w->end)
        return -1;
    int64_t best = h->first * width + w->first;
    real top = x[best];
    for (int64_t i = h->first; i < h->end; i += h->step)
        for (int64_t j = w->first; j < w->end; j += w->step) {
            const real v = x[i * width + j];
            if (v > top || v != v) {
                top = v;
                best = i * width + j;
            }
        }
    return best;
}

static void run(const nn_pool_opt *p, const nn_shape *xs, const nn_shape *ys, const real *x, const real *from, real *to, action what)
{
    const int64_t planes = xs->dim[0] * xs->dim[1], H = xs->dim[2], W = xs->dim[3], oh = ys->dim[2], ow = ys->dim[3];
#pragma omp parallel for schedule(static) if (planes > 1 && planes * H * W > NN_PARALLEL_MIN)
    for (int64_t plane = 0; plane < planes; plane++) {
        const real *px = x + plane * H * W;
        if (what == SCATTER)
            memset(to + plane * H * W, 0, (size_t)(H * W) * sizeof *to);
        for (int64_t i = 0; i < oh; i++) {
            const nn_pool_window h = nn_pool_window_of(p, 0, H, i);
            for (int64_t j = 0; j < ow; j++) {
                const nn_pool_window w = nn_pool_window_of(p, 1, W, j);
                const int64_t at = place(px, W, &h, &w), out = (plane * oh + i) * ow + j;
                if (what == TAKE)
                    to[out] = at < 0 ? -(real)INFINITY : px[at];
                else if (what == PICK)
                    to[out] = at < 0 ? 0 : from[plane * H * W + at];
                else if (at >= 0)
                    to[plane * H * W + at] += from[out];
            }
        }
    }
}

static bl_status shape(nn_node *y, bl_error *err)
{
    return nn_pool_shape("max_pool", y->attr, &y->in[0]->shape, &y->shape, err);
}

static bl_status pick_shape(nn_node *y, bl_error *err)
{
    char a[96], b[96];
    if (!nn_same_shape(&y->in[0]->shape, &y->in[1]->shape))
        return bl_fail(err, BL_ESHAPE, "max_pool_pick: shapes %s and %s differ", nn_shape_str(&y->in[0]->shape, a),
                       nn_shape_str(&y->in[1]->shape, b));
    return nn_pool_shape("max_pool_pick", y->attr, &y->in[1]->shape, &y->shape, err);
}

static bl_status scatter_shape(nn_node *y, bl_error *err)
{
    nn_shape pooled;
    char a[96], b[96];
    if (nn_pool_shape("max_pool_scatter", y->attr, &y->in[1]->shape, &pooled, err) != BL_OK)
        return err->code;
    if (!nn_same_shape(&y->in[0]->shape, &pooled))
        return bl_fail(err, BL_ESHAPE, "max_pool_scatter: expected dy %s, got %s", nn_shape_str(&pooled, a),
                       nn_shape_str(&y->in[0]->shape, b));
    y->shape = y->in[1]->shape;
    return BL_OK;
}

static void forward(nn_tape *tape, nn_node *y)
{
    (void)tape;
    run(y->attr, &y->in[0]->shape, &y->shape, y->in[0]->x, NULL, y->x, TAKE);
}

static void pick_forward(nn_tape *tape, nn_node *y)
{
    (void)tape;
    run(y->attr, &y->in[1]->shape, &y->shape, y->in[1]->x, y->in[0]->x, y->x, PICK);
}

static void scatter_forward(nn_tape *tape, nn_node *y)
{
    (void)tape;
    run(y->attr, &y->shape, &y->in[0]->shape, y->in[1]->x, y->in[0]->x, y->x, SCATTER);
}

static void pick_backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din);
static void scatter_backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din);

static const nn_op pick_op = {
    .name = "max_pool_pick",
    .summary = "v at the place of the maximum of x",
    .min_in = 2,
    .max_in = 2,
    .attr_size = sizeof(nn_pool_opt),
    .shape = pick_shape,
    .forward = pick_forward,
    .backward = pick_backward,
    .unread = NN_READ_IN(0) | NN_READ_OUT,
};

static const nn_op scatter_op = {
    .name = "max_pool_scatter",
    .summary = "dy to the place of the maximum of x",
    .min_in = 2,
    .max_in = 2,
    .attr_size = sizeof(nn_pool_opt),
    .shape = scatter_shape,
    .forward = scatter_forward,
    .backward = scatter_backward,
    .unread = NN_READ_IN(0) | NN_READ_OUT,
};

static void pick_backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    if (nn_wants_grad(t, y->in[0]))
        din[0] = nn_apply(t, &scatter_op, y->attr, 2, (nn_node *const[]){ dy, y->in[1] });
}

static void scatter_backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    if (nn_wants_grad(t, y->in[0]))
        din[0] = nn_apply(t, &pick_op, y->attr, 2, (nn_node *const[]){ dy, y->in[1] });
}

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    din[0] = nn_apply(t, &scatter_op, y->attr, 2, (nn_node *const[]){ dy, y->in[0] });
}

static int parse(const char *text, void *out)
{
    return nn_pool_parse(text, out);
}

const nn_op nn_op_max_pool = {
    .name = "max_pool",
    .summary = "the largest value of each window",
    .min_in = 1,
    .max_in = 1,
    .attr_size = sizeof(nn_pool_opt),
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_OUT,
    .parse = parse,
    .examples = (const char *const[]){ "[2,2,4,5]; 2 3 2 1 0 1 1 1 0 0", "[1,2,1,9]; 1 4 1 3 0 2 1 2 1 0", "[1,2,5,4]; adaptive 2 3", NULL },
};

nn_node *nn_max_pool(nn_tape *t, nn_node *x, nn_pool_opt opt)
{
    return nn_apply(t, &nn_op_max_pool, &opt, 1, &x);
}
