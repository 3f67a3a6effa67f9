/* Convolutions: against PyTorch (tools/golden/conv.py writes tests/golden/conv.txt), against plain loops in double with all
 * kernels and all kinds of sizes, bits, and how many of them a gradient penalty needs. */
#include "golden.h"

#include "nn/conv.h"
#include "nn/kernel/kernel.h"

#include <omp.h>

static void layers_agree_with_pytorch_forward_and_backward(void **state)
{
    (void)state;
    golden_run_file("tests/golden/conv.txt", "layer", 19, golden_run_network);
}

static void gradient_penalties_agree_with_pytorch_to_second_order(void **state)
{
    (void)state;
    golden_run_file("tests/golden/conv.txt", "gradient_penalty", 1, golden_run_network);
}

/* ---- against plain loops ---- */

static const char *const kernels[] = { "avx512", "avx2", "generic" };

/* 0 when this processor does not have it. */
static int use(const char *kernel)
{
    return nn_kernel_choose(kernel, NULL) == BL_OK;
}

/* A convolution and its operands, each exactly as large as it says, so that sanitizers see every step outside. */
typedef struct problem {
    nn_conv_size s;
    int64_t      nx, nw, ny;
    real        *x, *w, *y, *bias;
} problem;

static real *random_values(int64_t n, bl_rng *rng)
{
    real *x = malloc((size_t)(n > 0 ? n : 1) * sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < n; i++)
        x[i] = (real)(2 * bl_rng_uniform(rng) - 1);
    return x;
}

static problem make(nn_conv_size s, bl_rng *rng)
{
    problem p = { .s = s, .nx = s.batch * s.groups * s.in_channels * s.h.in * s.w.in,
                  .ny = s.batch * s.groups * s.out_channels * s.h.out * s.w.out,
                  .nw = s.groups * s.out_channels * s.in_channels * s.h.kernel * s.w.kernel };
    p.x = random_values(p.nx, rng);
    p.w = random_values(p.nw, rng);
    p.y = random_values(p.ny, rng);
    p.bias = random_values(s.groups * (s.in_channels + s.out_channels), rng);
    return p;
}

static void discard(problem *p)
{
    free(p->x);
    free(p->w);
    free(p->y);
    free(p->bias);
}

static int64_t pick(bl_rng *rng, const int64_t *from, int n)
{
    return from[bl_rng_below(rng, n)];
}

static nn_conv_axis random_axis(bl_rng *rng, int long_side)
{
    static const int64_t kernel[] = { 1, 2, 3, 4, 5, 7, 25 }, stride[] = { 1, 1, 2, 3, 4, 5 }, dilation[] = { 1, 1, 1, 2, 3, 40 },
                         out[] = { 1, 2, 3, 7, 8, 15, 16, 17, 33 };
    nn_conv_axis a = { .kernel = pick(rng, kernel, long_side ? 7 : 5), .stride = pick(rng, stride, 6),
                       .dilation = pick(rng, dilation, long_side ? 6 : 5), .out = pick(rng, out, 9) };
    if (long_side && bl_rng_below(rng, 3) == 0)
        a.out = 40 + bl_rng_below(rng, 800);
    const int64_t reach = a.dilation * (a.kernel - 1);
    a.pad = bl_rng_below(rng, reach + 2);
    a.in = (a.out - 1) * a.stride + reach + 1 - a.pad - bl_rng_below(rng, reach + 1) + bl_rng_below(rng, a.stride);
    if (a.in < 1)
        a.in = 1;
    return a;
}

static nn_conv_size random_size(bl_rng *rng)
{
    static const int64_t channels[] = { 1, 1, 2, 3, 8, 16, 17, 33 };
    nn_conv_size s = { .batch = 1 + bl_rng_below(rng, 3), .groups = 1 + (bl_rng_below(rng, 4) == 0),
                       .in_channels = pick(rng, channels, 8), .out_channels = pick(rng, channels, 8),
                       .h = { 1, 1, 1, 1, 1, 0 } };
    const int two = bl_rng_below(rng, 2) == 0;
    if (two)
        s.h = random_axis(rng, 0);
    s.w = random_axis(rng, !two);
    return s;
}

