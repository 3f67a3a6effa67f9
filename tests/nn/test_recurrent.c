/* lstm and gru against PyTorch (tools/golden/recurrent.py): stacks, both directions, lengths, initial and final states, first
 * and second order; streams in chunks; products of any number of rows on any kernel. */
#include "tests/nn/golden.h"

#include "nn/kernel/kernel.h"
#include "nn/recurrent_layer.h"
#include "nn/recurrent_product.h"
#include "tests/message.h"
#include "tests/nn/network_setup.h"

#include <omp.h>

static const char golden[] = "tests/golden/recurrent.txt";

static void layers_agree_with_pytorch_forward_and_backward(void **state)
{
    (void)state;
    golden_run_file(golden, "layer", 8, golden_run_network);
}

static void gradient_penalties_agree_with_pytorch_to_second_order(void **state)
{
    (void)state;
    golden_run_file(golden, "gradient_penalty", 2, golden_run_network);
}

static const golden_tensor *numbered(const golden_case *c, const char *name, int k)
{
    char full[64];
    snprintf(full, sizeof full, "%s.%d", name, k);
    return golden_find(c, full);
}

static void run_state_case(const golden_case *c)
{
    setup s = build_ok(c->ini);
    nn_tape *t = s.tape;
    nn_layer *l = nn_network_layer(s.net, "a");
    nn_node *state[4] = { NULL }, *final[4] = { NULL }, *d_in[5] = { NULL };
    const int n = (int)nn_layer_get(l, "num_layers");
    for (int i = 0; i < c->n; i++)
        if (!strncmp(c->tensor[i].name, "param:", 6))
            memcpy(golden_parameter(s.params, c->tensor[i].name + 6, &c->tensor[i], 0), c->tensor[i].x,
                   (size_t)nn_count(&c->tensor[i].shape) * sizeof(real));
    nn_node *x = golden_leaf(t, golden_find(c, "x"));
    nn_node *lengths = golden_find(c, "lengths") ? golden_leaf(t, golden_find(c, "lengths")) : NULL;
    for (int k = 0; k < n; k++)
        state[k] = golden_leaf(t, numbered(c, "state0", k));
    nn_node *y = nn_recurrent_layer_run(l, t, x, lengths, state, final);
    if (!y)
        fail_msg("%s: %s", c->name, t->err.msg);
    golden_compare(c, "y", y->x, golden_find(c, "y"));
    nn_node *sum = nn_sum(t, nn_mul(t, y, golden_leaf(t, golden_find(c, "dy"))));
    for (int k = 0; k < n; k++) {
        assert_true(nn_same_shape(&final[k]->shape, &numbered(c, "final", k)->shape));
        golden_compare(c, "final", final[k]->x, numbered(c, "final", k));
        sum = nn_add(t, sum, nn_sum(t, nn_mul(t, final[k], golden_leaf(t, numbered(c, "dfinal", k)))));
    }
    nn_node *in[5] = { x, state[0], state[1], state[2], state[3] };
    nn_grad(t, sum, NULL, 1 + n, in, d_in, 0);
    assert_int_equal(t->err.code, BL_OK);
    golden_compare(c, "dx", d_in[0]->x, golden_find(c, "dx"));
    for (int k = 0; k < n; k++)
        golden_compare(c, "dstate0", d_in[1 + k]->x, numbered(c, "dstate0", k));
    nn_backward(t, sum);
    for (int i = 0; i < c->n; i++)
        if (!strncmp(c->tensor[i].name, "grad:", 5))
            golden_compare(c, c->tensor[i].name, golden_parameter(s.params, c->tensor[i].name + 5, NULL, 1), &c->tensor[i]);
    finish(&s);
}

static void states_in_and_out_agree_with_pytorch(void **state)
{
    (void)state;
    golden_run_file(golden, "state", 4, run_state_case);
}

/* A layer of two stacked ones, wider than a panel, and a stream through it. */
enum { C = 5, T = 41, B = 3, MOST_STATE = 2 * B * 37 };

static const char *const streams[] = { "[n]\ninput.x = 5, T\na = lstm hidden_size=37 num_layers=2\n",
                                       "[n]\ninput.x = 5, T\na = gru hidden_size=37 num_layers=2\n" };

