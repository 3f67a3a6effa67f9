/* Networks from .ini text: what is built, every mistake's sentence, memory in inference, and each layer's gradient. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "nn/network.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "network_setup.h"

static int64_t dim(const setup *s, int d)
{
    return nn_network_output_shape(s->net, 0).dim[d];
}

/* ---- building ---- */

static void the_published_wavegan_has_its_parameter_counts(void **state)
{
    bl_error err = { BL_OK, "" };
    (void)state;
    bl_config *config = bl_config_load("configs/networks/wavegan.ini", &err);
    nn_params *params = nn_params_new(&err);
    nn_network *g = nn_network_build(config, "generator", params, &err);
    nn_network *d = nn_network_build(config, "discriminator", params, &err);
    if (!g || !d)
        fail_msg("%s", err.msg);
    assert_int_equal(nn_params_count(params, "generator/"), 19065345);
    assert_int_equal(nn_params_count(params, "discriminator/"), 17427969);
    const nn_shape wave = nn_network_output_shape(g, 0), score = nn_network_output_shape(d, 0);
    assert_true(wave.rank == 2 && wave.dim[0] == 1 && wave.dim[1] == 16384);
    assert_true(score.rank == 1 && score.dim[0] == 1);
    assert_int_equal(bl_config_check_unused(config, &err), BL_OK);
    nn_network_free(g);
    nn_network_free(d);
    nn_params_free(params);
    bl_config_free(config);
}

static void names_inputs_and_outputs_are_found(void **state)
{
    (void)state;
    setup s = build_ok("[n]\ninput.x = 3, T\ninput.c = 5\n"
                       "a = conv1d out_channels=4 kernel_size=3 padding=same from=x\n"
                       "b = film from=a,c\n"
                       "d = conv1d out_channels=4 kernel_size=3 padding=causal dilation=1..8 repeat=2\n"
                       "e = add from=d,b\n"
                       "output = e, d/3\n");
    assert_int_equal(nn_network_n_inputs(s.net), 2);
    assert_string_equal(nn_network_input_name(s.net, 1), "c");
    assert_int_equal(nn_network_n_outputs(s.net), 2);
    assert_int_equal(dim(&s, 0), 4);
    assert_int_equal(dim(&s, 1), -1);
    assert_true(nn_params_find(s.params, "n/a/weight") >= 0);
    assert_true(nn_params_find(s.params, "n/d/7/bias") >= 0);
    assert_true(nn_params_find(s.params, "n/d/8/bias") < 0);
    assert_true(nn_layer_get(nn_network_layer(s.net, "d/6"), "dilation") == 4);
    assert_ptr_equal(nn_network_layer(s.net, "d"), nn_network_layer(s.net, "d/7"));
    assert_null(nn_network_layer(s.net, "nothing"));
    nn_node *x = nn_full(s.tape, nn_shape_of(3, 2, 3, 40), 0.5), *c = nn_full(s.tape, nn_shape_of(2, 2, 5), 0.1), *out[2];
    nn_node *y = nn_network_run(s.net, s.tape, (nn_node *const[]){ x, c }, out);
    if (!y)
        fail_msg("%s", s.tape->err.msg);
    assert_ptr_equal(y, out[0]);
    assert_ptr_equal(out[1], nn_network_value(s.net, "d/3"));
    assert_int_equal(y->shape.dim[2], 40);
    finish(&s);
}

