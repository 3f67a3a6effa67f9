#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { DRAWS = 200000 };

/* Reference outputs of Blackman and Vigna's xoshiro256starstar.c for the state 1, 2, 3, 4. */
static void outputs_are_those_of_the_reference_implementation(void **state)
{
    static const uint64_t want[] = { 11520u, 0u, 1509978240u, 1215971899390074240u, 1216172134540287360u,
                                     607988272756665600u, 16172922978634559625u, 8476171486693032832u };
    bl_rng rng = { { 1, 2, 3, 4 } };
    (void)state;
    for (int i = 0; i < 8; i++)
        assert_true(bl_rng_next(&rng) == want[i]);
}

/* Reference outputs of Vigna's splitmix64.c. */
static void seeding_is_splitmix64(void **state)
{
    static const uint64_t want[] = { 1985237415132408290u, 2979275885539914483u, 13511426838097143398u, 8488337342461049707u };
    bl_rng rng;
    (void)state;
    bl_rng_seed(&rng, 1477776061723855037u);
    assert_memory_equal(rng.s, want, sizeof want);
}

static void a_copied_state_continues_the_stream(void **state)
{
    bl_rng a, b;
    (void)state;
    bl_rng_seed(&a, 5);
    for (int i = 0; i < 100; i++)
        bl_rng_normal(&a);
    b = a;
    for (int i = 0; i < 100; i++)
        assert_true(bl_rng_next(&a) == bl_rng_next(&b));
}

static void uniform_numbers_fill_the_unit_interval_evenly(void **state)
{
    enum { BINS = 20 };
    int count[BINS] = { 0 };
    double chi2 = 0, sum = 0;
    bl_rng rng;
    (void)state;
    bl_rng_seed(&rng, 1);
    for (int i = 0; i < DRAWS; i++) {
        const double u = bl_rng_uniform(&rng);
        assert_true(u >= 0 && u < 1);
        count[(int)(u * BINS)]++;
        sum += u;
    }
    for (int i = 0; i < BINS; i++) {
        const double expected = (double)DRAWS / BINS, d = count[i] - expected;
        chi2 += d * d / expected;
    }
    assert_true(chi2 < 43.8); /* 19 degrees of freedom, p = 0.001 */
    assert_true(fabs(sum / DRAWS - 0.5) < 5 * sqrt(1.0 / 12 / DRAWS));
}

static void normal_numbers_have_the_moments_of_the_normal(void **state)
{
    double m1 = 0, m2 = 0, m3 = 0, m4 = 0, product = 0, last = 0;
    bl_rng rng;
    (void)state;
    bl_rng_seed(&rng, 2);
    for (int i = 0; i < DRAWS; i++) {
        const double x = bl_rng_normal(&rng);
        assert_true(isfinite(x));
        m1 += x;
        m2 += x * x;
        m3 += x * x * x;
        m4 += x * x * x * x;
        product += x * last;
        last = x;
    }
    const double error = sqrt(1.0 / DRAWS); /* standard error of the mean; those of the others follow */
    assert_true(fabs(m1 / DRAWS) < 5 * error);
    assert_true(fabs(m2 / DRAWS - 1) < 5 * sqrt(2) * error);
    assert_true(fabs(m3 / DRAWS) < 5 * sqrt(15) * error);
    assert_true(fabs(m4 / DRAWS - 3) < 5 * sqrt(96) * error);
    assert_true(fabs(product / DRAWS) < 5 * error);
}

static void below_n_is_even_and_in_range(void **state)
{
    int count[7] = { 0 };
    bl_rng rng;
    (void)state;
    bl_rng_seed(&rng, 3);
    for (int i = 0; i < 70000; i++) {
        const int64_t k = bl_rng_below(&rng, 7);
        assert_true(k >= 0 && k < 7);
        count[k]++;
    }
    for (int i = 0; i < 7; i++)
        assert_true(abs(count[i] - 10000) < 5 * 93);
    assert_int_equal(bl_rng_below(&rng, 1), 0);
    for (int i = 0; i < 100; i++)
        assert_true(bl_rng_below(&rng, INT64_MAX) >= 0);
}

