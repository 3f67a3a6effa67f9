/* The language of networks: variables, parts, shared parameters, defaults, free sizes - what they build, what they compute,
 * and every mistake's sentence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "nn/network.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "network_setup.h"

static const char *const block = "[block]\n"
                                 "channels = required\nreach = 3\npad = \"same\"\n"
                                 "input.x = C, T\ninput.c = 2, T\n"
                                 "conv = conv1d out_channels=channels kernel_size=reach padding=pad from=x\n"
                                 "film = film from=conv,c\n"
                                 "act  = tanh\n"
                                 "half = conv1d out_channels=C/2 kernel_size=1 from=act\n"
                                 "output = act, half\n";

static setup build_with_block(const char *text)
{
    char whole[3000];
    snprintf(whole, sizeof whole, "%s%s", text, block);
    return build_ok(whole);
}

static nn_shape shape_of(const setup *s, const char *key)
{
    const nn_layer *l = nn_network_layer(s->net, key);
    if (!l)
        fail_msg("no layer %s", key);
    return l->out_shape;
}

static int has_param(const setup *s, const char *name)
{
    return nn_params_find(s->params, name) >= 0;
}

static void variables_are_numbers_to_calculate_with(void **state)
{
    (void)state;
    setup s = build_ok("[n]\nd = 4\nwide = 2*(d+1)-d/2\nbias = no\nwindow = other.hop*-2+20\n"
                       "input.x = d/2, 5*d\n"
                       "a = conv1d out_channels=wide,2*d kernel_size=window padding=same bias=bias dilation=d/4..d/2\n"
                       "[other]\nhop = half*2\nhalf = 4.5\n");
    assert_int_equal(shape_of(&s, "a/0").dim[0], 8);
    assert_int_equal(shape_of(&s, "a/1").dim[0], 8);
    assert_int_equal(shape_of(&s, "a/1").dim[1], 20);
    assert_true(nn_layer_get(nn_network_layer(s.net, "a/0"), "kernel_size") == 2);
    assert_true(nn_layer_get(nn_network_layer(s.net, "a/1"), "dilation") == 2);
    assert_false(has_param(&s, "n/a/0/bias"));
    finish(&s);
}

static void a_variable_set_from_outside_changes_the_network(void **state)
{
    bl_error err = { BL_OK, "" };
    (void)state;
    bl_config *config = bl_config_parse("[n]\nd = 64\ninput.x = 100\na = linear out_features=16*d\n", "test.ini", &err);
    assert_int_equal(bl_config_set(config, "n.d=16", &err), BL_OK);
    nn_params *params = nn_params_new(&err);
    nn_network *net = nn_network_build(config, "n", params, &err);
    if (!net)
        fail_msg("%s", err.msg);
    assert_int_equal(nn_network_output_shape(net, 0).dim[0], 256);
    nn_network_free(net);
    nn_params_free(params);
    bl_config_free(config);
}

static void a_part_is_a_layer_of_ones_own(void **state)
{
    (void)state;
    setup s = build_with_block("[n]\ninput.x = 4, T\ninput.c = 2, T\n"
                               "up = block channels=6,8 reach=5 from=x,c\n"
                               "cat = concat from=up/1/half,up/0/half,up/0/act\n"
                               "output = cat, up\n");
    assert_int_equal(nn_network_n_inputs(s.net), 2);
    assert_int_equal(nn_network_n_layers(s.net), 9);
    assert_string_equal(nn_network_layer_key(s.net, 4), "up/1/conv");
    assert_int_equal(shape_of(&s, "up/0/conv").dim[0], 6);
    assert_int_equal(shape_of(&s, "up/0/half").dim[0], 2); /* C is 4 for the first copy, 6 for the second */
    assert_int_equal(shape_of(&s, "up/1/half").dim[0], 3);
    assert_int_equal(shape_of(&s, "cat").dim[0], 11);
    assert_true(nn_network_output_shape(s.net, 1).dim[0] == 8); /* the part's first output, of the last copy */
    assert_true(nn_layer_get(nn_network_layer(s.net, "up/1/conv"), "padding") == NN_PADDING_SAME);
    assert_true(has_param(&s, "n/up/0/conv/weight") && has_param(&s, "n/up/1/film/bias"));
    assert_int_equal(nn_params_count(s.params, ""), 4 * 6 * 5 + 6 + 36 + 12 + 2 + 6 * 8 * 5 + 8 + 48 + 24 + 3);
    finish(&s);
}

