#include "base/rng.h"
#include "nn/models/kmeans.h"
#include "tests/golden_text.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static const char *const golden = "tests/golden/kmeans.txt";

static void same_start_gives_the_centroids_of_scikit_learn(void **state)
{
    int64_t n, dim, k;
    float *x = golden_floats(golden, "x", &n, &dim), *start = golden_floats(golden, "start", &k, NULL);
    double *want = golden_block(golden, "centroids", NULL, NULL);
    int *labels = malloc((size_t)n * sizeof *labels), *want_labels = golden_ints(golden, "labels");
    bl_error err = { 0 };
    nn_kmeans m;
    (void)state;
    assert_int_equal(nn_kmeans_fit(&m, x, n, dim, &(nn_kmeans_opt){ .k = (int)k }, start, labels, &err), BL_OK);
    for (int64_t i = 0; i < k * dim; i++)
        assert_float_equal(m.centroids[i], (float)want[i], 1e-5f);
    for (int64_t i = 0; i < n; i++)
        assert_int_equal(labels[i], want_labels[i]);
    assert_float_equal((float)(m.inertia / golden_number(golden, "inertia")), 1, 1e-5f);
    nn_kmeans_free(&m);
    free(x);
    free(start);
    free(want);
    free(labels);
    free(want_labels);
}

static void restarts_reach_the_best_inertia_of_fifty_runs(void **state)
{
    int64_t n, dim;
    float *x = golden_floats(golden, "x", &n, &dim);
    bl_error err = { 0 };
    nn_kmeans m;
    (void)state;
    assert_int_equal(nn_kmeans_fit(&m, x, n, dim, &(nn_kmeans_opt){ .k = 5, .n_init = 20, .seed = 1 }, NULL, NULL, &err),
                     BL_OK);
    assert_true(m.inertia <= golden_number(golden, "best_inertia") * 1.00001);
    nn_kmeans_free(&m);
    free(x);
}

static void silhouette_equals_scikit_learn(void **state)
{
    int64_t n, dim;
    float *x = golden_floats(golden, "x", &n, &dim);
    int *labels = golden_ints(golden, "labels");
    double score;
    bl_error err = { 0 };
    (void)state;
    assert_int_equal(nn_silhouette(x, n, dim, labels, 5, &score, &err), BL_OK);
    assert_true(fabs(score - golden_number(golden, "silhouette")) < 1e-6);
    free(x);
    free(labels);
}

static void thread_count_changes_no_bit(void **state)
{
    enum { N = 3000, DIM = 13, K = 11 };
    float *x = malloc(N * DIM * sizeof *x);
    int *a = malloc(N * sizeof *a), *b = malloc(N * sizeof *b), *c = malloc(N * sizeof *c);
    const int threads = omp_get_max_threads();
    const nn_kmeans_opt opt = { .k = K, .n_init = 3, .seed = 5 };
    bl_error err = { 0 };
    nn_kmeans one, many;
    bl_rng rng;
    (void)state;
    bl_rng_seed(&rng, 1);
    for (int i = 0; i < N * DIM; i++)
        x[i] = (float)(bl_rng_normal(&rng) + (double)(i % 7));
    omp_set_num_threads(1);
    assert_int_equal(nn_kmeans_fit(&one, x, N, DIM, &opt, NULL, a, &err), BL_OK);
    omp_set_num_threads(5);
    assert_int_equal(nn_kmeans_fit(&many, x, N, DIM, &opt, NULL, b, &err), BL_OK);
    omp_set_num_threads(threads);
    assert_memory_equal(one.centroids, many.centroids, K * DIM * sizeof *one.centroids);
    assert_memory_equal(a, b, N * sizeof *a);
    nn_kmeans_predict(&one, x, N, c, NULL);
    assert_memory_equal(a, c, N * sizeof *a);
    nn_kmeans_free(&one);
    nn_kmeans_free(&many);
    free(x);
    free(a);
    free(b);
    free(c);
}

/* Lloyd's as its textbook has it, from the first k points. */
static void textbook(const float *x, int n, int dim, int k, int iterations, double *centroid, int *label)
{
    for (int i = 0; i < k * dim; i++)
        centroid[i] = (double)x[i];
    for (int it = 0; it <= iterations; it++) {
        for (int i = 0; i < n; i++) {
            double least = INFINITY;
            for (int c = 0; c < k; c++) {
                double sum = 0;
                for (int j = 0; j < dim; j++)
                    sum += ((double)x[i * dim + j] - centroid[c * dim + j]) * ((double)x[i * dim + j] - centroid[c * dim + j]);
                if (sum < least) {
                    least = sum;
                    label[i] = c;
                }
            }
        }
        for (int c = 0; c < k && it < iterations; c++) {
            int count = 0;
            for (int i = 0; i < n; i++)
                count += label[i] == c;
            for (int j = 0; j < dim && count; j++) {
                double sum = 0;
                for (int i = 0; i < n; i++)
                    sum += label[i] == c ? (double)x[i * dim + j] : 0;
                centroid[c * dim + j] = sum / count;
            }
        }
    }
}

