/* Attention, positions, gather, padding in an embedding: against PyTorch (tools/golden/attention.py writes tests/golden/attention.txt), against the same
 * attention from primitive ops where many blocks meet, dropout, what cannot be seen, and every mistake's sentence. */
#include "tests/nn/golden.h"

#include "nn/ops.h"

static void layers_agree_with_pytorch_forward_and_backward(void **state)
{
    (void)state;
    golden_run_file("tests/golden/attention.txt", "layer", 12, golden_run_network);
}

static void gradient_penalties_agree_with_pytorch_to_second_order(void **state)
{
    (void)state;
    golden_run_file("tests/golden/attention.txt", "gradient_penalty", 2, golden_run_network);
}

/* torch.gather and torch.scatter_add. */
static void run_gather(const golden_case *c)
{
    bl_error err = { BL_OK, "" };
    nn_tape *t = nn_tape_new(&err);
    nn_node *x = golden_leaf(t, golden_find(c, "x")), *index = golden_leaf(t, golden_find(c, "index")), *dx = NULL;
    const golden_tensor *want = golden_find(c, "y");
    const int dim = (int)golden_find(c, "dim")->x[0];
    nn_node *y = strcmp(c->kind, "gather") ? nn_scatter_add(t, x, dim, index, want->shape) : nn_gather(t, x, dim, index);
    nn_grad(t, y, golden_leaf(t, golden_find(c, "dy")), 1, &x, &dx, 0);
    assert_int_equal(t->err.code, BL_OK);
    assert_true(nn_same_shape(&y->shape, &want->shape));
    golden_compare(c, "y", y->x, want);
    golden_compare(c, "dx", dx->x, golden_find(c, "dx"));
    index->x[0] = 9;
    assert_null(nn_gather(t, x, dim, index));
    assert_non_null(strstr(t->err.msg, "index 9 lies outside 0.."));
    nn_tape_free(t);
}

static void gather_and_scatter_add_agree_with_pytorch(void **state)
{
    (void)state;
    golden_run_file("tests/golden/attention.txt", NULL, 3, run_gather);
}

/* ---- many blocks ---- */

typedef struct problem {
    int64_t B, H, D, V, Tq, Tk, rows;
    int     causal;
} problem;

static nn_node *noise(nn_tape *t, nn_shape shape)
{
    nn_node *x = nn_randn(t, shape);
    return x ? nn_leaf(t, shape, x->x) : NULL;
}

/* softmax(q^T k / sqrt(D) + mask) from matmul and softmax: no code in common with the op. */
static nn_node *plain(nn_tape *t, const problem *p, nn_node *q, nn_node *k, nn_node *v, const real *lengths)
{
    nn_node *mask = nn_full(t, (nn_shape){ 4, { p->B, p->H, p->Tq, p->Tk } }, 0);
    for (int64_t i = 0; i < nn_count(&mask->shape); i++) {
        const int64_t key = i % p->Tk, query = i / p->Tk % p->Tq, b = i / (p->Tk * p->Tq * p->H);
        if (key >= (int64_t)lengths[b] || (p->causal && key > query))
            mask->x[i] = (real)-1e30;
    }
    nn_node *score = nn_matmul(t, nn_reshape(t, q, (nn_shape){ 4, { p->B, p->H, p->D, p->Tq } }),
                               nn_reshape(t, k, (nn_shape){ 4, { p->B, p->H, p->D, p->Tk } }), 1, 0);
    nn_node *weight = nn_softmax(t, nn_add(t, nn_affine(t, score, 1 / sqrt((double)p->D), 0), mask));
    nn_node *y = nn_matmul(t, nn_reshape(t, v, (nn_shape){ 4, { p->B, p->H, p->V, p->Tk } }), weight, 0, 1);
    return nn_reshape(t, y, (nn_shape){ 3, { p->B, p->H * p->V, p->Tq } });
}

static double difference(const nn_node *a, const nn_node *b)
{
    double worst = 0, top = 1e-30;
    assert_true(nn_same_shape(&a->shape, &b->shape));
    for (int64_t i = 0; i < nn_count(&a->shape); i++) {
        worst = fmax(worst, fabs((double)(a->x[i] - b->x[i])));
        top = fmax(top, fabs((double)b->x[i]));
    }
    return worst / top;
}