/* The same network written line by line computes the same. */
static void a_part_computes_what_its_lines_compute(void **state)
{
    (void)state;
    setup a = build_with_block("[n]\ninput.x = 4, T\ninput.c = 2, T\nup = block channels=4 repeat=2 from=x,c\n"
                               "sum = add from=up,up/0/act\n");
    setup b = build_ok("[n]\ninput.x = 4, T\ninput.c = 2, T\n"
                       "c0 = conv1d out_channels=4 kernel_size=3 padding=same from=x\nf0 = film from=c0,c\na0 = tanh\n"
                       "c1 = conv1d out_channels=4 kernel_size=3 padding=same\nf1 = film from=c1,c\na1 = tanh\n"
                       "sum = add from=a1,a0\n");
    static const char *const pairs[][2] = {
        { "n/up/0/conv/weight", "n/c0/weight" }, { "n/up/0/conv/bias", "n/c0/bias" }, { "n/up/0/film/weight", "n/f0/weight" },
        { "n/up/0/film/bias", "n/f0/bias" }, { "n/up/1/conv/weight", "n/c1/weight" }, { "n/up/1/conv/bias", "n/c1/bias" },
        { "n/up/1/film/weight", "n/f1/weight" }, { "n/up/1/film/bias", "n/f1/bias" },
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        const nn_param *from = &a.params->param[nn_params_find(a.params, pairs[i][0])];
        const nn_param *to = &b.params->param[nn_params_find(b.params, pairs[i][1])];
        assert_true(nn_same_shape(&from->shape, &to->shape));
        memcpy(b.params->value + to->offset, a.params->value + from->offset, (size_t)nn_count(&to->shape) * sizeof(real));
    }
    bl_rng_seed(&a.tape->rng, 5);
    nn_node *in[2] = { nn_randn(a.tape, nn_shape_of(3, 2, 4, 30)), nn_randn(a.tape, nn_shape_of(3, 2, 2, 30)) };
    nn_node *x = nn_network_run(a.net, a.tape, in, NULL), *y = nn_network_run(b.net, a.tape, in, NULL);
    assert_int_equal(a.tape->err.code, BL_OK);
    assert_memory_equal(x->x, y->x, (size_t)nn_count(&x->shape) * sizeof(real));
    finish(&a);
    finish(&b);
}

static void parts_stand_in_parts(void **state)
{
    (void)state;
    setup s = build_ok("[pair]\nwidth = 2\ninput.x = C, T\na = one channels=width\nb = one channels=width*C\n"
                       "[one]\nchannels = 1\ninput.x = C, T\nconv = conv1d out_channels=channels kernel_size=1\n"
                       "[n]\ninput.x = 3, T\np = pair width=4\nq = pair repeat=2\n");
    assert_int_equal(shape_of(&s, "p/a/conv").dim[0], 4);
    assert_int_equal(shape_of(&s, "p/b/conv").dim[0], 12);
    assert_int_equal(shape_of(&s, "q/0/b/conv").dim[0], 24);
    assert_int_equal(shape_of(&s, "q/1/b/conv").dim[0], 48);
    assert_true(has_param(&s, "n/q/1/b/conv/weight"));
    finish(&s);
}

