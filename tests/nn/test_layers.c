/* Activations, norms, pooling, up-sampling and shape layers: against PyTorch (tools/golden/layers.py writes
 * tests/golden/layers.txt), and in BUILD=f64 their gradients of first and second order in inputs and parameters. */
#include "golden.h"

#include <omp.h>

static void layers_agree_with_pytorch_forward_and_backward(void **state)
{
    (void)state;
    golden_run_file("tests/golden/layers.txt", "layer", 133, golden_run_network);
}

/* Whether a golden file has a case with a line "layer KEY TYPE ...". */
static int has_case(const char *path, const char *type)
{
    char *text;
    size_t size;
    int found = 0;
    bl_error err = { BL_OK, "" };
    if (bl_read_file(path, 1 << 20, &text, &size, &err) != BL_OK)
        fail_msg("%s", err.msg);
    for (char *line, *rest = text; !found && (line = golden_line(&rest)) != NULL;) {
        char word[64] = "";
        found = sscanf(line, "layer %*63s %63s", word) == 1 && !strcmp(word, type);
    }
    free(text);
    return found;
}

static void every_layer_type_has_a_case_from_pytorch(void **state)
{
    static const char *const files[] = { "tests/golden/ops.txt", "tests/golden/layers.txt", "tests/golden/conv.txt",
                                         "tests/golden/recurrent.txt", "tests/golden/attention.txt", "tests/golden/signals.txt" };
    (void)state;
    for (const nn_layer_type *const *type = nn_layer_types; *type; type++) {
        /* a whole network in itself: tests/golden/networks.txt has WaveNet and Parallel WaveGAN */
        int found = !strcmp((*type)->name, "wavenet_block");
        for (size_t i = 0; i < sizeof files / sizeof files[0] && !found; i++)
            found = has_case(files[i], (*type)->name);
        if (!found)
            fail_msg("no golden file has a case of the layer %s; tools/golden/layers.py is the place", (*type)->name);
    }
}

/* ---- what is not finite ---- */

static void infinities_and_nan_come_out_as_in_pytorch(void **state)
{
    bl_error err = { BL_OK, "" };
    nn_tape *t = nn_tape_new(&err);
    const float inf = INFINITY, nan = NAN;
    const float large[4] = { 1000, 1001, -1000, 1000 }, none[2] = { -inf, -inf }, mixed[4] = { 1, nan, 3, 2 };
    const nn_shape four = { 4, { 1, 1, 1, 4 } }, row = { 2, { 1, 4 } };
    (void)state;
    nn_node *p = nn_softmax(t, nn_input(t, row, large)), *q = nn_log_softmax(t, nn_input(t, row, large));
    assert_true(fabs((double)p->x[1] - 0.5761169) < 1e-6 && p->x[2] == 0 && fabs((double)q->x[2] + 2001.551445) < 1e-3);
    p = nn_softmax(t, nn_input(t, (nn_shape){ 2, { 1, 2 } }, none));
    assert_true(isnan(p->x[0]) && isnan(p->x[1]));
    nn_node *x = nn_input(t, four, mixed);
    nn_node *y = nn_max_pool(t, x, (nn_pool_opt){ { 1, 2 }, { 1, 2 }, { 0, 0 }, { 1, 1 }, 0, 0, { 0, 0 } });
    assert_true(isnan(y->x[0]) && y->x[1] == 3);
    nn_node *top = nn_max_dims(t, x, 8u), *two = nn_full(t, four, 2);
    assert_true(isnan(top->x[0]) && nn_argmax(t, x, 3)->x[0] == 1);
    y = nn_maximum(t, x, two);
    assert_true(y->x[0] == 2 && isnan(y->x[1]) && y->x[2] == 3 && isnan(nn_minimum(t, two, x)->x[1]));
    y = nn_leaky_relu(t, x, 0);
    assert_true(isnan(y->x[1]) && isnan(nn_softplus(t, x)->x[1]) && isnan(nn_gelu(t, x)->x[1]) && isnan(nn_clamp(t, x, 0, 1)->x[1]));
    y = nn_where(t, nn_greater(t, two, x), x, two); /* what is not taken leaves no trace */
    assert_true(y->x[0] == 1 && y->x[1] == 2 && y->x[2] == 2);
    assert_int_equal(t->err.code, BL_OK);
    nn_tape_free(t);
}

