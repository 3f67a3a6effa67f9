/* Matrix products: against sums in double, all transpositions, ragged sizes, strides; all kernels; threads; packed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/rng.h"
#include "nn/gemm.h"
#include "nn/kernel/kernel.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

static const char *const kernels[] = { "avx512", "avx2", "generic" };
enum { N_KERNELS = 3 };

/* 0 when this processor does not have it. */
static int use(const char *kernel)
{
    return nn_kernel_choose(kernel, NULL) == BL_OK;
}

/* Exactly as large as it says, so that sanitizers see every step outside. */
static real *random_values(int64_t n, bl_rng *rng)
{
    real *x = malloc((size_t)(n > 0 ? n : 1) * sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < n; i++)
        x[i] = (real)(2 * bl_rng_uniform(rng) - 1);
    return x;
}

typedef struct product {
    int     ta, tb;
    int64_t m, n, k, lda, ldb, ldc;
    real    alpha, beta, *a, *b, *c;
} product;

static product make(int ta, int tb, int64_t m, int64_t n, int64_t k, int64_t gap, bl_rng *rng)
{
    product p = { .ta = ta, .tb = tb, .m = m, .n = n, .k = k, .lda = (ta ? m : k) + gap, .ldb = (tb ? k : n) + gap,
                  .ldc = n + gap, .alpha = 1 };
    p.a = random_values(((ta ? k : m) - 1) * p.lda + (ta ? m : k), rng);
    p.b = random_values(((tb ? n : k) - 1) * p.ldb + (tb ? k : n), rng);
    p.c = random_values((m - 1) * p.ldc + n, rng);
    return p;
}

static void discard(product *p)
{
    free(p->a);
    free(p->b);
    free(p->c);
}

static size_t c_bytes(const product *p)
{
    return (size_t)((p->m - 1) * p->ldc + p->n) * sizeof(real);
}

static void run(const product *p, real *c)
{
    nn_gemm(p->ta, p->tb, p->m, p->n, p->k, p->alpha, p->a, p->lda, p->b, p->ldb, p->beta, c, p->ldc);
}

/* Runs p on a copy of C, compares all of C, gaps included, with sums in double. */
static void check(const product *p, const char *kernel)
{
    const double tolerance = sizeof(real) == 8 ? 1e-14 : 4e-7;
    real *c = malloc(c_bytes(p));
    assert_non_null(c);
    memcpy(c, p->c, c_bytes(p));
    run(p, c);
    for (int64_t i = 0; i < p->m; i++)
        for (int64_t j = 0; j < (i + 1 < p->m ? p->ldc : p->n); j++) {
            const double old = (double)p->c[i * p->ldc + j], got = (double)c[i * p->ldc + j];
            double sum = 0, size = 1;
            for (int64_t l = 0; l < p->k && j < p->n; l++) {
                const double term = (double)(p->ta ? p->a[l * p->lda + i] : p->a[i * p->lda + l])
                                    * (double)(p->tb ? p->b[j * p->ldb + l] : p->b[l * p->ldb + j]);
                sum += term;
                size += fabs(term);
            }
            const double want = j < p->n ? (double)p->alpha * sum + (double)p->beta * old : old;
            if (!(fabs(got - want) <= tolerance * size))
                fail_msg("%s %d%d %lld x %lld x %lld: C[%lld, %lld] is %g instead of %g", kernel, p->ta, p->tb, (long long)p->m,
                         (long long)p->n, (long long)p->k, (long long)i, (long long)j, got, want);
        }
    free(c);
}

static void products_of_all_sizes_are_right_with_all_kernels(void **state)
{
    static const int64_t sizes[] = { 1, 2, 3, 7, 8, 9, 16, 17, 33, 47, 48, 49, 64, 100 };
    enum { N = sizeof sizes / sizeof *sizes };
    bl_rng rng;
    (void)state;
    bl_rng_seed(&rng, 1);
    for (int v = 0; v < N_KERNELS; v++) {
        if (!use(kernels[v]))
            continue;
        for (int i = 0; i < 400; i++) {
            const int64_t m = sizes[bl_rng_next(&rng) % N], n = sizes[bl_rng_next(&rng) % N];
            const int64_t k = i % 10 ? sizes[bl_rng_next(&rng) % N] : 500 + 30 * (i / 10);
            product p = make(i & 1, i >> 1 & 1, m, n, k, i % 3 ? 0 : 5, &rng);
            p.alpha = i % 5 ? 1 : (real)-0.5;
            p.beta = (real)(i % 4 == 0 ? 0 : i % 4 == 1 ? 1 : 0.25);
            check(&p, kernels[v]);
            discard(&p);
        }
    }
    use(NULL);
}

