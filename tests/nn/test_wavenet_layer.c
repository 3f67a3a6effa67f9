/* nn/ops/wavenet_layer.c: the kernels of its gradient against the layer built from single ops, values too, at sizes with
 * partial tiles, several examples, taps that reach beyond both ends, and sums longer than a chunk. (tests/nn/test_ops.c
 * checks the op by itself against differences, to second order.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "nn/ops.h"

#include <math.h>
#include <omp.h>
#include <string.h>

enum { N_IN = 8 };

typedef struct layer {
    int B, T, C, S, K, D, first;
    nn_wavenet_layer_opt opt;
    int H; /* a response of stretch + 2 H */
} layer;

static const layer layers[] = {
    { 1, 1, 1, 1, 1, 0, 1, { 1, 0, 0, 1, 0 }, 0 },      { 2, 100, 3, 5, 2, 0, 1, { 4, 4, 0, 1, 0 }, 0 },
    { 3, 97, 4, 4, 3, 2, 0, { 8, 8, 0, 0.7, 0 }, 0 },   { 2, 96, 5, 2, 2, 3, 0, { 1, 1, 1, 1, 0 }, 0 },
    { 1, 40, 4, 3, 3, 1, 0, { 64, 64, 0, 1, 0 }, 0 },   { 2, 333, 24, 16, 5, 7, 0, { 3, 6, 1, 0.7, 0 }, 0 },
    { 2, 300, 6, 5, 3, 4, 0, { 2, 2, 0, 0.7, 4 }, 4 }, { 1, 404, 6, 5, 2, 3, 0, { 1, 1, 1, 1, 4 }, 30 },
    { 2, 35, 3, 2, 2, 2, 1, { 1, 1, 0, 1, 5 }, 0 }, { 1, 512, 4, 3, 3, 2, 0, { 2, 2, 0, 1, 256 }, 300 },
    { 1, 100, 3, 2, 2, 2, 0, { 1, 1, 0, 1, 1 }, 2 }, /* too many values for a tile: op by op */
    { 1, 201, 200, 9, 3, 2, 0, { 2, 4, 0, 0.7, 0 }, 0 }, { 1, 50, 20, 8, 2, 0, 1, { 4, 0, 1, 1, 0 }, 0 },
};

static nn_node *leaf(nn_tape *t, nn_shape shape, double scale)
{
    nn_node *noise = nn_randn(t, shape), *x = nn_leaf(t, shape, noise->x);
    for (int64_t i = 0; i < nn_count(&shape); i++)
        x->x[i] *= (real)scale;
    return x;
}

static void inputs(nn_tape *t, const layer *l, nn_node **in)
{
    const int R = l->opt.last ? 0 : l->C;
    bl_rng_seed(&t->rng, 7);
    in[0] = leaf(t, nn_shape_of(3, l->B, l->first ? l->C : l->C + l->S, l->T), 1);
    in[1] = leaf(t, nn_shape_of(3, 2 * l->C, l->C, l->K), 1 / sqrt(l->C * l->K));
    in[2] = leaf(t, nn_shape_of(1, 2 * l->C), 0.3);
    in[3] = leaf(t, nn_shape_of(3, R + l->S, l->C, 1), 1 / sqrt(l->C));
    in[4] = leaf(t, nn_shape_of(1, R + l->S), 0.3);
    in[5] = l->D ? leaf(t, nn_shape_of(3, l->B, l->D, l->T / (l->opt.stretch ? l->opt.stretch : 1)), 1) : NULL;
    in[6] = l->D ? leaf(t, nn_shape_of(3, 2 * l->C, l->D, 1), 1 / sqrt(l->D)) : NULL;
    in[7] = l->opt.stretch ? leaf(t, nn_shape_of(3, 1, 1, l->opt.stretch + 2 * l->H), 0.5) : NULL;
}

/* Each value spread over its samples, with what it does to samples around them. */
static nn_node *spread(nn_tape *t, const layer *l, nn_node *u, nn_node *response)
{
    const int64_t s = l->opt.stretch, F = u->shape.dim[2], n = F * s + 2 * l->H;
    nn_node *sum = nn_full(t, nn_shape_of(3, u->shape.dim[0], u->shape.dim[1], n), 0);
    for (int64_t f = 0; f < F; f++)
        sum = nn_add(t, sum, nn_pad(t, nn_mul(t, nn_slice(t, u, 2, f, f + 1), response), 2, f * s, n - f * s - s - 2 * l->H));
    return nn_slice(t, sum, 2, l->H, l->H + F * s);
}