static void the_norm_of_nothing_has_no_gradient(void **state)
{
    bl_error err = { BL_OK, "" };
    nn_tape *t = nn_tape_new(&err);
    const real zeros[6] = { 0, 0, 0, 3, 4, 0 };
    (void)state;
    nn_node *x = nn_leaf(t, nn_shape_of(2, 2, 3), zeros), *y = nn_norm_dims(t, x, 2u), *dx;
    nn_grad(t, y, NULL, 1, &x, &dx, 0);
    assert_int_equal(t->err.code, BL_OK);
    assert_true(y->x[0] == 0 && fabs((double)y->x[1] - 5) < 1e-6);
    for (int i = 0; i < 3; i++)
        assert_true(dx->x[i] == 0);
    assert_true(fabs((double)dx->x[4] - 0.8) < 1e-6);
    nn_tape_free(t);
}

static void a_third_derivative_of_a_fused_activation_is_an_error(void **state)
{
    bl_error err = { BL_OK, "" };
    nn_tape *t = nn_tape_new(&err);
    const real one = 1;
    (void)state;
    nn_node *x = nn_leaf(t, nn_shape_of(1, 1), &one), *y = nn_silu(t, x), *g = y;
    for (int order = 1; order <= 2; order++)
        nn_grad(t, g, NULL, 1, &x, &g, 1);
    assert_int_equal(t->err.code, BL_OK);
    nn_grad(t, g, NULL, 1, &x, &g, 1);
    assert_int_equal(t->err.code, BL_EARG);
    assert_string_equal(t->err.msg, "silu_grad_grad: there is no derivative of third order");
    nn_tape_free(t);
}

/* ---- the same bits at any number of threads ---- */

static void layers_do_not_depend_on_the_thread_count(void **state)
{
    static const char *const large[][2] = {
        { "batch_norm1d", "7, 5000" }, { "batch_norm1d", "300" }, { "batch_norm2d", "3, 50, 60" }, { "layer_norm", "40, 700" },
        { "layer_norm normalized_dims=1", "90, 170" }, { "group_norm num_groups=3", "6, 3000" }, { "instance_norm1d affine=yes", "9, 3000" },
        { "max_pool1d kernel_size=3", "7, 5000" }, { "avg_pool2d kernel_size=3 stride=2 padding=1", "7, 50, 60" },
        { "upsample scale_factor=3 mode=bilinear", "7, 30, 40" }, { "snake", "7, 5000" }, { "glu dim=1", "8, 5000" },
        { "pad before=9 after=9 mode=reflect dim=height", "7, 50, 60" }, { "conv1d out_channels=20 kernel_size=5 spectral_norm=yes", "16, 900" },
    };
    const int n_threads = omp_get_max_threads();
    (void)state;
    for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
        char text[300];
        bl_error err = { BL_OK, "" };
        real *first = NULL;
        size_t size = 0;
        snprintf(text, sizeof text, "[n]\ninput.x = %s\na = %s\n", large[i][1], large[i][0]);
        bl_config *config = bl_config_parse(text, "test.ini", &err);
        nn_params *params = nn_params_new(&err);
        nn_network *net = nn_network_build(config, "n", params, &err);
        if (!net || nn_params_finish(params, &err) != BL_OK)
            fail_msg("%s: %s", large[i][0], err.msg);
        for (int threads = 1; threads <= 3; threads++) {
            omp_set_num_threads(threads);
            nn_tape *t = nn_tape_new(&err);
            t->training = 1;
            bl_rng_seed(&t->rng, 5);
            nn_params_init(params, 1);
            nn_params_zero_grad(params);
            nn_shape s = nn_network_input_shape(net, 0);
            memmove(s.dim + 1, s.dim, (size_t)s.rank * sizeof s.dim[0]);
            s.rank++;
            s.dim[0] = 3;
            nn_node *x = nn_keep(nn_randn(t, s));
            real *dx = calloc((size_t)nn_count(&s), sizeof *dx);
            x->needs_grad = 1;
            x->grad_sink = dx;
            nn_node *y = nn_network_run(net, t, &x, NULL);
            nn_backward(t, nn_sum(t, nn_mul(t, y, nn_randn(t, y->shape))));
            if (t->err.code)
                fail_msg("%s: %s", large[i][0], t->err.msg);
            const size_t n_x = (size_t)nn_count(&s), n_p = (size_t)params->n_elements;
            real *all = malloc((n_x + 2 * n_p) * sizeof *all);
            memcpy(all, dx, n_x * sizeof *all);
            memcpy(all + n_x, params->value, n_p * sizeof *all);
            memcpy(all + n_x + n_p, params->grad, n_p * sizeof *all);
            if (!first) {
                first = all;
                size = (n_x + 2 * n_p) * sizeof *all;
            } else {
                if (memcmp(first, all, size))
                    fail_msg("%s: other bits with %d threads", large[i][0], threads);
                free(all);
            }
            free(dx);
            nn_tape_free(t);
        }
        free(first);
        nn_network_free(net);
        nn_params_free(params);
        bl_config_free(config);
    }
    omp_set_num_threads(n_threads);
}