/* What the three maps are, term by term: x, w and y receive the sums of products of the other two, and of their sizes. */
static void plain(const problem *p, double *x, double *w, double *y, double *size_x, double *size_w, double *size_y)
{
    const nn_conv_size *s = &p->s;
    int64_t at = 0;
    for (int64_t b = 0; b < s->batch; b++)
        for (int64_t o = 0; o < s->groups * s->out_channels; o++)
            for (int64_t u = 0; u < s->h.out; u++)
                for (int64_t v = 0; v < s->w.out; v++, at++)
                    for (int64_t i = 0; i < s->in_channels; i++)
                        for (int64_t k = 0; k < s->h.kernel; k++)
                            for (int64_t l = 0; l < s->w.kernel; l++) {
                                const int64_t r = u * s->h.stride + k * s->h.dilation - s->h.pad;
                                const int64_t c = v * s->w.stride + l * s->w.dilation - s->w.pad;
                                if (r < 0 || r >= s->h.in || c < 0 || c >= s->w.in)
                                    continue;
                                const int64_t g = o / s->out_channels;
                                const int64_t ix = (((b * s->groups + g) * s->in_channels + i) * s->h.in + r) * s->w.in + c;
                                const int64_t iw = ((o * s->in_channels + i) * s->h.kernel + k) * s->w.kernel + l;
                                const double vx = (double)p->x[ix], vw = (double)p->w[iw], vy = (double)p->y[at];
                                x[ix] += vy * vw;
                                w[iw] += vx * vy;
                                y[at] += vx * vw;
                                size_x[ix] += fabs(vy * vw);
                                size_w[iw] += fabs(vx * vy);
                                size_y[at] += fabs(vx * vw);
                            }
}

static void compare(const problem *p, const char *kernel, const char *what, int64_t n, const real *got, const double *want,
                    const double *size, const real *bias, int64_t channels, int64_t plane)
{
    const double tolerance = sizeof(real) == 8 ? 1e-14 : 1e-6;
    for (int64_t i = 0; i < n; i++) {
        const double add = bias ? (double)bias[i / plane % channels] : 0;
        if (!(fabs((double)got[i] - want[i] - add) <= tolerance * (size[i] + 1)))
            fail_msg("%s, %s[%lld]: %g instead of %g; B %lld G %lld I %lld O %lld, h %lld->%lld k %lld s %lld d %lld p %lld, "
                     "w %lld->%lld k %lld s %lld d %lld p %lld", kernel, what, (long long)i, (double)got[i], want[i] + add,
                     (long long)p->s.batch, (long long)p->s.groups, (long long)p->s.in_channels, (long long)p->s.out_channels,
                     (long long)p->s.h.in, (long long)p->s.h.out, (long long)p->s.h.kernel, (long long)p->s.h.stride,
                     (long long)p->s.h.dilation, (long long)p->s.h.pad, (long long)p->s.w.in, (long long)p->s.w.out,
                     (long long)p->s.w.kernel, (long long)p->s.w.stride, (long long)p->s.w.dilation, (long long)p->s.w.pad);
    }
}

/* The three maps with one kernel: x', w' and y' behind each other. */
static real *run_maps(const problem *p, int with_bias)
{
    const nn_conv_size *s = &p->s;
    const int64_t n_scratch = nn_conv_weight_scratch(s);
    real *out = malloc((size_t)(p->nx + p->nw + p->ny) * sizeof *out), *scratch = malloc((size_t)(n_scratch + 1) * sizeof *scratch);
    assert_true(out && scratch);
    nn_conv_adjoint(s, p->y, p->w, with_bias ? p->bias + s->groups * s->out_channels : NULL, out);
    nn_conv_weight(s, p->x, p->y, scratch, out + p->nx);
    nn_conv_product(s, p->x, p->w, with_bias ? p->bias : NULL, out + p->nx + p->nw);
    free(scratch);
    return out;
}

static void check(const problem *p, int with_bias)
{
    const nn_conv_size *s = &p->s;
    double *sums = calloc((size_t)(2 * (p->nx + p->nw + p->ny)), sizeof *sums);
    double *x = sums, *w = x + p->nx, *y = w + p->nw, *size_x = y + p->ny, *size_w = size_x + p->nx, *size_y = size_w + p->nw;
    assert_non_null(sums);
    plain(p, x, w, y, size_x, size_w, size_y);
    for (int v = 0; v < 3; v++) {
        if (!use(kernels[v]))
            continue;
        real *out = run_maps(p, with_bias);
        compare(p, kernels[v], "adjoint", p->nx, out, x, size_x, with_bias ? p->bias + s->groups * s->out_channels : NULL,
                s->groups * s->in_channels, s->h.in * s->w.in);
        compare(p, kernels[v], "weight", p->nw, out + p->nx, w, size_w, NULL, 1, 1);
        compare(p, kernels[v], "product", p->ny, out + p->nx + p->nw, y, size_y, with_bias ? p->bias : NULL,
                s->groups * s->out_channels, s->h.out * s->w.out);
        free(out);
    }
    free(sums);
    use(NULL);
}