static void convolution_lengths_are_pytorchs(void **state)
{
    static const struct { const char *layer; int n; } cases[] = {
        { "conv1d out_channels=2 kernel_size=5", 16 }, { "conv1d out_channels=2 kernel_size=5 stride=3 padding=2", 7 },
        { "conv1d out_channels=2 kernel_size=3 dilation=4 padding=1", 14 },
        { "conv1d out_channels=2 kernel_size=25 stride=4 padding=same", 5 },
        { "conv1d out_channels=2 kernel_size=9 padding=causal", 20 },
        { "conv_transpose1d out_channels=2 kernel_size=25 stride=4 padding=11 output_padding=1", 80 },
        { "conv_transpose1d out_channels=2 kernel_size=25 stride=4 padding=same", 80 },
        { "conv_transpose1d out_channels=2 kernel_size=3 stride=5 padding=same", 100 },
        { "conv_transpose1d out_channels=2 kernel_size=4 stride=2 padding=1", 40 },
        { "conv_transpose1d out_channels=2 kernel_size=3 stride=2 dilation=2 output_padding=1", 44 },
        { "upsample scale_factor=3", 60 }, { "upsample scale_factor=3 mode=linear", 60 },
        { "slice start=3 stop=8 dim=time", 5 }, { "slice start=3 dim=time", 17 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[200];
        for (int is_free = 0; is_free < 2; is_free++) {
            snprintf(text, sizeof text, "[n]\ninput.x = 2, %s\na = %s\n", is_free ? "T" : "20", cases[i].layer);
            setup s = build_ok(text);
            if (!is_free)
                assert_int_equal(dim(&s, 1), cases[i].n);
            nn_node *x = nn_full(s.tape, nn_shape_of(3, 1, 2, 20), 1), *y = nn_network_run(s.net, s.tape, &x, NULL);
            if (!y)
                fail_msg("%s: %s", cases[i].layer, s.tape->err.msg);
            assert_int_equal(y->shape.dim[2], cases[i].n);
            finish(&s);
        }
    }
}

static void transposed_same_is_the_adjoint_of_same(void **state)
{
    (void)state;
    setup s = build_ok("[n]\ninput.x = 1, 64\na = conv1d out_channels=1 kernel_size=25 stride=4 padding=same bias=no\n");
    setup u = build_ok("[n]\ninput.x = 1, 16\na = conv_transpose1d out_channels=1 kernel_size=25 stride=4 padding=same bias=no\n");
    const int w = nn_params_find(s.params, "n/a/weight"), v = nn_params_find(u.params, "n/a/weight");
    memcpy(u.params->value + u.params->param[v].offset, s.params->value + s.params->param[w].offset, 25 * sizeof(real));
    bl_rng_seed(&s.tape->rng, 1);
    nn_node *x = nn_randn(s.tape, nn_shape_of(3, 1, 1, 64)), *y = nn_randn(s.tape, nn_shape_of(3, 1, 1, 16));
    nn_node *ax = nn_network_run(s.net, s.tape, &x, NULL), *aty = nn_network_run(u.net, s.tape, &y, NULL);
    const double left = (double)nn_sum(s.tape, nn_mul(s.tape, ax, y))->x[0];
    const double right = (double)nn_sum(s.tape, nn_mul(s.tape, x, aty))->x[0];
    assert_true(fabs(left - right) < 1e-4 * fmax(1, fabs(left)));
    finish(&s);
    finish(&u);
}

static void causal_layers_do_not_see_the_future(void **state)
{
    static const char *const layers[] = {
        "conv1d out_channels=3 kernel_size=4 dilation=2 padding=causal",
        "wavenet_block channels=4 skip_channels=3 stacks=2 layers=3 kernel_size=2",
        "residual layers=2 causal=yes", "lstm hidden_size=4", "multihead_attention num_heads=1 causal=yes relative=5",
        "transformer_encoder_layer nhead=2 causal=yes",
    };
    (void)state;
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        char text[200];
        snprintf(text, sizeof text, "[n]\ninput.x = 2, T\na = %s\n", layers[i]);
        setup s = build_ok(text);
        bl_rng_seed(&s.tape->rng, 2);
        nn_node *x = nn_randn(s.tape, nn_shape_of(3, 1, 2, 30)), *z = nn_affine(s.tape, x, 1, 0);
        z->x[20] = z->x[30 + 20] = 9; /* sample 20 of both channels */
        nn_node *y = nn_network_run(s.net, s.tape, &x, NULL), *y2 = nn_network_run(s.net, s.tape, &z, NULL);
        assert_int_equal(s.tape->err.code, BL_OK);
        int differs_later = 0;
        for (int64_t k = 0; k < nn_count(&y->shape); k++) {
            if (k % 30 < 20 && y->x[k] != y2->x[k])
                fail_msg("%s: sample %d depends on sample 20", layers[i], (int)(k % 30));
            differs_later |= y->x[k] != y2->x[k];
        }
        assert_true(differs_later);
        finish(&s);
    }
}

/* ---- mistakes ---- */