#ifdef BL_F64

/* layer, shape of one example, range of x, whether training */
static const struct { const char *layer, *shape; double low, high; int training; } layers[] = {
    { "elu alpha=0.7", "2, T", -2, 2, 0 }, { "selu", "2, T", -2, 2, 0 }, { "celu alpha=1.5", "2, T", -2, 2, 0 },
    { "gelu", "2, T", -2, 2, 0 }, { "gelu approximate=tanh", "2, T", -2, 2, 0 }, { "silu", "2, 3, 4", -2, 2, 0 },
    { "mish", "2, T", -2, 2, 0 }, { "softplus beta=2 threshold=3", "2, T", -2, 2, 0 }, { "softsign", "2, T", -2, 2, 0 },
    { "log_sigmoid", "2, T", -2, 2, 0 }, { "hardtanh min_val=-0.5", "2, T", -2, 2, 0 }, { "relu6", "2, T", -8, 8, 0 },
    { "clamp max=0.3", "2, T", -2, 2, 0 }, { "hardsigmoid", "2, T", -5, 5, 0 }, { "hardswish", "2, T", -5, 5, 0 },
    { "log", "2, T", 0.1, 2, 0 }, { "sqrt", "2, T", 0.1, 2, 0 }, { "square", "2, T", -2, 2, 0 }, { "sine omega=3", "2, T", -1, 1, 0 },
    { "power exponent=1.5", "2, T", 0.5, 2, 0 },
    { "batch_norm1d", "3, T", -1, 2, 1 }, { "batch_norm1d", "3, T", -1, 2, 0 }, { "batch_norm1d affine=no", "3", -1, 2, 1 },
    { "batch_norm2d", "2, 3, 4", -1, 2, 1 }, { "layer_norm", "4, T", -1, 2, 0 }, { "layer_norm elementwise_affine=no", "4", -1, 2, 0 },
    { "layer_norm normalized_dims=1", "2, 5", -1, 2, 0 }, { "layer_norm normalized_dims=2", "2, 3, 4", -1, 2, 0 },
    { "group_norm num_groups=2", "4, T", -1, 2, 0 }, { "group_norm num_groups=2", "4, 2, 3", -1, 2, 0 },
    { "instance_norm1d affine=yes", "3, T", -1, 2, 0 }, { "instance_norm2d", "2, 3, 4", -1, 2, 0 },
    { "max_pool1d kernel_size=3 stride=2 padding=1", "2, T", -1, 1, 0 }, { "max_pool2d kernel_size=2 stride=1", "2, 3, 4", -1, 1, 0 },
    { "avg_pool2d kernel_size=3 stride=2 padding=1", "2, 4, 5", -1, 1, 0 }, { "adaptive_max_pool1d output_size=3", "2, T", -1, 1, 0 },
    { "linear out_features=3 spectral_norm=yes", "5", -1, 1, 0 }, { "conv1d out_channels=3 kernel_size=3 spectral_norm=yes", "2, T", -1, 1, 0 },
    { "linear out_features=3 weight_norm=yes", "5", -1, 1, 0 }, { "softmax", "3, T", -2, 2, 0 }, { "log_softmax dim=-1", "3, T", -2, 2, 0 }, { "glu dim=1", "4, T", -2, 2, 0 },
    { "glu", "2, 6", -2, 2, 0 }, { "cumsum", "2, T", -1, 1, 0 }, { "max dim=time", "2, T", -1, 1, 0 }, { "norm dim=1", "3, 5", -1, 1, 0 },
    { "mean dim=2", "2, 3, 4", -1, 1, 0 }, { "pad before=2 after=3 mode=reflect", "2, T", -1, 1, 0 }, { "prelu num_parameters=2", "2, T", -1, 1, 0 },
    { "snake", "2, T", -2, 2, 0 }, { "snake_beta alpha_logscale=yes", "2, T", -2, 2, 0 }, { "affine", "2, 3, 4", -1, 1, 0 },
    { "snake", "4", -2, 2, 0 }, { "dropout1d p=0.3", "4, T", -1, 1, 1 }, { "gaussian_noise", "2, T", -1, 1, 1 },
    { "phase_shuffle n=2 per=batch", "2, T", -1, 1, 1 }, { "div from=x,x", "2, T", 0.5, 1, 0 },
    { "matmul transpose_b=yes from=x,x", "2, 3", -1, 1, 0 }, { "reparameterize from=x,x", "3", -1, 1, 1 },
    { "upsample scale_factor=2 mode=bilinear", "2, 3, 4", -1, 1, 0 }, { "upsample scale_factor=2", "2, 3, 4", -1, 1, 0 },
};

