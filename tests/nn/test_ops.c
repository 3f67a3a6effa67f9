/* Every op in the registry on its own examples: gradients of first and second order against differences (in
 * BUILD=f64, where they can be told apart from rounding), bits at several thread counts, and shapes that do not fit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "nn/fastmath.h"
#include "nn/ops.h"
#include "nn/params.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ATTR = 256, MAX_TENSORS = NN_MAX_IN + 1 };

/* A tensor of an example: shape, values, range. */
typedef struct tensor {
    nn_shape shape;
    double   low, high;
    real    *x;
} tensor;

typedef struct example {
    const nn_op *op;
    tensor       in[MAX_TENSORS]; /* the inputs, then dy */
    int          n;
    _Alignas(16) char attr[MAX_ATTR];
} example;

static void fill(tensor *t, bl_rng *rng)
{
    const int64_t n = nn_count(&t->shape);
    free(t->x);
    t->x = malloc((size_t)(n > 0 ? n : 1) * sizeof *t->x);
    assert_non_null(t->x);
    for (int64_t i = 0; i < n; i++)
        t->x[i] = (real)(t->low + (t->high - t->low) * bl_rng_uniform(rng));
}

static int parse_example(const nn_op *op, const char *text, example *e)
{
    const char *c = text;
    memset(e, 0, sizeof *e);
    e->op = op;
    while (*c && *c != ';') {
        tensor *t = &e->in[e->n];
        int length;
        c += strspn(c, " ");
        if (*c != '[' || e->n == NN_MAX_IN)
            return 0;
        for (c++; *c && *c != ']'; c += *c == ',') {
            long long dim;
            if (t->shape.rank == NN_MAX_RANK || sscanf(c, "%lld%n", &dim, &length) != 1)
                return 0;
            t->shape.dim[t->shape.rank++] = dim;
            c += length;
        }
        c++;
        t->low = -1;
        t->high = 1;
        if (*c == ':') {
            char low[32] = "";
            const char *dots = strstr(c, ".."); /* strtod would take the first dot for its own */
            char *end;
            if (!dots || dots - c > 31)
                return 0;
            memcpy(low, c + 1, (size_t)(dots - c - 1));
            t->low = strtod(low, NULL);
            t->high = strtod(dots + 2, &end);
            c = end;
        }
        e->n++;
        c += strspn(c, " ");
    }
    if (*c == ';')
        c += 1 + strspn(c + 1, " ");
    if (op->attr_size > MAX_ATTR || e->n < op->min_in || e->n > op->max_in)
        return 0;
    return !op->parse || op->parse(c, e->attr);
}

static void free_example(example *e)
{
    for (int i = 0; i < MAX_TENSORS; i++)
        free(e->in[i].x);
}

/* Runs the op on leaves of its own; leaf[n] is dy, filled on first use. NULL on error. */
static nn_node *run_example(nn_tape *t, example *e, bl_rng *rng, nn_node **leaf)
{
    for (int i = 0; i < e->n; i++)
        leaf[i] = nn_leaf(t, e->in[i].shape, e->in[i].x);
    nn_node *y = nn_apply(t, e->op, e->attr, e->n, leaf);
    if (!y)
        return NULL;
    if (!e->in[e->n].x) {
        e->in[e->n] = (tensor){ y->shape, -1, 1, NULL };
        fill(&e->in[e->n], rng);
    }
    leaf[e->n] = nn_leaf(t, y->shape, e->in[e->n].x);
    return y;
}

/* ---- gradients against differences ---- */

#ifdef BL_F64

static double dot(const nn_node *a, const real *b)
{
    double sum = 0;
    for (int64_t i = 0, n = nn_count(&a->shape); i < n; i++)
        sum += (double)a->x[i] * (double)b[i];
    return sum;
}

/* The function whose gradient is checked. Order 1: F = sum(y dy). Order 2: F = sum over inputs of sum(q_i dF1/dx_i).
 * With grad, also its gradient in all tensors (NULL: none). */
static double function(nn_tape *t, example *e, int order, real *const *q, real **grad)
{
    nn_node *leaf[MAX_TENSORS], *g[MAX_TENSORS] = { NULL }, *gg[MAX_TENSORS] = { NULL };
    double value = 0;
    nn_tape_reset(t);
    nn_tape_record(t, 1);
    bl_rng_seed(&t->rng, 5);
    nn_node *y = run_example(t, e, NULL, leaf);
    assert_non_null(y);
    if (order == 1) {
        value = dot(y, e->in[e->n].x);
        if (grad)
            nn_grad(t, y, leaf[e->n], e->n, leaf, gg, 0);
    } else {
        nn_node *sum = NULL;
        nn_grad(t, y, leaf[e->n], e->n, leaf, g, 1);
        for (int i = 0; i < e->n; i++)
            if (g[i] && !(e->op->no_grad >> i & 1)) {
                nn_node *term = nn_sum(t, nn_mul(t, g[i], nn_input_real(t, g[i]->shape, q[i])));
                sum = sum ? nn_add(t, sum, term) : term;
            }
        if (sum) {
            value = (double)sum->x[0];
            if (grad)
                nn_grad(t, sum, NULL, e->n + 1, leaf, gg, 0);
        }
    }
    assert_int_equal(t->err.code, BL_OK);
    for (int i = 0; grad && i <= e->n; i++) {
        const size_t size = (size_t)nn_count(&e->in[i].shape) * sizeof(real);
        memset(grad[i], 0, size);
        if (gg[i])
            memcpy(grad[i], gg[i]->x, size);
    }
    return value;
}

