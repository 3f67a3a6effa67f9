#include "base/file.h"
#include "base/rng.h"
#include "nn/models/svm_private.h"
#include "tests/golden_text.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>
#include <cmocka.h>

static const char *const golden = "tests/golden/svm.txt";

typedef struct data {
    float  *x, *test;
    int    *y;
    int64_t n, dim, n_test;
} data;

static data load(void)
{
    data d;
    d.x = golden_floats(golden, "x", &d.n, &d.dim);
    d.test = golden_floats(golden, "test", &d.n_test, NULL);
    d.y = golden_ints(golden, "y");
    return d;
}

static void unload(data *d)
{
    free(d->x);
    free(d->test);
    free(d->y);
}

static void compare_with_libsvm(const char *name, nn_svm_opt opt)
{
    data d = load();
    bl_error err = { 0 };
    char block[64];
    opt.tolerance = 1e-10;
    opt.standardise = 1;
    nn_svm *s = nn_svm_train(d.x, d.n, d.dim, d.y, 4, NULL, &opt, &err);
    assert_non_null(s);
    double *got = malloc((size_t)(d.n_test * s->n_pairs) * sizeof *got);
    int *labels = malloc((size_t)d.n_test * sizeof *labels);
    snprintf(block, sizeof block, "%s_decision", name);
    double *want = golden_block(golden, block, NULL, NULL);
    snprintf(block, sizeof block, "%s_labels", name);
    int *want_labels = golden_ints(golden, block);
    snprintf(block, sizeof block, "%s_n_support", name);
    int *n_support = golden_ints(golden, block);
    nn_svm_decide(s, d.test, d.n_test, got);
    nn_svm_predict(s, d.test, d.n_test, labels, NULL);
    for (int64_t i = 0; i < d.n_test * s->n_pairs; i++)
        assert_true(fabs(got[i] - want[i]) < 1e-6);
    for (int64_t i = 0; i < d.n_test; i++)
        assert_int_equal(labels[i], want_labels[i]);
    for (int c = 0; c < 4; c++)
        assert_int_equal(s->class_start[c + 1] - s->class_start[c], n_support[c]);
    nn_svm_free(s);
    free(got);
    free(want);
    free(labels);
    free(want_labels);
    free(n_support);
    unload(&d);
}

static void rbf_decisions_equal_libsvm(void **state)
{
    (void)state;
    compare_with_libsvm("rbf", (nn_svm_opt){ .kernel = NN_SVM_RBF, .C = 10, .gamma = 0.2 });
}

static void linear_decisions_equal_libsvm(void **state)
{
    (void)state;
    compare_with_libsvm("linear", (nn_svm_opt){ .kernel = NN_SVM_LINEAR, .C = 0.5 });
}

static void class_weights_equal_libsvm(void **state)
{
    (void)state;
    compare_with_libsvm("balanced", (nn_svm_opt){ .kernel = NN_SVM_RBF, .C = 1, .gamma = 0.5, .balanced = 1 });
}

static void a_small_cache_changes_no_decision(void **state)
{
    (void)state;
    compare_with_libsvm("rbf", (nn_svm_opt){ .kernel = NN_SVM_RBF, .C = 10, .gamma = 0.2, .cache_mb = 1e-6 });
}

static void coupling_solves_the_system_of_wu_lin_and_weng(void **state)
{
    double *r = golden_block(golden, "pairwise", NULL, NULL), *want = golden_block(golden, "coupled", NULL, NULL);
    double rho[6], a[6], b[6] = { 0 }, mean = 0, inv_scale = 1, p[4];
    int64_t class_start[5] = { 0 };
    /* A machine without support vectors whose decisions are the log odds of r. */
    nn_svm s = { .n_classes = 4, .n_pairs = 6, .probability = 1, .dim = 1, .class_start = class_start, .rho = rho,
                 .prob_a = a, .prob_b = b, .mean = &mean, .inv_scale = &inv_scale };
    const float x = 0;
    int q = 0;
    (void)state;
    for (int i = 0; i < 4; i++)
        for (int j = i + 1; j < 4; j++, q++) {
            rho[q] = -log(r[4 * i + j] / (1 - r[4 * i + j]));
            a[q] = -1;
        }
    nn_svm_predict(&s, &x, 1, NULL, p);
    for (int c = 0; c < 4; c++)
        assert_true(fabs(p[c] - want[c]) < 1e-6);
    free(r);
    free(want);
}