static void blocks_agree_with_the_whole_matrix(void **state)
{
    static const problem problems[] = {
        { 2, 3, 5, 7, 61, 60, 0, 0 }, { 1, 2, 16, 16, 64, 64, 0, 0 }, { 1, 1, 33, 20, 65, 121, 0, 0 }, { 2, 2, 8, 8, 200, 200, 0, 1 },
        { 1, 2, 4, 4, 1, 300, 0, 0 }, { 1, 2, 4, 4, 130, 50, 0, 1 }, { 1, 1, 1, 1, 70, 190, 0, 1 },
    };
    bl_error err = { BL_OK, "" };
    nn_tape *t = nn_tape_new(&err);
    (void)state;
    for (size_t i = 0; i < sizeof problems / sizeof *problems; i++) {
        const problem *p = &problems[i];
        nn_tape_reset(t);
        bl_rng_seed(&t->rng, i);
        nn_node *in[3] = { noise(t, (nn_shape){ 3, { p->B, p->H * p->D, p->Tq } }),
                           noise(t, (nn_shape){ 3, { p->B, p->H * p->D, p->Tk } }),
                           noise(t, (nn_shape){ 3, { p->B, p->H * p->V, p->Tk } }) };
        nn_node *lengths = nn_full(t, (nn_shape){ 1, { p->B } }, (double)p->Tk), *got[3], *want[3];
        lengths->x[p->B - 1] = (real)(p->Tk - p->Tk / 3);
        nn_node *y = nn_attention(t, in[0], in[1], in[2], lengths, NULL, (nn_attention_opt){ (int)p->H, p->causal, 0 });
        nn_node *z = plain(t, p, in[0], in[1], in[2], lengths->x), *dy = nn_randn(t, y->shape);
        nn_grad(t, y, dy, 3, in, got, 0);
        nn_grad(t, z, dy, 3, in, want, 0);
        assert_int_equal(t->err.code, BL_OK);
        assert_true(difference(y, z) < 1e-5);
        for (int k = 0; k < 3; k++)
            if (!(difference(got[k], want[k]) < 2e-5))
                fail_msg("problem %zu: gradient %d is off by %g", i, k, difference(got[k], want[k]));
    }
    nn_tape_free(t);
}

/* A table that gives every distance the same vector adds the same to all scores of a query: nothing changes. One whose rows
 * differ must change something, and rows of distances that do not occur must get no gradient. */
static void relative_positions_count_by_distance(void **state)
{
    bl_error err = { BL_OK, "" };
    nn_tape *t = nn_tape_new(&err);
    (void)state;
    for (int causal = 0; causal < 2; causal++) {
        nn_tape_reset(t);
        const int64_t T = 20, reach = 30, rows = causal ? reach + 1 : 2 * reach + 1;
        const nn_shape s = { 3, { 1, 4, T } };
        const nn_attention_opt opt = { 2, causal, 0 };
        nn_node *q = noise(t, s), *k = noise(t, s), *v = noise(t, s), *g;
        nn_node *flat = nn_full(t, (nn_shape){ 3, { 2, rows, 2 } }, 0.7), *table = noise(t, flat->shape);
        nn_node *y = nn_attention(t, q, k, v, NULL, NULL, opt);
        assert_true(difference(nn_attention(t, q, k, v, NULL, flat, opt), y) < 1e-5);
        nn_node *z = nn_attention(t, q, k, v, NULL, table, opt);
        assert_true(difference(z, y) > 1e-2);
        nn_grad(t, z, nn_randn(t, z->shape), 1, &table, &g, 0);
        assert_int_equal(t->err.code, BL_OK);
        for (int64_t r = 0; r < rows; r++) {
            const int64_t distance = r - reach;
            const int occurs = distance > -T && distance < T;
            assert_true((g->x[r * 2] != 0) == occurs);
        }
    }
    nn_tape_free(t);
}