static void every_mistake_is_named_with_its_line(void **state)
{
    static const mistake cases[] = {
        { "[n]\ninput.x = 2, T\na = conv1dd out_channels=3\n", "test.ini line 3: [n] a: there is no layer type \"conv1dd\"; did you mean \"conv1d\"?" },
        { "[n]\ninput.x = 2, T\na = conv1d out_channels=3 kernal_size=3\n", "conv1d has no option \"kernal_size\"; did you mean \"kernel_size\"?" },
        { "[n]\ninput.x = 2, T\na = conv1d out_channels=3\n", "conv1d needs kernel_size= (taps)" },
        { "[n]\ninput.x = 2, T\na = conv1d out_channels=x kernel_size=3\n", "out_channels=x: expected a number" },
        { "[n]\ninput.x = 2, T\na = conv1d out_channels=2.5 kernel_size=3\n", "out_channels=2.5: expected a whole number" },
        { "[n]\ninput.x = 2, T\na = conv1d out_channels=0 kernel_size=3\n", "out_channels=0: expected 1 to 65536" },
        { "[n]\ninput.x = 2, T\na = conv1d out_channels=3 kernel_size=3 padding=full\n", "padding=full: expected a number or one of same|causal" },
        { "[n]\ninput.x = 2, T\na = conv1d out_channels=3 kernel_size=3 bias=maybe\n", "bias=maybe: expected true or false" },
        { "[n]\ninput.x = 2, T\na = upsample scale_factor=2 mode=cubic\n", "mode=cubic: expected one of nearest|linear|bilinear" },
        { "[n]\ninput.x = 2, T\na = conv1d out_channels=3 kernel_size=3 groups=2\n", "groups=2 divides not both the 2 input and 3 output channels" },
        { "[n]\ninput.x = 2, T\na = conv1d out_channels=3 kernel_size=3 stride = 2\n", "expected option=value without blanks, got \"stride\"" },
        { "[n]\ninput.x = 2, T\na = relu from=y\n", "from=y: no layer or input above has this name" },
        { "[n]\ninput.wave = 2, T\na = relu from=wav\n", "did you mean \"wave\"?" },
        { "[n]\ninput.x = 2, T\na = relu\nb = add\n", "test.ini line 4: [n] b: add takes 2 to 8 inputs (from=a,b), got 1" },
        { "[n]\ninput.x = 2, T\na = relu from=x,x\n", "relu takes 1 inputs (from=a,b), got 2" },
        { "[n]\ninput.x = 2, T\na = relu from=\n", "from=: a name is missing" },
        { "[n]\ninput.x = 2, T\nb = conv1d out_channels=3 kernel_size=1\na = add from=x,b\n", "shapes [2, -1] and [3, -1] do not fit together" },
        { "[n]\ninput.x = 2, 9\na = linear out_features=3 from=x\ninput.y = 4, T\nb = linear out_features=2\noutput = a, b\n", "which must not be free" },
        { "[n]\ninput.x = 2, T\na = flatten\n", "the length must be fixed" },
        { "[n]\ninput.x = 10\na = conv1d out_channels=3 kernel_size=3\n", "expects an input of [channels, T], got [10]" },
        { "[n]\ninput.x = 2, 4\na = conv1d out_channels=3 kernel_size=9\n", "the input is too short" },
        { "[n]\ninput.x = 3, 4\na = gated_tanh\n", "needs an even number of channels, got 3" },
        { "[n]\ninput.x = 3, 5\na = reshape channels=4\n", "15 values do not divide into 4 channels" },
        { "[n]\ninput.x = 3, 5\na = slice start=2 stop=9\n", "stop=9: there are only 3" },
        { "[n]\ninput.x = 2, T\na = conv_transpose1d out_channels=1 kernel_size=4 stride=2 output_padding=2\n", "output_padding=2 must be smaller than stride=2" },
        { "[n]\ninput.x = 2, T\na = conv1d out_channels=2 kernel_size=3 dilation=1..500\n", "a range doubles" },
        { "[n]\ninput.x = 2, T\na = conv1d out_channels=2,3 kernel_size=3,3,3\n", "lists of 2 and 3 values" },
        { "[n]\ninput.x = 2, T\na = relu repeat=0\n", "repeat=0: expected 1 to 1000" },
        { "[n]\ninput.x = 2, T\n", "test.ini: the network [n] has no layers" },
        { "[other]\nx = 1\n", "test.ini: the network [n] has no layers" },
        { "[n]\na = relu\n", "a network starts with its inputs" },
        { "[n]\ninput.x = T\na = relu\n", "expected sizes such as" },
        { "[n]\ninput.x = 2, three\na = relu\n", "expected sizes such as \"64, T\" (T: any length), got \"2, three\"" },
        { "[n]\ninput.x = 0, T\na = relu\n", "expected sizes such as" },
        { "[n]\ninput.x = T, 2\na = relu\n", "only the last dimension may be free" },
        { "[n]\ninput.x = 2, T\na =\n", "expected a layer type" },
        { "[n]\ninput.x = 2, T\nx = relu\n", "the name \"x\" is taken already (line 2)" },
        { "[n]\ninput.x = 2, T\na-b = relu\n", "a name consists of letters, digits and _" },
        { "[n]\ninput.x = 2, T\ninput.c = 5\na = relu from=x\n", "test.ini line 3: [n] input.c: nothing uses it" },
        { "[n]\ninput.x = 2, T\na = relu from=x\nb = relu from=x\n", "test.ini line 3: [n] a: nothing uses it; name it in from= or in output =" },
        { "[n]\ninput.x = 2, T\nact = relu\noutput = acts\n", "no layer has the name \"acts\"; did you mean \"act\"?" },
        { "[n]\ninput.x = 2, T\na = wavenet_block channels=4 skip_channels=4 layers=40\n", "the dilation would exceed 2^20" },
        { "[n]\ninput.x = 2, 7\na = linear out_features=2 weight_norm=yes spectral_norm=yes\n", "weight_norm and spectral_norm exclude each other" },
        { "[n]\ninput.x = 2, 7\na = softmax dim=height\n", "dim=height: there is no such dimension in the input [2, 7]" },
        { "[n]\ninput.x = 2, T\na = transpose\n", "a free length must stay the last dimension" },
        { "[n]\ninput.x = 2, T\na = mean dim=channels\n", "a vector of free length would come out" },
        { "[n]\ninput.x = 2, 7\na = pad before=7 mode=reflect\n", "there are only 6 values to repeat" },
        { "[n]\ninput.x = 2, 7\na = matmul from=x,x\n", "[2, 7] and [2, 7] do not multiply" },
        { "[n]\ninput.x = 3, 7\na = glu dim=1\n", "needs an even size to halve, got 3" },
        { "[n]\ninput.x = 3, 7\na = prelu num_parameters=2\n", "expected 1 or the 3 channels" },
        { "[n]\ninput.x = 3, 7\na = squeeze\n", "the dimension has 3 values, expected 1" },
        { "[n]\ninput.x = 3, 7\ninput.c = 2, 7\na = concat dim=time from=x,c\n", "differ outside the dimension: 3 and 2" },
        { "[n]\ninput.x = 2, 7\na = upsample mode=linear\n", "needs scale_factor=" },
        { "[n]\ninput.x = 2, 7\na = upsample scale_factor=2 mode=bilinear\n", "bilinear interpolation is for [C, H, W]" },
        { "[n]\ninput.x = 2, 7\na = max_pool1d kernel_size=3 padding=2\n", "padding=2 is more than half of a window of 3" },
        { "[n]\ninput.x = 2, 7, 3\na = max_pool2d\n", "needs kernel_size=" },
        { "[n]\ninput.x = 2, 7\na = avg_pool2d kernel_size=3\n", "expects [C, H, W], got [2, 7]" },
        { "[n]\ninput.x = 2, 7\na = avg_pool1d kernel_size=8\n", "the input is too short" },
        { "[n]\ninput.x = 6, 7\na = group_norm num_groups=4\n", "num_groups=4 does not divide the 6 channels" },
        { "[n]\ninput.x = 6, T\na = layer_norm normalized_dims=1\n", "the length must be fixed" },
        { "[n]\ninput.x = 2, 7\ninput.c = 5, 9\na = film from=x,c\n", "input and condition differ in length: 7 and 9" },
        { "[n]\ninput.x = 2, 7\na = embedding num_embeddings=4 embedding_dim=3\n", "expects indices of shape [1], [N] or [1, T], got [2, 7]" },
    };
    (void)state;
    expect_mistakes(cases, sizeof cases / sizeof *cases);
}

