#include "blocks/tone_ranks.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { D = BLOCKS_TONE_FEATURES, N = 1000 };

static blocks_tone_ranks ranks;
static float table[N * D];

/* Column 0: 0 .. N-1 shuffled and cubed; column 1: mostly zero; the others constant. */
static int learn(void **state)
{
    (void)state;
    for (int i = 0; i < N; i++) {
        const double even = (double)(i * 7 % N) / (N - 1);
        table[i * D] = (float)(even * even * even);
        table[i * D + 1] = i % 10 ? 0 : (float)i;
        for (int j = 2; j < D; j++)
            table[i * D + j] = 5;
    }
    return blocks_tone_ranks_learn(&ranks, table, N) ? 0 : -1;
}

static float rank(int column, float v)
{
    float row[D] = { 0 };
    row[column] = v;
    blocks_tone_ranks_apply(&ranks, row, row);
    return row[column];
}

static void a_column_becomes_even_whatever_its_shape(void **state)
{
    double sum = 0, squares = 0, worst = 0;
    (void)state;
    for (int i = 0; i < N; i++) {
        const double z = (double)rank(0, table[i * D]), even = (double)(i * 7 % N) / (N - 1);
        sum += z / N;
        squares += z * z / N;
        worst = fmax(worst, fabs(z - sqrt(12.0) * (even - 0.5)));
    }
    assert_true(fabs(sum) < 1e-3);
    assert_true(fabs(sqrt(squares) - 1) < 3e-3);
    assert_true(worst < 0.025); /* between knots a cube is not a line */
}

static void order_is_kept_and_tails_are_held(void **state)
{
    (void)state;
    for (int i = 1; i < 100; i++)
        assert_true(rank(0, (float)i / 100) > rank(0, (float)(i - 1) / 100));
    assert_true(fabsf(rank(0, 1e9f) - sqrtf(3)) < 1e-6f);
    assert_true(fabsf(rank(0, -1e9f) + sqrtf(3)) < 1e-6f);
}

static void equal_values_take_the_middle_of_their_ranks(void **state)
{
    (void)state;
    /* Nine tenths are zero: their ranks are 0 to 0.9. */
    assert_true(fabsf(rank(1, 0) - sqrtf(12) * (0.45f - 0.5f)) < 0.03f);
    assert_true(rank(1, 500) > sqrtf(12) * 0.4f);
    assert_true(fabsf(rank(7, 5)) < 1e-6f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_column_becomes_even_whatever_its_shape),
        cmocka_unit_test(order_is_kept_and_tails_are_held),
        cmocka_unit_test(equal_values_take_the_middle_of_their_ranks),
    };
    return cmocka_run_group_tests(tests, learn, NULL);
}
