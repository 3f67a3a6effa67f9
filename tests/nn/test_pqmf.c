/* The sub-band filter bank: what comes back, what lies in which band, and its gradient. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "nn/pqmf.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double PI = 3.14159265358979323846;

typedef struct setup {
    nn_pqmf  p;
    nn_tape *t;
    int      n_bands;
} setup;

static setup make(int n_bands)
{
    bl_error err = { BL_OK, "" };
    setup s = { { .n_bands = n_bands }, nn_tape_new(&err), n_bands };
    assert_true(s.t && nn_pqmf_check(&s.p, &err) == BL_OK);
    return s;
}

static void end(setup *s)
{
    nn_tape_free(s->t);
}

static real *noise(int64_t n, uint64_t seed)
{
    bl_rng rng;
    real *x = malloc((size_t)n * sizeof *x);
    bl_rng_seed(&rng, seed);
    for (int64_t i = 0; i < n; i++)
        x[i] = (real)(0.3 * bl_rng_normal(&rng));
    return x;
}

static real *sine(int64_t n, double radians)
{
    real *x = malloc((size_t)n * sizeof *x);
    for (int64_t i = 0; i < n; i++)
        x[i] = (real)sin(radians * (double)i);
    return x;
}

static nn_node *there_and_back(setup *s, real *x, int64_t n)
{
    nn_tape_reset(s->t);
    nn_node *y = nn_pqmf_synthesis(&s->p, s->t, nn_pqmf_analysis(&s->p, s->t, nn_borrow(s->t, (nn_shape){ 2, { 1, n } }, x)));
    assert_non_null(y);
    assert_int_equal(y->shape.dim[1], n);
    return y;
}

/* Difference to x in dB below x, the filters' edges left out. */
static double error_db(const nn_node *y, const real *x, int64_t n, int64_t edge)
{
    double error = 0, power = 0;
    for (int64_t i = edge; i < n - edge; i++) {
        const double d = (double)y->x[i] - (double)x[i];
        error += d * d;
        power += (double)x[i] * (double)x[i];
    }
    return 10 * log10(error / power + 1e-30);
}

static void noise_comes_back(void **state)
{
    static const int bands[] = { 4, 8, 16, 32 };
    enum { N = 8192 };
    (void)state;
    for (int i = 0; i < 4; i++) {
        setup s = make(bands[i]);
        real *x = noise(N, 1);
        const double db = error_db(there_and_back(&s, x, N), x, N, 8 * bands[i]);
        if (!(db < -50))
            fail_msg("%d bands: %g dB", bands[i], db);
        free(x);
        end(&s);
    }
}

/* With the settings that Multi-band MelGAN publishes, and with the best cutoff for as many taps. */
static void longer_filters_bring_more_back(void **state)
{
    enum { N = 8192 };
    static const nn_pqmf published = { 4, 62, 0.142, 9 }, best = { 4, 62, 0, 9 };
    double db[2];
    (void)state;
    setup s = make(4);
    for (int i = 0; i < 2; i++) {
        real *x = noise(N, 1);
        s.p = i ? best : published;
        db[i] = error_db(there_and_back(&s, x, N), x, N, 64);
        free(x);
    }
    if (!(db[0] < -62 && db[1] < -60))
        fail_msg("published %g dB, best %g dB", db[0], db[1]);
    end(&s);
}

static void sines_come_back_wherever_they_lie(void **state)
{
    enum { N = 8192, BANDS = 16 };
    double worst = -1000;
    (void)state;
    setup s = make(BANDS);
    for (int k = 1; k < 64; k++) { /* band edges (k a multiple of 4) and centres among them */
        real *x = sine(N, PI * (k + 0.003) / 64);
        worst = fmax(worst, error_db(there_and_back(&s, x, N), x, N, 8 * BANDS));
        free(x);
    }
    if (!(worst < -45))
        fail_msg("%g dB", worst);
    end(&s);
}

