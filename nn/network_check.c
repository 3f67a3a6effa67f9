#include "nn/network_check.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_IO = 16 };

#ifdef BL_F64
const double nn_check_tolerance = 1e-5;
static const double steps[] = { 1e-7, 1e-8 }; /* small: kinks of ReLUs lie close together in large networks */
enum { ORDERS = 2, STEPS = 2 };
#else
const double nn_check_tolerance = 2e-2;
static const double steps[] = { 1e-2, 2e-3, 4e-4 }; /* of the parameter's length: against rounding, against kinks */
enum { ORDERS = 1, STEPS = 3 };
#endif

typedef struct checker {
    nn_network             *net;
    nn_params              *p;
    nn_tape                *tape;
    const nn_check_options *options;
    real                   *saved;      /* values of all parameters                       */
    real                   *first;      /* gradient of all parameters                     */
    real                   *v;          /* direction of the second order                  */
    real                   *moved;      /* an input, moved; NULL: all as they are         */
    int                     moved_input;
    double                  whole;      /* length of the gradient whose parts are checked */
    double                  rounding;   /* what rounding does to f                        */
} checker;

void nn_network_random_inputs(const nn_network *net, nn_tape *t, int64_t batch, uint64_t seed, nn_node **in)
{
    bl_rng rng;
    bl_rng_seed(&rng, seed);
    for (int i = 0; i < nn_network_n_inputs(net); i++) {
        const nn_shape s = nn_network_input_shape(net, i);
        const int n_classes = nn_network_reads_index(net, i);
        nn_shape full = { s.rank + 1, { batch } };
        memcpy(full.dim + 1, s.dim, (size_t)s.rank * sizeof *s.dim);
        in[i] = nn_full(t, full, 0);
        for (int64_t k = 0; in[i] && in[i]->x && k < nn_count(&full); k++)
            in[i]->x[k] = (real)(n_classes ? floor(n_classes * bl_rng_uniform(&rng)) : bl_rng_normal(&rng));
    }
}

/* The inputs as leaves, so that their gradient can be asked for. */
static void make_inputs(checker *c, nn_node **in)
{
    nn_node *drawn[MAX_IO];
    nn_network_random_inputs(c->net, c->tape, c->options->batch, c->options->seed, drawn);
    for (int i = 0; i < nn_network_n_inputs(c->net) && !c->tape->err.code; i++)
        in[i] = nn_leaf(c->tape, drawn[i]->shape, c->moved && c->moved_input == i ? c->moved : drawn[i]->x);
}

/* One run: f as a node for the engine, and summed in double for differences. */
static nn_node *run(checker *c, nn_node **in, double *f)
{
    nn_tape *t = c->tape;
    nn_node *out[MAX_IO], *loss = NULL;
    nn_tape_reset(t);
    t->training = c->options->training;
    bl_rng_seed(&t->rng, c->options->seed + 1);
    make_inputs(c, in);
    nn_network_run(c->net, t, in, out);
    bl_rng_seed(&t->rng, c->options->seed + 2);
    double squares = 0;
    *f = 0;
    for (int i = 0; i < nn_network_n_outputs(c->net) && !t->err.code; i++) {
        nn_node *y = out[i], *noise = nn_randn(t, y->shape);
        for (int64_t k = 0; k < nn_count(&y->shape); k++) {
            const double term = (double)noise->x[k] * (double)y->x[k] * (1 + (double)y->x[k] / 2);
            *f += term;
            squares += term * term;
        }
        nn_node *part = nn_sum(t, nn_mul(t, noise, nn_add(t, y, nn_affine(t, nn_square(t, y), 0.5, 0))));
        loss = loss ? nn_add(t, loss, part) : part;
    }
    c->rounding = 8 * (sizeof(real) == 8 ? DBL_EPSILON : (double)FLT_EPSILON) * sqrt(squares);
    return t->err.code ? NULL : loss;
}

/* v . grad f as a node: the gradient of every use of a parameter, with a history. */
static nn_node *along_v(checker *c, nn_node *loss)
{
    nn_tape *t = c->tape;
    nn_node *sum = NULL, **leaves, **grads;
    int n = 0;
    for (nn_node *k = t->last; k; k = k->previous)
        n += k->grad_sink != NULL;
    leaves = calloc(2 * (size_t)n + 1, sizeof *leaves);
    if (!leaves) {
        bl_fail(&t->err, BL_ENOMEM, "no memory for the gradient check");
        return NULL;
    }
    grads = leaves + n;
    n = 0;
    for (nn_node *k = t->last; k; k = k->previous)
        if (k->grad_sink)
            leaves[n++] = k;
    nn_grad(t, loss, NULL, n, leaves, grads, 1);
    for (int i = 0; i < n && !t->err.code; i++) {
        if (!grads[i])
            continue;
        nn_node *v = nn_borrow(t, leaves[i]->shape, c->v + (leaves[i]->grad_sink - c->p->grad));
        nn_node *part = nn_sum(t, nn_mul(t, grads[i], v));
        sum = sum ? nn_add(t, sum, part) : part;
    }
    free(leaves);
    return sum;
}

