#include "nn/models/hierarchical.h"
#include "tests/golden_text.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static const char *const golden = "tests/golden/kmeans.txt";

/* Whether two labellings are the same up to the names of the clusters. */
static int same_partition(const int *a, const int *b, int64_t n)
{
    int a_to_b[64], b_to_a[64];
    memset(a_to_b, -1, sizeof a_to_b);
    memset(b_to_a, -1, sizeof b_to_a);
    for (int64_t i = 0; i < n; i++) {
        if (a_to_b[a[i]] < 0 && b_to_a[b[i]] < 0) {
            a_to_b[a[i]] = b[i];
            b_to_a[b[i]] = a[i];
        }
        if (a_to_b[a[i]] != b[i] || b_to_a[b[i]] != a[i])
            return 0;
    }
    return 1;
}

static void check_linkage(nn_linkage linkage)
{
    int64_t n, dim;
    float *x = golden_floats(golden, "x", &n, &dim);
    int *labels = malloc((size_t)n * sizeof *labels);
    char name[64];
    bl_error err = { 0 };
    nn_hierarchical tree;
    assert_int_equal(nn_hierarchical_fit(&tree, x, n, dim, linkage, &err), BL_OK);
    snprintf(name, sizeof name, "%s_heights", nn_linkage_names[linkage]);
    double *heights = golden_block(golden, name, NULL, NULL);
    snprintf(name, sizeof name, "%s_sizes", nn_linkage_names[linkage]);
    double *sizes = golden_block(golden, name, NULL, NULL);
    for (int64_t m = 0; m < n - 1; m++) {
        assert_true(fabs(tree.merges[m].height - heights[m]) < 1e-6);
        assert_int_equal(tree.merges[m].size, (int64_t)sizes[m]);
    }
    for (int k = 2; k <= 9; k += k == 2 ? 3 : 4) {
        snprintf(name, sizeof name, "%s_labels_%d", nn_linkage_names[linkage], k);
        int *want = golden_ints(golden, name);
        assert_int_equal(nn_hierarchical_cut(&tree, k, labels, &err), BL_OK);
        assert_true(same_partition(labels, want, n));
        free(want);
    }
    free(heights);
    free(sizes);
    free(labels);
    free(x);
    nn_hierarchical_free(&tree);
}

static void ward_equals_scipy_and_scikit_learn(void **state)
{
    (void)state;
    check_linkage(NN_LINKAGE_WARD);
}

static void average_equals_scipy_and_scikit_learn(void **state)
{
    (void)state;
    check_linkage(NN_LINKAGE_AVERAGE);
}

static void complete_equals_scipy_and_scikit_learn(void **state)
{
    (void)state;
    check_linkage(NN_LINKAGE_COMPLETE);
}

static void one_point_is_one_cluster(void **state)
{
    const float x[2] = { 1, 2 };
    int label = 9;
    bl_error err = { 0 };
    nn_hierarchical tree;
    (void)state;
    assert_int_equal(nn_hierarchical_fit(&tree, x, 1, 2, NN_LINKAGE_WARD, &err), BL_OK);
    assert_int_equal(nn_hierarchical_cut(&tree, 1, &label, &err), BL_OK);
    assert_int_equal(label, 0);
    assert_int_equal(nn_hierarchical_cut(&tree, 2, &label, &err), BL_EARG);
    nn_hierarchical_free(&tree);
}

static void equal_points_and_every_k_give_k_clusters(void **state)
{
    const float x[6] = { 3, 3, 3, 3, 4, 4 };
    int labels[6];
    bl_error err = { 0 };
    nn_hierarchical tree;
    (void)state;
    assert_int_equal(nn_hierarchical_fit(&tree, x, 6, 1, NN_LINKAGE_AVERAGE, &err), BL_OK);
    for (int k = 1; k <= 6; k++) {
        int used = 0;
        assert_int_equal(nn_hierarchical_cut(&tree, k, labels, &err), BL_OK);
        for (int i = 0; i < 6; i++)
            used = labels[i] + 1 > used ? labels[i] + 1 : used;
        assert_int_equal(used, k);
    }
    nn_hierarchical_free(&tree);
}

static void numbers_that_are_not_finite_are_refused(void **state)
{
    const float x[2] = { 1, INFINITY };
    bl_error err = { 0 };
    nn_hierarchical tree;
    (void)state;
    assert_int_equal(nn_hierarchical_fit(&tree, x, 2, 1, NN_LINKAGE_WARD, &err), BL_ENAN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ward_equals_scipy_and_scikit_learn),
        cmocka_unit_test(average_equals_scipy_and_scikit_learn),
        cmocka_unit_test(complete_equals_scipy_and_scikit_learn),
        cmocka_unit_test(one_point_is_one_cluster),
        cmocka_unit_test(equal_points_and_every_k_give_k_clusters),
        cmocka_unit_test(numbers_that_are_not_finite_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