static void shared_parameters_exist_once(void **state)
{
    (void)state;
    setup s = build_ok("[n]\ninput.x = 3, T\n"
                       "a = conv1d out_channels=3 kernel_size=3 padding=causal\n"
                       "b = conv1d share=a\n"
                       "c = conv1d share=a kernel_size=3 out_channels=3 dilation=4 padding=same repeat=2\n");
    assert_int_equal(nn_params_count(s.params, ""), 30);
    assert_int_equal(s.params->n, 2);
    assert_true(nn_layer_get(nn_network_layer(s.net, "b"), "padding") == NN_PADDING_CAUSAL);
    assert_true(nn_layer_get(nn_network_layer(s.net, "c/1"), "dilation") == 4);
    bl_rng_seed(&s.tape->rng, 5);
    nn_node *x = nn_randn(s.tape, nn_shape_of(3, 2, 3, 20));
    nn_node *y = nn_network_run(s.net, s.tape, &x, NULL);
    nn_backward(s.tape, nn_sum(s.tape, nn_square(s.tape, y)));
    assert_int_equal(s.tape->err.code, BL_OK);
    /* the gradient is that of all four uses: a step along it changes the loss as all four together say */
    double norm = 0, loss[2];
    for (int64_t i = 0; i < s.params->n_elements; i++)
        norm += (double)(s.params->grad[i] * s.params->grad[i]);
    const double h = 1e-3 / sqrt(norm);
    for (int side = 0; side < 2; side++) {
        for (int64_t i = 0; i < s.params->n_elements; i++)
            s.params->value[i] += (real)((side ? 2 * h : -h) * (double)s.params->grad[i]);
        nn_tape_reset(s.tape);
        bl_rng_seed(&s.tape->rng, 5);
        x = nn_randn(s.tape, nn_shape_of(3, 2, 3, 20));
        loss[side] = (double)nn_sum(s.tape, nn_square(s.tape, nn_network_run(s.net, s.tape, &x, NULL)))->x[0];
    }
    const double slope = (loss[1] - loss[0]) / (2 * h);
    assert_true(fabs(slope - norm) < (sizeof(real) == 8 ? 1e-5 : 2e-2) * norm);
    finish(&s);
}

static void a_shared_part_and_a_tied_table(void **state)
{
    (void)state;
    setup s = build_with_block("[n]\ninput.x = 4, T\ninput.c = 2, T\n"
                               "a = block channels=4 reach=7 repeat=2 from=x,c\n"
                               "b = block share=a repeat=2 from=a,c\n" /* copy by copy */
                               "d = block share=a repeat=3 from=b,c\n" /* a has no third copy: its last one */
                               "output = d\n");
    assert_int_equal(nn_params_count(s.params, ""), 2 * (4 * 4 * 7 + 4 + 24 + 10));
    assert_string_equal(nn_network_layer(s.net, "b/0/conv")->path, "n/a/0/conv");
    assert_string_equal(nn_network_layer(s.net, "b/1/film")->path, "n/a/1/film");
    assert_string_equal(nn_network_layer(s.net, "d/2/conv")->path, "n/a/1/conv");
    finish(&s);
    s = build_ok("[n]\ninput.x = 6\nembed = embedding num_embeddings=50 embedding_dim=8\n"
                 "body = linear out_features=8\nlogits = linear out_features=50 bias=no share=embed\n");
    assert_int_equal(nn_params_count(s.params, ""), 50 * 8 + 72);
    finish(&s);
}

static void defaults_hold_for_the_lines_below(void **state)
{
    (void)state;
    setup s = build_with_block("[n]\nd = 4\ninput.x = d, T\ninput.c = 2, T\n"
                               "first = conv1d out_channels=4 kernel_size=1 from=x\n"
                               "defaults.conv1d = kernel_size=2*d+1 padding=same\n"
                               "defaults.block = channels=4\n"
                               "a = conv1d out_channels=4\nb = conv1d out_channels=4 kernel_size=3\n"
                               "p = block from=b,c\n");
    assert_true(nn_layer_get(nn_network_layer(s.net, "first"), "padding") == 0);
    assert_true(nn_layer_get(nn_network_layer(s.net, "a"), "kernel_size") == 9);
    assert_true(nn_layer_get(nn_network_layer(s.net, "b"), "kernel_size") == 3);
    assert_true(nn_layer_get(nn_network_layer(s.net, "b"), "padding") == NN_PADDING_SAME);
    assert_int_equal(shape_of(&s, "p/conv").dim[0], 4); /* defaults of a section do not reach into its parts */
    finish(&s);
}