static void a_stream_in_chunks_equals_the_whole_bit_for_bit(void **state)
{
    static const int chunks[][5] = { { 41 }, { 1, 1, 39 }, { 7, 13, 2, 19 }, { 20, 0, 21 } };
    (void)state;
    for (size_t which = 0; which < 2; which++) {
        setup s = build_ok(streams[which]);
        nn_layer *l = nn_network_layer(s.net, "a");
        real *x = malloc(B * C * T * sizeof *x), *whole = malloc(B * 37 * T * sizeof *whole), *kept[2];
        bl_rng rng;
        bl_rng_seed(&rng, 9);
        for (int i = 0; i < B * C * T; i++)
            x[i] = (real)bl_rng_normal(&rng);
        for (int k = 0; k < 2; k++)
            kept[k] = malloc(MOST_STATE * sizeof *kept[k]);
        nn_tape_record(s.tape, 0);
        nn_node *all = nn_input_real(s.tape, nn_shape_of(3, B, C, T), x);
        nn_node *y = nn_network_run(s.net, s.tape, &all, NULL);
        assert_non_null(y);
        memcpy(whole, y->x, B * 37 * T * sizeof *whole);
        for (size_t i = 0; i < sizeof chunks / sizeof *chunks; i++) {
            nn_shape shape = { 0, { 0 } };
            for (int64_t j = 0, start = 0; start < T; start += chunks[i][j++]) {
                nn_node *before[2] = { NULL }, *after[2] = { NULL };
                nn_tape_reset(s.tape);
                for (int k = 0; k < 2 && start > 0; k++)
                    before[k] = nn_input_real(s.tape, shape, kept[k]);
                nn_node *chunk = nn_slice(s.tape, nn_input_real(s.tape, nn_shape_of(3, B, C, T), x), 2, start, start + chunks[i][j]);
                y = nn_recurrent_layer_run(l, s.tape, chunk, NULL, start ? before : NULL, after);
                if (!y)
                    fail_msg("%s", s.tape->err.msg);
                for (int64_t row = 0; row < B * 37; row++)
                    assert_memory_equal(y->x + row * chunks[i][j], whole + row * T + start, (size_t)chunks[i][j] * sizeof *whole);
                shape = after[0]->shape;
                for (int k = 0; k < 2; k++)
                    memcpy(kept[k], after[k]->x, (size_t)nn_count(&shape) * sizeof *kept[k]);
            }
        }
        for (int k = 0; k < 2; k++)
            free(kept[k]);
        free(whole);
        free(x);
        finish(&s);
    }
}

static void padding_is_not_looked_at_and_gives_zeros(void **state)
{
    static const float lengths[4] = { 0, 3, 9, 20 }; /* none, some, all, more than there are */
    enum { N = 4, H = 3, STEPS = 9 };
    (void)state;
    for (int gru = 0; gru < 2; gru++) {
        char text[200];
        real first[N * 2 * H * STEPS], dx[N * STEPS * 2];
        snprintf(text, sizeof text, "[n]\ninput.x = 2, T\ninput.lengths = 1\na = %s hidden_size=3 bidirectional=yes from=x,lengths\n",
                 gru ? "gru" : "lstm");
        setup s = build_ok(text);
        for (int round = 0; round < 2; round++) {
            float x[N * 2 * STEPS];
            nn_node *in[2], *g = NULL;
            bl_rng rng;
            bl_rng_seed(&rng, 4);
            for (int i = 0; i < N * 2 * STEPS; i++) {
                x[i] = (float)bl_rng_normal(&rng);
                if (round && (float)(i % STEPS) >= lengths[i / (2 * STEPS)])
                    x[i] += 100;
            }
            nn_tape_reset(s.tape);
            in[0] = nn_leaf(s.tape, nn_shape_of(3, N, 2, STEPS), nn_input(s.tape, nn_shape_of(3, N, 2, STEPS), x)->x);
            in[1] = nn_input(s.tape, nn_shape_of(2, N, 1), lengths);
            nn_node *y = nn_network_run(s.net, s.tape, in, NULL);
            nn_grad(s.tape, y, NULL, 1, in, &g, 0);
            assert_string_equal(s.tape->err.msg, "");
            for (int i = 0; i < N * 2 * H * STEPS; i++) {
                const int beyond = (float)(i % STEPS) >= lengths[i / (2 * H * STEPS)];
                assert_true(beyond == (y->x[i] == 0));
            }
            for (int i = 0; i < N * 2 * STEPS; i++)
                assert_true(((float)(i % STEPS) >= lengths[i / (2 * STEPS)]) == (g->x[i] == 0));
            if (round == 0) {
                memcpy(first, y->x, sizeof first);
                memcpy(dx, g->x, sizeof dx);
            } else {
                assert_memory_equal(first, y->x, sizeof first);
                assert_memory_equal(dx, g->x, sizeof dx);
            }
        }
        finish(&s);
    }
}