/* What comes out at other frequencies than the one that went in: each band alone folds them, all together must cancel them. */
static void aliases_of_neighbouring_bands_cancel(void **state)
{
    enum { N = 8192, BANDS = 16 };
    (void)state;
    setup s = make(BANDS);
    for (int k = 0; k < 4; k++) {
        const double w = PI * (5 + k / 4.0 + 0.1) / BANDS;
        real *x = sine(N, w);
        const nn_node *y = there_and_back(&s, x, N);
        /* least squares of a sine and a cosine of that frequency; the rest is alias */
        double ss = 0, sc = 0, cc = 0, ys = 0, yc = 0, rest = 0, power = 0;
        for (int64_t i = 256; i < N - 256; i++) {
            const double a = sin(w * (double)i), b = cos(w * (double)i), v = (double)y->x[i];
            ss += a * a;
            sc += a * b;
            cc += b * b;
            ys += v * a;
            yc += v * b;
        }
        const double det = ss * cc - sc * sc, p = (ys * cc - yc * sc) / det, q = (yc * ss - ys * sc) / det;
        for (int64_t i = 256; i < N - 256; i++) {
            const double v = (double)y->x[i], r = v - p * sin(w * (double)i) - q * cos(w * (double)i);
            rest += r * r;
            power += v * v;
        }
        if (!(10 * log10(rest / power + 1e-30) < -45))
            fail_msg("aliases at %g dB", 10 * log10(rest / power));
        free(x);
    }
    end(&s);
}

static void a_sine_stays_in_its_band_and_the_next(void **state)
{
    enum { N = 4096, BANDS = 16 };
    (void)state;
    setup s = make(BANDS);
    for (int k = 0; k < BANDS; k++) {
        double own = 0, far = 0;
        real *x = sine(N, PI * (k + 0.5) / BANDS);
        nn_tape_reset(s.t);
        const nn_node *y = nn_pqmf_analysis(&s.p, s.t, nn_borrow(s.t, (nn_shape){ 2, { 1, N } }, x));
        assert_int_equal(y->shape.dim[1], BANDS);
        assert_int_equal(y->shape.dim[2], N / BANDS);
        for (int b = 0; b < BANDS; b++)
            for (int64_t i = 8; i < N / BANDS - 8; i++) {
                const double v = (double)y->x[b * (N / BANDS) + i];
                *(b == k ? &own : &far) += abs(b - k) == 1 ? 0 : v * v;
            }
        /* power is kept: N/BANDS samples of the band hold what N samples of 1/2 hold */
        assert_true(fabs(own / ((N / BANDS - 16) * BANDS * 0.5) - 1) < 0.02);
        if (!(10 * log10(far / own) < -60))
            fail_msg("band %d: %g dB elsewhere", k, 10 * log10(far / own));
        free(x);
    }
    end(&s);
}

static void a_batch_is_its_examples(void **state)
{
    enum { N = 512, BANDS = 8 };
    (void)state;
    setup s = make(BANDS);
    real *x = noise(2 * N, 3);
    nn_node *both = nn_pqmf_analysis(&s.p, s.t, nn_borrow(s.t, (nn_shape){ 2, { 2, N } }, x));
    nn_node *one = nn_pqmf_analysis(&s.p, s.t, nn_borrow(s.t, (nn_shape){ 2, { 1, N } }, x + N));
    for (int64_t i = 0; i < N; i++)
        assert_true(fabs((double)(both->x[N + i] - one->x[i])) < 1e-6);
    free(x);
    end(&s);
}

/* <A x, u> = <x, A' u>: the gradient against the definition of an adjoint, which holds in float too. */
static void gradients_are_adjoints(void **state)
{
    enum { N = 256, BANDS = 4 };
    const double tolerance = sizeof(real) == 8 ? 1e-12 : 2e-5;
    (void)state;
    setup s = make(BANDS);
    real *x = noise(N, 4), *u = noise(N, 5);
    for (int back = 0; back < 2; back++) {
        const nn_shape wave = { 2, { 1, N } }, bands = { 3, { 1, BANDS, N / BANDS } };
        double forward = 0, backward = 0, size = 0;
        nn_node *gradient = NULL;
        nn_tape_reset(s.t);
        nn_node *leaf = nn_leaf(s.t, back ? bands : wave, x);
        nn_node *y = back ? nn_pqmf_synthesis(&s.p, s.t, leaf) : nn_pqmf_analysis(&s.p, s.t, leaf);
        nn_grad(s.t, y, nn_input_real(s.t, back ? wave : bands, u), 1, &leaf, &gradient, 0);
        assert_non_null(gradient);
        for (int64_t i = 0; i < N; i++) {
            forward += (double)y->x[i] * (double)u[i];
            backward += (double)gradient->x[i] * (double)x[i];
            size += fabs((double)y->x[i] * (double)u[i]);
        }
        assert_true(fabs(forward - backward) < tolerance * size);
    }
    free(x);
    free(u);
    end(&s);
}