/* Clouds that touch, far from the origin; more clusters than a vector has lanes, rows longer than a tile, runs not full. */
static void bounds_spare_distances_and_change_no_label(void **state)
{
    static const struct { int n, dim, k, iterations; float offset; } cases[] = {
        { 1000, 3, 2, 7, 0 }, { 1500, 20, 19, 12, 100 }, { 700, 150, 9, 6, -5 }, { 513, 1, 8, 9, 1000 }, { 300, 129, 1, 3, 0 },
    };
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        const int n = cases[c].n, dim = cases[c].dim, k = cases[c].k;
        float *x = malloc((size_t)n * (size_t)dim * sizeof *x);
        double *centroid = malloc((size_t)k * (size_t)dim * sizeof *centroid);
        int *want = malloc((size_t)n * sizeof *want), *label = malloc((size_t)n * sizeof *label);
        bl_error err = { 0 };
        nn_kmeans m;
        bl_rng rng;
        bl_rng_seed(&rng, c);
        for (int i = 0; i < n; i++)
            for (int j = 0; j < dim; j++)
                x[i * dim + j] = cases[c].offset + (float)(bl_rng_normal(&rng) + (double)((i * (j + 3)) % 7));
        textbook(x, n, dim, k, cases[c].iterations, centroid, want);
        assert_int_equal(nn_kmeans_fit(&m, x, n, dim, &(nn_kmeans_opt){ .k = k, .max_iterations = cases[c].iterations,
                                                                        .tolerance = -1 }, x, label, &err), BL_OK);
        assert_memory_equal(label, want, (size_t)n * sizeof *label);
        for (int i = 0; i < k * dim; i++)
            assert_float_equal(m.centroids[i], (float)centroid[i], 2e-4f);
        nn_kmeans_free(&m);
        free(x);
        free(centroid);
        free(want);
        free(label);
    }
}

static void an_empty_cluster_is_moved_to_the_farthest_point(void **state)
{
    /* The third start lies where no point is nearest to it. */
    const float x[] = { 0, 0.1f, 0.2f, 10, 10.1f, 17 }, start[] = { 0, 11, 1000 };
    int labels[6];
    bl_error err = { 0 };
    nn_kmeans m;
    (void)state;
    assert_int_equal(nn_kmeans_fit(&m, x, 6, 1, &(nn_kmeans_opt){ .k = 3 }, start, labels, &err), BL_OK);
    assert_int_equal(labels[5], 2);
    assert_int_equal(labels[4], 1);
    assert_float_equal(m.centroids[2], 17, 1e-6f);
    nn_kmeans_free(&m);
}

static void equal_points_are_no_trouble(void **state)
{
    const float x[8] = { 1, 1, 1, 1, 1, 1, 1, 1 };
    int labels[8];
    bl_error err = { 0 };
    nn_kmeans m;
    (void)state;
    assert_int_equal(nn_kmeans_fit(&m, x, 8, 1, &(nn_kmeans_opt){ .k = 3, .seed = 2 }, NULL, labels, &err), BL_OK);
    assert_true(m.inertia == 0);
    nn_kmeans_free(&m);
}

static void silhouette_finds_four_blobs(void **state)
{
    enum { N = 400 };
    float x[N * 2];
    double scores[6];
    bl_error err = { 0 };
    bl_rng rng;
    nn_kmeans m;
    (void)state;
    bl_rng_seed(&rng, 3);
    for (int i = 0; i < N; i++) {
        x[2 * i] = (float)(bl_rng_normal(&rng) + 10 * (i % 2));
        x[2 * i + 1] = (float)(bl_rng_normal(&rng) + 12 * (i / 2 % 2));
    }
    assert_int_equal(nn_kmeans_choose_k(&m, x, N, 2, &(nn_kmeans_opt){ .seed = 1 }, 2, 7, 300, scores, NULL, &err), BL_OK);
    assert_int_equal(m.k, 4);
    assert_true(scores[2] > 0.7);
    nn_kmeans_free(&m);
}

static void bad_input_is_one_sentence(void **state)
{
    const float x[4] = { 1, 2, NAN, 4 };
    bl_error err = { 0 };
    nn_kmeans m;
    double score;
    (void)state;
    assert_int_equal(nn_kmeans_fit(&m, x, 4, 1, &(nn_kmeans_opt){ .k = 2 }, NULL, NULL, &err), BL_ENAN);
    assert_non_null(strstr(err.msg, "row 2"));
    bl_error_clear(&err);
    assert_int_equal(nn_kmeans_fit(&m, x, 2, 1, &(nn_kmeans_opt){ .k = 3 }, NULL, NULL, &err), BL_EARG);
    bl_error_clear(&err);
    assert_int_equal(nn_silhouette(x, 2, 1, (int[]){ 0, 0 }, 1, &score, &err), BL_EARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_start_gives_the_centroids_of_scikit_learn),
        cmocka_unit_test(restarts_reach_the_best_inertia_of_fifty_runs),
        cmocka_unit_test(silhouette_equals_scikit_learn),
        cmocka_unit_test(thread_count_changes_no_bit),
        cmocka_unit_test(bounds_spare_distances_and_change_no_label),
        cmocka_unit_test(an_empty_cluster_is_moved_to_the_farthest_point),
        cmocka_unit_test(equal_points_are_no_trouble),
        cmocka_unit_test(silhouette_finds_four_blobs),
        cmocka_unit_test(bad_input_is_one_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