static void inputs_of_the_wrong_shape_are_errors(void **state)
{
    (void)state;
    setup s = build_ok("[n]\ninput.x = 3, T\na = batch_norm1d\n");
    nn_node *x = nn_full(s.tape, nn_shape_of(3, 2, 4, 9), 1);
    assert_null(nn_network_run(s.net, s.tape, &x, NULL));
    assert_string_equal(s.tape->err.msg, "n: input \"x\" expects a batch of [3, T], got [2, 4, 9]");
    nn_tape_reset(s.tape);
    s.tape->training = 1;
    x = nn_full(s.tape, nn_shape_of(3, 1, 3, 1), 1);
    assert_null(nn_network_run(s.net, s.tape, &x, NULL));
    assert_non_null(strstr(s.tape->err.msg, "n/a (batch_norm1d): more than one value per channel"));
    assert_null(nn_network_run(s.net, s.tape, &x, NULL)); /* sticky */
    finish(&s);
}

/* ---- running ---- */

static void inference_gives_the_same_and_keeps_nothing(void **state)
{
    (void)state;
    setup s = build_ok("[n]\ninput.x = 4, T\n"
                       "a = conv1d out_channels=16 kernel_size=3 padding=same\n"
                       "w = wavenet_block channels=16 skip_channels=16 layers=8\n"
                       "h = conv1d out_channels=16 kernel_size=3 padding=same repeat=30\n"
                       "b = add from=h,a\n"
                       "d = dropout\n"
                       "z = conv1d out_channels=2 kernel_size=1\noutput = z, w\n");
    enum { N = 8000 };
    nn_node *x, *out[2];
    real *kept = malloc(2 * N * sizeof *kept), *kept_w = malloc(16 * N * sizeof *kept_w);
    size_t peak[2];
    for (int inference = 0; inference < 2; inference++) {
        nn_tape *t = nn_tape_new(&s.err);
        nn_tape_record(t, !inference);
        bl_rng_seed(&t->rng, 3);
        x = nn_randn(t, nn_shape_of(3, 1, 4, N));
        nn_node *y = nn_network_run(s.net, t, &x, out);
        assert_int_equal(t->err.code, BL_OK);
        assert_non_null(out[0]->x);
        assert_non_null(out[1]->x);
        assert_non_null(x->x);
        peak[inference] = nn_tape_peak_bytes(t);
        if (inference) {
            assert_memory_equal(kept, y->x, 2 * N * sizeof *kept);
            assert_memory_equal(kept_w, out[1]->x, 16 * N * sizeof *kept);
        } else {
            memcpy(kept, y->x, 2 * N * sizeof *kept);
            memcpy(kept_w, out[1]->x, 16 * N * sizeof *kept);
        }
        nn_tape_free(t);
    }
    assert_true(peak[1] * 2 < peak[0]);
    free(kept);
    free(kept_w);
    finish(&s);
}