static void free_sizes_are_fixed_and_set_free(void **state)
{
    bl_error err = { BL_OK, "" };
    char text[96];
    (void)state;
    setup s = build_ok("[n]\ninput.x = 1, T\ninput.m = 5, T/4\n"
                       "up = upsample scale_factor=4 from=m\nboth = concat from=x,up\n"
                       "c = conv1d out_channels=2 kernel_size=3 stride=2 padding=same\n");
    assert_true(shape_of(&s, "c").dim[1] == -1 && nn_network_layer(s.net, "c")->macs == 0);
    assert_int_equal(nn_network_set_length(s.net, 400, &err), BL_OK);
    assert_int_equal(nn_network_input_shape(s.net, 1).dim[1], 100);
    assert_int_equal(shape_of(&s, "c").dim[1], 200);
    assert_true(nn_network_layer(s.net, "c")->macs == 200 * 2 * 6 * 3);
    assert_int_equal(s.params->n, 2);
    assert_int_equal(nn_network_set_length(s.net, 401, &err), BL_EARG);
    assert_string_equal(err.msg, "n: input \"m\" is T/4: a length of 401 does not divide");
    err.code = BL_OK;
    assert_int_equal(nn_network_set_length(s.net, 0, &err), BL_OK);
    assert_true(shape_of(&s, "c").dim[1] == -1);
    finish(&s);
    s = build_ok("[n]\ninput.image = 1, H, W\na = relu\n");
    const nn_shape image = nn_network_output_shape(s.net, 0);
    assert_string_equal(nn_shape_str(&image, text), "[1, -1, -1]");
    nn_node *x = nn_full(s.tape, nn_shape_of(4, 2, 1, 5, 7), 1);
    assert_non_null(nn_network_run(s.net, s.tape, &x, NULL));
    finish(&s);
}

static void networks_of_a_file_are_those_that_nobody_uses(void **state)
{
    bl_error err = { BL_OK, "" };
    (void)state;
    bl_config *config = bl_config_parse("[train]\nsteps = 3\n[a]\ninput.x = C, T\nr = relu\n[g]\ninput.x = 2, T\np = a\n"
                                        "[relu]\ninput.x = 2\ninput.y = 2\nq = add from=x,y\n", "test.ini", &err);
    assert_string_equal(nn_network_section(config, 0), "g");
    assert_string_equal(nn_network_section(config, 1), "relu"); /* `relu` in [a] is the layer type */
    assert_null(nn_network_section(config, 2));
    bl_config_free(config);
}

static void tables_show_parts(void **state)
{
    (void)state;
    setup s = build_with_block("[n]\ninput.x = 4, 100\ninput.c = 2, 100\na = block channels=4 repeat=5 from=x,c\n"
                               "b = block share=a from=a,c\n");
    FILE *out = tmpfile();
    assert_non_null(out);
    nn_network_print(s.net, out);
    char text[4000] = { 0 };
    rewind(out);
    fread(text, 1, sizeof text - 1, out);
    fclose(out);
    assert_non_null(strstr(text, "a/0                    block              [4, 100]                   86       0.01\n"
                                 "  conv                 conv1d             [4, 100]                   52       0.01\n"));
    assert_non_null(strstr(text, "a/1 .. 4               the same           [4, 100]                  344"));
    assert_non_null(strstr(text, "b                      block              [4, 100]               shared       0.01  with n/a/4\ntotal "));
    assert_non_null(strstr(text, "  430 ")); /* 5 times 86, the shared one not counted */
    finish(&s);
}