/* Checks one order, element by element and along one random direction. Returns the largest relative error. */
static double check_order(nn_tape *t, example *e, int order, bl_rng *rng)
{
    const double h = 1e-5;
    real *q[MAX_TENSORS] = { NULL }, *grad[MAX_TENSORS] = { NULL }, *direction[MAX_TENSORS] = { NULL };
    const int n = e->n + (order == 2); /* tensors that are moved: in order 2 also dy */
    double worst = 0, along = 0, f[2];
    for (int i = 0; i <= e->n; i++) {
        const size_t count = (size_t)nn_count(&e->in[i].shape) + 1;
        q[i] = malloc(count * sizeof(real));
        grad[i] = malloc(count * sizeof(real));
        direction[i] = malloc(count * sizeof(real));
        for (size_t k = 0; k < count; k++) {
            q[i][k] = 2 * bl_rng_uniform(rng) - 1;
            direction[i][k] = 2 * bl_rng_uniform(rng) - 1;
        }
    }
    function(t, e, order, q, grad);
    for (int i = 0; i < n; i++) {
        if (e->op->no_grad >> i & 1)
            continue;
        for (int64_t k = 0; k < nn_count(&e->in[i].shape); k++) {
            const real old = e->in[i].x[k];
            for (int s = 0; s < 2; s++) {
                e->in[i].x[k] = old + (s ? h : -h);
                f[s] = function(t, e, order, q, NULL);
            }
            e->in[i].x[k] = old;
            const double slope = (f[1] - f[0]) / (2 * h), error = fabs(slope - grad[i][k]) / fmax(1, fabs(slope));
            worst = fmax(worst, error);
            along += grad[i][k] * direction[i][k];
        }
    }
    for (int s = 0; s < 2; s++) {
        for (int step = 0; step < 2; step++) { /* there, and back again */
            for (int i = 0; i < n; i++)
                for (int64_t k = 0; k < nn_count(&e->in[i].shape) && !(e->op->no_grad >> i & 1); k++)
                    e->in[i].x[k] += (step ? -1 : 1) * (s ? h : -h) * direction[i][k];
            if (!step)
                f[s] = function(t, e, order, q, NULL);
        }
    }
    const double slope = (f[1] - f[0]) / (2 * h);
    worst = fmax(worst, fabs(slope - along) / fmax(1, fabs(slope)));
    for (int i = 0; i <= e->n; i++) {
        free(q[i]);
        free(grad[i]);
        free(direction[i]);
    }
    return worst;
}

static void check_gradients(int order)
{
    bl_error err = { BL_OK, "" };
    nn_tape *t = nn_tape_new(&err);
    int failures = 0;
    for (const nn_op *const *op = nn_ops; *op; op++)
        for (const char *const *text = (*op)->examples; text && *text; text++) {
            example e;
            nn_node *leaf[MAX_TENSORS];
            bl_rng rng;
            bl_rng_seed(&rng, bl_hash(0, *text, strlen(*text)));
            if (!parse_example(*op, *text, &e))
                fail_msg("%s: the example \"%s\" cannot be read", (*op)->name, *text);
            for (int i = 0; i < e.n; i++)
                fill(&e.in[i], &rng);
            nn_tape_reset(t);
            if (!run_example(t, &e, &rng, leaf))
                fail_msg("%s: \"%s\": %s", (*op)->name, *text, t->err.msg);
            const double error = check_order(t, &e, order, &rng);
            if (!(error < 1e-7)) {
                print_message("%s \"%s\": error %g in order %d\n", (*op)->name, *text, error, order);
                failures++;
            }
            free_example(&e);
        }
    nn_tape_free(t);
    assert_int_equal(failures, 0);
}

static void every_gradient_agrees_with_differences(void **state)
{
    (void)state;
    check_gradients(1);
}

static void every_gradient_of_a_gradient_agrees_with_differences(void **state)
{
    (void)state;
    check_gradients(2);
}

#else

/* Largest error of f in `n` even steps over low..high, relative or absolute. */
static double worst_error(float (*f)(float), double (*exact)(double), double low, double high, int n, int relative)
{
    double worst = 0;
    for (int i = 0; i <= n; i++) {
        const float x = (float)(low + (high - low) * i / n);
        const double want = exact((double)x), error = fabs((double)f(x) - want);
        worst = fmax(worst, relative && want != 0 ? error / fabs(want) : error);
    }
    return worst;
}