/* f, or its slope along v, of the parameters as they are now. */
static double value(checker *c, int order)
{
    nn_node *in[MAX_IO];
    double f;
    nn_node *loss = run(c, in, &f);
    if (order == 2 && loss) {
        nn_node *slope = along_v(c, loss);
        f = slope ? nn_scalar(slope) : 0;
    }
    return f;
}

/* The slope along u (n numbers, of length 1) at x, by differences over `step`; how far rounding may put it off. */
static double difference(checker *c, int order, real *x, const real *u, int64_t n, double step, double *off)
{
    double length = 0, f[2];
    for (int64_t i = 0; i < n; i++)
        length += (double)(x[i] * x[i]);
    const double h = sizeof(real) == 8 ? step : step * fmax(1e-2, sqrt(length));
    real *const at = malloc((size_t)n * sizeof *at);
    if (!at) {
        bl_fail(&c->tape->err, BL_ENOMEM, "no memory for the gradient check");
        return 0;
    }
    memcpy(at, x, (size_t)n * sizeof *at);
    double moved = 0; /* what rounding leaves of 2 h */
    for (int side = 0; side < 2; side++) {
        for (int64_t i = 0; i < n; i++)
            x[i] = (real)((double)at[i] + (side ? h : -h) * (double)u[i]);
        for (int64_t i = 0; i < n; i++)
            moved += (side ? 1 : -1) * ((double)x[i] - (double)at[i]) * (double)u[i];
        f[side] = value(c, order);
    }
    memcpy(x, at, (size_t)n * sizeof *at);
    free(at);
    *off = c->rounding / fabs(moved);
    return (f[1] - f[0]) / moved;
}

static double length_of(const real *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return sqrt(sum);
}

/* One row: `gradient` of n numbers at x. u gets the direction, mostly that of `towards`. */
static void check(checker *c, int order, real *x, const real *gradient, const real *towards, int64_t n, real *u,
                  nn_check_row *row)
{
    bl_rng rng;
    const double length = length_of(towards, n) / sqrt((double)(n ? n : 1));
    double norm = 0;
    bl_rng_seed(&rng, c->options->seed + 3);
    for (int64_t i = 0; i < n; i++) { /* where the gradient is nothing, any direction */
        u[i] = (real)((double)towards[i] * (0.5 + bl_rng_uniform(&rng)) + (0.1 * length + 1e-30) * bl_rng_normal(&rng));
        norm += (double)u[i] * (double)u[i];
    }
    norm = norm > 0 ? sqrt(norm) : 1;
    row->gradient = 0;
    for (int64_t i = 0; i < n; i++) {
        u[i] = (real)((double)u[i] / norm);
        row->gradient += (double)gradient[i] * (double)u[i];
    }
    row->order = order;
    row->error = INFINITY;
    for (int i = 0; i < STEPS && !row->fits; i++) { /* a wrong gradient fits at no step */
        double off = 0;
        const double slope = difference(c, order, x, u, n, steps[i], &off);
        const double scale = fmax(fmax(fabs(row->gradient), fabs(slope)), 1e-2 * c->whole);
        const double error = scale > 0 ? fmax(0, fabs(row->gradient - slope) - off) / scale : 0;
        if (!(error >= row->error)) {
            row->difference = slope;
            row->error = error;
        }
        row->fits = row->error <= nn_check_tolerance; /* NaN does not */
    }
}

/* All parameters at once, each with the same weight: sets row and returns 1 when it fits. */
static int check_together(checker *c, int order, const real *gradient, real *scaled, real *u, nn_check_row *row)
{
    memset(scaled, 0, (size_t)c->p->n_elements * sizeof *scaled);
    c->whole = length_of(gradient, c->p->n_elements);
    for (int k = 0; k < c->p->n; k++) {
        const nn_param *param = &c->p->param[k];
        const double length = length_of(gradient + param->offset, nn_count(&param->shape));
        for (int64_t i = 0; i < nn_count(&param->shape) && length > 1e-9 * c->whole; i++)
            scaled[param->offset + i] = (real)((double)gradient[param->offset + i] / length);
    }
    snprintf(row->name, sizeof row->name, "all parameters");
    check(c, order, c->p->value, gradient, scaled, c->p->n_elements, u, row);
    return row->fits;
}

