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

/* Running maxima of outputs first .. last-1, and where they stand (with_place). */
static inline __attribute__((always_inline)) void add_tap(const real *x, int64_t offset, int64_t stride, int64_t first, int64_t last,
                                                          int64_t j0, real *restrict top, int32_t *restrict at, const int with_place)
{
#pragma omp simd
    for (int64_t j = first; j < last; j++) {
        const real v = x[offset + j * stride];
        const int better = v > top[j - j0] || v != v;
        top[j - j0] = better ? v : top[j - j0];
        if (with_place)
            at[j - j0] = better ? (int32_t)(offset + j * stride) : at[j - j0];
    }
}

/* Maxima of outputs j0 .. end-1 of a row of regular windows. at: places in the plane, -1 for none; NULL when nobody asks. */
static void row_of_windows(const nn_pool_opt *p, const real *x, int64_t width, const nn_pool_window *h, int64_t j0, int64_t end,
                           real *top, int32_t *at)
{
    const int64_t stride = p->stride[1];
    for (int64_t j = 0; j < end - j0; j++)
        top[j] = -(real)INFINITY;
    for (int64_t j = 0; at && j < end - j0; j++)
        at[j] = -1;
    for (int64_t i = h->first; i < h->end; i += h->step)
        for (int k = 0; k < p->kernel[1]; k++) {
            int64_t first, last;
            const int64_t offset = i * width + nn_pool_tap(p, width, k, j0, end, &first, &last);
            if (at && stride == 1)
                add_tap(x, offset, 1, first, last, j0, top, at, 1);
            else if (at && stride == 2)
                add_tap(x, offset, 2, first, last, j0, top, at, 1);
            else if (at)
                add_tap(x, offset, stride, first, last, j0, top, at, 1);
            else if (stride == 1)
                add_tap(x, offset, 1, first, last, j0, top, NULL, 0);
            else if (stride == 2)
                add_tap(x, offset, 2, first, last, j0, top, NULL, 0);
            else
                add_tap(x, offset, stride, first, last, j0, top, NULL, 0);
        }
}

static void run(const nn_pool_opt *p, const nn_shape *xs, const nn_shape *ys, const real *x, const real *from, real *to, action what)
{
    const int64_t planes = xs->dim[0] * xs->dim[1], H = xs->dim[2], W = xs->dim[3], oh = ys->dim[2], ow = ys->dim[3];
    const int by_rows = nn_pool_by_rows(p, ow);
#pragma omp parallel for schedule(static) if (planes > 1 && planes * H * W > NN_PARALLEL_MIN)
    for (int64_t plane = 0; plane < planes; plane++) {
        const real *px = x + plane * H * W;
        if (what == SCATTER)
            memset(to + plane * H * W, 0, (size_t)(H * W) * sizeof *to);
        for (int64_t i = 0; i < oh; i++) {
            const nn_pool_window h = nn_pool_window_of(p, 0, H, i);
            for (int64_t j0 = 0; j0 < ow; j0 += NN_POOL_TILE) {
                const int64_t n = ow - j0 < NN_POOL_TILE ? ow - j0 : NN_POOL_TILE, out = (plane * oh + i) * ow + j0;
                real top[NN_POOL_TILE];
                int32_t at[NN_POOL_TILE];
                if (by_rows && what == TAKE) {
                    row_of_windows(p, px, W, &h, j0, j0 + n, to + out, NULL);
                    continue;
                }
                if (by_rows)
                    row_of_windows(p, px, W, &h, j0, j0 + n, top, at);
                for (int64_t j = 0; j < n && !by_rows; j++) {
                    const nn_pool_window w = nn_pool_window_of(p, 1, W, j0 + j);
                    at[j] = (int32_t)place(px, W, &h, &w);
                }
                for (int64_t j = 0; j < n; j++)
                    if (what == SCATTER && at[j] >= 0)
                        to[plane * H * W + at[j]] += from[out + j];
                    else if (what == TAKE)
                        to[out + j] = at[j] < 0 ? -(real)INFINITY : px[at[j]];
                    else if (what == PICK)
                        to[out + j] = at[j] < 0 ? 0 : from[plane * H * W + at[j]];
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
    .examples = (const char *const[]){ "[2,2,4,5]; 2 3 2 1 0 1 1 1 0 0", "[1,2,1,9]; 1 4 1 3 0 2 1 2 1 0", "[1,2,5,4]; adaptive 2 3",
                                       "[1,1,2,19]; 2 3 1 2 1 1 1 1 0 0", "[1,1,1,25]; 1 3 1 3 0 1 1 1 0 0", NULL },
};

nn_node *nn_max_pool(nn_tape *t, nn_node *x, nn_pool_opt opt)
{
    return nn_apply(t, &nn_op_max_pool, &opt, 1, &x);
}