static double exact_sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static void fast_functions_stay_within_their_error(void **state)
{
    static const struct { float (*f)(float); double (*exact)(double); double low, high, most; int relative; } cases[] = {
        { nn_fast_exp, exp, -87, 88.7, 2.5e-7, 1 }, { nn_fast_exp, exp, -1e-3, 1e-3, 2.5e-7, 1 },
        { nn_fast_exp_negative, exp, -87, 0, 2.5e-7, 1 },
        { nn_fast_exp_low, exp, -87, 88, 2.5e-7, 1 }, { nn_fast_exp_low, exp, -1e-3, 1e-3, 2.5e-7, 1 },
        { nn_fast_expm1, expm1, -40, 88.7, 2.5e-7, 1 }, { nn_fast_expm1, expm1, -1e-3, 1e-3, 2.5e-7, 1 },
        { nn_fast_log, log, 1e-30, 1e-3, 2.5e-7, 1 }, { nn_fast_log, log, 1e-3, 3, 2.5e-7, 1 },
        { nn_fast_log, log, 0.99, 1.01, 2.5e-7, 1 }, { nn_fast_log, log, 1, 3e38, 2.5e-7, 1 },
        { nn_fast_log1p, log1p, -0.99, 4, 2.5e-7, 1 }, { nn_fast_log1p, log1p, -1e-3, 1e-3, 2.5e-7, 1 },
        { nn_fast_tanh, tanh, -12, 12, 4e-7, 1 }, { nn_fast_tanh, tanh, -1e-3, 1e-3, 4e-7, 1 },
        { nn_fast_sigmoid, exact_sigmoid, -87, 88.7, 2.5e-7, 1 }, { nn_fast_erf, erf, -6, 6, 4e-7, 1 },
        { nn_fast_erf, erf, -1e-3, 1e-3, 4e-7, 1 }, { nn_fast_sin, sin, -20, 20, 1.2e-7, 0 },
        { nn_fast_sin, sin, -1e9, 1e9, 1.2e-7, 0 }, { nn_fast_sin, sin, -1e-3, 1e-3, 2.5e-7, 1 },
        { nn_fast_cos, cos, -20, 20, 1.2e-7, 0 }, { nn_fast_cos, cos, -1e9, 1e9, 1.2e-7, 0 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const double worst = worst_error(cases[i].f, cases[i].exact, cases[i].low, cases[i].high, 177000, cases[i].relative);
        if (!(worst < cases[i].most))
            fail_msg("case %d: error %g, expected less than %g", (int)i, worst, cases[i].most);
    }
    assert_true(isnan(nn_fast_exp_low(NAN)) && nn_fast_exp_low(-INFINITY) == 0);
    assert_true(isnan(nn_fast_exp(NAN)) && isnan(nn_fast_tanh(NAN)) && isnan(nn_fast_sigmoid(NAN)));
    assert_true(isnan(nn_fast_exp_negative(NAN)) && nn_fast_exp_negative(-INFINITY) < 2e-38f);
    assert_true(isnan(nn_fast_expm1(NAN)) && isnan(nn_fast_log(NAN)) && isnan(nn_fast_log1p(NAN)) && isnan(nn_fast_erf(NAN)));
    assert_true(isnan(nn_fast_sin(NAN)) && isnan(nn_fast_cos(INFINITY)));
    assert_true(isinf(nn_fast_exp(100)) && nn_fast_exp(-100) == 0 && nn_fast_tanh(100) <= 1);
    assert_true(isinf(nn_fast_expm1(100)) && nn_fast_expm1(-100) == -1 && nn_fast_expm1(0) == 0);
    assert_true(nn_fast_log(0) == -INFINITY && nn_fast_log(INFINITY) == INFINITY && isnan(nn_fast_log(-1)));
    assert_true(nn_fast_sigmoid(-200) == 0 && nn_fast_sigmoid(200) == 1 && nn_fast_log(1) == 0);
}

#endif

/* ---- values that no gradient reads ---- */

/* Gradients of first and second order in a row, of an op that stands between others. Its inputs and its output are copies,
 * released at once where the op says that nobody reads them; only the inputs in `wanted` have a gradient. */
static int64_t run_between(nn_tape *t, example *e, unsigned wanted, int release, real *out)
{
    nn_node *leaf[MAX_TENSORS], *in[MAX_TENSORS], *g[MAX_TENSORS] = { NULL }, *gg[MAX_TENSORS] = { NULL }, *sum = NULL;
    int64_t n = 0;
    nn_tape_reset(t);
    for (int i = 0; i < e->n; i++)
        leaf[i] = (wanted >> i & 1 ? nn_leaf : nn_input_real)(t, e->in[i].shape, e->in[i].x);
    nn_node *mark = nn_scope_begin(t);
    for (int i = 0; i < e->n; i++)
        in[i] = nn_affine(t, leaf[i], 1, 0);
    nn_node *y = nn_affine(t, nn_apply(t, e->op, e->attr, e->n, in), 1, 0);
    if (release)
        nn_scope_end(t, mark, y);
    nn_node *dy = leaf[e->n] = y ? nn_leaf(t, y->shape, e->in[e->n].x) : NULL;
    nn_grad(t, y, dy, e->n, leaf, g, 1);
    for (int i = 0; i < e->n; i++)
        if (g[i]) {
            nn_node *term = nn_sum(t, nn_mul(t, g[i], nn_affine(t, g[i], 0.25, 0.5)));
            sum = sum ? nn_add(t, sum, term) : term;
        }
    if (sum)
        nn_grad(t, sum, NULL, e->n + 1, leaf, gg, 0);
    assert_int_equal(t->err.code, BL_OK);
    for (int k = 0; k < 2 * MAX_TENSORS; k++) {
        const nn_node *node = k < MAX_TENSORS ? g[k] : gg[k - MAX_TENSORS];
        for (int64_t i = 0; node && node->x && i < nn_count(&node->shape); i++)
            out[n++] = node->x[i];
    }
    return n;
}

static void no_gradient_reads_what_its_op_calls_unread(void **state)
{
    enum { MOST = 4096 };
    bl_error err = { BL_OK, "" };
    nn_tape *t = nn_tape_new(&err);
    real *kept = malloc(MOST * sizeof *kept), *released = malloc(MOST * sizeof *released);
    (void)state;
    for (const nn_op *const *op = nn_ops; *op; op++)
        for (const char *const *text = (*op)->examples; text && *text; text++) {
            example e;
            nn_node *leaf[MAX_TENSORS];
            bl_rng rng;
            bl_rng_seed(&rng, 17);
            assert_true(parse_example(*op, *text, &e));
            for (int i = 0; i < e.n; i++)
                fill(&e.in[i], &rng);
            nn_tape_reset(t);
            assert_non_null(run_example(t, &e, &rng, leaf));
            for (int one = -1; one < e.n; one++) { /* all inputs, and each by itself */
                const unsigned wanted = (one < 0 ? ~0u : 1u << one) & ~(*op)->no_grad;
                nn_tape_dry(t, 1);
                assert_int_equal(run_between(t, &e, wanted, 0, NULL), 0);
                const size_t plan = nn_tape_peak_bytes(t);
                nn_tape_dry(t, 0);
                const int64_t n = run_between(t, &e, wanted, 0, kept);
                if (plan != nn_tape_peak_bytes(t))
                    fail_msg("%s \"%s\": %zu bytes planned, %zu used", (*op)->name, *text, plan, nn_tape_peak_bytes(t));
                assert_true(n <= MOST);
                assert_int_equal(run_between(t, &e, wanted, 1, released), n);
                if (n && memcmp(kept, released, (size_t)n * sizeof *kept))
                    fail_msg("%s \"%s\": a released value was read", (*op)->name, *text);
            }
            free_example(&e);
        }
    free(kept);
    free(released);
    nn_tape_free(t);
}

/* ---- the same bits ---- */

/* Large enough that every parallel loop really splits. */
static const char *const large[][2] = {
    { "abs", "[3,7,2000]" }, { "add", "[3,7,2000] [7,1]" }, { "affine", "[3,7,2000]; 2 1" },
    { "attention", "[2,12,300] [2,12,170] [2,6,170] [2]:100..170 [3,41,4]; 3 0 0.2" },
    { "attention", "[1,32,500] [1,32,500] [1,32,500]; 2 1 0" }, { "broadcast_to", "[7,1]; 3 7 2000" }, { "clamp", "[3,7,2000]; -0.5 0.5" }, { "concat", "[2,9,2000] [2,3,2000]; 1" },
    { "conv1d", "[2,12,3000] [24,12,5] [24]; 1 2 1 8 0 0" }, { "conv1d", "[3,16,2047] [8,8,25]; 4 1 2 10 11 0" },
    { "conv1d", "[2,12,3000] [12,1,1] [12]; 1 1 12 0 0 0" },
    { "conv1d_weight_grad", "[2,12,3000] [2,24,3000]; 1 1 1 2 2 5" },
    { "conv_transpose1d", "[2,16,700] [16,12,25] [12]; 4 1 1 10 11 2800" },
    { "conv2d", "[3,12,40,37] [24,12,3,3] [24]; 2 2 1 1 1 1 1 1 1 0 0" }, { "conv2d", "[20,64,8,8] [40,32,3,3]; 1 1 1 1 2 1 1 1 1 0 0" },
    { "conv2d_weight_grad", "[3,12,40,37] [3,24,20,19]; 2 2 1 1 1 1 1 1 1 3 3" },
    { "conv_transpose2d", "[9,24,8,8] [24,12,4,4] [12]; 2 2 1 1 1 1 1 1 1 0 0" }, { "cos", "[3,7,2000]" },
    { "div", "[3,7,2000] [3,7,2000]:1..2" }, { "embedding", "[50,300] [200]:0..50; 3 0" },
    { "embedding_grad", "[200,300] [200]:0..50; 50 3" }, { "exp", "[3,7,2000]" }, { "gather", "[3,70,200] [3,90,200]:0..70; 1" },
    { "scatter_add", "[3,90,200] [3,90,200]:0..70; 1 3 70 200" }, { "gated_tanh", "[3,14,2100]" },
    { "wavenet_layer", "[2,24,700] [32,16,3] [32] [24,16,1] [24] [2,5,700] [32,5,1]; 4 4 0 0.7" },
    { "leaky_relu", "[3,7,2000]; 0.2" }, { "log", "[3,7,2000]:1..2" }, { "log_softmax", "[600,40]; -1" },
    { "lstm", "[7,40,30] [256,30] [256,64] [256]" }, { "lstm", "[20,9,40] [1024,40] [1024,128] [1024] [20]:1..9.9" },
    { "gru", "[7,40,30] [192,30] [192,64] [256]" }, { "gru", "[2,90,40] [768,40] [768,128] [1024]" },
    { "linear", "[300,170] [250,170] [250]" }, { "matmul", "[300,170] [170,250]; 0 0" }, { "matmul", "[170,300] [250,170]; 1 1" }, { "mul", "[3,7,2000] [3,1,2000]" },
    { "pad", "[3,7,2000]; 2 5 9" }, { "permute", "[3,70,200]; 0 2 1" }, { "pick", "[20000,3] [20000]:0..3" },
    { "positional_encoding", "[3,7,2000]" },
    { "pick_grad", "[20000] [20000]:0..3; 3" }, { "sigmoid", "[3,7,2000]" }, { "sin", "[3,7,2000]" },
    { "slice", "[3,7,2000]; 2 100 1900" }, { "softmax", "[600,40]; -1" }, { "softplus", "[3,7,2000]; 1 20" },
    { "sqrt", "[3,7,2000]:1..2" }, { "square", "[3,7,2000]" }, { "step", "[3,7,2000]" },
    { "stft", "[3,9000]; 256 64 256" }, { "sub", "[3,7,2000] [2000]" }, { "sum_to", "[9,70,200]; 70 1" },
    { "sum_to", "[9,70,200]; 1" }, { "tanh", "[3,7,2000]" }, { "upsample_linear", "[3,7,300]; 16" },
    { "upsample_linear_grad", "[3,7,4800]; 16" }, { "harmonic", "[3,12,60] [3,59]:400..410 [3]:0..0.001; 100 16000" },
    { "band_mix", "[3,8,60] [8,3001] [3]:0..3000; 100" }, { "gather_time", "[9,2000,5]; shared" },
    { "scatter_time", "[2,7000,7]; per_example" }, { "reshape", "[3,7,2000]; 21 2000" },
    { "elu", "[3,7,2000]; 0.7 1.3 0.9" }, { "floor", "[3,7,2000]" }, { "gelu", "[3,7,2000]" }, { "gelu_tanh", "[3,7,2000]" },
    { "hardsigmoid", "[3,7,2000]:-4..4" }, { "hardswish", "[3,7,2000]:-4..4" }, { "hardtanh", "[3,7,2000]; -0.5 0.5" },
    { "log_sigmoid", "[3,7,2000]" }, { "mish", "[3,7,2000]" }, { "pow", "[3,7,2000]:1..2; 1.5" },
    { "reciprocal", "[3,7,2000]:1..2" }, { "round", "[3,7,2000]" }, { "rsqrt", "[3,7,2000]:1..2" }, { "sign", "[3,7,2000]" },
    { "silu", "[3,7,2000]" }, { "softsign", "[3,7,2000]" },
    { "stft", "[2,9000]; 256 60 200 1 1" }, { "magnitude", "[3,2,17,700]; 0.1" }, { "oscillator_phase", "[3,60]:100..200; 200 8000 0" },
    { "harmonic_sum", "[3,9,40] [3,4000]:-3..3 [3,40]:100..900; 100 8000 0 0" }, { "frame_filter", "[3,30,65] [3,3000]; 32" },
    { "logsumexp", "[3,7,2000]; 1" }, { "logsumexp", "[300,70]; 1" }, { "log1mexp", "[3,7,2000]:0.1..3" },
    { "distance_loss", "[3,7,2000] [3,7,2000]; 2 0.3" }, { "cross_entropy", "[3,17,700]:-3..3 [3,700]:0..17 [17]:0.5..1; 4 0.1" },
    { "cross_entropy", "[900,33]:-3..3 [900]:0..33; -100 0" },
    { "amax", "[9,70,200]; 4" }, { "amax", "[9,70,200]; 1" }, { "argmax", "[9,70,200]; 1" }, { "cumsum", "[9,70,200]; 1 0" },
    { "equal", "[3,7,2000] [7,1]" }, { "greater", "[3,7,2000] [7,1]" }, { "greater_equal", "[3,7,2000] [7,1]" },
    { "maximum", "[3,7,2000] [7,1]" }, { "minimum", "[3,7,2000] [7,1]" }, { "power", "[3,7,2000]:1..2 [7,1]" },
    { "where", "[3,7,2000]:-1..0 [3,7,2000] [3,7,2000]" }, { "softmax", "[9,70,200]; 1" }, { "log_softmax", "[9,70,200]; 1" },
    { "avg_pool", "[900,30,4,5]; 2 2 1 1 0 0 1 1 0 0" }, { "interpolate", "[9,70,60]; 1 3 1 0" }, { "max_pool", "[9,30,20,20]; 3 2 1 2 1 0 1 1 0 0" },
    { "repeat", "[9,70,60]; 1 3" }, { "repeat", "[9,70,60]; 2 3" }, { "glu", "[9,70,60]; 1" },
    { "prelu", "[3,7,2000] [7,1]" }, { "snake", "[3,7,2000] [7,1]:1..2 [7,1]:1..2" }, { "take", "[70,5,300]; 1" }, { "take", "[7000,5]; 1" },
    { "moments", "[9,30,200]; 5" }, { "moments", "[9,200,300]; 2" }, { "normalize", "[9,30,200] [2,30]:1..2 [30,1] [30,1]; 5 0.1" },
    { "normalize", "[9,30,200] [2,1800]:1..2 [30,1] [30,1]; 2 0.1" }, { "sum_to", "[9000,60]; 60" }, { "permute", "[70,3,200]; 2 1 0" },
};

static const nn_op *find_op(const char *name)
{
    for (const nn_op *const *op = nn_ops; *op; op++)
        if (!strcmp((*op)->name, name))
            return *op;
    return NULL;
}

/* Appends value and gradients to out; returns the count. */
static int64_t collect(nn_tape *t, example *e, bl_rng *rng, real *out)
{
    nn_node *leaf[MAX_TENSORS], *g[MAX_TENSORS] = { NULL };
    int64_t n = 0;
    nn_tape_reset(t);
    nn_node *y = run_example(t, e, rng, leaf);
    if (!y)
        fail_msg("%s: %s", e->op->name, t->err.msg);
    nn_grad(t, y, leaf[e->n], e->n, leaf, g, 0);
    assert_int_equal(t->err.code, BL_OK);
    for (int i = -1; i < e->n; i++) {
        const nn_node *node = i < 0 ? y : g[i];
        if (!node)
            continue;
        if (out)
            memcpy(out + n, node->x, (size_t)nn_count(&node->shape) * sizeof *out);
        n += nn_count(&node->shape);
    }
    return n;
}

static void values_and_gradients_do_not_depend_on_the_thread_count(void **state)
{
    bl_error err = { BL_OK, "" };
    nn_tape *t = nn_tape_new(&err);
    const int n_threads = omp_get_max_threads();
    int failures = 0;
    (void)state;
    for (const nn_op *const *op = nn_ops; *op; op++) {
        int tested = 0;
        for (size_t i = 0; i < sizeof large / sizeof *large; i++)
            tested |= !strcmp(large[i][0], (*op)->name);
        if (!tested)
            fail_msg("the op %s has no large example in this test", (*op)->name);
    }
    for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
        example e;
        bl_rng rng;
        const nn_op *op = find_op(large[i][0]);
        assert_non_null(op);
        bl_rng_seed(&rng, i);
        if (!parse_example(op, large[i][1], &e))
            fail_msg("%s: \"%s\" cannot be read", op->name, large[i][1]);
        for (int k = 0; k < e.n; k++)
            fill(&e.in[k], &rng);
        omp_set_num_threads(1);
        const int64_t n = collect(t, &e, &rng, NULL);
        real *one = malloc((size_t)n * sizeof *one), *more = malloc((size_t)n * sizeof *more);
        collect(t, &e, &rng, one);
        for (int threads = 2; threads <= 3; threads++) {
            omp_set_num_threads(threads);
            collect(t, &e, &rng, more);
            if (memcmp(one, more, (size_t)n * sizeof *one)) {
                print_message("%s \"%s\": other bits with %d threads\n", op->name, large[i][1], threads);
                failures++;
            }
        }
        free(one);
        free(more);
        free_example(&e);
    }
    omp_set_num_threads(n_threads);
    nn_tape_free(t);
    assert_int_equal(failures, 0);
}