static void check_params(checker *c, int order, const real *gradient, real *u, nn_check_row *rows, int *n)
{
    c->whole = length_of(gradient, c->p->n_elements);
    for (int k = 0; k < c->p->n && !c->tape->err.code; k++) {
        const nn_param *param = &c->p->param[k];
        if (param->is_buffer || param->frozen)
            continue;
        nn_check_row *row = &rows[(*n)++];
        snprintf(row->name, sizeof row->name, "%s", param->name);
        check(c, order, c->p->value + param->offset, gradient + param->offset, gradient + param->offset,
              nn_count(&param->shape), u, row);
    }
}

static void check_inputs(checker *c, nn_check_row *rows, int *n)
{
    for (int i = 0; i < nn_network_n_inputs(c->net) && !c->tape->err.code; i++) {
        nn_node *in[MAX_IO], *grad = NULL;
        double f;
        if (nn_network_reads_index(c->net, i))
            continue; /* classes have no gradient */
        nn_node *loss = run(c, in, &f);
        if (loss)
            nn_grad(c->tape, loss, NULL, 1, &in[i], &grad, 0);
        if (c->tape->err.code || !grad)
            continue;
        const int64_t count = nn_count(&grad->shape);
        real *block = malloc(3 * (size_t)count * sizeof *block);
        if (!block) {
            bl_fail(&c->tape->err, BL_ENOMEM, "no memory for the gradient check");
            return;
        }
        memcpy(block, in[i]->x, (size_t)count * sizeof *block);
        memcpy(block + count, grad->x, (size_t)count * sizeof *block);
        c->moved = block;
        c->moved_input = i;
        c->whole = length_of(block + count, count);
        nn_check_row *row = &rows[(*n)++];
        snprintf(row->name, sizeof row->name, "input.%.100s", nn_network_input_name(c->net, i));
        check(c, 1, block, block + count, block + count, count, block + 2 * count, row);
        c->moved = NULL;
        free(block);
    }
}

/* Gradients of f, or of its slope along v, into c->p->grad. */
static void gradient(checker *c, int order)
{
    nn_node *in[MAX_IO];
    double f;
    nn_params_zero_grad(c->p);
    nn_node *loss = run(c, in, &f);
    if (loss && order == 2)
        loss = along_v(c, loss);
    if (loss)
        nn_backward(c->tape, loss);
}

nn_check_row *nn_network_check(nn_network *net, nn_params *p, const nn_check_options *options, int *n_rows, bl_error *err)
{
    const size_t n = (size_t)p->n_elements + 1;
    checker c = { .net = net, .p = p, .options = options };
    bl_rng rng;
    *n_rows = 0;
    if (nn_network_n_inputs(net) > MAX_IO) {
        bl_fail(err, BL_EARG, "the network has more than %d inputs", MAX_IO);
        return NULL;
    }
    nn_check_row *rows = calloc((size_t)(ORDERS * p->n + MAX_IO), sizeof *rows);
    real *block = calloc(5 * n, sizeof *block);
    c.tape = nn_tape_new(err);
    if (!rows || !block || !c.tape) {
        bl_fail(err, BL_ENOMEM, "no memory for the gradient check");
        goto done;
    }
    c.saved = block;
    c.first = block + n;
    c.v = block + 2 * n;
    memcpy(c.saved, p->value, (n - 1) * sizeof *block);
    bl_rng_seed(&rng, options->seed + 4);
    for (int k = 0; k < p->n; k++)
        for (int64_t i = 0; i < nn_count(&p->param[k].shape) && !p->param[k].is_buffer; i++)
            c.v[p->param[k].offset + i] = (real)bl_rng_normal(&rng);
    for (int order = 1; order <= ORDERS && !c.tape->err.code; order++) {
        gradient(&c, order);
        memcpy(c.first, p->grad, (n - 1) * sizeof *block);
        if (order == 2 && check_together(&c, order, c.first, block + 4 * n, block + 3 * n, &rows[*n_rows])) {
            ++*n_rows; /* one by one would take as long as two gradients each: only to find the guilty one */
            break;
        }
        check_params(&c, order, c.first, block + 3 * n, rows, n_rows);
        if (order == 1)
            check_inputs(&c, rows, n_rows);
    }
    memcpy(p->value, c.saved, (n - 1) * sizeof *block);
    if (c.tape->err.code)
        bl_fail(err, c.tape->err.code, "%s", c.tape->err.msg);
done:
    nn_tape_free(c.tape);
    free(block);
    if (err->code) {
        free(rows);
        rows = NULL;
    }
    return rows;
}
