#include "blocks/tone_augment.h"
#include "blocks/tone_features.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { RATE = 16000, N = RATE };
static const double pi = 3.14159265358979323846;

static int at(const char *name)
{
    char buffer[32];
    for (int i = 0; i < BLOCKS_TONE_FEATURES; i++)
        if (!strcmp(blocks_tone_feature_name(i, buffer), name))
            return i;
    fail_msg("no feature \"%s\"", name);
    return -1;
}

static void make_tone(float *x)
{
    for (int i = 0; i < N; i++) {
        x[i] = 0;
        for (int h = 1; h <= 8; h++)
            x[i] += (float)(0.2 / h * sin(2 * pi * h * 220.0 * i / RATE) * exp(-2.0 * i / RATE));
    }
}

static void the_same_seed_gives_the_same_copy_and_another_another(void **state)
{
    static float x[N], a[BLOCKS_TONE_AUGMENT_MAX], b[BLOCKS_TONE_AUGMENT_MAX];
    bl_error err = { 0 };
    bl_rng rng;
    blocks_tone_augmenter *g = blocks_tone_augmenter_new(&err);
    (void)state;
    assert_non_null(g);
    make_tone(x);
    bl_rng_seed(&rng, 3);
    const int64_t n = blocks_tone_augmenter_run(g, x, N, RATE, &rng, a);
    bl_rng_seed(&rng, 3);
    assert_int_equal(blocks_tone_augmenter_run(g, x, N, RATE, &rng, b), n);
    assert_memory_equal(a, b, (size_t)n * sizeof *a);
    bl_rng_seed(&rng, 4);
    const int64_t m = blocks_tone_augmenter_run(g, x, N, RATE, &rng, b);
    assert_true(m != n || memcmp(a, b, (size_t)n * sizeof *a) != 0);
    blocks_tone_augmenter_free(g);
}

static void copies_keep_the_pitch_within_a_semitone_and_the_length(void **state)
{
    static float x[N], y[BLOCKS_TONE_AUGMENT_MAX];
    float row[BLOCKS_TONE_FEATURES], copy[BLOCKS_TONE_FEATURES];
    bl_error err = { 0 };
    bl_rng rng;
    blocks_tone_augmenter *g = blocks_tone_augmenter_new(&err);
    blocks_tone_analyser *a = blocks_tone_analyser_new(&err);
    double moved = 0;
    (void)state;
    assert_true(g && a);
    make_tone(x);
    assert_int_equal(blocks_tone_analyser_run(a, x, N, RATE, row, &err), BL_OK);
    bl_rng_seed(&rng, 1);
    for (int i = 0; i < 30; i++) {
        const int64_t n = blocks_tone_augmenter_run(g, x, N, RATE, &rng, y);
        float peak = 0;
        assert_in_range(n, N / 2, N * 11 / 10 + RATE / 2);
        for (int64_t k = 0; k < n; k++) {
            assert_true(isfinite(y[k]));
            peak = fmaxf(peak, fabsf(y[k]));
        }
        assert_float_equal(peak, 1, 1e-5f);
        assert_int_equal(blocks_tone_analyser_run(a, y, n, RATE, copy, &err), BL_OK);
        assert_true(fabsf(copy[at("pitch_octave")] - row[at("pitch_octave")]) < 1.1f / 12);
        moved += fabs((double)copy[at("mfcc_1")] - (double)row[at("mfcc_1")]) / 30;
    }
    /* The studio changes: that is what they are for. */
    assert_true(moved > 3);
    blocks_tone_augmenter_free(g);
    blocks_tone_analyser_free(a);
}

static void the_longest_tone_fits(void **state)
{
    static float x[BLOCKS_TONE_AUGMENT_MAX], y[BLOCKS_TONE_AUGMENT_MAX];
    bl_error err = { 0 };
    bl_rng rng;
    blocks_tone_augmenter *g = blocks_tone_augmenter_new(&err);
    (void)state;
    assert_non_null(g);
    for (int i = 0; i < BLOCKS_TONE_AUGMENT_MAX; i++)
        x[i] = (float)sin(0.1 * i);
    bl_rng_seed(&rng, 8);
    for (int i = 0; i < 8; i++)
        assert_true(blocks_tone_augmenter_run(g, x, BLOCKS_TONE_AUGMENT_MAX, RATE, &rng, y) <= BLOCKS_TONE_AUGMENT_MAX);
    blocks_tone_augmenter_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_seed_gives_the_same_copy_and_another_another),
        cmocka_unit_test(copies_keep_the_pitch_within_a_semitone_and_the_length),
        cmocka_unit_test(the_longest_tone_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