/* ---- what does not fit ---- */

/* Runs an example that may be wrong: an error must have a sentence, a result must be differentiable. */
static void try_example(nn_tape *t, example *e, bl_rng *rng)
{
    nn_node *leaf[MAX_TENSORS], *g[MAX_TENSORS] = { NULL };
    for (int i = 0; i < e->n; i++)
        fill(&e->in[i], rng);
    free(e->in[e->n].x);
    e->in[e->n].x = NULL;
    nn_tape_reset(t);
    nn_node *y = run_example(t, e, rng, leaf);
    if (y)
        nn_grad(t, y, leaf[e->n], e->n, leaf, g, 0);
    if (!y || t->err.code) {
        assert_true(t->err.code != BL_OK);
        assert_true(strlen(t->err.msg) > 10);
        assert_null(nn_square(t, y)); /* sticky */
    }
}

static void shapes_that_do_not_fit_are_errors_and_not_crashes(void **state)
{
    bl_error err = { BL_OK, "" };
    nn_tape *t = nn_tape_new(&err);
    int n_errors = 0;
    (void)state;
    for (const nn_op *const *op = nn_ops; *op; op++)
        for (const char *const *text = (*op)->examples; text && *text; text++) {
            example e;
            bl_rng rng;
            bl_rng_seed(&rng, 3);
            assert_true(parse_example(*op, *text, &e));
            for (int i = 0; i < e.n; i++) {
                const nn_shape good = e.in[i].shape;
                for (int change = 0; change < 5; change++) {
                    nn_shape *s = &e.in[i].shape;
                    *s = good;
                    if (change == 0 && s->rank < NN_MAX_RANK)
                        s->dim[s->rank++] = 2;
                    else if (change == 1 && s->rank > 0)
                        s->rank--;
                    else if (change == 2 && s->rank > 0)
                        s->dim[s->rank - 1] += 1;
                    else if (change == 3 && s->rank > 0)
                        s->dim[0] += 1;
                    else if (change == 4)
                        s->rank = 0;
                    try_example(t, &e, &rng);
                    n_errors += t->err.code != BL_OK;
                }
                e.in[i].shape = good;
            }
            free_example(&e);
        }
    nn_tape_free(t);
    assert_true(n_errors > 100);
}