typedef struct bench {
    nn_params  *params;
    nn_network *net;
    nn_tape    *tape;
    nn_shape    shape;
    int64_t     n;        /* elements of x */
    double     *x, *dx;
    int         training;
} bench;

/* Order 1: F = sum(y r). Order 2: F = sum(q dF1/dx). Gradients go to b->dx and the parameters' when asked. */
static double function(bench *b, int order, int with_gradient)
{
    nn_tape *t = b->tape;
    nn_tape_reset(t);
    t->training = b->training;
    bl_rng_seed(&t->rng, 3);
    nn_node *x = nn_leaf(t, b->shape, b->x), *y = nn_network_run(b->net, t, &x, NULL), *g = NULL;
    if (!y)
        fail_msg("%s", t->err.msg);
    bl_rng_seed(&t->rng, 4);
    nn_node *r = nn_randn(t, y->shape), *f = nn_sum(t, nn_mul(t, y, r));
    if (order == 2) {
        nn_grad(t, y, r, 1, &x, &g, 1);
        nn_node *q = nn_randn(t, b->shape);
        f = g ? nn_sum(t, nn_mul(t, g, q)) : nn_full(t, (nn_shape){ 0, { 0 } }, 0);
    }
    assert_int_equal(t->err.code, BL_OK);
    const double value = f->x[0];
    if (with_gradient) {
        memset(b->dx, 0, (size_t)b->n * sizeof *b->dx);
        nn_params_zero_grad(b->params);
        x->grad_sink = b->dx;
        nn_backward(t, f);
        if (t->err.code)
            fail_msg("order %d: %s", order, t->err.msg);
    }
    return value;
}

static int moves(const nn_param *p)
{
    return !p->is_buffer && !p->frozen;
}

