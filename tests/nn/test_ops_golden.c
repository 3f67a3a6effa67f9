/* Layers, losses and gradient penalties against PyTorch: values, gradients, second order. tools/golden/ops.py writes
 * tests/golden/ops.txt. */
#include "tests/nn/golden.h"

static nn_node *loss_of(const golden_case *c, nn_tape *t, nn_node *x)
{
    static const nn_stft_opt resolutions[] = { { .n_fft = 16, .hop_length = 4, .win_length = 16 },
                                               { .n_fft = 32, .hop_length = 8, .win_length = 24 } };
    nn_node *target = golden_find(c, "target") ? golden_leaf(t, golden_find(c, "target")) : NULL;
    if (!strcmp(c->kind, "softmax"))
        return nn_softmax(t, x);
    if (!strcmp(c->kind, "log_softmax"))
        return nn_log_softmax(t, x);
    if (!strcmp(c->kind, "cross_entropy"))
        return nn_cross_entropy(t, x, target);
    if (!strcmp(c->kind, "bce_with_logits"))
        return nn_bce_with_logits(t, x, target);
    if (!strcmp(c->kind, "mse_loss"))
        return nn_mse_loss(t, x, target);
    if (!strcmp(c->kind, "l1_loss"))
        return nn_l1_loss(t, x, target);
    if (!strcmp(c->kind, "stft_magnitude"))
        return nn_stft_magnitude(t, x, (nn_stft_opt){ .n_fft = 16, .hop_length = 4, .win_length = 12 }, 1e-7);
    if (!strcmp(c->kind, "multi_resolution_stft"))
        return nn_multi_resolution_stft_loss(t, x, target, 2, resolutions);
    fail_msg("unknown kind of case: %s", c->kind);
    return NULL;
}

static void run_loss_case(const golden_case *c)
{
    bl_error err = { BL_OK, "" };
    nn_tape *t = nn_tape_new(&err);
    nn_node *x = golden_leaf(t, golden_find(c, "x")), *dx = NULL, *y = loss_of(c, t, x);
    if (!y)
        fail_msg("%s: %s", c->name, t->err.msg);
    assert_true(nn_same_shape(&y->shape, &golden_find(c, "y")->shape));
    golden_compare(c, "y", y->x, golden_find(c, "y"));
    nn_grad(t, y, golden_leaf(t, golden_find(c, "dy")), 1, &x, &dx, 0);
    assert_int_equal(t->err.code, BL_OK);
    golden_compare(c, "dx", dx->x, golden_find(c, "dx"));
    nn_tape_free(t);
}

static void layers_agree_with_pytorch_forward_and_backward(void **state)
{
    (void)state;
    golden_run_file("tests/golden/ops.txt", "layer", 16, golden_run_network);
}

static void losses_agree_with_pytorch_forward_and_backward(void **state)
{
    (void)state;
    golden_run_file("tests/golden/ops.txt", NULL, 8, run_loss_case);
}

static void gradient_penalties_agree_with_pytorch_to_second_order(void **state)
{
    (void)state;
    golden_run_file("tests/golden/ops.txt", "gradient_penalty", 2, golden_run_network);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers_agree_with_pytorch_forward_and_backward),
        cmocka_unit_test(losses_agree_with_pytorch_forward_and_backward),
        cmocka_unit_test(gradient_penalties_agree_with_pytorch_to_second_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