static void all_kinds_of_sizes_agree_with_plain_loops(void **state)
{
    bl_rng rng;
    (void)state;
    bl_rng_seed(&rng, 6);
    for (int i = 0; i < 400;) {
        const nn_conv_size s = random_size(&rng);
        if ((double)(s.batch * s.groups * s.in_channels * s.out_channels * s.h.out * s.w.out * s.h.kernel * s.w.kernel) > 4e6)
            continue;
        problem p = make(s, &rng);
        check(&p, i % 2);
        discard(&p);
        i++;
    }
}

/* What random sizes do not reach: kernels longer than a chunk, strides with more phases than a block, many channels. */
static void long_kernels_and_strides_and_many_channels_agree_with_plain_loops(void **state)
{
    static const nn_conv_size sizes[] = {
        { 1, 1, 1, 3, { 1, 1, 1, 1, 1, 0 }, { 2000, 1001, 1000, 1, 1, 0 } },
        { 1, 1, 2, 2, { 1, 1, 1, 1, 1, 0 }, { 900, 6, 300, 150, 1, 70 } },
        { 1, 1, 3, 2, { 1, 1, 1, 1, 1, 0 }, { 500, 25, 21, 20, 1, 0 } },
        { 2, 1, 600, 20, { 1, 1, 1, 1, 1, 0 }, { 40, 40, 3, 1, 1, 1 } },
        { 1, 1, 20, 600, { 1, 1, 1, 1, 1, 0 }, { 70, 18, 25, 4, 1, 11 } },
        { 1, 1, 4, 4, { 1, 1, 1, 1, 1, 0 }, { 3000, 2000, 2, 1, 1000, 0 } },
        { 2, 1, 2, 3, { 60, 30, 20, 2, 1, 10 }, { 50, 25, 17, 2, 1, 8 } },
        { 1, 1, 2, 2, { 30, 6, 5, 5, 1, 0 }, { 36, 6, 6, 6, 1, 0 } },
        { 5, 1, 40, 24, { 8, 4, 3, 2, 1, 1 }, { 8, 4, 3, 2, 1, 1 } },
        { 1, 48, 1, 1, { 1, 1, 1, 1, 1, 0 }, { 100, 100, 3, 1, 1, 1 } },
        { 2, 5, 1, 1, { 9, 5, 3, 2, 1, 1 }, { 300, 300, 5, 1, 2, 4 } }, /* depthwise */
        { 2, 3, 1, 1, { 1, 1, 1, 1, 1, 0 }, { 130, 65, 7, 2, 1, 3 } },
        { 1, 2, 1, 1, { 3, 3, 1, 1, 1, 0 }, { 5, 9, 3, 1, 1, 4 } },
        { 30, 1, 5, 6, { 5, 5, 1, 1, 1, 0 }, { 5, 5, 1, 1, 1, 0 } },
    };
    bl_rng rng;
    (void)state;
    bl_rng_seed(&rng, 7);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        problem p = make(sizes[i], &rng);
        check(&p, 1);
        discard(&p);
    }
}