static void dropout_zeroes_weights_and_keeps_the_mean(void **state)
{
    bl_error err = { BL_OK, "" };
    nn_tape *t = nn_tape_new(&err);
    const nn_attention_opt opt = { 1, 0, 0.25 };
    const int64_t T = 200;
    (void)state;
    /* Equal scores and values that are a unit matrix: y shows the weights, T times. */
    nn_node *q = nn_full(t, (nn_shape){ 3, { 1, 1, T } }, 0), *v = nn_full(t, (nn_shape){ 3, { 1, T, T } }, 0);
    for (int64_t i = 0; i < T; i++)
        v->x[i * T + i] = (real)T;
    nn_node *y = nn_attention(t, q, q, v, NULL, NULL, opt);
    for (int64_t i = 0; i < T * T; i++)
        assert_true(fabs((double)y->x[i] - 1) < 1e-5); /* not in training */
    t->training = 1;
    y = nn_attention(t, q, q, v, NULL, NULL, opt);
    int64_t n_zeros = 0, n_equal = 0;
    for (int64_t i = 0; i < T * T; i++) {
        n_zeros += y->x[i] == 0;
        assert_true(y->x[i] == 0 || fabs((double)y->x[i] - 1 / 0.75) < 1e-5);
        n_equal += (y->x[i] == 0) == (y->x[i / T * T + (i + 1) % T] == 0);
    }
    assert_true(llabs(n_zeros - T * T / 4) < 400);                     /* deviation 87 */
    assert_true(llabs(n_equal - (int64_t)(0.625 * (double)(T * T))) < 450); /* neighbours are independent */
    nn_node *z = nn_attention(t, q, q, v, NULL, NULL, opt);
    assert_true(difference(z, y) > 0.5);
    nn_tape_free(t);
}

static void a_query_that_sees_nothing_gives_zero(void **state)
{
    bl_error err = { BL_OK, "" };
    nn_tape *t = nn_tape_new(&err);
    const nn_shape s = { 3, { 2, 4, 6 } };
    const float lengths[2] = { 0, 6 };
    nn_node *g[3];
    (void)state;
    nn_node *in[3] = { noise(t, s), noise(t, s), noise(t, s) };
    nn_node *y = nn_attention(t, in[0], in[1], in[2], nn_input(t, nn_shape_of(1, 2), lengths), NULL, (nn_attention_opt){ 2, 0, 0 });
    nn_grad(t, y, NULL, 3, in, g, 0);
    assert_int_equal(t->err.code, BL_OK);
    for (int i = 0; i < 4; i++) {
        const nn_node *x = i < 3 ? g[i] : y;
        for (int64_t k = 0; k < 24; k++)
            assert_true(x->x[k] == 0 && isfinite(x->x[24 + k]));
    }
    nn_tape_free(t);
}

static void padding_changes_nothing(void **state)
{
    bl_error err = { BL_OK, "" };
    bl_config *config = bl_config_parse("[n]\ninput.x = 4, T\ninput.n = 1\n"
                                        "a = transformer_encoder_layer nhead=2 dim_feedforward=8 from=x,n\n", "t", &err);
    nn_params *p = nn_params_new(&err);
    nn_network *net = nn_network_build(config, "n", p, &err);
    nn_tape *t = nn_tape_new(&err);
    (void)state;
    assert_int_equal(nn_params_finish(p, &err), BL_OK);
    nn_params_init(p, 3);
    nn_node *x = nn_randn(t, nn_shape_of(3, 1, 4, 9)), *n = nn_full(t, nn_shape_of(2, 1, 1), 5);
    nn_node *cut = nn_slice(t, x, 2, 0, 5);
    nn_node *y = nn_network_run(net, t, (nn_node *const[]){ x, n }, NULL), *z = nn_network_run(net, t, (nn_node *const[]){ cut, n }, NULL);
    assert_int_equal(t->err.code, BL_OK);
    assert_true(difference(nn_slice(t, y, 2, 0, 5), z) < 1e-6);
    nn_tape_free(t);
    nn_network_free(net);
    nn_params_free(p);
    bl_config_free(config);
}

static void the_padding_row_of_an_embedding_starts_at_zero(void **state)
{
    bl_error err = { BL_OK, "" };
    bl_config *config = bl_config_parse("[n]\ninput.x = 1, T\na = embedding num_embeddings=4 embedding_dim=3 padding_idx=1\n", "t", &err);
    nn_params *p = nn_params_new(&err);
    nn_network *net = nn_network_build(config, "n", p, &err);
    (void)state;
    assert_int_equal(nn_params_finish(p, &err), BL_OK);
    nn_params_init(p, 1);
    for (int i = 0; i < 12; i++)
        assert_true((p->value[p->param[0].offset + i] == 0) == (i / 3 == 1));
    nn_network_free(net);
    nn_params_free(p);
    bl_config_free(config);
}

/* ---- memory and mistakes ---- */