/* With dropout between the layers, the same bits at any thread count, lengths included, for one step of training. */
static void a_training_step_has_the_same_bits_at_any_thread_count(void **state)
{
    enum { N = 21, STEPS = 30 };
    const int n_threads = omp_get_max_threads();
    float x[N * 2 * STEPS], lengths[N];
    real *first = NULL;
    (void)state;
    setup s = build_ok("[n]\ninput.x = 2, T\ninput.lengths = 1\n"
                       "a = lstm hidden_size=48 num_layers=2 bidirectional=yes dropout=0.4 from=x,lengths\n"
                       "b = gru hidden_size=40 num_layers=2 bidirectional=yes dropout=0.4 from=a,lengths\n");
    for (int i = 0; i < N * 2 * STEPS; i++)
        x[i] = (float)(i * 37 % 101) / 50 - 1;
    for (int b = 0; b < N; b++)
        lengths[b] = (float)(1 + b * 11 % STEPS);
    for (int threads = 1; threads <= 5; threads++) {
        omp_set_num_threads(threads);
        nn_tape_reset(s.tape);
        s.tape->training = 1;
        bl_rng_seed(&s.tape->rng, 2);
        nn_params_zero_grad(s.params);
        nn_node *in[2] = { nn_input(s.tape, nn_shape_of(3, N, 2, STEPS), x), nn_input(s.tape, nn_shape_of(2, N, 1), lengths) };
        nn_backward(s.tape, nn_mean(s.tape, nn_square(s.tape, nn_network_run(s.net, s.tape, in, NULL))));
        assert_string_equal(s.tape->err.msg, "");
        const size_t size = (size_t)s.params->n_elements * sizeof *first;
        if (!first) {
            first = malloc(size);
            memcpy(first, s.params->grad, size);
        }
        assert_memory_equal(first, s.params->grad, size);
    }
    omp_set_num_threads(n_threads);
    free(first);
    finish(&s);
}

static void products_do_not_depend_on_rows_or_kernel(void **state)
{
    enum { K = 131, COLUMNS = 70, WIDTH = 128 };
    static const char *const names[] = { "avx512", "avx2", "generic" };
    real w[K * COLUMNS], a[6 * K], alone[4 * 16], y[6 * 4 * 16];
    bl_error err = { BL_OK, "" };
    (void)state;
    for (int i = 0; i < K * COLUMNS; i++)
        w[i] = (real)(i * 29 % 83) / 40 - 1;
    for (int i = 0; i < 6 * K; i++)
        a[i] = (real)(i * 31 % 89) / 40 - 1;
    real *packed = malloc((size_t)nn_recurrent_packed_plain_count(K, COLUMNS) * sizeof *packed);
    assert_int_equal(nn_recurrent_packed_plain_count(K, COLUMNS), K * WIDTH);
    nn_recurrent_pack_plain(w, K, COLUMNS, COLUMNS, 1, packed);
    for (int which = 0; which < 3; which++) {
        if (nn_kernel_choose(names[which], &err) != BL_OK) /* not on this processor */
            continue;
        for (int p = 0; p < 2; p++)
            for (int rows = 1; rows <= 6; rows++) {
                nn_recurrent_product(4, rows, a, K, packed + p * K * 64, K, y);
                for (int r = 0; r < rows; r++) {
                    nn_recurrent_product(4, 1, a + r * K, K, packed + p * K * 64, K, alone);
                    assert_memory_equal(alone, y + r * 64, sizeof alone);
                    for (int j = 0; j < 64; j++) {
                        double sum = 0;
                        for (int k = 0; k < K && p * 64 + j < COLUMNS; k++)
                            sum += (double)a[r * K + k] * (double)w[k * COLUMNS + p * 64 + j];
                        assert_true(fabs(sum - (double)alone[j]) < 1e-4);
                    }
                }
            }
    }
    nn_kernel_choose(NULL, &err);
    free(packed);
}

static void what_does_not_fit_is_a_sentence(void **state)
{
    (void)state;
    static const mistake mistakes[] = {
        { "[n]\ninput.x = 2, T\ninput.l = 3\na = gru hidden_size=3 from=x,l\n",
          "the second input is the length of each example, one number; got [3]" },
        { "[n]\ninput.x = 2\na = gru hidden_size=3\n", "gru: expects an input of [channels, T], got [2]" },
        { "[n]\ninput.x = 2, T\na = gru\n", "hidden_size" },
        { "[n]\ninput.x = 2, T\na = gru hidden_size=3 dropout=1\n", "dropout" },
    };
    expect_mistakes(mistakes, sizeof mistakes / sizeof *mistakes);

    setup s = build_ok(streams[1]);
    nn_node *wrong[2] = { nn_full(s.tape, nn_shape_of(3, 1, 2, 37), 0), NULL };
    nn_node *x = nn_full(s.tape, nn_shape_of(3, 1, 5, 4), 0);
    assert_null(nn_recurrent_layer_run(nn_network_layer(s.net, "a"), s.tape, x, NULL, wrong, NULL));
    assert_message(s.tape->err, "gru: the state must be [1, 1, 37], got [1, 2, 37]");
    finish(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers_agree_with_pytorch_forward_and_backward),
        cmocka_unit_test(gradient_penalties_agree_with_pytorch_to_second_order),
        cmocka_unit_test(states_in_and_out_agree_with_pytorch),
        cmocka_unit_test(a_stream_in_chunks_equals_the_whole_bit_for_bit),
        cmocka_unit_test(padding_is_not_looked_at_and_gives_zeros),
        cmocka_unit_test(a_training_step_has_the_same_bits_at_any_thread_count),
        cmocka_unit_test(products_do_not_depend_on_rows_or_kernel),
        cmocka_unit_test(what_does_not_fit_is_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