#ifdef BL_F64
static double loss_of(setup *s, const real *x, int64_t n, nn_node **leaf)
{
    nn_tape_reset(s->t);
    *leaf = nn_leaf(s->t, (nn_shape){ 2, { 1, n } }, x);
    /* bent in the sub-bands, so that the gradient depends on x */
    nn_node *bands = nn_tanh(s->t, nn_pqmf_analysis(&s->p, s->t, *leaf));
    nn_node *loss = nn_sum(s->t, nn_square(s->t, nn_pqmf_synthesis(&s->p, s->t, bands)));
    nn_keep(loss);
    return (double)loss->x[0];
}

static void gradients_agree_with_differences(void **state)
{
    enum { N = 128, BANDS = 4 };
    const double h = 1e-6;
    (void)state;
    setup s = make(BANDS);
    real *x = noise(N, 6);
    double gradient[N];
    nn_node *leaf, *g = NULL;
    loss_of(&s, x, N, &leaf);
    nn_grad(s.t, s.t->last, NULL, 1, &leaf, &g, 0);
    assert_non_null(g);
    for (int i = 0; i < N; i++)
        gradient[i] = g->x[i];
    for (int i = 0; i < N; i += 7) {
        const real old = x[i];
        x[i] = old + h;
        const double up = loss_of(&s, x, N, &leaf);
        x[i] = old - h;
        const double down = loss_of(&s, x, N, &leaf);
        x[i] = old;
        assert_true(fabs((up - down) / (2 * h) - gradient[i]) < 1e-6 * (1 + fabs(gradient[i])));
    }
    free(x);
    end(&s);
}
#endif

static void what_does_not_fit_is_refused(void **state)
{
    bl_error err = { BL_OK, "" };
    (void)state;
    static const nn_pqmf bad[] = { { 4, 31, 0, 0 }, { 1, 8, 0, 0 }, { 4, 6, 0, 0 }, { 4, 62, 1.5, 9 }, { 4, 62, 0.1, 1000 }, { 4, 100000, 0, 0 } };
    for (int i = 0; i < 6; i++) {
        bl_error_clear(&err);
        assert_int_equal(nn_pqmf_check(&bad[i], &err), BL_EARG);
    }
    setup s = make(4);
    real *x = noise(30, 1);
    assert_null(nn_pqmf_analysis(&s.p, s.t, nn_borrow(s.t, (nn_shape){ 2, { 1, 30 } }, x)));
    assert_int_equal(s.t->err.code, BL_ESHAPE);
    assert_non_null(strstr(s.t->err.msg, "multiple of 4"));
    assert_null(nn_pqmf_synthesis(&s.p, s.t, NULL)); /* sticky */
    nn_tape_reset(s.t);
    assert_null(nn_pqmf_synthesis(&s.p, s.t, nn_borrow(s.t, (nn_shape){ 3, { 1, 3, 10 } }, x)));
    assert_int_equal(s.t->err.code, BL_ESHAPE);
    free(x);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(noise_comes_back),
        cmocka_unit_test(longer_filters_bring_more_back),
        cmocka_unit_test(sines_come_back_wherever_they_lie),
        cmocka_unit_test(aliases_of_neighbouring_bands_cancel),
        cmocka_unit_test(a_sine_stays_in_its_band_and_the_next),
        cmocka_unit_test(a_batch_is_its_examples),
        cmocka_unit_test(gradients_are_adjoints),
#ifdef BL_F64
        cmocka_unit_test(gradients_agree_with_differences),
#endif
        cmocka_unit_test(what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