static void sigmoids_equal_platts_by_another_optimiser(void **state)
{
    static const char *const cases[] = { "overlap", "apart" };
    (void)state;
    for (int k = 0; k < 2; k++) {
        char name[32];
        int64_t n;
        double A, B, scratch[80];
        snprintf(name, sizeof name, "%s_f", cases[k]);
        double *f = golden_block(golden, name, NULL, &n);
        snprintf(name, sizeof name, "%s_y", cases[k]);
        double *y = golden_block(golden, name, NULL, NULL);
        snprintf(name, sizeof name, "%s_ab", cases[k]);
        double *want = golden_block(golden, name, NULL, NULL);
        assert_int_equal(n, 80);
        nn_svm_fit_sigmoid(f, y, n, scratch, &A, &B);
        assert_true(fabs(A - want[0]) < 1e-3 * fabs(want[0]) && fabs(B - want[1]) < 1e-3 * fabs(want[0]));
        free(f);
        free(y);
        free(want);
    }
}

/* libsvm stops coupling at 0.005 / k, so its probabilities are good to some thousandths. */
static void probabilities_equal_libsvms_with_its_sigmoids(void **state)
{
    data d = load();
    bl_error err = { 0 };
    double *A = golden_block(golden, "libsvm_a", NULL, NULL), *B = golden_block(golden, "libsvm_b", NULL, NULL),
           *want = golden_block(golden, "libsvm_probability", NULL, NULL), p[4];
    const nn_svm_opt opt = { .kernel = NN_SVM_RBF, .C = 10, .gamma = 0.2, .tolerance = 1e-10, .standardise = 1, .probability = 1 };
    (void)state;
    nn_svm *s = nn_svm_train(d.x, d.n, d.dim, d.y, 4, NULL, &opt, &err);
    assert_non_null(s);
    for (int q = 0; q < s->n_pairs; q++) {
        s->prob_a[q] = A[q];
        s->prob_b[q] = B[q];
    }
    for (int64_t i = 0; i < d.n_test; i++) {
        nn_svm_predict(s, d.test + i * d.dim, 1, NULL, p);
        for (int c = 0; c < 4; c++)
            assert_true(fabs(p[c] - want[4 * i + c]) < 5e-3);
    }
    nn_svm_free(s);
    free(A);
    free(B);
    free(want);
    unload(&d);
}

/* A kernel value that is rounded to float and no better than that would differ in the eighth digit. */
static void kernel_values_are_exact_to_double(void **state)
{
    enum { N = 37, DIM = 13 };
    double x[N * DIM], square[N], got[N * 40];
    const int64_t start[] = { 0, 11, N };
    int64_t place[3];
    nn_svm_panels panels;
    bl_rng rng;
    (void)state;
    bl_rng_seed(&rng, 5);
    for (int i = 0; i < N; i++) {
        square[i] = 0;
        for (int d = 0; d < DIM; d++) {
            x[i * DIM + d] = 3 * bl_rng_normal(&rng);
            square[i] += x[i * DIM + d] * x[i * DIM + d];
        }
    }
    assert_true(nn_svm_panels_new(&panels, x, DIM, 2, start, place));
    assert_int_equal(place[1], 16);
    assert_int_equal(place[2], 48);
    nn_svm_kernel_double(&panels, NN_SVM_RBF, 0.02, x, square, N, 16, 48, got, 40);
    for (int i = 0; i < N; i++)
        for (int j = 11; j < N; j++) {
            double sum = 0;
            for (int d = 0; d < DIM; d++)
                sum += (x[i * DIM + d] - x[j * DIM + d]) * (x[i * DIM + d] - x[j * DIM + d]);
            assert_true(fabs(got[i * 40 + j - 11] - exp(-0.02 * sum)) < 1e-14);
        }
    nn_svm_panels_free(&panels);
}