static void empty_and_short_axes_do_no_harm(void **state)
{
    bl_error err = { BL_OK, "" };
    nn_tape *t = nn_tape_new(&err);
    (void)state;
    for (const nn_op *const *op = nn_ops; *op; op++)
        for (const char *const *text = (*op)->examples; text && *text; text++)
            for (int length = 0; length < 2; length++)
                for (int i = 0; i < (*op)->max_in; i++)
                    for (int d = 0; d < NN_MAX_RANK; d++) {
                        example e;
                        bl_rng rng;
                        bl_rng_seed(&rng, 4);
                        assert_true(parse_example(*op, *text, &e));
                        if (i < e.n && d < e.in[i].shape.rank) {
                            /* the same size elsewhere is most likely the same dimension */
                            const int64_t size = e.in[i].shape.dim[d];
                            for (int k = 0; k < e.n; k++)
                                for (int m = 0; m < e.in[k].shape.rank; m++)
                                    if (e.in[k].shape.dim[m] == size)
                                        e.in[k].shape.dim[m] = length;
                            try_example(t, &e, &rng);
                        }
                        free_example(&e);
                    }
    nn_tape_free(t);
}

static void every_op_has_a_summary_and_examples(void **state)
{
    (void)state;
    assert_true(nn_ops[0] != NULL);
    for (const nn_op *const *op = nn_ops; *op; op++) {
        assert_true((*op)->summary && strlen((*op)->summary) > 2);
        if (!(*op)->examples || !(*op)->examples[0])
            fail_msg("the op %s has no examples", (*op)->name);
    }
}

