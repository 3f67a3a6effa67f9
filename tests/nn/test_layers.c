/* Activations, norms, pooling, up-sampling and shape layers: against PyTorch (tools/golden/layers.py writes
 * tests/golden/layers.txt), and in BUILD=f64 their gradients of first and second order in inputs and parameters. */
#include "golden.h"

static void layers_agree_with_pytorch_forward_and_backward(void **state)
{
    (void)state;
    golden_run_file("tests/golden/layers.txt", "layer", 121, golden_run_network);
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
#ifdef BL_F64
        cmocka_unit_test(every_layer_passes_gradient_checks_to_second_order),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