static void batch_norm_in_evaluation_uses_the_running_values(void **state)
{
    (void)state;
    setup s = build_ok("[n]\ninput.x = 2, T\na = batch_norm1d momentum=1\n");
    s.tape->training = 1;
    bl_rng_seed(&s.tape->rng, 4);
    nn_node *x = nn_affine(s.tape, nn_randn(s.tape, nn_shape_of(3, 3, 2, 400)), 2, 5);
    nn_node *y = nn_network_run(s.net, s.tape, &x, NULL);
    s.tape->training = 0;
    nn_node *z = nn_network_run(s.net, s.tape, &x, NULL);
    double worst = 0;
    for (int64_t i = 0; i < nn_count(&y->shape); i++)
        worst = fmax(worst, fabs((double)(y->x[i] - z->x[i])));
    assert_true(worst > 0 && worst < 5e-3); /* biased against unbiased variance: a factor of 1200/1199 */
    finish(&s);
}

/* ---- every layer's gradient ---- */

static const char *const every_layer[][2] = {
    { "elu", "2, T" }, { "celu", "2, T" }, { "selu", "2, T" }, { "gelu", "2, T" }, { "silu", "2, T" }, { "mish", "2, T" },
    { "softsign", "2, T" }, { "log_sigmoid", "2, T" }, { "hardtanh", "2, T" }, { "relu6", "2, T" }, { "clamp min=0", "2, T" },
    { "hardsigmoid", "2, T" }, { "hardswish", "2, T" }, { "square", "2, 3, 5" }, { "log", "2, T" }, { "sqrt", "2, T" },
    { "sine", "2, T" }, { "power exponent=2", "2, T" }, { "batch_norm2d", "3, 4, T" }, { "group_norm num_groups=2", "4, T" },
    { "instance_norm1d affine=yes", "3, T" }, { "instance_norm2d", "3, 4, T" }, { "layer_norm normalized_dims=2", "2, 9" },
    { "softmax", "3, T" }, { "log_softmax dim=time", "3, T" }, { "glu dim=1", "4, T" }, { "cumsum", "2, T" }, { "flip", "2, T" },
    { "roll shifts=2", "2, T" }, { "mean dim=channels keepdim=yes", "2, T" }, { "sum dim=time", "2, T" }, { "max dim=time", "2, T" },
    { "min dim=1", "2, 5" }, { "norm dim=1", "4" }, { "sub from=x,c", "3, T" }, { "div from=x,x", "3, T" }, { "maximum from=x,c", "3, 2, T" },
    { "minimum from=x,c", "3, T" }, { "matmul transpose_b=yes from=x,x", "3, 5" }, { "transpose", "3, 5" }, { "squeeze", "1, 4" },
    { "unsqueeze dim=1", "4, T" }, { "pad before=3 mode=reflect", "2, T" }, { "slice step=2 dim=time", "2, T" }, { "scale factor=2", "2, T" },
    { "affine init=0.1", "2, T" }, { "parameter channels=3 length=5", "2, T" }, { "parameter channels=3", "2" },
    { "reparameterize from=x,x", "2, T" }, { "gaussian_noise", "2, T" }, { "dropout1d", "2, T" }, { "dropout2d", "2, 3, T" },
    { "prelu", "2, T" }, { "snake_beta alpha_logscale=yes", "2, T" }, { "phase_shuffle per=batch", "2, T" },
    { "concat dim=time from=x,x", "2, T" }, { "max_pool1d kernel_size=3", "2, T" }, { "max_pool2d kernel_size=2", "2, 4, T" }, { "avg_pool1d kernel_size=3", "2, T" },
    { "avg_pool2d kernel_size=2", "2, 4, T" }, { "adaptive_avg_pool1d output_size=5", "2, T" },
    { "adaptive_avg_pool2d output_size=2", "2, 4, T" }, { "adaptive_max_pool1d output_size=5", "2, T" },
    { "adaptive_max_pool2d output_size=2", "2, 4, T" }, { "global_max_pool", "2, T" }, { "global_average_pool", "2, 3, T" },
    { "upsample scale_width=3", "2, 3, T" }, { "upsample scale_factor=2 mode=bilinear align_corners=yes", "2, 3, T" },
    { "abs", "2, T" }, { "relu", "2, T" }, { "leaky_relu", "2, T" }, { "tanh", "2, T" }, { "sigmoid", "2, T" },
    { "softplus", "2, T" }, { "exp", "2, T" }, { "gated_tanh", "4, T" }, { "gated_tanh", "4" }, { "snake", "2, T" },
    { "snake", "3" }, { "linear out_features=3", "7" }, { "linear out_features=3 bias=no", "2, 5" },
    { "conv1d out_channels=4 kernel_size=3 stride=2 padding=1 dilation=2 groups=2", "2, T" },
    { "conv1d out_channels=3 kernel_size=5 padding=causal weight_norm=yes", "2, T" },
    { "conv_transpose1d out_channels=4 kernel_size=4 stride=2 padding=1 groups=2", "2, T" },
    { "conv_transpose1d out_channels=3 kernel_size=25 stride=4 padding=same weight_norm=yes", "2, T" },
    { "conv2d out_channels=4 kernel_size=3 stride=2 padding=1 groups=2", "2, 6, T" },
    { "conv2d out_channels=3 kernel_height=2 kernel_size=3 padding=same dilation_width=2 weight_norm=yes", "2, 5, 7" },
    { "conv_transpose2d out_channels=4 kernel_size=4 stride=2 padding=1 groups=2", "2, 3, T" },
    { "conv_transpose2d out_channels=3 kernel_size=3 stride_width=2 padding=same weight_norm=yes bias=no", "2, 3, 4" },
    { "lstm hidden_size=3 num_layers=2 bidirectional=yes dropout=0.3", "2, T" }, { "lstm hidden_size=2 bias=no", "2, T" },
    { "gru hidden_size=3 num_layers=2 bidirectional=yes dropout=0.3", "2, T" }, { "gru hidden_size=2 bias=no", "2, T" },
    { "batch_norm1d", "3, T" }, { "batch_norm1d affine=no", "4" }, { "layer_norm", "5, T" }, { "layer_norm", "6" },
    { "dropout p=0.4", "3, T" }, { "phase_shuffle n=3", "2, T" }, { "upsample scale_factor=3", "2, T" },
    { "upsample scale_factor=4 mode=linear", "2, T" }, { "reshape channels=2", "4, T" }, { "reshape channels=2 height=3", "6, T" }, { "flatten", "2, 9" },
    { "slice start=1 stop=3", "4, T" }, { "global_average_pool", "3, T" },
    { "wavenet_block channels=4 skip_channels=3 layers=3 stacks=2", "2, T" }, { "residual layers=2 weight_norm=yes", "3, T" },
    { "embedding num_embeddings=5 embedding_dim=3", "1" }, { "embedding num_embeddings=5 embedding_dim=3", "1, T" },
    { "embedding num_embeddings=5 embedding_dim=3", "4" },
    { "concat from=x,x,c", "2, T" }, { "add from=x,x", "2, T" }, { "mul from=x,c", "3, T" },
    { "multihead_attention num_heads=2 dropout=0.2", "4, T" }, { "multihead_attention num_heads=1 causal=yes relative=3 bias=no", "3, 9" },
    { "multihead_attention num_heads=2 relative=2 from=x,x", "4, T" },
    { "transformer_encoder_layer nhead=2 dim_feedforward=5", "4, T" },
    { "transformer_encoder_layer nhead=1 dim_feedforward=6 norm_first=yes causal=yes relative=4", "3, T" },
    { "positional_encoding scale_by_width=yes", "5, T" }, { "position_embedding max_len=20", "3, T" },
    { "pqmf_analysis n_bands=2 taps=8", "2, T" }, { "pqmf_synthesis n_bands=2 taps=8", "4, T" }, { "stft_magnitude n_fft=8 log=yes", "2, T" },
    { "harmonic_oscillator sample_rate=100 hop_length=4 from=x,x", "1, T" }, { "filtered_noise hop_length=4", "5, T" },
    { "film from=x,c", "2, T" }, { "wavenet_block channels=4 skip_channels=3 layers=2 residual_scale=0.7 from=x,c", "4, T" },
};