/* ---- using a value twice, and steps after steps ---- */

static void gradients_of_a_value_used_twice_add_up(void **state)
{
    bl_error err = { BL_OK, "" };
    nn_tape *t = nn_tape_new(&err);
    nn_params *p = nn_params_new(&err);
    const int w = nn_params_add(p, "w", (nn_shape){ 1, { 3 } }, NN_INIT_ONE, 0, &err);
    (void)state;
    assert_int_equal(nn_params_finish(p, &err), BL_OK);
    nn_params_init(p, 1);
    real *value = p->value + p->param[w].offset, *grad = p->grad + p->param[w].offset;
    for (int i = 0; i < 3; i++)
        value[i] = (real)(i + 1);
    nn_params_zero_grad(p);
    for (int step = 1; step <= 2; step++) { /* sinks add up over steps */
        nn_tape_reset(t);
        nn_node *x = nn_param_node(t, p, w);
        nn_node *y = nn_add(t, nn_mul(t, x, x), nn_mul(t, nn_affine(t, x, 3, 0), nn_square(t, x)));
        nn_backward(t, nn_sum(t, y)); /* x^2 + 3 x^3 */
        assert_int_equal(t->err.code, BL_OK);
        for (int i = 0; i < 3; i++) {
            const double v = i + 1, exact = step * (2 * v + 9 * v * v);
            assert_true(fabs((double)grad[i] - exact) < 1e-5 * exact);
        }
    }
    nn_params_free(p);
    nn_tape_free(t);
}