static void every_mistake_is_named(void **state)
{
    static const mistake cases[] = {
        { "[n]\nd = 4\ninput.x = 2, T\na = conv1d out_channels=4*e kernel_size=d\n", "test.ini line 4: [n] a: out_channels=4*e: there is no variable \"e\"" },
        { "[n]\ndepth = 4\ninput.x = 2, T\na = conv1d out_channels=2*dept kernel_size=depth\n", "there is no variable \"dept\"; did you mean \"depth\"?" },
        { "[n]\nd = 3\ninput.x = 2, T\na = conv1d out_channels=d/2 kernel_size=1\n", "out_channels=d/2: expected a whole number" },
        { "[n]\nd = 3\ninput.x = 2, T\na = conv1d out_channels=(d+1 kernel_size=1\n", "out_channels=(d+1: a closing bracket is missing" },
        { "[n]\nd = 3\ninput.x = 2, T\na = conv1d out_channels=d*0 kernel_size=1\n", "out_channels=d*0: expected 1 to 65536" },
        { "[n]\nd = 3\ninput.x = 2, T\na = conv1d out_channels=1/(d-3) kernel_size=1\n", "this is not a finite number" },
        { "[n]\nd = 1+e\ne = 1+d\ninput.x = 2, T\na = conv1d out_channels=d kernel_size=1\n", "is defined by itself" },
        { "[n]\nd = required\ninput.x = 2, T\na = conv1d out_channels=d kernel_size=1\n", "d is required: give it a value" },
        { "[n]\nd = 3\ninput.x = 2, T\na = relu\n", "test.ini line 2: [n] d: nothing uses this variable" },
        { "[n]\ninput.x = other.k, T\na = relu\n[other]\nn = 3\n", "there is no variable \"k\"" },
        { "[n]\nd = 3 * 2\ninput.x = 2, T\na = relu\n", "test.ini line 2: [n] d: " },
        { "[n]\ninput.x = 2, T\na = two * 3\n", "there is no layer type \"two\"" },
        { "[n]\ninput.x = 1, T, 3\na = relu\n", "only the last dimension may be free, or all but the first" },
        { "[n]\ninput.x = H, W, 3\na = relu\n", "only the last dimension may be free, or all but the first" },
        { "[n]\ninput.x = 1, H, W\na = flatten\n", "the length must be fixed" },
        { "[n]\ninput.x = 1, H, W\na = reshape channels=2\n", "two sizes are free, height and width" },
        { "[n]\ninput.x = 1, T/0\na = relu\n", "T/0" },
        { "[n]\ninput.x = 1,2,3,4\na = relu\n", "an input has at most 3 dimensions" },
        { "[n]\ninput.x = 2, T\na = blok\n[block]\ninput.x = C, T\na = relu\n", "there is no layer type \"blok\"; did you mean \"block\"?" },
        { "[n]\ninput.x = 2, T\na = block with=3\n[block]\nwidth = 3\ninput.x = C, T\na = conv1d out_channels=width kernel_size=1\n", "test.ini line 3: [n] a: block has no option \"with\"; did you mean \"width\"?" },
        { "[n]\ninput.x = 2, T\na = block\n[block]\nwidth = required\ninput.x = C, T\na = conv1d out_channels=width kernel_size=1\n", "test.ini line 3: [n] a: block needs width=" },
        { "[n]\ninput.x = 2, T\na = block from=x,x\n[block]\ninput.x = C, T\na = relu\n", "block takes 1 inputs (from=a,b), got 2" },
        { "[n]\ninput.x = 2\na = block\n[block]\ninput.x = C, T\na = relu\n", "test.ini line 5: [block] input.x: expects a value of [C, T], got [2] (used by [n] a, line 3)" },
        { "[n]\ninput.x = 2, T\na = block\n[block]\ninput.x = 3, T\na = relu\n", "expects a value of [3, T], got [2, T]" },
        { "[n]\ninput.x = 2, 5\ninput.y = 3, 5\na = block from=x,y\n[block]\ninput.x = C, T\ninput.y = C, T\na = add from=x,y\n", "test.ini line 7: [block] input.y: expects a value of [C, T], got [3, 5]" },
        { "[n]\ninput.x = 2, T\na = block\n[block]\ninput.x = C, T\na = conv1d out_channels=T kernel_size=1\n", "T is free here: no number can be worked out from it" },
        { "[n]\ninput.x = 2, T\na = block\n[block]\ninput.x = C, T\na = conv1d out_channels=2 kernel_size=1 groups=3\n", "test.ini line 6: [block] a: conv1d: groups=3 divides not both the 2 input and 2 output channels (used by [n] a, line 3)" },
        { "[n]\ninput.x = 2, T\na = block\n[block]\ninput.x = C, T\nb = block\n", "parts are nested deeper than 8: does [block] use itself?" },
        { "[n]\ninput.x = 2, T\na = block\n[block]\ninput.x = C, T\n", "test.ini: the part [block] has no layers" },
        { "[n]\ninput.x = 2, T\na = block\n[block]\ninput.x = C, T\nb = relu\nc = relu from=x\n", "test.ini line 6: [block] a/b: nothing uses it" },
        { "[n]\ninput.x = 2, T\na = block from=x,x\n[block]\ninput.x = C, T\ninput.y = C, T\nb = relu from=x\n", "test.ini line 6: [block] input.y: nothing uses it" },
        { "[n]\ninput.x = 2, T\na = block\nb = relu from=x\n[block]\ninput.x = C, T\nb = relu\n", "nothing uses it" },
        { "[n]\ninput.x = 2, T\na = block\nb = relu from=a/bend\n[block]\ninput.x = C, T\nband = relu\n", "from=a/bend: no layer or input above has this name; did you mean \"a/band\"?" },
        { "[n]\ninput.x = 2, T\na = relu\nb = conv1d share=z out_channels=1 kernel_size=1\n", "share=z: no layer above has this name" },
        { "[n]\ninput.x = 2, T\nb = conv1d share=x out_channels=1 kernel_size=1\n", "share=x: this is no layer" },
        { "[n]\ninput.x = 2, T\na = conv1d out_channels=3 kernel_size=1\nb = conv1d share=a\n", "share=: n/a/weight is [3, 2, 1], and [3, 3, 1] is wanted here" },
        { "[n]\ninput.x = 2, T\na = relu\nb = conv1d share=a out_channels=2 kernel_size=1\n", "share=: n/a has no weight" },
        { "[n]\ninput.x = 2, T\na = relu\nb = block share=a\n[block]\ninput.x = C, T\nb = relu\n", "share=a: this is no part" },
        { "[n]\ninput.x = 2, 12\ninput.c = 3, 5\na = wavenet_block channels=2 skip_channels=2 condition_scale=3 from=x,c\n", "12 samples and a condition of 5 times 3" },
        { "[n]\ninput.x = 2, 12\na = wavenet_block channels=2 skip_channels=2 condition_scale=3 from=x\n", "condition_scale=3 needs a condition [C, T / 3]" },
        { "[n]\ninput.x = 2, T\na = parameter channels=3 value=2\nb = add from=a,x\n", "value=2 needs std=0" },
        { "[n]\ninput.x = 2, T\ndefaults.conv = bias=no\na = relu\n", "test.ini line 3: [n] defaults.conv: there is no layer type \"conv\"" },
        { "[n]\ninput.x = 2, T\ndefaults.conv1d = biass=no\na = relu\n", "conv1d has no option \"biass\"; did you mean \"bias\"?" },
        { "[n]\ninput.x = 2, T\ndefaults.conv1d = from=x\na = relu\n", "conv1d has no option \"from\"" },
        { "[n]\ninput.x = 2, T\ndefaults.conv1d = bias=no\na = relu\n", "test.ini line 3: [n] defaults.conv1d: no conv1d stands below it" },
    };
    (void)state;
    expect_mistakes(cases, sizeof cases / sizeof *cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(variables_are_numbers_to_calculate_with),
        cmocka_unit_test(a_variable_set_from_outside_changes_the_network),
        cmocka_unit_test(a_part_is_a_layer_of_ones_own),
        cmocka_unit_test(a_part_computes_what_its_lines_compute),
        cmocka_unit_test(parts_stand_in_parts),
        cmocka_unit_test(shared_parameters_exist_once),
        cmocka_unit_test(a_shared_part_and_a_tied_table),
        cmocka_unit_test(defaults_hold_for_the_lines_below),
        cmocka_unit_test(free_sizes_are_fixed_and_set_free),
        cmocka_unit_test(networks_of_a_file_are_those_that_nobody_uses),
        cmocka_unit_test(tables_show_parts),
        cmocka_unit_test(every_mistake_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