static void products_larger_than_a_block_are_right(void **state)
{
    static const int64_t shapes[][3] = { { 600, 70, 40 }, { 20, 900, 33 }, { 530, 400, 30 }, { 3, 5, 3000 }, { 64, 64, 0 } };
    bl_rng rng;
    (void)state;
    bl_rng_seed(&rng, 2);
    for (int v = 0; v < N_KERNELS; v++)
        for (int i = 0; i < 20 && use(kernels[v]); i++) {
            product p = make(i & 1, i >> 1 & 1, shapes[i / 4][0], shapes[i / 4][1], shapes[i / 4][2], i % 3, &rng);
            p.beta = (real)(i % 2);
            check(&p, kernels[v]);
            discard(&p);
        }
    use(NULL);
}

static void infinities_beside_a_product_do_not_leak_into_it(void **state)
{
    bl_rng rng;
    (void)state;
    bl_rng_seed(&rng, 3);
    product p = make(0, 0, 20, 21, 40, 11, &rng);
    for (int64_t i = 0; i + 1 < p.k; i++) /* the gaps of B, which tiles may read but not use */
        for (int64_t j = p.n; j < p.ldb; j++)
            p.b[i * p.ldb + j] = (real)INFINITY;
    check(&p, "best");
    discard(&p);
}

static void avx2_and_avx512_and_any_number_of_threads_give_the_same_bits(void **state)
{
    bl_rng rng;
    const int threads = omp_get_max_threads();
    (void)state;
    bl_rng_seed(&rng, 4);
    for (int i = 0; i < 12; i++) {
        product p = make(i & 1, i >> 1 & 1, i < 4 ? 300 : 17, i < 8 ? 333 : 77, i < 8 ? 700 : 5000, 0, &rng);
        real *first = NULL;
        for (int v = 0; v < 2; v++)
            for (int n = 1; n <= 3 && use(kernels[v]); n++) {
                real *c = malloc(c_bytes(&p));
                omp_set_num_threads(n);
                run(&p, c);
                if (first)
                    assert_memory_equal(c, first, c_bytes(&p));
                if (first)
                    free(c);
                else
                    first = c;
            }
        free(first);
        discard(&p);
    }
    omp_set_num_threads(threads);
    use(NULL);
}

static void packed_products_are_the_same_to_the_bit(void **state)
{
    bl_rng rng;
    (void)state;
    bl_rng_seed(&rng, 5);
    for (int v = 0; v < N_KERNELS; v++)
        for (int i = 0; i < 24 && use(kernels[v]); i++) {
            product p = make(0, i & 1, 1 + 5 * (i / 2), i < 12 ? 50 : 144, i % 3 ? 64 : 1100, i % 4, &rng);
            real *packed = malloc((size_t)nn_gemm_pack_size(p.n, p.k) * sizeof *packed), *c = malloc(c_bytes(&p));
            real *bias = random_values(p.n, &rng), *want = malloc(c_bytes(&p));
            p.beta = (real)(i % 2);
            memcpy(c, p.c, c_bytes(&p));
            memcpy(want, p.c, c_bytes(&p));
            nn_gemm_pack(p.tb, p.n, p.k, p.b, p.ldb, packed);
            nn_gemm_packed(p.m, p.n, p.k, p.a, p.lda, packed, i % 2 ? NULL : bias, i % 2, c, p.ldc);
            if (i % 2)
                run(&p, want);
            else
                nn_gemm_bias(0, p.tb, p.m, p.n, p.k, p.a, p.lda, p.b, p.ldb, bias, want, p.ldc);
            assert_memory_equal(c, want, c_bytes(&p));
            if (i % 2 == 0) { /* and the bias is one */
                p.beta = 0;
                run(&p, want);
                for (int64_t j = 0; j < p.n; j++)
                    assert_true(fabs((double)(c[j] - want[j] - bias[j])) < 1e-5);
            }
            free(packed);
            free(c);
            free(want);
            free(bias);
            discard(&p);
        }
    use(NULL);
}

static void unknown_kernels_are_refused_with_a_sentence(void **state)
{
    bl_error err = { BL_OK, "" };
    (void)state;
    assert_int_equal(nn_kernel_choose("avx1024", &err), BL_EARG);
    assert_non_null(strstr(err.msg, "avx1024"));
    assert_non_null(strstr(err.msg, "avx512, avx2 and generic"));
    assert_true(use("generic"));
    assert_string_equal(nn_kernel_get()->name, "generic");
    assert_true(use(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_of_all_sizes_are_right_with_all_kernels),
        cmocka_unit_test(products_larger_than_a_block_are_right),
        cmocka_unit_test(infinities_beside_a_product_do_not_leak_into_it),
        cmocka_unit_test(avx2_and_avx512_and_any_number_of_threads_give_the_same_bits),
        cmocka_unit_test(packed_products_are_the_same_to_the_bit),
        cmocka_unit_test(unknown_kernels_are_refused_with_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