/* sum(y R) for fixed inputs and draws; with backward, gradients go to the parameters. */
static double run_once(setup *s, int with_backward)
{
    nn_tape *t = s->tape;
    nn_tape_reset(t);
    t->training = 1;
    bl_rng_seed(&t->rng, 11);
    nn_node *in[2];
    const int is_index = strstr(nn_network_layer(s->net, "a")->type->name, "embedding") != NULL;
    for (int i = 0; i < nn_network_n_inputs(s->net); i++) {
        const nn_shape shape = nn_network_input_shape(s->net, i);
        nn_shape full = { shape.rank + 1, { 3 } };
        for (int d = 0; d < shape.rank; d++)
            full.dim[d + 1] = shape.dim[d] < 0 ? 12 : shape.dim[d];
        in[i] = is_index ? nn_rand(t, full, 0, 4.99) : nn_randn(t, full);
    }
    nn_node *y = nn_network_run(s->net, t, in, NULL);
    if (!y)
        fail_msg("%s", t->err.msg);
    const nn_shape want = nn_network_output_shape(s->net, 0);
    assert_int_equal(y->shape.rank, want.rank + 1);
    for (int d = 0; d < want.rank; d++)
        assert_true(want.dim[d] < 0 || want.dim[d] == y->shape.dim[d + 1]);
    nn_node *loss = nn_sum(t, nn_mul(t, y, nn_randn(t, y->shape)));
    const double value = nn_scalar(loss);
    if (with_backward) {
        nn_params_zero_grad(s->params);
        nn_backward(t, loss);
        assert_int_equal(t->err.code, BL_OK);
    }
    return value;
}