static void avx2_and_avx512_and_any_number_of_threads_give_the_same_bits(void **state)
{
    static const nn_conv_size sizes[] = {
        { 3, 1, 16, 33, { 1, 1, 1, 1, 1, 0 }, { 4096, 1024, 25, 4, 1, 11 } },
        { 2, 1, 64, 64, { 1, 1, 1, 1, 1, 0 }, { 1512, 1000, 2, 1, 512, 0 } },
        { 9, 1, 40, 48, { 17, 9, 3, 2, 1, 1 }, { 15, 8, 3, 2, 1, 1 } },
        { 4, 1, 600, 70, { 1, 1, 1, 1, 1, 0 }, { 70, 70, 1, 1, 1, 0 } },
        { 2, 2, 9, 5, { 40, 40, 3, 1, 1, 1 }, { 90, 90, 3, 1, 1, 1 } },
    };
    bl_rng rng;
    const int threads = omp_get_max_threads();
    (void)state;
    bl_rng_seed(&rng, 8);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        problem p = make(sizes[i], &rng);
        real *first = NULL;
        for (int v = 0; v < 2; v++)
            for (int n = 1; n <= 3 && use(kernels[v]); n++) {
                omp_set_num_threads(n);
                real *out = run_maps(&p, 1);
                if (first)
                    assert_memory_equal(out, first, (size_t)(p.nx + p.nw + p.ny) * sizeof *out);
                if (first)
                    free(out);
                else
                    first = out;
            }
        free(first);
        discard(&p);
    }
    omp_set_num_threads(threads);
    use(NULL);
}

/* ---- how many convolutions a gradient penalty needs ---- */

static int count_ops(const nn_tape *t, const char *name)
{
    int n = 0;
    for (const nn_node *node = t->last; node; node = node->previous)
        n += node->op && !strcmp(node->op->name, name);
    return n;
}

/* As in the critic of WaveGAN: the score, its gradient in x, and the weights' gradient of the penalty. The second derivative of
 * leaky_relu is zero, so only the gradient's own convolutions are differentiated: for each layer one towards its dy and one
 * towards its weight. */
static void a_gradient_penalty_through_five_layers_runs_no_convolution_in_vain(void **state)
{
    enum { LAYERS = 5 };
    bl_error err = { BL_OK, "" };
    nn_tape *t = nn_tape_new(&err);
    nn_params *p = nn_params_new(&err);
    int w[LAYERS], b[LAYERS];
    (void)state;
    for (int i = 0; i < LAYERS; i++) {
        char name[16];
        snprintf(name, sizeof name, "w%d", i);
        w[i] = nn_params_add(p, name, (nn_shape){ 3, { 2, i ? 2 : 1, 5 } }, NN_INIT_UNIFORM, 0.5, &err);
        snprintf(name, sizeof name, "b%d", i);
        b[i] = nn_params_add(p, name, (nn_shape){ 1, { 2 } }, NN_INIT_UNIFORM, 0.5, &err);
    }
    assert_int_equal(nn_params_finish(p, &err), BL_OK);
    nn_params_init(p, 1);
    nn_params_zero_grad(p);
    real *values = random_values(3 * 256, &t->rng);
    nn_node *x = nn_leaf(t, nn_shape_of(3, 3, 1, 256), values), *h = x;
    for (int i = 0; i < LAYERS; i++)
        h = nn_leaky_relu(t, nn_conv1d(t, h, nn_param_node(t, p, w[i]), nn_param_node(t, p, b[i]),
                                       (nn_conv1d_opt){ .stride = 2, .pad_left = 2, .pad_right = 2 }), 0.2);
    nn_node *score = nn_reshape(t, nn_sum_dims(t, h, 6u), (nn_shape){ 2, { 3, 1 } });
    nn_node *penalty = nn_gradient_penalty(t, score, x);
    assert_int_equal(t->err.code, BL_OK);
    assert_int_equal(count_ops(t, "conv1d"), LAYERS);
    assert_int_equal(count_ops(t, "conv_transpose1d"), LAYERS);
    assert_int_equal(count_ops(t, "conv1d_weight_grad"), 0);
    nn_backward(t, penalty);
    assert_int_equal(t->err.code, BL_OK);
    assert_int_equal(count_ops(t, "conv1d"), 2 * LAYERS - 1); /* the dy of the last layer is a constant */
    assert_int_equal(count_ops(t, "conv_transpose1d"), LAYERS);
    assert_int_equal(count_ops(t, "conv1d_weight_grad"), LAYERS);
    free(values);
    nn_params_free(p);
    nn_tape_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers_agree_with_pytorch_forward_and_backward),
        cmocka_unit_test(gradient_penalties_agree_with_pytorch_to_second_order),
        cmocka_unit_test(all_kinds_of_sizes_agree_with_plain_loops),
        cmocka_unit_test(long_kernels_and_strides_and_many_channels_agree_with_plain_loops),
        cmocka_unit_test(avx2_and_avx512_and_any_number_of_threads_give_the_same_bits),
        cmocka_unit_test(a_gradient_penalty_through_five_layers_runs_no_convolution_in_vain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