/* The slope along a random direction of x and all parameters, as a difference and by the gradient. */
static double direction_error(bench *b, int order, bl_rng *rng)
{
    const double h = 1e-5;
    nn_params *p = b->params;
    double along = 0, f[2];
    double *dx = malloc((size_t)b->n * sizeof *dx), *dp = calloc((size_t)p->n_elements + 1, sizeof *dp);
    double *buffers = malloc(((size_t)p->n_elements + 1) * sizeof *buffers);
    function(b, order, 1);
    for (int64_t i = 0; i < b->n; i++)
        along += (dx[i] = bl_rng_normal(rng)) * b->dx[i];
    for (int k = 0; k < p->n; k++)
        for (int64_t i = p->param[k].offset; moves(&p->param[k]) && i < p->param[k].offset + nn_count(&p->param[k].shape); i++)
            along += (dp[i] = bl_rng_normal(rng)) * p->grad[i];
    memcpy(buffers, p->value, (size_t)p->n_elements * sizeof *buffers);
    for (int side = 0; side < 2; side++) {
        const double step = side ? h : -h;
        for (int64_t i = 0; i < b->n; i++)
            b->x[i] += step * dx[i];
        for (int64_t i = 0; i < p->n_elements; i++)
            p->value[i] = buffers[i] + step * dp[i];
        f[side] = function(b, order, 0);
        for (int64_t i = 0; i < b->n; i++)
            b->x[i] -= step * dx[i];
    }
    memcpy(p->value, buffers, (size_t)p->n_elements * sizeof *buffers);
    free(dx);
    free(dp);
    free(buffers);
    const double slope = (f[1] - f[0]) / (2 * h);
    return fabs(slope - along) / fmax(1, fabs(slope));
}

static void every_layer_passes_gradient_checks_to_second_order(void **state)
{
    int failures = 0;
    (void)state;
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        char text[300];
        bl_error err = { BL_OK, "" };
        bl_rng rng;
        bl_rng_seed(&rng, i);
        snprintf(text, sizeof text, "[n]\ninput.x = %s\na = %s\n", layers[i].shape, layers[i].layer);
        bl_config *config = bl_config_parse(text, "test.ini", &err);
        bench b = { .training = layers[i].training };
        b.params = nn_params_new(&err);
        b.tape = nn_tape_new(&err);
        b.net = nn_network_build(config, "n", b.params, &err);
        if (!b.net || nn_params_finish(b.params, &err) != BL_OK)
            fail_msg("%s: %s", layers[i].layer, err.msg);
        nn_params_init(b.params, 7);
        for (int k = 0; k < b.params->n; k++) /* ones and zeros would hide mistakes */
            for (int64_t e = 0; moves(&b.params->param[k]) && e < nn_count(&b.params->param[k].shape); e++)
                b.params->value[b.params->param[k].offset + e] += 0.2 * bl_rng_normal(&rng);
        const nn_shape one = nn_network_input_shape(b.net, 0);
        b.shape = (nn_shape){ one.rank + 1, { 2 } };
        for (int d = 0; d < one.rank; d++)
            b.shape.dim[d + 1] = one.dim[d] < 0 ? 7 : one.dim[d];
        b.n = nn_count(&b.shape);
        b.x = malloc((size_t)b.n * sizeof *b.x);
        b.dx = malloc((size_t)b.n * sizeof *b.dx);
        for (int64_t e = 0; e < b.n; e++)
            b.x[e] = layers[i].low + (layers[i].high - layers[i].low) * bl_rng_uniform(&rng);
        for (int order = 1; order <= 2; order++)
            for (int k = 0; k < 3; k++) {
                const double error = direction_error(&b, order, &rng);
                if (!(error < 1e-7)) {
                    print_message("%s (%s): error %g in order %d\n", layers[i].layer, layers[i].shape, error, order);
                    failures++;
                }
            }
        free(b.x);
        free(b.dx);
        nn_tape_free(b.tape);
        nn_network_free(b.net);
        nn_params_free(b.params);
        bl_config_free(config);
    }
    assert_int_equal(failures, 0);
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers_agree_with_pytorch_forward_and_backward),
        cmocka_unit_test(every_layer_type_has_a_case_from_pytorch),
        cmocka_unit_test(infinities_and_nan_come_out_as_in_pytorch),
        cmocka_unit_test(the_norm_of_nothing_has_no_gradient),
        cmocka_unit_test(a_third_derivative_of_a_fused_activation_is_an_error),
        cmocka_unit_test(layers_do_not_depend_on_the_thread_count),
#ifdef BL_F64
        cmocka_unit_test(every_layer_passes_gradient_checks_to_second_order),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