static void dropout_keeps_the_mean_and_rests_in_evaluation(void **state)
{
    bl_error err = { BL_OK, "" };
    nn_tape *t = nn_tape_new(&err);
    (void)state;
    nn_node *x = nn_full(t, nn_shape_of(2, 100, 1000), 1);
    assert_ptr_equal(nn_dropout(t, x, 0.3), x);
    t->training = 1;
    nn_node *y = nn_dropout(t, x, 0.3);
    double sum = 0;
    int zeros = 0;
    for (int i = 0; i < 100000; i++) {
        sum += (double)y->x[i];
        zeros += y->x[i] == 0;
    }
    assert_true(fabs(sum / 1e5 - 1) < 0.01);
    assert_true(abs(zeros - 30000) < 600);
    assert_null(nn_dropout(t, x, 1));
    assert_int_equal(t->err.code, BL_EARG);
    nn_tape_free(t);
}

static void phase_shuffle_shifts_each_example_and_reflects(void **state)
{
    bl_error err = { BL_OK, "" };
    nn_tape *t = nn_tape_new(&err);
    int seen[7] = { 0 };
    (void)state;
    for (int round = 0; round < 40; round++) {
        nn_tape_reset(t);
        nn_node *x = nn_full(t, nn_shape_of(3, 4, 2, 10), 0);
        for (int i = 0; i < 80; i++)
            x->x[i] = (real)(i % 10);
        nn_node *y = nn_phase_shuffle(t, x, 3);
        for (int b = 0; b < 4; b++) {
            int shift = -99;
            for (int s = -3; s <= 3; s++) {
                int same = 1;
                for (int i = 0; i < 20; i++) {
                    int from = i % 10 - s;
                    from = from < 0 ? -from : from > 9 ? 18 - from : from;
                    same &= y->x[b * 20 + i] == (real)from;
                }
                if (same)
                    shift = s;
            }
            assert_true(shift != -99);
            seen[shift + 3]++;
        }
    }
    for (int s = 0; s < 7; s++)
        assert_true(seen[s] > 8);
    nn_tape_free(t);
}