static void every_layer_passes_a_gradient_check(void **state)
{
    (void)state;
    for (const nn_layer_type *const *type = nn_layer_types; *type; type++) {
        int tested = 0;
        for (size_t i = 0; i < sizeof every_layer / sizeof *every_layer; i++)
            tested |= !strncmp(every_layer[i][0], (*type)->name, strlen((*type)->name));
        if (!tested)
            fail_msg("the layer %s is not in this test", (*type)->name);
        assert_true(strlen((*type)->summary) > 3);
    }
    for (size_t i = 0; i < sizeof every_layer / sizeof *every_layer; i++) {
        char text[300];
        snprintf(text, sizeof text, "[n]\ninput.x = %s\n%sa = %s\n", every_layer[i][1],
                 strstr(every_layer[i][0], ",c") ? "input.c = 3\n" : "", every_layer[i][0]);
        setup s = build_ok(text);
        nn_tape_dry(s.tape, 1);
        run_once(&s, 1);
        const size_t plan = nn_tape_peak_bytes(s.tape);
        nn_tape_dry(s.tape, 0);
        run_once(&s, 1);
        if (plan != nn_tape_peak_bytes(s.tape))
            fail_msg("%s: %zu bytes planned, %zu used", every_layer[i][0], plan, nn_tape_peak_bytes(s.tape));
#ifdef BL_F64
        /* along one random direction of all parameters */
        nn_params *p = s.params;
        const double h = 1e-5;
        double *direction = calloc((size_t)p->n_elements + 1, sizeof *direction), along = 0, f[2];
        bl_rng rng;
        bl_rng_seed(&rng, i);
        for (int k = 0; k < p->n; k++)
            for (int64_t e = 0; e < nn_count(&p->param[k].shape) && !p->param[k].is_buffer; e++) {
                direction[p->param[k].offset + e] = bl_rng_normal(&rng);
                along += direction[p->param[k].offset + e] * p->grad[p->param[k].offset + e];
            }
        for (int side = 0; side < 2; side++) {
            for (int64_t e = 0; e < p->n_elements; e++)
                p->value[e] += (side ? 2 * h : -h) * direction[e];
            f[side] = run_once(&s, 0);
        }
        const double slope = (f[1] - f[0]) / (2 * h);
        if (!(fabs(slope - along) < 1e-7 * fmax(1, fabs(slope))))
            fail_msg("%s: difference %.12g, gradient %.12g", every_layer[i][0], slope, along);
        free(direction);
#endif
        finish(&s);
    }
}