static void memory_grows_with_the_length_and_not_with_its_square(void **state)
{
    size_t peak[2];
    (void)state;
    for (int i = 0; i < 2; i++) {
        bl_error err = { BL_OK, "" };
        nn_tape *t = nn_tape_new(&err);
        const nn_shape s = { 3, { 1, 16, i ? 4096 : 1024 } };
        nn_node *x = noise(t, s), *g;
        nn_grad(t, nn_attention(t, x, x, x, NULL, NULL, (nn_attention_opt){ 2, 1, 0 }), NULL, 1, &x, &g, 0);
        assert_int_equal(t->err.code, BL_OK);
        peak[i] = nn_tape_peak_bytes(t);
        nn_tape_free(t);
    }
    assert_true(peak[1] < 5 * peak[0]);
    assert_true(peak[1] < (size_t)4096 * 4096 * sizeof(real) / 8);
}

static void every_mistake_is_one_sentence(void **state)
{
    static const struct { const char *text, *want; } cases[] = {
        { "input.x = 5, T\na = multihead_attention num_heads=2\n", "2 heads do not divide the 5 channels" },
        { "input.x = 4, T\na = multihead_attention\n", "multihead_attention needs num_heads= (heads; they share the channels)" },
        { "input.x = 4\na = multihead_attention num_heads=2\n", "expects an input of [channels, T], got [4]" },
        { "input.x = 4, 5\ninput.k = 4, 6\ninput.v = 4, 7\na = multihead_attention num_heads=2 from=x,k,v\n", "key and value differ in length: 6 and 7" },
        { "input.x = 4, T\ninput.n = 2\na = multihead_attention num_heads=2 from=x,n\n", "expects the lengths of the examples as [1], got [2]" },
        { "input.x = 4, T\na = multihead_attention num_heads=2 from=x,x,x,x\n", "takes 1 to 3 sequences, got 4" },
        { "input.x = 4, T\na = transformer_encoder_layer nhead=2 from=x,x\n", "expects the lengths of the examples as [1], got [4, -1]" },
        { "input.x = 4, T\na = transformer_encoder_layer nhead=3\n", "3 heads do not divide the 4 channels" },
        { "input.x = 4, 20\na = position_embedding max_len=19\n", "max_len=19 positions, but the input has 20" },
        { "input.x = 1, T\na = embedding num_embeddings=4 embedding_dim=2 padding_idx=4\n", "padding_idx=4: there are only 4 numbers" },
        { "input.x = 4\na = positional_encoding\n", "expects an input of [channels, T], got [4]" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[300];
        bl_error err = { BL_OK, "" };
        snprintf(text, sizeof text, "[n]\n%s", cases[i].text);
        bl_config *config = bl_config_parse(text, "test.ini", &err);
        nn_params *p = nn_params_new(&err);
        nn_network *net = nn_network_build(config, "n", p, &err);
        if (net || !strstr(err.msg, cases[i].want))
            fail_msg("expected \"%s\", got \"%s\"", cases[i].want, err.msg);
        nn_params_free(p);
        bl_config_free(config);
    }
}

static void lengths_outside_the_sequence_are_errors(void **state)
{
    bl_error err = { BL_OK, "" };
    nn_tape *t = nn_tape_new(&err);
    const float bad[3] = { -1, 6.5f, NAN };
    (void)state;
    for (int i = 0; i < 3; i++) {
        nn_tape_reset(t);
        nn_node *x = nn_full(t, (nn_shape){ 3, { 1, 4, 6 } }, 1);
        assert_null(nn_attention(t, x, x, x, nn_input(t, nn_shape_of(1, 1), &bad[i]), NULL, (nn_attention_opt){ 2, 0, 0 }));
        assert_int_equal(t->err.code, BL_EARG);
        assert_non_null(strstr(t->err.msg, "of example 0 lies outside 0 .. 6"));
    }
    nn_tape_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers_agree_with_pytorch_forward_and_backward),
        cmocka_unit_test(gradient_penalties_agree_with_pytorch_to_second_order),
        cmocka_unit_test(gather_and_scatter_add_agree_with_pytorch),
        cmocka_unit_test(blocks_agree_with_the_whole_matrix),
        cmocka_unit_test(relative_positions_count_by_distance),
        cmocka_unit_test(dropout_zeroes_weights_and_keeps_the_mean),
        cmocka_unit_test(a_query_that_sees_nothing_gives_zero),
        cmocka_unit_test(padding_changes_nothing),
        cmocka_unit_test(the_padding_row_of_an_embedding_starts_at_zero),
        cmocka_unit_test(memory_grows_with_the_length_and_not_with_its_square),
        cmocka_unit_test(every_mistake_is_one_sentence),
        cmocka_unit_test(lengths_outside_the_sequence_are_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