/* As the layer's definition has it. */
static nn_node *by_ops(nn_tape *t, const layer *l, nn_node *const *in)
{
    const int R = l->opt.last ? 0 : l->C, reach = l->opt.dilation * (l->K - 1);
    nn_node *x = nn_slice(t, in[0], 1, 0, l->C);
    nn_node *padded = nn_pad(t, x, 2, l->opt.pad_left, reach); /* more behind than needed: the end is cut off */
    nn_node *z = nn_slice(t, nn_conv1d(t, padded, in[1], in[2], (nn_conv1d_opt){ .dilation = l->opt.dilation }), 2, 0, l->T);
    if (l->D) {
        nn_node *u = nn_conv1d(t, in[5], in[6], NULL, (nn_conv1d_opt){ 0 });
        z = nn_add(t, z, in[7] ? spread(t, l, u, in[7]) : u);
    }
    nn_node *g = nn_mul(t, nn_tanh(t, nn_slice(t, z, 1, 0, l->C)), nn_sigmoid(t, nn_slice(t, z, 1, l->C, 2 * l->C)));
    nn_node *out = nn_conv1d(t, g, in[3], in[4], (nn_conv1d_opt){ 0 });
    nn_node *sum = nn_slice(t, out, 1, R, R + l->S);
    if (!l->first)
        sum = nn_add(t, sum, nn_slice(t, in[0], 1, l->C, l->C + l->S));
    if (!R)
        return sum;
    x = nn_affine(t, nn_add(t, x, nn_slice(t, out, 1, 0, R)), l->opt.scale, 0);
    return nn_concat(t, 1, 2, (nn_node *const[]){ x, sum });
}

static nn_node *fused(nn_tape *t, const layer *l, nn_node *const *in)
{
    return nn_wavenet_layer(t, in[0], in[1], in[2], in[3], in[4], in[5], in[6], in[7], l->opt);
}

static void close_to(const nn_node *x, const nn_node *want, const layer *l, int which)
{
    double largest = 1e-30, worst = 0;
    const double tolerance = sizeof(real) == 8 ? 1e-12 : 1e-5;
    assert_non_null(x);
    assert_non_null(want);
    assert_int_equal(nn_count(&x->shape), nn_count(&want->shape));
    for (int64_t i = 0; i < nn_count(&x->shape); i++) {
        largest = fmax(largest, fabs((double)want->x[i]));
        worst = fmax(worst, fabs((double)x->x[i] - (double)want->x[i]));
    }
    if (!(worst <= tolerance * largest))
        fail_msg("B %d, T %d, C %d: %s %d differs by %g of %g", l->B, l->T, l->C, which < 0 ? "value" : "gradient", which, worst, largest);
}

static void values_and_gradients_are_those_of_the_single_ops(void **state)
{
    (void)state;
    bl_error err = { BL_OK, "" };
    nn_tape *t = nn_tape_new(&err);
    assert_non_null(t);
    for (size_t k = 0; k < sizeof layers / sizeof *layers; k++) {
        const layer *l = &layers[k];
        const int n = !l->D ? 5 : l->opt.stretch ? 8 : 7;
        nn_node *in[N_IN], *g[2][N_IN], *y[2];
        nn_tape_reset(t);
        inputs(t, l, in);
        for (int way = 0; way < 2; way++) {
            y[way] = way ? by_ops(t, l, in) : fused(t, l, in);
            assert_int_equal(t->err.code, BL_OK);
            nn_tape_record(t, 0);
            bl_rng_seed(&t->rng, 11);
            nn_node *dy = nn_randn(t, y[way]->shape);
            nn_tape_record(t, 1);
            nn_grad(t, y[way], dy, n, in, g[way], 0);
            assert_int_equal(t->err.code, BL_OK);
        }
        close_to(y[0], y[1], l, -1);
        for (int i = 0; i < n; i++)
            close_to(g[0][i], g[1][i], l, i);
    }
    nn_tape_free(t);
}

static void bits_do_not_depend_on_the_thread_count(void **state)
{
    (void)state;
    bl_error err = { BL_OK, "" };
    nn_tape *t = nn_tape_new(&err);
    const layer l = { 2, 3000, 24, 16, 3, 7, 0, { 8, 8, 0, 0.7, 4 }, 4 };
    const int threads = omp_get_max_threads();
    static real first[1000000];
    assert_non_null(t);
    for (int n = 1; n <= 3; n++) {
        nn_node *in[N_IN], *g[N_IN];
        omp_set_num_threads(n);
        nn_tape_reset(t);
        inputs(t, &l, in);
        nn_node *y = fused(t, &l, in);
        nn_grad(t, y, NULL, N_IN, in, g, 0);
        assert_int_equal(t->err.code, BL_OK);
        int64_t at = 0;
        for (int i = -1; i < N_IN; i++) {
            const nn_node *x = i < 0 ? y : g[i];
            const int64_t count = nn_count(&x->shape);
            assert_true(at + count <= (int64_t)(sizeof first / sizeof *first));
            if (n == 1)
                memcpy(first + at, x->x, (size_t)count * sizeof *first);
            else
                assert_memory_equal(first + at, x->x, (size_t)count * sizeof *first);
            at += count;
        }
    }
    omp_set_num_threads(threads);
    nn_tape_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_and_gradients_are_those_of_the_single_ops),
        cmocka_unit_test(bits_do_not_depend_on_the_thread_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