static void steps_after_the_first_allocate_nothing(void **state)
{
    (void)state;
    setup s = build_ok("[n]\ninput.x = 2, T\na = wavenet_block channels=4 skip_channels=3 layers=4\nb = lstm hidden_size=3\n");
    size_t peak = 0;
    for (int step = 0; step < 4; step++) {
        nn_tape_reset(s.tape);
        nn_node *x = nn_full(s.tape, nn_shape_of(3, 2, 2, 50), 0.3);
        nn_backward(s.tape, nn_mean(s.tape, nn_network_run(s.net, s.tape, &x, NULL)));
        assert_int_equal(s.tape->err.code, BL_OK);
        if (step)
            assert_true(nn_tape_peak_bytes(s.tape) == peak);
        peak = nn_tape_peak_bytes(s.tape);
    }
    finish(&s);
}

static void tables_are_printed(void **state)
{
    char *text = NULL;
    (void)state;
    setup s = build_ok("[n]\ninput.x = 2, 100\na = conv1d out_channels=3 kernel_size=5 padding=same\nb = batch_norm1d\n");
    FILE *out = tmpfile();
    assert_non_null(out);
    nn_network_print(s.net, out);
    nn_layers_print(out);
    const long size = ftell(out);
    text = calloc((size_t)size + 1, 1);
    rewind(out);
    assert_int_equal(fread(text, 1, (size_t)size, out), size);
    assert_non_null(strstr(text, "[3, 100]"));
    assert_non_null(strstr(text, "39")); /* 33 + 6 parameters */
    assert_non_null(strstr(text, "wavenet_block"));
    assert_non_null(strstr(text, "kernel_size      required   taps"));
    assert_non_null(strstr(text, "(nearest|linear|bilinear)"));
    fclose(out);
    free(text);
    finish(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_wavegan_has_its_parameter_counts),
        cmocka_unit_test(names_inputs_and_outputs_are_found),
        cmocka_unit_test(convolution_lengths_are_pytorchs),
        cmocka_unit_test(transposed_same_is_the_adjoint_of_same),
        cmocka_unit_test(causal_layers_do_not_see_the_future),
        cmocka_unit_test(every_mistake_is_named_with_its_line),
        cmocka_unit_test(inputs_of_the_wrong_shape_are_errors),
        cmocka_unit_test(inference_gives_the_same_and_keeps_nothing),
        cmocka_unit_test(batch_norm_in_evaluation_uses_the_running_values),
        cmocka_unit_test(every_layer_passes_a_gradient_check),
        cmocka_unit_test(steps_after_the_first_allocate_nothing),
        cmocka_unit_test(tables_are_printed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
