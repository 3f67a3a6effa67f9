/* nn/ops/avg_pool.c - the mean of each window, and its adjoint avg_pool_grad, which spreads dy over the window.
 *
 * in       x [B, C, H, W]
 * out      [B, C, H', W'], sizes as torch.nn.AvgPool2d; with count_include_pad the divisor counts padding, too
 * errors   BL_EARG: an option out of range. BL_ESHAPE: x is smaller than the window
 */
#include "nn/pool.h"

#include <string.h>

typedef struct attr {
    nn_pool_opt pool;
    int64_t     height, width; /* of x */
} attr;

static bl_status shape(nn_node *y, bl_error *err)
{
    const attr *a = y->attr;
    const nn_shape *x = &y->in[0]->shape;
    char text[96];
    if (x->rank == 4 && (x->dim[2] != a->height || x->dim[3] != a->width))
        return bl_fail(err, BL_ESHAPE, "avg_pool: made for x of %lld x %lld, got %s", (long long)a->height, (long long)a->width,
                       nn_shape_str(x, text));
    return nn_pool_shape("avg_pool", &a->pool, x, &y->shape, err);
}

static bl_status grad_shape(nn_node *y, bl_error *err)
{
    const attr *a = y->attr;
    nn_shape pooled;
    char s[96], d[96];
    y->shape = y->in[0]->shape;
    if (y->shape.rank == 4) {
        y->shape.dim[2] = a->height;
        y->shape.dim[3] = a->width;
    }
    if (nn_pool_shape("avg_pool_grad", &a->pool, &y->shape, &pooled, err) != BL_OK)
        return err->code;
    if (!nn_same_shape(&pooled, &y->in[0]->shape))
        return bl_fail(err, BL_ESHAPE, "avg_pool_grad: expected dy %s, got %s", nn_shape_str(&pooled, s),
                       nn_shape_str(&y->in[0]->shape, d));
    return BL_OK;
}

/* One tap of a row of windows: sums += x, or x += shares. */
static inline __attribute__((always_inline)) void add_tap(real *x, int64_t offset, int64_t stride, int64_t first, int64_t last,
                                                          int64_t j0, double *restrict sum, const real *restrict share)
{
    if (share)
        for (int64_t j = first; j < last; j++)
            x[offset + j * stride] += share[j - j0];
    else
#pragma omp simd
        for (int64_t j = first; j < last; j++)
            sum[j - j0] += (double)x[offset + j * stride];
}

static void row_of_windows(const nn_pool_opt *p, real *x, int64_t width, const nn_pool_window *h, int64_t j0, int64_t end, double *sum,
                           const real *share)
{
    for (int64_t i = h->first; i < h->end; i++)
        for (int k = 0; k < p->kernel[1]; k++) {
            int64_t first, last;
            const int64_t offset = i * width + nn_pool_tap(p, width, k, j0, end, &first, &last);
            if (p->stride[1] == 1)
                add_tap(x, offset, 1, first, last, j0, sum, share);
            else if (p->stride[1] == 2)
                add_tap(x, offset, 2, first, last, j0, sum, share);
            else
                add_tap(x, offset, p->stride[1], first, last, j0, sum, share);
        }
}

/* Both directions: means of x into y, or y over the windows into x. */
static void run(const attr *a, const nn_shape *ys, real *x, real *y, int spread)
{
    const nn_pool_opt *p = &a->pool;
    const int64_t planes = ys->dim[0] * ys->dim[1], H = a->height, W = a->width, oh = ys->dim[2], ow = ys->dim[3];
    const int by_rows = nn_pool_by_rows(p, ow);
#pragma omp parallel for schedule(static) if (planes > 1 && planes * H * W > NN_PARALLEL_MIN)
    for (int64_t plane = 0; plane < planes; plane++) {
        real *px = x + plane * H * W;
        if (spread)
            memset(px, 0, (size_t)(H * W) * sizeof *px);
        for (int64_t i = 0; i < oh; i++) {
            const nn_pool_window h = nn_pool_window_of(p, 0, H, i);
            for (int64_t j0 = 0; j0 < ow; j0 += NN_POOL_TILE) {
                const int64_t n = ow - j0 < NN_POOL_TILE ? ow - j0 : NN_POOL_TILE;
                real *out = y + (plane * oh + i) * ow + j0, share[NN_POOL_TILE];
                double sum[NN_POOL_TILE] = { 0 };
                if (by_rows && !spread)
                    row_of_windows(p, px, W, &h, j0, j0 + n, sum, NULL);
                for (int64_t j = 0; j < n; j++) {
                    const nn_pool_window w = nn_pool_window_of(p, 1, W, j0 + j);
                    const double size = p->count_include_pad ? (double)(h.covers * w.covers)
                                                             : (double)((h.end - h.first) * (w.end - w.first));
                    if (spread)
                        share[j] = (real)((double)out[j] / size);
                    for (int64_t r = h.first; r < h.end && !by_rows; r++)
                        for (int64_t c = w.first; c < w.end; c++)
                            if (spread)
                                px[r * W + c] += share[j];
                            else
                                sum[j] += (double)px[r * W + c];
                    if (!spread)
                        out[j] = (real)(sum[j] / size);
                }
                if (by_rows && spread)
                    row_of_windows(p, px, W, &h, j0, j0 + n, NULL, share);
            }
        }
    }
}

static void forward(nn_tape *tape, nn_node *y)
{
    (void)tape;
    run(y->attr, &y->shape, y->in[0]->x, y->x, 0);
}

static void grad_forward(nn_tape *tape, nn_node *y)
{
    (void)tape;
    run(y->attr, &y->in[0]->shape, y->x, y->in[0]->x, 1);
}

extern const nn_op nn_op_avg_pool;

static void grad_backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    din[0] = nn_apply(t, &nn_op_avg_pool, y->attr, 1, &dy);
}

static const nn_op grad_op = {
    .name = "avg_pool_grad",
    .summary = "adjoint of avg_pool",
    .min_in = 1,
    .max_in = 1,
    .attr_size = sizeof(attr),
    .shape = grad_shape,
    .forward = grad_forward,
    .backward = grad_backward,
    .unread = NN_READ_ANY,
};

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    din[0] = nn_apply(t, &grad_op, y->attr, 1, &dy);
}

static int parse(const char *text, void *out)
{
    attr *a = out;
    const int wide = text[0] == 'w';
    a->height = wide ? 2 : 4;
    a->width = wide ? 19 : 5;
    return nn_pool_parse(text + wide, &a->pool);
}

/* The examples have x of 4 x 5, or with a w in front 2 x 19. */
const nn_op nn_op_avg_pool = {
    .name = "avg_pool",
    .summary = "the mean of each window",
    .min_in = 1,
    .max_in = 1,
    .attr_size = sizeof(attr),
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_ANY,
    .parse = parse,
    .examples = (const char *const[]){ "[2,2,4,5]; 2 3 2 1 0 1 1 1 0 1", "[1,2,4,5]; 3 4 1 3 1 2 1 1 1 0", "[1,2,4,5]; adaptive 2 3",
                                       "[1,1,2,19]; w2 3 1 2 1 1 1 1 0 0", NULL },
};

nn_node *nn_avg_pool(nn_tape *t, nn_node *x, nn_pool_opt opt)
{
    if (t->err.code)
        return NULL;
    opt.dilation[0] = opt.dilation[1] = 1;
    return nn_apply(t, &nn_op_avg_pool,
                    &(attr){ opt, x->shape.rank == 4 ? x->shape.dim[2] : 0, x->shape.rank == 4 ? x->shape.dim[3] : 0 }, 1, &x);
}