/* Two overlapping clouds, of which the true probability of each point is known. */
static void draw_clouds(float *x, int *y, double *truth, int n, bl_rng *rng)
{
    for (int i = 0; i < n; i++) {
        y[i] = i % 2;
        x[2 * i] = (float)(bl_rng_normal(rng) + (y[i] ? 1 : -1));
        x[2 * i + 1] = (float)bl_rng_normal(rng);
        truth[i] = 1 / (1 + exp(-2 * (double)x[2 * i]));
    }
}

static void probabilities_are_calibrated(void **state)
{
    enum { N = 600 };
    float x[2 * N];
    int y[N];
    double truth[N], p[2 * N], error = 0;
    bl_error err = { 0 };
    bl_rng rng;
    (void)state;
    bl_rng_seed(&rng, 11);
    draw_clouds(x, y, truth, N, &rng);
    nn_svm *s = nn_svm_train(x, N, 2, y, 2, NULL, &(nn_svm_opt){ .kernel = NN_SVM_LINEAR, .probability = 1 }, &err);
    assert_non_null(s);
    draw_clouds(x, y, truth, N, &rng);
    nn_svm_predict(s, x, N, NULL, p);
    for (int i = 0; i < N; i++)
        error += fabs(p[2 * i + 1] - truth[i]) / N;
    assert_true(error < 0.05);
    nn_svm_free(s);
}

static void search_finds_the_kernel_width_of_a_chessboard(void **state)
{
    enum { N = 240 };
    const double C[] = { 0.1, 10 }, gamma[] = { 1e-4, 2.0, 1000 };
    float x[2 * N];
    int y[N];
    double scores[6];
    nn_svm_opt opt = { .kernel = NN_SVM_RBF };
    bl_error err = { 0 };
    bl_rng rng;
    (void)state;
    bl_rng_seed(&rng, 4);
    for (int i = 0; i < N; i++) {
        x[2 * i] = (float)(4 * bl_rng_uniform(&rng));
        x[2 * i + 1] = (float)(2 * bl_rng_uniform(&rng));
        y[i] = ((int)x[2 * i] + (int)x[2 * i + 1]) % 2;
    }
    for (int i = 0; i < 6; i++)
        scores[i] = -1;
    assert_int_equal(nn_svm_search(x, N, 2, y, 2, NULL, &(nn_svm_grid){ C, gamma, 2, 3, 5 }, &opt, scores, NULL, NULL, &err),
                     BL_OK);
    assert_true(opt.C > 1 && opt.gamma > 1 && opt.gamma < 100);
    assert_true(scores[4] > 0.85 && scores[3] < 0.8);
}

static void folds_keep_groups_together_and_classes_even(void **state)
{
    enum { N = 300, GROUPS = 30 };
    int labels[N], groups[N], fold[N], of_group[GROUPS], count[3][5] = { { 0 } };
    bl_error err = { 0 };
    (void)state;
    for (int i = 0; i < N; i++) {
        groups[i] = i % GROUPS;
        labels[i] = groups[i] % 3;
    }
    /* One class has but one group. */
    for (int i = 0; i < N; i++)
        labels[i] = groups[i] == 7 ? 2 : labels[i] % 2;
    assert_int_equal(nn_svm_folds(N, labels, 3, groups, 5, 1, fold, &err), BL_OK);
    memset(of_group, -1, sizeof of_group);
    for (int i = 0; i < N; i++) {
        assert_in_range(fold[i], 0, 4);
        count[labels[i]][fold[i]]++;
        if (groups[i] == 7)
            continue;
        if (of_group[groups[i]] < 0)
            of_group[groups[i]] = fold[i];
        assert_int_equal(of_group[groups[i]], fold[i]);
    }
    for (int k = 0; k < 5; k++) {
        assert_int_equal(count[2][k], 2);
        assert_true(count[1][k] > 0);
    }
}

