/* What the tape keeps, what it gives back, what it computes twice: the gradients are the same to the last bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "nn/ops.h"

enum { N = 24 };

/* Gradients of first and second order in x of a chain in which values die, one after the other; scopes on or off. */
static void chain(nn_tape *t, int scopes, real *first, real *second)
{
    real data[N];
    nn_node *g, *gg;
    nn_tape_reset(t);
    for (int i = 0; i < N; i++)
        data[i] = (real)(0.1 * i - 1);
    nn_node *x = nn_leaf(t, nn_shape_of(2, 2, N / 2), data);
    nn_node *mark = nn_scope_begin(t), *e = nn_exp(t, x), *cut = nn_slice(t, e, 1, 2, 9), *moved = nn_affine(t, cut, 0.5, 1);
    nn_node *s = nn_sin(t, moved), *y = nn_square(t, s);
    if (scopes) {
        nn_scope_end(t, mark, y);
        assert_false(e->released);                          /* its own rule reads it                       */
        assert_true(cut->released && !cut->again);          /* nobody does                                 */
        assert_false(moved->released);                      /* sin does, and what it came from is gone     */
        assert_false(s->released);                          /* square does; a sine is not cheap            */
    }
    nn_grad(t, y, NULL, 1, &x, &g, 1);
    nn_node *sum = nn_sum(t, nn_square(t, g));
    nn_grad(t, sum, NULL, 1, &x, &gg, 0);
    assert_int_equal(t->err.code, BL_OK);
    memcpy(first, g->x, N * sizeof *first);
    memcpy(second, gg->x, N * sizeof *second);
}

static void releasing_changes_no_bit(void **state)
{
    bl_error err = { BL_OK, "" };
    nn_tape *t = nn_tape_new(&err);
    real a[2][N], b[2][N];
    (void)state;
    chain(t, 0, a[0], a[1]);
    chain(t, 1, b[0], b[1]);
    assert_memory_equal(a, b, sizeof a);
    nn_tape_free(t);
}

/* exp is kept for its own rule; the slices of it that sin and a product read need not be. */
static void cheap_values_are_computed_again(void **state)
{
    bl_error err = { BL_OK, "" };
    nn_tape *t = nn_tape_new(&err);
    real data[N], kept[2][N];
    (void)state;
    for (int i = 0; i < N; i++)
        data[i] = (real)(0.1 * i - 1);
    for (int scopes = 0; scopes < 2; scopes++) {
        nn_node *g, *gg;
        nn_tape_reset(t);
        nn_node *x = nn_leaf(t, nn_shape_of(2, 2, N / 2), data);
        nn_node *mark = nn_scope_begin(t), *e = nn_exp(t, x), *left = nn_slice(t, e, 1, 0, 6), *right = nn_slice(t, e, 1, 6, 12);
        nn_node *turned = nn_permute(t, left, (const int[]){ 1, 0 });
        nn_node *y = nn_add(t, nn_matmul(t, right, turned, 0, 0), nn_sum(t, nn_sin(t, right)));
        if (scopes) {
            nn_scope_end(t, mark, y);
            assert_true(right->released && right->again);
            assert_false(turned->released); /* left, which it comes from, is read by nobody */
            assert_true(left->released && !left->again);
        }
        nn_grad(t, y, NULL, 1, &x, &g, 1);
        nn_node *sum = nn_sum(t, nn_square(t, g));
        nn_grad(t, sum, NULL, 1, &x, &gg, 0);
        assert_int_equal(t->err.code, BL_OK);
        for (int i = 0; i < N && scopes; i++)
            assert_true(kept[0][i] == g->x[i] && kept[1][i] == gg->x[i]);
        memcpy(kept[0], g->x, sizeof kept[0]);
        memcpy(kept[1], gg->x, sizeof kept[1]);
    }
    nn_tape_free(t);
}

static void a_constant_factor_frees_the_other(void **state)
{
    bl_error err = { BL_OK, "" };
    nn_tape *t = nn_tape_new(&err);
    real data[N] = { 1 };
    (void)state;
    nn_node *x = nn_leaf(t, nn_shape_of(1, N), data), *mark = nn_scope_begin(t);
    nn_node *shifted = nn_affine(t, x, 1, 1), *mask = nn_full(t, nn_shape_of(1, N), 2), *y = nn_mul(t, shifted, mask);
    nn_scope_end(t, mark, y);
    assert_true(shifted->released);
    assert_false(mask->released);
    nn_backward(t, nn_sum(t, y));
    assert_int_equal(t->err.code, BL_OK);
    nn_tape_free(t);
}

static void a_dry_tape_has_shapes_and_no_values(void **state)
{
    bl_error err = { BL_OK, "" };
    nn_tape *t = nn_tape_new(&err);
    real data[4] = { 1, 2, 3, 4 };
    (void)state;
    nn_tape_dry(t, 1);
    nn_node *x = nn_leaf(t, nn_shape_of(2, 2, 2), data), *loss = nn_sum(t, nn_matmul(t, x, x, 0, 0));
    assert_null(x->x);
    assert_null(loss->x);
    assert_true(nn_scalar(loss) == 0);
    nn_backward(t, loss);
    assert_int_equal(t->err.code, BL_OK);
    assert_null(nn_matmul(t, x, nn_full(t, nn_shape_of(2, 3, 3), 0), 0, 0)); /* what does not fit is found, too */
    assert_int_equal(t->err.code, BL_ESHAPE);
    nn_tape_dry(t, 0);
    assert_int_equal(nn_tape_peak_bytes(t), 0);
    x = nn_leaf(t, nn_shape_of(2, 2, 2), data);
    assert_true(nn_scalar(nn_sum(t, x)) == 10);
    nn_tape_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(releasing_changes_no_bit),
        cmocka_unit_test(cheap_values_are_computed_again),
        cmocka_unit_test(a_constant_factor_frees_the_other),
        cmocka_unit_test(a_dry_tape_has_shapes_and_no_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