static void forks_differ_from_each_other_and_from_their_parent(void **state)
{
    bl_rng parent, before, fork[3];
    double product = 0;
    (void)state;
    bl_rng_seed(&parent, 4);
    before = parent;
    for (int k = 0; k < 3; k++)
        fork[k] = bl_rng_fork(&parent, (uint64_t)k);
    assert_memory_equal(&parent, &before, sizeof parent);
    for (int i = 0; i < DRAWS; i++)
        product += bl_rng_normal(&fork[0]) * bl_rng_normal(&fork[1]) + bl_rng_normal(&parent) * bl_rng_normal(&fork[2]);
    assert_true(fabs(product / DRAWS) < 5 * sqrt(2.0 / DRAWS));
}

static void a_shuffle_is_a_permutation_and_every_place_is_as_likely(void **state)
{
    int first[5] = { 0 };
    bl_rng rng;
    (void)state;
    bl_rng_seed(&rng, 6);
    for (int round = 0; round < 50000; round++) {
        int64_t index[] = { 0, 1, 2, 3, 4 };
        int seen = 0;
        bl_rng_shuffle(&rng, index, 5);
        for (int i = 0; i < 5; i++)
            seen |= 1 << index[i];
        assert_int_equal(seen, 31);
        for (int i = 0; i < 5; i++)
            first[i] += index[i] == 0;
    }
    for (int i = 0; i < 5; i++)
        assert_true(abs(first[i] - 10000) < 5 * 90);
    bl_rng_shuffle(&rng, NULL, 0);
}

static void an_item_is_picked_as_often_as_it_is_large(void **state)
{
    static const int64_t first[] = { 0, 0, 3, 3, 4, 10, 10 }; /* items of 0, 3, 0, 1, 6, 0 */
    int count[6] = { 0 };
    bl_rng rng;
    (void)state;
    bl_rng_seed(&rng, 5);
    for (int round = 0; round < 50000; round++) {
        int64_t within = -1;
        const int i = bl_rng_pick(&rng, first, 6, &within);
        assert_true(i >= 0 && i < 6 && within >= 0 && within < first[i + 1] - first[i]);
        count[i]++;
    }
    assert_true(!count[0] && !count[2] && !count[5]);
    assert_true(abs(count[1] - 15000) < 5 * 102 && abs(count[3] - 5000) < 5 * 67 && abs(count[4] - 30000) < 5 * 110);
}

/* Test vectors of the FNV reference code. */
static void the_hash_is_fnv1a(void **state)
{
    (void)state;
    assert_true(bl_hash(0, "", 0) == 0xcbf29ce484222325u);
    assert_true(bl_hash(0, "a", 1) == 0xaf63dc4c8601ec8cu);
    assert_true(bl_hash(0, "foobar", 6) == 0x85944171f73967e8u);
    assert_true(bl_hash(bl_hash(0, "foo", 3), "bar", 3) == 0x85944171f73967e8u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outputs_are_those_of_the_reference_implementation),
        cmocka_unit_test(seeding_is_splitmix64),
        cmocka_unit_test(a_copied_state_continues_the_stream),
        cmocka_unit_test(uniform_numbers_fill_the_unit_interval_evenly),
        cmocka_unit_test(normal_numbers_have_the_moments_of_the_normal),
        cmocka_unit_test(below_n_is_even_and_in_range),
        cmocka_unit_test(forks_differ_from_each_other_and_from_their_parent),
        cmocka_unit_test(a_shuffle_is_a_permutation_and_every_place_is_as_likely),
        cmocka_unit_test(an_item_is_picked_as_often_as_it_is_large),
        cmocka_unit_test(the_hash_is_fnv1a),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