static void thread_count_changes_no_bit(void **state)
{
    data d = load();
    const int threads = omp_get_max_threads();
    const nn_svm_opt opt = { .kernel = NN_SVM_RBF, .probability = 1, .standardise = 1, .seed = 3 };
    double *p[2];
    bl_error err = { 0 };
    (void)state;
    for (int run = 0; run < 2; run++) {
        omp_set_num_threads(run ? 4 : 1);
        nn_svm *s = nn_svm_train(d.x, d.n, d.dim, d.y, 4, NULL, &opt, &err);
        assert_non_null(s);
        p[run] = malloc((size_t)(4 * d.n_test) * sizeof(double));
        nn_svm_predict(s, d.test, d.n_test, NULL, p[run]);
        nn_svm_free(s);
    }
    omp_set_num_threads(threads);
    assert_memory_equal(p[0], p[1], (size_t)(4 * d.n_test) * sizeof(double));
    free(p[0]);
    free(p[1]);
    unload(&d);
}

static void a_saved_model_predicts_the_same(void **state)
{
    const char *path = "/tmp/backline_test_svm.h5";
    data d = load();
    const nn_svm_opt opt = { .kernel = NN_SVM_RBF, .probability = 1, .standardise = 1 };
    double *p = malloc((size_t)(4 * d.n_test) * sizeof *p), *q = malloc((size_t)(4 * d.n_test) * sizeof *q);
    bl_error err = { 0 };
    (void)state;
    nn_svm *s = nn_svm_train(d.x, d.n, d.dim, d.y, 4, NULL, &opt, &err);
    assert_non_null(s);
    nn_checkpoint *c = nn_checkpoint_create(path, "svm_test", &err);
    nn_svm_save(s, c, "svm", &err);
    assert_int_equal(nn_checkpoint_commit(c, &err), BL_OK);
    c = nn_checkpoint_open(path, "svm_test", &err);
    assert_non_null(c);
    nn_svm *loaded = nn_svm_load(c, "svm", &err);
    assert_non_null(loaded);
    nn_svm_predict(s, d.test, d.n_test, NULL, p);
    nn_svm_predict(loaded, d.test, d.n_test, NULL, q);
    assert_memory_equal(p, q, (size_t)(4 * d.n_test) * sizeof *p);
    assert_null(nn_svm_load(c, "other", &err));
    nn_checkpoint_free(c);
    nn_svm_free(s);
    nn_svm_free(loaded);
    free(p);
    free(q);
    unload(&d);
    unlink(path);
}

static void bad_input_is_one_sentence(void **state)
{
    float x[4] = { 1, 2, 3, 4 };
    bl_error err = { 0 };
    (void)state;
    assert_null(nn_svm_train(x, 4, 1, (int[]){ 0, 0, 0, 0 }, 2, NULL, &(nn_svm_opt){ .C = 1 }, &err));
    assert_int_equal(err.code, BL_EARG);
    assert_non_null(strstr(err.msg, "class 1"));
    bl_error_clear(&err);
    assert_null(nn_svm_train(x, 4, 1, (int[]){ 0, 1, 0, 5 }, 2, NULL, &(nn_svm_opt){ .C = 1 }, &err));
    bl_error_clear(&err);
    x[1] = NAN;
    assert_null(nn_svm_train(x, 4, 1, (int[]){ 0, 1, 0, 1 }, 2, NULL, &(nn_svm_opt){ .C = 1 }, &err));
    assert_int_equal(err.code, BL_ENAN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rbf_decisions_equal_libsvm),
        cmocka_unit_test(linear_decisions_equal_libsvm),
        cmocka_unit_test(class_weights_equal_libsvm),
        cmocka_unit_test(a_small_cache_changes_no_decision),
        cmocka_unit_test(coupling_solves_the_system_of_wu_lin_and_weng),
        cmocka_unit_test(sigmoids_equal_platts_by_another_optimiser),
        cmocka_unit_test(probabilities_equal_libsvms_with_its_sigmoids),
        cmocka_unit_test(kernel_values_are_exact_to_double),
        cmocka_unit_test(probabilities_are_calibrated),
        cmocka_unit_test(search_finds_the_kernel_width_of_a_chessboard),
        cmocka_unit_test(folds_keep_groups_together_and_classes_even),
        cmocka_unit_test(thread_count_changes_no_bit),
        cmocka_unit_test(a_saved_model_predicts_the_same),
        cmocka_unit_test(bad_input_is_one_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
