#include "nn/models/pca.h"

#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/message.h"

enum { N = 500, DIM = 6 };

static float *rows(uint64_t seed)
{
    float *x = malloc(N * DIM * sizeof *x);
    bl_rng rng;
    bl_rng_seed(&rng, seed);
    for (int i = 0; i < N; i++) {
        const double a = 3 * bl_rng_normal(&rng), b = bl_rng_normal(&rng);
        for (int k = 0; k < DIM; k++)
            x[i * DIM + k] = (float)(k + a * (k % 2 ? 1 : -1) + b * (k < 3) + 0.05 * bl_rng_normal(&rng));
    }
    return x;
}

static void eigenvectors_of_a_symmetric_matrix_are_orthonormal_and_rebuild_it(void **state)
{
    enum { M = 9 };
    double a[M * M], copy[M * M], values[M], v[M * M];
    bl_rng rng;
    (void)state;
    bl_rng_seed(&rng, 4);
    for (int i = 0; i < M; i++)
        for (int k = 0; k <= i; k++)
            a[i * M + k] = a[k * M + i] = bl_rng_normal(&rng);
    for (int i = 0; i < M * M; i++)
        copy[i] = a[i];
    nn_eigen_symmetric(a, M, values, v);
    for (int i = 0; i < M; i++) {
        assert_true(i == 0 || values[i] <= values[i - 1]);
        for (int k = 0; k < M; k++) {
            double dot = 0, rebuilt = 0;
            for (int j = 0; j < M; j++) {
                dot += v[i * M + j] * v[k * M + j];
                rebuilt += values[j] * v[j * M + i] * v[j * M + k];
            }
            assert_true(fabs(dot - (i == k)) < 1e-12);
            assert_true(fabs(rebuilt - copy[i * M + k]) < 1e-12);
        }
    }
}

static void what_is_lost_is_the_variance_of_the_components_left_out(void **state)
{
    nn_pca pca;
    bl_error err = { 0 };
    float *x = rows(1);
    (void)state;
    assert_int_equal(nn_pca_fit(&pca, x, N, DIM, 2, &err), BL_OK);
    double all = 0, rest = 0;
    for (int i = 0; i < DIM; i++) {
        all += pca.variance[i];
        rest += i >= 2 ? pca.variance[i] : 0;
    }
    assert_true(fabs(nn_pca_error(&pca, x, N, 0) - all / DIM) < 1e-9 * all);
    assert_true(fabs(nn_pca_error(&pca, x, N, 2) - rest / DIM) < 1e-9 * all);
    assert_true(rest < 0.01 * all); /* the rows were made from two numbers */
    for (int k = 0; k < DIM; k++)
        assert_true(fabs(pca.mean[k] - k) < 0.5);
    nn_pca_free(&pca);
    free(x);
}

static void unusable_input_is_refused(void **state)
{
    nn_pca pca;
    bl_error err = { 0 };
    float *x = rows(2);
    (void)state;
    assert_int_equal(nn_pca_fit(&pca, x, N, DIM, 7, &err), BL_EARG);
    assert_message(err, "rank of 1 to 6");
    err = (bl_error){ 0 };
    x[3 * DIM + 1] = NAN;
    assert_int_equal(nn_pca_fit(&pca, x, N, DIM, 2, &err), BL_ENAN);
    assert_message(err, "row 3");
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(eigenvectors_of_a_symmetric_matrix_are_orthonormal_and_rebuild_it),
        cmocka_unit_test(what_is_lost_is_the_variance_of_the_components_left_out),
        cmocka_unit_test(unusable_input_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