static void gradient_penalty_of_a_plane_is_its_slope_minus_one_squared(void **state)
{
    bl_error err = { BL_OK, "" };
    nn_tape *t = nn_tape_new(&err);
    const real x[6] = { 1, 2, 3, 4, 5, 6 }, w[3] = { 2, 0, 0 };
    (void)state;
    nn_node *leaf = nn_leaf(t, nn_shape_of(2, 2, 3), x), *weight = nn_leaf(t, nn_shape_of(2, 1, 3), w), *g;
    nn_node *penalty = nn_gradient_penalty(t, nn_linear(t, leaf, weight, NULL), leaf);
    assert_int_equal(t->err.code, BL_OK);
    assert_true(fabs((double)penalty->x[0] - 1) < 1e-5); /* (2 - 1)^2 */
    nn_grad(t, penalty, NULL, 1, &weight, &g, 0);
    assert_true(fabs((double)g->x[0] - 2) < 1e-5); /* d (w - 1)^2 / d w = 2 (w - 1) */
    assert_true(fabs((double)g->x[1]) < 1e-5);
    assert_null(nn_gradient_penalty(t, nn_full(t, nn_shape_of(1, 2), 1), leaf));
    assert_int_equal(t->err.code, BL_EARG);
    nn_tape_free(t);
}

static void indices_outside_the_table_are_errors(void **state)
{
    bl_error err = { BL_OK, "" };
    nn_tape *t = nn_tape_new(&err);
    const float bad[3] = { 4, -1, NAN };
    const int64_t position = 4;
    (void)state;
    for (int i = 0; i < 3; i++) {
        nn_tape_reset(t);
        nn_node *x = nn_full(t, nn_shape_of(2, 4, 4), 1);
        assert_null(nn_embedding(t, x, nn_input(t, nn_shape_of(1, 1), &bad[i]), -1));
        assert_int_equal(t->err.code, BL_EARG);
        assert_non_null(strstr(t->err.msg, "outside 0..3"));
    }
    nn_tape_reset(t);
    assert_null(nn_gather_time(t, nn_full(t, nn_shape_of(2, 4, 4), 1), &position, 1));
    assert_int_equal(t->err.code, BL_EARG);
    nn_tape_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#ifdef BL_F64
        cmocka_unit_test(every_gradient_agrees_with_differences),
        cmocka_unit_test(every_gradient_of_a_gradient_agrees_with_differences),
#else
        cmocka_unit_test(fast_functions_stay_within_their_error),
#endif
        cmocka_unit_test(every_op_has_a_summary_and_examples),
        cmocka_unit_test(no_gradient_reads_what_its_op_calls_unread),
        cmocka_unit_test(values_and_gradients_do_not_depend_on_the_thread_count),
        cmocka_unit_test(shapes_that_do_not_fit_are_errors_and_not_crashes),
        cmocka_unit_test(empty_and_short_axes_do_no_harm),
        cmocka_unit_test(gradients_of_a_value_used_twice_add_up),
        cmocka_unit_test(dropout_keeps_the_mean_and_rests_in_evaluation),
        cmocka_unit_test(phase_shuffle_shifts_each_example_and_reflects),
        cmocka_unit_test(gradient_penalty_of_a_plane_is_its_slope_minus_one_squared),
        cmocka_unit_test(indices_outside_the_table_are_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
